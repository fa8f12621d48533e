-- What the test kit says of a call that makes no sense, and that it says it at all: an assertion
-- that does not know a word or a key must not hold. Over an engine that plays bytes.

local test_asserts = require "lunesse.test.asserts"
local fake = require "spec.kit.fake"
local load_into = require "lunesse.test.load"

test_asserts.register()

local app, core, stream

---Starts an app whose stream says `bytes` behind its head.
local function start(bytes)
  app, core = fake.app(function(conn)
    conn:say(fake.stream() .. fake.chunk(bytes))
  end)
  test_asserts.on_load(app)
  stream = app:stream("/s")
end

---What a call raises.
local function complaint_of(fn, ...)
  local ok, complaint = pcall(fn, ...)
  assert.is_false(ok)
  return type(complaint) == "table" and complaint.message or complaint
end

---The first line of it, which is the sentence.
local function first_line(fn, ...)
  return complaint_of(fn, ...):match("^[^\n]*")
end

---Whether a call raises just this, at the line of a spec.
local function refuses(text, fn, ...)
  assert.equal(text, (complaint_of(fn, ...):gsub("^[^\n]-_spec.lua:%d+: ", "")))
end

describe("an assertion of the kit", function()
  before_each(function()
    start("event: a\nid: 7\ndata: 1\n\nevent: b\ndata: line\ndata: more\n\n")
  end)

  it("takes no key of an event that there is not", function()
    for _, name in ipairs { "event", "next_event" } do
      local text = ("assert.%s: there is no option '%%s'; there are: data, event, id"):format(name)
      refuses(text:format("evnt"), assert[name], stream, { evnt = "zzz" })
      refuses(text:format("idd"), assert[name], stream, { event = "a", idd = 8 })
      refuses(text:format("evnt"), assert.no[name], stream, { evnt = "a" })
    end
  end)

  it("takes no name, id, text or seconds of another type", function()
    refuses("assert.event: the name of an event: string expected, got number", assert.event, stream,
      5)
    refuses("assert.event: event: string expected, got number", assert.no.event, stream,
      { event = 5 })
    refuses("assert.next_event: id: string or number expected, got boolean", assert.next_event,
      stream, { id = true })
    refuses("assert.comment: the text of a comment: string expected, got table", assert.no.comment,
      stream, { text = "x" })
    refuses("assert.quiet: seconds: number expected, got table", assert.quiet, stream,
      { seconds = 5 })
  end)

  it("takes no argument that it would not look at", function()
    local text = "assert.%s: no argument is expected behind these, and %s came"
    refuses(text:format("event", '"1"'), assert.event, stream, { event = "a" }, "1")
    refuses(text:format("event", "8"), assert.event, stream, "a", "1", 8)
    refuses(text:format("next_event", "8"), assert.next_event, stream, "a", "1", 8)
    refuses(text:format("quiet", "1"), assert.quiet, stream, 0, 1)
    refuses(text:format("comment", '"x"'), assert.comment, stream, "c", "x")
    refuses(text:format("ended", '"x"'), assert.ended, stream, "cut", "x")
    refuses(text:format("logged", '"oh no"'), assert.logged, "error", "oh no")
    refuses(text:format("published", "8"), assert.published, "room", "said", "x", 8)
  end)

  it("names the ways to end, the levels of the log and the keys of its filter", function()
    local ends = "there is no 'lefft'; there are: complete, cut, left, reset"
    refuses("assert.ended: " .. ends, assert.ended, stream, "lefft")
    refuses("assert.ended: " .. ends, assert.is_not.ended, stream, "lefft")
    refuses("answer:expect: ended: " .. ends, stream.expect, stream, { ended = "lefft" })
    refuses("answer:expect: a status: number expected, got string", stream.expect, stream,
      { status = "200" })
    refuses("app:log: level: there is no 'eror'; there are: debug, error, info, warn",
      assert.no.logged, { level = "eror" })
    refuses("app:log: there is no option 'levl'; there are: fields, level, message",
      assert.no.logged, { levl = "error" })
  end)

  it("names the id that came", function()
    assert.equal('an event "a" with the id 8 did not come; one called "a" did: its id is 7, and ' ..
      "not 8", first_line(assert.event, stream, { event = "a", id = 8 }))
    assert.equal('the next event is "a" with the data 1 and the id 7, and not an event "a" with ' ..
      "the data 1 and the id 8",
      first_line(assert.next_event, stream, { event = "a", data = "1", id = 8 }))
  end)

  it("shows texts with line breaks on one line", function()
    assert.event(stream, "a")
    assert.matches([[the data x\n did not come; one called "b" did: its data is "line\nmore"]],
      first_line(assert.event, stream, "b", "x\n"), 1, true)
    assert.matches([["b" with the data line\nmore, and not an event "c"]],
      first_line(assert.next_event, stream, "c"), 1, true)
    assert.matches([[first "b" with the data line\nmore]], first_line(assert.quiet, stream), 1,
      true)
    local answer = fake.app(function(conn)
      conn:say(fake.text("200 OK", "counted\n"))
    end):get("/")
    assert.matches([[the text is "counted\n", and not "one\r\ntwo"]],
      first_line(answer.expect, answer, { text = "one\r\ntwo" }), 1, true)
    assert.matches([[does not match "a\nb"]], first_line(answer.expect, answer,
      { matches = "a\nb" }), 1, true)
  end)
end)

describe("a call of the kit", function()
  before_each(function()
    start("data: {}\n\n")
  end)

  it("that has no colon says so, at its line", function()
    local client, answer = app:client(), app:send("GET", "/")
    local line = debug.getinfo(1, "l").currentline + 2
    local _, complaint = pcall(function()
      app.post("/x")
    end)
    assert.matches("words_spec.lua:" .. line .. ": use a colon: app:post%(%.%.%.%)$", complaint)
    for _, call in ipairs { { app, "stop" }, { app, "advance", 1 }, { client, "get", "/" },
      { client, "cookie", "a" }, { answer, "expect", 200 }, { answer, "json" },
      { stream, "leave" }, { stream, "next" }, { stream, "window", 5 } } do
      local kind = getmetatable(call[1]).__name
      local owner = rawget(getmetatable(call[1]), call[2]) and kind or "answer"
      refuses(("use a colon: %s:%s(...)"):format(owner, call[2]), call[1][call[2]], call[3])
    end
    refuses("use a colon: event:json(...)", stream.events[1].json)
  end)

  it("that loads has none", function()
    local test = { load = load_into({ load = error }, print, print) }
    refuses("use a dot: test.load(...)", test.load, test, "scripts/")
  end)

  it("has no unknown signal, and no function or name that is none", function()
    refuses("app:signal: there is no 'TREM'; there are: HUP, INT, TERM", app.signal, app, "trem")
    refuses("app:run_until: function expected, got nil", app.run_until, app)
    refuses("app:channel: the name of a channel: string expected, got nil", app.channel, app)
    refuses("GET /: only app:stream has the option 'method'; app:request(method, path) takes any",
      app.get, app, "/", { method = "POST" })
  end)

  it("raises at its line what the engine says of its arguments", function()
    core.connect = function()
      error("bad argument #1 to 'connect' (no such worker)", 0)
    end
    local line = debug.getinfo(1, "l").currentline + 2
    local _, complaint = pcall(function()
      app:get("/", { worker = 9 })
    end)
    assert.matches("words_spec.lua:" .. line .. ": no connection: no such worker$", complaint)
    core.connect = function()
      error({ "pending" }, 0)
    end
    assert.same({ "pending" }, select(2, pcall(app.get, app, "/")))
  end)
end)
