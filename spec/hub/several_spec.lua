-- A stream on several channels: one order, one id that names the place in each of them.

local hub = require "spec.hub.support"

local run, further, data = hub.run, hub.further, hub.data

---A server that keeps the channels a, b and c, with options as Lua text.
local function start(options, text)
  local server = hub.start(text)
  for _, name in ipairs { "a", "b", "c" } do
    hub.keep(server, name, options)
  end
  return server
end

-- Publishes to channels by turns, as "a1 b2 a3"; names given more often are published to more.
local function publish_by_turns(server, names, first, last)
  return run(server, [[
    local names = %q
    for n = %d, %d do
      local name = names:sub(n %% #names + 1, n %% #names + 1)
      kept[name]:publish(name .. n)
    end]], names, first, last)
end

local function by_turns(names, first, last)
  local words = {}
  for n = first, last do
    local at = n % #names + 1
    words[#words + 1] = names:sub(at, at) .. n
  end
  return table.concat(words, " ")
end

describe("a stream on several channels", function()
  it("gets all of them in the order of publishing, in one turn and over turns", function()
    local server = start()
    local streams = { hub.open(server, "a,b,c"), hub.open(server, "c,b,a") }
    hub.await_subscribers(server, "a", 2)
    publish_by_turns(server, "aabacb", 1, 100)
    for n = 101, 120 do
      publish_by_turns(server, "abc", n, n)
    end
    local expected = by_turns("aabacb", 1, 100) .. " " .. by_turns("abc", 101, 120)
    for _, stream in ipairs(streams) do
      assert.equal(expected, data(stream, 120))
      for _, event in ipairs(stream.parser.events) do
        assert.is_true(event.is_chunk)
      end
      stream:close()
    end
  end)

  it("gets their histories in that order as well", function()
    local server = start()
    publish_by_turns(server, "cabba", 1, 200)
    for _, version in ipairs { "1.1", "1.0" } do
      local stream = hub.open(server, "a,b,c", { since = "earliest", version = version })
      assert.equal(by_turns("cabba", 1, 200), data(stream, 200))
      stream:close()
    end
  end)

  it("has ids that name the place in each, in the order of subscribing", function()
    local server = start()
    local stream = hub.open(server, "b,c,a")
    hub.await_subscribers(server, "a", 1)
    local places = {}
    for _, name in ipairs { "a", "b", "c" } do
      places[name] = run(server, "return kept.%s:cursor()", name)
    end
    for _, name in ipairs { "a", "b", "b", "c", "a", "b", "c", "c" } do
      local id = hub.publish(server, name, name)
      assert.equal(further(places[name], 1), id)
      places[name] = id
      assert.equal(places.b .. "," .. places.c .. "," .. places.a, stream:event().id)
    end
    stream:close()
  end)

  it("resumes from any of these ids without gap and double", function()
    local server = start()
    local stream = hub.open(server, "a,b,c")
    hub.await_subscribers(server, "c", 1)
    publish_by_turns(server, "abcacb", 1, 60)
    local events = stream:take(60)
    stream:close()
    for n, event in ipairs(events) do
      stream = hub.open(server, n % 2 == 0 and "a,b,c" or "c,a,b", { last_event_id = event.id })
      assert.equal(by_turns("abcacb", n + 1, 60), data(stream, 60 - n))
      if 60 - n > 0 then
        assert.not_equal("", stream.parser.last_event_id)
      end
      stream:close()
    end
  end)

  it("resumes while it is sent to and cut off at every byte", function()
    local server = start()
    local place = {}
    for i, name in ipairs { "a", "b" } do
      place[i] = run(server, "return kept.%s:cursor()", name)
    end
    publish_by_turns(server, "ab", 1, 12)
    local whole = hub.open(server, "a,b", { last_event_id = table.concat(place, ",") })
    assert.equal(by_turns("ab", 1, 12), data(whole, 12))
    local bytes = whole:bytes()
    whole:close()
    local sse = require "spec.support.sse"
    for cut = 1, #bytes, 7 do
      local chunked, parser = sse.chunked(), sse.parser()
      for _, chunk in ipairs(chunked:feed(bytes:sub(1, cut))) do
        parser:feed(chunk)
      end
      local count = #parser.events
      local id = count > 0 and parser.last_event_id or table.concat(place, ",")
      local stream = hub.open(server, "a,b", { last_event_id = id })
      assert.equal(by_turns("ab", count + 1, 12), data(stream, 12 - count))
      stream:close()
    end
  end)

  it("has ids that are bounded by the number of its channels, however often it comes back",
    function()
      local server = start()
      local id
      for round = 1, 20 do
        local stream = hub.open(server, "a,b,c", { last_event_id = id })
        hub.await_subscribers(server, "a", 1)
        run(server, "kept.a:publish(%d) kept.c:publish(%d)", round, round)
        assert.equal(round .. " " .. round, data(stream, 2))
        id = stream.parser.last_event_id
        assert.equal(3, select(2, id:gsub("%x+%-%d+", "")))
        assert.is_true(#id <= 3 * 37 + 2)
        stream:close()
        hub.await_subscribers(server, "a", 0)
      end
    end)

  it("may follow sixteen, with an id for all of them", function()
    local server = hub.start()
    local names = {}
    for i = 1, 16 do
      names[i] = "c" .. i
      hub.keep(server, names[i])
    end
    run(server, "for n = 1, 300 do kept['c' .. n %% 16 + 1]:publish(n) end", 0)
    local list = table.concat(names, ",")
    local stream = hub.open(server, list, { since = "earliest" })
    assert.equal(hub.numbers(1, 300), data(stream, 300))
    local id = stream.parser.events[100].id
    assert.equal(16, select(2, id:gsub("%x+%-%d+", "")))
    stream:close()
    stream = hub.open(server, list, { last_event_id = id })
    assert.equal(hub.numbers(101, 300), data(stream, 200))
    stream:close()
  end)

  it("tells nothing of a channel that it does not follow", function()
    local server = start()
    local stream = hub.open(server, "a,c")
    hub.await_subscribers(server, "c", 1)
    publish_by_turns(server, "abc", 1, 30)
    for _, event in ipairs(stream:take(20)) do
      assert.matches("^[ac]", event.data)
    end
    stream:close()
  end)
end)

describe("an id of which a part is missing", function()
  local server, ids

  before_each(function()
    server = start("{ history = 20 }")
    local stream = hub.open(server, "a,b")
    hub.await_subscribers(server, "b", 1)
    publish_by_turns(server, "ab", 1, 10)
    ids = stream:take(10)[4].id
    stream:close()
    hub.await_nobody(server, "b")
  end)

  it("resets the channel that it does not name, and resumes the others", function()
    local place_a, place_b = ids:match("^(.*),(.*)$")
    for _, case in ipairs { { place_a, "b", "a6 a8 a10" }, { place_b, "a", "b5 b7 b9" } } do
      local stream = hub.open(server, "a,b", { last_event_id = case[1] })
      local notice = hub.notice(stream:event())
      assert.same({ "reset", "epoch", case[2] }, { notice.type, notice.reason, notice.channel })
      assert.equal(case[3], data(stream, 3))
      assert.is_true(stream:is_silent(0.01))
      stream:close()
    end
  end)

  it("resets a channel that was not followed then", function()
    local stream = hub.open(server, "a,b,c", { last_event_id = ids, since = "earliest" })
    local notice = hub.notice(stream:event())
    assert.same({ "epoch", "c" }, { notice.reason, notice.channel })
    assert.equal(by_turns("ab", 5, 10), data(stream, 6))
    stream:close()
  end)

  it("resets a channel that was made anew", function()
    run(server, "kept.b:close() kept.b = channel('b') kept.b:publish('new')")
    local stream = hub.open(server, "a,b", { last_event_id = ids, since = "earliest" })
    local notice = hub.notice(stream:event())
    assert.same({ "reset", "epoch", "b" }, { notice.type, notice.reason, notice.channel })
    assert.equal("a6 a8 a10 new", data(stream, 4))
    stream:close()
  end)

  it("resets the channel whose part has expired, with the number of that channel", function()
    run(server, "for n = 1, 30 do kept.b:publish('b') end")
    local stream = hub.open(server, "a,b", { last_event_id = ids, since = "earliest" })
    local notice = hub.notice(stream:event())
    assert.same({ "expired", "b", 13 }, { notice.reason, notice.channel, notice.missed })
    assert.equal("a6 a8 a10 b", data(stream, 4))
    stream:close()
  end)

  it("that is malformed resets each channel once", function()
    local stream = hub.open(server, "a,b", { last_event_id = ids .. "," })
    local first, second = hub.notice(stream:event()), hub.notice(stream:event())
    assert.same({ "malformed", "a", "malformed", "b" },
      { first.reason, first.channel, second.reason, second.channel })
    assert.equal(first.to .. "," .. second.to, second.id)
    assert.is_true(stream:is_silent(0.01))
    stream:close()
    -- Cut off between the two, a reader still hears of the second when it comes back.
    stream = hub.open(server, "a,b", { last_event_id = first.id })
    local again = hub.notice(stream:event())
    assert.same({ "epoch", "b" }, { again.reason, again.channel })
    assert.is_true(stream:is_silent(0.01))
    stream:close()
  end)

  it("is followed by ids that name every channel again", function()
    local stream = hub.open(server, "a,b", { last_event_id = (ids:match("^(.*),")) })
    local notice = hub.notice(stream:event())
    assert.matches("^%x+%-2,%x+%-5$", notice.id)
    local last = stream:take(3)[3].id
    stream:close()
    hub.publish(server, "b", "more")
    stream = hub.open(server, "a,b", { last_event_id = last })
    assert.equal("more", data(stream, 1))
    stream:close()
  end)
end)

describe("own events of a stream on several channels", function()
  local LIVE = [[
server:get("/live", function(_, response)
  env.kept.live = response.sse
  for name in ("abc"):gmatch(".") do response.sse:subscribe(env.kept[name]) end
end)
]]

  it("come exactly where they were sent, between those of the channels", function()
    local server = start(nil, LIVE)
    local stream = server:stream("/live")
    stream:comment()
    run(server, [[
      for n = 1, 100 do
        if n %% 3 == 0 then kept.live:send("own" .. n)
        elseif n %% 5 == 0 then kept.live:send("e", "e" .. n)
        else kept[("abc"):sub(n %% 2 + 1, n %% 2 + 1)]:publish("c" .. n) end
      end]], 0)
    local id = ""
    for n = 1, 100 do
      local event = stream:event()
      local is_own = n % 3 == 0 or n % 5 == 0
      assert.equal((n % 3 == 0 and "own" or n % 5 == 0 and "e" or "c") .. n, event.data)
      assert.is_true(event.is_chunk)
      assert.is_true(is_own == (event.id == id)) -- an own event leaves the reader's id as it is
      id = event.id
    end
    stream:close()
  end)

  it("come so to a reader that is slow, as well", function()
    for _, version in ipairs { "1.1", "1.0" } do
      local server = start("{ history = 10000, bytes = 100000000 }", LIVE)
      local client = hub.stalled(server, "/live", nil, version)
      hub.await_subscribers(server, "c", 1)
      run(server, [[
        local pad = (" "):rep(2000)
        lunesse.after(0, function()
          for n = 1, 3000 do
            if n % 7 == 0 then kept.live:send(n .. pad)
            else kept[("abc"):sub(n % 3 + 1, n % 3 + 1)]:publish(n .. pad) end
          end
        end)]])
      local stream = require("spec.support.sse").stream(client, client:head())
      for n = 1, 3000 do
        local event = stream:event(10)
        assert.equal(tostring(n), event.data:match("^%d+"))
        assert.is_true(event.is_chunk or version == "1.0")
      end
      stream:close()
    end
  end)

  it("come behind what was published before them though another channel is still replayed",
    function()
      local server = start(nil, [[
server:get("/live", function(_, response)
  local sse = response.sse
  env.kept.c:publish("old")
  sse:send("first")
  sse:subscribe(env.kept.a, { since = "earliest" })
  env.kept.a:publish("third")
  sse:send("fourth")
  sse:subscribe(env.kept.b)
  env.kept.b:publish("fifth")
  sse:send("last")
end)
]])
      hub.publish(server, "a", "second")
      local stream = server:stream("/live")
      assert.equal("first second third fourth fifth last", data(stream, 6))
      stream:close()
    end)
end)
