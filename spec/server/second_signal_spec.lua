-- The second signal ends the program at once, also while a worker is inside something that nobody
-- can stop: a long call of a C function, a blocking one, a finalizer.

local Server = require "spec.support.server"
local support = require "spec.sse.support"
local wire = require "spec.support.wire"
local clock = require "spec.support.clock"

local ROUTES = [[
local function search() return (("a"):rep(400)):find((".-"):rep(9) .. "b") end -- takes years
server:get("/pattern", function(_, response)
  lunesse.log.warn("stuck") -- which is written at once, and not at the turn's end
  response:send(tostring(search()))
end)
server:get("/child", function()
  lunesse.log.warn("stuck")
  os.execute("exec sleep 10")
end)
server:get("/finalizer", function(_, response)
  KEPT = setmetatable({}, { __gc = function()
    lunesse.log.warn("stuck")
    search()
  end })
  response:send("it runs when the server ends")
end)
]]

local function start(workers)
  return support.start(ROUTES, { workers = workers })
end

local function is_stuck(server)
  return #server:log_lines(" warn stuck") > 0
end

---The second signal is sent, and how the program ended.
local function second(server, name)
  local began = clock.now()
  server.process:signal(name)
  local _, why = server.process:wait(5)
  assert.is_true(clock.now() - began < 1 * clock.slow, "it took too long")
  server:kill()
  return why
end

describe("a second signal", function()
  for _, workers in ipairs { 1, 3 } do
    for _, target in ipairs { "/pattern", "/child" } do
      it(("ends %d workers of whom one is stuck in %s"):format(workers, target), function()
        if Server.holds_signals_back() then
          return pending("ThreadSanitizer holds signals back from a thread that is stuck")
        end
        local server = start(workers)
        local client = server:connect()
        client:send(wire.request { target = target })
        eventually(function() return is_stuck(server) end)
        server.process:signal "TERM"
        assert.same({ nil, "timeout" }, { server.process:wait(0.1) })
        assert.equal("signal 15", second(server, "TERM"))
        client:close()
      end)
    end

    it(("ends %d workers of whom one is stuck in a finalizer"):format(workers), function()
      if Server.holds_signals_back() then
        return pending("ThreadSanitizer holds signals back from a thread that is stuck")
      end
      local server = start(workers)
      server:request { target = "/finalizer" }
      server.process:signal "INT"
      eventually(function() return is_stuck(server) end)
      assert.equal("signal 15", second(server, "INT"))
    end)
  end

  it("ends in order what can end so, with 0", function()
    local server = start(3)
    local stream = server:connect()
    stream:send("GET / HTTP/1.1\r\nHost:")
    server.process:signal "TERM"
    eventually(function() return #server:log_lines("info stopping") == 1 end)
    assert.equal("exit 0", second(server, "TERM"))
    stream:close()
  end)
end)
