-- `channel:read { wait = 0.2 }` behind a computation of 0.3 s returned at once. Its time was
-- counted from the beginning of the turn, at which the loop had looked at the clock last, and was
-- over before the task began to wait. Every other wait is counted by the clock.

local support = require "spec.sse.support"

describe("channel:read behind a long computation", function()
  it("waits as long as it was told to", function()
    local server = support.start [[
server:get("/", function(_, response)
  local room = lunesse.channel "room"
  local began = lunesse.clock()
  while lunesse.clock() - began < 0.3 do end
  local waits = lunesse.clock()
  room:read { wait = 0.2 }
  response:send(tostring(lunesse.clock() - waits >= 0.199))
end)
]]
    assert.equal("true", support.get(server, "/"))
  end)
end)
