-- A record with a text of more than 170 KiB was lost, and the log blamed its reader. Text that is
-- not ASCII came out as Latin-1.

local support = require "spec.sse.support"

describe("the log", function()
  it("shows the beginning of a long text, and UTF-8 as it is", function()
    local server = support.start [[
server:get("/", function(_, response)
  lunesse.log.info("grüße", { long = ("y"):rep(300000), bad = "é\255" })
  response:send("x")
end)
]]
    server:request { target = "/" }
    -- What is logged in a turn is written after its answers.
    local log = eventually(function()
      local text = server:log()
      return text:find("target=/ ", 1, true) and text
    end)
    assert.truthy(log:find('"grüße" bad="é\\u00ff" long=' .. ("y"):rep(1000), 1, true)
      or log:find('grüße bad="é\\u00ff" long=' .. ("y"):rep(1000), 1, true))
    assert.falsy(log:find("lost", 1, true))
  end)
end)
