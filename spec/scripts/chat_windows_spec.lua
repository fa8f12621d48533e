-- The page of scripts/chat.lua in windows of a browser whose network fails. What the script does
-- without a browser is in chat_spec.lua.

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

---The texts and events of the next `count` messages; others between them are passed over.
local function texts_of(stream, count)
  local texts, events = {}, {}
  for i = 1, count do
    repeat
      events[i] = stream:event()
    until events[i].type == "said"
    texts[i] = cjson.decode(events[i].data).text
  end
  return texts, events
end

---Where in the room an event was: a stream's ids have a part for each channel, the room's first.
local function place_of(id)
  return id:match("^[^,]*")
end

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
    local witness = server:stream("/chat/sea/events") -- whose network does not fail
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

describe("a room where nobody speaks, in a browser,", function()
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
