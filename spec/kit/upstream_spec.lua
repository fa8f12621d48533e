-- Requests of an app to other servers: a spec reaches no network.

local test = require "lunesse.test"

describe("lunesse.http in an app", function()
  after_each(test.stop)

  it("reaches no network, and says so", function()
    local app = test.load { ["script.lua"] = [[
      local lunesse = require "lunesse"
      lunesse.server():get("/", function(_, response)
        local page, why, code = lunesse.http.get("http://127.0.0.1:3000/")
        response:send(tostring(page) .. " " .. why .. " " .. code)
      end)
    ]] }
    assert.equal("nil 127.0.0.1:3000: a spec reaches no network, and no app:upstream stands in " ..
      "for this host ENOTFOUND", app:get("/"):text())
  end)
end)
