-- channel:finish: nothing more is published, and every reader, however late, gets what is kept and
-- then a complete end.

local apps = require "spec.support.app"
local hub = require "spec.hub.support"
local reload = require "spec.reload.support"
local sse = require "spec.support.sse"
local wire = require "spec.support.wire"
local Client = require "spec.support.client"

local run = hub.run

---A server that keeps the channel `room`, with options as Lua text, and has published 1 to `count`.
local function start(count, options, start_options, text)
  local server = hub.start_inside(text, start_options)
  hub.keep(server, "room", options)
  if count > 0 then
    hub.publish_numbers(server, "room", 1, count)
  end
  return server
end

---A stream of `room`, read to its end.
local function read(server, options, names)
  local stream = hub.open(server, names or "room", options)
  assert.equal(options and options.version == "1.0" and "closed" or "done", stream:finish())
  stream:close()
  return stream
end

describe("channel:finish", function()
  it("lets no event follow, and says so", function()
    local server = start(3)
    assert.equal("false", run(server, "return kept.room.finished"))
    assert.equal("true true", run(server, "return kept.room:finish(), kept.room:finish()"))
    assert.equal("nil finished EFINISHED", run(server, "return kept.room:publish('x')"))
    assert.equal("true true", run(server,
      "return kept.room.finished, channel('room') == kept.room"))
    assert.matches("%-3$", run(server, "return kept.room:cursor()"))
  end)

  it("is refused by a channel that was closed, and a finished one can still be closed", function()
    local server = start(1)
    assert.equal("true true true", run(server,
      "return kept.room:finish(), kept.room:close(), kept.room.finished"))
    assert.equal("nil closed ECLOSED", run(server, "return kept.room:finish()"))
    assert.equal("nil closed ECLOSED", run(server, "return kept.room:publish('x')"))
    assert.equal("false", run(server, "return channel('room').finished"))
  end)

  it("gives readers all that was published before, and then a complete end", function()
    local server = start(0)
    local streams = { hub.open(server, "room"), hub.open(server, "room", { version = "1.0" }) }
    hub.await_subscribers(server, "room", 2)
    run(server, "for n = 1, 3 do kept.room:publish(n) end kept.room:finish()")
    assert.equal("done", streams[1]:finish())
    assert.equal("closed", streams[2]:finish())
    for _, stream in ipairs(streams) do
      assert.equal("1 2 3", hub.data(stream, 3))
      assert.equal(3, #stream.parser.events)
      stream:close()
    end
  end)

  it("gives readers that come later all that is kept, and then the end", function()
    local server = start(5, "{ history = 4 }")
    run(server, "kept.room:finish()")
    assert.equal("2 3 4 5", hub.data(read(server, { since = "earliest" }), 4))
    assert.equal("2 3 4 5", hub.data(read(server, { since = "earliest", version = "1.0" }), 4))
    assert.equal(0, #read(server).parser.events)
  end)

  it("gives a reader that comes back the rest and the end", function()
    local server = start(5)
    local id = run(server, "kept.room:finish() return kept.room:cursor()")
    for number = 0, 5 do
      local stream = read(server, { last_event_id = hub.further(id, number - 5) })
      assert.equal(hub.numbers(number + 1, 5), hub.data(stream, 5 - number))
      assert.equal(5 - number, #stream.parser.events)
    end
    local stream = read(server, { last_event_id = hub.further(id, 1) })
    assert.equal("ahead", hub.notice(stream:event()).reason)
  end)

  it("ends the readers of an empty channel, those that come later too", function()
    local server = start(0)
    local stream = hub.open(server, "room")
    hub.await_subscribers(server, "room", 1)
    run(server, "kept.room:finish() kept.room = nil collectgarbage() collectgarbage()")
    assert.equal("done", stream:finish())
    assert.equal(0, #stream.parser.events)
    stream:close()
    assert.equal(0, #read(server, { since = "earliest" }).parser.events)
    assert.equal("true", run(server, "return channel('room').finished"))
  end)

  it("ends a stream of several channels only with the last of them", function()
    local server = hub.start_inside()
    hub.keep(server, "a")
    hub.keep(server, "b")
    hub.keep(server, "c")
    local stream = hub.open(server, "a,b,c")
    hub.await_subscribers(server, "c", 1)
    run(server, "kept.a:publish('one') kept.a:finish() kept.c:close()")
    assert.equal("one", hub.data(stream, 1))
    hub.meet_workers(server)
    run(server, "kept.b:publish('two')")
    assert.equal("two", hub.data(stream, 1))
    run(server, "kept.b:publish('three') kept.b:finish()")
    assert.equal("three", hub.data(stream, 1))
    assert.equal("done", stream:finish())
    stream:close()
    assert.equal("one two three", hub.data(read(server, { since = "earliest" }, "a,b"), 3))
  end)

  it("is not told twice to a stream that subscribes again after it has left", function()
    local server = start(3, nil, nil, [[
server:get("/both", function(_, response)
  local sse, other = response.sse, lunesse.channel("other")
  sse:subscribe(env.kept.room, { since = "earliest" })
  sse:subscribe(other)
  other:read { wait = 100 }
  mark(tostring(sse:subscribe(env.kept.room)))
end)
]])
    local id = run(server, "kept.room:finish() return kept.room:cursor()")
    local stream = server:stream("/both", { last_event_id = hub.further(id, -2) })
    stream:take(3)
    hub.await_subscribers(server, "other", 2)
    run(server, "channel('other'):publish('x')")
    hub.await_marks(server, { "true" })
    run(server, "channel('other'):finish()")
    assert.equal("done", stream:finish())
    local words = {}
    for i, event in ipairs(stream.parser.events) do
      words[i] = event.type == "message" and event.data or event.type
    end
    assert.same({ "reset", "2", "3", "x" }, words) -- the reset is of the other channel
    stream:close()
  end)

  it("is seen by the readers of every worker", function()
    local server = start(0, nil, { workers = 3 })
    local streams = {}
    for number = 1, 3 do
      streams[number] = hub.open_at(server, number, "/on/room")
    end
    hub.await_subscribers(server, "room", 3)
    local client = hub.connect(server, 2)
    run(client, "channel('room'):publish('said') channel('room'):finish()")
    assert.equal("nil finished EFINISHED", run(server, "return kept.room:publish('x')"))
    for number, stream in ipairs(streams) do
      assert.equal("said", hub.data(stream, 1))
      assert.equal("done", stream:finish())
      stream:close()
      stream = hub.open_at(server, number, "/on/room?since=earliest")
      assert.equal("said", hub.data(stream, 1))
      assert.equal("done", stream:finish())
      stream:close()
    end
    client:close()
  end)

  it("gives a reader that is behind the rest, however late it reads", function()
    local server = start(0, "{ history = 10000, bytes = 20000000 }")
    local client = hub.stalled(server, "/on/room")
    hub.await_subscribers(server, "room", 1)
    run(server, "for n = 1, 8000 do kept.room:publish(n .. (' '):rep(1000)) end")
    run(server, "kept.room:finish()")
    local stream = sse.stream(client, client:head())
    assert.equal("done", stream:finish(20))
    for n, event in ipairs(stream:take(8000)) do
      assert.equal(n, tonumber(event.data))
    end
    stream:close()
  end)

  it("leaves a reader that lags what its channel does: it comes back, or is told", function()
    local server = hub.start_inside()
    hub.keep(server, "back", "{ history = 5 }")
    hub.keep(server, "told", "{ history = 5, on_lag = 'skip' }")
    for _, name in ipairs { "back", "told" } do
      local client = hub.stalled(server, "/on/" .. name)
      hub.await_subscribers(server, name, 1)
      run(server, "for n = 1, 8000 do kept.%s:publish(n .. (' '):rep(1000)) end", name)
      run(server, "kept.%s:finish()", name)
      if name == "told" then
        local stream = sse.stream(client, client:head())
        assert.equal("done", stream:finish(20))
        local last = stream.parser.events[#stream.parser.events]
        assert.equal("lagged", last.type)
        assert.matches("%-8000$", hub.notice(last).to)
        stream:close()
      else
        hub.await_subscribers(server, name, 0)
        client:close()
      end
      local id = hub.further(run(server, "return kept.%s:cursor()", name), -5)
      local stream = read(server, { last_event_id = id }, name)
      assert.equal(5, #stream.parser.events)
    end
  end)
end)

describe("a finished channel", function()
  it("keeps its history and its end for their ttl; then its name begins anew", function()
    local server = start(2, "{ ttl = 60 }", { clock = true })
    server:advance(30)
    run(server, "kept.room:publish(3) kept.room:finish()")
    local id = run(server, "return kept.room:cursor()")
    server:advance(32)
    assert.equal("3", hub.data(read(server, { since = "earliest" }), 1))
    server:advance(26)
    assert.equal("true", run(server, "return channel('room').finished"))
    server:advance(4)
    assert.equal("false true", run(server,
      "return channel('room').finished, kept.room ~= channel('room')"))
    assert.equal("nil closed ECLOSED", run(server, "return kept.room:publish(4)"))
    run(server, "kept.room = channel('room') kept.room:publish('anew')")
    local stream = hub.open(server, "room", { since = "earliest", last_event_id = id })
    assert.equal("epoch", hub.notice(stream:event()).reason)
    assert.equal("anew", hub.data(stream, 1))
    stream:close()
  end)

  it("keeps an end without a history for a ttl as well, and with ttl = false for ever", function()
    local server = hub.start_inside("", { clock = true })
    hub.keep(server, "a", "{ history = 0, ttl = 60 }")
    hub.keep(server, "b", "{ ttl = false }")
    run(server, "kept.a:publish(1) kept.a:finish() kept.b:publish(1) kept.b:finish()")
    run(server, "kept = nil collectgarbage() collectgarbage()")
    server:advance(58)
    assert.equal("true true", run(server, "return channel('a').finished, channel('b').finished"))
    run(server, "collectgarbage() collectgarbage()")
    server:advance(4)
    assert.equal("false", run(server, "return channel('a').finished"))
    server:advance(100000)
    assert.equal("1", hub.data(read(server, { since = "earliest" }, "b"), 1))
  end)

  it("makes its name free when its end expires, and not a second later, in each worker", function()
    local app = apps.start([[
      server:post("/publish", function(_, response)
        local channel <const> = lunesse.channel("a", { ttl = 60 })
        response:send(select(3, channel:publish(1)) or "published")
      end)
      server:post("/finish", function(_, response)
        lunesse.channel("a"):finish()
        response:send("finished")
      end)]], { workers = 2 })
    for _, worker in ipairs { 1, 2 } do
      app:post("/publish", { worker = worker }):expect { text = "published" }
      app:advance(7.25)
      app:post("/publish", { worker = 3 - worker }):expect { text = "published" }
      app:advance(0.5)
      app:post("/finish", { worker = worker }):expect(200)
      app:advance(50)
      app:post("/publish", { worker = 3 - worker }):expect { text = "EFINISHED" }
      app:advance(10.25) -- less than the second that old events may leave late
    end
  end)

  it("goes when its end has expired, with nobody to hold it, in every worker", function()
    local server = hub.start_inside("", {
      workers = 2, clock = true, args = { "--limit", "channels=2" },
    })
    hub.run(hub.connect(server, 2), "channel('a', { ttl = 10 }):publish(1)")
    run(server, "channel('a'):finish() collectgarbage() collectgarbage()")
    assert.equal("nil", run(server, [[
      channel('b', { ttl = false }):publish(1)
      return (channel('c'))]]))
    hub.run(hub.connect(server, 2), "collectgarbage() collectgarbage()")
    server:advance(20)
    hub.meet_workers(server)
    assert.equal("false", run(server, "return channel('c') == nil"))
  end)

  it("is not changed by a reload: old and new scripts find the same end", function()
    local server = reload.start_inside [[
local room = lunesse.channel("room", { ttl = 100 })
server:get("/room", function(_, response)
  response.sse:subscribe(room, { since = "earliest" })
end)
server:post("/finish", function(_, response)
  for n = 1, 3 do room:publish(n) end
  response:send(tostring(room:finish()))
end)
server:get("/publish", function(_, response)
  response:send(select(2, room:publish("x")))
end)
]]
    assert.equal("true", server:request { method = "POST", target = "/finish" }.body)
    for _ = 1, 4 do
      local stream = server:stream "/room"
      assert.equal("1 2 3", hub.data(stream, 3))
      assert.equal("done", stream:finish())
      stream:close()
      assert.equal("finished", reload.get(server, "/publish"))
      reload.reload(server)
    end
  end)

  it("ends its streams completely even while the server stops", function()
    local server = start(0, "{ history = 10000, bytes = 20000000 }")
    local client = hub.stalled(server, "/on/room")
    hub.await_subscribers(server, "room", 1)
    run(server, "for n = 1, 8000 do kept.room:publish(n .. (' '):rep(1000)) end")
    run(server, "kept.room:finish()")
    server.process:signal("TERM")
    eventually(function()
      return #server:log_lines("stopping") > 0
    end)
    local stream = sse.stream(client, client:head())
    assert.equal("done", stream:finish(20))
    stream:close()
  end)

  it("does not hide that a handler failed", function()
    local server = start(0, "{ history = 10000, bytes = 20000000 }", nil, [[
server:get("/fails", function(_, response)
  response.sse:subscribe(env.kept.room)
  env.kept.room:finish()
  error("on purpose")
end)
]])
    local stream = server:stream "/fails"
    assert.equal("closed", stream:finish())
    stream:close()
  end)
end)

-- The recipe of docs/channels.md.
local ANSWER = [[
local lunesse = require "lunesse"
local server = lunesse.server()
local answer = lunesse.channel("answer", { ttl = 600 })
local asked = 0
server:get("/answer", function(request, response)
  asked = asked + 1
  if answer.finished and request.last_event_id == answer:cursor() then
    return response:status(204):send() -- nothing is left: a browser stops to reconnect
  end
  response.sse:open { retry = 0.02 }
  response.sse:subscribe(answer, { since = "earliest" })
end)
server:get("/asked", function(_, response) response:send(tostring(asked)) end)
server:post("/say", function(request, response)
  response:send(answer:publish(request:text()))
end)
server:post("/finish", function(_, response)
  response:send(tostring(answer:finish()))
end)
]]

describe("an EventSource on a finished channel", function()
  local Server = require "spec.support.server"

  it("gets all of it, comes back after the end, and stops at the 204 of the recipe", function()
    local server = Server.start(ANSWER, { workers = 1 })
    for n = 1, 3 do
      server:request { method = "POST", target = "/say", body = "word " .. n }
    end
    local client = Client.start("eventsource", { server.url .. "/answer", "--fatal" })
    client:await("event", 3)
    server:request { method = "POST", target = "/say", body = "word 4" }
    client:await("event", 4)
    server:request { method = "POST", target = "/finish", body = "" }
    client:finish()
    local words = {}
    for i, event in ipairs(client:records("event")) do
      words[i] = event.data
    end
    assert.same({ "word 1", "word 2", "word 3", "word 4" }, words)
    assert.equal("2", server:request { target = "/asked" }.body)
  end)

  it("answers a late one without an id in full, and 204 to a reader that has all", function()
    local server = Server.start(ANSWER, { workers = 1 })
    server:request { method = "POST", target = "/say", body = "all" }
    server:request { method = "POST", target = "/finish", body = "" }
    local stream = server:stream "/answer"
    local event = stream:event()
    assert.equal("all", event.data)
    assert.equal("done", stream:finish())
    stream:close()
    local client = server:connect()
    client:send(wire.request { target = "/answer", headers = {
      ["Accept"] = "text/event-stream", ["Last-Event-ID"] = event.id,
    } })
    assert.equal(204, client:response("GET").status)
    client:close()
  end)
end)
