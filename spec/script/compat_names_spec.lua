-- The names of hosts in lunesse.compat.socket: they are looked up while the task waits.

local Process = require "spec.support.process"
local Server = require "spec.support.server"
local upstream = require "spec.upstream.support"

local SCRIPT = [[
local lunesse = require "lunesse"
local socket = require "lunesse.compat.socket"
local server = lunesse.server()
server:get("/hello", function(_, response) response:send("hello") end)
server:get("/connect", { on_leave = "cancel" }, function(request, response)
  local peer <close> = socket.tcp()
  peer:settimeout(tonumber(request.query.seconds))
  local ok, why = peer:connect(request.query.host, tonumber(request.query.port))
  response:send(ok and peer:getpeername() or why)
end)
]]

local function start_or_skip(wrap, options)
  if not wrap or Process.run { "unshare", "-m", "true" } ~= 0 then
    pending("it takes root, and port 53 of a network of its own")
  end
  options = options or {}
  options.wrap = wrap
  return Server.start(SCRIPT, options)
end

local function begin(server, query)
  local client = server:connect()
  client:send(("GET /connect?%s HTTP/1.1\r\nHost: localhost\r\n\r\n"):format(query))
  return client
end

describe("a name that lunesse.compat.socket connects to", function()
  local deaf, wrap
  before_each(function() deaf, wrap = upstream.deaf_names() end)
  after_each(function()
    Server.stop_all()
    upstream.close_all()
    if deaf then
      deaf:close()
    end
  end)

  local function await_question()
    deaf:settimeout(5)
    assert.truthy(deaf:receive())
  end

  it("holds up nobody else, nor a reader who leaves, while it is looked up", function()
    local server = start_or_skip(wrap)
    local client = begin(server, "host=a.example.com&port=80")
    await_question()
    assert.equal("hello", server:request({ target = "/hello" }).body)
    assert.is_true(client:is_silent())
    client:reset()
    assert.equal("hello", server:request({ target = "/hello" }).body)
  end)

  it("is given up when the time is up, by the server's clock", function()
    local server = start_or_skip(wrap, { clock = true, workers = 1 })
    local client = begin(server, "seconds=5&host=a.example.com&port=80")
    await_question()
    server:advance(5)
    assert.equal("timeout", client:response().body)
  end)

  it("is tried at its next address when the first refuses", function()
    local peer = upstream.listen { host = "127.0.0.2" }
    local folder = Server.write { hosts = "127.0.0.2 two.test\n127.0.0.1 two.test\n" }
    local server = start_or_skip { "unshare", "-m", "sh", "-c",
      ("mount --bind %s/hosts /etc/hosts; exec \"$@\""):format(folder), "sh" }
    local client = begin(server, "host=two.test&port=" .. peer.port)
    assert.equal("127.0.0.2", client:response().body)
    assert.truthy(peer:accept())
  end)
end)
