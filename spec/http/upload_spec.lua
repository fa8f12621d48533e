-- Bodies that a handler reads while they come: `{ body = "stream" }` on the route.

local support = require "spec.http.support"
local Server = require "spec.support.server"
local kit = require "spec.support.kit"

local MB = 1024 * 1024
local BOUND = 65536 -- of what nobody reads, and the connection goes on behind it

local SCRIPT = [[
local lunesse = require "lunesse"
local server = lunesse.server { limits = { body_timeout = 10 } }
local stream = { body = "stream" }
local kept

local function read(request)
  local parts, size = {}, 0
  while true do
    local piece, why, code = request:read()
    if not piece then
      return code and why .. " " .. code or "all", table.concat(parts), size
    end
    parts[#parts + 1] = piece
    size = size + #piece
    lunesse.log.warn("a piece")
  end
end

server:any("/echo", stream, function(request, response)
  local parts = {}
  for piece in request:chunks() do
    parts[#parts + 1] = piece
  end
  response:send(request.method .. ":" .. table.concat(parts))
end)
server:post("/told", stream, function(request, response)
  local how, text = read(request)
  response:send(how .. ":" .. text)
end)
server:post("/small", { body = "stream", body_bytes = 10 }, function(request, response)
  local how, text = read(request)
  response:send(how .. ":" .. text)
end)
server:post("/loop", { body = "stream", body_bytes = 10 }, function(request, response)
  for _ in request:chunks() do lunesse.sleep(1) end
  response:send("all")
end)
server:post("/slow", stream, function(request, response)
  for _ in request:chunks() do lunesse.sleep(100) end
  response:send("all")
end)
server:post("/early", stream, function(_, response)
  response:status(401):send("no")
end)
server:post("/first", stream, function(request, response)
  response:send(request:read())
end)
server:post("/later", stream, function(request, response)
  lunesse.sleep(5)
  response:send((read(request)))
end)
server:post("/back", stream, function(request, response)
  for piece in request:chunks() do
    response:write(piece:upper())
  end
  response:finish()
end)
server:post("/events", stream, function(request, response)
  response.sse:open()
  for piece in request:chunks() do
    response.sse:send(piece)
  end
  response.sse:close()
end)
server:post("/whole", function(request, response)
  local parts = {}
  for piece in request:chunks() do parts[#parts + 1] = piece end
  response:send(#parts .. ":" .. table.concat(parts))
end)
server:post("/mistakes", stream, function(request, response)
  local said = {}
  for _, name in ipairs { "text", "json" } do
    local function ask() local _ = request[name](request) end
    said[#said + 1] = select(2, pcall(ask))
  end
  response:send(table.concat(said, "\n"))
end)
server:post("/unstreamed", function(request, response)
  response:send(select(2, pcall(request.read, request)))
end)
server:post("/two", stream, function(request, response)
  local other = lunesse.spawn(function() return (read(request)) end)
  lunesse.sleep(0)
  local ok, why = pcall(request.read, request)
  response:send(tostring(ok) .. why:match("[^:]*$") .. ", " .. tostring(select(2, other:wait())))
end)
server:post("/keep", stream, function(request, response)
  kept = request
  response:send("kept")
end)
server:get("/kept", function(_, response)
  local piece, why, code = kept:read()
  response:send(tostring(piece) .. " " .. why .. " " .. code)
end)
server:post("/cancel", { body = "stream", on_leave = "cancel" }, function(request)
  local _ <close> = setmetatable({}, { __close = function() lunesse.log.warn("undone") end })
  request:read()
  request:read()
  lunesse.log.warn("went on")
end)
server:post("/leave", stream, function(request)
  request:read()
  local piece, why, code = request:read()
  lunesse.log.warn(("left: %s, %s, %s"):format(piece, why, code))
end)
server:post("/leave-loop", stream, function(request)
  local _ <close> = setmetatable({}, { __close = function() lunesse.log.warn("loop over") end })
  for _ in request:chunks() do end
end)
server:get("/next", function(_, response)
  response:send("next")
end)
]]

local server

local function post(target, ...)
  return support.head("POST " .. target .. " HTTP/1.1", "Host: a", ...)
end

local function sized(target, body, length)
  return post(target, "Content-Length: " .. (length or #body)) .. body
end

local function chunk(text)
  return ("%x\r\n%s\r\n"):format(#text, text)
end

local function get_answer(bytes)
  local client = server:connect()
  client:send(bytes)
  return client:response("POST"), client
end

---Waits until a handler has read so many pieces.
local function await_pieces(count)
  assert.is_true(eventually(function()
    return #server:log_lines("a piece") == count
  end))
end

---Bytes of the kind and length that a body of `count` bytes has.
local function filler(count)
  return ("0123456789abcdef"):rep(count // 16)
end

describe("a streamed body", function()
  before_each(function()
    server = support.start(SCRIPT, { clock = true })
  end)

  after_each(function()
    support.stop(server)
  end)

  it("is read while it comes", function()
    local client = server:connect()
    client:send(post("/back", "Content-Length: 6"))
    client:send("abc")
    assert.truthy(client:receive_until("3\r\nABC\r\n"))
    client:send("def")
    assert.truthy(client:receive_until("3\r\nDEF\r\n0\r\n\r\n"))
    client:close()
  end)

  it("can be answered by an event stream while it comes", function()
    local client = server:connect()
    client:send(post("/events", "Accept: text/event-stream", "Transfer-Encoding: chunked"))
    client:send(chunk("one"))
    assert.truthy(client:receive_until("data: one\n\n"))
    client:send(chunk("two"))
    assert.truthy(client:receive_until("data: two\n\n"))
    client:send("0\r\n\r\n")
    assert.truthy(client:receive_until("\r\n0\r\n\r\n"))
    client:close()
  end)

  it("is the same in any cut, sized or in chunks, and the next request follows it", function()
    local body = "the sea\r\n\r\nGET /"
    for _, bytes in ipairs {
      sized("/echo", body),
      post("/echo", "Transfer-Encoding: chunked") .. chunk(body:sub(1, 5)) .. chunk(body:sub(6)) ..
        "0\r\nTrailer: 1\r\n\r\n",
    } do
      support.each_way(server, bytes .. support.NEXT, function(client)
        assert.equal("POST:" .. body, client:response("POST").body)
        support.next(client)
      end)
    end
  end)

  it("is empty where there is none", function()
    assert.equal("POST:", get_answer(post("/echo", "Content-Length: 0")).body)
    assert.equal("POST:", get_answer(post("/echo")).body)
    assert.equal("GET:", get_answer(support.head("GET /echo HTTP/1.1", "Host: a")).body)
    assert.equal("POST:", get_answer(post("/echo", "Transfer-Encoding: chunked") ..
      "0\r\n\r\n").body)
    local client = server:connect()
    client:send(support.head("HEAD /echo HTTP/1.1", "Host: a"))
    assert.equal(200, client:response("HEAD").status)
  end)

  it("is one of GET, too, where the route asks for it", function()
    assert.equal("GET:abc",
      get_answer(support.head("GET /echo HTTP/1.1", "Host: a", "Content-Length: 3") .. "abc").body)
  end)

  it("of a client of HTTP/1.0 is read as well", function()
    assert.equal("POST:abc",
      get_answer(support.head("POST /echo HTTP/1.0", "Content-Length: 3") .. "abc").body)
  end)

  it("is asked for by 100 Continue when the handler first wants it", function()
    local client = server:connect()
    client:send(post("/later", "Expect: 100-continue", "Content-Length: 2"))
    assert.is_true(client:is_silent())
    server:advance(5)
    assert.equal("HTTP/1.1 100 Continue\r\n\r\n", client:receive(25))
    client:send("hi" .. support.NEXT)
    assert.equal("all", client:response("POST").body)
    support.next(client)
    client:close()
  end)

  it("gets no 100 Continue where the client has not waited for it", function()
    local client = server:connect()
    client:send(post("/told", "Expect: 100-continue", "Content-Length: 2") .. "h")
    client:send("i")
    local response = client:response("POST")
    assert.equal("all:hi", response.body)
    assert.equal(0, #response.interim)
    client:close()
  end)

  it("that nobody has asked for ends the connection after the answer", function()
    local client = server:connect()
    client:send(post("/early", "Expect: 100-continue", "Content-Length: 2"))
    local response = client:response("POST")
    assert.equal(401, response.status)
    assert.equal("close", response.headers.connection)
    assert.equal(0, #response.interim)
    support.ended(client)
  end)

  it("that nobody reads is passed over when it is short", function()
    local client = server:connect()
    client:send(post("/early", "Content-Length: " .. BOUND))
    assert.equal(401, client:response("POST").status)
    client:send(filler(BOUND) .. support.NEXT)
    support.next(client)
    client:close()
  end)

  it("that nobody reads is passed over when it has come in chunks", function()
    local client = server:connect()
    client:send(post("/early", "Transfer-Encoding: chunked") .. chunk("abc") .. "0\r\n\r\n" ..
      support.NEXT)
    assert.equal(401, client:response("POST").status)
    support.next(client)
    client:close()
  end)

  for what, field in pairs {
    ["is long"] = "Content-Length: " .. BOUND + 1, ["has no length"] = "Transfer-Encoding: chunked",
  } do
    it("that nobody reads ends the connection when it " .. what, function()
      local client = server:connect()
      client:send(post("/early", field))
      local response = client:response("POST")
      assert.equal(401, response.status)
      assert.equal("close", response.headers.connection)
      support.ended(client)
    end)
  end

  it("can be left after its first piece", function()
    local client = server:connect()
    client:send(sized("/first", "abc", 6))
    assert.equal("abc", client:response("POST").body)
    client:send("def" .. support.NEXT)
    support.next(client)
    client:close()
  end)

  it("is refused before the handler runs when its length is too large", function()
    support.refused((select(2, pcall(function()
      local client = server:connect()
      client:send(sized("/small", "", 11))
      return client
    end))), 413, "POST")
  end)

  it("that becomes too large in chunks fails for the handler, which answers", function()
    local client = server:connect()
    client:send(post("/small", "Transfer-Encoding: chunked") .. chunk("123456"))
    await_pieces(1)
    client:send(chunk("12345"))
    local response = client:response("POST")
    assert.equal("the body is larger than this route takes EMSGSIZE:123456", response.body)
    assert.equal("close", response.headers.connection)
    client:send(chunk("and more"))
    support.ended(client)
  end)

  for _, case in ipairs {
    { "that is too large", 413, chunk("12345678901") },
    { "with broken chunks", 400, "3\r\nabcd\r\n" },
  } do
    it(case[1] .. " is answered with " .. case[2] .. " in place of a loop that it ends", function()
      local client = server:connect()
      client:send(post("/loop", "Transfer-Encoding: chunked") .. chunk("a"))
      client:send(case[3])
      server:advance(1)
      local response = client:response("POST")
      assert.equal(case[2], response.status)
      assert.equal("close", response.headers.connection)
      support.ended(client)
      assert.same({}, server:log_lines("script error"))
    end)
  end

  it("that stalls while it is awaited fails after body_timeout", function()
    local client = server:connect()
    client:send(sized("/told", "abc", 6))
    server:advance(9.9)
    assert.is_true(client:is_silent())
    server:advance(0.2)
    assert.equal("the body stalled ETIMEDOUT:abc", client:response("POST").body)
    support.ended(client)
  end)

  it("that stalls in a loop is answered with 408", function()
    local client = server:connect()
    client:send(sized("/echo", "abc", 6))
    server:advance(10.1)
    support.refused(client, 408, "POST")
  end)

  it("that comes too slowly fails", function()
    local client = server:connect()
    client:send(sized("/told", "a", 100))
    for count = 1, 3 do
      await_pieces(count)
      server:advance(4)
      client:send("a")
    end
    assert.equal("the body came slower than body_rate ETIMEDOUT:aaa", client:response("POST").body)
    support.ended(client)
  end)

  it("has all the time that the handler takes for itself", function()
    local client = server:connect()
    client:send(sized("/slow", "a", 6))
    for _ = 1, 5 do
      server:advance(95)
      client:send("a")
      server:advance(5)
    end
    server:advance(100)
    assert.equal("all", client:response("POST").body)
    client:close()
  end)

  it("that the peer ends before its length fails, and can be answered", function()
    local client = server:connect()
    client:send(sized("/told", "abc", 6))
    client:finish_sending()
    assert.equal("the body ended before its length (RFC 9112, 8) ECONNRESET:abc",
      client:response("POST").body)
    support.ended(client)
    client = server:connect()
    client:send(sized("/echo", "abc", 6))
    client:finish_sending()
    support.refused(client, 400, "POST")
  end)

  it("fails for a handler whose peer has left", function()
    local client = server:connect()
    client:send(sized("/leave", "abc", 6))
    client:reset()
    assert.is_true(eventually(function()
      return #server:log_lines(
        "left: nil, the peer left before the body was complete, ECONNRESET") == 1
    end))
  end)

  it("ends the loop of a handler whose peer has left, which is no error of the script", function()
    local client = server:connect()
    client:send(sized("/leave-loop", "abc", 6))
    client:reset()
    assert.is_true(eventually(function()
      return #server:log_lines("loop over") == 1
    end))
    assert.same({}, server:log_lines("script error"))
  end)

  it("undoes a handler that is cancelled when its peer leaves", function()
    local client = server:connect()
    client:send(sized("/cancel", "abc", 6))
    client:reset()
    assert.is_true(eventually(function()
      return #server:log_lines("undone") == 1
    end))
    assert.same({}, server:log_lines("went on"))
  end)

  it("is read by one task at a time", function()
    local client = server:connect()
    client:send(sized("/two", "", 3))
    server:advance(1)
    client:send("abc")
    assert.equal("false another task reads this body, all", client:response("POST").body)
    client:close()
  end)

  it("cannot be read as a whole", function()
    local text = get_answer(sized("/mistakes", "abc")).body
    local line = ":%d+: the body of this route is streamed: read it by request:chunks%(%)"
    assert.truthy(text:find(line .. "\n.*" .. line .. "$"), text)
  end)

  it("is no more when its request has been answered", function()
    local client = server:connect()
    client:send(sized("/keep", "abc"))
    assert.equal("kept", client:response("POST").body)
    client:send(support.head("GET /kept HTTP/1.1", "Host: a"))
    assert.equal("nil closed ECLOSED", client:response().body)
    client:close()
  end)
end)

describe("a body that is read as a whole", function()
  setup(function()
    server = support.start(SCRIPT)
  end)

  teardown(function()
    support.stop(server)
  end)

  it("has one piece", function()
    assert.equal("1:abc", get_answer(sized("/whole", "abc")).body)
    assert.equal("0:", get_answer(sized("/whole", "")).body)
  end)

  it("says how to get it in pieces", function()
    assert.truthy(get_answer(sized("/unstreamed", "abc")).body:find("is not streamed", 1, true))
  end)
end)

describe("a route's option body", function()
  it("is 'stream' or nothing", function()
    kit.ask()
    local test = require "lunesse.test"
    local ok, why = pcall(test.load, { ["a.lua"] = [[
      require("lunesse").server():post("/", { body = "whole" }, function() end)
    ]] })
    assert.is_false(ok)
    assert.truthy(tostring(why):find("body is 'stream'", 1, true), why)
  end)
end)

describe("an upload", function()
  it("ends with the server, and leaves no reader behind", function()
    local process = Server.start([[
      local lunesse = require "lunesse"
      lunesse.server():post("/", { body = "stream" }, function(request)
        request:read()
        local piece, why, code = request:read()
        lunesse.log.warn(("end: %s, %s, %s"):format(piece, why, code))
      end)
      lunesse.server():post("/loop", { body = "stream" }, function(request)
        for _ in request:chunks() do lunesse.log.warn("begun") end
      end)
    ]], { args = { "--limit", "drain_timeout=0.1" } })
    local client, other = process:connect(), process:connect()
    client:send(sized("/", "abc", 6))
    client:flush()
    other:send(sized("/loop", "abc", 6))
    assert.is_true(eventually(function()
      return #process:log_lines("begun") == 1
    end))
    process:stop()
    assert.equal(1,
      #process:log_lines("end: nil, the server ended before the body was complete, ECLOSED"))
    assert.same({}, process:log_lines("script error"))
    client:close()
    other:close()
  end)

  it("waits with its peer while its handler does not read, and takes no memory", function()
    local process = Server.start([[
      local lunesse = require "lunesse"
      local options = { body = "stream", body_bytes = 1 << 30 }
      lunesse.server():post("/", options, function(request, response)
        lunesse.sleep(60)
        local size = 0
        for piece in request:chunks() do
          size = size + #piece
          lunesse.sleep(0)
        end
        response:send(tostring(size))
      end)
    ]], { clock = true })
    local before = process:memory()
    local is_watched = Server.is_sanitized() or os.getenv "LUNESSE_WRAP" ~= nil -- frees late
    local client = process:connect()
    local piece = filler(MB)
    client:send(sized("/", "", 100 * MB))
    local sent, count = 0
    repeat -- until neither kernel takes more; what was sent before the request has been looked at
      count = client:send_some(piece)
      if count == 0 then
        process:request { target = "/" }
        count = client:send_some(piece)
      end
      sent = sent + count
    until count == 0 or sent > 90 * MB
    assert.is_true(sent < 50 * MB, sent)
    assert.is_true(is_watched or process:memory() - before < 8 * MB)
    process:advance(60)
    while sent < 100 * MB do
      count = math.min(MB, 100 * MB - sent)
      assert(client:send(piece:sub(1, count)))
      sent = sent + count
    end
    assert.equal(tostring(100 * MB), client:response("POST").body)
    assert.is_true(is_watched or process:memory() - before < 24 * MB)
    client:close()
    process:stop()
  end)
end)
