-- How long a connection lives, and in which order its requests are answered (RFC 9112, section 9).

local support = require "spec.http.support"
local wire = require "spec.support.wire"

local head, get = support.head, support.get

local SCRIPT = support.ECHO .. [[
server:get("/number/:n", function(request, response)
  return response:send(request.params.n)
end)
server:get("/slow/:n", function(request, response)
  lunesse.sleep(0.01)
  return response:send(request.params.n)
end)
server:get("/large", function(request, response)
  return response:send(("x"):rep(300000))
end)
local counted = 0
server:get("/counted", function(request, response)
  counted = counted + 1
  return response:send(("x"):rep(300000))
end)
server:get("/count", function(request, response)
  return response:send(tostring(counted))
end)
server:get("/raises", function()
  error("on purpose")
end)
server:get("/silent", function() end)
server:get("/stream", function(request, response)
  local sse = response.sse
  sse:open()
  lunesse.sleep(0.05)
  sse:send("last")
  sse:close()
end)
server:get("/by_hand", function(request, response)
  response:write_head(200, { ["Content-Type"] = "text/plain" })
  for i = 1, 3 do
    response:write(tostring(i))
    lunesse.sleep(0.005)
  end
  return response:finish()
end)
]]

local server

local function get_server()
  return server
end

local function number(n)
  return head(("GET /number/%d HTTP/1.1"):format(n), "Host: a")
end

---Holds that the answer to `bytes` is 200, is followed by another one or by the end, and says so.
local function stays(what, bytes, method)
  it("stays open " .. what, function()
    support.each_way(server, bytes .. support.NEXT, function(client)
      local response = client:response(method)
      assert(response.status == 200, response.status)
      assert((response.headers["connection"] or "keep-alive") == "keep-alive")
      support.next(client)
    end)
  end)
end

local function closes(what, bytes, method)
  it("is closed, as announced, " .. what, function()
    support.each_way(server, bytes .. support.SMUGGLED, function(client)
      local response = client:response(method)
      assert(response.status == 200, response.status)
      assert(response.headers["connection"] == "close", "the end is not announced")
      support.ended(client)
    end)
  end)
end

describe("a connection", function()
  setup(function()
    server = support.start(SCRIPT)
  end)

  teardown(function()
    support.stop(server)
  end)

  stays("by default in HTTP/1.1", get())
  stays("with keep-alive in HTTP/1.1", get "Connection: keep-alive")
  stays("with an unknown option", get "Connection: x")
  stays("with an option that only resembles close", get "Connection: closed, xclose, close-not")
  stays("with close as the value of another field", get "X: close")
  stays("with close in quotes, which is no token", get 'Connection: "close"')
  stays("with an empty Connection", get "Connection:")
  stays("with a Connection of commas", get "Connection: , ,,")
  stays("with Keep-Alive", get("Connection: keep-alive", "Keep-Alive: timeout=5, max=1"))
  stays("with Proxy-Connection: close, which is no field of HTTP", get "Proxy-Connection: close")
  stays("behind HEAD", head("HEAD /echo HTTP/1.1", "Host: a"), "HEAD")
  stays("with keep-alive in HTTP/1.0", head("GET /echo HTTP/1.0", "Connection: keep-alive"))
  stays("with Keep-Alive in any case in HTTP/1.0", head("GET /echo HTTP/1.0",
    "connection: KEEP-ALIVE"))
  stays("with keep-alive among others in HTTP/1.0", head("GET /echo HTTP/1.0",
    "Connection: x, keep-alive ,y"))
  stays("with keep-alive on a second line in HTTP/1.0", head("GET /echo HTTP/1.0",
    "Connection: x", "Connection: keep-alive"))
  stays("with a tab before keep-alive in HTTP/1.0", head("GET /echo HTTP/1.0",
    "Connection:\tkeep-alive\t"))

  closes("with close", get "Connection: close")
  closes("with Close in any case", get "cOnNeCtIoN: cLoSe")
  closes("with a tab before close", get "Connection:\tclose")
  closes("with a tab behind close", get "Connection: close\t")
  closes("with close in a list", get "Connection: keep-alive, close")
  closes("with close at the front of a list", get "Connection: close, keep-alive")
  closes("with close between tabs in a list", get "Connection: x,\tclose\t,y")
  closes("with close without spaces in a list", get "Connection: x,close,y")
  closes("with close among empty elements", get "Connection: ,, close ,,")
  closes("with close on a second line", get("Connection: keep-alive", "Connection: close"))
  closes("with close on a first line", get("Connection: close", "Connection: keep-alive"))
  closes("with close and TE", get("Connection: TE, close", "TE: trailers"))
  closes("with close behind HEAD", head("HEAD /echo HTTP/1.1", "Host: a", "Connection: close"),
    "HEAD")
  closes("with close behind a body", support.post("Connection: close", "Content-Length: 2") .. "hi")
  closes("by default in HTTP/1.0", head("GET /echo HTTP/1.0", "Host: a"))
  closes("with close in HTTP/1.0", head("GET /echo HTTP/1.0", "Connection: close"))
  closes("with keep-alive and close in HTTP/1.0", head("GET /echo HTTP/1.0",
    "Connection: keep-alive, close"))
  closes("with a Keep-Alive field alone in HTTP/1.0", head("GET /echo HTTP/1.0",
    "Keep-Alive: timeout=5"))
  closes("with Proxy-Connection alone in HTTP/1.0", head("GET /echo HTTP/1.0",
    "Proxy-Connection: keep-alive"))

  it("that stays open in HTTP/1.0 is told so", function()
    local response = server:request { target = "/echo", version = "1.0",
      headers = { Connection = "keep-alive" } }
    assert.equal("keep-alive", response.headers["connection"])
  end)

  it("serves a hundred requests one after the other", function()
    local client = server:connect()
    for n = 1, 100 do
      client:send(number(n))
      assert.equal(tostring(n), client:response().body)
    end
    client:close()
  end)

  it("survives 404, 405 and 500", function()
    local client = server:connect()
    for target, status in pairs { ["/none"] = 404, ["/raises"] = 500, ["/silent"] = 500 } do
      client:send(head("GET " .. target .. " HTTP/1.1", "Host: a"))
      local response = client:response()
      assert.equal(status, response.status)
      assert.is_nil(response.headers["connection"])
    end
    client:send(head("DELETE /next HTTP/1.1", "Host: a"))
    assert.equal(405, client:response().status)
    client:send(support.NEXT)
    support.next(client)
    client:close()
  end)

  support.runs_nothing_smuggled(it, get_server)
end)

describe("pipelined requests", function()
  setup(function()
    server = support.start(SCRIPT, { workers = 1 }) -- which counts what it has run
  end)

  teardown(function()
    support.stop(server)
  end)

  it("are answered in order, however they are cut", function()
    local bytes = number(1) .. support.post "Content-Length: 2" .. "hi" .. number(2) ..
      support.post "Transfer-Encoding: chunked" .. "2\r\nho\r\n0\r\n\r\n" .. number(3)
    support.each_way(server, bytes, function(client)
      assert(client:response().body == "1")
      assert(support.taken(client).body == "hi")
      assert(client:response().body == "2")
      assert(support.taken(client).body == "ho")
      assert(client:response().body == "3")
    end)
  end)

  it("are answered in order when the first takes longest", function()
    local client = server:connect()
    client:send(head("GET /slow/1 HTTP/1.1", "Host: a") .. number(2) ..
      head("GET /slow/3 HTTP/1.1", "Host: a") .. number(4))
    for n = 1, 4 do
      assert.equal(tostring(n), client:response().body)
    end
    client:close()
  end)

  it("are answered by the hundred", function()
    local client, parts = server:connect(), {}
    for n = 1, 500 do
      parts[n] = number(n)
    end
    client:send(table.concat(parts))
    for n = 1, 500 do
      assert.equal(tostring(n), client:response().body)
    end
    client:close()
  end)

  it("are answered beyond the bound of what waits", function()
    local client, parts = server:connect(), {}
    parts[1] = head("GET /slow/0 HTTP/1.1", "Host: a", "X: " .. ("x"):rep(10000))
    for n = 1, 300 do
      parts[n + 1] = head(("GET /number/%d HTTP/1.1"):format(n), "Host: a",
        "X: " .. ("x"):rep(2000))
    end
    client:send(table.concat(parts))
    for n = 0, 300 do
      assert.equal(tostring(n), client:response().body)
    end
    client:close()
  end)

  it("are answered with bodies of all kinds between them", function()
    local client = server:connect()
    client:send(head("HEAD /next HTTP/1.1", "Host: a") .. number(1) ..
      head("GET /none HTTP/1.1", "Host: a") .. head("GET /by_hand HTTP/1.1", "Host: a") ..
      head("OPTIONS /next HTTP/1.1", "Host: a") .. head("GET /large HTTP/1.1", "Host: a") ..
      number(2))
    assert.equal("", client:response("HEAD").body)
    assert.equal("1", client:response().body)
    assert.equal(404, client:response().status)
    assert.equal("123", client:response().body)
    assert.equal(204, client:response("OPTIONS").status)
    assert.equal(300000, #client:response().body)
    assert.equal("2", client:response().body)
    client:close()
  end)

  it("wait behind an open stream and are answered after it", function()
    local client = server:connect()
    client:send(head("GET /stream HTTP/1.1", "Host: a", "Accept: text/event-stream") .. number(1) ..
      number(2))
    local stream = client:response()
    assert.matches("data: last\n", stream.body, 1, true)
    assert.equal("1", client:response().body)
    assert.equal("2", client:response().body)
    client:close()
  end)

  it("behind Connection: close are not run", function()
    support.each_way(server, number(1) .. get "Connection: close" .. support.SMUGGLED ..
      support.SMUGGLED, function(client)
        assert(client:response().body == "1")
        assert(client:response().headers["connection"] == "close")
        support.ended(client)
      end)
  end)

  it("that precede a malformed one are answered before it", function()
    support.each_way(server, number(1) .. number(2) .. "GET /\r\n\r\n" .. support.SMUGGLED,
      function(client)
        assert(client:response().body == "1")
        assert(client:response().body == "2")
        support.refused(client, 400)
      end)
  end)

  it("that precede a malformed one are answered before it though they take long", function()
    local client = server:connect()
    client:send(head("GET /slow/1 HTTP/1.1", "Host: a") .. "nonsense\r\n\r\n" .. support.SMUGGLED)
    assert.equal("1", client:response().body)
    support.refused(client, 400)
    client:close()
  end)

  it("that precede a chunk gone wrong are answered before it", function()
    local client = server:connect()
    client:send(head("GET /slow/1 HTTP/1.1", "Host: a") ..
      support.post "Transfer-Encoding: chunked" .. "x\r\n" .. support.SMUGGLED)
    assert.equal("1", client:response().body)
    support.refused(client, 400)
    client:close()
  end)

  it("may be a mix of HTTP/1.0 that stays and HTTP/1.1", function()
    local client = server:connect()
    client:send(head("GET /number/1 HTTP/1.0", "Connection: keep-alive") .. number(2) ..
      head("GET /number/3 HTTP/1.0") .. support.SMUGGLED)
    assert.equal("1", client:response().body)
    assert.equal("2", client:response().body)
    assert.equal("3", client:response().body)
    support.ended(client)
    client:close()
  end)

  it("of a peer that never reads delay nobody else", function()
    local client = wire.connect(server, { receive_buffer = 2048 })
    local parts = {}
    for n = 1, 400 do
      parts[n] = head("GET /large HTTP/1.1", "Host: a")
    end
    client:send_some(table.concat(parts))
    for _ = 1, 20 do
      assert.equal("next", server:request { target = "/next", seconds = 1 }.body)
    end
    client:reset()
  end)

  it("of a peer that never reads are not run before they can be answered", function()
    local client = wire.connect(server, { receive_buffer = 2048 })
    client:send_some(head("GET /counted HTTP/1.1", "Host: a"):rep(1000))
    local ran
    eventually(function()
      local before = ran
      ran = tonumber(server:request { target = "/count" }.body)
      return ran > 0 and ran == before
    end)
    client:reset()
    assert.is_true(ran < 50)
  end)

  support.runs_nothing_smuggled(it, get_server)
end)

describe("a peer that closes its sending side", function()
  setup(function()
    server = support.start(SCRIPT)
  end)

  teardown(function()
    support.stop(server)
  end)

  local function half_closed(bytes)
    local client = server:connect()
    client:send(bytes)
    client:finish_sending()
    return client
  end

  it("gets its answer", function()
    local client = half_closed(number(1))
    local response = client:response()
    assert.equal("1", response.body)
    support.ended(client)
    client:close()
  end)

  it("gets an answer that takes time", function()
    local client = half_closed(head("GET /slow/1 HTTP/1.1", "Host: a"))
    assert.equal("1", client:response().body)
    support.ended(client)
    client:close()
  end)

  it("gets an answer that is larger than the socket holds", function()
    local client = half_closed(head("GET /large HTTP/1.1", "Host: a"))
    assert.equal(300000, #client:response().body)
    support.ended(client)
    client:close()
  end)

  it("gets an answer that is streamed by hand", function()
    local client = half_closed(head("GET /by_hand HTTP/1.1", "Host: a"))
    assert.equal("123", client:response().body)
    support.ended(client)
    client:close()
  end)

  it("gets an event stream to its end", function()
    local client = half_closed(head("GET /stream HTTP/1.1", "Host: a", "Accept: text/event-stream"))
    assert.matches("data: last\n", client:response().body, 1, true)
    support.ended(client)
    client:close()
  end)

  it("gets the answer to a body", function()
    local client = half_closed(support.post "Content-Length: 2" .. "hi")
    assert.equal("hi", support.taken(client).body)
    support.ended(client)
    client:close()
  end)

  it("gets every answer that is owed", function()
    local client = half_closed(head("GET /slow/1 HTTP/1.1", "Host: a") .. number(2) ..
      head("GET /large HTTP/1.1", "Host: a") .. number(3))
    assert.equal("1", client:response().body)
    assert.equal("2", client:response().body)
    assert.equal(300000, #client:response().body)
    local last = client:response()
    assert.equal("3", last.body)
    support.ended(client)
    client:close()
  end)

  it("gets a hundred answers that are owed", function()
    local parts = {}
    for n = 1, 100 do
      parts[n] = number(n)
    end
    local client = half_closed(table.concat(parts))
    for n = 1, 100 do
      assert.equal(tostring(n), client:response().body)
    end
    support.ended(client)
    client:close()
  end)

  it("gets the answers that are owed before what it left unfinished", function()
    local client = half_closed(number(1) .. number(2) .. "GET /smuggled HT")
    assert.equal("1", client:response().body)
    assert.equal("2", client:response().body)
    support.refused(client, 400)
    client:close()
  end)

  it("without having sent anything gets nothing but the end", function()
    local client = half_closed("")
    support.ended(client)
    client:close()
  end)

  it("after an answer gets nothing but the end", function()
    local client = server:connect()
    client:send(number(1))
    assert.equal("1", client:response().body)
    client:finish_sending()
    support.ended(client)
    client:close()
  end)

  it("after an empty line behind its request gets nothing but the end", function()
    local client = half_closed(number(1) .. "\r\n")
    assert.equal("1", client:response().body)
    support.ended(client)
    client:close()
    client = half_closed("\r\n\r\n")
    support.ended(client)
    client:close()
  end)

  it("inside of a head gets 400", function()
    local bytes = head("GET /smuggled HTTP/1.1", "Host: a")
    for at = 1, #bytes - 1 do
      local client = half_closed(bytes:sub(1, at))
      support.refused(client, 400)
      client:close()
    end
  end)

  it("inside of a body gets 400", function()
    local client = half_closed(support.post "Content-Length: 3" .. "hi")
    support.refused(client, 400)
    client:close()
  end)

  support.runs_nothing_smuggled(it, get_server)
end)
