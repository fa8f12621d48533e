-- A listener that was added after the end needs a task, which was made on the main stack: with the
-- state at its memory limit, that ended the server.

local support = require "spec.sse.support"

local start, get = support.start, support.get

describe("a state at its memory limit", function()
  it("still makes the tasks that the engine needs", function()
    local server = start([[
local kept
server:get("/keep", function(_, response) kept = response response:send("x") end)
server:get("/", function(_, response)
  local function none() end
  local held, size = {}, 65536
  local function fill() held[#held + 1] = ("x"):rep(size) .. #held end
  while size >= 16 do
    size = pcall(fill) and size or size // 2
  end
  for i = 1, 200 do
    pcall(kept.on, kept, "close", none)
  end
  held = nil
  collectgarbage()
  response:send("alive")
end)
]], { workers = 1, args = { "--limit", "lua_bytes=3000000" } })
    assert.equal("x", get(server, "/keep"))
    assert.equal("alive", get(server, "/"))
  end)
end)
