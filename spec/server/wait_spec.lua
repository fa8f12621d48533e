-- A turn of a worker's loop waits once, for sockets, timers and other threads together. A wait is a
-- system call, and a plain request has but two others: one that reads and one that writes.

local support = require "spec.sse.support"
local strace = require "spec.support.strace"
local wire = require "spec.support.wire"

local ROUNDS = 100
local OTHERS = 10 -- waits that the spec is not about: a timer, another thread

local SCRIPT = [[
server:get("/", function(_, response) response:send("moon") end)
server:get("/last", function(_, response) response:send("that was all") end)
]]

local function ask(client, target)
  client:send(wire.request { target = target })
  return client:response().body
end

---How many waits there are while `work` runs.
local function count_waits(server, work)
  local traced = strace.during(server, "epoll_wait,epoll_pwait,epoll_pwait2,sendto,sendmsg",
    "that was all", function()
      work()
      server:request { target = "/last" }
    end)
  return traced and select(2, traced:gsub("%f[%w]epoll_p?wait2?%(", ""))
end

local function at_most(limit, count)
  if not count then
    return pending("strace is not there, or may not attach")
  end
  assert.is_true(count <= limit + OTHERS, count .. " waits")
  assert.is_true(count >= limit / 2, count .. " waits: not all were seen")
end

describe("a turn waits once:", function()
  it("a request on an open connection is one wait", function()
    local server = support.start(SCRIPT, { workers = 1 })
    local client = server:connect()
    assert.equal("moon", ask(client, "/"))
    at_most(ROUNDS, count_waits(server, function()
      for _ = 1, ROUNDS do
        assert.equal("moon", ask(client, "/"))
      end
    end))
    client:close()
  end)

  it("a connection with a request is one wait, and its end another", function()
    local server = support.start(SCRIPT, { workers = 1 })
    at_most(2 * ROUNDS, count_waits(server, function()
      for _ = 1, ROUNDS do
        local client = server:connect()
        assert.equal("moon", ask(client, "/"))
        client:close()
      end
    end))
  end)
end)
