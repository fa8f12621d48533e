-- Readers that are slower than their senders, and silence: waiting, bounds in bytes, resets, and
-- heartbeats.

local support = require "spec.sse.support"
local wire = require "spec.support.wire"
local sse = require "spec.support.sse"
local clock = require "spec.support.clock"

local start, await_marks = support.start, support.await_marks

local STREAM = { headers = { Accept = "text/event-stream" } }
local MIB = 1024 * 1024

-- A loop that sends as fast as it may; what it has sent and what is pending can be asked for.
local FAST = [[
local count, most, live = 0, 0, nil
server:get("/", function(request, response)
  response:on("close", function(reason) mark("close", reason) end)
  response:on("drain", function() drains = (drains or 0) + 1 end)
  live = response.sse
  local pad = ("x"):rep(tonumber(request.query.pad or 1000))
  for n = 1, tonumber(request.query.count or 1e9) do
    live:send(n, "e", pad)
    count = n
    most = math.max(most, live.pending)
  end
  live:close()
end)
server:get("/state", function(_, response)
  response:json { count = count, most = most, pending = live.pending, drains = drains or 0 }
end)
server:get("/tick", function(_, response)
  for n = 1, 50 do response.sse:send(n) lunesse.sleep(0.002) end
  response.sse:close()
end)
]]

local function state(server)
  local text = support.get(server, "/state")
  return {
    count = tonumber(text:match('"count":([%d.e+]+)')),
    most = tonumber(text:match('"most":([%d.e+]+)')),
    pending = tonumber(text:match('"pending":([%d.e+]+)')),
    drains = tonumber(text:match('"drains":([%d.e+]+)')),
  }
end

---A connection with a small receive buffer that has asked for `target` and reads nothing.
local function stalled(server, target)
  local client = server:connect { receive_buffer = 4096 }
  client:send(wire.request { target = target, headers = STREAM.headers })
  return client
end

---Waits until the loop of FAST sends no more, and returns its state.
local function settled(server)
  local last, looks = -1, 0
  return eventually(function()
    local now = state(server)
    looks = now.count == last and looks + 1 or 0
    last = now.count
    return looks >= 10 and now.count > 0 and now
  end)
end

---The events and chunks of everything that `client` says until the last chunk.
local function read_events(client, seconds)
  client:head()
  local chunked, parser = sse.chunked(), sse.parser()
  local deadline = clock.deadline(seconds or 10)
  while not chunked.is_done and clock.now() < deadline do
    for _, chunk in ipairs(chunked:feed(client:receive_some(5))) do
      parser:feed(chunk)
    end
    chunked.chunks = {}
  end
  assert.is_true(chunked.is_done)
  return parser.events
end

describe("a fast sender to a reader that does not read", function()
  it("waits: what is pending is bounded by the high-water mark and one event", function()
    local server = start(FAST, { workers = 1, clock = true })
    local client = stalled(server, "/")
    local now = settled(server)
    assert.is_true(now.most <= 64 * 1024 + 2048, "pending reached " .. now.most)
    assert.is_true(now.pending > 0)
    client:close()
    await_marks(server, { "close left" })
  end)

  it("waits by the bytes that stream_high_bytes says, not by the number of events", function()
    for _, size in ipairs { 2000, 200000 } do
      local server = start(FAST, {
        workers = 1, clock = true, args = { "--limit", "stream_high_bytes=" .. size },
      })
      local client = stalled(server, "/?pad=40")
      local now = settled(server)
      assert.is_true(now.most <= size + 100, size .. ": pending reached " .. now.most)
      assert.is_true(now.most > size - 100, size .. ": pending reached only " .. now.most)
      client:close()
      await_marks(server, { "close left" })
    end
  end)

  it("keeps the program's memory where it is", function()
    local server = start(FAST, { workers = 1, clock = true })
    local client = stalled(server, "/")
    settled(server)
    local before = server:memory()
    local others = {}
    for i = 1, 20 do
      others[i] = stalled(server, "/")
    end
    settled(server)
    -- Twenty times the mark, and as much again for buffers that grow by doubling.
    assert.is_true(server:memory() - before < 20 * 4 * 64 * 1024 + 8 * MIB,
      "grew by " .. server:memory() - before)
    for _, other in ipairs(others) do
      other:close()
    end
    client:close()
  end)

  it("resumes when the reader reads, and every byte arrives in order", function()
    local server = start(FAST, { workers = 1, clock = true })
    local client = stalled(server, "/?count=5000")
    local now = settled(server)
    assert.is_true(now.count < 5000)
    local events = read_events(client)
    assert.equal(5000, #events)
    for n, event in ipairs(events) do
      if event.id ~= tostring(n) or #event.data ~= 1000 then
        error(("event %d has id %s and %d bytes"):format(n, event.id, #event.data))
      end
    end
    client:close()
    await_marks(server, { "close finished" })
    assert.is_true(state(server).drains > 0)
  end)

  it("does not hold others up", function()
    local server = start(FAST, { workers = 1, clock = true })
    local slow = stalled(server, "/")
    settled(server)
    local stream = server:stream("/tick")
    assert.equal("done", stream:finish())
    assert.equal(50, #stream.parser.events)
    stream:close()
    slow:close()
  end)

  it("does not starve others while its reader does read", function()
    local server = start(FAST)
    local fast = server:connect()
    fast:send(wire.request(STREAM))
    fast:head()
    local ticks = server:stream("/tick")
    local deadline = clock.deadline(5)
    while #ticks.parser.events < 50 and clock.now() < deadline do
      fast:receive_some()
      ticks:_read(clock.now() + 0.001)
    end
    assert.equal(50, #ticks.parser.events)
    ticks:close()
    fast:close()
  end)

  it("is cut off after peer_timeout", function()
    local server = start(FAST, { workers = 1, clock = true })
    local client = stalled(server, "/")
    settled(server)
    eventually(function()
      server:advance(61)
      return #support.marks(server) > 0
    end)
    await_marks(server, { "close timeout" })
    client:close()
  end)
end)

describe("senders that do not wait", function()
  -- Each timer is a task of its own, so that none waits for another.
  local TIMERS = [[
server:get("/", function(_, response)
  response:on("close", function(reason) mark("close", reason) end)
  response.sse:open()
  for _ = 1, 400 do
    lunesse.after(0.05, function() response.sse:send(("x"):rep(10000)) end)
  end
end)
server:get("/tick", function(_, response)
  for n = 1, 100 do response.sse:send(n) lunesse.sleep(0.002) end
  response.sse:close()
end)
]]

  it("have their reader reset as slow when the queue passes stream_max_bytes", function()
    local server = start(TIMERS)
    local client = stalled(server, "/")
    local other = server:stream("/tick")
    await_marks(server, { "close slow" })
    local _, why = client:receive_all()
    assert.equal("reset", why)
    assert.equal("done", other:finish())
    assert.equal(100, #other.parser.events)
    other:close()
    client:close()
    assert.matches("reason=slow", support.await_access_line(server, "/"))
  end)

  it("are bounded by another limit just as well, in bytes", function()
    local server = start([[
server:get("/", function(_, response)
  local sse = response.sse
  response:on("close", function(reason) mark("close", reason, "with", sse.pending) end)
  sse:open()
  local function fill()
    lunesse.after(0, function()
      if sse.active then most = math.max(most or 0, sse.pending) fill() end
      sse:send(("x"):rep(1000))
    end)
  end
  fill()
  lunesse.after(0.2, function() end, { detached = true })
end)
server:get("/most", function(_, response) response:send(tostring(most)) end)
]], {
      workers = 1,
      args = { "--limit", "stream_max_bytes=20000", "--limit", "stream_high_bytes=5000" },
    })
    local client = stalled(server, "/")
    await_marks(server, { "close slow with 0" })
    assert.is_true(tonumber(support.get(server, "/most")) <= 20000)
    local _, why = client:receive_all()
    assert.equal("reset", why)
    client:close()
  end)

  it("lose nothing while the reader keeps up", function()
    local server = start((TIMERS:gsub("0%.05", "0.01"):gsub("10000", "100")))
    local stream = server:stream("/")
    assert.equal(400, #stream:take(400))
    stream:close()
    await_marks(server, { "close left" })
  end)

  it("leave the kernel's send buffer empty: the connection is reset, not lingering", function()
    local server = start(TIMERS)
    local before = server:descriptors()
    local client = stalled(server, "/")
    await_marks(server, { "close slow" })
    eventually(function()
      return server:descriptors() == before
    end)
    local pattern = (":%04X %%x+:%04X (%%x+) (%%x+):"):format(server.port, client.local_port)
    for line in io.lines("/proc/net/tcp") do
      local _, queued = line:match(pattern)
      assert.is_nil(queued, line)
    end
    client:close()
  end)
end)

describe("writing by hand", function()
  it("waits for a slow reader as well, and is reset when it does not wait", function()
    local server = start [[
server:get("/", function(_, response)
  response:on("close", function(reason) mark("close", reason) end)
  for n = 1, 3000 do
    response:write(("x"):rep(1000))
    most = math.max(most or 0, n)
  end
  response:finish("end")
end)
server:get("/flood", function(_, response)
  response:on("close", function(reason) mark("close", reason) end)
  response:write_head(200)
  for _ = 1, 100 do lunesse.after(0, function() response:write(("x"):rep(200000)) end) end
end)
server:get("/most", function(_, response) response:send(tostring(most)) end)
]]
    local client = stalled(server, "/")
    local last
    eventually(function()
      local now = support.get(server, "/most")
      local is_same = now == last and now ~= "nil"
      last = now
      return is_same
    end)
    assert.is_true(tonumber(last) < 3000)
    assert.equal(3000003, #client:response("GET", 5).body)
    client:close()
    await_marks(server, { "close finished" })
    client = stalled(server, "/flood")
    await_marks(server, { "close finished", "close slow" })
    client:close()
  end)
end)

describe("the heartbeat", function()
  local BEATS = [[
local kept = {}
server:get("/", function(_, response)
  kept.open = response.sse
  response.sse:open()
  hold()
end)
server:get("/off", { heartbeat = false }, function(_, response) response.sse:open() hold() end)
server:get("/five", { heartbeat = 5 }, function(_, response) response.sse:open() hold() end)
server:get("/open-off", function(_, response) response.sse:open { heartbeat = false } hold() end)
server:get("/open-two", { heartbeat = 5 }, function(_, response)
  response.sse:open { heartbeat = 2 }
  hold()
end)
server:get("/open-on", { heartbeat = false }, function(_, response)
  response.sse:open { heartbeat = 2 }
  hold()
end)
server:get("/fast", function(_, response)
  response:on("close", function(reason) mark("close", reason) end)
  while true do response.sse:send(("x"):rep(1000)) count = (count or 0) + 1 end
end)
server:get("/count", function(_, response) response:send(tostring(count)) end)
server:get("/send", function(request, response)
  kept.open[request.query.what](kept.open, request.query.text)
  response:send("sent")
end)
]]

  local function open(server, target)
    local stream = server:stream(target)
    stream:comment()
    return stream
  end

  local function is_quiet(stream)
    return stream:is_silent(0.01)
  end

  it("is a colon and one newline, in a chunk of its own, after 15 s of silence", function()
    local server = support.start_inside(BEATS, { clock = true })
    local stream = open(server, "/")
    for _ = 1, 3 do
      server:advance(14.7)
      assert.is_true(is_quiet(stream))
      server:advance(0.4)
      assert.equal(support.chunk(":\n\n"), (stream.client:receive_some()))
    end
    stream:close()
  end)

  it("is no event in a strict parser", function()
    local server = support.start_inside(BEATS, { workers = 1, clock = true })
    local stream = open(server, "/")
    server:advance(16)
    assert.equal("", stream:comment())
    support.get(server, "/send?what=send&text=x")
    assert.same({ type = "message", data = "x", id = "", is_chunk = true }, stream:event())
    stream:close()
  end)

  it("starts anew with everything that is sent: events, comments and retries", function()
    local server = support.start_inside(BEATS, { clock = true })
    local stream = open(server, "/")
    for _, what in ipairs { "send", "comment", "retry" } do
      server:advance(14)
      support.get(server, "/send?text=1&what=" .. what)
      assert.is_truthy(stream.client:receive_some())
      server:advance(14)
      assert.is_true(is_quiet(stream), what)
      server:advance(1.1)
      assert.equal(support.chunk(":\n\n"), (stream.client:receive_some()))
    end
    stream:close()
  end)

  it("is changed and switched off per route and per stream, where the stream's word counts",
    function()
      local server = support.start_inside(BEATS, { clock = true })
      local intervals = {
        ["/off"] = false, ["/five"] = 5, ["/open-off"] = false, ["/open-two"] = 2,
        ["/open-on"] = 2,
      }
      for target, interval in pairs(intervals) do
        local stream = open(server, target)
        if interval then
          server:advance(interval - 0.3)
          assert.is_true(is_quiet(stream), target)
          server:advance(0.4)
          assert.equal("", stream:comment())
        else
          server:advance(100000)
          assert.is_true(is_quiet(stream), target)
        end
        stream:close()
      end
    end)

  it("is changed and switched off for all by a limit", function()
    for seconds, expected in pairs { ["3"] = 3, ["0"] = false } do
      local server = support.start_inside(BEATS, {
        clock = true, args = { "--limit", "heartbeat=" .. seconds },
      })
      local stream = open(server, "/")
      server:advance(expected and expected + 0.1 or 1000)
      if expected then
        assert.equal("", stream:comment())
      else
        assert.is_true(is_quiet(stream))
      end
      stream:close()
    end
  end)

  it("is not sent to a reader that has enough to read", function()
    local server = start(BEATS, {
      clock = true, workers = 1, args = { "--limit", "peer_timeout=100000" },
    })
    local client = stalled(server, "/fast")
    local last, looks = nil, 0
    eventually(function() -- as `settled`: the kernel may still be taking bytes
      local now = support.get(server, "/count")
      looks = now == last and now ~= "nil" and looks + 1 or 0
      last = now
      return looks >= 10
    end)
    for _ = 1, 20 do
      server:advance(15.1)
    end
    client:head()
    local parser, chunked = sse.parser(), sse.chunked()
    eventually(function()
      for _, chunk in ipairs(chunked:feed(client:receive_some())) do
        parser:feed(chunk)
      end
      return #parser.events >= tonumber(last)
    end)
    assert.same({ "" }, parser.comments)
    client:reset()
    await_marks(server, { "close left" })
  end)

  it("ends with the stream", function()
    local server = support.start_inside([[
server:get("/", function(_, response)
  response.sse:open { heartbeat = 1 }
  response.sse:close()
end)
]], { clock = true })
    local client = server:connect()
    client:send(wire.request(STREAM))
    assert.equal(":\n\n", client:response().body)
    server:advance(5)
    assert.is_true(client:is_silent(0.01))
    client:close()
  end)
end)
