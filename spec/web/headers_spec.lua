-- web.headers: what a page tells the browser that it does not do.

local support = require "spec.web.support"

local NAMES = { "content-security-policy", "content-security-policy-report-only",
  "x-content-type-options", "x-frame-options", "referrer-policy", "permissions-policy",
  "cross-origin-opener-policy", "cross-origin-resource-policy", "strict-transport-security" }

local function headers(answer)
  local found = {}
  for _, name in ipairs(NAMES) do
    found[name] = answer.headers[name]
  end
  return found
end

local function nonce_of(answer)
  return answer.headers["content-security-policy"]:match("script%-src 'self' 'nonce%-([%w_-]+)'")
end

describe("web.headers", function()
  it("sets what is right for most pages, on every answer", function()
    local app = support.start "lunesse.web.headers()"
    for _, path in ipairs { "/", "/nowhere", "/boom" } do
      local answer = app:get(path)
      local found, nonce = headers(answer), nonce_of(answer)
      assert.equal(22, #nonce)
      local source = "'self' 'nonce-" .. nonce .. "'"
      assert.same({
        ["content-security-policy"] = "default-src 'self'; script-src " .. source ..
          "; style-src " .. source .. "; object-src 'none'; base-uri 'none'; form-action 'self'" ..
          "; frame-ancestors 'none'",
        ["x-content-type-options"] = "nosniff", ["x-frame-options"] = "DENY",
        ["referrer-policy"] = "strict-origin-when-cross-origin",
        ["cross-origin-opener-policy"] = "same-origin",
      }, found)
    end
    assert.logged { level = "error" }
  end)

  it("has a nonce for each request, which the handler knows", function()
    local app = support.start [[lunesse.web.headers(), function(request, response, next)
      request.state.user = request.state.nonce
      next()
    end]]
    local one, two = app:get("/"), app:get("/")
    assert.equal(nonce_of(one), one:text())
    assert.equal(nonce_of(two), two:text())
    assert.not_equal(one:text(), two:text())
  end)

  it("has HSTS only where the client has asked by https", function()
    local app = support.start [[(function()
      lunesse.web.trust_proxy "127.0.0.1"
      return lunesse.web.headers { hsts = { max_age = 60, subdomains = true, preload = true } }
    end)()]]
    local function hsts(scheme)
      local answer = app:get("/", { headers = { ["X-Forwarded-Proto"] = scheme } })
      return answer.headers["strict-transport-security"]
    end
    assert.equal("max-age=60; includeSubDomains; preload", hsts "https")
    assert.is_nil(hsts "http")
    assert.is_nil(hsts())
  end)

  it("says what it is told, and leaves out what is false", function()
    local app = support.start [[lunesse.web.headers { csp = "default-src 'none'",
      report_only = true, frame_ancestors = "https://a.example", referrer = "no-referrer",
      permissions = "camera=()", opener = false, resource = "same-site", hsts = false }]]
    assert.same({
      ["content-security-policy-report-only"] =
        "default-src 'none'; frame-ancestors https://a.example",
      ["x-content-type-options"] = "nosniff", ["referrer-policy"] = "no-referrer",
      ["permissions-policy"] = "camera=()", ["cross-origin-resource-policy"] = "same-site",
    }, headers(app:get("/")))
    app = support.start [[lunesse.web.headers { csp = false, frame_ancestors = "'self'",
      referrer = false, opener = false }]]
    assert.same({ ["x-content-type-options"] = "nosniff", ["x-frame-options"] = "SAMEORIGIN" },
      headers(app:get("/")))
  end)

  it("lets a handler say otherwise", function()
    local app = support.start [[lunesse.web.headers(), function(request, response, next)
      response:header("Content-Security-Policy", "default-src 'none'")
      next()
    end]]
    assert.equal("default-src 'none'", app:get("/").headers["content-security-policy"])
  end)

  it("takes no mistakes", function()
    assert.matches("^web.headers: hsts is seconds, or ", support.refusal "headers { hsts = 'a' }")
    assert.matches("^web.headers: hsts is seconds, or ",
      support.refusal "headers { hsts = { maxage = 5 } }")
    assert.matches("^web.headers: csp is a text of visible characters and spaces, or false",
      support.refusal "headers { csp = 'a\\nb' }")
  end)
end)
