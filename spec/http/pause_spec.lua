-- A pause of the server (a stopped process, a suspended machine, a turn that takes long) is not a
-- peer's silence: what came meanwhile waits in the kernel, and is read before anybody is timed out.

local Server = require "spec.support.server"
local clock = require "spec.support.clock"
local wire = require "spec.support.wire"

local SCRIPT = [[
local lunesse = require "lunesse"
local server = lunesse.server()
server:get("/", function(_, response) response:send("plain") end)
server:post("/", function(request, response) response:send(request:text()) end)
]]

local TIMEOUT = clock.slow
local BODY = ("a"):rep(512 * 1024) -- several reads
local PEERS = 300 -- more than are looked at in one go

local function limits()
  local args = {}
  for _, name in ipairs { "head_timeout", "body_timeout", "idle_timeout" } do
    args[#args + 1] = "--limit"
    args[#args + 1] = ("%s=%g"):format(name, TIMEOUT)
  end
  return args
end

---What a peer says before and during the pause, and the body of the answer that it then gets.
local KINDS = {
  { "GET / HTTP/1.1\r\nHost:", " localhost\r\n\r\n", "plain" },
  { "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab", "cd", "abcd" },
  { nil, wire.request { target = "/" }, "plain" },
}

---So many peers, of each kind in turn, of whom the server has heard the first half.
local function connect(server)
  local clients = {}
  for i = 1, PEERS do
    clients[i] = server:connect()
    local first = KINDS[i % #KINDS + 1][1]
    clients[i]:send(first or wire.request { target = "/" })
    if not first then
      assert.equal("plain", clients[i]:response().body)
    end
  end
  -- What was sent before has been read when this is answered.
  assert.equal("plain", server:request({ target = "/" }).body)
  return clients
end

local function pause(server, seconds, during)
  server.process:signal "STOP"
  during()
  local deadline = clock.now() + seconds
  while clock.now() < deadline do
    clock.pause()
  end
  server.process:signal "CONT"
end

describe("a pause of the server", function()
  it("times out nobody whose bytes came meanwhile", function()
    local server = Server.start(SCRIPT, { workers = 1, args = limits() })
    local clients = connect(server)
    pause(server, 1.5 * TIMEOUT, function()
      for i, client in ipairs(clients) do
        client:send(KINDS[i % #KINDS + 1][2])
      end
    end)
    for i, client in ipairs(clients) do
      local response = client:response()
      assert.same({ 200, KINDS[i % #KINDS + 1][3] }, { response.status, response.body })
      client:close()
    end
  end)

  it("does not count as slowness of a body that waits in the kernel", function()
    local args = limits()
    args[#args + 1] = "--limit"
    args[#args + 1] = "body_rate=10000000" -- one read earns less than the pause has taken
    local server = Server.start(SCRIPT, { workers = 1, args = args })
    local client = server:connect()
    client:send(("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\na"):format(#BODY))
    server:request { target = "/" }
    pause(server, 1.5 * TIMEOUT, function()
      client:send(BODY:sub(2))
    end)
    local response = client:response()
    assert.same({ 200, #BODY }, { response.status, #response.body })
    client:close()
  end)

  it("times out who has said nothing", function()
    local server = Server.start(SCRIPT, { workers = 1, args = limits() })
    local client = server:connect()
    client:send(KINDS[1][1])
    server:request { target = "/" }
    pause(server, 1.5 * TIMEOUT, function() end)
    assert.equal(408, client:response().status)
    client:close()
  end)
end)
