-- The first bytes of an event stream, literally. HyperExpress 6.16.1 left them out, and its own
-- specs did not see it, because their client did not look.

local support = require "spec.sse.support"
local wire = require "spec.support.wire"
local clock = require "spec.support.clock"

local start = support.start_inside

local ROUTES = [[
local kept
server:get("/open", function(_, response)
  response.sse:open()
  response.sse:close()
end)
server:get("/send", function(_, response)
  response.sse:send("x")
  response.sse:close()
end)
server:get("/comment", function(_, response)
  response.sse:comment("x")
  response.sse:close()
end)
server:get("/retry", function(_, response)
  response.sse:retry(2)
  response.sse:close()
end)
server:get("/open-retry", function(_, response)
  response.sse:open { retry = 2 }
  response.sse:close()
end)
server:get("/close", function(_, response)
  response.sse:close()
end)
server:get("/status", function(_, response)
  response:status(500)
  response.sse:send("x")
  response.sse:close()
end)
server:get("/no-content", function(_, response)
  response:status(204)
  response.sse:send("x")
  response.sse:close()
end)
server:get("/fields", function(_, response)
  response:header("X-One", "1"):header("Access-Control-Allow-Origin", "*")
  response:cookie("a", "b"):cookie("c", "d")
  response.sse:open()
  response.sse:close()
end)
server:get("/timer", function(_, response)
  lunesse.after(0.01, function()
    response.sse:send("x")
    response.sse:close()
  end)
end)
server:get("/slept", function(_, response)
  lunesse.sleep(0.01)
  response.sse:send("x")
  response.sse:close()
end)
server:get("/kept", function(_, response)
  kept = response
  response:once("close", function() kept = nil end)
end)
server:get("/other", function(_, response)
  kept.sse:send("x")
  kept.sse:close()
  response:send("sent")
end)
server:get("/middle", function(_, response, next)
  response:header("X-Middle", "1")
  next()
end, function(_, response)
  response.sse:send("x")
  response.sse:close()
end)
]]

local BODIES = {
  ["/open"] = { ":\n\n" }, ["/close"] = { ":\n\n" },
  ["/fields"] = { ":\n\n" },
  ["/send"] = { ":\n\n", "data: x\n\n" }, ["/comment"] = { ":\n\n", ": x\n\n" },
  ["/retry"] = { ":\n\n", "retry: 2000\n\n" }, ["/open-retry"] = { ":\n\n", "retry: 2000\n\n" },
  ["/status"] = { ":\n\n", "data: x\n\n" }, ["/no-content"] = { ":\n\n", "data: x\n\n" },
  ["/timer"] = { ":\n\n", "data: x\n\n" }, ["/slept"] = { ":\n\n", "data: x\n\n" },
  ["/middle"] = { ":\n\n", "data: x\n\n" },
}

describe("the head of an event stream", function()
  local server

  setup(function()
    server = start(ROUTES, { shared = true, workers = 1 })
  end)

  teardown(function()
    server:stop()
  end)

  ---The head's lines and the body's bytes, from a connection that stays open.
  local function read(target)
    local stream = server:stream(target)
    assert.equal("done", stream:finish())
    stream:close()
    return support.head_lines(stream.head.head), stream:bytes()
  end

  local function check(target, fields)
    local lines, body = read(target)
    assert.same(support.stream_head(fields), lines)
    assert.equal(support.chunks(table.unpack(BODIES[target])), body)
  end

  it("is complete when open comes first", function()
    check("/open")
  end)

  it("is complete when send comes first", function()
    check("/send")
  end)

  it("is complete when a comment comes first", function()
    check("/comment")
  end)

  it("is complete when retry comes first, and when it is an option of open", function()
    check("/retry")
    check("/open-retry")
  end)

  it("is complete when close comes first: an empty stream", function()
    check("/close")
  end)

  it("has status 200, whatever the script set before", function()
    check("/status")
    check("/no-content")
  end)

  it("keeps the fields that the script set before, repeated ones too", function()
    check("/fields", { "X-One: 1", "Access-Control-Allow-Origin: *", "Set-Cookie: a=b",
      "Set-Cookie: c=d" })
    check("/middle", { "X-Middle: 1" })
  end)

  it("is the same from a timer", function()
    check("/timer")
  end)

  it("is the same after the handler has slept", function()
    check("/slept")
  end)

  it("is the same when another request's handler opens the stream", function()
    local client = server:connect()
    client:send(wire.request { target = "/kept", headers = { Accept = "text/event-stream" } })
    assert.is_true(client:is_silent())
    assert.equal("sent", server:request({ target = "/other" }).body)
    local head = client:head()
    assert.same(support.stream_head(), support.head_lines(head.head))
    assert.equal(support.chunks(":\n\n", "data: x\n\n"), (client:receive_until("0\r\n\r\n")))
    client:close()
  end)

  it("says nothing of chunks to HTTP/1.0, where the end of the connection is the end", function()
    for _, headers in ipairs { {}, { Connection = "keep-alive" } } do
      headers.Accept = "text/event-stream"
      local bytes, why = support.raw(server,
        { target = "/send", version = "1.0", headers = headers })
      local head, body = support.split_head(bytes)
      assert.same({
        "HTTP/1.1 200 OK", "Content-Type: text/event-stream",
        "Cache-Control: no-cache, no-transform", "Connection: close", "X-Accel-Buffering: no",
        "Date",
      }, support.head_lines(head.head))
      assert.equal(":\n\ndata: x\n\n", body)
      assert.equal("closed", why)
    end
  end)

  it("repeats Connection: close to a client that says it, and ends the connection", function()
    local bytes, why = support.raw(server, {
      target = "/send", headers = { Accept = "text/event-stream", Connection = "close" },
    })
    local head, body = support.split_head(bytes)
    local expected = support.stream_head()
    expected[4] = "Connection: close"
    assert.same(expected, support.head_lines(head.head))
    assert.equal(support.chunks(":\n\n", "data: x\n\n"), body)
    assert.equal("closed", why)
  end)

  it("is the same for the next stream on the same connection", function()
    local client = server:connect()
    for _ = 1, 3 do
      client:send(wire.request { target = "/send", headers = { Accept = "text/event-stream" } })
      assert.same(support.stream_head(), support.head_lines(client:head().head))
      assert.equal(support.chunks(":\n\n", "data: x\n\n"), (client:receive_until("0\r\n\r\n")))
    end
    client:close()
  end)

  it("is the same for every cut of the request", function()
    local request = wire.request {
      target = "/send?a=b", headers = { { "Accept", "text/event-stream" }, { "X-Pad", "1" } },
    }
    wire.cut_everywhere(server, request, function(client, at)
      assert.same(support.stream_head(), support.head_lines(client:head().head), at)
      assert.equal(support.chunks(":\n\n", "data: x\n\n"), (client:receive_until("0\r\n\r\n")), at)
    end)
  end)

  it("is the same to a reader that takes one byte at a time", function()
    local client = server:connect()
    client:send(wire.request {
      target = "/send", headers = { Accept = "text/event-stream", Connection = "close" },
    })
    local bytes, why = client:receive_slowly(1)
    client:close()
    assert.equal(support.chunks(":\n\n", "data: x\n\n"), (select(2, support.split_head(bytes))))
    assert.equal("closed", why)
  end)
end)

describe("open", function()
  it("sends head and first comment at once, in one write, and nothing after them", function()
    local server = start [[
server:get("/", function(_, response)
  response.sse:open()
  hold()
end)
]]
    for _ = 1, 20 do
      local client = server:connect()
      client:send(wire.request { headers = { Accept = "text/event-stream" } })
      local bytes = client:receive_some()
      local _, body = support.split_head(bytes)
      assert.equal(support.chunk(":\n\n"), body)
      assert.is_true(client:is_silent(0.005))
      client:close()
    end
  end)

  it("sends what follows in the same turn in the same write", function()
    local server = start [[
server:get("/", function(_, response)
  response.sse:open()
  response.sse:send("connected")
  hold()
end)
]]
    local client = server:connect()
    client:send(wire.request { headers = { Accept = "text/event-stream" } })
    local _, body = support.split_head(client:receive_some())
    assert.equal(support.chunk(":\n\n") .. support.chunk("data: connected\n\n"), body)
    client:close()
  end)

  it("answers nil when it is called again, and changes nothing", function()
    local server = start [[
server:get("/", function(_, response)
  local sse = response.sse
  mark(tostring(sse.active), tostring(sse:open()), tostring(sse.active))
  mark(table.concat({ tostring(sse:open { retry = 1 }), select(2, sse:open()) }, " "))
  sse:send("x")
  mark(tostring(sse:open()))
  sse:close()
  mark(tostring((sse:open())), select(2, sse:open()))
end)
]]
    assert.equal(support.chunks(":\n\n", "data: x\n\n"), (support.stream_bytes(server, "/")))
    support.await_marks(server, {
      "false true true", "nil already open EALREADY", "nil", "nil closed ECLOSED",
    })
  end)

  it("raises for an option that it does not know, and for values that make no sense", function()
    local server = start [[
for name, options in pairs {
  unknown = { heart = 1 }, text = { retry = "soon" }, negative = { retry = -1 },
  beat = { heartbeat = "often" }, beatneg = { heartbeat = -1 }, number = 5,
} do
  server:get("/" .. name, function(_, response)
    local ok, message = pcall(response.sse.open, response.sse, options)
    response:send(tostring(ok) .. " " .. tostring(message))
  end)
end
]]
    assert.matches("^false .*unknown option 'heart'", support.get(server, "/unknown"))
    assert.matches("^false .*retry: seconds", support.get(server, "/text"))
    assert.matches("^false .*retry: seconds", support.get(server, "/negative"))
    assert.matches("^false .*heartbeat: seconds", support.get(server, "/beat"))
    assert.matches("^false .*heartbeat: seconds", support.get(server, "/beatneg"))
    assert.matches("^false .*table expected", support.get(server, "/number"))
  end)

  it("cannot be followed by header, status or a plain answer: that raises", function()
    local server = start [[
server:get("/", function(_, response)
  response.sse:open()
  mark(tostring(pcall(response.header, response, "Content-Type", "text/plain")))
  mark(tostring(pcall(response.status, response, 404)))
  mark(tostring(pcall(response.send, response, "plain")))
  mark(tostring(pcall(response.write, response, "data: bytes\n\n")))
  mark(tostring(pcall(response.finish, response)))
  mark(tostring(pcall(response.write_head, response, 200, {})))
  mark(tostring(pcall(response.json, response, {})), tostring(response.headers_sent))
  response.sse:close()
end)
]]
    assert.equal(support.chunks(":\n\n"), (support.stream_bytes(server, "/")))
    support.await_marks(server,
      { "false", "false", "false", "false", "false", "false", "false true" })
  end)

  it("raises when a plain answer is out already", function()
    local server = start [[
server:get("/", function(_, response)
  local sse = response.sse
  response:send("plain")
  local ok, message = pcall(sse.open, sse)
  mark(tostring(ok), message:match("%a.*$"))
  ok, message = pcall(sse.send, sse, "x")
  mark(tostring(ok))
end)
]]
    assert.equal("plain", support.get(server, "/"))
    support.await_marks(server, { "false the response is already sent", "false" })
  end)
end)

describe("fields in the engine's care", function()
  it("cannot be set by a script, neither on a stream nor elsewhere", function()
    local server = start [[
server:get("/", function(_, response)
  local said = {}
  for _, name in ipairs { "Connection", "transfer-encoding", "Content-Length", "Date", "Keep-Alive",
    "Trailer", "Upgrade" } do
    said[#said + 1] = tostring(pcall(response.header, response, name, "1"))
    said[#said + 1] = tostring(pcall(response.add_header, response, name, "1"))
    said[#said + 1] = tostring(pcall(response.write_head, response, 200, { [name] = "1" }))
  end
  said[#said + 1] = tostring(response.headers_sent)
  response:send(table.concat(said, " "))
end)
]]
    assert.equal(("false "):rep(22):sub(1, -2), support.get(server, "/"))
  end)

  it("raises for CR, LF and NUL in names and values", function()
    local server = start [[
server:get("/", function(_, response)
  local said = {}
  for _, bad in ipairs { "a\r\nX: 1", "a\nb", "a\rb", "a\0b", "a\n", "\r" } do
    said[#said + 1] = tostring(pcall(response.header, response, "X-A", bad))
    said[#said + 1] = tostring(pcall(response.header, response, bad, "1"))
    said[#said + 1] = tostring(pcall(response.type, response, bad))
    said[#said + 1] = tostring(pcall(response.redirect, response, bad))
  end
  response:status(200):send(table.concat(said, " "))
end)
]]
    local response = server:request {}
    assert.equal(("false "):rep(24):sub(1, -2), response.body)
    assert.is_nil(response.headers["x-a"])
    assert.is_nil(response.headers["location"])
  end)
end)

describe("the reverse proxy in front", function()
  it("is told not to hold events back: no-transform and X-Accel-Buffering", function()
    local server = start [[
server:get("/", function(_, response) response.sse:close() end)
]]
    local stream = server:stream("/")
    assert.equal("no-cache, no-transform", stream.head.headers["cache-control"])
    assert.equal("no", stream.head.headers["x-accel-buffering"])
    stream:close()
  end)

  it("sees a byte every 15 seconds by default, long before its usual minute", function()
    local server = start([[
server:get("/", function(_, response) response.sse:open() hold() end)
]], { clock = true })
    local stream = server:stream("/")
    assert.equal("", stream:comment())
    server:advance(14.5)
    assert.is_true(stream:is_silent(0.01))
    server:advance(0.6)
    assert.equal("", stream:comment())
    stream:close()
  end)
end)

describe("HEAD on a stream route", function()
  local ROUTE = [[
server:get("/", function(_, response)
  mark("sse is", tostring(response.sse))
  if not response.sse then
    return response:status(400):send("streams only")
  end
  response.sse:send("x")
  hold()
end)
server:get("/by-hand", function(_, response)
  response:write("one")
  response:finish("two")
end)
]]

  it("gets a head alone, and starts no stream", function()
    local server = start(ROUTE)
    local client = server:connect()
    for _ = 1, 2 do
      client:send(wire.request { method = "HEAD", headers = { Accept = "text/event-stream" } })
      local response = client:response("HEAD", 1)
      assert.equal(400, response.status)
      assert.equal("12", response.headers["content-length"])
    end
    client:send(wire.request { method = "HEAD", target = "/by-hand" })
    assert.equal(200, client:response("HEAD", 1).status)
    assert.is_true(client:is_silent(0.01))
    client:close()
    support.await_marks(server, { "sse is nil", "sse is nil" })
  end)
end)

describe("the time to the first byte", function()
  it("does not wait for the first event", function()
    local server = support.start [[
server:get("/", function(_, response)
  response.sse:open()
  hold()
end)
]]
    local began = clock.now()
    local stream = server:stream("/")
    assert.equal("", stream:comment())
    assert.is_true(clock.now() - began < 0.2 * clock.slow)
    stream:close()
  end)
end)
