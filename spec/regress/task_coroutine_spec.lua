-- A script that kept `coroutine.running()` could start, or wipe, a later task for which the same
-- coroutine was used again, before the task had its turn.

local support = require "spec.sse.support"

local start, get = support.start, support.get

describe("the coroutine of a task", function()
  it("is started by nobody else and closed by nobody else", function()
    local server = start [[
local kept = {}
for i = 1, 4 do
  lunesse.after(0, function()
    kept[#kept + 1] = coroutine.running()
    lunesse.sleep(0.005)
  end)
end
server:get("/", function(_, response)
  local ran, stolen = 0, 0
  for i = 1, 4 do
    lunesse.after(0, function()
      ran = ran + 1
      for _, thread in ipairs(kept) do
        if thread ~= coroutine.running() and coroutine.status(thread) == "suspended" then
          stolen = stolen + (pcall(coroutine.resume, thread) and 1 or 0)
          stolen = stolen + (pcall(coroutine.close, thread) and 1 or 0)
        end
      end
    end)
  end
  lunesse.sleep(0.02)
  response:send(("%d kept, %d ran, %d stolen"):format(#kept, ran, stolen))
end)
]]
    eventually(function() return get(server, "/") == "4 kept, 4 ran, 0 stolen" end)
  end)
end)
