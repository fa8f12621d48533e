-- lunesse.compat.socket: LuaSocket's connections, for which only the calling task waits. The other
-- side is played by the spec, and for TLS by `openssl s_server`.

local apps = require "spec.support.app"
local clock = require "spec.support.clock"
local upstream = require "spec.upstream.support"
local Process = require "spec.support.process"
local Server = require "spec.support.server"

local SCRIPT = [[
local lunesse = require "lunesse"
local socket = require "lunesse.compat.socket"
local server = lunesse.server()
local function told(...)
  local list = table.pack(...)
  for i = 1, list.n do list[i] = tostring(list[i]) end
  return table.concat(list, "|")
end
local function connect(request)
  local peer = assert(socket.connect("127.0.0.1", tonumber(request.query.port)))
  if request.query.seconds then peer:settimeout(tonumber(request.query.seconds)) end
  return peer
end
server:get("/hello", function(_, response) response:send("hello") end)
server:get("/receive", { on_leave = "cancel" }, function(request, response)
  local pattern = request.query.pattern
  local peer <close> = connect(request)
  peer:send("?") -- and then it waits
  local answer = told(peer:receive(tonumber(pattern) or pattern, request.query.prefix))
  response:send(answer .. "|" .. told(peer:receive(1)))
end)
]]

local function start(text, options)
  return Server.start(SCRIPT .. (text or ""), options)
end

-- Has what the server sends come as far as `size` bytes.
local function await_bytes(conn, size)
  clock.eventually(function()
    conn:_fill()
    return #conn.buffer >= size
  end)
end

-- Begins to receive, and returns the client of the server and the connection to the peer.
local function begin(server, peer, query)
  local client = server:connect()
  client:send(("GET /receive?port=%d&%s HTTP/1.1\r\nHost: localhost\r\n\r\n"):format(
    peer.port, query))
  local conn = peer:accept()
  await_bytes(conn, 1)
  return client, conn
end

local function get(server, target)
  return server:request { target = target }.body
end

describe("lunesse.compat.socket", function()
  local peer
  before_each(function() peer = upstream.listen() end)
  after_each(function()
    Server.stop_all()
    upstream.close_all()
  end)

  it("receives a line that comes in pieces, without its end, while others are served", function()
    local server = start()
    local client, conn = begin(server, peer, "pattern=*l")
    for _, piece in ipairs { "full ", "mo", "on\r" } do
      conn:send(piece)
      assert.equal("hello", get(server, "/hello"))
    end
    conn:send("\nx")
    assert.equal("full moon|x", client:response().body)
  end)

  it("receives a number of bytes, of which the prefix is a part", function()
    local client, conn = begin(start(), peer, "pattern=6&prefix=ab")
    conn:send("cd")
    assert.is_true(client:is_silent())
    conn:send("efg")
    assert.equal("abcdef|g", client:response().body)
  end)

  it("receives all until the end, as one text of a mebibyte", function()
    local server = start [[
      server:get("/all", function(request, response)
        local text, why = connect(request):receive("*a", "<")
        response:send(told(#text, text:sub(1, 2), why))
      end)
    ]]
    local client = server:connect()
    client:send(("GET /all?port=%d HTTP/1.1\r\nHost: localhost\r\n\r\n"):format(peer.port))
    local conn = peer:accept()
    for _ = 1, 16 do
      conn:send(("x"):rep(65536))
    end
    conn:close()
    assert.equal("1048577|<x|nil", client:response().body)
  end)

  it("says closed, with the part that came", function()
    local server = start()
    local client, conn = begin(server, peer, "pattern=*l")
    conn:send("half")
    conn:close()
    assert.equal("nil|closed|half|nil|closed|", client:response().body)
    client, conn = begin(server, peer, "pattern=*a&prefix=y")
    conn:close()
    assert.equal("nil|closed|y|nil|closed|", client:response().body)
  end)

  it("says timeout by the server's clock, with the part that came, and can go on", function()
    local server = start(nil, { clock = true, workers = 1 })
    local client, conn = begin(server, peer, "pattern=*l&seconds=60")
    conn:send("half")
    server:advance(59)
    assert.is_true(client:is_silent())
    server:advance(1)
    conn:send("!")
    assert.equal("nil|timeout|half|!", client:response().body)
  end)

  it("does not wait with a timeout of 0", function()
    local client = begin(start(), peer, "pattern=*l&seconds=0")
    assert.equal("nil|timeout||nil|timeout|", client:response().body)
  end)

  it("sends what the peer takes, and says how much that was when the time is up", function()
    local server = start([[
      server:get("/send", function(request, response)
        local peer = connect(request)
        local text = ("0123456789abcdef"):rep(1024 * 1024)
        local sent, why, part = peer:send(text)
        local rest = sent or peer:settimeout(nil) and peer:send(text, part + 1)
        response:send(told(sent, why, part and part > 0 and part < #text, rest))
        peer:close()
      end)
    ]], { clock = true, workers = 1 })
    local client = server:connect()
    client:send(("GET /send?seconds=5&port=%d HTTP/1.1\r\nHost: localhost\r\n\r\n")
      :format(peer.port))
    local conn = peer:accept()
    await_bytes(conn, 1)
    assert.equal("hello", get(server, "/hello"))
    server:advance(5)
    local size = 0
    clock.eventually(function()
      conn:_fill()
      size, conn.buffer = size + #conn.buffer, ""
      return conn.is_closed
    end)
    assert.equal("nil|timeout|true|16777216", client:response().body)
    assert.equal(16777216, size)
  end)

  it("says why it cannot connect, in LuaSocket's words", function()
    local server = start [[
      server:get("/connect", function(request, response)
        local query = request.query
        local peer = socket[query.how or "tcp"]()
        response:send(told(peer:connect(query.host, tonumber(query.port))))
      end)
    ]]
    local port = upstream.closed_port()
    local function says(query)
      return get(server, "/connect?" .. query)
    end
    assert.equal("nil|connection refused", says("host=127.0.0.1&port=" .. port))
    assert.equal("nil|connection refused", says("how=tcp4&host=localhost&port=" .. port))
    assert.equal("1|nil", says("host=localhost&port=" .. peer.port))
    assert.equal("nil|host or service not provided, or not known",
      says("how=tcp6&host=127.0.0.1&port=" .. peer.port))
    assert.is_true(({
      ["nil|host or service not provided, or not known"] = true,
      ["nil|temporary failure in name resolution"] = true,
    })[says("host=does-not-exist.invalid&port=1")])
    assert.equal("nil|No such file or directory", says("how=unix&host=/does/not/exist"))
  end)

  it("gives up a connection that is not answered when the time is up", function()
    local silent = upstream.listen { backlog = 0 }
    local server = start([[
      server:get("/late", function(request, response)
        local peer = socket.tcp()
        peer:settimeout(5)
        response:send(told(peer:connect("127.0.0.1", tonumber(request.query.port))))
      end)
    ]], { clock = true, workers = 1 })
    local filler = require("socket").tcp()
    assert(filler:connect("127.0.0.1", silent.port)) -- the queue is full with one
    local client = server:connect()
    client:send(("GET /late?port=%d HTTP/1.1\r\nHost: localhost\r\n\r\n"):format(silent.port))
    assert.equal("hello", get(server, "/hello"))
    clock.eventually(function()
      server:advance(5) -- the first time may be before it began
      return not client:is_silent()
    end)
    assert.equal("nil|timeout", client:response().body)
    filler:close()
  end)

  it("hands on the options and addresses of LuaSocket", function()
    local server = start [[
      server:get("/options", function(request, response)
        local peer = connect(request)
        response:send(told(peer:setoption("keepalive", true) == 1, peer:getoption("keepalive"),
          peer:setoption("tcp-nodelay", true) == 1, peer:getoption("tcp-nodelay"),
          peer:getpeername(), peer:getfd() > 2, tostring(peer):match("^tcp{client}")))
      end)
    ]]
    assert.equal("true|true|true|true|127.0.0.1|true|tcp{client}",
      get(server, "/options?port=" .. peer.port))
  end)

  it("closes the connection of a task that is cancelled while it waits", function()
    local server = start([[
      local peer
      server:get("/begin", function(request, response)
        peer = connect(request)
        local task = lunesse.spawn(function() peer:receive("*l") end)
        lunesse.sleep(0)
        task:cancel()
        response:send(told(task:wait()))
      end)
      server:get("/after", function(_, response) response:send(told(peer:receive("*l"))) end)
    ]], { workers = 1 })
    assert.matches("cancelled", get(server, "/begin?port=" .. peer.port))
    peer:accept():await_close()
    assert.equal("nil|closed|", get(server, "/after"))
  end)

  it("ends with the reader for whom it waits", function()
    local client, conn = begin(start(), peer, "pattern=*l")
    client:close()
    conn:await_close()
  end)

  it("ends the wait of another task when it is closed", function()
    local server = start([[
      server:get("/close", function(request, response)
        local peer = connect(request)
        local task = lunesse.spawn(function() return told(peer:receive("*l")) end)
        lunesse.sleep(0)
        peer:close()
        response:send(told(task:wait()))
      end)
    ]])
    assert.equal("true|nil|closed|", get(server, "/close?port=" .. peer.port))
  end)

  it("raises for mistakes at the script's line, and for what is not its business", function()
    local server = start [[
      server:get("/mistakes", function(request, response)
        local peer = connect(request)
        local calls = {
          function() peer:receive("*x") end, function() peer:settimeout("5") end,
          function() peer:connect() end, function() peer:listen() end,
          function() socket.wrap({}, {}) end,
          function() table.sort({ 1, 2 }, function() return peer:receive(1) end) end,
        }
        local lines = {}
        for n, call in ipairs(calls) do
          lines[n] = select(2, pcall(call)):gsub("^[^:]*/", "")
        end
        response:send(table.concat(lines, "\n"))
      end)
    ]]
    local said = get(server, "/mistakes?port=" .. peer.port)
    for _, words in ipairs {
      "script.lua:%d+: receive takes '%*l', '%*a' or a number of bytes\n",
      "script.lua:%d+: settimeout takes seconds or nil\n",
      "script.lua:%d+: connect takes a host and a port, or the path of a Unix socket\n",
      "script.lua:%d+: lunesse.compat.socket connects to others; ",
      "script.lua:%d+: wrap takes a connection of lunesse.compat.socket\n",
      "script.lua:%d+: lunesse.wait can only wait .* not inside the C function 'table.sort'",
    } do
      assert.matches(words, said)
    end
  end)

  it("carries LuaSocket's own socket.http, unmodified, while others are served", function()
    local server = start [[
      package.loaded["socket"] = socket
      local http = require "socket.http"
      server:get("/page", { on_leave = "cancel" }, function(request, response)
        response:send(told(http.request(("http://127.0.0.1:%s/"):format(request.query.port))))
      end)
    ]]
    local client = server:connect()
    client:send(("GET /page?port=%d HTTP/1.1\r\nHost: localhost\r\n\r\n"):format(peer.port))
    local conn = peer:accept()
    conn:request()
    assert.equal("hello", get(server, "/hello"))
    conn:answer("moon", "Connection: close\r\n")
    assert.matches("^moon|200|", client:response().body)
  end)

  it("sleeps in the time of a spec, which reaches no network", function()
    if apps.is_watched() then
      return -- a process is asked in place of the kit, and reaches the network
    end
    local app = apps.start([[
      local socket = require "lunesse.compat.socket"
      lunesse.spawn(function()
        local began = socket.gettime()
        socket.sleep(5)
        mark(math.floor(socket.gettime() - began))
        mark(select(2, socket.connect("127.0.0.1", 1)))
        mark(select(2, socket.unix():connect("/x")))
      end)
      server:get("/", function() end)
    ]], { workers = 1 })
    app:advance(4)
    assert.same({}, apps.marks(app))
    app:advance(1)
    local why = "a spec waits for no descriptor: give the script a stand-in"
    assert.same({ "5", why, why }, apps.marks(app))
  end)
end)

describe("lunesse.compat.socket.wrap", function()
  local openssl, port, cert

  before_each(function()
    local folder = Server.write {}
    local key = folder .. "/key.pem"
    cert = folder .. "/cert.pem"
    assert.equal(0, (Process.run { "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
      "-keyout", key, "-out", cert, "-subj", "/CN=localhost", "-days", "2" }))
    port = upstream.closed_port()
    openssl = Process.start { "openssl", "s_server", "-rev", "-quiet", "-accept", tostring(port),
      "-key", key, "-cert", cert }
  end)

  after_each(function()
    Server.stop_all()
    openssl:kill()
    upstream.close_all()
  end)

  local TLS = [[
    server:get("/tls", { on_leave = "cancel" }, function(request, response)
      local plain, why = socket.connect("localhost", tonumber(request.query.port))
      if not plain then return response:send(why) end
      local peer <close> = assert(socket.wrap(plain, {
        mode = "client", protocol = "any", verify = "peer", cafile = request.query.ca,
      }))
      local ok
      ok, why = peer:dohandshake()
      if not ok then return response:send(told(ok, why)) end
      local text = ("0123456789abcdef"):rep(tonumber(request.query.count) or 0) .. "moon\n"
      local sent = peer:send(text)
      local line = peer:receive("*l")
      peer:settimeout(0)
      response:send(told(sent == #text, line == text:sub(1, -2):reverse(), peer:receive("*l")))
      peer:settimeout(nil)
      if request.query.waits then peer:receive("*l") end
    end)
  ]]

  local function ask(server, query)
    local said
    clock.eventually(function()
      said = get(server, ("/tls?port=%d&ca=%s&%s"):format(port, cert, query or ""))
      return said ~= "connection refused"
    end)
    return said
  end

  it("speaks TLS by LuaSec, and says wantread where LuaSec does", function()
    local server = start(TLS)
    assert.equal("true|true|nil|wantread|", ask(server))
    assert.equal("true|true|nil|wantread|", ask(server, "count=500"))
  end)

  it("does not trust whom the parameters do not", function()
    local server = start(TLS)
    cert = "/etc/ssl/certs/ca-certificates.crt"
    assert.matches("^false|certificate verify failed", ask(server))
  end)

  it("waits for a handshake that is not answered, and ends with the reader", function()
    local peer = upstream.listen()
    local server = start(TLS)
    local client = server:connect()
    client:send(("GET /tls?port=%d&ca=%s HTTP/1.1\r\nHost: localhost\r\n\r\n"):format(
      peer.port, cert))
    local conn = peer:accept()
    clock.eventually(function() conn:_fill() return #conn.buffer > 0 end)
    assert.equal("hello", get(server, "/hello"))
    client:close()
    conn:await_close()
  end)
end)
