-- scripts/poll.lua: one channel, read by an event stream and by long polls.

local test = require "lunesse.test"

describe("a topic", function()
  local app

  before_each(function()
    app = test.load("scripts/poll.lua", { workers = 2 })
  end)

  after_each(function()
    app:stop()
    assert.same({}, app:log { level = "error" })
  end)

  local function say(text, options)
    options = options or {}
    options.json = { text = text }
    return app:post("/poll/news", options):expect(201):json().id
  end

  local function poll(query, options)
    return app:get("/poll/news?" .. query, options):expect(200):json()
  end

  ---What a list of events says.
  local function texts(events)
    local list = {}
    for i, event in ipairs(events) do
      list[i] = event.data:match('"text":"(.-)"')
    end
    return table.concat(list, " ")
  end

  it("has the same events for a stream and for polls, under the same ids", function()
    local stream = app:stream("/poll/news", { worker = 2 })
    local ids = { say "one", say "two", say "three" }
    local answer = poll("", { worker = 1 })
    assert.event(stream, "said", { text = "three" })
    for i, id in ipairs(ids) do
      assert.equal(id, answer.events[i].id)
      assert.equal(id, stream.events[i].id)
      assert.equal(stream.events[i].data, answer.events[i].data)
    end
    assert.equal(ids[3], answer.cursor)
  end)

  it("lets a poll wait until somebody says something", function()
    local cursor = poll("").cursor
    local waiting = app:send("GET", "/poll/news?wait=20&after=" .. cursor)
    app:advance(19)
    assert.is_nil(waiting.status)
    say "at last"
    assert.equal("at last", texts(waiting:wait():expect(200):json().events))
  end)

  it("answers a poll when its time is up, with an empty list and the same place", function()
    local cursor = poll("").cursor
    local waiting = app:send("GET", "/poll/news?wait=20&after=" .. cursor)
    app:advance(20.1)
    local answer = waiting:wait():expect(200)
    assert.equal(('{"cursor":"%s","events":[]}'):format(cursor), answer:text())
    assert.equal("no-store", answer.headers["cache-control"])
  end)

  it("loses nothing between two polls", function()
    local seen, cursor = {}, poll("").cursor
    for round = 1, 10 do
      for n = 1, round do
        say(("%d.%d"):format(round, n), { worker = n % 2 + 1 })
      end
      local answer = poll("after=" .. cursor)
      seen[#seen + 1], cursor = texts(answer.events), answer.cursor
    end
    assert.equal("10.1 10.2 10.3 10.4 10.5 10.6 10.7 10.8 10.9 10.10", seen[10])
    assert.equal(55, select(2, table.concat(seen, " "):gsub("%d+%.%d+", "")))
  end)

  it("gives at most a hundred events at once, and the rest to the next poll", function()
    for n = 1, 150 do
      say(tostring(n))
    end
    local first = poll("")
    assert.equal(100, #first.events)
    local second = poll("after=" .. first.cursor)
    assert.equal(50, #second.events)
    assert.matches("^101 .* 150$", texts(second.events))
  end)

  it("tells a poll whose place is lost, and gives it what there is", function()
    say "kept"
    local answer = poll("after=nonsense")
    assert.equal("malformed", answer.events[1].reset)
    assert.equal("kept", texts { answer.events[2] })
  end)

  it("refuses what is no wait, no name and no message", function()
    local function refusal(answer)
      return answer:expect(400):json().error
    end
    local began = app:now()
    poll("")
    assert.equal(began, app:now()) -- who does not say how long waits for nothing
    app:get("/poll/news?wait=60"):expect(200)
    for _, wait in ipairs { "-1", "61", "soon", "1e400" } do
      assert.equal("wait is 0 to 60 seconds", refusal(app:get("/poll/news?wait=" .. wait)))
    end
    for _, name in ipairs { "News", "a_b", "a.b", ("a"):rep(33) } do
      assert.equal("a name is 1 to 32 of a-z, 0-9 and -", refusal(app:get("/poll/" .. name)))
    end
    app:get("/poll/" .. ("a"):rep(32)):expect(200)
    assert.equal("the body is not JSON: expected a key in double quotes at line 1, column 2",
      refusal(app:post("/poll/news", { body = "{" })))
    app:post("/poll/news", { body = ("x"):rep(16 * 1024 + 1) }):expect(413)
    app:post("/poll/news", { body = ("x"):rep(16 * 1024) }):expect(400)
    local expected = 'a body like {"text": "full moon"} expected, with at most 2000 characters'
    assert.equal(expected, refusal(app:post("/poll/news", { json = { text = 7 } })))
    assert.equal(expected, refusal(app:post("/poll/news", { json = { text = ("x"):rep(2001) } })))
    say(("x"):rep(2000))
  end)

  it("is one of a thousand at most", function()
    for n = 1, 1000 do
      app:post("/poll/t" .. n, { json = { text = "here" } }):expect(201)
    end
    app:get("/poll/one-more"):expect {
      status = 503, json = { error = "the group has as many channels as it may" },
    }
    app:get("/poll/t1000"):expect(200)
  end)

  it("follows the topic no longer than its client waits", function()
    local waiting = app:send("GET", "/poll/news?wait=20")
    app:advance(1)
    assert.equal(1, app:channel("poll/news").readers)
    waiting:leave()
    app:turn()
    assert.equal(0, (app:channel("poll/news") or { readers = 0 }).readers)
  end)

  it("is a stream for whoever asks for one, and otherwise a poll", function()
    for accept, mime in pairs { ["text/event-stream"] = "text/event-stream",
        ["application/json"] = "application/json", ["*/*"] = "application/json",
        ["text/event-stream;q=0.5, application/json"] = "application/json",
        ["text/event-stream, application/json;q=0.5"] = "text/event-stream" } do
      local answer = app:send("GET", "/poll/news", { headers = { accept = accept } })
      app:turn()
      assert.equal(mime, answer.headers["content-type"])
      answer:leave()
    end
  end)
end)
