-- sse:subscribe and sse:unsubscribe, and what a subscribed stream looks like on the wire.

local hub = require "spec.hub.support"
local support = require "spec.sse.support"
local wire = require "spec.support.wire"

local run, chunk = hub.run, hub.chunk

local STREAM = { headers = { ["Accept"] = "text/event-stream" } }

-- `GET /try?code=` runs the Lua of its query with `sse` and `response`, and marks what came of it.
local TRY = [[
server:get("/try", function(request, response)
  local fn = assert(load(request.query.code, "=try", "t", env))
  env.response, env.sse = response, response.sse
  mark(words(select(2, pcall(fn))))
end)
]]

local SINCE = 'since: an id, "earliest", or -n for the newest n events expected'
local GREET = "greet: an event name without line break and NUL expected"

---Runs `code` in the handler of a stream and returns what it returned, or raised.
local function try(server, code)
  local count = #hub.marks(server)
  local client = server:connect()
  local query = code:gsub("[^%w]", function(octet)
    return ("%%%02x"):format(octet:byte())
  end)
  client:send(wire.request { target = "/try?code=" .. query, headers = STREAM.headers })
  local mark = eventually(function()
    return hub.marks(server)[count + 1]
  end)
  client:close()
  return (mark:gsub('\\"', '"'))
end

describe("subscribe", function()
  local server

  setup(function()
    server = hub.start_inside(TRY, { shared = true })
    hub.keep(server, "room")
    hub.keep(server, "other")
  end)

  teardown(function()
    server:stop()
  end)

  after_each(function()
    hub.await_nobody(server, "room") -- the streams of the next test are alone
  end)

  it("answers true, and opens the stream by itself", function()
    assert.equal("true true true",
      try(server, "return sse:subscribe(kept.room), sse.active, response.headers_sent"))
    assert.equal("true true", try(server, "return sse:open(), sse:subscribe(kept.room)"))
  end)

  it("answers EALREADY the second time, and changes nothing then", function()
    assert.equal("nil already subscribed EALREADY", try(server, [[
      sse:subscribe(kept.room)
      return sse:subscribe(kept.room, { since = 'earliest' })]]))
    assert.equal("1", try(server,
      "sse:subscribe(kept.room) sse:subscribe(kept.room) return kept.room.subscribers"))
  end)

  it("answers E2BIG beyond stream_channels, and lets the stream go on", function()
    local limited = hub.start_inside(TRY, { args = { "--limit", "stream_channels=2" } })
    assert.equal("true true nil a stream follows at most stream_channels channels E2BIG",
      try(limited, [[
        local a, b = sse:subscribe(channel("a")), sse:subscribe(channel("b"))
        return a, b, sse:subscribe(channel("c"))]]))
    assert.equal("true true true", try(limited, [[
        sse:subscribe(channel("a"))
        return sse:subscribe(channel("b")), sse:unsubscribe(channel("a")),
          sse:subscribe(channel("c"))]]))
  end)

  it("follows sixteen channels when nobody says otherwise", function()
    assert.equal("16 E2BIG", try(server, [[
      local count, ok, code = -1
      repeat
        count = count + 1
        ok, _, code = sse:subscribe(channel("c" .. count))
      until not ok
      return count, code]]))
  end)

  it("answers ECLOSED after the stream has closed", function()
    assert.equal("nil closed ECLOSED",
      try(server, "sse:send('x') sse:close() return sse:subscribe(kept.room)"))
    assert.equal("nil closed ECLOSED", try(server, [[
      sse:subscribe(kept.room) sse:close()
      return sse:subscribe(kept.other)]]))
    assert.equal(0, hub.subscribers(server, "room"))
  end)

  it("raises on a response that was answered plainly, at the caller's line", function()
    assert.equal("try:2: the response is already sent",
      try(server, "response:send('x')\nsse:subscribe(kept.room)"))
    assert.equal("try:1: the response is already sent",
      try(server, "response:write_head(200) sse:subscribe(kept.room)"))
  end)

  it("refuses what is no channel, no option and no place, at the caller's line", function()
    for arguments, expected in pairs {
      [""] = { 1, "Channel expected, got no value" },
      ["'room'"] = { 1, "Channel expected, got string" },
      ["response"] = { 1, "Channel expected, got Response" },
      ["kept.room, 5"] = { 2, "table expected, got number" },
      ["kept.room, { from = 'x' }"] = { 2, "unknown option 'from'" },
      ["kept.room, { since = 5 }"] = { 2, SINCE }, ["kept.room, { since = true }"] = { 2, SINCE },
      ["kept.room, { since = -1.5 }"] = { 2, SINCE }, ["kept.room, { since = 0/0 }"] = { 2, SINCE },
      ["kept.room, { since = -math.huge }"] = { 2, SINCE },
      ["kept.room, { greet = 5 }"] = { 2, GREET }, ["kept.room, { greet = '' }"] = { 2, GREET },
      ["kept.room, { greet = 'a\\nb' }"] = { 2, GREET },
      ["kept.room, { greet = 'a\\0b' }"] = { 2, GREET },
      ["kept.room, { greet = {} }"] = { 2, GREET },
    } do
      assert.equal(("try:2: bad argument #%d to 'subscribe' (%s)"):format(table.unpack(expected)),
        try(server, "\nsse:subscribe(" .. arguments .. ")"), arguments)
    end
    assert.equal(0, hub.subscribers(server, "room"))
  end)

  it("leaves no way to give a stream ids of one's own", function()
    local why = "try:2: a stream that follows a channel gets its ids from the engine"
    assert.equal(why, try(server, "sse:subscribe(kept.room)\nsse:send(7, 'e', 'x')"))
    assert.equal(why, try(server, "sse:subscribe(kept.room)\nsse:send(lunesse.event { id = 7 })"))
    assert.equal("true true true", try(server, [[
      sse:send(7, "e", "x")
      sse:subscribe(kept.room)
      local ok = sse:send("e", "x")
      return ok, sse:unsubscribe(kept.room), sse:send(7, "e", "x")]]))
  end)

  it("is offered from any handler, not only the stream's own", function()
    local stream = server:stream("/try?code=kept.live%3dsse%20sse%3aopen()")
    stream:comment()
    run(server, "kept.live:subscribe(kept.room) kept.room:publish('x')")
    assert.equal("x", hub.data(stream, 1))
    stream:close()
  end)

  it("does not stand in the way of HEAD, which subscribes nobody", function()
    local response = server:request { method = "HEAD", target = "/on/room" }
    assert.equal(500, response.status) -- the handler took for granted what HEAD has not
    assert.equal(0, hub.subscribers(server, "room"))
  end)
end)

describe("unsubscribe", function()
  local server

  setup(function()
    server = hub.start_inside(TRY, { shared = true })
    hub.keep(server, "room")
    hub.keep(server, "other")
  end)

  teardown(function()
    server:stop()
  end)

  after_each(function()
    hub.await_nobody(server, "room") -- the streams of the next test are alone
  end)

  it("says whether there was something to undo", function()
    assert.equal("false true false", try(server, [[
      sse:open()
      local before = sse:unsubscribe(kept.room)
      sse:subscribe(kept.room)
      return before, sse:unsubscribe(kept.room), sse:unsubscribe(kept.room)]]))
    assert.equal("false false", try(server, "return sse:unsubscribe(kept.room), sse.active"))
    assert.equal("false", try(server, "sse:subscribe(kept.room) sse:close() sse:close() " ..
      "return sse:unsubscribe(kept.other)"))
  end)

  it("stops the channel for this stream at once, what was published in this turn included",
    function()
      local stream = server:stream("/try?code=kept.live%3dsse%20sse%3asubscribe(kept.room)")
      stream:comment()
      local place = run(server, "return kept.room:cursor()")
      run(server, [[
        kept.room:publish("not sent")
        kept.live:unsubscribe(kept.room)
        kept.room:publish("nor this")
        kept.live:send("own")]])
      assert.same({ type = "message", data = "own", id = place, is_chunk = true }, stream:event())
      assert.equal(0, hub.subscribers(server, "room"))
      stream:close()
    end)

  it("leaves the other channels, whose ids are then alone", function()
    local stream = server:stream(
      "/try?code=kept.live%3dsse%20sse%3asubscribe(kept.room)%20sse%3asubscribe(kept.other)")
    stream:comment()
    local first = hub.publish(server, "room", 1)
    assert.equal(first, stream:event().id:match("^(.*),"))
    run(server, "kept.live:unsubscribe(kept.room)")
    hub.publish(server, "room", 2)
    local id = hub.publish(server, "other", 3)
    assert.same({ type = "message", data = "3", id = id, is_chunk = true }, stream:event())
    stream:close()
  end)

  it("refuses what is no channel", function()
    assert.equal("try:1: bad argument #1 to 'unsubscribe' (Channel expected, got nil)",
      try(server, "sse:open() sse:unsubscribe(nil)"))
  end)
end)

describe("the bytes of a subscribed stream", function()
  local CURSOR = "return kept.room:cursor()"

  ---All bytes that a reader of `target` is sent, up to and with the plain text `ending`.
  local function bytes_of(server, target, ending, fields)
    local client = server:connect()
    local request = { target = target, headers = { ["Accept"] = "text/event-stream" } }
    for name, value in pairs(fields or {}) do
      request[name] = value
    end
    client:send(wire.request(request))
    local bytes = assert(client:receive_until(ending))
    return client, bytes
  end

  it("are the head, a comment and the replay, which arrive in one piece", function()
    local server = hub.start_inside()
    hub.keep(server, "room")
    local first = hub.publish(server, "room", "said", "one")
    local second = hub.publish(server, "room", "two\nlines")
    local client = server:connect()
    client:send(wire.request { target = "/on/room?since=earliest", headers = STREAM.headers })
    local bytes = client:receive_some() -- whatever one write put there, and nothing that came later
    local head, body = support.split_head(bytes)
    assert.same(support.stream_head(), support.head_lines(head.head))
    assert.equal(chunk(":\n\n") .. chunk(("id: %s\nevent: said\ndata: one\n\n"):format(first)) ..
      chunk(("id: %s\ndata: two\ndata: lines\n\n"):format(second)), body)
    client:close()
  end)

  it("are the head, a comment and the place, for a reader that has none", function()
    local server = hub.start_inside()
    hub.keep(server, "room")
    hub.publish(server, "room", "old")
    local client = server:connect()
    client:send(wire.request { target = "/on/room", headers = STREAM.headers })
    local _, body = support.split_head(client:receive_some())
    assert.equal(hub.opening(run(server, CURSOR)), body)
    assert.is_true(client:is_silent(0.01))
    client:close()
  end)

  it("are the head and a comment, for a reader that has missed nothing", function()
    local server = hub.start_inside()
    hub.keep(server, "room")
    local id = hub.publish(server, "room", "old")
    local client = server:connect()
    client:send(wire.request { target = "/on/room", headers = {
      ["Accept"] = "text/event-stream", ["Last-Event-ID"] = id,
    } })
    local _, body = support.split_head(client:receive_some())
    assert.equal(chunk(":\n\n"), body)
    assert.is_true(client:is_silent(0.01))
    client:close()
  end)

  it("are exactly one chunk for each event that is published", function()
    local server = hub.start_inside()
    hub.keep(server, "room")
    local client = bytes_of(server, "/on/room", hub.opening(run(server, CURSOR)))
    local id = hub.publish(server, "room", "said", "hello")
    local text = ("id: %s\nevent: said\ndata: hello\n\n"):format(id)
    assert.equal(("%x\r\n%s\r\n"):format(#text, text), (client:receive_some()))
    assert.is_true(client:is_silent(0.01))
    client:close()
  end)

  it("are the bare text for a reader of HTTP/1.0, replayed and live", function()
    local server = hub.start_inside()
    hub.keep(server, "room")
    local first = hub.publish(server, "room", "one")
    local client, bytes = bytes_of(server, "/on/room?since=earliest", "data: one\n\n",
      { version = "1.0" })
    local head, body = support.split_head(bytes)
    assert.is_nil(head.headers["transfer-encoding"])
    assert.equal(":\n\nid: " .. first .. "\ndata: one\n\n", body)
    local second = hub.publish(server, "room", "two")
    assert.equal("id: " .. second .. "\ndata: two\n\n", (client:receive_some()))
    run(server, "kept.room:close()")
    assert.same({ "", "closed" }, { client:receive_all() })
    client:close()
  end)

  it("are the same to a reader that takes one byte at a time", function()
    local server = hub.start_inside()
    hub.keep(server, "room")
    hub.publish_numbers(server, "room", 1, 50)
    run(server, "lunesse.after(0.05, function() kept.room:close() end)")
    local client = server:connect()
    client:send(wire.request { target = "/on/room?since=earliest", headers = STREAM.headers })
    client:finish_sending() -- so that the connection ends with the stream
    local bytes = client:receive_slowly(1)
    client:close()
    local count = 0
    for _, text in ipairs(wire.responses(bytes)[1].chunks) do
      local number, data = text:match("^id: %x+%-(%d+)\ndata: (%d+)\n\n$")
      assert.is_true(text == ":\n\n" or number == tostring(count + 1) and number == data, text)
      count = number or count
    end
    assert.equal("50", count)
  end)

  it("name the place in each channel when there are several", function()
    local server = hub.start_inside()
    hub.keep(server, "a")
    hub.keep(server, "b")
    local place_a = run(server, "return kept.a:cursor()")
    local place_b = run(server, "return kept.b:cursor()")
    local client = bytes_of(server, "/on/a,b", hub.opening(place_a .. "," .. place_b))
    place_b = hub.publish(server, "b", "e", "x")
    local text = ("id: %s,%s\nevent: e\ndata: x\n\n"):format(place_a, place_b)
    assert.equal(chunk(text), (client:receive_some()))
    client:close()
  end)

  it("have own events, comments and retries among them, without ids", function()
    local server = hub.start_inside(TRY)
    hub.keep(server, "room")
    local client = bytes_of(server, "/try?code=kept.live%3dsse%20sse%3asubscribe(kept.room)",
      hub.opening(run(server, CURSOR)))
    local ids = run(server, [[
      local room, live = kept.room, kept.live
      local first = room:publish(1)
      live:send("own") live:comment("said") live:retry(2)
      local second = room:publish(2)
      live:send("e", "last")
      return first, second]])
    local first, second = ids:match("^(%S+) (%S+)$")
    assert.equal(chunk(("id: %s\ndata: 1\n\n"):format(first)) .. chunk("data: own\n\n") ..
      chunk(": said\n\n") .. chunk("retry: 2000\n\n") ..
      chunk(("id: %s\ndata: 2\n\n"):format(second)) .. chunk("event: e\ndata: last\n\n"),
      (client:receive_some()))
    client:close()
  end)

  it("end properly after close, with everything that was published before it and nothing after",
    function()
      local server = hub.start_inside(TRY)
      hub.keep(server, "room")
      local client = bytes_of(server, "/try?code=kept.live%3dsse%20sse%3asubscribe(kept.room)",
        hub.opening(run(server, CURSOR)))
      local id = run(server, [[
        local id = kept.room:publish("before")
        kept.live:send("own")
        kept.live:close()
        kept.room:publish("after")
        return id]])
      local before = chunk(("id: %s\ndata: before\n\n"):format(id))
      assert.equal(before .. support.chunks("data: own\n\n"), (client:receive_some()))
      assert.equal(0, hub.subscribers(server, "room"))
      client:close()
    end)
end)
