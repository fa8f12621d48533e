-- Streams of the test kit and the assertions on them, over an engine that plays bytes.

local test_asserts = require "lunesse.test.asserts"
local fake = require "spec.kit.fake"

test_asserts.register()

---An app whose streams say `bytes` behind their head, and what a spec's server says later.
local function app_that_streams(bytes)
  local app, core = fake.app(function(conn)
    conn:say(fake.stream() .. (bytes and fake.chunk(bytes) or ""))
  end)
  test_asserts.on_load(app)
  return app, core
end

local function says(core, bytes, number)
  core.connections[number or 1]:say(fake.chunk(bytes))
end

---Whether `fn` raises a text with `pattern`.
local function refuses(pattern, fn, ...)
  local ok, complaint = pcall(fn, ...)
  assert.is_false(ok)
  complaint = type(complaint) == "table" and complaint.message or complaint
  assert.matches(pattern, complaint)
end

describe("a stream of the kit", function()
  it("has events, comments, retry, id and the bytes as they came", function()
    local bytes = "retry: 2500\n\nid: 7\nevent: said\ndata: {\"a\":1}\n\n: hi\n\n" ..
      "data: x\ndata: y\n\n"
    local app = app_that_streams(bytes)
    local stream = app:stream("/s", { last_event_id = "6" })
    assert.same({ { event = "said", data = '{"a":1}', id = "7" },
      { event = "message", data = "x\ny", id = "7" } }, stream.events)
    assert.same({ "said", "said", 1 },
      { stream.events[1].type, stream.events[1].name, stream.events[1]:json().a })
    assert.same({ "", "hi" }, stream.comments)
    assert.same({ 2.5, "7", ":\n\n" .. bytes }, { stream.retry, stream.id, stream.raw })
    assert.same({ 200, "text/event-stream" }, { stream.status, stream.headers["Content-Type"] })
    assert.is_nil(stream.ended)
  end)

  it("asks as a browser does, or with the method and body that it is given", function()
    local app, core = app_that_streams()
    app:stream("/s", { last_event_id = 7 })
    assert.equal("GET /s HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n" ..
      "Last-Event-ID: 7\r\n\r\n", core.connections[1]:received())
    app:stream("/s", { json = { prompt = "sea" } })
    assert.matches("^POST /s ", core.connections[2]:received())
  end)

  it("gives one event after the other", function()
    local app, core = app_that_streams("data: 1\n\ndata: 2\n\n")
    local stream = app:stream("/s")
    assert.same({ "1", "2" }, { stream:next().data, stream:next().data })
    assert.same({ nil, "nothing came" }, { stream:next() })
    says(core, "data: 3\n\n")
    assert.equal("3", stream:next().data)
    core.connections[1]:close()
    assert.same({ nil, "cut" }, { stream:next() })
  end)

  it("that is no stream is an answer", function()
    local app = fake.app(function(conn)
      conn:say(fake.text("404 Not Found", "nothing here\n"))
    end)
    local stream = app:stream("/s"):expect { status = 404, text = "nothing here\n" }
    assert.equal("complete", stream.ended)
    refuses("an event \"said\" did not come\n  GET /s, of worker 1: 404 no type, complete\n" ..
      "    nothing here", function()
      assert.event(stream, "said")
    end)
  end)

  it("takes no more than its window, or nothing while it pauses", function()
    local app, core = app_that_streams("data: 12345\n\n")
    local stream = app:stream("/s", { window = 5 })
    assert.equal(200, stream.status)
    local left = #core.connections[1].out
    assert.equal(#(fake.chunk(":\n\n") .. fake.chunk("data: 12345\n\n")) - 5, left)
    stream:window(3)
    assert.equal(left - 3, #core.connections[1].out)
    stream:resume()
    assert.event(stream, "message", "12345")
    stream:pause()
    says(core, "data: x\n\n")
    assert.quiet(stream)
    stream:resume()
    assert.event(stream, "message", "x")
  end)

  it("is read alike however its bytes are cut", function()
    local text = "id: 1\r\nevent: e\rdata: \u{1F319}\r\n\r\n: c\n\ndata: x\n\n"
    local head = fake.stream()
    for step = 1, #text do
      local app, core = fake.app(function(conn)
        conn:say(head)
      end)
      local stream = app:stream("/s")
      for at = 1, #text, step do
        says(core, text:sub(at, at + step - 1))
        app:turn()
      end
      assert.same({ { event = "e", data = "\u{1F319}", id = "1" },
        { event = "message", data = "x", id = "1" } }, stream.events)
    end
  end)
end)

describe("a browser that comes back", function()
  local function app_of_answers(answers)
    local count = 0
    return fake.app(function(conn)
      count = count + 1
      conn:say(answers[count] or fake.stream())
    end)
  end

  it("waits the retry that it was told, and sends its last id", function()
    local app, core = app_of_answers {
      fake.stream() .. fake.chunk("retry: 10000\nid: a-1\ndata: x\n\n"),
      fake.stream() .. fake.chunk("data: y\n\n"),
    }
    local stream = app:stream("/s", { headers = { ["X-Who"] = "Ada" } })
    core.connections[1]:close()
    app:turn()
    local again = stream:reconnect()
    assert.equal(10, core:now() - app.began)
    assert.matches("Last%-Event%-ID: a%-1\r\nX%-Who: Ada\r\n", core.connections[2]:received())
    assert.same({ { event = "message", data = "y", id = "a-1" } }, again.events)
    assert.same({ 10, 2 }, { again.retry, #stream.events })
    assert.is_nil(stream.ended)
    assert.event(stream, "message", "y")
    again:reconnect { after = 0, last_event_id = "z" }
    assert.matches("Last%-Event%-ID: z\r\n", core.connections[3]:received())
    assert.is_true(core.connections[2].is_left)
  end)

  it("waits three seconds when it was told nothing, and sends no id when it has none", function()
    local app, core = app_of_answers {}
    local stream = app:stream("/s")
    stream:reconnect()
    assert.equal(3, core:now() - app.began)
    assert.not_matches("Last%-Event%-ID", core.connections[2]:received())
    stream:leave()
    assert.is_true(core.connections[2].is_left)
  end)

  it("gives up after 204 and after what is no stream", function()
    for _, answer in ipairs { fake.answer("204 No Content\n"), fake.text("200 OK", "page") } do
      local app = app_of_answers { fake.stream(), answer }
      local stream = app:stream("/s")
      local again = stream:reconnect()
      assert.equal("complete", again.ended)
      refuses("a browser does not come back: /s was answered with 20", stream.reconnect, stream)
      refuses("a browser does not come back", again.reconnect, again)
    end
  end)
end)

describe("the assertion", function()
  it("`event` finds the next one that is as wanted, and returns it", function()
    local app, core = app_that_streams('event: a\nid: 1\ndata: {"n":1,"m":{"x":[1,2],"y":0}}\n\n' ..
      "event: b\ndata: text\n\nevent: a\nid: 2\ndata: {\"n\":2}\n\n")
    local stream = app:stream("/s")
    assert.equal("1", assert.event(stream, "a", { n = 1, m = { x = { 1, 2 } } }).id)
    assert.event(stream, "b", "text")
    assert.event(stream, { event = "a", id = "2" })
    refuses("an event \"a\" did not come", assert.event, stream, "a")
    says(core, "event: a\ndata: 7\n\n")
    assert.event(stream, "a", function(_, value)
      return value > 6
    end)
  end)

  it("`event` says what came instead, as it arrived, or else that time stands still", function()
    local app, core = app_that_streams("event: a\ndata: {\"n\":1}\n\n")
    local stream = app:stream("/s")
    core:at(2, function()
      says(core, ": tick\n\ndata")
    end)
    app:advance(1.5)
    refuses('an event "a" with the data {"n":2} did not come; one called "a" did: its data.n ' ..
      "is 1, and not 2\n  GET /s, of worker 1: 200 " ..
      "text/event%-stream, not over\n +%+0.000 s  :\n +%+0.000 s  \n" ..
      " +%+0.000 s  event: a\n", assert.event, stream, "a", { n = 2 })
    app:advance(1)
    refuses("^an event \"c\" did not come %(the app's time stands still: app:advance%(seconds%) " ..
      "moves it%)\n.* +%+2.000 s  : tick\n +%+2.000 s  \n +%+2.000 s  data %(the line goes on%)",
      assert.event, stream, "c")
    core.connections[1]:close()
    refuses("^an event \"c\" did not come\n", assert.event, stream, "c")
  end)

  it("`next_event` wants it to be the very next", function()
    local app = app_that_streams("event: a\ndata: 1\n\nevent: b\ndata: 2\n\n")
    local stream = app:stream("/s")
    refuses('the next event is "a" with the data 1, and not an event "b"', assert.next_event,
      stream, "b")
    assert.next_event(stream, "a", "1")
    assert.next_event(stream, "b")
  end)

  it("`quiet` wants no event, for a while if told", function()
    local app, core = app_that_streams("data: 1\n\n")
    local stream = app:stream("/s")
    refuses("1 events came that were not expected, first \"message\" with the data 1", assert.quiet,
      stream)
    assert.event(stream)
    assert.quiet(stream)
    core:at(5, function()
      says(core, "data: 2\n\n")
    end)
    assert.quiet(stream, 4)
    refuses("1 events came", assert.quiet, stream, 1)
  end)

  it("`comment` wants one that is not the one that opens a stream", function()
    local app, core = app_that_streams()
    local stream = app:stream("/s")
    refuses("no comment came", assert.comment, stream)
    says(core, ":\n\n: hello\n\n")
    assert.comment(stream)
    refuses("no comment \"bye\" came", assert.comment, stream, "bye")
    assert.comment(stream, "hello")
  end)

  it("`ended` wants an end of this kind", function()
    local app, core = app_that_streams()
    local stream = app:stream("/s")
    refuses("it is not over, but goes on", assert.ended, stream)
    core.connections[1]:say("0\r\n\r\n")
    assert.ended(stream)
    assert.ended(stream, "complete")
    refuses("it is not cut, but complete", assert.ended, stream, "cut")
  end)

  it("`published` looks into the history of a channel", function()
    local app, core = app_that_streams()
    core.channels.room = {
      events = { { id = "1", event = "said", data = '{"text":"hi","id":3}' } },
    }
    for _, fields in ipairs { { text = "hi" }, { event = "said" }, { id = "1" }, { id = 3 },
      { event = "said", data = { text = "hi" } }, '{"text":"hi","id":3}' } do
      assert.published("room", fields)
      assert.published(app, "room", fields)
    end
    assert.equal("1", assert.published("room").id)
    assert.published("room", "said", { text = "hi" })
    assert.published("room", { event = "said", text = "hi" })
    assert.no.published("room", "said", { text = "ho" })
    assert.no.published("room", { event = "moved", text = "hi" })
    refuses('{"text":"ho"} was not published on "room", which has:\n    1  said  {"text":"hi"',
      assert.published, "room", { text = "ho" })
    refuses('was not published on "sea", which is not there', assert.published, "sea", {})
  end)

  it("`logged` looks into the log", function()
    local app, core = app_that_streams()
    core.records = { { time = core.time, level = "warn", message = "disk is full",
      fields = { left = 0 } } }
    assert.logged("is full")
    assert.logged(app, { level = "warn", fields = { left = "0" } })
    refuses("nothing like it was logged: the log has\n    %+0.000 s warn disk is full",
      assert.logged, { level = "error" })
    assert.equal(1, #app:log())
  end)

  it("can be turned round, and looks at nothing then", function()
    local app = app_that_streams("event: a\ndata: 1\n\n")
    local stream = app:stream("/s")
    assert.no.event(stream, "b")
    assert.is_not.ended(stream)
    assert.no.comment(stream)
    refuses('an event "a" came\n', assert.no.event, stream, "a")
    assert.event(stream, "a")
    assert.no.event(stream, "a")
  end)

  it("wants a stream, and says so at its line", function()
    local line = debug.getinfo(1, "l").currentline + 2
    local _, complaint = pcall(function()
      assert.event({}, "a")
    end)
    assert.matches("stream_spec.lua:" .. line .. ": assert.event: a stream .* expected, got table",
      complaint)
  end)

  it("is a function too, where there is no luassert", function()
    local app = app_that_streams("event: a\ndata: 1\n\n")
    local stream = app:stream("/s")
    assert.equal("1", test_asserts.plain.event(stream, "a").data)
    refuses('an event "b" did not come', test_asserts.plain.event, stream, "b")
  end)
end)

describe("the app of the kit", function()
  it("moves time from one moment to the next, for itself and its clients", function()
    local app, core = app_that_streams()
    local seen = {}
    for _, seconds in ipairs { 1, 2.5, 2.5, 7 } do
      core:at(seconds, function()
        seen[#seen + 1] = app:now() - app.began
      end)
    end
    app:advance(5)
    assert.same({ 1, 2.5, 2.5 }, seen)
    assert.equal(5, app:now() - app.began)
    assert.is_true(app:run_until(function()
      return #seen == 4
    end, 10))
    assert.equal(7, app:now() - app.began)
    refuses("it did not become true within 3 s", app.run_until, app, function()
      return false
    end, 3)
    refuses("app:advance: seconds expected, got %-1", app.advance, app, -1)
  end)

  it("goes on where something is due again and again", function()
    local app, core = app_that_streams()
    local count = 0
    local function again()
      count = count + 1
      core:at(0, again)
    end
    again()
    app:advance(0.1)
    assert.is_true(count >= 100)
    assert.is_true(math.abs(app:now() - app.began - 0.1) < 1e-3)
  end)

  it("complains when the app never comes to rest", function()
    local app, core = app_that_streams()
    core.turn = function()
      return true
    end
    refuses("the app does not come to rest", app.turn, app)
  end)

  it("reloads, signals, and lets things fail", function()
    local app, core = app_that_streams()
    assert.is_true(app:reload())
    assert.is_nil(core.reloaded)
    app:reload("other/")
    assert.same({ path = "other/" }, core.reloaded)
    core.reload_answer = false
    assert.same({ nil, "a.lua:1: broken" }, { app:reload { ["a.lua"] = "(" } })
    assert.same({ files = { ["a.lua"] = "(" } }, core.reloaded)
    app:fail("memory")
    assert.is_true(core.failing)
    app:fail("memory", false)
    assert.is_false(core.failing)
    refuses("app:fail: no such fault", app.fail, app, "luck")
    app:signal("sighup")
    assert.same({ "HUP" }, core.signals)
  end)

  it("stops in order, once, and says what was left behind", function()
    local app, core = app_that_streams()
    local stream = app:stream("/s")
    assert.is_true(app:stop())
    assert.is_true(app:stop())
    assert.same({ { "TERM" }, 1 }, { core.signals, core.stops })
    assert.ended(stream)
    for _, call in ipairs { { "get", "/" }, { "advance", 1 }, { "channel", "x" }, { "reload" },
      { "signal", "HUP" }, { "run_until", print }, { "client" } } do
      refuses("the app has been stopped", app[call[1]], app, call[2])
    end
    app, core = app_that_streams()
    core.remains = { "a timer" }
    refuses("the app has left something behind:\n  a timer", app.stop, app)
    assert.equal(1, core.stops)
  end)

  it("drains what takes time", function()
    local app, core = app_that_streams()
    core.remains = { "a task" }
    core:at(20, function()
      core.remains = {}
    end)
    assert.is_true(app:stop())
  end)
end)
