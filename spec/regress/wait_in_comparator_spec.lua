-- A coroutine of the script that was resumed from a comparator of table.sort could wait although
-- what resumed it could not: the task counted as parked while it went on running.

local support = require "spec.sse.support"

local start, get = support.start, support.get

describe("a wait that Lua could not come back from", function()
  it("is refused inside a coroutine as well, and the next wait works", function()
    local server = start [[
server:get("/", function(_, response)
  local ok, message = pcall(table.sort, { 1, 2, 3 }, function()
    coroutine.wrap(function() lunesse.sleep(0.01) end)()
  end)
  lunesse.sleep(0.01)
  local yielded = {}
  for i in coroutine.wrap(function() coroutine.yield(1) coroutine.yield(2) end) do
    yielded[#yielded + 1] = i
  end
  response:send(("%s %s %d"):format(ok, message:match("sleep can only wait"), #yielded))
end)
]]
    assert.equal("false sleep can only wait 2", get(server, "/"))
  end)
end)
