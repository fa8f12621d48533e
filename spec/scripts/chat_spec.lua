-- scripts/chat.lua and the page beside it: as bytes, and in two windows of a browser whose network
-- fails.

local cjson = require "cjson"
local Server = require "spec.support.server"
local Process = require "spec.support.process"
local Client = require "spec.support.client"
local clock = require "spec.support.clock"

local SCRIPT = Process.read_file("scripts/chat.lua")
local PAGE = Process.read_file("scripts/chat.html")
local CUT_SECONDS = 10

local function start(options)
  return Server.start({ ["chat.lua"] = SCRIPT, ["chat.html"] = PAGE }, options)
end

local function post(server, body, room)
  return server:request {
    method = "POST", target = "/chat/" .. (room or "sea"),
    body = type(body) == "table" and cjson.encode(body) or body,
  }
end

---Says something in the room and returns the id that it was given.
local function say(server, text, name)
  local response = post(server, { name = name or "Ada", text = text })
  assert.equal(201, response.status, response.body)
  return cjson.decode(response.body).id
end

local function join(server, last_event_id)
  return server:stream("/chat/sea/events", { last_event_id = last_event_id })
end

---The next event of this type; others before it are passed over.
local function next_of(stream, type)
  local event
  repeat
    event = stream:event()
  until event.type == type
  return event
end

---The texts of the next `count` messages, and the events.
local function texts_of(stream, count)
  local texts, events = {}, {}
  for i = 1, count do
    events[i] = next_of(stream, "said")
    texts[i] = cjson.decode(events[i].data).text
  end
  return texts, events
end

---Where in the room an event was: a stream's ids have a part for each channel, the room's first.
local function place_of(id)
  return id:match("^[^,]*")
end

---How many are there, as the next presence event has it.
local function presence(stream)
  return tonumber(next_of(stream, "presence").data)
end

---Reads what is there and answers whether it had no event of this type.
local function has_no_more(stream, type)
  local first = #stream.parser.events
  stream:read_until(function()
    return false
  end, 0.05 / clock.slow)
  for i = first + 1, #stream.parser.events do
    if stream.parser.events[i].type == type then
      return false
    end
  end
  return true
end

---Leaves, and waits until the server knows it.
local function leave(server, stream)
  local count = #server:log_lines("reason=left")
  stream:reset()
  eventually(function()
    return #server:log_lines("reason=left") > count
  end)
end

describe("a room", function()
  it("gives a message to everybody in it, with its name and time and one id", function()
    local server = start()
    local ada, ben = join(server), join(server)
    local id = say(server, "good evening", "Ada")
    for _, stream in ipairs { ada, ben } do
      local event = next_of(stream, "said")
      local message = cjson.decode(event.data)
      assert.equal(id, place_of(event.id))
      assert.equal("Ada", message.name)
      assert.equal("good evening", message.text)
      assert.is_true(math.abs(os.time() - message.at) < 60)
      assert.is_true(event.is_chunk)
    end
  end)

  it("gives two readers the same events, byte for byte", function()
    local server = start()
    local one, other = join(server), join(server)
    for i = 1, 50 do
      say(server, "message " .. i, i % 2 == 0 and "Ada" or "Ben")
    end
    local _, events = texts_of(one, 50)
    local _, same = texts_of(other, 50)
    assert.same(events, same)
  end)

  it("gives its history to whoever comes, in order, and then what is new", function()
    local server = start()
    say(server, "one")
    say(server, "two")
    local stream = join(server)
    say(server, "three")
    assert.same({ "one", "two", "three" }, (texts_of(stream, 3)))
    assert.is_true(has_no_more(stream, "said"))
  end)

  it("keeps the last five hundred messages", function()
    local server = start()
    for i = 1, 503 do
      say(server, "message " .. i)
    end
    local texts = texts_of(join(server), 500)
    assert.equal("message 4", texts[1])
    assert.equal("message 503", texts[500])
  end)

  it("has nothing to do with the other rooms", function()
    local server = start()
    local stream = join(server)
    post(server, { name = "Ada", text = "elsewhere" }, "shore")
    say(server, "here")
    assert.same({ "here" }, (texts_of(stream, 1)))
  end)

  it("keeps texts as they are written, without the space around them", function()
    local server = start()
    local stream = join(server)
    for text, kept in pairs {
      ["  two\n\n  lines\t\n "] = "two\n\n  lines", ["<b>\"&'</b>"] = "<b>\"&'</b>",
      ["月が綺麗ですね 🌙"] = "月が綺麗ですね 🌙", ["data: x\n\nevent: y"] = "data: x\n\nevent: y",
    } do
      say(server, text)
      assert.same({ kept }, (texts_of(stream, 1)))
    end
  end)

  it("gives a message the key that came with it", function()
    local server = start()
    local stream = join(server)
    post(server, { name = "Ada", text = "mine", key = "a1-b2" })
    assert.equal("a1-b2", cjson.decode(next_of(stream, "said").data).key)
  end)
end)

describe("a reader that lost its connection", function()
  it("is given exactly what it missed, and then what is new", function()
    local server = start()
    local stream = join(server)
    say(server, "one")
    say(server, "two")
    local _, events = texts_of(stream, 2)
    leave(server, stream)
    say(server, "three")
    say(server, "four")
    stream = join(server, events[2].id)
    say(server, "five")
    assert.same({ "three", "four", "five" }, (texts_of(stream, 3)))
    assert.is_true(has_no_more(stream, "said"))
    for _, event in ipairs(stream.parser.events) do
      assert.not_equal("reset", event.type)
    end
  end)

  it("goes on where it was also when the last that it saw was a change of presence", function()
    local server = start({ clock = true })
    local stream = join(server)
    say(server, "one")
    texts_of(stream, 1)
    local other = join(server)
    server:advance(0.2)
    repeat until presence(stream) == 2
    leave(server, stream)
    say(server, "two")
    stream = join(server, stream.parser.last_event_id)
    say(server, "three")
    assert.same({ "two", "three" }, (texts_of(stream, 2)))
    assert.is_true(has_no_more(stream, "reset"))
    for _, event in ipairs(stream.parser.events) do
      assert.not_equal("reset", event.type)
    end
    other:close()
  end)

  it("is told to begin anew where that cannot be, and is given the whole history", function()
    local server = start()
    say(server, "one")
    say(server, "two")
    for _, id in ipairs { "0-1", "nonsense", ("9"):rep(40) .. "-1" } do
      local stream = join(server, id)
      local event = next_of(stream, "reset")
      assert.equal("chat/sea", cjson.decode(event.data).channel)
      assert.same({ "one", "two" }, (texts_of(stream, 2)))
      stream:close()
    end
  end)

  it("is told to begin anew when more was said than a room keeps", function()
    local server = start()
    local id = say(server, "long ago")
    for i = 1, 502 do
      say(server, "message " .. i)
    end
    local stream = join(server, id)
    local what = cjson.decode(next_of(stream, "reset").data)
    assert.equal("chat/sea", what.channel)
    assert.equal("expired", what.reason)
    assert.equal("message 3", texts_of(stream, 500)[1])
    assert.is_true(has_no_more(stream, "said"))
  end)
end)

describe("presence", function()
  it("is the first that a reader is told, and counts it", function()
    local server = start({ clock = true })
    local stream = join(server)
    assert.equal(1, presence(stream))
    assert.equal(2, presence(join(server)))
  end)

  it("goes up and down as readers come and leave", function()
    local server = start({ clock = true })
    local ada = join(server)
    presence(ada)
    local ben = join(server)
    server:advance(0.2)
    assert.equal(2, presence(ada))
    leave(server, ben)
    server:advance(3)
    assert.equal(1, presence(ada))
  end)

  it("is told once when a crowd comes, to whichever workers", function()
    local server = start({ workers = 3, clock = true })
    local ada = join(server)
    presence(ada)
    local crowd = {}
    for i = 1, 20 do
      crowd[i] = join(server)
      presence(crowd[i])
    end
    server:advance(0.2)
    assert.equal(21, presence(ada))
    for i = 1, 20 do
      assert.equal(21, presence(crowd[i]))
    end
    server:advance(10)
    assert.is_true(has_no_more(ada, "presence"))
  end)

  it("does not fall for a reader that comes back at once", function()
    local server = start({ clock = true })
    local ada, ben = join(server), join(server)
    server:advance(0.2)
    presence(ada)
    assert.equal(2, presence(ada))
    leave(server, ben)
    server:advance(1)
    ben = join(server)
    server:advance(0.2)
    assert.equal(2, presence(ada))
    server:advance(10)
    assert.is_true(has_no_more(ada, "presence"))
    ben:close()
  end)

  it("is counted for each room", function()
    local server = start({ clock = true })
    join(server)
    assert.equal(1, presence(server:stream("/chat/shore/events")))
  end)

  it("takes no place in the history", function()
    local server = start({ clock = true })
    local witness = join(server)
    say(server, "one")
    for _ = 1, 5 do
      leave(server, join(server))
      server:advance(3)
    end
    say(server, "two")
    local _, events = texts_of(join(server), 2)
    local first, second = place_of(events[1].id), place_of(events[2].id)
    assert.equal(first:match("%d+$") + 1, tonumber(second:match("%d+$")))
    witness:close()
  end)
end)

describe("what cannot be a message", function()
  local server

  setup(function()
    server = start({ shared = true })
  end)

  teardown(function()
    server:stop()
  end)

  local function refusal(body, room)
    local response = post(server, body, room)
    assert.equal(400, response.status, tostring(body))
    assert.equal("application/json", response.headers["content-type"])
    return cjson.decode(response.body).error
  end

  it("is refused when it is not JSON, or no object", function()
    for _, body in ipairs { "", "name=Ada&text=hello", '{"name":', "{'name': 'Ada'}" } do
      assert.matches("^the body is not JSON: ", refusal(body))
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
    assert.equal(201, post(server, { name = ("ü"):rep(32), text = ("🌙"):rep(2000) }).status)
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
    for _, room in ipairs { "Sea", "a.b", "a%2fb", "a%20b", "%c3%bc", "a_b", ("x"):rep(33) } do
      assert.equal("a room's name is 1 to 32 of a-z, 0-9 and -",
        refusal({ name = "Ada", text = "x" }, room))
      local response = server:request {
        target = "/chat/" .. room .. "/events", headers = { ["Accept"] = "text/event-stream" },
      }
      assert.equal(400, response.status)
    end
  end)

  it("is refused with 413 when it is larger than any message", function()
    assert.equal(413, post(server, ("x"):rep(32 * 1024 + 1)).status)
  end)

  it("is judged in a time that does not grow with the square of its length", function()
    local begin = clock.now()
    assert.equal("text is empty", refusal { name = "Ada", text = (" "):rep(30000) })
    assert.equal("text is longer than 2000 characters",
      refusal { name = "Ada", text = "x" .. (" "):rep(30000) .. "x" })
    assert.is_true(clock.now() - begin < 0.2 * clock.slow)
  end)

  it("is not seen by anybody", function()
    refusal({ name = "Ada", text = "" }, "quiet")
    local stream = server:stream("/chat/quiet/events")
    assert.equal("presence", stream:event().type)
    assert.is_true(has_no_more(stream, "said"))
    stream:close()
  end)

  it("is what a client says that does not read event streams", function()
    local response = server:request {
      target = "/chat/sea/events", headers = { ["Accept"] = "application/json" },
    }
    assert.equal(400, response.status)
    assert.equal("this route speaks text/event-stream", cjson.decode(response.body).error)
  end)
end)

describe("two windows of a room", function()
  local client

  ---The next `count` messages of a stream, as the windows print them.
  local function messages_of(stream, count)
    local list = {}
    local _, events = texts_of(stream, count)
    for i, event in ipairs(events) do
      local message = cjson.decode(event.data)
      list[i] = { place_of(event.id), message.name, message.text }
    end
    return list
  end

  ---What a window showed, as `messages_of` has it.
  local function shown(window)
    for _, message in ipairs(window.messages) do
      message[1] = place_of(message[1])
    end
    return window.messages
  end

  it("show the same after ten seconds without a network: nothing missing, nothing twice", function()
    local seconds = 60 * clock.slow
    local server = start()
    local witness = join(server) -- whose network does not fail
    client = Client.start("chat", { tostring(server.port), "sea", "--readers", "3",
      "--cut-seconds", tostring(CUT_SECONDS), "--seconds", tostring(seconds) })
    client:finish(70)
    assert.same({}, client:records("failure"))
    local ada, ben = table.unpack(client:records("after"))
    local count = 6 + #client:records("published") + 2 -- before, during and after the cut
    assert.is_true(count > 30)
    local wanted = messages_of(witness, count)
    assert.same(wanted, shown(ada))
    assert.same(wanted, shown(ben))
    assert.same({ "we are back", "said into the void" },
      { wanted[count][3], wanted[count - 1][3] })
    for _, window in ipairs { ada, ben } do
      assert.same({ {}, "connected", "3 here", "" },
        { window.notes, window.state, window.presence, window.draft })
    end
  end)

  it("begin anew, and say so, when more was said than the room keeps", function()
    local windows = client:records("flooded")
    assert.equal(2, #windows)
    for _, window in ipairs(windows) do
      assert.equal(500, #window.messages)
      for i, message in ipairs(window.messages) do
        assert.equal("flood " .. i + 10, message[3])
      end
      assert.same({ "While you were away 10 messages went out of the history." }, window.notes)
      assert.equal("connected", window.state)
    end
  end)

  it("show what people write as text, and their own messages once", function()
    local before = client:records("before")[1]
    assert.equal("3 here", before.presence)
    local texts = {}
    for i, message in ipairs(before.messages) do
      texts[i] = message[3]
    end
    assert.same({
      "good evening, says Ada", "good evening, says Ben",
      "<b>is this bold?</b>, says Ada", "<b>is this bold?</b>, says Ben",
      "one\ntwo, says Ada", "one\ntwo, says Ben",
    }, texts)
  end)

  it("keep a message that could not be sent, and say so", function()
    local cut = client:records("cut")[1]
    assert.equal("reconnecting", cut.state)
    assert.equal("said into the void", cut.draft)
    assert.matches("^Not sent: the server cannot be reached", cut.hint)
    assert.equal(6, #cut.messages)
  end)

  it("say nothing on the console but what the browser says of the network", function()
    assert.same({}, client:records("page-error"))
    for _, record in ipairs(client:records("console")) do
      assert.matches("net::ERR_", record.text)
    end
  end)
end)

describe("a room where nobody speaks", function()
  it("tells its readers every fifteen seconds that it is there, once for all workers", function()
    local server = start { clock = true, workers = 3 }
    local streams = {}
    for i = 1, 6 do
      streams[i] = join(server)
    end
    server:advance(1) -- all have come
    for _, stream in ipairs(streams) do
      repeat until next_of(stream, "presence").data == "6"
    end
    for _ = 1, 2 do
      server:advance(15)
      for _, stream in ipairs(streams) do
        assert.equal("6", next_of(stream, "presence").data)
      end
    end
    assert.is_true(streams[1]:is_silent())
    for _, stream in ipairs(streams) do
      stream:close()
    end
  end)

  it("is said by the page to be silent when nothing came for two of these, which connects anew",
    function()
    local server = start { clock = true } -- which stands still: nothing comes
    local states = Client.browse(server.url .. "/chat", [[
      const state = document.querySelector('#state')
      const seen = []
      await new Promise((done) => {
        new MutationObserver(() => {
          if (seen.at(-1) !== state.textContent) seen.push(state.textContent)
          if (seen.includes('nothing heard, reconnecting') && seen.at(-1) === 'connected') done()
        }).observe(state, { childList: true })
      })
      return seen.slice(-2)
    ]], { args = { "--hurry", "20" } })
    assert.same({ "nothing heard, reconnecting", "connected" }, states)
  end)
end)
