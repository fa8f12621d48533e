-- A finalizer that ran while listeners were being called, and took one away with `off`, shortened
-- the list that was being walked: one listener was called hundreds of times, and others never.

local support = require "spec.sse.support"

-- Each finalizer makes the next, and the usual Lua is told to collect all the time. A strict Lua
-- does so by itself; a step that is due beside its own makes it use a stack that it has moved.
local IS_STRICT = (os.getenv("LD_LIBRARY_PATH") or ""):find("strict", 1, true) ~= nil

local SCRIPT = [[
local kept
local function listener() calls = (calls or 0) + 1 end
local function nothing() end
local function again()
  setmetatable({}, { __gc = function()
    if kept then
      kept:off("drain", nothing)
      kept:on("drain", nothing)
      kept:off("close", nothing)
      kept:once("close", nothing)
      again()
    end
  end })
end
server:get("/", function(_, response)
  if not IS_STRICT then
    collectgarbage("setpause", 1)
    collectgarbage("setstepmul", 1000)
  end
  kept = response
  for _ = 1, 200 do
    response:on("close", nothing)
    response:on("close", listener)
    response:once("close", listener)
  end
  again()
  response:send("sent")
end)
server:get("/calls", function(_, response) kept = nil response:send(tostring(calls)) end)
]]

describe("a finalizer that takes listeners away while they are called", function()
  it("changes nothing for the others: each is called as often as it was asked", function()
    local script = ("local IS_STRICT = %s\n"):format(IS_STRICT) .. SCRIPT
    local server = support.start(script, { workers = 1 })
    assert.equal("sent", support.get(server, "/"))
    eventually(function()
      return support.get(server, "/calls") == "400"
    end)
  end)
end)
