-- The page of scripts/index.lua: what it asks for, and how it looks and acts in a browser.

local Server = require "spec.support.server"
local Process = require "spec.support.process"
local Client = require "spec.support.client"

local PAGE = Process.read_file("scripts/index.html")

-- What the scripts beside the page do, so short that nobody has to wait for it. The clock ends
-- after each event, so that the browser has to come back for the next.
local STREAMS = [[
local lunesse = require "lunesse"
local server = lunesse.server()
server:get("/clock", function(request, response)
  local last = math.tointeger(request.last_event_id or 0)
  if last < 3 then
    response.sse:open { retry = 0.01 }
    local time = "2001-02-03T04:05:0" .. last .. "Z"
    response.sse:send(last + 1, "message", "server time: " .. time)
  else
    return response.sse:open()
  end
  response.sse:close()
end)
server:get("/countdown", function(request, response)
  for n = 10, 0, -5 do
    response.sse:send(n, "tick", n)
  end
  response.sse:send("done", "lift-off")
  response.sse:close()
end)
server:post("/tokens", function(request, response)
  response.sse:send { token = "You said " }
  response.sse:send { token = request:json().prompt }
  response.sse:send("[DONE]")
  response.sse:close()
end)
server:get("/by_hand", function(request, response)
  response:write_head(200, { ["Content-Type"] = "text/plain" })
  response:write("one\n")
  response:finish("two\n")
end)
]]

-- Waits for each card to have come where it goes, then tells what the page shows.
local LOOK = [[
  const text = (selector) => document.querySelector(selector)?.textContent
  const until = async (check) => {
    while (!check()) await new Promise((resolve) => setTimeout(resolve, 10))
  }
  const input = document.querySelector('#prompt')
  input.value = 'good evening'
  input.form.requestSubmit()
  await until(() => text('#clock [data-fact="events"]') === '3' &&
    text('#clock .state') === 'open' && text('#countdown .state') === 'closed' &&
    text('#by_hand .state') === 'closed' && text('#tokens .state') === 'closed')
  const cards = {}
  for (const card of document.querySelectorAll('.stream')) {
    const facts = {}
    for (const fact of card.querySelectorAll('[data-fact]')) {
      facts[fact.dataset.fact] = fact.textContent
    }
    cards[card.id] = {
      state: text(`#${card.id} .state`), face: text(`#${card.id} .face`).trim(), facts,
      button: text(`#${card.id} button`),
      log: [...card.querySelectorAll('.log li')].map((line) =>
        [...line.querySelectorAll('span')].map((cell) => cell.textContent).join('|')),
    }
  }
  return { cards, width: document.documentElement.scrollWidth - innerWidth }
]]

local function start_page()
  return Server.start {
    ["index.lua"] = Process.read_file("scripts/index.lua"),
    ["index.html"] = PAGE,
    ["streams.lua"] = STREAMS,
  }
end

describe("the page", function()
  it("asks nothing of any other server", function()
    for address in PAGE:gmatch("https?://[^%s\"'<>]+") do
      assert.equal("http://www.w3.org/2000/svg", address) -- a name, not an address
    end
    assert.is_nil(PAGE:find("@import", 1, true))
  end)

  it("names every control, and every stream's log", function()
    for input in PAGE:gmatch("<input[^>]*>") do
      assert.truthy(PAGE:find(('for="%s"'):format(input:match('id="([^"]+)"')), 1, true))
    end
    for log in PAGE:gmatch("<ol[^>]*>") do
      assert.matches("aria%-label=", log)
    end
    assert.matches('<html lang="en">', PAGE)
  end)
end)

describe("the page in a browser", function()
  local shown, records

  it("shows what arrives on each stream, its state, reconnects and the last id", function()
    shown, records = Client.browse(start_page().url .. "/", LOOK)
    local cards = shown.cards

    assert.equal("04:05:02UTC", cards.clock.face)
    assert.equal("open", cards.clock.state)
    assert.equal("Close", cards.clock.button)
    assert.same({ events = "3", reconnects = "3", id = "3" }, cards.clock.facts)
    assert.equal("message|server time: 2001-02-03T04:05:00Z|id 1", cards.clock.log[1])

    assert.equal("lift-off", cards.countdown.face)
    assert.equal("Open again", cards.countdown.button)
    assert.same({ events = "4", reconnects = "0", id = "0" }, cards.countdown.facts)
    assert.same({ "tick|10|id 10", "tick|5|id 5", "tick|0|id 0", "done|lift-off|id 0" },
      cards.countdown.log)

    assert.equal("You said good evening", cards.tokens.face)
    assert.equal("3", cards.tokens.facts.events)
    assert.equal("message|[DONE]|", cards.tokens.log[3])

    assert.equal("one\ntwo", cards.by_hand.face)
    assert.equal("8", cards.by_hand.facts.length)
  end)

  it("says nothing on the console", function()
    for _, record in ipairs(assert(records, "the page was not looked at")) do
      assert.equal("result", record.kind, record.text or record.message)
    end
  end)

  it("fits a phone", function()
    local phone = Client.browse(start_page().url .. "/", LOOK,
      { args = { "--width", "320", "--height", "640" } })
    assert.is_true(phone.width <= 0)
  end)

  it("has the chat, its home and the source of each script on its first screen", function()
    local look = [[
      return [...document.querySelectorAll('a')]
        .filter((link) => link.getBoundingClientRect().bottom <= innerHeight)
        .map((link) => new URL(link.href).pathname)
    ]]
    for _, size in ipairs { { "1280", "800" }, { "360", "640" } } do
      local links = Client.browse(start_page().url .. "/", look,
        { args = { "--width", size[1], "--height", size[2] } })
      assert.same({ "/", "/chat", "/answers", "/relay", "/source/clock.lua",
        "/source/countdown.lua", "/source/tokens.lua", "/source/by_hand.lua",
        "/source/answers.lua", "/source/relay.lua", "/source/poll.lua", "/source/chat.lua",
        "/source/publish.lua", "/source/index.lua" }, links)
    end
  end)

  it("shows a time at once, before the clock has told its own", function()
    local server = Server.start({
      ["index.lua"] = Process.read_file("scripts/index.lua"), ["index.html"] = PAGE,
      ["clock.lua"] = Process.read_file("scripts/clock.lua"),
    }, { clock = true }) -- which stands still
    local face = Client.browse(server.url .. "/", [[
      const face = document.querySelector('#clock .face')
      while (!/\d\d:\d\d:\d\d/.test(face.textContent)) await new Promise((go) => setTimeout(go, 10))
      return face.textContent
    ]])
    assert.matches("^%d%d:%d%d:%d%dUTC, by your clock$", face)
  end)
end)
