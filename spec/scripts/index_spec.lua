-- scripts/index.lua, in the test kit. Its page in a browser is in index_page_spec.lua.

local test = require "lunesse.test"

local function read(name)
  local file <close> = assert(io.open("scripts/" .. name, "rb"))
  return file:read("a")
end

local PAGE = read "index.html"

describe("the page", function()
  it("is the file beside the script, as it stands", function()
    local app = test.load("scripts/index.lua")
    app:get("/"):expect {
      status = 200, text = PAGE, headers = {
        ["Content-Type"] = "text/html; charset=utf-8", ["Cache-Control"] = "no-cache",
        ["Content-Security-Policy"] = "default-src 'none'; connect-src 'self'; img-src data:; " ..
          "style-src 'unsafe-inline'; script-src 'unsafe-inline'",
      },
    }
    app:stop()
  end)
end)

describe("/source", function()
  it("has the scripts that are shown, as they stand, and no other file", function()
    local app = test.load("scripts/index.lua")
    for name in PAGE:gmatch('href="/source/([^"]+)"') do
      app:get("/source/" .. name):expect {
        status = 200, text = read(name),
        headers = { ["Content-Type"] = "text/plain; charset=utf-8", ["Cache-Control"] = "no-cache",
          ["X-Content-Type-Options"] = "nosniff" },
      }
    end
    app:get("/source/other.lua"):expect { status = 404, text = "there is no such script here\n" }
    for _, name in ipairs { "other.lua", "index.html", "..%2fREADME.md", "%2e%2e", "clock", "" } do
      assert.not_equal(200, app:get("/source/" .. name).status)
    end
    app:stop()
  end)
end)
