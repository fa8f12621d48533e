-- A reload changes limits while they are in use. A message is judged by those that were current
-- when it began, everything that begins later by the new ones, on whichever connection it comes.

local support = require "spec.reload.support"
local Process = require "spec.support.process"
local wire = require "spec.support.wire"
local clock = require "spec.support.clock"

local start, reload = support.start, support.reload

local ROUTES = [[
local word = lunesse.channel("load")
server:any("/", function(request, response) response:send("here" .. #request:text()) end)
server:get("/hold", hold)
server:get("/later", function(_, response) lunesse.sleep(1000) response:send("later") end)
server:get("/load", function(_, response) response.sse:subscribe(word) end)
server:post("/load", function(request, response) response:send(word:publish(request:text())) end)
server:get("/quiet", function(_, response) response.sse:open() hold() end)
server:get("/large", function(_, response) response:send(("x"):rep(20000000)) end)
server:get("/most", function(_, response)
  local most = 0
  for _ = 1, 30 do
    response.sse:send(("x"):rep(1000))
    most = math.max(most, response.sse.pending)
  end
  response.sse:send("most", most)
end)
server:get("/one", function(_, response)
  local _, _, code = response.sse:send(("x"):rep(5000))
  response.sse:send("said", code or "sent")
end)
server:get("/two", function(_, response)
  response.sse:subscribe(word)
  local _, _, code = response.sse:subscribe(lunesse.channel("other"))
  response.sse:send("said", code or "subscribed")
end)
server:get("/channel", function(request, response)
  local ok, channel, _, code = pcall(lunesse.channel, request.query.name)
  response:send(not ok and "raised" or channel and "made" or code)
end)
server:get("/fill", function(_, response)
  local channel = lunesse.channel("fill")
  local _, _, code = channel:publish(("x"):rep(50000))
  channel:close()
  response:send(code or "published")
end)
server:get("/shared", function(_, response)
  local _, _, code = lunesse.shared("s"):set("key", "value")
  response:send(code or "set")
end)
server:get("/run", function(request, response)
  local start = os.clock()
  while os.clock() - start < tonumber(request.query.seconds) do end
  response:send("ran")
end)
server:get("/spawn", function(_, response)
  local task, _, code = lunesse.spawn(function() end)
  response:send(task and "spawned" or code)
end)
server:get("/passwords", function(_, response)
  local waiting = lunesse.spawn(lunesse.crypto.password_hash, "x")
  lunesse.sleep(0)
  local _, _, code = lunesse.crypto.password_hash("x")
  waiting:wait()
  response:send(code or "hashed")
end)
server:get("/upstream", function(request, response)
  local _, _, code = lunesse.http.get("http://127.0.0.1:" .. request.query.port)
  response:send(code or "read")
end)
server:get("/memory", function(_, response)
  local text = ("x"):rep(20000000)
  response:send("had " .. #text)
end)
]]

local function with_limits(limits)
  return ("lunesse.server { limits = { %s } }\n%s"):format(limits, ROUTES)
end

---A request that pads its head to more than 2000 bytes.
local LONG = wire.request { headers = { Padding = ("x"):rep(2000) } }

local function status_of(client, bytes)
  client:send(bytes)
  return client:response().status
end

local function body_of(server, target)
  return server:request({ target = target }).body
end

---The status of a message of which the rest comes after ten seconds, if it is still waited for.
local function status_after_pause(server, client, first, rest)
  client:send(first)
  client:flush()
  server:advance(10)
  if client:is_silent() then
    client:send(rest)
  end
  return client:response().status
end

---What a reader of `target` gets as its event of this type.
local function said(server, target, type)
  local stream = server:stream(target)
  local event
  repeat
    event = stream:event()
  until event.type == type
  stream:close()
  return event.data
end

-- A low and a high value of each limit, and what is seen with either of them. `see` is given a
-- connection that was open before the limit changed.
local CASES = {
  head_bytes = { 1000, 4000, see = function(_, client) return status_of(client, LONG) end,
    low = 431, high = 200 },
  head_fields = { 5, 50, see = function(_, client)
    return status_of(client, "GET / HTTP/1.1\r\nHost: a\r\n" .. ("X: y\r\n"):rep(10) .. "\r\n")
  end, low = 431, high = 200 },
  target_bytes = { 50, 500, see = function(_, client)
    return status_of(client, wire.request { target = "/?" .. ("x"):rep(100) })
  end, low = 414, high = 200 },
  body_bytes = { 10, 1000, see = function(_, client)
    return status_of(client, wire.request { method = "POST", body = ("x"):rep(100) })
  end, low = 413, high = 200 },
  head_timeout = { 2, 100, see = function(server, client)
    return status_after_pause(server, client, "GET / HTTP/1.1\r\n", "Host: a\r\n\r\n")
  end, low = 408, high = 200 },
  body_timeout = { 2, 100, see = function(server, client)
    local request = wire.request { method = "POST", body = "12345" }
    return status_after_pause(server, client, request:sub(1, -3), request:sub(-2))
  end, low = 408, high = 200 },
  body_rate = { 1, 1000, see = function(server, client)
    local request = wire.request { method = "POST", body = ("x"):rep(100) }
    client:send(request:sub(1, -51))
    for _ = 1, 2 do
      client:flush()
      server:advance(20)
      client:send(("x"):rep(24))
    end
    if client:is_silent() then
      client:send("xx")
    end
    return client:response().status
  end, low = 200, high = 408 },
  body_total_bytes = { 100, 10000, see = function(_, client)
    return status_of(client, wire.request { method = "POST", body = ("x"):rep(100) })
  end, low = 503, high = 200 },
  idle_timeout = { 2, 100, see = function(server, client)
    status_of(client, wire.request {})
    server:advance(10)
    return client:is_silent() and status_of(client, wire.request {}) or "closed"
  end, low = "closed", high = 200 },
  pipeline = { 2, 100, see = function(server, client)
    client:send(wire.request { target = "/later" })
    for _ = 1, 5 do
      client:flush()
      client:send(wire.request {})
    end
    client:flush()
    local is_held_back = client:_unread_bytes() > 0
    server:advance(1001)
    return is_held_back
  end, low = true, high = false },
  connections = { 40, 1000, see = function(server)
    local before, clients, status = server:descriptors(), {}, nil
    for i = 1, 60 do
      clients[i] = server:connect()
      status = status_of(clients[i], wire.request {})
    end
    for _, client in ipairs(clients) do
      client:close()
    end
    eventually(function() return server:descriptors() <= before end)
    return status
  end, low = 503, high = 200 },
  stream_high_bytes = { 1500, 100000, see = function(server)
    return tonumber(said(server, "/most", "most")) > 10000
  end, low = false, high = true },
  stream_max_bytes = { 4000, 100000, see = function(server)
    return said(server, "/one", "said")
  end, low = "EMSGSIZE", high = "sent" },
  heartbeat = { 5, 1000, see = function(server)
    local stream = server:stream("/quiet")
    stream:comment()
    server:advance(10)
    local is_silent = stream:is_silent(0.5) -- several workers hear of the time one by one
    stream:close()
    return is_silent
  end, low = false, high = true },
  peer_timeout = { 20, 100000, see = function(server)
    local client = wire.connect(server, { receive_buffer = 4096 })
    client:send(wire.request { target = "/large" })
    assert.truthy(client:receive(1))
    client:flush()
    server:advance(50)
    server:advance(50)
    server:advance(50)
    local _, how = client:receive_all(0.3)
    client:close()
    return how
  end, low = "reset", high = "timeout" },
  stream_channels = { 1, 3, see = function(server)
    return said(server, "/two", "said")
  end, low = "E2BIG", high = "subscribed" },
  channels = { 1, 1000, see = function(server)
    return body_of(server, "/channel?name=new")
  end, low = "E2BIG", high = "made" },
  channel_total_bytes = { 40000, 10000000, see = function(server)
    return body_of(server, "/fill")
  end, low = "ENOMEM", high = "published" },
  channel_name_bytes = { 5, 50, see = function(server)
    return body_of(server, "/channel?name=elephants")
  end, low = "raised", high = "made" },
  shared_bytes = { 0, 100000, see = function(server)
    return body_of(server, "/shared")
  end, low = "ENOMEM", high = "set" },
  run_timeout = { 0.05 * clock.slow, 100, see = function(server) -- the scripts load under it too
    return server:request({ target = "/run?seconds=" .. 0.2 * clock.slow }).status
  end, low = 500, high = 200 },
  tasks = { 0, 100, see = function(server)
    return body_of(server, "/spawn")
  end, low = "E2BIG", high = "spawned" },
  passwords = { 1, 100, see = function(server)
    return body_of(server, "/passwords")
  end, low = "EAGAIN", high = "hashed" },
  upstream_body_bytes = { 3, 100, see = function(server)
    return body_of(server, "/upstream?port=" .. server.port)
  end, low = "EMSGSIZE", high = "read" },
  lua_bytes = { 10000000, 100000000, see = function(server)
    return server:request({ target = "/memory" }).status
  end, low = 500, high = 200 },
}

-- What only a server that ends shows has specs of its own below.
local AT_THE_END = { drain_delay = true, drain_timeout = true }

-- What counts while the scripts themselves load.
local AT_THE_BEGINNING = { load_timeout = true }

---Connections with requests that wait, and each with one of which half has come.
local function busy(server)
  local clients = {}
  for i = 1, 6 do
    clients[i] = server:connect()
    clients[i]:send(wire.request({}):rep(20) .. "GET / HT")
  end
  return clients
end

local function all_are_answered(clients)
  for _, client in ipairs(clients) do
    client:send("TP/1.1\r\nHost: a\r\n\r\n")
    for _ = 1, 21 do
      assert.equal("here0", client:response().body)
    end
    client:close()
  end
end

local function publish(client, text)
  client:send(wire.request { method = "POST", target = "/load", body = text })
  assert.equal(200, client:response().status)
end

describe("a reload changes the limit", function()
  ---Whatever happens to others, a reader of a channel misses nothing.
  local function change(server, name, which)
    local case = CASES[name]
    local before, clients = server:connect(), busy(server)
    assert.equal(200, status_of(before, wire.request {}))
    reload(server, with_limits(("%s = %.9g"):format(name, case[which == "low" and 1 or 2])))
    all_are_answered(clients)
    assert.equal(case[which], case.see(server, before), which)
    before:close()
  end

  for name, case in pairs(CASES) do
    it(name .. ", down and up, under load", function()
      local server = start(with_limits(("%s = %.9g"):format(name, case[2])), {
        clock = true, run_timeout = false,
      })
      local reader = server:stream("/load")
      for i, which in ipairs { "low", "high", "low", "low", "high" } do
        local publisher = server:connect()
        publish(publisher, tostring(i))
        change(server, name, which)
        assert.equal(tostring(i), reader:event().data)
        publisher:close()
      end
      reader:close()
    end)
  end

  it("drain_delay", function()
    local server = start(with_limits "drain_delay = 1000", { clock = true })
    reload(server, with_limits "drain_delay = 0")
    server:stop()
  end)

  it("drain_timeout", function()
    local server = start(with_limits "drain_timeout = 1000")
    local client = server:connect()
    client:send(wire.request { target = "/hold" })
    client:flush()
    reload(server, with_limits "drain_timeout = 0.05")
    server:stop()
    assert.equal(1, #server:log_lines("drain_timeout is over"))
    client:close()
  end)

  it("load_timeout, for the scripts that set it", function()
    local server = start(with_limits "load_timeout = 1000")
    assert.matches("have not loaded within load_timeout %(0.05 s%)",
      support.fail(server, with_limits "load_timeout = 0.05" .. "hold()\n"))
    reload(server, with_limits "load_timeout = 1000" .. "lunesse.sleep(0.1)\n")
  end)

  it("whichever there is", function()
    local text = Process.read_file("src/base/limits.c")
    for name in text:gmatch('{"([%w_]+)", offsetof%(struct limits, ') do
      assert(CASES[name] or AT_THE_END[name] or AT_THE_BEGINNING[name],
        name .. " has no case in this spec")
    end
  end)
end)

describe("a message that has begun before a reload", function()
  it("is judged by the limits of its beginning", function()
    local server = start(with_limits "head_bytes = 4000, body_bytes = 1000")
    local head, body, short = server:connect(), server:connect(), server:connect()
    local request = wire.request { method = "POST", body = ("x"):rep(500) }
    head:send(LONG:sub(1, 1500))
    body:send(request:sub(1, -400))
    head:flush()
    body:flush()
    reload(server, with_limits "head_bytes = 1000, body_bytes = 10")
    assert.equal(200, status_of(head, LONG:sub(1501)))
    assert.equal(200, status_of(body, request:sub(-399)))
    assert.equal(431, status_of(head, LONG))
    assert.equal(413, status_of(body, request))
    short:send(LONG:sub(1, 500))
    short:flush()
    reload(server, with_limits "head_bytes = 4000")
    assert.equal(431, status_of(short, LONG:sub(501)))
    for _, client in ipairs { head, body, short } do
      client:close()
    end
  end)

  it("does not keep a connection from larger ones: a head of a megabyte", function()
    local server = start(with_limits "head_bytes = 16384")
    local client = server:connect()
    assert.equal(200, status_of(client, wire.request {}))
    reload(server, with_limits "head_bytes = 1048576")
    local request = wire.request { headers = { Padding = ("x"):rep(1000000) } }
    assert.equal(200, status_of(client, request))
    local new = server:connect()
    assert.equal(200, status_of(new, request))
    client:send(request:sub(1, 900000))
    client:flush()
    reload(server, with_limits "head_bytes = 1000")
    assert.equal(200, status_of(client, request:sub(900001)))
    assert.equal(431, status_of(client, request))
    client:close()
    new:close()
  end)
end)
