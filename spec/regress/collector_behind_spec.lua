-- A table grows without a look at the collector, so a handler that fills one makes much garbage at
-- once; the collector then catches up with one long step, which runs finalizers and may move the
-- stack of the handler. The strict Lua of cmake/strict-lua.sh ended there: its own switch for hard
-- tests set the top of the stack from a pointer into the stack of before. Scripts whose finalizers
-- allocate met it by chance (script/reentry_spec), this one meets it in each run.

local support = require "spec.sse.support"

local start, get = support.start, support.get

describe("a handler whose collector is behind", function()
  it("goes on with its values when the collector catches up in the middle of it", function()
    local server = start [[
local function grow(list)
  for i = 1, 100000 do list[i] = i end
  return function() return #list end
end
local function deep(count, ...)
  if count == 0 then return (grow {}) end
  local fn = deep(count - 1, count, ...)
  return fn
end
server:get("/", function(_, response)
  setmetatable({}, { __gc = function() deep(3) end })
  local sum = 0
  for _ = 1, 20 do sum = sum + deep(5)() end
  response:send(tostring(sum))
end)
]]
    assert.equal("2000000", get(server, "/"))
  end)
end)
