-- Slow and silent peers. Time stands still until a spec moves it.

local support = require "spec.http.support"
local wire = require "spec.support.wire"

local head, post = support.head, support.post

local SCRIPT = support.ECHO .. [[
server:get("/wait", function(request, response)
  lunesse.sleep(1000)
  return response:send("waited")
end)
server:get("/large", function(request, response)
  return response:send(("x"):rep(20000000))
end)
server:get("/by_hand", function(request, response)
  response:write_head(200)
  while response:write(("x"):rep(10000)) do end
end)
]]

local server

---A connection with an answered request behind it.
local function used()
  local client = server:connect()
  client:send(support.NEXT)
  support.next(client)
  return client
end

---Holds that the connection is there and nothing was said on it.
local function is_open(client)
  return client:is_silent(0.02)
end

describe("a peer", function()
  local function start(is_process)
    return support.start(SCRIPT, { process = is_process, clock = true, workers = 1, limits =
      "{ head_timeout = 10, body_timeout = 30, idle_timeout = 75, peer_timeout = 60 }" })
  end

  before_each(function()
    server = start(false)
  end)

  after_each(function()
    support.stop(server)
  end)

  it("that stops inside of a head gets 408 after head_timeout", function()
    for _, client in ipairs { server:connect(), used() } do
      client:send("GET /smuggled HTTP/1.1\r\nHost:")
      client:flush()
      server:advance(9)
      assert.is_true(is_open(client))
      server:advance(1.1)
      support.refused(client, 408)
      client:close()
    end
    assert.equal("0", server:request { target = "/ran" }.body)
  end)

  it("that drips its head byte by byte gets 408 after head_timeout", function()
    for _, client in ipairs { server:connect(), used() } do
      local bytes, sent = ("GET /echo HTTP/1.1\r\nHost: a\r\nX: yyyyyyyyyyyyyyyy"), 0
      for at = 1, 9 do
        client:send(bytes:sub(at, at))
        client:flush()
        server:advance(1)
        sent = at
      end
      assert.is_true(is_open(client))
      client:send(bytes:sub(sent + 1, sent + 1))
      client:flush()
      server:advance(1.1)
      support.refused(client, 408)
      client:close()
    end
  end)

  it("that drips fields gets 408 after head_timeout", function()
    local client = used()
    client:send("GET /echo HTTP/1.1\r\nHost: a\r\n")
    client:flush()
    for i = 1, 5 do
      client:send(("X-%d: y\r\n"):format(i))
      client:flush()
      server:advance(1.9)
    end
    assert.is_true(is_open(client))
    server:advance(0.6)
    support.refused(client, 408)
    client:close()
  end)

  it("that stops inside of the head of HEAD gets 408 without content", function()
    local client = used()
    client:send("HEAD /echo HTTP/1.1\r\n")
    client:flush()
    server:advance(10.1)
    support.refused(client, 408, "HEAD")
    client:close()
  end)

  it("that connects and says nothing is noticed after a second, and sent away after head_timeout",
    function()
      local process = start(true)
      local idle = process:descriptors()
      local function await_conns(count, seconds)
        eventually(function()
          return process:descriptors() == idle + count
        end, seconds)
      end
      local client = process:connect()
      process:request { target = "/next" }
      await_conns(0, 0.5)
      await_conns(1, 3)
      process:advance(9)
      assert.is_true(is_open(client))
      process:advance(1.1)
      local bytes, how = client:receive_all()
      assert.equal("closed", how)
      assert.is_true(bytes == "" or bytes:find("^HTTP/1.1 408 ") ~= nil)
      client:close()
      support.stop(process)
    end)

  it("that keeps an idle connection loses it after idle_timeout, without an answer", function()
    local client = used()
    server:advance(74)
    assert.is_true(is_open(client))
    server:advance(1.1)
    support.ended(client)
    client:close()
  end)

  it("that asks again before idle_timeout begins anew", function()
    local client = used()
    for _ = 1, 3 do
      server:advance(74)
      client:send(support.NEXT)
      support.next(client)
    end
    client:close()
  end)

  it("that sends an empty line on an idle connection is still idle", function()
    local client = used()
    client:send("\r\n")
    client:flush()
    server:advance(70)
    assert.is_true(is_open(client))
    server:advance(5.1)
    support.ended(client)
    client:close()
  end)

  it("that begins a head late has head_timeout for it", function()
    local client = used()
    server:advance(74)
    client:send("GET /next HTTP/1.1\r\n")
    client:flush()
    server:advance(9)
    client:send("Host: a\r\n\r\n")
    support.next(client)
    client:close()
  end)

  it("that stops inside of a body gets 408 after body_timeout", function()
    for _, client in ipairs { server:connect(), used() } do
      client:send(head("POST /smuggled HTTP/1.1", "Host: a", "Content-Length: 10") .. "hi")
      client:flush()
      server:advance(29)
      assert.is_true(is_open(client))
      server:advance(1.1)
      support.refused(client, 408)
      client:close()
    end
    assert.equal("0", server:request { target = "/ran" }.body)
  end)

  it("that stops before its body gets 408 after body_timeout", function()
    local client = used()
    client:send(post "Content-Length: 10")
    client:flush()
    server:advance(30.1)
    support.refused(client, 408)
    client:close()
  end)

  it("that stops inside of a chunk, its size or the trailers gets 408", function()
    for _, body in ipairs { "5", "5\r\nhe", "5\r\nhello", "5\r\nhello\r\n", "0\r\n",
      "0\r\nX: 1" } do
      local client = used()
      client:send(post "Transfer-Encoding: chunked" .. body)
      client:flush()
      server:advance(30.1)
      support.refused(client, 408)
      client:close()
    end
  end)

  it("that was told to continue and does not gets 408", function()
    local client = used()
    client:send(post("Expect: 100-continue", "Content-Length: 10"))
    assert.equal("HTTP/1.1 100 Continue\r\n\r\n", client:receive(25))
    server:advance(30.1)
    support.refused(client, 408)
    client:close()
  end)

  it("whose body moves is waited for", function()
    local client = used()
    client:send(post "Content-Length: 50000")
    for _ = 1, 5 do
      client:flush()
      server:advance(29)
      client:send(("x"):rep(10000))
    end
    assert.equal(50000, #support.taken(client).body)
    client:close()
  end)

  it("gets the answers it is owed before a 408", function()
    local client = server:connect()
    client:send(support.NEXT .. support.NEXT .. "GET /sl")
    support.next(client)
    support.next(client)
    server:advance(10.1)
    support.refused(client, 408)
    client:close()
  end)

  it("whose handler takes long is not idle", function()
    local client = server:connect()
    client:send(head("GET /wait HTTP/1.1", "Host: a"))
    client:flush()
    for _ = 1, 9 do
      server:advance(100)
    end
    assert.is_true(is_open(client))
    server:advance(101)
    assert.equal("waited", client:response().body)
    client:close()
  end)

  it("that does not read a large answer is reset after peer_timeout", function()
    local before = server:descriptors()
    local client = wire.connect(server, { receive_buffer = 4096 })
    client:send(head("GET /large HTTP/1.1", "Host: a"))
    assert.truthy(client:receive(1))
    client:flush()
    server:advance(59)
    assert.is_true(server:descriptors() > before)
    server:advance(61)
    server:advance(61)
    eventually(function()
      return server:descriptors() <= before
    end)
    assert.equal("reset", select(2, client:receive_all()))
    client:close()
  end)

  it("that does not read what is streamed by hand is reset after peer_timeout", function()
    local before = server:descriptors()
    local client = wire.connect(server, { receive_buffer = 4096 })
    client:send(head("GET /by_hand HTTP/1.1", "Host: a"))
    assert.truthy(client:receive(1))
    eventually(function()
      server:advance(61)
      return pcall(eventually, function()
        return server:descriptors() <= before
      end, 0.05)
    end, 5)
    client:close()
  end)

  it("that reads a large answer slowly gets all of it", function()
    local client = wire.connect(server, { receive_buffer = 4096 })
    client:send(head("GET /large HTTP/1.1", "Host: a", "Connection: close"))
    local count = 0
    for _ = 1, 4 do
      count = count + #assert(client:receive(3000000))
      server:advance(50)
    end
    local rest, how = client:receive_all()
    assert.equal("closed", how)
    assert.is_true(count + #rest > 20000000)
    client:close()
  end)

  it("that reads less than the kernel keeps for it in a while still gets all of it", function()
    local client = wire.connect(server, { receive_buffer = 4096 })
    client:send(head("GET /large HTTP/1.1", "Host: a", "Connection: close"))
    local count = 0
    for _ = 1, 8 do
      count = count + #assert(client:receive(100000))
      server:advance(40)
    end
    local rest, how = client:receive_all()
    assert.equal("closed", how)
    assert.is_true(count + #rest > 20000000)
    client:close()
  end)

  it("that was refused and stays is left after a while", function()
    local before = server:descriptors()
    local client = server:connect()
    client:send("nonsense\r\n\r\n")
    support.refused(client, 400)
    server:advance(60)
    eventually(function()
      return server:descriptors() <= before
    end)
    client:close()
  end)
end)
