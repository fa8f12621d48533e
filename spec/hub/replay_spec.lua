-- Replays at work: while others publish, over connections that fail, of large histories, and to
-- readers that do not read.

local hub = require "spec.hub.support"
local clock = require "spec.support.clock"
local wire = require "spec.support.wire"
local sse = require "spec.support.sse"

local run, further, numbers = hub.run, hub.further, hub.numbers

-- A publisher that publishes what comes next, a few at a time, every other millisecond.
local PUBLISHER = [[
server:get("/publisher", function(request, response)
  local count, last = 0, tonumber(request.query.last)
  local timer
  timer = lunesse.every(0.002, function()
    for _ = 1, math.random(0, 4) do
      if count < last then count = count + 1 env.kept.room:publish(count) end
    end
    if count == last then timer:stop() end
  end)
  response:send("publishing")
end)
]]

---The numbers that come out of `bytes`, the body of a stream that may have been cut anywhere, and
---the id behind the last of them.
local function numbers_of(bytes)
  local chunked, parser = sse.chunked(), sse.parser()
  for _, chunk in ipairs(chunked:feed(bytes)) do
    parser:feed(chunk)
  end
  return parser.events, parser.last_event_id
end

describe("a reader that is cut off again and again", function()
  it("gets each event once and in order, at whatever byte it was cut, while others publish",
    function()
      local server = hub.start(PUBLISHER)
      hub.keep(server, "room")
      local before = run(server, "return kept.room:cursor()")
      local last = 1200
      server:request { target = "/publisher?last=" .. last }
      local id, next_number, rounds = before, 1, 0
      local deadline = clock.deadline(20)
      while next_number <= last and clock.now() < deadline do
        rounds = rounds + 1
        local client = server:connect()
        client:send(wire.request { target = "/on/room", headers = {
          ["Accept"] = "text/event-stream", ["Last-Event-ID"] = id,
        } })
        client:head()
        local bytes, _, rest = client:receive(math.random(1, 400), 0.02)
        client[rounds % 2 == 0 and "reset" or "close"](client)
        local events, last_id = numbers_of(bytes or rest)
        for _, event in ipairs(events) do
          assert.same({ "message", tostring(next_number) }, { event.type, event.data })
          next_number = next_number + 1
        end
        id = #events > 0 and last_id or id
      end
      assert.equal(last + 1, next_number)
      assert.is_true(rounds > 150, rounds .. " rounds")
      assert.equal(further(before, last), id)
      hub.await_subscribers(server, "room", 0)
    end)

  it("is one of many that all get the same", function()
    local server = hub.start(PUBLISHER)
    hub.keep(server, "room")
    local before = run(server, "return kept.room:cursor()")
    server:request { target = "/publisher?last=300" }
    local streams, got = {}, {}
    for i = 1, 20 do
      got[i] = { id = before, next = 1 }
    end
    for round = 1, 12 do
      for i = 1, 20 do
        streams[i] = hub.open(server, "room", { last_event_id = got[i].id })
      end
      for i = 1, 20 do
        streams[i]:read_until(function()
          return #streams[i].parser.events >= (round < 12 and 5 or 301 - got[i].next)
        end, round < 12 and 0.1 or 5)
        for _, event in ipairs(streams[i].parser.events) do
          assert.equal(tostring(got[i].next), event.data)
          got[i].next, got[i].id = got[i].next + 1, event.id
        end
        streams[i]:close()
      end
    end
    for i = 1, 20 do
      assert.same({ id = further(before, 300), next = 301 }, got[i])
    end
  end)
end)

describe("a large history", function()
  local COUNT = 100000

  ---Fills the channel "room" with COUNT events.
  local function fill(server)
    hub.keep(server, "room", "{ history = 200000, bytes = 100000000, ttl = false }")
    run(server, [[
      local room = kept.room
      for n = 1, %d do
        room:publish(n)
        if n %% 1000 == 0 then lunesse.sleep(0) end
      end]], COUNT)
    return run(server, "return kept.room:cursor()")
  end

  local function median(list)
    table.sort(list)
    return list[#list // 2 + 1]
  end

  it("of 100 000 events is resumed at its end in the time that its beginning takes", function()
    local server = hub.start [[
server:get("/timed", function(request, response)
  collectgarbage() -- what others have left is not counted
  local began = lunesse.clock()
  for _ = 1, 200 do
    response.sse:subscribe(env.kept.room, { since = request.query.id })
    response.sse:unsubscribe(env.kept.room)
  end
  mark(("%.9f"):format(lunesse.clock() - began))
  response.sse:close()
end)
]]
    local id = fill(server)
    local places = { { further(id, 1 - COUNT), {} }, { further(id, -COUNT // 2), {} },
      { further(id, -1), {} } }
    local count = 0
    for _ = 1, 7 do
      for _, place in ipairs(places) do
        local stream = server:stream("/timed?id=" .. place[1])
        stream:finish()
        stream:close()
        count = count + 1
        table.insert(place[2], eventually(function()
          return tonumber(hub.marks(server)[count])
        end))
      end
    end
    local first, middle, last = median(places[1][2]), median(places[2][2]), median(places[3][2])
    -- Three times is noise; a search would take ten thousand times as long.
    assert.is_true(last < 3 * first and first < 3 * last and middle < 3 * first,
      ("%g s, %g s, %g s"):format(first, middle, last))
  end)

  it("arrives whole and in order", function()
    local server = hub.start()
    fill(server)
    local client = server:connect()
    client:send(wire.request { target = "/on/room?since=earliest",
      headers = { ["Accept"] = "text/event-stream" } })
    run(server, "lunesse.after(0.01, function() kept.room:close() end)")
    client:finish_sending()
    local bytes = client:receive_all(20)
    client:close()
    local count = 0
    for number in bytes:gmatch("\ndata: (%d+)\n\n\r\n") do
      count = count + 1
      if tonumber(number) ~= count then
        error(("event %d is %s"):format(count, number))
      end
    end
    assert.equal(COUNT, count)
    assert.equal("\r\n0\r\n\r\n", bytes:sub(-7))
  end)

  it("costs a reader that does not read nothing but its place", function()
    local server = hub.start()
    hub.keep(server, "room", "{ history = 200000, bytes = 100000000, ttl = false }")
    run(server, "for n = 1, 800 do kept.room:publish(('x'):rep(10000)) end")
    local id = run(server, "return kept.room:cursor()")
    local clients = {}
    local function stall(count)
      for _ = 1, count do
        clients[#clients + 1] = hub.stalled(server, "/on/room", further(id, -800))
      end
      hub.await_subscribers(server, "room", #clients, 10)
    end
    stall(20)
    local before = server:memory()
    stall(200)
    local grown = server:memory() - before
    -- Eight million bytes for each of them, if it were a queue.
    assert.is_true(grown < 200 * 16 * 1024 or hub.keeps_freed_memory(), "grew by " .. grown)
    assert.equal(220, hub.subscribers(server, "room"))
    local first = sse.stream(clients[1], clients[1]:head())
    for n = 1, 800 do
      local event = first:event(10)
      assert.same({ further(id, n - 800), 10000 }, { event.id, #event.data })
    end
    for _, client in ipairs(clients) do
      client:reset()
    end
    hub.await_subscribers(server, "room", 0, 10)
  end)

  it("does not hold up what others ask meanwhile", function()
    local server = hub.start()
    hub.keep(server, "room", "{ history = 200000, bytes = 100000000, ttl = false }")
    run(server, "for n = 1, 2000 do kept.room:publish(('x'):rep(10000)) end")
    local clients = {}
    for i = 1, 5 do
      clients[i] = server:connect()
      clients[i]:send(wire.request { target = "/on/room?since=earliest",
        headers = { ["Accept"] = "text/event-stream" } })
    end
    local began, answers, received = clock.now(), 0, 0
    while received < 5 * 20000000 and clock.now() < began + 20 * clock.slow do
      for i = 1, 5 do
        received = received + #(clients[i]:receive_some(0) or "")
      end
      if answers * 20000000 < received then
        assert.equal("2000", run(server, "return (kept.room:cursor():gsub('.*-', ''))"))
        answers = answers + 1
      end
    end
    assert.is_true(answers >= 5)
    for i = 1, 5 do
      clients[i]:close()
    end
  end)
end)

describe("what is published while a replay goes on", function()
  it("follows it, without a gap and without a double, also to a slow reader", function()
    local server = hub.start(nil, { args = { "--limit", "peer_timeout=1000" } })
    hub.keep(server, "room", "{ history = 100000, bytes = 100000000 }")
    run(server, "for n = 1, 2000 do kept.room:publish('e', n .. ' ' .. ('x'):rep(5000)) end")
    local client = hub.stalled(server, "/on/room?since=earliest")
    local stream = sse.stream(client, client:head())
    local next_number, published = 1, 2000
    while next_number <= 2500 do
      local event = stream:event(10)
      assert.equal(next_number, tonumber(event.data:match("^%d+")))
      if next_number % 50 == 0 and published < 2500 then
        published = published + 25
        run(server, "for n = %d, %d do kept.room:publish('e', n) end", published - 24, published)
      end
      next_number = next_number + 1
    end
    assert.is_true(stream:is_silent(0.01))
    stream:close()
  end)

  it("is replayed to a reader of HTTP/1.0 just as well", function()
    local server = hub.start()
    hub.keep(server, "room")
    hub.publish_numbers(server, "room", 1, 500)
    local stream = hub.open(server, "room", { since = "earliest", version = "1.0" })
    hub.publish_numbers(server, "room", 501, 600)
    assert.equal(numbers(1, 600), hub.data(stream, 600))
    stream:close()
  end)
end)
