-- channel:read and channel:events: scripts that read a channel, with no stream.

local hub = require "spec.hub.app"

local run, publish_numbers = hub.run, hub.publish_numbers

-- What the Lua of `POST /do` may call: `words(events, cursor, finished)` as one line, an event as
-- its data, a reset as its reason.
local WORDS = [[
function env.words(events, cursor, finished)
  local list = {}
  for i, event in ipairs(events) do list[i] = event.reset or event.data end
  return table.concat(list, " ") .. "|" .. cursor:match("%d+$") .. "|" .. tostring(finished)
end
function env.loop(options, most)
  local list = {}
  for event in env.kept.room:events(options) do
    list[#list + 1] = event.reset or event.data
    if #list == most then break end
  end
  return table.concat(list, " ")
end
]]

local function start(count, options, start_options, text)
  start_options = start_options or {}
  start_options.workers = start_options.workers or 1
  local app = hub.start(WORDS:gsub("\n", " ") .. (text or ""), start_options)
  hub.keep(app, "room", options)
  if count > 0 then
    publish_numbers(app, "room", 1, count)
  end
  return app
end

---Runs `code` in a handler, which waits, and returns a function for its answer.
local function begin(app, code, number)
  local begun = hub.begin(app, code, number)
  return function()
    return hub.answer(begun)
  end
end

describe("channel:read", function()
  it("returns the events after an id, and the cursor for the next call", function()
    local app = start(5)
    local id = run(app, "return kept.room:cursor()")
    run(app, "kept.first = %q", hub.further(id, -3))
    assert.equal("3 4 5|5|false",
      run(app, "return words(kept.room:read { after = kept.first })"))
    assert.equal("|5|false",
      run(app, "return words(kept.room:read { after = kept.room:cursor() })"))
    assert.equal("3 4|4|false",
      run(app, "return words(kept.room:read { after = kept.first, max = 2 })"))
    assert.equal("5|5|false", run(app, [[
      local _, cursor = kept.room:read { after = kept.first, max = 2 }
      return words(kept.room:read { after = cursor, max = 2 })]]))
  end)

  it("begins where `since` says when there is no id: at the newest without it", function()
    local app = start(5)
    assert.equal("|5|false", run(app, "return words(kept.room:read())"))
    assert.equal("1 2 3 4 5|5|false",
      run(app, "return words(kept.room:read { since = 'earliest' })"))
    assert.equal("4 5|5|false", run(app, "return words(kept.room:read { since = -2 })"))
    assert.equal("1 2 3 4 5|5|false", run(app, "return words(kept.room:read { since = -20 })"))
    assert.equal("5|5|false", run(app, [[
      local cursor = select(2, kept.room:read { since = -2, max = 1 })
      return words(kept.room:read { since = cursor })]]))
  end)

  it("returns id, event, data and retry as they were published, as a stream shows them", function()
    local app = start(0)
    local id = run(app, [[
      kept.room:publish("plain")
      kept.room:publish("said", { a = 1 })
      kept.room:publish("one\r\ntwo\rthree\n")
      kept.room:publish("")
      kept.room:publish(lunesse.event { event = "x", data = "\xff", retry = 2.5 })
      kept.room:publish(lunesse.event { event = "bare" })
      return (kept.room:publish("last"))]])
    local stream = hub.open(app, "room", { since = "earliest" })
    local seen = {}
    for i, event in ipairs(hub.take(stream, 6)) do
      seen[i] = { event.id, event.type, event.data }
    end
    local text = run(app, [[
      return lunesse.json.encode((kept.room:read { since = "earliest" }))]])
    local read = require "cjson".decode(text)
    assert.same({ event = "bare", id = hub.further(id, -1) }, read[6])
    assert.equal(2.5, read[5].retry)
    table.remove(read, 6)
    local told = {}
    for i, event in ipairs(read) do
      told[i] = { event.id, event.event or "message", event.data }
    end
    assert.same(seen, told)
    assert.equal("one\ntwo\nthree\n", read[3].data)
  end)

  it("returns lists that are arrays in JSON, also when they are empty", function()
    local app = start(0)
    assert.equal("[]", run(app, "return lunesse.json.encode((kept.room:read()))"))
  end)

  it("waits for the next event, and returns at once when there is one", function()
    local app = start(1)
    local answer = begin(app, "return words(kept.room:read { wait = 1000 })")
    publish_numbers(app, "room", 2, 4)
    assert.equal("2 3 4|4|false", answer())
    assert.equal(0, hub.subscribers(app, "room"))
    assert.equal("1 2 3 4|4|false",
      run(app, "return words(kept.room:read { since = 'earliest', wait = 1000 })"))
  end)

  it("answers an empty list and the cursor when the time is up", function()
    local app = start(3, nil)
    local answer = begin(app, "return words(kept.room:read { wait = 20 })")
    app:advance(19)
    assert.equal(1, hub.subscribers(app, "room"))
    app:advance(2)
    assert.equal("|3|false", answer())
    assert.equal(0, hub.subscribers(app, "room"))
  end)

  it("hears of events of every worker", function()
    local app = start(0, nil, { workers = 3 })
    for number = 1, 3 do
      local answer = begin(app, [[
        local events = channel("room"):read { wait = 1000 }
        return events[1].data]], number)
      hub.run_at(app, number % 3 + 1, ("channel('room'):publish('from %d')"):format(number))
      assert.equal("from " .. number, answer())
    end
  end)

  it("tells a lost place by a reset first, in the channel's texts", function()
    local app = start(20, "{ history = 5 }")
    local epoch = hub.parts(run(app, "return kept.room:cursor()"))
    local function read(after, more)
      return run(app, "return words(kept.room:read { after = %q %s })", after, more or "")
    end
    assert.equal("expired|20|false", read(epoch .. "-3"))
    assert.equal("expired 16 17 18 19 20|20|false", read(epoch .. "-3", ", since = 'earliest'"))
    assert.equal("expired 19 20|20|false", read(epoch .. "-3", ", since = -2, wait = 100"))
    assert.equal("ahead|20|false", read(epoch .. "-21", ", wait = 100"))
    assert.equal("epoch|20|false", read("abc-1"))
    assert.equal("malformed|20|false", read("x y"))
    local event = run(app, [[
      local events, cursor = kept.room:read { after = %q }
      local event = events[1]
      assert(event.id == cursor and event.reset == "expired" and #events == 1)
      return event.event, event.data]], epoch .. "-3")
    assert.equal(('reset {"channel":"room","reason":"expired","from":"%s-3","to":"%s-20",' ..
      '"missed":17}'):format(epoch, epoch), event)
    hub.keep(app, "room", "{ reset = { event = 'anew', data = 'again\\nand again' } }")
    assert.equal("anew again\nand again", run(app, [[
      local event = kept.room:read { after = "abc-1" }[1]
      return event.event, event.data]]))
    hub.keep(app, "room", "{ reset = { data = 'unnamed' } }")
    assert.equal("nil unnamed epoch", run(app, [[
      local event = kept.room:read { after = "abc-1" }[1]
      return event.event, event.data, event.reset]]))
  end)

  it("tells the end of a finished channel once all was returned", function()
    local app = start(3)
    run(app, "kept.room:finish()")
    assert.equal("1 2|2|false",
      run(app, "return words(kept.room:read { since = 'earliest', max = 2 })"))
    assert.equal("1 2 3|3|true",
      run(app, "return words(kept.room:read { since = 'earliest', max = 3, wait = 100 })"))
    assert.equal("|3|true", run(app, "return words(kept.room:read { wait = 100 })"))
    assert.equal("1 2 3", run(app, [[
      local cursor, finished, events
      local list = {}
      repeat
        events, cursor, finished = kept.room:read {
          after = cursor, since = "earliest", max = 2, wait = 20 }
        for _, event in ipairs(events) do list[#list + 1] = event.data end
      until finished
      return table.concat(list, " ")]]))
  end)

  it("that waits is ended by finish and by close, of another worker too", function()
    for _, how in ipairs { "finish", "close" } do
      local app = start(1, nil, { workers = 2 })
      local answers = {}
      for number = 1, 2 do
        answers[number] = begin(app, [[
          local events, cursor, finished = channel("room"):read { wait = 1000 }
          return #events, cursor:match("%d+$"), finished]], number)
      end
      run(app, "kept.room:" .. how .. "()")
      assert.equal("0 1 true", answers[1]())
      assert.equal("0 1 true", answers[2]())
    end
  end)

  it("of a channel that was closed still returns what its handle has", function()
    local app = start(2)
    run(app, "kept.room:close()")
    assert.equal("1 2|2|true",
      run(app, "return words(kept.room:read { since = 'earliest', wait = 1 })"))
  end)

  it("returns a large history in parts", function()
    local app = start(0, "{ history = 100000, bytes = 10000000 }")
    run(app, "for n = 1, 3000 do kept.room:publish(n .. (' '):rep(1000)) end")
    local words = run(app, [[
      local cursor, calls, count, most = nil, 0, 0, 0
      repeat
        local events
        events, cursor = kept.room:read { after = cursor, since = "earliest", max = 100000 }
        local bytes = 0
        for _, event in ipairs(events) do
          count = count + 1
          assert(tonumber(event.data) == count)
          bytes = bytes + #event.data
        end
        calls, most = calls + 1, math.max(most, bytes)
      until #events == 0
      return count, calls > 10, most < 300000]])
    assert.equal("3000 true true", words)
    run(app, "kept.room:publish(('x'):rep(1000000))")
    assert.equal("1000000", run(app, "return #kept.room:read { since = -1 }[1].data"))
  end)

  it("checks its options", function()
    local app = start(0)
    local wrong = {
      ["{ max = 0 }"] = "max: a whole number, 1 or more, expected",
      ["{ max = 1.5 }"] = "max: a whole number, 1 or more, expected",
      ["{ max = '5' }"] = "max: a whole number, 1 or more, expected",
      ["{ wait = -1 }"] = "wait: seconds between 0 and 1e9 expected",
      ["{ wait = true }"] = "wait: seconds between 0 and 1e9 expected",
      ["{ after = 5 }"] = "after: the id of an event expected",
      ["{ since = 5 }"] = "since: an id, \"earliest\", or -n for the newest n events expected",
      ["{ before = 5 }"] = "unknown option 'before'",
    }
    for options, message in pairs(wrong) do
      assert.equal("bad argument #2 to 'read' (" .. message .. ")",
        run(app, "kept.room.read(kept.room, %s)", options):match("bad argument.*"))
    end
    assert.matches("unknown option 'max'", run(app, "kept.room:events { max = 5 }"))
  end)

  it("says why it cannot wait where nothing can", function()
    local app = start(0)
    assert.matches("read can only wait inside a handler, timer or callback; not ", run(app, [[
      table.sort({ 1, 2 }, function() kept.room:read { wait = 1 } end)]]))
    assert.matches("events can only wait inside a handler, timer or callback; not ", run(app, [[
      table.sort({ 1, 2 }, function() for _ in kept.room:events() do end end)]]))
  end)

  it("is undone when its reader leaves", function()
    local app = start(0, nil, nil, [[
server:get("/poll", { on_leave = "cancel" }, function(_, response)
  local left <close> = setmetatable({}, { __close = function() mark("closed") end })
  response:json(env.kept.room:read { wait = 1000 })
end)
]])
    local answer = app:send("GET", "/poll")
    assert.equal(1, hub.subscribers(app, "room"))
    answer:leave()
    assert.equal(0, hub.subscribers(app, "room"))
    hub.expect_marks(app, { "closed" })
  end)
end)

describe("channel:events", function()
  it("goes through what is kept and what comes, and ends when the channel is finished", function()
    local app = start(3)
    local answer = begin(app, "return loop { since = 'earliest' }")
    publish_numbers(app, "room", 4, 200)
    publish_numbers(app, "room", 201, 202)
    run(app, "kept.room:publish('last') kept.room:finish()")
    assert.equal(hub.numbers(1, 202) .. " last", answer())
    assert.equal(hub.numbers(1, 202) .. " last", run(app, "return loop { since = 'earliest' }"))
    assert.equal("", run(app, "return loop()"))
    assert.equal(0, hub.subscribers(app, "room"))
  end)

  it("begins after an id, or at the newest", function()
    local app = start(5)
    local id = hub.further(run(app, "return kept.room:cursor()"), -2)
    assert.equal("4 5", run(app, "return loop({ after = %q }, 2)", id))
    assert.equal("epoch 5", run(app, "return loop({ after = 'abc-1', since = -1 }, 2)"))
    local answer = begin(app, "return loop(nil, 1)")
    publish_numbers(app, "room", 6, 6)
    assert.equal("6", answer())
  end)

  it("leaves nothing behind when the loop is left early, raises, or its task is ended", function()
    local app = start(5, nil, nil, [[
server:get("/loop", { on_leave = "cancel" }, function(_, response)
  for event in env.kept.room:events() do mark(event.data) end
end)
]])
    assert.equal("1 2", run(app, "return loop({ since = 'earliest' }, 2)"))
    assert.equal(0, hub.subscribers(app, "room"))
    run(app, "for _ in kept.room:events { since = 'earliest' } do error('on purpose') end")
    assert.equal(0, hub.subscribers(app, "room"))
    local answer = app:send("GET", "/loop")
    publish_numbers(app, "room", 6, 6)
    hub.expect_marks(app, { "6" })
    answer:leave()
    assert.equal(0, hub.subscribers(app, "room"))
  end)

  it("gets every event of a channel that keeps nothing, as a stream does", function()
    local app = start(0, "{ history = 0 }")
    local answer = begin(app, "return loop()")
    local stream = hub.open(app, "room")
    publish_numbers(app, "room", 1, 500)
    for n = 501, 520 do
      publish_numbers(app, "room", n, n)
    end
    run(app, "kept.room:finish()")
    assert.equal(hub.numbers(1, 520), hub.data(stream, 520))
    assert.equal(hub.numbers(1, 520), answer())
  end)

  it("is told by a reset what it missed when too slow, and goes on as `since` says", function()
    local app = start(0, "{ history = 5 }")
    local function slow(since)
      local answer = begin(app, ([[
        local list = {}
        for event in kept.room:events { since = %s } do
          list[#list + 1] = event.reset or event.data
          if event.data == "go" then kept.gone = true channel("back"):read { wait = 100 } end
        end
        return table.concat(list, " ")]]):format(since))
      run(app, "kept.gone = nil kept.room:publish('go')")
      assert.equal("true", run(app, "return kept.gone"))
      publish_numbers(app, "room", 1, 20)
      publish_numbers(app, "room", 21, 21)
      run(app, "channel('back'):publish(1) kept.room:publish('last') kept.room:finish()")
      local words = answer()
      run(app, "kept.room:close() kept.room = channel('room', { history = 5 })")
      return words
    end
    assert.equal("go expired 18 19 20 21 last", slow("'earliest'"))
    assert.equal("go expired 21 last", slow("-2"))
    assert.equal("go expired", slow("nil"))
  end)

  it("can be called from several tasks, which share the events, and end together", function()
    local app = start(0)
    run(app, "kept.next, _, _, kept.reader = kept.room:events()")
    local one = begin(app, "mark('one') return kept.next() and 'got'")
    hub.expect_marks(app, { "one" })
    local two = begin(app, "mark('two') return kept.next() and 'got'")
    hub.expect_marks(app, { "one", "two" })
    publish_numbers(app, "room", 1, 2)
    assert.same({ "got", "got" }, { one(), two() })
    one = begin(app, "mark('three') return kept.next()")
    two = begin(app, "mark('four') return kept.next()")
    hub.expect_marks(app, { "one", "two", "three", "four" })
    run(app, "do local reader <close> = kept.reader end")
    assert.same({ "nil", "nil" }, { one(), two() })
    assert.equal("nil", run(app, "return kept.next()"))
    assert.equal(0, hub.subscribers(app, "room"))
  end)

  it("of a reader that was dropped is let go of by the collector", function()
    local app = start(0)
    run(app, "kept.room:events()")
    run(app, "collectgarbage() collectgarbage()")
    assert.equal(0, hub.subscribers(app, "room"))
  end)

  it("works inside a coroutine of the script", function()
    local app = start(2)
    local answer = begin(app, [[
      local words = coroutine.wrap(function()
        for event in kept.room:events { since = "earliest" } do coroutine.yield(event.data) end
      end)
      return words(), words(), words()]])
    publish_numbers(app, "room", 3, 3)
    assert.equal("1 2 3", answer())
  end)
end)
