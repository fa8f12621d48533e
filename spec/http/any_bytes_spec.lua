-- Whatever arrives, and wherever it stops: the program lives, what it says is well formed, and what
-- it owes is delivered. The mutations are the same in every run.

local http = require "lunesse.test.http"
local support = require "spec.http.support"
local wire = require "spec.support.wire"

local head, post = support.head, support.post

local SCRIPT = support.ECHO .. [[
server:get("/slow/:n", function(request, response)
  lunesse.sleep(0.02)
  return response:send(request.params.n)
end)
server:get("/number/:n", function(request, response)
  return response:send(request.params.n)
end)
]]

local SEEDS = {
  head("GET /echo?a=b HTTP/1.1", "Host: a", "X: 1", "Connection: keep-alive"),
  post("Content-Length: 11", "Expect: 100-continue") .. "hello there",
  post "Transfer-Encoding: chunked" .. "5;a=\"b\"\r\nhello\r\n6\r\n there\r\n0\r\nX: 1\r\n\r\n",
  head("GET http://a/echo HTTP/1.0", "Connection: keep-alive"),
  head("OPTIONS * HTTP/1.1", "Host: [::1]:80"),
  support.NEXT .. support.NEXT .. post "Content-Length: 2" .. "hi" .. support.NEXT,
}

local PIECES = {
  "\r\n", "\n", "\r", "\0", " ", "\t", ":", ",", ";", "\"", "\\", "%", "/", "\xff", "\x7f", "0",
  "9", "ffffffff", "-1", "Content-Length: 1\r\n", "Transfer-Encoding: chunked\r\n", "Host: b\r\n",
  "Connection: close\r\n", "Expect: 100-continue\r\n", "0\r\n\r\n", "HTTP/1.1", "\r\n\r\n",
}

local server

---Numbers that are the same in every run (a linear congruence).
local function numbers(seed)
  return function(below)
    seed = (seed * 1103515245 + 12345) % 2147483648
    return seed // 65536 % below
  end
end

---`bytes` with one to three places changed.
local function mutate(bytes, random)
  for _ = 1, 1 + random(3) do
    local at, kind = random(#bytes) + 1, random(4)
    local piece = PIECES[random(#PIECES) + 1]
    if kind == 0 then
      bytes = bytes:sub(1, at) .. piece .. bytes:sub(at + 1)
    elseif kind == 1 then
      bytes = bytes:sub(1, at) .. bytes:sub(at + 1 + random(6))
    elseif kind == 2 then
      bytes = bytes:sub(1, at) .. string.char(random(256)) .. bytes:sub(at + 2)
    else
      local from = random(#bytes) + 1
      bytes = bytes:sub(1, at) .. bytes:sub(from, from + random(30)) .. bytes:sub(at + 1)
    end
  end
  return bytes
end

---Holds that everything the server said until the end is whole answers, none behind a close.
local function judge(said, bytes)
  local position = 1
  while position <= #said do
    local ok, response, after = pcall(http.parse, said, position, "GET", true)
    assert(ok and response, ("%q was answered with %q"):format(bytes, said))
    position = after
    local is_last = response.headers["connection"] == "close"
    assert(not is_last or position > #said, ("%q: more behind the last answer"):format(bytes))
  end
end

describe("any bytes", function()
  setup(function()
    server = support.start(SCRIPT)
  end)

  teardown(function()
    support.stop(server)
  end)

  for seed, bytes in ipairs(SEEDS) do
    it(("get well-formed answers: mutations of request %d"):format(seed), function()
      local random = numbers(seed)
      for _ = 1, 10 do
        local clients = {}
        for i = 1, 60 do
          local client = wire.connect(server)
          client.sent = mutate(bytes, random)
          client:send(client.sent)
          client:finish_sending()
          clients[i] = client
        end
        for _, client in ipairs(clients) do
          local said, how = client:receive_all()
          assert.equal("closed", how)
          judge(said, client.sent)
          client:close()
        end
      end
      assert.equal("next", server:request { target = "/next" }.body)
    end)

    it(("may stop at any byte: request %d"):format(seed), function()
      for at = 0, #bytes do
        local client = wire.connect(server)
        client:send(bytes:sub(1, at))
        client:finish_sending()
        local said, how = client:receive_all()
        assert.equal("closed", how)
        judge(said, bytes:sub(1, at))
        client:close()
      end
    end)

    it(("may be followed by a reset at any byte: request %d"):format(seed), function()
      local before = server:descriptors()
      for at = 0, #bytes do
        local client = wire.connect(server)
        client:send(bytes:sub(1, at))
        if at % 2 == 0 then
          client:flush()
        end
        client:reset()
      end
      eventually(function()
        return server:descriptors() <= before
      end)
    end)
  end

  it("that come in thousands of connections leave none of them behind", function()
    local random, before = numbers(7), server:descriptors()
    for _ = 1, 20 do
      local clients = {}
      for i = 1, 100 do
        clients[i] = wire.connect(server)
        clients[i]:send(mutate(SEEDS[i % #SEEDS + 1], random))
      end
      for _, client in ipairs(clients) do
        client:reset()
      end
    end
    eventually(function()
      return server:descriptors() <= before
    end, 5)
  end)
end)

describe("what waits behind a slow answer", function()
  setup(function()
    server = support.start(SCRIPT, { limits = "{ body_bytes = 2000000 }" })
  end)

  teardown(function()
    support.stop(server)
  end)

  local SLOW = head("GET /slow/1 HTTP/1.1", "Host: a")

  it("may be a body that is larger than what is kept", function()
    local client, body = server:connect(), ("0123456789"):rep(100000)
    client:send(SLOW .. head("POST /echo HTTP/1.1", "Host: a", "Content-Length: " .. #body) ..
      body .. support.NEXT)
    assert.equal("1", client:response().body)
    assert.is_true(support.taken(client).body == body)
    support.next(client)
    client:close()
  end)

  it("may be a chunked body that is larger than what is kept", function()
    local client, chunk = server:connect(), ("2710\r\n%s\r\n"):format(("x"):rep(10000))
    client:send(SLOW .. post "Transfer-Encoding: chunked" .. chunk:rep(50) .. "0\r\n\r\n" ..
      support.NEXT)
    assert.equal("1", client:response().body)
    assert.equal(500000, #support.taken(client).body)
    support.next(client)
    client:close()
  end)

  it("may be more requests than are kept, and then the end", function()
    local parts = { SLOW }
    for n = 1, 500 do
      parts[#parts + 1] = head(("GET /number/%d HTTP/1.1"):format(n), "Host: a",
        "X: " .. ("x"):rep(1000))
    end
    local client = server:connect()
    client:send(table.concat(parts))
    client:finish_sending()
    assert.equal("1", client:response().body)
    for n = 1, 500 do
      assert.equal(tostring(n), client:response().body)
    end
    support.ended(client)
    client:close()
  end)

  it("may be empty lines and then the end", function()
    local client = server:connect()
    client:send(SLOW .. "\r\n\r\n")
    client:finish_sending()
    assert.equal("1", client:response().body)
    support.ended(client)
    client:close()
  end)

  it("may be garbage of any size", function()
    local client = server:connect()
    client:send(SLOW .. ("garbage "):rep(100000))
    assert.equal("1", client:response().body)
    support.refused(client, { 400, 501, 431, 414 })
    client:close()
  end)

  it("may be a request that expects 100", function()
    local client = server:connect()
    client:send(SLOW .. post("Expect: 100-continue", "Content-Length: 2"))
    assert.equal("1", client:response().body)
    assert.equal("HTTP/1.1 100 Continue\r\n\r\n", client:receive(25))
    client:send("hi" .. support.NEXT)
    assert.equal("hi", support.taken(client).body)
    support.next(client)
    client:close()
  end)

  it("does not keep the answer of a peer that closed from coming", function()
    local client = server:connect()
    client:send(SLOW .. "GET /num")
    client:finish_sending()
    assert.equal("1", client:response().body)
    support.refused(client, 400)
    client:close()
  end)
end)
