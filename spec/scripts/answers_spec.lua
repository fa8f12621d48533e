-- scripts/answers.lua: answers that outlive their readers.

local test = require "lunesse.test"

local SEA = "The night lends it to the sea, and the sea gives it back in pieces. Every wave is " ..
  "an event: it comes, it is heard on the shore, and the next one is already on its way. The " ..
  "shore keeps no list of the waves, it only listens."
local TOKENS, PAUSE = 48, 0.05

describe("an answer", function()
  local app

  before_each(function()
    app = test.load("scripts/answers.lua", { workers = 2 })
  end)

  after_each(function()
    app:stop()
    assert.same({}, app:log { level = "error" })
  end)

  local function ask(prompt)
    return "/answers/" .. app:post("/answers", { json = { prompt = prompt } }):expect(201):json().id
  end

  ---What the stream's tokens say together.
  local function text_of(stream)
    local words = {}
    for _, event in ipairs(stream.events) do
      words[#words + 1] = event.event == "token" and event:json().text or nil
    end
    return table.concat(words)
  end

  it("is computed for nobody, and whoever comes late gets the whole of it", function()
    local path = ask("Tell me of the sea")
    assert.matches("^/answers/%x+$", path)
    assert.equal(#"/answers/" + 16, #path)
    app:advance(TOKENS * PAUSE)
    local late = app:stream(path)
    assert.event(late, "done", { stopped = false })
    assert.equal(SEA, text_of(late))
    assert.ended(late, "complete")
  end)

  it("comes token by token, to all who read it", function()
    local path = ask("Tell me of the sea")
    local first = app:stream(path, { worker = 1 })
    assert.equal(1, first.retry)
    app:advance(3 * PAUSE)
    local second = app:stream(path, { worker = 2 })
    assert.equal("The night lends it ", text_of(first))
    assert.equal(text_of(first), text_of(second))
    app:advance(PAUSE)
    assert.event(first, "token", { text = "to " })
    assert.event(second, "token", { text = "to " })
    assert.quiet(first)
    app:advance(TOKENS * PAUSE)
    assert.equal(SEA, text_of(first))
    assert.equal(SEA, text_of(second))
  end)

  it("goes on where a reader was that comes back, and 204 says that it has seen all", function()
    local path = ask("Tell me of the sea")
    local reader = app:stream(path)
    app:advance(10 * PAUSE)
    reader:leave()
    app:advance(TOKENS * PAUSE)
    local back = app:stream(path, { last_event_id = reader.id })
    local done = assert.event(back, "done")
    assert.equal(SEA, text_of(reader) .. text_of(back))
    app:get(path, { headers = { accept = "text/event-stream", ["last-event-id"] = done.id } })
      :expect(204)
  end)

  it("tells a reader of another answer to begin anew", function()
    local path = ask("Tell me of the sea")
    local stranger = app:stream(path, { last_event_id = "not-of-this" })
    assert.equal("", assert.event(stranger, "again").data)
    assert.event(stranger, "token", { text = "The " })
  end)

  it("is stopped by anybody, on any worker", function()
    local path = ask("Tell me of the sea")
    local reader = app:stream(path)
    app:advance(4 * PAUSE)
    app:delete(path, { worker = 2 }):expect(204)
    app:delete(path, { worker = 1 }):expect(204)
    app:advance(PAUSE)
    assert.event(reader, "done", { stopped = true })
    assert.ended(reader, "complete")
    assert.equal("The night lends it to ", text_of(reader))
    app:delete(path):expect(204)
  end)

  it("is kept for ten minutes, and then unknown", function()
    local path = ask("Tell me of the sea")
    app:advance(TOKENS * PAUSE + 599.9)
    assert.event(app:stream(path), "done")
    app:advance(0.2)
    local gone = { status = 404, json = { error = "there is no such answer, or no longer" } }
    app:get(path):expect(gone)
    app:delete(path):expect(gone)
  end)

  it("goes on over a reload, in the code that began it", function()
    local path = ask("Tell me of the sea")
    app:advance(PAUSE)
    app:reload()
    app:advance(TOKENS * PAUSE)
    local late = app:stream(path)
    assert.event(late, "done", { stopped = false })
    assert.equal(SEA, text_of(late))
  end)

  it("begins where the text speaks of the last word that it knows", function()
    for word, first in pairs { tide = "Whoever ", lends = "It ", xyz = "The ", shore = "Every " } do
      local reader = app:stream(ask("Sea? Or the " .. word))
      assert.event(reader, "token", { text = first })
      reader:leave()
    end
    app:advance(100 * PAUSE)
  end)

  it("is refused for what is no question", function()
    local function refusal(options)
      return app:post("/answers", options):expect(400):json().error
    end
    assert.equal("the body is not JSON: expected a key in double quotes at line 1, column 2",
      refusal { body = "{" })
    local expected = 'a body like {"prompt": "Tell me of the sea"} expected'
    assert.equal(expected, refusal { json = { prompt = "  " } })
    assert.equal(expected, refusal { json = { prompt = 7 } })
    assert.equal(expected, refusal { body = "7" })
    app:post("/answers", { body = ("x"):rep(16 * 1024 + 1) }):expect(413)
    app:post("/answers", { body = ("x"):rep(16 * 1024) }):expect(400)
  end)

  it("is refused while a thousand others are kept", function()
    for _ = 1, 1000 do
      ask("sea")
    end
    local why = app:post("/answers", { json = { prompt = "sea" } }):expect(503):json().error
    assert.equal("the group has as many channels as it may", why)
    app:advance(TOKENS * PAUSE + 601)
    ask("sea")
    app:advance(TOKENS * PAUSE)
  end)

  it("is a stream only for whoever asks for one", function()
    local path = ask("Tell me of the sea")
    app:get(path, { headers = { accept = "application/json" } })
      :expect { status = 400, json = { error = "this route speaks text/event-stream" } }
    app:advance(TOKENS * PAUSE)
  end)

  it("has a page, which is held to this server", function()
    local page = app:get("/answers"):expect(200)
    assert.equal("text/html; charset=utf-8", page.headers["content-type"])
    assert.equal("no-cache", page.headers["cache-control"])
    assert.equal("default-src 'none'; connect-src 'self'; img-src data:; " ..
      "style-src 'unsafe-inline'; script-src 'unsafe-inline'",
      page.headers["content-security-policy"])
    local file <close> = assert(io.open("scripts/answers.html"))
    assert.equal(file:read("a"), page:text())
  end)
end)
