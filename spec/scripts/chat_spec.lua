-- scripts/chat.lua, in the test kit. Its ceilings are in ceilings_spec.lua, and its page in a
-- browser is in chat_windows_spec.lua.

local test = require "lunesse.test"

local app

local function start(options)
  app = test.load("scripts/chat.lua", options)
end

before_each(function()
  start()
end)

after_each(function()
  test.stop()
  assert.no.logged { level = "error" }
end)

---Says something in the room and returns the id that it was given.
local function say(text, name, room)
  local body = { name = name or "Ada", text = text }
  return app:post("/chat/" .. (room or "sea"), { json = body }):expect(201):json().id
end

local function join(last_event_id, room)
  return app:stream(("/chat/%s/events"):format(room or "sea"), { last_event_id = last_event_id })
end

---The events of this name that have come.
local function events_of(stream, name)
  app:turn()
  local list = {}
  for _, event in ipairs(stream.events) do
    list[#list + 1] = event.event == name and event or nil
  end
  return list
end

---The texts of all messages that have come.
local function texts_of(stream)
  local texts = {}
  for i, event in ipairs(events_of(stream, "said")) do
    texts[i] = event:json().text
  end
  return texts
end

---What the stream was told of presence, as one text.
local function presence_of(stream)
  local counts = {}
  for i, event in ipairs(events_of(stream, "presence")) do
    counts[i] = event.data
  end
  return table.concat(counts, " ")
end

---Where in the room an event was: a stream's ids have a part for each channel, the room's first.
local function place_of(id)
  return id:match("^[^,]*")
end

describe("a room", function()
  it("gives a message to everybody in it, with its name and time and one id", function()
    local ada, ben = join(), join()
    local id = say("good evening", "Ada")
    for _, stream in ipairs { ada, ben } do
      local event = assert.event(stream, "said", { name = "Ada", text = "good evening" })
      assert.equal(id, place_of(event.id))
      assert.equal(app:now() // 1, event:json().at)
    end
  end)

  it("gives two readers the same events, byte for byte", function()
    local one, other = join(), join()
    for i = 1, 50 do
      say("message " .. i, i % 2 == 0 and "Ada" or "Ben")
    end
    assert.equal(50, #events_of(one, "said"))
    assert.same(events_of(one, "said"), events_of(other, "said"))
  end)

  it("gives its history to whoever comes, in order, and then what is new", function()
    say("one")
    say("two")
    local stream = join()
    say("three")
    assert.same({ "one", "two", "three" }, texts_of(stream))
  end)

  it("keeps the last five hundred messages, for a day", function()
    for i = 1, 503 do
      say("message " .. i)
    end
    local texts = texts_of(join())
    assert.same({ 500, "message 4", "message 503" }, { #texts, texts[1], texts[500] })
    app:advance(24 * 3600 - 10)
    assert.equal(500, #texts_of(join()))
    app:advance(20)
    assert.equal(0, #texts_of(join()))
  end)

  it("has nothing to do with the other rooms", function()
    local stream = join()
    say("elsewhere", "Ada", "shore")
    say("here")
    assert.same({ "here" }, texts_of(stream))
  end)

  it("keeps texts as they are written, without the space around them", function()
    local stream = join()
    for text, kept in pairs {
      ["  two\n\n  lines\t\n "] = "two\n\n  lines", ["<b>\"&'</b>"] = "<b>\"&'</b>",
      ["月が綺麗ですね 🌙"] = "月が綺麗ですね 🌙", ["data: x\n\nevent: y"] = "data: x\n\nevent: y",
    } do
      say(text)
      assert.event(stream, "said", { text = kept })
    end
  end)

  it("gives a message the key that came with it", function()
    local stream = join()
    app:post("/chat/sea", { json = { name = "Ada", text = "mine", key = "a1-b2" } })
    assert.event(stream, "said", { key = "a1-b2" })
  end)
end)

describe("a reader that lost its connection", function()
  it("is given exactly what it missed, and then what is new", function()
    local stream = join()
    say("one")
    say("two")
    assert.same({ "one", "two" }, texts_of(stream))
    stream:leave()
    say("three")
    say("four")
    stream = stream:reconnect()
    say("five")
    assert.same({ "three", "four", "five" }, texts_of(stream))
    assert.no.event(stream, "reset")
  end)

  it("is back after a second, as it was told", function()
    assert.equal(1, join().retry)
  end)

  it("goes on where it was also when the last that it saw was a change of presence", function()
    local stream = join()
    say("one")
    join()
    app:advance(0.2)
    assert.equal("1 2", presence_of(stream))
    stream:leave()
    say("two")
    stream = stream:reconnect()
    say("three")
    assert.same({ "two", "three" }, texts_of(stream))
    assert.no.event(stream, "reset")
  end)

  it("is told to begin anew where that cannot be, and is given the whole history", function()
    say("one")
    say("two")
    for _, id in ipairs { "0-1", "nonsense", ("9"):rep(40) .. "-1" } do
      local stream = join(id)
      assert.event(stream, "reset", { channel = "chat/sea" })
      assert.same({ "one", "two" }, texts_of(stream))
    end
  end)

  it("is told to begin anew when more was said than a room keeps", function()
    local id = say("long ago")
    for i = 1, 502 do
      say("message " .. i)
    end
    local stream = join(id)
    assert.event(stream, "reset", { channel = "chat/sea", reason = "expired" })
    local texts = texts_of(stream)
    assert.same({ 500, "message 3" }, { #texts, texts[1] })
  end)
end)

describe("presence", function()
  it("is the first that a reader is told, and counts it", function()
    assert.next_event(join(), "presence", "1")
    assert.next_event(join(), "presence", "2")
  end)

  it("goes up and down as readers come and leave, a little later", function()
    local ada, ben = join(), join()
    app:advance(0.1)
    assert.equal("1", presence_of(ada))
    app:advance(0.1)
    assert.equal("1 2", presence_of(ada))
    ben:leave()
    app:advance(2.9)
    assert.equal("1 2", presence_of(ada))
    app:advance(0.1)
    assert.equal("1 2 1", presence_of(ada))
  end)

  it("is told once when a crowd comes, to whichever workers", function()
    app:stop()
    start { workers = 3 }
    local crowd = {}
    for i = 1, 21 do
      crowd[i] = join()
    end
    app:advance(10)
    for i = 1, 21 do
      assert.equal(i .. " 21", presence_of(crowd[i]))
    end
  end)

  it("does not fall for a reader that comes back at once", function()
    local ada, ben = join(), join()
    app:advance(0.2)
    ben:leave()
    app:advance(1)
    join()
    app:advance(10)
    assert.not_matches("1 2 .*1", presence_of(ada))
  end)

  it("is told soon of who comes, also when somebody has just left", function()
    local ada, ben = join(), join()
    app:advance(0.2)
    ben:leave()
    join()
    join():leave()
    app:advance(0.2)
    assert.equal("1 2 2", presence_of(ada))
    app:advance(10)
    assert.equal("1 2 2", presence_of(ada))
  end)

  it("is counted for each room", function()
    join()
    assert.next_event(join(nil, "shore"), "presence", "1")
  end)

  it("takes no place in the history", function()
    local witness = join()
    local first = say("one")
    for _ = 1, 5 do
      join():leave()
      app:advance(3)
    end
    local second = say("two")
    assert.equal(first:match("%d+$") + 1, tonumber(second:match("%d+$")))
    assert.equal(2, #events_of(witness, "said"))
  end)

  it("is told every fifteen seconds where nobody speaks, once for all workers", function()
    app:stop()
    start { workers = 3 }
    local streams = {}
    for i = 1, 6 do
      streams[i] = join()
    end
    app:advance(1) -- all have come
    for _, stream in ipairs(streams) do
      assert.event(stream, "presence", "6")
    end
    for _ = 1, 2 do
      local before = #streams[1].events
      app:advance(15)
      assert.equal(before + 1, #streams[1].events)
      for _, stream in ipairs(streams) do
        assert.event(stream, "presence", "6")
      end
    end
  end)
end)

describe("a room whose readers are all of the second worker", function()
  it("is told of them all the same", function()
    app:stop()
    start { workers = 2 }
    local stream = app:stream("/chat/sea/events", { worker = 2 })
    app:advance(14)
    local before = #stream.events
    app:advance(2)
    assert.equal(before + 1, #stream.events)
  end)
end)

describe("a room that all have left", function()
  it("is told nothing any more", function()
    local ada, ben = join(), join()
    app:advance(15)
    ada:leave()
    ben:leave()
    app:advance(5)
    local last = app:channel("chat/sea/presence").last
    app:advance(60)
    assert.equal(last, app:channel("chat/sea/presence").last)
  end)
end)

describe("a page of another origin", function()
  it("can neither speak nor read", function()
    for site, is_own in pairs { ["cross-site"] = false, ["same-site"] = false,
      ["same-origin"] = true, none = true } do
      local headers = { ["Sec-Fetch-Site"] = site }
      app:post("/chat/sea", { json = { name = "A", text = "x" }, headers = headers }):expect(
        is_own and 201 or { status = 403, json = { error = "this is for pages of this server" } })
      app:stream("/chat/sea/events", { headers = headers }):expect(is_own and 200 or 403)
    end
    for origin, status in pairs { ["http://localhost"] = 201, ["HTTPS://LOCALHOST"] = 201,
      ["http://evil.example"] = 403, ["localhost"] = 403, null = 403 } do
      app:post("/chat/sea", {
        json = { name = "A", text = "x" }, headers = { Origin = origin },
      }):expect(status)
    end
  end)
end)

describe("one address", function()
  local function status_of(room, peer, forwarded)
    return app:post("/chat/" .. room, {
      json = { name = "A", text = "x" }, peer = peer, headers = { ["X-Forwarded-For"] = forwarded },
    }).status
  end

  it("opens a hundred rooms in an hour, and goes on in those", function()
    for n = 1, 100 do
      assert.equal(201, status_of("room-" .. n, "192.0.2.1"))
    end
    app:post("/chat/room-101", { json = { name = "A", text = "x" }, peer = "192.0.2.1" }):expect {
      status = 429, json = { error = "your address has opened 100 rooms in an hour" },
    }
    assert.equal(429, status_of("room-101", "192.0.2.1", "192.0.2.2"))
    assert.equal(201, status_of("room-100", "192.0.2.1"))
    assert.equal(201, status_of("room-101", "192.0.2.2"))
    assert.equal(201, status_of("room-101", "192.0.2.1"))
    app:stream("/chat/read/events", { peer = "192.0.2.2" })
    assert.equal(201, status_of("read", "192.0.2.1")) -- since somebody reads it
    assert.equal(201, status_of("room-102", "127.0.0.1", "192.0.2.1, 192.0.2.3"))
    assert.equal(429, status_of("room-103", "127.0.0.1", "192.0.2.3, 192.0.2.1"))
    app:advance(3599.9)
    assert.equal(429, status_of("room-103", "192.0.2.1"))
    app:advance(0.2)
    assert.equal(201, status_of("room-103", "192.0.2.1"))
  end)

  it("is an IPv4 address, or the first half of an IPv6 address", function()
    local files = {}
    for _, name in ipairs { "chat.lua", "chat.html" } do
      local file <close> = assert(io.open("scripts/" .. name))
      files[name] = file:read("a"):gsub("OPENED_SECONDS = 100,", "OPENED_SECONDS = 1,")
    end
    app:stop()
    app = test.load(files)
    for i, case in ipairs {
      { "192.0.2.7", "192.0.2.7", true }, { "192.0.2.7", "192.0.2.8", false },
      { "::ffff:192.0.2.7", "::ffff:192.0.2.7", true },
      { "::ffff:192.0.2.7", "::ffff:192.0.2.8", false },
      { "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::9", true },
      { "2001:db8:1:2:3:4:5:6", "2001:db8:1:3:3:4:5:6", false },
      { "2001:db8::1:2:3:9", "2001:db8::8", true }, { "fe80::1", "fe80::2", true },
      { "fe80::1", "fe81::1", false },
    } do
      app:advance(3601)
      assert.equal(201, status_of("one-" .. i, "127.0.0.1", case[1]))
      assert.equal(case[3] and 429 or 201, status_of("other-" .. i, "127.0.0.1", case[2]), i)
    end
  end)

  it("opens no room by looking at one that somebody reads", function()
    join(nil, "read")
    for _ = 1, 150 do
      join(nil, "read"):leave()
    end
    assert.equal(201, status_of("another"))
  end)

  it("opens the same empty room once, however often it comes", function()
    for _ = 1, 150 do
      join(nil, "empty"):expect(200):leave()
    end
    assert.equal(201, status_of("another"))
  end)
end)

describe("what cannot be a message", function()
  ---The reason with which a body (a table: as JSON) is refused.
  local function refusal(body, room)
    local options = type(body) == "table" and { json = body } or { body = body }
    local answer = app:post("/chat/" .. (room or "sea"), options):expect {
      status = 400, headers = { ["Content-Type"] = "application/json" },
    }
    return answer:json().error
  end

  it("is refused when it is not JSON, or no object", function()
    for _, body in ipairs { "", "name=Ada&text=hello", '{"name":', "{'name': 'Ada'}" } do
      assert.matches("^the body is not JSON: expected .* at line 1, column %d+$", refusal(body))
    end
    for _, body in ipairs { "null", "7", '"hello"', "false" } do
      assert.equal('a body like {"name": "Ada", "text": "good evening"} expected', refusal(body))
    end
  end)

  it("is refused without a name or a text", function()
    for _, body in ipairs { "{}", "[]", '{"text":"x"}', '{"name":7,"text":"x"}',
      '{"name":null,"text":"x"}', '{"name":{},"text":"x"}' } do
      assert.equal("name is not a string", refusal(body))
    end
    assert.equal("text is not a string", refusal('{"name":"Ada"}'))
    assert.equal("text is not a string", refusal('{"name":"Ada","text":["x"]}'))
    assert.equal("name is empty", refusal { name = " \t", text = "x" })
    assert.equal("text is empty", refusal { name = "Ada", text = "\n \n" })
  end)

  it("is refused when it is longer than allowed, which is counted in characters", function()
    assert.equal("name is longer than 32 characters", refusal { name = ("x"):rep(33), text = "x" })
    assert.equal("text is longer than 2000 characters",
      refusal { name = "Ada", text = ("ü"):rep(2001) })
    assert.equal("key is longer than 64 characters",
      refusal { name = "Ada", text = "x", key = ("x"):rep(65) })
    say(("🌙"):rep(2000), ("ü"):rep(32))
  end)

  it("is refused when it has control characters, or is not UTF-8", function()
    assert.equal("name has control characters", refusal('{"name":"A\\nda","text":"x"}'))
    assert.equal("text has control characters", refusal('{"name":"Ada","text":"a\\u0000b"}'))
    assert.equal("text has control characters", refusal('{"name":"Ada","text":"a\\u001bb"}'))
    assert.equal("the body is not JSON: a string is not UTF-8 at line 1, column 11",
      refusal('{"name":"A\xff","text":"x"}'))
    assert.equal("key has control characters", refusal { name = "A", text = "x", key = "a b" })
  end)

  it("is refused in a room that cannot be", function()
    say("x", "Ada", ("x"):rep(32))
    for _, room in ipairs { "Sea", "a.b", "a%2fb", "a%20b", "%c3%bc", "a_b", ("x"):rep(33) } do
      assert.equal("a room's name is 1 to 32 of a-z, 0-9 and -",
        refusal({ name = "Ada", text = "x" }, room))
      join(nil, room):expect(400)
    end
  end)

  it("is refused with 413 when it is larger than any message", function()
    app:post("/chat/sea", { body = ("x"):rep(32 * 1024 + 1) }):expect(413)
    app:post("/chat/sea", { body = ("x"):rep(32 * 1024) }):expect(400)
  end)

  it("is judged in a time that does not grow with the square of its length", function()
    local begin = os.clock()
    assert.equal("text is empty", refusal { name = "Ada", text = (" "):rep(30000) })
    assert.equal("text is longer than 2000 characters",
      refusal { name = "Ada", text = "x" .. (" "):rep(30000) .. "x" })
    assert.is_true(os.clock() - begin < 0.2 * (tonumber(os.getenv("LUNESSE_SLOW")) or 1))
  end)

  it("is not seen by anybody", function()
    refusal({ name = "Ada", text = "" }, "quiet")
    local stream = join(nil, "quiet")
    assert.next_event(stream, "presence")
    assert.no.event(stream, "said")
  end)

  it("is what a client says that does not read event streams", function()
    app:get("/chat/sea/events", { accept = "application/json" }):expect {
      status = 400, json = { error = "this route speaks text/event-stream" },
    }
  end)
end)

describe("the page", function()
  it("is served as it stands, and a room's address leads to it", function()
    local file <close> = assert(io.open("scripts/chat.html"))
    app:get("/chat"):expect {
      status = 200, text = file:read("a"),
      headers = { ["Content-Type"] = "text/html; charset=utf-8", ["Cache-Control"] = "no-cache",
        ["X-Content-Type-Options"] = "nosniff", ["Content-Security-Policy"] =
          "default-src 'none'; connect-src 'self'; img-src data:; style-src 'unsafe-inline'; " ..
          "script-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; " ..
          "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'" },
    }
    app:get("/chat/sea"):expect { headers = { Location = "/chat?room=sea" } }
    app:get("/chat/a.b"):expect(400)
  end)
end)
