-- scripts/relay.lua: between a browser and a language model. The official clients of models ask
-- through it in spec/sse/models_spec.lua.

local test = require "lunesse.test"

local TOKENS, PAUSE = 48, 0.05 -- of the model that is made up
local TICK = 0.25

describe("the relay", function()
  local app

  before_each(function()
    app = test.load("scripts/relay.lua", { workers = 2 })
  end)

  after_each(function()
    app:stop()
    assert.same({}, app:log { level = "error" })
  end)

  local function ask(prompt)
    return "/relay/" .. app:post("/relay", { json = { prompt = prompt } }):expect(201):json().id
  end

  local function text_of(stream)
    local words = {}
    for _, event in ipairs(stream.events) do
      words[#words + 1] = event.event == "token" and event:json().text or nil
    end
    return table.concat(words)
  end

  it("gives whoever reads the whole answer, and again to who comes late", function()
    local path = ask("Tell me of the sea")
    assert.equal(#"/relay/" + 32, #path)
    local reader = app:stream(path, { worker = 2 })
    app:advance(TOKENS * PAUSE)
    assert.event(reader, "done", {})
    assert.ended(reader, "complete")
    assert.matches("^The night lends it .* only listens%.$", text_of(reader))
    local late = app:stream(path)
    assert.equal(text_of(reader), text_of(late))
    app:advance(599)
    assert.event(app:stream(path), "done")
    app:advance(2)
    app:get(path):expect(404)
  end)

  it("goes on where a reader was that comes back, and 204 says that it has seen all", function()
    local path = ask("Tell me of the sea")
    local reader = app:stream(path)
    app:advance(10 * PAUSE)
    reader:leave()
    app:advance(TOKENS * PAUSE)
    local back = app:stream(path, { last_event_id = reader.id })
    local done = assert.event(back, "done")
    app:get(path, { headers = { accept = "text/event-stream", ["last-event-id"] = done.id } })
      :expect(204)
  end)

  it("is stopped by anybody, on any worker", function()
    local path = ask("Tell me of the sea")
    local reader = app:stream(path)
    app:advance(4 * PAUSE)
    app:delete(path, { worker = 2 }):expect(204)
    app:delete(path, { worker = 1 }):expect(204)
    app:advance(TICK)
    assert.event(reader, "stopped", {})
    assert.ended(reader, "complete")
    app:delete(path):expect(204)
  end)

  it("tells its readers that the model cannot be reached", function()
    app:stop()
    app = test.load("scripts/relay.lua", { env = { MODEL_URL = "http://model.example/v1" } })
    local reader = app:stream(ask("sea"))
    assert.matches("model%.example", assert.event(reader, "failed"):json().error)
    assert.ended(reader, "complete")
    local answer = app:post("/v1/chat/completions", { json = {} }):expect(502):json()
    assert.matches("model%.example", answer.error.message)
    app:advance(TICK)
  end)

  it("has no model for programs where none is named", function()
    local answer = app:post("/v1/responses", { json = {} }):expect(503):json()
    assert.equal("MODEL_URL is not set, so there is no model to ask", answer.error.message)
  end)

  it("is refused for what is no question", function()
    local function refusal(options)
      return app:post("/relay", options):expect(400):json().error.message
    end
    assert.matches("^the body is not JSON: ", refusal { body = "{" })
    local expected = 'a body like {"prompt": "Tell me of the sea"} expected'
    assert.equal(expected, refusal { json = { prompt = "  " } })
    assert.equal(expected, refusal { json = { prompt = 7 } })
    app:post("/relay", { body = ("x"):rep(256 * 1024 + 1) }):expect(413)
  end)

  it("is refused to pages of other origins, and to who asks too often", function()
    for _, path in ipairs { "/relay", "/v1/responses" } do
      app:post(path, { json = { prompt = "sea" }, headers = { origin = "http://evil.example" } })
        :expect(403)
    end
    local last
    for _ = 1, 61 do
      last = app:post("/v1/responses", { json = {} })
    end
    assert.equal(429, last.status)
  end)

  it("has a page, which is held to this server", function()
    local page = app:get("/relay"):expect(200)
    assert.equal("text/html; charset=utf-8", page.headers["content-type"])
    assert.equal("default-src 'none'; connect-src 'self'; img-src data:; " ..
      "style-src 'unsafe-inline'; script-src 'unsafe-inline'",
      page.headers["content-security-policy"])
    local file <close> = assert(io.open("scripts/relay.html"))
    assert.equal(file:read("a"), page:text())
  end)
end)
