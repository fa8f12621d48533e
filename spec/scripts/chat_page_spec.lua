-- The page of scripts/chat.lua: what it is sent with, what it asks for, and how it looks and acts
-- in a browser.

local Server = require "spec.support.server"
local Process = require "spec.support.process"
local Client = require "spec.support.client"

local SCRIPT = Process.read_file("scripts/chat.lua")
local PAGE = Process.read_file("scripts/chat.html")

local function start(options)
  return Server.start({ ["chat.lua"] = SCRIPT, ["chat.html"] = PAGE }, options)
end

describe("the page of a room", function()
  it("is the file beside the script, and the browser is held to it", function()
    local response = start():request { target = "/chat?room=sea" }
    assert.equal(200, response.status)
    assert.equal("text/html; charset=utf-8", response.headers["content-type"])
    local policy = response.headers["content-security-policy"]
    assert.matches("default%-src 'none'; connect%-src 'self'", policy)
    assert.matches("trusted%-types 'none'", policy)
    assert.equal(PAGE, response.body)
  end)

  it("is where a browser is sent that asks for the room itself", function()
    local server = start()
    local response = server:request { target = "/chat/sea" }
    assert.equal(302, response.status)
    assert.equal("/chat?room=sea", response.headers["location"])
    assert.equal(400, server:request({ target = "/chat/Sea" }).status)
  end)

  it("asks nothing of any other server, and makes no HTML of what people write", function()
    for address in PAGE:gmatch("https?://[^%s\"'<>]+") do
      assert.equal("http://www.w3.org/2000/svg", address) -- a name, not an address
    end
    for _, word in ipairs { "@import", "innerHTML", "outerHTML", "insertAdjacentHTML", "eval(" } do
      assert.is_nil(PAGE:find(word, 1, true), word)
    end
  end)

  it("names every field", function()
    for _, tag in ipairs { "input", "textarea" } do
      for field in PAGE:gmatch("<" .. tag .. "[^>]*>") do
        assert.truthy(PAGE:find(('for="%s"'):format(field:match('id="([^"]+)"')), 1, true), field)
      end
    end
    assert.matches('<html lang="en">', PAGE)
  end)
end)

describe("the chat's page on a phone", function()
  local PHONE = { "--phone", "--width", "360", "--height", "640" }

  it("gives its room to the messages, breaks a line at Enter, and links home", function()
    local server = start()
    local seen = Client.browse(server.url .. "/chat", [[
      const name = document.querySelector('#name')
      name.value = 'Dee'
      name.dispatchEvent(new Event('change'))
      const text = document.querySelector('#text')
      const enter = new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true })
      return {
        share: document.querySelector('#messages').clientHeight / innerHeight,
        width: document.documentElement.scrollWidth - innerWidth,
        breaks: text.dispatchEvent(enter),
        hint: document.querySelector('#hint').textContent,
        home: new URL(document.querySelector('header a').href).pathname,
        as: document.querySelector('#as').textContent,
      }
    ]], { args = PHONE })
    assert.is_true(seen.share > 0.75, seen.share)
    assert.is_true(seen.width <= 0)
    assert.same({ true, "", "/", "as Dee (change)" },
      { seen.breaks, seen.hint, seen.home, seen.as })
  end)

  it("sends at Enter where there is a keyboard, and knows its own messages after a reload",
    function()
    local server = start()
    local own = [[
      const until = async (check) => {
        while (!check()) await new Promise((go) => setTimeout(go, 10))
      }
      const text = document.querySelector('#text')
      if (!localStorage.getItem('chat-mine')) {
        document.querySelector('#name').value = 'Dee'
        text.value = 'it is me'
        text.dispatchEvent(new KeyboardEvent('keydown',
          { key: 'Enter', bubbles: true, cancelable: true }))
      }
      await until(() => document.querySelector('#messages .text'))
      return document.querySelector('#messages .you')?.textContent
    ]]
    local after, records = Client.browse(server.url .. "/chat", own, { args = { "--reload" } })
    assert.equal("you", after)
    assert.equal("before", records[1].kind)
    assert.equal("you", records[1].value)
    local other = Client.browse(server.url .. "/chat", [[
      while (!document.querySelector('#messages .text')) {
        await new Promise((go) => setTimeout(go, 10))
      }
      return document.querySelector('#messages .you')?.textContent ?? 'not you'
    ]])
    assert.equal("not you", other)
  end)
end)
