-- Channels of several workers, where it matters that one of them has not yet seen what another did.
-- The one is kept busy meanwhile, so that it is so each time.

local hub = require "spec.hub.support"

local run = hub.run

-- A stream that code of its worker may send to, as `kept.sse`.
local KEPT = [[
server:get("/kept", function(_, response)
  env.kept.sse = response.sse
  response.sse:open()
end)
]]

---A server of two workers, and a connection to each.
local function start(options)
  options = options or {}
  options.workers, options.args = 2, { "--limit", "run_timeout=60" }
  local server = hub.start(KEPT, options)
  return server, hub.connect(server, 1), hub.connect(server, 2)
end

---A stream that the second worker has.
local function open(server, target)
  local stream = hub.open_at(server, 2, target)
  stream:comment()
  return stream
end

---Publishes `count` events of so many bytes in the worker of the connection `publisher`, where the
---answer is still to come. Returns how many there are when that has to wait, or is done; `client`
---is another connection to that worker.
local function publish_many(publisher, client, count, bytes)
  hub.begin(publisher, [[
    local room = channel("room")
    for n = 1, %d do
      local id, why = room:publish(n .. (" "):rep(%d))
      if not id then return why end
    end
    return "all"]], count, bytes)
  local newest
  eventually(function() -- a handler that does not wait is not interrupted
    newest = tonumber(run(client, "return (channel('room'):cursor():gsub('.*-', ''))"))
    return newest > 0
  end)
  return newest
end

describe("what another worker has published", function()
  ---A connection to each of two workers, and the second one's stream on the channel `room`.
  local function start_reading()
    local server, first, second = start()
    local stream = open(server, "/kept")
    run(second, "kept.sse:subscribe(channel('room'))")
    return first, second, stream
  end

  it("comes before what a stream is sent afterwards", function()
    local first, second, stream = start_reading()
    local go_on = hub.hold(second, first, "kept.sse:send('own')")
    hub.publish(first, "room", "theirs")
    go_on()
    assert.equal("theirs own", hub.data(stream, 2))
    stream:close()
  end)

  it("comes before the end of a stream that is closed afterwards", function()
    local first, second, stream = start_reading()
    local go_on = hub.hold(second, first, "kept.sse:close()")
    hub.publish(first, "room", "last")
    go_on()
    assert.equal("last", hub.data(stream, 1))
    assert.equal("done", stream:finish())
    stream:close()
  end)
end)

describe("a newcomer at a worker that has more of a channel than is kept", function()
  ---The stream of one that begins at `since`, or else after the first of five events.
  local function newcomer(since)
    local server, first, second = start()
    local reader, stream = open(server, "/on/room"), open(server, "/kept")
    local id = hub.publish(first, "room", 1)
    hub.publish_numbers(first, "room", 2, 5)
    assert.equal("1 2 3 4 5", hub.data(reader, 5))
    local go_on = hub.hold(second, first,
      ("kept.sse:subscribe(channel('room'), { since = '%s' })"):format(since or id))
    run(first, "channel('room', { history = 2 })")
    go_on()
    hub.publish(first, "room", 6)
    reader:close()
    return stream
  end

  it("gets what is kept and no more", function()
    local stream = newcomer "earliest"
    assert.equal("4 5 6", hub.data(stream, 3))
    stream:close()
  end)

  it("is told that what came after its id is not kept", function()
    local stream = newcomer()
    local notice = hub.notice(stream:event())
    assert.same({ "reset", "expired", 4 }, { notice.type, notice.reason, notice.missed })
    assert.equal("6", hub.data(stream, 1))
    stream:close()
  end)
end)

describe("who publishes more than a busy worker has seen", function()
  it("waits from the channel's bytes on, so that no reader there is too slow for it", function()
    local server, first, second = start()
    run(first, "kept.room = channel('room', { bytes = 10000 })")
    local reader = open(server, "/on/room")
    local publisher = hub.connect(server, 1)
    local go_on = hub.hold(second, first, "")
    local newest = publish_many(publisher, first, 50, 1000) -- less than stream_high_bytes
    assert.is_true(newest < 20, newest .. " events")
    go_on()
    assert.equal("all", hub.answer(publisher))
    for n = 1, 50 do
      assert.equal(tostring(n), reader:event().data:match("^%d+"))
    end
    reader:close()
  end)

  it("goes on when that worker has let go of the channel, which was closed", function()
    local server, first, second = start()
    local stream = open(server, "/kept")
    run(second, "kept.room = channel('room') kept.sse:subscribe(kept.room)")
    local publisher = hub.connect(server, 1)
    local go_on = hub.hold(second, first, [[
      kept.sse:send("sees that it is closed")
      kept.sse:unsubscribe(kept.room)
      kept.room = nil
      collectgarbage()]])
    publish_many(publisher, first, 1000, 1000)
    run(first, "channel('room'):close()")
    go_on()
    assert.equal("closed", hub.answer(publisher))
    stream:close()
  end)
end)

describe("a ttl that one worker has made shorter", function()
  it("is that of all: none of them keeps the channel any longer", function()
    local server, first, second = start { clock = true }
    local id = hub.publish(second, "room", "in its first life")
    run(second, "collectgarbage()")
    run(first, "channel('room', { ttl = 1 }) collectgarbage()")
    server:advance(2)
    local epoch = hub.parts(hub.publish(first, "room", "in its next life"))
    assert.not_equal(hub.parts(id), epoch)
  end)
end)
