-- web.same_origin: what a page of another site sends is refused, without a token.

local support = require "spec.web.support"

---The status of a request with these headers.
local function status(app, method, headers)
  headers.Host = headers.Host or "a.example"
  return app:request(method, "/", { headers = headers }).status
end

describe("web.same_origin", function()
  it("believes Sec-Fetch-Site", function()
    local app = support.start "lunesse.web.same_origin()"
    for site, wanted in pairs {
      ["same-origin"] = 200, none = 200, ["same-site"] = 403, ["cross-site"] = 403, odd = 403,
    } do
      assert.equal(wanted, status(app, "POST", { ["Sec-Fetch-Site"] = site }), site)
      assert.equal(wanted, status(app, "POST",
        { ["Sec-Fetch-Site"] = site, Origin = "https://a.example" }), site)
    end
    assert.equal("403: this request comes from a page of another site\n",
      app:post("/", { headers = { ["Sec-Fetch-Site"] = "cross-site" } }):text())
  end)

  it("holds Origin against the host where there is no Sec-Fetch-Site", function()
    local app = support.start "lunesse.web.same_origin()"
    for origin, wanted in pairs {
      ["https://a.example"] = 200, ["http://a.example"] = 200, ["https://A.EXAMPLE"] = 200,
      ["https://b.example"] = 403, ["https://a.example:8443"] = 403, null = 403,
      ["https://a.example.evil"] = 403, ["a.example"] = 403,
    } do
      assert.equal(wanted, status(app, "POST", { Origin = origin }), origin)
    end
    local function with_host(host, origin)
      return status(app, "POST", { Host = host, Origin = origin })
    end
    assert.equal(200, with_host("a.example:8080", "http://a.example:8080"))
    assert.equal(200, with_host("a.example:443", "https://a.example"))
    assert.equal(403, with_host("a.example:443", "http://a.example"))
    assert.equal(200, with_host("[::1]:8080", "http://[::1]:8080"))
  end)

  it("holds it against the host and the scheme that a trusted proxy was asked for", function()
    local app = support.start [[(function()
      lunesse.web.trust_proxy "127.0.0.1"
      return lunesse.web.same_origin()
    end)()]]
    local function asked(origin, scheme)
      return status(app, "POST", { Host = "inner:3000", ["X-Forwarded-Host"] = "a.example",
        ["X-Forwarded-Proto"] = scheme, Origin = origin })
    end
    assert.equal(200, asked("https://a.example", "https"))
    assert.equal(403, asked("http://a.example", "https"))
    assert.equal(403, asked("https://inner:3000", "https"))
  end)

  it("lets pass what comes from no page, and what only reads", function()
    local app = support.start "lunesse.web.same_origin()"
    assert.equal(200, status(app, "POST", {}))
    assert.equal(200, status(app, "GET", { ["Sec-Fetch-Site"] = "cross-site" }))
    assert.equal(204, status(app, "OPTIONS", { ["Sec-Fetch-Site"] = "cross-site" }))
  end)

  it("lets other origins and the same site pass where it is told so", function()
    local app = support.start [[lunesse.web.same_origin {
      origins = { "https://b.example" }, same_site = true }]]
    local function from(site, origin)
      return status(app, "POST", { ["Sec-Fetch-Site"] = site, Origin = origin })
    end
    assert.equal(200, from("cross-site", "https://b.example"))
    assert.equal(200, from("same-site", "https://x.a.example"))
    assert.equal(403, from("cross-site", "https://c.example"))
    assert.equal(200, from(nil, "https://b.example"))
  end)

  it("refuses reads of other sites with reads = true, but not links to a page", function()
    local app = support.start "lunesse.web.same_origin { reads = true }"
    local function get(mode, dest)
      return app:get("/", { headers = { ["Sec-Fetch-Site"] = "cross-site",
        ["Sec-Fetch-Mode"] = mode, ["Sec-Fetch-Dest"] = dest } })
    end
    assert.equal(403, get("cors", "empty").status)
    assert.equal(403, get("no-cors", "image").status)
    assert.equal(403, get("navigate", "iframe").status)
    assert.equal(200, get("navigate", "document").status)
    assert.equal("Sec-Fetch-Site, Origin", get("navigate", "document").headers.vary)
    assert.equal(200, status(app, "GET", { ["Sec-Fetch-Site"] = "same-origin" }))
  end)

  it("takes no mistakes", function()
    assert.matches("^web.same_origin: origins is a list of origins",
      support.refusal 'same_origin { origins = { "b.example" } }')
    assert.matches("^web.same_origin: reads is true or false",
      support.refusal 'same_origin { reads = 1 }')
  end)
end)
