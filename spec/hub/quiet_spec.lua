-- Streams that only listen: no Lua is left of them, and yet they get events and heartbeats, leave,
-- and are ended.

local hub = require "spec.hub.support"
local Server = require "spec.support.server"
local wire = require "spec.support.wire"

local run, data, chunk = hub.run, hub.data, hub.chunk

-- Streams whose objects are in a weak table; `kept` and `heard` are there for what the spec asks.
local WEAK = [[
env.weak = setmetatable({}, { __mode = "k" })
function env.objects()
  collectgarbage() collectgarbage()
  local count = 0
  for _ in pairs(env.weak) do count = count + 1 end
  return count
end
local function watch(request, response)
  env.weak[request], env.weak[response], env.weak[response.sse] = true, true, true
end
server:get("/quiet", function(request, response)
  watch(request, response)
  response.sse:subscribe(env.kept.room)
end)
server:get("/heard", function(request, response)
  watch(request, response)
  response:on("close", function(reason) mark("close", reason) end)
  response.sse:subscribe(env.kept.room)
end)
server:get("/kept", function(request, response)
  watch(request, response)
  env.kept.live = response.sse
  response.sse:subscribe(env.kept.room)
end)
server:get("/timer", function(request, response)
  watch(request, response)
  lunesse.after(1000, function() mark("timer") end)
  response.sse:subscribe(env.kept.room)
end)
]]

---A server with the channel "room", and a stream on `target` whose handler has returned.
local function start(target, options)
  options = options or {}
  local begin = options.process and hub.start or hub.start_inside
  options.process = nil
  local server = begin(WEAK, options)
  hub.keep(server, "room")
  local stream = target and server:stream(target)
  if stream then
    assert.equal("", stream:comment())
    hub.await_subscribers(server, "room", 1)
  end
  return server, stream
end

local function objects(server)
  return tonumber(run(server, "return objects()"))
end

describe("a stream whose handler has returned, and that only listens to channels", function()
  it("is no more garbage than Lua sees to: thousands that come leave its memory where it was",
    function()
      local server = hub.start_inside([[
local room, most = lunesse.channel("room"), 0
server:get("/news", function(_, response)
  response.sse:subscribe(room)
  most = math.max(most, collectgarbage("count"))
end)
function env.most() return most end
]])
      local request = wire.request { target = "/news", headers = { Accept = "text/event-stream" } }
      for _ = 1, 30 do
        local clients = {}
        for i = 1, 100 do
          clients[i] = server:connect()
          clients[i]:send(request)
        end
        for _, client in ipairs(clients) do
          client:head()
          client:close()
        end
      end
      local most = tonumber(run(server, "return most()"))
      assert.is_true(most < 700, most .. " KiB")
    end)

  it("leaves no object of Lua behind", function()
    local server, stream = start("/quiet")
    assert.equal(0, objects(server))
    stream:close()
  end)

  it("goes on to get events", function()
    local server, stream = start("/quiet")
    assert.equal(0, objects(server))
    hub.publish_numbers(server, "room", 1, 100)
    assert.equal(hub.numbers(1, 100), data(stream, 100))
    assert.equal(0, objects(server))
    stream:close()
  end)

  it("goes on to get heartbeats", function()
    local server, stream = start("/quiet", { clock = true })
    assert.equal(0, objects(server))
    for _ = 1, 3 do
      server:advance(15.1)
      assert.equal("", stream:comment())
    end
    stream:close()
  end)

  it("is no subscriber any more once it has left, and is logged with its address", function()
    local server, stream = start("/quiet")
    assert.equal(0, objects(server))
    stream:close()
    hub.await_subscribers(server, "room", 0)
    local line = hub.await_access_line(server, "/quiet")
    assert.matches(" stream .*method=GET", line)
    assert.matches(" status=200 ", line)
    assert.matches(" reason=left ", line)
  end)

  it("is ended with its channel", function()
    local server, stream = start("/quiet")
    assert.equal(0, objects(server))
    run(server, "kept.room:publish('last') kept.room:close()")
    assert.equal("last", data(stream, 1))
    assert.equal("done", stream:finish())
    stream:close()
  end)

  it("is cut when the server ends, and told when to come back", function()
    local server, stream = start("/quiet")
    assert.equal(0, objects(server))
    server.process:signal("TERM")
    assert.equal("closed", stream:finish())
    assert.is_number(stream.parser.retry_ms)
    stream:close()
  end)

  it("may be one of hundreds, which cost little memory", function()
    local server = start(nil, { process = true })
    local streams = {}
    local function open(count)
      for _ = 1, count do
        streams[#streams + 1] = server:stream("/quiet")
      end
      assert.equal(0, objects(server))
    end
    open(100)
    local before = server:memory()
    open(400)
    assert.is_true(hub.keeps_freed_memory() or server:memory() - before < 400 * 2048)
    hub.publish(server, "room", "x")
    for _, stream in ipairs(streams) do
      assert.equal("x", data(stream, 1))
      stream:close()
    end
    hub.await_subscribers(server, "room", 0)
    assert.equal(0, objects(server))
  end)
end)

describe("a stream that a script wants something of", function()
  it("stays with a close listener, which fires", function()
    local server, stream = start("/heard")
    assert.equal(3, objects(server))
    hub.publish(server, "room", "x")
    assert.equal("x", data(stream, 1))
    stream:close()
    hub.await_marks(server, { "close left" })
    assert.equal(0, objects(server))
  end)

  it("stays while its timers run", function()
    local server, stream = start("/timer", { clock = true })
    assert.equal(3, objects(server))
    server:advance(1001)
    hub.await_marks(server, { "timer" })
    assert.equal(0, objects(server))
    hub.publish(server, "room", "x")
    assert.equal("x", data(stream, 1))
    stream:close()
  end)

  it("works through a handle that was kept: from another handler it sends, unsubscribes, closes",
    function()
      local server, stream = start("/kept")
      assert.equal(2, objects(server)) -- the request has gone
      assert.equal("true true 0", run(server, "return kept.live:send('own'), kept.live.active, " ..
        "(kept.live.pending > 0 and 0)"))
      assert.equal("own", data(stream, 1))
      assert.equal("true 0", run(server,
        "return kept.live:unsubscribe(kept.room), kept.room.subscribers"))
      hub.publish(server, "room", "unheard")
      assert.equal("true", run(server, "return kept.live:subscribe(kept.room)"))
      hub.publish(server, "room", "heard")
      assert.equal("heard", data(stream, 1))
      assert.equal("true", run(server, "return kept.live:close()"))
      assert.equal("done", stream:finish())
      assert.equal("nil closed ECLOSED", run(server, "return kept.live:send('x')"))
      stream:close()
      run(server, "kept.live = nil")
      assert.equal(0, objects(server))
    end)

  it("knows its last event id, the fields that were set, and the request that a script kept",
    function()
      local server = hub.start_inside([[
server:get("/on", function(request, response)
  env.kept.live, env.kept.request, env.kept.response = response.sse, request, response
  response:header("X-Room", "room")
  response.sse:subscribe(lunesse.channel("room"))
end)
]])
      local function kept(headers, target)
        local stream = server:stream(target or "/on", { headers = headers })
        stream:comment()
        local said = run(server, [[
          collectgarbage() collectgarbage()
          return kept.live.last_event_id, kept.request.last_event_id, kept.request.path,
            kept.request.headers.host ~= nil, kept.response:header("X-Room"),
            kept.live:subscribe(channel("other"))]])
        stream:close()
        return said
      end
      assert.equal("nil nil /on true room true", kept())
      assert.equal("a-1 a-1 /on true room true", kept { ["Last-Event-ID"] = "a-1" })
      assert.equal("b-2 b-2 /on true room true", kept(nil, "/on?last_event_id=b%2d2"))
    end)

  it("is let go with the handle that was kept", function()
    local server, stream = start("/kept")
    assert.equal(2, objects(server))
    run(server, "kept.live = nil")
    assert.equal(0, objects(server))
    hub.publish(server, "room", "x")
    assert.equal("x", data(stream, 1))
    stream:close()
    hub.await_subscribers(server, "room", 0)
  end)

  it("still tells a listener that comes later", function()
    local server = hub.start_inside [[
server:get("/late", function(_, response)
  env.kept.response = response
  response.sse:subscribe(env.kept.room)
end)
]]
    hub.keep(server, "room")
    local stream = server:stream("/late")
    stream:comment()
    run(server, [[
      kept.response:on('close', function(why) mark('close', why) end)
      kept.response = nil
      collectgarbage() collectgarbage()]])
    stream:close()
    hub.await_marks(server, { "close left" })
  end)
end)

describe("the heartbeats of subscribed streams", function()
  local ROUTES = [[
for seconds, path in pairs { [5] = "/five", [2] = "/two", [false] = "/off" } do
  server:get(path, { heartbeat = seconds }, function(_, response)
    response.sse:subscribe(env.kept.room)
  end)
end
server:get("/usual", function(_, response) response.sse:subscribe(env.kept.room) end)
server:get("/open", function(_, response)
  response.sse:open { heartbeat = 3 }
  response.sse:subscribe(env.kept.room)
end)
]]

  local function open(server, target)
    local stream = server:stream(target)
    assert.equal("", stream:comment())
    return stream
  end

  it("come after each stream's own silence, from one clock for all", function()
    local server = hub.start_inside(ROUTES, { clock = true })
    hub.keep(server, "room")
    local streams, counts = {}, {}
    for _, target in ipairs { "/two", "/open", "/five", "/usual", "/off" } do
      streams[target], counts[target] = open(server, target), 0
    end
    for _ = 1, 60 do
      server:advance(0.5)
    end
    server:advance(0.4) -- time that passes by itself comes on top
    for target, stream in pairs(streams) do
      stream:read_until(function() return false end, 0)
      counts[target] = #stream.parser.comments - 1
      stream:close()
    end
    assert.equal(0, counts["/off"])
    assert.equal(2, counts["/usual"])
    for target, expected in pairs { ["/two"] = 15, ["/open"] = 10, ["/five"] = 6 } do
      -- A beat is due at the first step that is not before it.
      assert.is_true(counts[target] <= expected + 1 and counts[target] >= expected * 0.8,
        target .. " had " .. counts[target])
    end
  end)

  it("are put off by what is published, and by nothing else", function()
    local server = hub.start_inside(ROUTES, { clock = true })
    hub.keep(server, "room")
    hub.keep(server, "other")
    local stream = open(server, "/five")
    for n = 1, 5 do
      server:advance(4)
      hub.publish(server, "room", n)
      hub.publish(server, "other", n)
      assert.equal(tostring(n), data(stream, 1))
    end
    server:advance(4.2)
    assert.is_true(stream:is_silent(0.01))
    server:advance(0.9)
    assert.equal(chunk(":\n\n"), (stream.client:receive_some()))
    stream:close()
  end)

  it("are in a chunk of their own, and no event", function()
    local server = hub.start_inside(ROUTES, { clock = true })
    hub.keep(server, "room")
    local stream, old = open(server, "/two"), server:stream("/two", { version = "1.0" })
    assert.equal("", old:comment())
    server:advance(2.1)
    assert.equal(chunk(":\n\n"), (stream.client:receive_some()))
    assert.equal(":\n\n", (old.client:receive_some()))
    stream:close()
    old:close()
  end)

  it("are not sent to a slow reader", function()
    local folder = Server.write {}
    local server = hub.start_inside(ROUTES, { clock = true, args = {
      "--unix", folder .. "/socket", "--limit", "peer_timeout=100000",
    } })
    hub.keep(server, "room", "{ bytes = 10000000 }")
    local client = hub.stalled(server, "/two")
    local other = open(server, "/two")
    hub.await_subscribers(server, "room", 2)
    run(server, "for n = 1, 100 do kept.room:publish(('x'):rep(10000)) end")
    other:take(100)
    for _ = 1, 10 do
      server:advance(2.1)
      assert.equal("", other:comment())
    end
    local sse = require "spec.support.sse"
    local stream = sse.stream(client, client:head())
    stream:take(100)
    assert.same({ "" }, stream.parser.comments)
    server:advance(2.1)
    stream:read_until(function() return #stream.parser.comments == 2 end)
    assert.same({ "", "" }, stream.parser.comments)
    stream:close()
    other:close()
  end)

  it("reach five hundred streams that came at different times, each when it is due", function()
    local server = hub.start_inside(ROUTES, { clock = true })
    hub.keep(server, "room")
    local streams = {}
    for i = 1, 500 do
      streams[i] = open(server, "/usual")
      if i % 100 == 0 then
        server:advance(3)
      end
    end
    -- They came 15, 12, 9, 6 and 3 seconds ago.
    for step = 0, 4 do
      for i = 1, 500, 33 do
        local stream, is_due = streams[i], (i - 1) // 100 <= step
        stream:read_until(function()
          return #stream.parser.comments == 2
        end, is_due and 2 or 0)
        assert.equal(is_due and 2 or 1, #stream.parser.comments, i .. " at " .. step)
      end
      server:advance(3)
    end
    for _, stream in ipairs(streams) do
      stream:close()
    end
  end)
end)
