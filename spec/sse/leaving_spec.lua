-- How a stream ends: `close` exactly once with its reason, whoever ends it and however.

local support = require "spec.sse.support"
local wire = require "spec.support.wire"
local clock = require "spec.support.clock"

local start, await_marks = support.start_inside, support.await_marks

-- A stream whose close is marked with its reason; its handler waits for good.
local HELD = [[
server:get("/", function(_, response)
  response:on("close", function(reason) mark("close", reason) end)
  response.sse:open()
  mark("open")
  hold()
  mark("resumed")
end)
]]

local STREAM = { headers = { Accept = "text/event-stream" } }

---Opens a stream on "/" and reads its first comment.
local function open(server, target)
  local stream = server:stream(target or "/")
  stream:comment()
  return stream
end

describe("close", function()
  it("fires once with 'finished' when the script ends the stream", function()
    local server = start [[
server:get("/", function(_, response)
  response:on("close", function(reason) mark("close", reason) end)
  response:once("close", function(reason) mark("once", reason) end)
  response:on("finish", function() mark("finish") end)
  response:on("abort", function() mark("abort") end)
  response.sse:send("x")
  mark(tostring(response.sse:close()), tostring(response.sse:close()))
end)
]]
    support.stream_bytes(server, "/")
    await_marks(server, { "true true", "finish", "close finished", "once finished" })
  end)

  it("fires once with 'left' when the peer closes", function()
    local server = start(HELD)
    open(server):close()
    await_marks(server, { "open", "close left" })
  end)

  it("fires once with 'left' when the peer resets the connection", function()
    local server = start(HELD)
    open(server):reset()
    await_marks(server, { "open", "close left" })
  end)

  it("fires once with 'failed' when the handler raises after the head", function()
    local server = start [[
server:get("/", function(_, response)
  response:on("close", function(reason) mark("close", reason) end)
  response.sse:send("x")
  error("oh no")
end)
]]
    local bytes, why = support.stream_bytes(server, "/")
    local sent = support.chunk(":\n\n") .. support.chunk("data: x\n\n") -- without the last chunk
    assert.same({ sent, "closed" }, { bytes, why })
    await_marks(server, { "close failed" })
  end)

  it("fires once with 'timeout' when the peer takes nothing for peer_timeout", function()
    local server = start([[
server:get("/", function(_, response)
  response:on("close", function(reason) mark("close", reason) end)
  local sse = response.sse
  while true do sse:send(("x"):rep(8000)) end
end)
]], { clock = true, args = { "--limit", "peer_timeout=20" } })
    local client = server:connect { receive_buffer = 4096 }
    client:send(wire.request(STREAM))
    client:head()
    -- The kernel may still be taking bytes: then the time counts anew, so it is moved again.
    eventually(function()
      server:advance(21)
      return #support.marks(server) > 0
    end)
    await_marks(server, { "close timeout" })
    client:close()
  end)

  it("fires once with 'shutdown' when the server ends", function()
    local server = start(HELD)
    local stream = open(server)
    await_marks(server, { "open" })
    server:stop()
    assert.same({ "open", "close shutdown" }, support.marks(server))
    assert.equal("closed", stream:finish())
    stream:close()
  end)

  it("fires on a plain answer as well, with 'finished'", function()
    local server = start [[
server:get("/", function(_, response)
  response:on("close", function(reason) mark("close", reason) end)
  response:once("finish", function() mark("finish") end)
  response:send("x")
end)
]]
    assert.equal("x", support.get(server, "/"))
    await_marks(server, { "finish", "close finished" })
  end)

  it("fires at the response's end, not when the request's body has been read", function()
    local server = start [[
server:post("/", function(request, response)
  response:on("close", function(reason) mark("close", reason) end)
  mark("body", request:text())
  response.sse:open()
  hold()
end)
]]
    local stream = server:stream("/", { method = "POST", body = "hello" })
    stream:comment()
    assert.is_true(stream:is_silent(0.02))
    assert.same({ "body hello" }, support.marks(server))
    stream:close()
    await_marks(server, { "body hello", "close left" })
  end)

  it("runs at once when it is registered after the end", function()
    local server = start [[
server:get("/", function(_, response)
  response:once("close", function()
    response:once("close", function(reason) mark("late once", reason) end)
    response:on("close", function(reason) mark("late on", reason) end)
    lunesse.sleep(0.02)
    response:once("close", function(reason) mark("later", reason) end)
    response:once("drain", function() mark("drain") end)
    response:once("finish", function() mark("finish") end)
    response:once("abort", function() mark("abort") end)
  end)
  response.sse:open()
  hold()
end)
]]
    open(server):close()
    await_marks(server, { "late once left", "late on left", "later left", "abort" })
  end)

  it("runs at once for a handler that learns late that the peer has left", function()
    local server = start([[
server:get("/", { on_leave = "detach" }, function(_, response)
  response.sse:open()
  lunesse.sleep(0.1)
  response:once("close", function(reason) mark("close", reason) end)
end)
server:get("/plain", function(_, response)
  mark("started")
  lunesse.sleep(0.1)
  response:once("close", function(reason) mark("plain", reason) end)
end)
]], { clock = true })
    open(server):close()
    server:advance(0.1)
    await_marks(server, { "close left" })
    local client = server:connect()
    client:send(wire.request { target = "/plain" })
    await_marks(server, { "close left", "started" })
    client:reset()
    server:advance(0.1)
    await_marks(server, { "close left", "started", "plain left" })
  end)

  it("is not fired for a listener that was taken off", function()
    local server = start [[
server:get("/", function(_, response)
  local function no() mark("no") end
  response:on("close", no):on("close", no):once("close", no):on("close", function() mark("yes") end)
  response:off("close", no)
  response.sse:close()
end)
]]
    support.stream_bytes(server, "/")
    await_marks(server, { "yes" })
  end)

  it("lets its listeners wait, send to others, and fail on their own", function()
    local server = start([[
local first
server:get("/first", function(_, response)
  first = response.sse
  first:open()
  hold()
end)
server:get("/", function(_, response)
  response:on("close", function() error("in a listener") end)
  response:on("close", function()
    lunesse.sleep(0.01)
    mark(tostring(first:send("left")), tostring((select(2, response.sse:send("x")))))
  end)
  response.sse:open()
  hold()
end)
]], { workers = 1 })
    local first = open(server, "/first")
    open(server, "/"):close()
    assert.equal("left", first:event().data)
    first:close()
    await_marks(server, { "true closed" })
    assert.equal(1, #server:log_lines("in a listener"))
  end)

  it("fires within 100 ms of the peer's closing, in every way of closing", function()
    local server = support.start(HELD)
    for round, how in ipairs { "close", "reset", "close", "reset" } do
      local stream = open(server)
      local before = #support.marks(server)
      local began = clock.now()
      stream[how](stream)
      eventually(function()
        return support.marks(server)[2 * round] == "close left" and before < 2 * round
      end, 0.5)
      assert.is_true(clock.now() - began < 0.1 * clock.slow, how .. " took too long")
    end
  end)

  it("fires for a peer that left before the stream was opened", function()
    for _, how in ipairs { "close", "reset" } do
      local server = start [[
server:get("/", function(_, response)
  response:on("close", function(reason) mark("close", reason) end)
  mark("started")
  lunesse.sleep(0.05)
  mark(tostring(response.sse:open()))
  hold()
end)
]]
      local client = server:connect()
      client:send(wire.request(STREAM))
      await_marks(server, { "started" })
      client[how](client)
      eventually(function()
        local marks = support.marks(server)
        return marks[#marks] == "close left" or marks[#marks - 1] == "close left"
      end)
    end
  end)

  it("fires for each of a hundred streams that leave together", function()
    local server = start(HELD)
    local streams = {}
    for i = 1, 100 do
      streams[i] = open(server)
    end
    for i = 1, 100 do
      local how = i % 2 == 0 and "close" or "reset"
      streams[i][how](streams[i])
    end
    eventually(function()
      return #support.marks(server) == 200
    end)
    local count = 0
    for _, mark in ipairs(support.marks(server)) do
      count = count + (mark == "close left" and 1 or 0)
    end
    assert.equal(100, count)
  end)
end)

describe("a half-close", function()
  it("does not end the stream: what is sent later still arrives", function()
    local server = support.start [[
server:get("/", function(_, response)
  response:on("close", function(reason) mark("close", reason) end)
  local sse = response.sse
  sse:open()
  for n = 1, 5 do lunesse.sleep(0.03) sse:send(n) end
  sse:close()
end)
]]
    local stream = server:stream("/")
    stream.client:finish_sending()
    assert.equal("done", stream:finish(3))
    assert.equal(5, #stream.parser.events)
    assert.equal("5", stream.parser.events[5].data)
    stream:close()
    await_marks(server, { "close finished" })
  end)

  it("together with the request is fine as well, as from printf | nc", function()
    local server = support.start [[
server:get("/", function(_, response)
  for n = 1, 3 do response.sse:send(n) lunesse.sleep(0.02) end
  response.sse:close()
end)
]]
    local client = server:connect()
    client:send(wire.request(STREAM))
    client:finish_sending()
    local bytes, why = client:receive_all()
    client:close()
    local _, body = support.split_head(bytes)
    assert.matches("data: 3\n\n", body, 1, true)
    assert.equal("0\r\n\r\n", body:sub(-5))
    assert.equal("closed", why)
  end)

  it("may be followed by the peer's leaving, which is noticed with the next event", function()
    local server = support.start([[
local sse
server:get("/", function(_, response)
  response:on("close", function(reason) mark("close", reason) end)
  sse = response.sse
  sse:open()
  hold()
end)
server:get("/send", function(_, response) sse:send("x") response:send("sent") end)
]], { workers = 1 })
    local stream = open(server)
    stream.client:finish_sending()
    assert.equal("", stream:comment())
    support.get(server, "/send")
    assert.equal("x", stream:event().data)
    stream:close()
    support.get(server, "/send")
    await_marks(server, { "close left" }, 0.5)
  end)

  it("may be followed by the peer's leaving, which is noticed with the next heartbeat", function()
    local server = support.start(HELD, { clock = true })
    local stream = open(server)
    stream.client:finish_sending()
    assert.equal("", stream:comment())
    for _ = 1, 10 do
      server:advance(1) -- now it is known that the peer reads on
    end
    stream:close()
    server:advance(15.1)
    await_marks(server, { "open", "close left" }, 0.5)
  end)

  -- What Chromium does with an EventSource that is closed right after it opened: TCP says nothing
  -- of the second step, and it would be noticed 15 s later.
  it("may be followed by the peer's leaving, which is noticed 0.1 to 3 s after", function()
    local server = support.start(HELD, { clock = true })
    local pauses = { 0.1, 0.2, 0.7, 2 }
    for last = 1, #pauses do
      local stream = open(server)
      stream.client:finish_sending()
      assert.equal("", stream:comment())
      for i = 1, last - 1 do
        server:advance(pauses[i])
        assert.equal("", stream:comment())
      end
      stream:close() -- everything was read: the peer's kernel has nothing to say
      server:advance(pauses[last])
      eventually(function()
        return support.marks(server)[2 * last] == "close left"
      end)
    end
  end)

  it("is asked about four times within 3 s, and then only by heartbeats", function()
    local server = support.start([[
server:get("/:heartbeat", function(request, response)
  response:on("close", function(reason) mark("close", reason) end)
  response.sse:open { heartbeat = request.params.heartbeat == "yes" and 15 }
  hold()
end)
]], { clock = true })
    local function asked(target)
      local stream = open(server, target)
      stream.client:finish_sending()
      assert.equal("", stream:comment())
      for _, pause in ipairs { 0.1, 0.2, 0.7, 2 } do
        server:advance(pause)
        assert.equal("", stream:comment())
      end
      return stream
    end
    local without = asked "/no"
    local with = asked "/yes"
    server:advance(14)
    assert.is_true(with:is_silent(0.05))
    server:advance(1.1)
    assert.equal("", with:comment())
    server:advance(1000)
    assert.is_true(without:is_silent(0.05))
    assert.same({}, support.marks(server))
    with:close()
    without:close()
  end)

  it("leaves the heartbeat running", function()
    local server = support.start([[
server:get("/", function(_, response) response.sse:open() hold() end)
]], { clock = true })
    local stream = open(server)
    stream.client:finish_sending()
    assert.equal("", stream:comment())
    for _ = 1, 9 do
      server:advance(1)
    end
    server:advance(16)
    assert.equal("", stream:comment())
    stream:close()
  end)
end)

describe("a pipelined request behind an open stream", function()
  it("neither ends the stream nor loses bytes, and is answered after it", function()
    local server = start [[
server:get("/", function(_, response)
  local sse = response.sse
  for n = 1, 5 do sse:send(n) lunesse.sleep(0.01) end
  sse:close()
end)
server:get("/next", function(_, response) response:send("next") end)
]]
    local client = server:connect()
    client:send(wire.request(STREAM) .. wire.request { target = "/next" })
    local response = client:response()
    local expected = { ":\n\n" }
    for n = 1, 5 do
      expected[#expected + 1] = ("data: %d\n\n"):format(n)
    end
    assert.equal(table.concat(expected), response.body)
    assert.equal("next", client:response().body)
    client:close()
  end)

  it("may come late and in pieces", function()
    local server = start([[
server:get("/", function(request, response)
  local sse = response.sse
  while not done do sse:send("x") lunesse.sleep(0.005) end
  sse:close()
end)
server:post("/done", function(_, response) done = true response:send("done") end)
server:get("/next", function(_, response) response:send("next") end)
]], { workers = 1 })
    local stream = server:stream("/")
    stream:event()
    stream.client:send_bytewise(wire.request { target = "/next" })
    stream:event()
    server:request { method = "POST", target = "/done", body = "" }
    -- Behind the last chunk stands the answer, so the parser of chunks must not see it.
    local rest = stream.client:receive_until("0\r\n\r\n")
    assert.matches("0\r\n\r\n$", rest)
    assert.equal("next", stream.client:response().body)
    stream:close()
  end)
end)

describe("send and close in one turn", function()
  it("deliver everything", function()
    local server = start [[
server:get("/", function(_, response)
  local sse = response.sse
  for n = 1, 100 do sse:send(n) end
  sse:close()
end)
server:get("/timer", function(_, response)
  lunesse.after(0.01, function() response.sse:send("x") response.sse:close() end)
end)
]]
    local stream = server:stream("/")
    assert.equal("done", stream:finish())
    assert.equal(100, #stream.parser.events)
    assert.equal("100", stream.parser.events[100].data)
    stream:close()
    assert.equal(support.chunks(":\n\n", "data: x\n\n"), (support.stream_bytes(server, "/timer")))
  end)

  it("deliver to a slow reader what it takes a while to read", function()
    local server = support.start [[
server:get("/", function(_, response)
  local sse = response.sse
  sse:send(("x"):rep(900000))
  sse:close()
  mark(tostring(sse.active))
end)
]]
    local client = server:connect { receive_buffer = 4096 }
    client:send(wire.request(STREAM))
    await_marks(server, { "false" })
    assert.equal(900000, #client:response("GET", 5).body - #":\n\ndata: \n\n")
    client:close()
  end)
end)

describe("every method after the stream has closed", function()
  local CALLS = [[
local function all(response)
  local sse = response.sse
  local function say(name, ...) mark(name, tostring((...)), select(2, ...), select(3, ...)) end
  say("send", sse:send("x"))
  say("send2", sse:send("e", "x"))
  say("send4", sse:send(lunesse.event { data = "x" }))
  say("comment", sse:comment("x"))
  say("retry", sse:retry(1))
  say("open", sse:open())
  mark("close", tostring(sse:close()), tostring(sse.active))
end
]]
  local EXPECTED = {
    "send nil closed ECLOSED", "send2 nil closed ECLOSED", "send4 nil closed ECLOSED",
    "comment nil closed ECLOSED", "retry nil closed ECLOSED", "open nil closed ECLOSED",
    "close true false",
  }

  it("answers nil, 'closed', 'ECLOSED' in the handler that closed it", function()
    local server = start(CALLS .. [[
server:get("/", function(_, response)
  response.sse:send("x")
  response.sse:close()
  all(response)
end)
]])
    assert.equal(support.chunks(":\n\n", "data: x\n\n"), (support.stream_bytes(server, "/")))
    await_marks(server, EXPECTED)
  end)

  it("answers so after the peer has left, in listeners, closers, timers and elsewhere", function()
    local server = start(CALLS .. [[
local kept
server:get("/:place", function(request, response)
  local place = request.params.place
  kept = response
  local sse = response.sse
  sse:open()
  if place == "listener" then response:on("close", function() all(response) end) end
  if place == "timer" then
    local timer
    timer = lunesse.every(0.01, function()
      if not sse.active then timer:stop() all(response) end
    end, { detached = true })
  end
  local guard <close> = setmetatable({}, { __close = function()
    if place == "closer" then all(response) end
  end })
  hold()
end)
server:post("/all", function(_, response) all(kept) response:send("done") end)
]], { workers = 1 })
    local expected = {}
    for _, place in ipairs { "listener", "timer", "closer" } do
      open(server, "/" .. place):close()
      table.move(EXPECTED, 1, #EXPECTED, #expected + 1, expected)
      await_marks(server, expected)
    end
    open(server, "/elsewhere"):close()
    eventually(function()
      return support.access_line(server, "/elsewhere")
    end)
    server:request { method = "POST", target = "/all", body = "" }
    table.move(EXPECTED, 1, #EXPECTED, #expected + 1, expected)
    await_marks(server, expected)
  end)

  it("does not matter to the properties: pending is 0, active is false", function()
    local server = start [[
server:get("/", function(_, response)
  local sse = response.sse
  mark(tostring(sse.active), sse.pending)
  sse:send("x")
  mark(tostring(sse.active), tostring(sse.pending > 0))
  response:on("close", function()
    mark(tostring(sse.active), sse.pending, tostring(sse.last_event_id))
    mark(tostring(response.headers_sent), tostring(response.completed))
    mark(tostring(response.sse == sse))
  end)
  hold()
end)
]]
    server:stream("/", { last_event_id = "7" }):close()
    await_marks(server, { "false 0", "true true", "false 0 7", "true true", "true" })
  end)
end)
