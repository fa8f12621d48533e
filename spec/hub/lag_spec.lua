-- Readers that fall behind what a channel keeps: the two policies, and what they mean for others.

local clock = require "spec.support.clock"
local hub = require "spec.hub.support"
local sse = require "spec.support.sse"
local Server = require "spec.support.server"

local run, further, data, numbers = hub.run, hub.further, hub.data, hub.numbers

local MIB = 1024 * 1024

-- A reader whose end is marked.
local MARKED = [[
server:get("/marked", function(_, response)
  response:on("close", function(reason) mark("close", reason) end)
  env.kept.live = response.sse
  response.sse:subscribe(env.kept.room)
end)
]]

---A server on a Unix socket: its kernel takes about 200 KB for a reader that does not read. One
---worker, since such a socket's connections go to the worker that has the fewest, never by chance.
local function start_small(text)
  local folder = Server.write {}
  return hub.start(text, { args = { "--unix", folder .. "/socket" }, workers = 1 })
end

---Publishes events of 1000 bytes, `first` to `last`, which begin with their number.
local function publish_padded(server, first, last)
  return run(server, [[
    local id
    for n = %d, %d do id = kept.room:publish("e", n .. " " .. ("x"):rep(1000)) end
    return id]], first, last)
end

---A reader of `room`, which is kept with `options`, that reads nothing.
local function stalled_in_room(server, options)
  hub.keep(server, "room", options)
  local client = hub.stalled(server, "/marked")
  hub.await_subscribers(server, "room", 1)
  return client
end

local function number_of(event)
  return tonumber(event.data:match("^%d+"))
end

describe("a reader that falls behind a channel's history, with on_lag = 'resume'", function()
  it("is disconnected with a reset, as slow, and comes back with its id", function()
    local server = hub.start(MARKED)
    local client = stalled_in_room(server, "{ history = 100000, bytes = 20000000 }")
    publish_padded(server, 1, 9999)
    assert.equal(1, hub.subscribers(server, "room"))
    hub.keep(server, "room", "{ history = 10 }")
    local id = publish_padded(server, 10000, 10000)
    hub.await_marks(server, { "close slow" })
    assert.matches("reason=slow", hub.await_access_line(server, "/marked"))
    assert.equal(0, hub.subscribers(server, "room"))
    local _, why = client:receive_all()
    assert.equal("reset", why)
    client:close()
    local stream = hub.open(server, "room", { last_event_id = further(id, -9000) })
    local notice = hub.notice(stream:event())
    assert.same({ "expired", 9000 }, { notice.reason, notice.missed })
    stream:close()
  end)

  it("is that by default, by count as well as by bytes", function()
    for _, options in ipairs { "{ history = 50 }", "{ bytes = 50000 }", "nil" } do
      local server = start_small(MARKED)
      local client = stalled_in_room(server, options)
      publish_padded(server, 1, options == "nil" and 2500 or 500)
      hub.await_marks(server, { "close slow" })
      client:close()
    end
  end)

  it("keeps what it has not read, while that is still in the history", function()
    local server = start_small(MARKED)
    local client = stalled_in_room(server, "{ history = 1000, bytes = 2000000 }")
    publish_padded(server, 1, 1000)
    local stream = sse.stream(client, client:head())
    for n = 1, 1000 do
      assert.equal(n, number_of(stream:event()))
    end
    assert.same({}, hub.marks(server))
    stream:close()
  end)

  it("leaves a stream that also has events of its own to say cut off at once", function()
    local server = start_small(MARKED)
    local client = stalled_in_room(server, "{ history = 10 }")
    publish_padded(server, 1, 300)
    hub.await_marks(server, { "close slow" })
    assert.equal("nil closed ECLOSED", run(server, "return kept.live:send('x')"))
    client:close()
  end)
end)

describe("a reader that falls behind a channel's history, with on_lag = 'skip'", function()
  ---The stream of a reader that was sent the first of `count` events and then fell behind; and the
  ---id of the last.
  local function behind(server, options, count)
    local client = stalled_in_room(server, options)
    local id = publish_padded(server, 1, count)
    return sse.stream(client, client:head()), id
  end

  it("gets one 'lagged' with how many it missed, and goes on with the newest", function()
    local server = start_small(MARKED)
    local stream, id = behind(server, "{ history = 20, on_lag = 'skip' }", 1000)
    local seen = 0
    local event = stream:event()
    while event.type == "e" do
      seen = seen + 1
      assert.equal(seen, number_of(event))
      event = stream:event()
    end
    assert.is_true(seen > 20 and seen < 980, "seen " .. seen)
    assert.same({
      type = "lagged", channel = "room", reason = "slow", id = id, to = id,
      from = further(id, seen - 1000), missed = 1000 - seen,
    }, hub.notice(event))
    assert.is_true(event.is_chunk)
    assert.is_true(stream:is_silent(0.01))
    publish_padded(server, 1001, 1010)
    for n = 1001, 1010 do
      event = stream:event()
      assert.same({ n, further(id, n - 1000) }, { number_of(event), event.id })
    end
    assert.same({}, hub.marks(server))
    stream:close()
  end)

  it("gets another one each time that it falls behind, and ids that only rise", function()
    local server = start_small(MARKED)
    local stream = behind(server, "{ history = 20, on_lag = 'skip' }", 1000)
    local lagged, accounted = 0, 0
    for round = 1, 5 do
      local last_id = publish_padded(server, 1000 * round + 1, 1000 * round + 1000)
      stream:read_until(function()
        return stream.parser.last_event_id == last_id
      end)
    end
    local last = 0
    for _, event in ipairs(stream.parser.events) do
      local _, number = hub.parts(event.id)
      assert.is_true(number > last)
      last = number
      local is_notice = event.type == "lagged"
      accounted = accounted + (is_notice and hub.notice(event).missed or 1)
      lagged = lagged + (is_notice and 1 or 0)
    end
    assert.is_true(lagged >= 2)
    assert.equal(6000, accounted) -- nothing is dropped in silence
    stream:close()
  end)

  it("is told with the event that the channel names", function()
    local server = start_small(MARKED)
    local stream = behind(server, "{ history = 5, on_lag = 'skip', lagged_event = 'gap' }", 800)
    stream:read_until(function()
      local events = stream.parser.events
      return #events > 0 and events[#events].type == "gap"
    end)
    local events = stream.parser.events
    assert.equal("slow", hub.notice(events[#events]).reason)
    stream:close()
  end)

  it("loses none of the stream's own events", function()
    local server = start_small(MARKED)
    local client = stalled_in_room(server, "{ history = 5, on_lag = 'skip' }")
    publish_padded(server, 1, 500)
    run(server, "for n = 1, 50 do kept.live:send('own', n) end")
    publish_padded(server, 501, 1000)
    local stream = sse.stream(client, client:head())
    local own, lagged = 0, 0
    while own < 50 do
      local event = stream:event()
      own = own + (event.type == "own" and 1 or 0)
      lagged = lagged + (event.type == "lagged" and 1 or 0)
      assert.is_true(event.type ~= "own" or event.data == tostring(own))
    end
    assert.equal(1, lagged)
    stream:close()
  end)

  it("never gets the notice in the middle of another event, its own ones included", function()
    local server = start_small([[
server:get("/live", function(_, response)
  local sse = response.sse
  sse:subscribe(env.kept.room)
  env.kept.room:publish("first")
  sse:send("own", ("y"):rep(800000))
  sse:send("own", "last")
end)
]])
    hub.keep(server, "room", "{ history = 5, on_lag = 'skip' }")
    local client = hub.stalled(server, "/live")
    hub.await_subscribers(server, "room", 1)
    publish_padded(server, 1, 50)
    local stream = sse.stream(client, client:head())
    local seen = {}
    for i, event in ipairs(stream:take(4, 10)) do
      seen[i] = event.type .. " " .. #event.data
      assert.is_true(event.is_chunk)
    end
    assert.equal("message 5,own 800000", seen[1] .. "," .. seen[2])
    assert.is_true(seen[3]:find("^lagged") ~= nil and seen[4] == "own 4", seen[3] .. seen[4])
    stream:close()
  end)

  it("is on each of its channels by itself, as they say", function()
    local server = start_small()
    hub.keep(server, "room", "{ history = 5, on_lag = 'skip', lagged_event = 'gap' }")
    hub.keep(server, "full", "{ history = 100000, bytes = 100000000 }")
    local client = hub.stalled(server, "/on/room,full")
    hub.await_subscribers(server, "full", 1)
    run(server, [[
      for n = 1, 1000 do
        kept.room:publish("room", n) kept.full:publish("full", n .. (" "):rep(1000))
      end]])
    local stream = sse.stream(client, client:head())
    local full, gaps, id = 0, 0
    while full < 1000 do
      local event = stream:event()
      id = event.id
      assert.matches("^%x+%-%d+,%x+%-%d+$", id)
      if event.type == "full" then
        full = full + 1
        assert.equal(full, number_of(event))
      elseif event.type == "gap" then
        gaps = gaps + 1
      end
    end
    assert.equal(1, gaps)
    assert.matches("%-1000,%x+%-1000$", id)
    stream:close()
  end)

  it("becomes another policy when the channel's option is changed", function()
    local server = start_small(MARKED)
    local client = stalled_in_room(server, "{ history = 5, on_lag = 'skip' }")
    publish_padded(server, 1, 500)
    assert.equal(1, hub.subscribers(server, "room"))
    hub.keep(server, "room", "{ on_lag = 'resume' }")
    publish_padded(server, 501, 501)
    hub.await_marks(server, { "close slow" })
    client:close()
  end)
end)

describe("a reader that falls behind before it could be told 'reset'", function()
  -- The first event is more than the kernel takes, so the notice of the channel cannot go out.
  local FULL = [[
server:get("/full", function(_, response)
  response:on("close", function(reason) mark("close", reason) end)
  env.kept.live = response.sse
  response.sse:send("own", ("y"):rep(800000))
end)
]]

  ---A reader of `room` that comes with an id that has expired, and then falls behind; and the id.
  local function fallen_behind(server, options)
    hub.keep(server, "room", options)
    local id = publish_padded(server, 1, 1)
    publish_padded(server, 2, 100)
    local client = hub.stalled(server, "/full", id)
    clock.eventually(function()
      return run(server, "return kept.live ~= nil") == "true"
    end)
    assert.equal("true", run(server, "return kept.live:subscribe(kept.room)"))
    publish_padded(server, 101, 200)
    return client, id
  end

  it("is disconnected with on_lag = 'resume', and told 'reset' when it comes back", function()
    local server = start_small(FULL)
    local client, id = fallen_behind(server, "{ history = 10 }")
    hub.await_marks(server, { "close slow" })
    assert.is_nil(client:receive_all():find("event: reset", 1, true))
    client:close()
    local stream = hub.open(server, "room", { last_event_id = id })
    local notice = hub.notice(stream:event())
    assert.same({ "reset", "expired", id, 199 },
      { notice.type, notice.reason, notice.from, notice.missed })
    stream:close()
  end)

  it("is told 'reset' and not 'lagged' with on_lag = 'skip', and gets the oldest event", function()
    local server = start_small(FULL)
    local client, id = fallen_behind(server, "{ history = 10, on_lag = 'skip' }")
    local stream = sse.stream(client, client:head())
    assert.equal("own", stream:event().type)
    local notice = hub.notice(stream:event())
    assert.same({ "reset", "expired", id, 189 },
      { notice.type, notice.reason, notice.from, notice.missed })
    for n = 191, 200 do
      assert.equal(n, number_of(stream:event()))
    end
    assert.same({}, hub.marks(server))
    stream:close()
  end)
end)

describe("a stalled reader", function()
  it("changes nothing for a hundred others, who get each event in the turn of its publishing",
    function()
      for _, on_lag in ipairs { "resume", "skip" } do
        local server = start_small()
        hub.keep(server, "room", ("{ history = 10, on_lag = '%s' }"):format(on_lag))
        local stalled = hub.stalled(server, "/on/room")
        hub.await_subscribers(server, "room", 1)
        local streams = {}
        for i = 1, 100 do
          streams[i] = hub.open(server, "room")
          streams[i]:comment()
        end
        for round = 1, 10 do
          -- Some 400 KB in all, which is more than the kernel takes for one. The answer leaves in
          -- the turn of the last event, so everybody has it by then.
          run(server, [[
            for n = 1, 4 do kept.room:publish(('x'):rep(10000)) end
            kept.room:publish(%d)]], round)
          for i = 1, 100 do
            local events = streams[i].parser.events
            assert(streams[i]:read_until(function()
              return #events == 5 * round
            end, 0))
            assert.equal(tostring(round), events[#events].data)
          end
        end
        assert.equal(on_lag == "skip" and 101 or 100, hub.subscribers(server, "room"))
        for i = 1, 100 do
          streams[i]:close()
        end
        stalled:close()
      end
    end)

  it("keeps no more memory than the piece of a block that it is in the middle of", function()
    if hub.keeps_freed_memory() then
      return pending("a sanitizer keeps what was freed")
    end
    local server = hub.start()
    hub.keep(server, "room", "{ history = 10, on_lag = 'skip' }")
    local clients = {}
    for i = 1, 50 do
      clients[i] = hub.stalled(server, "/on/room")
    end
    hub.await_subscribers(server, "room", 50)
    publish_padded(server, 1, 5000)
    local before = server:memory()
    for round = 1, 4 do
      publish_padded(server, 5000 * round + 1, 5000 * round + 5000)
    end
    -- Twenty million bytes have been published to each of fifty readers since.
    assert.is_true(server:memory() - before < 3 * MIB, "grew by " .. server:memory() - before)
    for _, client in ipairs(clients) do
      client:close()
    end
  end)

  it("that comes back to life gets what is still there", function()
    local server = hub.start()
    hub.keep(server, "room", "{ history = 1000, bytes = 100000000 }")
    local client = hub.stalled(server, "/on/room")
    hub.await_subscribers(server, "room", 1)
    local id = run(server,
      "local id for n = 1, 800 do id = kept.room:publish(n .. (' '):rep(10000)) end return id")
    local stream = sse.stream(client, client:head())
    for n = 1, 800 do
      assert.equal(n, number_of(stream:event(5)))
    end
    assert.equal(id, stream.parser.last_event_id)
    hub.publish(server, "room", "live")
    assert.equal("live", data(stream, 1))
    stream:close()
  end)
end)

describe("what is pending", function()
  it("are the bytes that a reader has still to get, of its channels as well as its own", function()
    local server = start_small(MARKED)
    local client = stalled_in_room(server)
    assert.equal("0", run(server, "return kept.live.pending"))
    publish_padded(server, 1, 700)
    local pending = tonumber(run(server, "return kept.live.pending"))
    assert.is_true(pending > 300000 and pending < 700000, pending .. " bytes")
    run(server, "kept.live:send(('x'):rep(1000))")
    assert.equal(pending + 1000 + #"3f0\r\ndata: \n\n\r\n",
      tonumber(run(server, "return kept.live.pending")))
    local stream = sse.stream(client, client:head())
    stream:take(701)
    assert.equal("0", run(server, "return kept.live.pending"))
    stream:close()
  end)

  it("is no more than the rest of an event where the history holds nothing", function()
    local server = start_small(MARKED)
    local client = stalled_in_room(server, "{ history = 0, on_lag = 'skip' }")
    publish_padded(server, 1, 500)
    assert.is_true(tonumber(run(server, "return kept.live.pending")) < 1100)
    client:close()
  end)
end)

describe("a reader that is exactly as fast as the channel", function()
  it("is not taken for slow, though the history is shorter than a turn's events", function()
    local server = hub.start()
    hub.keep(server, "room", "{ history = 0 }")
    local stream = hub.open(server, "room")
    hub.await_subscribers(server, "room", 1)
    for round = 0, 9 do
      hub.publish_numbers(server, "room", 100 * round + 1, 100 * round + 100)
    end
    assert.equal(numbers(1, 1000), data(stream, 1000))
    stream:close()
  end)

  it("gets a burst over several turns that is many times the history", function()
    local server = hub.start()
    hub.keep(server, "room", "{ history = 10, bytes = 10000000 }")
    local stream = hub.open(server, "room")
    stream:comment()
    run(server, [[
      local is_first = true -- a comparator cannot wait, so all of it is published in this turn
      table.sort({ 1, 2 }, function(a, b)
        for n = 1, is_first and 900 or 0 do kept.room:publish(n .. " " .. ("x"):rep(1000)) end
        is_first = false
        return a < b
      end)]])
    for n = 1, 900 do
      assert.equal(n, number_of(stream:event()))
    end
    stream:close()
  end)
end)
