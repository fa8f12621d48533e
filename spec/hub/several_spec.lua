-- A stream on several channels: one order, one id that names the place in each of them.

local hub = require "spec.hub.app"
local sse = require "spec.support.sse"

local run, further, data = hub.run, hub.further, hub.data

---A server that keeps the channels a, b and c, with options as Lua text.
local function start(options, text)
  local app = hub.start(text)
  for _, name in ipairs { "a", "b", "c" } do
    hub.keep(app, name, options)
  end
  return app
end

-- Publishes to channels by turns, as "a1 b2 a3"; names given more often are published to more.
local function publish_by_turns(app, names, first, last)
  return run(app, [[
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
    local app = start()
    local streams = { hub.open(app, "a,b,c"), hub.open(app, "c,b,a") }
    publish_by_turns(app, "aabacb", 1, 100)
    for n = 101, 120 do
      publish_by_turns(app, "abc", n, n)
    end
    local expected = by_turns("aabacb", 1, 100) .. " " .. by_turns("abc", 101, 120)
    for _, stream in ipairs(streams) do
      assert.equal(expected, data(stream, 120))
      hub.expect_chunks(stream)
    end
  end)

  it("gets their histories in that order as well", function()
    local app = start()
    publish_by_turns(app, "cabba", 1, 200)
    for _, version in ipairs { "1.1", "1.0" } do
      local stream = hub.open(app, "a,b,c", { since = "earliest", version = version })
      assert.equal(by_turns("cabba", 1, 200), data(stream, 200))
    end
  end)

  it("has ids that name the place in each, in the order of subscribing", function()
    local app = start()
    local stream = hub.open(app, "b,c,a")
    local places = {}
    for _, name in ipairs { "a", "b", "c" } do
      places[name] = run(app, "return kept.%s:cursor()", name)
    end
    for _, name in ipairs { "a", "b", "b", "c", "a", "b", "c", "c" } do
      local id = hub.publish(app, name, name)
      assert.equal(further(places[name], 1), id)
      places[name] = id
      assert.equal(places.b .. "," .. places.c .. "," .. places.a, stream:next().id)
    end
  end)

  it("resumes from any of these ids without gap and double", function()
    local app = start()
    local stream = hub.open(app, "a,b,c")
    publish_by_turns(app, "abcacb", 1, 60)
    local events = hub.take(stream, 60)
    for n, event in ipairs(events) do
      stream = hub.open(app, n % 2 == 0 and "a,b,c" or "c,a,b", { last_event_id = event.id })
      assert.equal(by_turns("abcacb", n + 1, 60), data(stream, 60 - n))
      if 60 - n > 0 then
        assert.not_equal("", stream.id)
      end
    end
  end)

  it("resumes while it is sent to and cut off at every byte", function()
    local app = start()
    local place = {}
    for i, name in ipairs { "a", "b" } do
      place[i] = run(app, "return kept.%s:cursor()", name)
    end
    publish_by_turns(app, "ab", 1, 12)
    local whole = hub.open(app, "a,b", { last_event_id = table.concat(place, ",") })
    assert.equal(by_turns("ab", 1, 12), data(whole, 12))
    for cut = 1, #whole.raw, 7 do
      local parser = sse.parser()
      parser:feed(whole.raw:sub(1, cut))
      local count = #parser.events
      local id = count > 0 and parser.last_event_id or table.concat(place, ",")
      local stream = hub.open(app, "a,b", { last_event_id = id })
      assert.equal(by_turns("ab", count + 1, 12), data(stream, 12 - count))
    end
  end)

  it("has ids that are bounded by the number of its channels, however often it comes back",
    function()
      local app = start()
      local id
      for round = 1, 20 do
        local stream = hub.open(app, "a,b,c", { last_event_id = id })
        run(app, "kept.a:publish(%d) kept.c:publish(%d)", round, round)
        assert.equal(round .. " " .. round, data(stream, 2))
        id = stream.id
        assert.equal(3, select(2, id:gsub("%x+%-%d+", "")))
        assert.is_true(#id <= 3 * 37 + 2)
      end
    end)

  it("may follow sixteen, with an id for all of them", function()
    local app = hub.start()
    local names = {}
    for i = 1, 16 do
      names[i] = "c" .. i
      hub.keep(app, names[i])
    end
    run(app, "for n = 1, 300 do kept['c' .. n %% 16 + 1]:publish(n) end", 0)
    local list = table.concat(names, ",")
    local stream = hub.open(app, list, { since = "earliest" })
    assert.equal(hub.numbers(1, 300), data(stream, 300))
    local id = stream.events[100].id
    assert.equal(16, select(2, id:gsub("%x+%-%d+", "")))
    stream = hub.open(app, list, { last_event_id = id })
    assert.equal(hub.numbers(101, 300), data(stream, 200))
  end)

  it("tells nothing of a channel that it does not follow", function()
    local app = start()
    local stream = hub.open(app, "a,c")
    publish_by_turns(app, "abc", 1, 30)
    for _, event in ipairs(hub.take(stream, 20)) do
      assert.matches("^[ac]", event.data)
    end
  end)
end)

describe("an id of which a part is missing", function()
  local app, ids

  before_each(function()
    app = start("{ history = 20 }")
    local stream = hub.open(app, "a,b")
    publish_by_turns(app, "ab", 1, 10)
    ids = hub.take(stream, 10)[4].id
  end)

  it("resets the channel that it does not name, and resumes the others", function()
    local place_a, place_b = ids:match("^(.*),(.*)$")
    for _, case in ipairs { { place_a, "b", "a6 a8 a10" }, { place_b, "a", "b5 b7 b9" } } do
      local stream = hub.open(app, "a,b", { last_event_id = case[1] })
      local notice = hub.notice(stream:next())
      assert.same({ "reset", "epoch", case[2] }, { notice.type, notice.reason, notice.channel })
      assert.equal(case[3], data(stream, 3))
      assert.quiet(stream)
    end
  end)

  it("resets a channel that was not followed then", function()
    local stream = hub.open(app, "a,b,c", { last_event_id = ids, since = "earliest" })
    local notice = hub.notice(stream:next())
    assert.same({ "epoch", "c" }, { notice.reason, notice.channel })
    assert.equal(by_turns("ab", 5, 10), data(stream, 6))
  end)

  it("resets a channel that was made anew", function()
    run(app, "kept.b:close() kept.b = channel('b') kept.b:publish('new')")
    local stream = hub.open(app, "a,b", { last_event_id = ids, since = "earliest" })
    local notice = hub.notice(stream:next())
    assert.same({ "reset", "epoch", "b" }, { notice.type, notice.reason, notice.channel })
    assert.equal("a6 a8 a10 new", data(stream, 4))
  end)

  it("resets the channel whose part has expired, with the number of that channel", function()
    run(app, "for n = 1, 30 do kept.b:publish('b') end")
    local stream = hub.open(app, "a,b", { last_event_id = ids, since = "earliest" })
    local notice = hub.notice(stream:next())
    assert.same({ "expired", "b", 13 }, { notice.reason, notice.channel, notice.missed })
    assert.equal("a6 a8 a10 b", data(stream, 4))
  end)

  it("that is malformed resets each channel once", function()
    local stream = hub.open(app, "a,b", { last_event_id = ids .. "," })
    local first, second = hub.notice(stream:next()), hub.notice(stream:next())
    assert.same({ "malformed", "a", "malformed", "b" },
      { first.reason, first.channel, second.reason, second.channel })
    assert.equal(first.to .. "," .. second.to, second.id)
    assert.quiet(stream)
    -- Cut off between the two, a reader still hears of the second when it comes back.
    stream = hub.open(app, "a,b", { last_event_id = first.id })
    local again = hub.notice(stream:next())
    assert.same({ "epoch", "b" }, { again.reason, again.channel })
    assert.quiet(stream)
  end)

  it("is followed by ids that name every channel again", function()
    local stream = hub.open(app, "a,b", { last_event_id = (ids:match("^(.*),")) })
    local notice = hub.notice(stream:next())
    assert.matches("^%x+%-2,%x+%-5$", notice.id)
    local last = hub.take(stream, 3)[3].id
    hub.publish(app, "b", "more")
    stream = hub.open(app, "a,b", { last_event_id = last })
    assert.equal("more", data(stream, 1))
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
    local app = start(nil, LIVE)
    local stream = app:stream("/live")
    run(app, [[
      for n = 1, 100 do
        if n %% 3 == 0 then kept.live:send("own" .. n)
        elseif n %% 5 == 0 then kept.live:send("e", "e" .. n)
        else kept[("abc"):sub(n %% 2 + 1, n %% 2 + 1)]:publish("c" .. n) end
      end]], 0)
    local id = ""
    for n = 1, 100 do
      local event = stream:next()
      local is_own = n % 3 == 0 or n % 5 == 0
      assert.equal((n % 3 == 0 and "own" or n % 5 == 0 and "e" or "c") .. n, event.data)
      assert.is_true(is_own == (event.id == id)) -- an own event leaves the reader's id as it is
      id = event.id
    end
    hub.expect_chunks(stream)
  end)

  it("come so to a reader that is slow, as well", function()
    for _, version in ipairs { "1.1", "1.0" } do
      local app = start("{ history = 10000, bytes = 100000000 }", LIVE)
      local stream = app:stream("/live", { window = 1000, version = version })
      run(app, [[
        local pad = (" "):rep(2000)
        lunesse.after(0, function()
          for n = 1, 3000 do
            if n % 7 == 0 then kept.live:send(n .. pad)
            else kept[("abc"):sub(n % 3 + 1, n % 3 + 1)]:publish(n .. pad) end
          end
        end)]])
      stream:resume()
      app:run_until(function() return #stream.events >= 3000 end)
      for n, event in ipairs(hub.take(stream, 3000)) do
        assert.equal(tostring(n), event.data:match("^%d+"))
      end
    end
  end)

  it("come behind what was published before them though another channel is still replayed",
    function()
      local app = start(nil, [[
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
      hub.publish(app, "a", "second")
      local stream = app:stream("/live")
      assert.equal("first second third fourth fifth last", data(stream, 6))
    end)
end)
