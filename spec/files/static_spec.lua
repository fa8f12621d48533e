-- `server:static`: a folder of files.

local lfs = require "lfs"
local apps = require "spec.support.app"
local support = require "spec.files.support"

local SCRIPT = [[
local server = require("lunesse").server()
local root = %q
server:get("/api", function(_, response) return response:send("api") end)
server:get("/assets/own", function(_, response) return response:send("own") end)
%s
]]

local FILES = {
  ["index.html"] = "<p>home", ["app.js"] = "plain js", ["app.js.br"] = "br js",
  ["app.js.gz"] = "gzip js", ["only.css"] = "plain css", ["only.css.gz"] = "gzip css",
  ["a b&c.txt"] = "odd", ["sub/index.html"] = "<p>sub", ["sub/page.html"] = "<p>page",
  ["bare/file.txt"] = "bare", [".env"] = "secret", ["sub/.env"] = "secret", ["lone.js.gz"] = "lone",
}

describe("a folder", function()
  local app, root

  local function serve(text, files)
    root = support.tree(files or FILES)
    app = apps.load({ ["script.lua"] = SCRIPT:format(root, text) })
  end

  local function get(path, headers)
    return app:get(path, { headers = headers })
  end

  after_each(function()
    apps.stop_all()
    support.remove_all()
  end)

  it("is served below a prefix", function()
    serve [[server:static("/assets", root)]]
    get("/assets/app.js"):expect { status = 200, text = "plain js", headers = {
      ["Content-Type"] = "text/javascript; charset=utf-8", ["Cache-Control"] = "no-cache",
    } }
    get("/assets/sub/page.html"):expect { status = 200, text = "<p>page" }
    get("/assets/a%20b%26c.txt"):expect { status = 200, text = "odd" }
    get("/assets/own"):expect { status = 200, text = "own" }
    get("/app.js"):expect(404)
  end)

  it("is served at the root, behind all other routes", function()
    serve [[server:static("/", root)]]
    get("/"):expect { status = 200, text = "<p>home" }
    get("/app.js"):expect { status = 200, text = "plain js" }
    get("/api"):expect { status = 200, text = "api" }
  end)

  it("is served in a group", function()
    serve [[server:route("/v1"):static("/assets/", root):get("/x", function(_, response)
      return response:send("x")
    end)]]
    get("/v1/assets/app.js"):expect { status = 200, text = "plain js" }
    get("/v1/x"):expect { status = 200, text = "x" }
  end)

  it("has an index in each folder, behind a slash", function()
    serve [[server:static("/assets", root)]]
    get("/assets/"):expect { status = 200, text = "<p>home", headers = {
      ["Content-Type"] = "text/html; charset=utf-8",
    } }
    get("/assets/sub/"):expect { status = 200, text = "<p>sub" }
    get("/assets"):expect { status = 301, headers = { Location = "/assets/" } }
    get("/assets?a=b"):expect { status = 301, headers = { Location = "/assets/?a=b" } }
    get("/assets/sub"):expect { status = 301, headers = { Location = "/assets/sub/" } }
    get("/assets/sub?x=%20"):expect { status = 301, headers = { Location = "/assets/sub/?x=%20" } }
    get("/assets/bare"):expect(301)
    get("/assets/bare/"):expect(404)
  end)

  it("may have another index, or none", function()
    serve [[
      server:static("/page", root, { index = "page.html" })
      server:static("/none", root, { index = false })
    ]]
    get("/page/sub/"):expect { status = 200, text = "<p>page" }
    get("/none/sub/"):expect(404)
    get("/none/"):expect(404)
  end)

  it("has no file that is hidden or outside, and says no more than that", function()
    serve [[server:static("/", root)]]
    assert(lfs.link("/etc", root .. "/etc", true))
    local missing = get("/missing")
    missing:expect { status = 404, text = "404: no route for this path\n" }
    for _, path in ipairs {
      "/.env", "/sub/.env", "//app.js", "/sub//page.html", "/app.js/", "/etc/passwd", "/etc/",
      "/%2eenv", "/x%2f..",
    } do
      local answer = get(path)
      assert.is_true(answer.status == 404 or answer.status == 400, path)
      if answer.status == 404 then
        assert.equal(missing:text(), answer:text())
      end
    end
    for _, path in ipairs {
      "/../etc/passwd", "/sub/%2e%2e/app.js", "/a%2fb", "/a%00b", "/sub/./x",
    } do
      get(path):expect(400)
    end
  end)

  it("that is missing is answered by the script's own function", function()
    serve [[
      server:not_found(function(request, response)
        return response:send("nothing at " .. request.path)
      end)
      server:static("/", root)
    ]]
    get("/missing.js"):expect { status = 404, text = "nothing at /missing.js" }
  end)

  it("takes GET and HEAD, and no other method", function()
    serve [[server:static("/assets", root)]]
    local head = app:head("/assets/app.js")
    head:expect { status = 200, text = "", headers = { ["Content-Length"] = "8" } }
    for _, method in ipairs { "POST", "PUT", "DELETE", "PATCH" } do
      local answer = app:request(method, "/assets/app.js")
      answer:expect(405)
      assert.truthy(answer.headers["allow"]:find("GET"))
    end
  end)

  it("may be kept by clients", function()
    serve [[server:static("/", root, { cache = 3600, fallback = "index.html" })]]
    get("/app.js"):expect { headers = { ["Cache-Control"] = "public, max-age=3600" } }
    local missing = get("/missing.js")
    assert.equal(404, missing.status)
    assert.is_nil(missing.headers["cache-control"])
    get("/some/page"):expect { headers = { ["Cache-Control"] = "no-cache" } }
  end)

  it("has a page for whatever has none", function()
    serve [[server:static("/", root, { fallback = "index.html" })]]
    get("/rooms/7"):expect { status = 200, text = "<p>home" }
    get("/bare/"):expect { status = 200, text = "<p>home" }
    get("/missing.js"):expect(404)
    get("/.git/config"):expect(404)
    get("/api"):expect { status = 200, text = "api" }
    app:post("/rooms/7"):expect(405)
  end)

  it("has coded files for clients that take them", function()
    serve [[server:static("/", root, { precompressed = true })]]
    local function ask(accept, path)
      local answer = get(path or "/app.js", { ["Accept-Encoding"] = accept or false })
      assert.equal("Accept-Encoding", answer.headers["vary"])
      assert.equal(200, answer.status)
      assert.equal((path or "/app.js"):find("js") and "text/javascript; charset=utf-8"
        or "text/css; charset=utf-8", answer.headers["content-type"])
      return answer:text(), answer.headers["content-encoding"]
    end
    assert.same({ "plain js" }, { ask() })
    assert.same({ "br js", "br" }, { ask("gzip, deflate, br") })
    assert.same({ "gzip js", "gzip" }, { ask("gzip, deflate") })
    assert.same({ "gzip js", "gzip" }, { ask("br;q=0.5, gzip") })
    assert.same({ "br js", "br" }, { ask("br;q=0.5, gzip;q=0") })
    assert.same({ "br js", "br" }, { ask("*") })
    assert.same({ "gzip js", "gzip" }, { ask("br;q=0, *;q=0.1") })
    assert.same({ "plain js" }, { ask("identity") })
    assert.same({ "plain js" }, { ask("zstd, gzip;q=0") })
    assert.same({ "gzip css", "gzip" }, { ask("br, gzip", "/only.css") })
    assert.same({ "plain css" }, { ask("br", "/only.css") })
    get("/lone.js", { ["Accept-Encoding"] = "gzip" }):expect(404)
    get("/app.js.gz"):expect {
      text = "gzip js", headers = { ["Content-Type"] = "application/gzip" },
    }
  end)

  it("has another tag for each coding, and 304 says what it depends on", function()
    serve [[server:static("/", root, { precompressed = true })]]
    local plain = get("/app.js").headers["etag"]
    local coded = get("/app.js", { ["Accept-Encoding"] = "gzip" }).headers["etag"]
    assert.are_not.equal(plain, coded)
    get("/app.js", { ["Accept-Encoding"] = "gzip", ["If-None-Match"] = coded }):expect {
      status = 304, headers = { Vary = "Accept-Encoding" },
    }
    get("/app.js", { ["Accept-Encoding"] = "gzip", ["If-None-Match"] = plain }):expect(200)
    get("/app.js", { ["Accept-Encoding"] = "gzip", Range = "bytes=0-3" }):expect {
      status = 206, text = "gzip", headers = { ["Content-Encoding"] = "gzip" },
    }
  end)

  it("is coded only where the script says so", function()
    serve [[server:static("/", root)]]
    local answer = get("/app.js", { ["Accept-Encoding"] = "br" })
    assert.equal("plain js", answer:text())
    assert.is_nil(answer.headers["vary"])
  end)

  it("is found anew by each request", function()
    serve [[server:static("/", root)]]
    os.remove(root .. "/app.js")
    get("/app.js"):expect(404)
    local file = assert(io.open(root .. "/app.js", "w"))
    file:write("new")
    file:close()
    get("/app.js"):expect { status = 200, text = "new" }
  end)

  it("is beside the script when its path is relative", function()
    local folder = support.tree {
      ["site/public/a.txt"] = "beside",
      ["site/site.lua"] = [[require("lunesse").server():static("/", "public")]],
    }
    app = apps.load(folder .. "/site/site.lua")
    get("/a.txt"):expect { status = 200, text = "beside" }
  end)

  it("is checked when the script loads", function()
    for text, message in pairs {
      [ [[server:static("assets", root)]] ] = "a prefix begins with a slash",
      [ [[server:static("/a", 7)]] ] = "static takes the path of a folder, got number",
      [ [[server:static("/a", root, { cash = 1 })]] ] =
        "unknown option 'cash'; there are cache, fallback, index, precompressed",
      [ [[server:static("/a", root, { cache = "1" })]] ] = "cache is whole seconds, 0 to 1e9",
      [ [[server:static("/a", root) server:static("/a", root)]] ] = "already declared",
      [ [[server:get("/", function() server:static("/a", root) end)]] ] = false,
    } do
      local root_text = support.tree {}
      local ok, why = pcall(apps.load, { ["script.lua"] = SCRIPT:format(root_text, text) })
      if message then
        assert.is_false(ok)
        assert.truthy(tostring(why):find(message, 1, true), why)
      else
        assert.is_true(ok, why)
      end
    end
  end)
end)
