-- A finalizer that ran while the Lua state was being closed, and asked a finished response for its
-- end or made a timer, left a task queued in memory that was then freed. One that made a channel or
-- a store left it held: Lua calls no finalizer of what a finalizer makes then.

local support = require "spec.sse.support"

local start, get = support.start, support.get

describe("a finalizer that runs when the server ends", function()
  it("may touch responses and timers; nothing that it starts is left", function()
    local server = start [[
local kept, keeper
server:get("/", function(_, response)
  kept = response
  keeper = setmetatable({}, { __gc = function()
    pcall(lunesse.after, 0, function() end)
    pcall(lunesse.every, 1, function() end)
    pcall(lunesse.channel, "made at the end")
    pcall(lunesse.shared, "made at the end")
    kept:on("close", function() end)
  end })
  response:send(tostring(keeper ~= nil))
end)
]]
    assert.equal("true", get(server, "/"))
    server:stop()
  end)
end)
