-- `test.stop`: what an `after_each` calls whether or not its test has loaded an app.

local test = require "lunesse.test"

local SCRIPT = [[
require "lunesse".server():get("/", function(_, response) response:send "hello" end)
]]

describe("test.stop", function()
  it("has nothing to say where a load has failed", function()
    assert.has_error(function()
      test.load { ["a.lua"] = "local x = = 1" }
    end)
    test.stop()
  end)

  it("stops each app that runs, also behind one that raises, and raises that", function()
    local apps = {}
    for i = 1, 3 do
      apps[i] = test.load { ["a.lua"] = SCRIPT }
    end
    apps[1]:stop()
    apps[2].stop = function(app)
      app.stop = nil
      app:stop()
      error("something was left behind", 0)
    end
    assert.error_matches(test.stop, "^something was left behind$")
    for _, app in ipairs(apps) do
      assert.error_matches(function()
        app:get("/")
      end, "the app has been stopped")
    end
    test.stop()
  end)
end)
