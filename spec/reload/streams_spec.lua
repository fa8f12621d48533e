-- Open streams and channels at a reload: who follows channels notices nothing, who is served by a
-- handler is kept, ended or handed over, and nobody is left open but dead.

local support = require "spec.reload.support"
local wire = require "spec.support.wire"

local start, get, reload = support.start_inside, support.get, support.reload

local ROOM = [[
local room = lunesse.channel("room")
server:get("/room", function(_, response) response.sse:subscribe(room) end)
server:get("/cursor", function(_, response) response:send(room:cursor()) end)
server:post("/room", function(request, response)
  response:send(room:publish(request:text()))
end)
]]

---Publishes `text` on `client` and returns the id.
local function publish(client, text)
  client:send(wire.request { method = "POST", target = "/room", body = text })
  return client:response().body
end

describe("a stream that only follows channels", function()
  it("loses nothing, in a hundred reloads while others publish", function()
    local server = start(ROOM)
    local reader, client = server:stream("/room"), server:connect()
    local ids = {}
    for i = 1, 100 do
      local count = support.count(server, "reloaded")
      server.process:signal("HUP")
      repeat
        ids[#ids + 1] = publish(client, "event " .. #ids + 1)
      until support.count(server, "reloaded") > count
      assert.equal(i, support.count(server, "reloaded"))
    end
    for i = 1, #ids do
      local event = reader:event()
      assert.same({ "event " .. i, ids[i], true }, { event.data, event.id, event.is_chunk })
    end
    assert.equal(#ids, #reader.parser.events)
    assert.same({ "" }, reader.parser.comments)
    assert.equal("101", support.report(server).generation)
    client:close()
  end)

  it("needs no generation: the old one is freed at once", function()
    local server = start(ROOM, { workers = 1, args = { "--log-level", "debug" } })
    local reader = server:stream("/room")
    reader:comment()
    for _ = 1, 5 do
      reload(server)
    end
    eventually(function()
      return #server:log_lines("debug generation ended") == 5
    end)
    assert.equal("1", support.report(server).kept)
    publish(server:connect(), "still there")
    assert.equal("still there", reader:event().data)
  end)

  it("has its heartbeats", function()
    local server = start(ROOM, { args = { "--limit", "heartbeat=0.02" } })
    local reader = server:stream("/room")
    for _ = 1, 3 do
      reader:comment()
    end
    reload(server)
    local bytes = #reader:bytes()
    for _ = 1, 3 do
      reader:comment()
    end
    assert.is_true(#reader:bytes() > bytes)
  end)

  it("is not ended by on_reload('end'), and not handed to a function", function()
    local server = start('server:on_reload("end")\n' .. ROOM, { workers = 1 })
    local reader, client = server:stream("/room"), server:connect()
    reader:comment()
    reload(server, "server:on_reload(function(streams) mark(#streams) end)\n" .. ROOM)
    reload(server, ROOM)
    support.await_marks(server, { "0" })
    publish(client, "x")
    assert.equal("x", reader:event().data)
    assert.is_nil(reader.parser.retry_ms)
    client:close()
  end)
end)

describe("a channel", function()
  it("is the same log for the new code: ids, history and cursor", function()
    local server = start(ROOM)
    local client = server:connect()
    local first = publish(client, "1")
    publish(client, "2")
    local cursor = get(server, "/cursor")
    reload(server)
    assert.equal(cursor, get(server, "/cursor"))
    local third = publish(client, "3")
    assert.equal(first:match("^%w+"), third:match("^%w+"))
    local reader = server:stream("/room", { last_event_id = first })
    assert.equal("2", reader:event().data)
    assert.equal("3", reader:event().data)
    client:close()
  end)

  it("gets the options of the new code", function()
    local server = start(ROOM)
    local client = server:connect()
    local first = publish(client, "1")
    publish(client, "2")
    publish(client, "3")
    reload(server, ([[
local options = { history = 1, reset_event = "anew" }
lunesse.channel("room", options)
options.history = 100
]]) .. ROOM)
    local reader = server:stream("/room", { last_event_id = first })
    assert.equal("anew", reader:event().type)
    client:close()
  end)
end)

-- The handlers have no end, so a server that stops does not wait for them for long.
local TICKS = [[
lunesse.server { limits = { drain_timeout = 0.1 } }
local function ticks(word)
  return function(_, response)
    response:on("close", function(reason) mark(word, reason) end)
    while response.sse:send(word) do lunesse.sleep(0.005) end
  end
end
]]
local OLD = TICKS .. 'server:get("/", ticks "old")\n'
local NEW = TICKS .. 'server:get("/", ticks "new")\n'

---Reads `count` events that are all `word`.
local function expect_ticks(stream, word, count)
  for _ = 1, count do
    assert.equal(word, stream:event().data)
  end
end

describe("a stream with a handler", function()
  it("goes on in the old code until its reader leaves", function()
    local server = start(OLD, { workers = 1, args = { "--log-level", "debug" } })
    local old = server:stream("/")
    old:event()
    reload(server, NEW)
    expect_ticks(old, "old", 20)
    local new = server:stream("/")
    expect_ticks(new, "new", 5)
    assert.same({ "1", "0" }, { support.report(server).kept, support.report(server).ended })
    assert.equal(0, #server:log_lines("generation ended"))
    old:close()
    support.await_marks(server, { "old left" })
    eventually(function()
      return #server:log_lines("debug generation ended generation=1") == 1
    end)
    expect_ticks(new, "new", 5)
  end)

  it("goes on with its timers and listeners, when its handler has returned", function()
    local server = start [[
server:get("/", function(_, response)
  local n = 0
  response:on("close", function(reason) mark("close", reason) end)
  lunesse.every(0.005, function()
    n = n + 1
    response.sse:send(n)
    if n == 10 then response.sse:close() end
  end)
end)
]]
    local stream = server:stream("/")
    stream:event()
    reload(server, NEW)
    for i = 2, 10 do
      assert.equal(tostring(i), stream:event().data)
    end
    assert.equal("done", stream:finish())
    support.await_marks(server, { "close finished" })
  end)

  it("is ended by on_reload('end'), and comes back to the new code", function()
    local server = start('server:on_reload("end")\n' .. OLD)
    local streams = {}
    for i = 1, 20 do
      streams[i] = server:stream("/")
      streams[i]:event()
    end
    reload(server, NEW)
    local retries = {}
    for i, stream in ipairs(streams) do
      assert.equal("closed", stream:finish())
      retries[i] = stream.parser.retry_ms
      assert.is_true(retries[i] >= 100 and retries[i] < 1000)
    end
    table.sort(retries)
    assert.is_true(retries[20] > retries[1])
    assert.equal("20", support.report(server).ended)
    eventually(function()
      return #support.marks(server) == 20
    end)
    assert.same({ "old reload", "old reload" }, { table.unpack(support.marks(server), 1, 2) })
    assert.equal(20, #server:log_lines("reason=reload"))
    expect_ticks(server:stream("/"), "new", 2)
  end)

  it("that runs detached runs to its end when on_reload ends its stream", function()
    local server = start([[
server:on_reload("end")
server:get("/", { on_leave = "detach" }, function(_, response)
  response.sse:send("x")
  lunesse.sleep(60)
  mark(tostring(response.sse:send("y")), "done")
end)
]], { clock = true })
    local stream = server:stream("/")
    stream:event()
    reload(server, NEW)
    assert.equal("closed", stream:finish())
    server:advance(60)
    support.await_marks(server, { "nil done" })
  end)

  it("is cancelled where it waits when on_reload ends its stream", function()
    local server = start [[
server:on_reload("end")
server:get("/", function(_, response)
  local guard <close> = setmetatable({}, { __close = function()
    collectgarbage()
    mark("closed", tostring(response.sse.active))
  end })
  response:on("close", function(reason) mark("listener", reason) end)
  response.sse:send("x")
  hold()
end)
server:get("/kept", function(_, response) KEPT[#KEPT + 1] = response.sse:send("x") and response end)
KEPT = {}
]]
    local stream = server:stream("/")
    stream:event()
    reload(server, NEW)
    assert.equal("closed", stream:finish())
    support.await_marks(server, { "closed false", "listener reload" })
  end)
end)

describe("on_reload with a function", function()
  it("is given the open streams, in the old code, and may wait", function()
    local server = start(TICKS .. [[
local version = "old"
server:on_reload(function(streams)
  mark(version, #streams)
  lunesse.sleep(0.01)
  for _, sse in ipairs(streams) do
    sse:send("bye", version)
    sse:retry(0.25)
    sse:close()
  end
end)
server:get("/", function(_, response) response.sse:send("x") hold() end)
server:get("/listens", function(_, response)
  response:on("close", function() end)
  response.sse:send("x")
end)
server:get("/over", function(_, response)
  response:on("close", function() end)
  response.sse:send("x")
  response.sse:close()
end)
]], { workers = 1 })
    local streams = { server:stream("/"), server:stream("/"), server:stream("/listens") }
    assert.equal("done", server:stream("/over"):finish())
    for _, stream in ipairs(streams) do
      stream:event()
    end
    reload(server, NEW)
    for _, stream in ipairs(streams) do
      local event = stream:event()
      assert.same({ "bye", "old" }, { event.type, event.data })
      assert.equal("done", stream:finish())
      assert.equal(250, stream.parser.retry_ms)
    end
    support.await_marks(server, { "old 3" })
  end)

  it("is in the report with what it closes at once", function()
    local server = start([[
server:on_reload(function(streams)
  for i = 1, #streams // 2 do streams[i]:close() end
end)
]] .. OLD, { workers = 1 })
    local streams = {}
    for i = 1, 12 do
      streams[i] = server:stream("/")
      streams[i]:event()
    end
    reload(server, NEW)
    assert.same({ "6", "6" }, { support.report(server).kept, support.report(server).ended })
  end)

  it("that raises is in the log, and the streams are kept", function()
    local server = start("server:on_reload(function() error 'oops' end)\n" .. OLD, { workers = 1 })
    local stream = server:stream("/")
    stream:event()
    reload(server, NEW)
    eventually(function()
      return #server:log_lines("oops") == 1
    end)
    expect_ticks(stream, "old", 5)
  end)
end)

describe("of four generations", function()
  local function code(word)
    return TICKS .. ('server:get("/", ticks %q)\n'):format(word) .. [[
server:get("/slow", function(_, response) mark("slow") hold() end)
server:get("/pieces", function(_, response) response:write("piece") hold() end)
]]
  end

  it("the oldest is ended, each of its streams as it should be, and three live", function()
    local server = start(code "1", { workers = 1, args = { "--log-level", "debug" } })
    local streams, slow, pieces = {}, server:connect(), server:connect()
    slow:send(wire.request { target = "/slow" })
    pieces:send(wire.request { target = "/pieces" })
    support.await_marks(server, { "slow" })
    assert.truthy(pieces:receive_until("piece"))
    for number = 1, 4 do
      streams[number] = server:stream("/")
      streams[number]:event()
      if number < 4 then
        assert.equal(number, support.generations(server))
        reload(server, code(tostring(number + 1)))
      end
    end
    assert.equal("closed", streams[1]:finish())
    assert.is_true(streams[1].parser.retry_ms >= 100 and streams[1].parser.retry_ms < 1000)
    assert.equal(503, slow:response().status)
    local rest, why = pieces:receive_all(2)
    assert.not_matches("0\r\n\r\n$", rest)
    assert.is_true(why == "closed" or why == "reset")
    assert.equal(1, #server:log_lines(
      "warn generation ended by force: too many reloads since generation=1 streams=1"))
    eventually(function()
      return #server:log_lines("debug generation ended generation=1") == 1
    end)
    for number = 2, 4 do
      expect_ticks(streams[number], tostring(number), 5)
    end
    assert.equal(1, #server:log_lines("generation ended by force"))
    slow:close()
    pieces:close()
  end)

  it("none is ended when one has ended by itself", function()
    local server = start(code "1", { workers = 1, args = { "--log-level", "debug" } })
    local streams = {}
    for number = 1, 4 do
      streams[number] = server:stream("/")
      streams[number]:event()
      if number == 2 then
        streams[1]:close()
        eventually(function()
          return #server:log_lines("debug generation ended generation=1") == 1
        end)
      end
      if number < 4 then
        reload(server, code(tostring(number + 1)))
      end
    end
    for number = 2, 4 do
      expect_ticks(streams[number], tostring(number), 5)
    end
    assert.equal(0, #server:log_lines("generation ended by force"))
  end)
end)

describe("a stream that only a variable of the old code reaches", function()
  local KEPT = [[
local readers, room = {}, lunesse.channel("room")
server:get("/", function(_, response)
  response.sse:send("hello")
  readers[#readers + 1] = response.sse
end)
server:get("/room", function(_, response)
  response.sse:subscribe(room)
  readers[#readers + 1] = response.sse
end)
server:post("/room", function(_, response)
  for _, sse in ipairs(readers) do sse:send("said") end
  response:send(room:publish("published"))
end)
]]

  it("is told to come back and ends, since nothing will ever be sent to it", function()
    local server = start(KEPT, { workers = 1, args = { "--log-level", "debug" } })
    local stream = server:stream("/")
    stream:event()
    reload(server)
    assert.equal("closed", stream:finish())
    assert.is_true(stream.parser.retry_ms >= 100 and stream.parser.retry_ms < 1000)
    eventually(function()
      return #server:log_lines("debug generation ended") == 1
    end)
  end)

  it("goes on when it follows a channel, without the old code", function()
    local server = start(KEPT, { workers = 1, args = { "--log-level", "debug" } })
    local stream = server:stream("/room")
    stream:comment()
    reload(server)
    eventually(function()
      return #server:log_lines("debug generation ended") == 1
    end)
    server:request { method = "POST", target = "/room", body = "" }
    assert.equal("published", stream:event().data)
    reload(server)
    server:request { method = "POST", target = "/room", body = "" }
    assert.equal("published", stream:event().data)
  end)

  it("stays while something of the old code still runs that may send to it", function()
    local server = start(KEPT .. [[
server:get("/ticker", function(_, response)
  response.sse:open()
  while lunesse.sleep(0.005) == nil do
    for _, sse in ipairs(readers) do sse:send("tick") end
  end
end)
]], { workers = 1 })
    local stream, ticker = server:stream("/"), server:stream("/ticker")
    stream:event()
    ticker:comment()
    reload(server)
    for _ = 1, 5 do
      assert.equal("tick", stream:event().data)
    end
    ticker:close()
    assert.equal("closed", stream:finish())
  end)
end)
