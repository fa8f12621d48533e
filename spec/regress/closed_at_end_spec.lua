-- A worker that ended freed its channels by their names. One that another worker had closed had no
-- name any more, and where that was seen after the worker's last turn, nothing else freed it: the
-- program aborted.

local hub = require "spec.hub.support"

describe("a worker that ends", function()
  it("frees a channel that nobody holds there, and that another worker closes meanwhile", function()
    local server = hub.start([[
local flags, other = lunesse.shared("flags"), lunesse.channel("other")
local room = lunesse.worker == 3 and lunesse.channel("room")
local function await(flag) repeat until flags:get(flag) end
env.kept.guard = setmetatable({}, { __gc = function()
  if lunesse.worker == 2 then
    flags:set("had its last turn", true)
    await "is closed"
    mark("looked", (other:publish("x"):gsub(".*-", "")))
  elseif lunesse.worker == 3 then
    await "had its last turn"
    mark("closed", tostring(room:close()))
    flags:set("is closed", true)
  end
end })
]], { workers = 3 })
    local second = hub.connect(server, 2)
    assert.equal("1", hub.run(second, [[
      local id = channel("room"):publish("keeps the channel")
      collectgarbage()
      return (id:gsub(".*-", ""))]]))
    second:close()
    server:stop()
    local marks = hub.marks(server)
    table.sort(marks)
    assert.same({ "closed true", "looked 1" }, marks)
  end)
end)
