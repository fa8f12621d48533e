-- What a channel keeps: by count, by bytes and by age; and what it costs, also when it is over.

local hub = require "spec.hub.app"
local process = require "spec.hub.support"

local run, further, data, numbers = hub.run, hub.further, hub.data, hub.numbers

local MIB = 1024 * 1024

---What a newcomer that wants everything gets of the channel "room", as words.
local function history(app)
  local words = {}
  for i, event in ipairs(hub.open(app, "room", { since = "earliest" }):leave().events) do
    words[i] = event.data:match("^%S*")
  end
  return table.concat(words, " ")
end

---What a reader is told that comes back with `id`: "reset expired 5", or "" when it resumes.
local function told(app, id)
  local event = hub.open(app, "room", { last_event_id = id }):leave().events[1]
  if not event or event.event ~= "reset" then
    return ""
  end
  local notice = hub.notice(event)
  return ("reset %s %s"):format(notice.reason, tostring(notice.missed))
end

describe("a channel's history", function()
  it("is bounded by count", function()
    local app = hub.start()
    for _, count in ipairs { 1, 7, 8, 9, 100 } do
      hub.keep(app, "room", ("{ history = %d }"):format(count))
      hub.publish_numbers(app, "room", 1, 250)
      assert.equal(numbers(251 - count, 250), history(app))
      run(app, "kept.room:close()")
    end
  end)

  it("is bounded by bytes, of whole events", function()
    local app = hub.start()
    hub.keep(app, "room", "{ bytes = 10000 }")
    run(app, "for n = 1, 300 do kept.room:publish(n .. (' '):rep(400)) end")
    local words = history(app)
    local first = tonumber(words:match("^%d+"))
    assert.equal(numbers(first, 300), words)
    local count = 301 - first -- of some 440 bytes each
    assert.is_true(count >= 21 and count <= 24, count .. " events")
    hub.keep(app, "room", "{ bytes = 1000 }")
    assert.equal("299 300", history(app))
  end)

  it("is a thousand events of a MiB for five minutes, if nobody says otherwise", function()
    local app = hub.start(nil)
    hub.keep(app, "room")
    hub.publish_numbers(app, "room", 1, 1500)
    assert.equal(numbers(501, 1500), history(app))
    run(app, "for n = 1, 20 do kept.room:publish(n .. (' '):rep(100000)) end")
    assert.equal(numbers(11, 20), history(app))
    app:advance(280)
    assert.equal(numbers(11, 20), history(app))
    app:advance(21)
    assert.equal("", history(app))
  end)

  it("is bounded by age, event by event", function()
    local app = hub.start(nil)
    hub.keep(app, "room", "{ ttl = 10 }")
    for n = 1, 5 do
      hub.publish(app, "room", n)
      app:advance(2)
    end
    assert.equal("2 3 4 5", history(app)) -- of the ages 8, 6, 4 and 2
    app:advance(2.1)
    assert.equal("3 4 5", history(app))
    app:advance(100)
    assert.equal("", history(app))
  end)

  it("is kept for good with ttl = false", function()
    local app = hub.start(nil)
    hub.keep(app, "room", "{ ttl = false }")
    local id = hub.publish_numbers(app, "room", 1, 5)
    app:advance(100000)
    assert.equal("1 2 3 4 5", history(app))
    assert.equal("", told(app, further(id, -5)))
    hub.keep(app, "room", "{ ttl = 10 }")
    assert.equal("", history(app))
  end)

  it("is nothing with history, bytes or ttl of 0, but those who are there get all", function()
    local app = hub.start()
    for options, is_published in pairs {
      ["{ history = 0 }"] = true, ["{ ttl = 0 }"] = true, ["{ bytes = 0 }"] = false,
    } do
      hub.keep(app, "room", options)
      local stream = hub.open(app, "room")
      local result = hub.publish_numbers(app, "room", 1, 5)
      if is_published then
        assert.equal(numbers(1, 5), data(stream, 5))
        assert.equal("reset expired 1", told(app, further(result, -1)))
        assert.equal("", told(app, result))
      else
        assert.equal("nil", result)
      end
      assert.equal("", history(app))
      run(app, "kept.room:close()")
    end
  end)

  it("says how many events have left, by whichever bound", function()
    local app = hub.start(nil)
    for options, seconds in pairs {
      ["{ history = 5 }"] = 0, ["{ bytes = 210 }"] = 0, ["{ ttl = 10 }"] = 11,
    } do
      hub.keep(app, "room", options)
      local id = hub.publish_numbers(app, "room", 101, 115)
      app:advance(seconds)
      if seconds > 0 then
        id = hub.publish_numbers(app, "room", 116, 120)
      end
      assert.equal("", told(app, further(id, -5)))
      assert.equal("reset expired 6", told(app, further(id, -6)))
      assert.equal("reset expired 15", told(app, further(id, -15)))
      run(app, "kept.room:close()")
    end
  end)

  it("may be changed while there are events: more does not bring back what has left", function()
    local app = hub.start()
    hub.keep(app, "room", "{ history = 5 }")
    hub.publish_numbers(app, "room", 1, 10)
    hub.keep(app, "room", "{ history = 100 }")
    hub.publish_numbers(app, "room", 11, 20)
    assert.equal(numbers(6, 20), history(app))
    hub.keep(app, "room", "{ history = 3 }")
    assert.equal("18 19 20", history(app))
  end)

  it("of events of all sizes is what it was", function()
    local app = hub.start()
    hub.keep(app, "room", "{ history = 100000, bytes = 10000000 }")
    run(app, [[
      local seed = 7
      for n = 1, 1000 do
        seed = seed * 75 %% 65537
        kept.room:publish(n .. " " .. ("x"):rep(n %% 50 == 0 and seed or seed %% 700))
      end]], 0)
    local stream = hub.open(app, "room", { since = "earliest" })
    local seed = 7
    for n = 1, 1000 do
      seed = seed * 75 % 65537
      local event = stream:next()
      assert.is_true(event.data == n .. " " .. ("x"):rep(n % 50 == 0 and seed or seed % 700))
    end
    hub.expect_chunks(stream)
  end)
end)

describe("a channel that nobody needs", function()
  it("goes, and one of its name is another: without handle, readers and history", function()
    local app = hub.start(nil, { workers = 1 })
    local id = run(app, "return channel('room', { ttl = 10 }):publish('x')")
    run(app, "collectgarbage() collectgarbage()")
    assert.equal("x", history(app)) -- its history keeps it
    local stream = hub.open(app, "room")
    app:advance(12)
    run(app, "collectgarbage() collectgarbage()")
    assert.equal("", told(app, id)) -- its reader keeps it
    stream:leave()
    run(app, "collectgarbage() collectgarbage()")
    assert.equal("reset epoch nil", told(app, id))
  end)

  it("goes when its events are too old, with nobody there to see it", function()
    local app = hub.start(nil)
    local id = run(app, "return channel('room', { ttl = 10 }):publish('x')")
    run(app, "collectgarbage() collectgarbage()")
    app:advance(12)
    assert.equal("reset epoch nil", told(app, id))
  end)

  it("keeps its place while somebody holds it", function()
    local app = hub.start(nil)
    hub.keep(app, "room", "{ ttl = 10 }")
    local id = hub.publish(app, "room", "x")
    app:advance(1000)
    run(app, "collectgarbage() collectgarbage()")
    assert.equal("", told(app, id))
    assert.equal(further(id, 1), hub.publish(app, "room", "y"))
  end)
end)

describe("the memory of a history", function()
  it("leaves by age also where nobody publishes, reads or asks", function()
    if process.keeps_freed_memory() then
      return pending("a sanitizer keeps what was freed")
    end
    local server = process.start(nil, { clock = true })
    process.keep(server, "room", "{ ttl = 10, bytes = 100000000 }")
    local before = server:memory()
    process.run(server, "for n = 1, 300 do kept.room:publish(('x'):rep(100000)) end")
    assert.is_true(server:memory() - before > 25 * MIB)
    server:advance(9)
    assert.is_true(server:memory() - before > 25 * MIB)
    server:advance(3)
    process.run(server, "collectgarbage() collectgarbage()") -- of the strings that were published
    eventually(function()
      server:advance(1)
      return server:memory() - before < 5 * MIB
    end)
  end)
end)

describe("ten thousand channels", function()
  ---Makes channels of one small event each; returns how much memory that took.
  local function make(server, count)
    local before = server:memory()
    process.run(server, [[
      for n = 1, %d do
        channel("channel/" .. n, { ttl = 100 }):publish("said", { n = n })
        if n %% 1000 == 0 then collectgarbage() end
      end
      collectgarbage() collectgarbage()]], count)
    return server:memory() - before
  end

  it("with one small event each cost at most two KiB each, handles gone", function()
    if process.keeps_freed_memory() then
      return pending("a sanitizer keeps what was freed")
    end
    local server = process.start(nil, { clock = true })
    make(server, 1000)
    local grown = make(server, 11000)
    assert.is_true(grown < 10000 * 2048, ("%d bytes each"):format(grown // 10000))
  end)

  it("that are over leave their memory behind", function()
    if process.keeps_freed_memory() then
      return pending("a sanitizer keeps what was freed")
    end
    local server = process.start(nil, { clock = true })
    local before = server:memory()
    local grown = make(server, 10000)
    assert.is_true(grown > 5 * MIB)
    server:advance(102)
    eventually(function()
      server:advance(10)
      return server:memory() - before < grown // 3
    end)
    local stream = process.open(server, "room", { last_event_id = "1-1" })
    assert.equal("epoch", hub.notice(stream:event()).reason)
    stream:close()
    assert.equal("room", process.run(server, "return channel('room').name"))
  end)

  it("that readers came to and left are not counted any more", function()
    local server = process.start(nil, { args = { "--limit", "channels=10" } })
    for round = 1, 30 do
      local stream = process.open(server, "channel" .. round)
      stream:comment()
      stream:close()
      eventually(function()
        return process.run(server, [[
          collectgarbage() collectgarbage()
          local all, made = true, {}
          for n = 1, 10 do made[n] = channel("n" .. n) all = all and made[n] ~= nil end
          made = nil
          collectgarbage() collectgarbage()
          return all]]) == "true"
      end)
    end
  end)
end)
