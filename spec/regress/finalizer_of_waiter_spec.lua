-- What a task gets that waited was made in its coroutine, which has yielded. Making a string may
-- collect garbage, and a finalizer that calls `pcall` ran in that coroutine then: Lua forbids that,
-- and a strict Lua ends the process.

local apps = require "spec.support.app"

describe("a finalizer that calls", function()
  it("runs while a task that waited is told that its time is up", function()
    local app = apps.start [[
local signal = lunesse.signal()
local is_over = false
local function drop() -- there is garbage with a finalizer whenever it is collected
  setmetatable({}, { __gc = function()
    pcall(error, "x")
    if not is_over then drop() end
  end })
end
server:get("/", function(_, response)
  local count = 0
  drop()
  for _ = 1, 20 do
    local value, _, code = signal:wait(0.001)
    count = count + (value == nil and code == "ETIMEDOUT" and 1 or 0)
  end
  is_over = true
  response:send(tostring(count))
end)
]]
    assert.equal("20", apps.get(app, "/"))
  end)
end)
