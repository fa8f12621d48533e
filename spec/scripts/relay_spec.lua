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

  -- From here on the relay asks a model, for which `answer` stands in.
  local function with_model(answer)
    app:stop()
    app = test.load("scripts/relay.lua", {
      env = { MODEL_URL = "https://model.example/v1", MODEL_KEY = "ours", MODEL_NAME = "moon" },
      workers = 2,
    })
    return app:upstream("model.example", answer)
  end

  local function say(reply, text)
    return reply:event { data = { choices = { { delta = { content = text } } } } }
  end

  it("passes on what a model says, as it comes", function()
    local model = with_model(function(_, reply)
      reply:event { data = { choices = { { delta = { role = "assistant" } } } } }
      say(reply, "The moon "):sleep(1)
      say(reply, "borrows."):event { data = "[DONE]" }
    end)
    local reader = app:stream(ask("sea"))
    assert.next_event(reader, "token", { text = "The moon " })
    assert.quiet(reader, 0.9)
    app:advance(0.1)
    assert.next_event(reader, "token", { text = "borrows." })
    assert.next_event(reader, "done", {})
    assert.ended(reader, "complete")
    local request = model.requests[1]
    assert.equal("POST /v1/chat/completions", request.method .. " " .. request.target)
    assert.equal("Bearer ours", request.headers.authorization)
    assert.same({
      model = "moon", stream = true, messages = { { role = "user", content = "sea" } },
    }, request:json())
    assert.is_false(request.left)
    app:advance(TICK)
  end)

  it("tells its readers what a model has done wrong", function()
    for why, answer in pairs {
      ["the model answers 500: broken"] = function(reply) reply:status(500):send("broken") end,
      ["the model has stopped in the middle of its answer"] = function(reply) say(reply, "a") end,
      ["in the middle of its answer"] = function(reply) say(reply, "a"):reset() end,
      ["without an answer"] = function(reply) reply:reset() end,
      ["no answer within 120 s"] = function(reply) reply:hang() end,
      ["nothing more of the answer came for 60 s"] = function(reply) say(reply, "a"):hang() end,
    } do
      local model = with_model(function(_, reply) answer(reply) end)
      local reader = app:stream(ask("sea"))
      app:advance(121)
      assert.matches(why, assert.event(reader, "failed"):json().error, 1, true)
      assert.ended(reader, "complete")
      assert.equal(why:find(" s$") ~= nil, model.requests[1].left)
    end
  end)

  it("has the model stop when somebody stops the answer", function()
    for _, words in ipairs { { "The" }, {} } do
      local model = with_model(function(_, reply)
        for _, word in ipairs(words) do
          say(reply, word)
        end
        reply:hang()
      end)
      local path = ask("sea")
      local reader = app:stream(path)
      assert.is_false(model.requests[1].left)
      app:delete(path, { worker = 2 }):expect(204)
      app:advance(TICK)
      assert.is_true(model.requests[1].left)
      assert.event(reader, "stopped", {})
    end
  end)

  it("has the model stop when nobody has read for a while", function()
    local model = with_model(function(_, reply)
      while true do
        say(reply, "and "):sleep(1)
      end
    end)
    local path = ask("sea")
    app:advance(9)
    assert.is_false(model.requests[1].left) -- the reader may come late
    local reader = app:stream(path)
    app:advance(30)
    reader:leave()
    app:advance(9)
    reader = app:stream(path, { last_event_id = reader.id }) -- or come back
    app:advance(1)
    assert.is_false(model.requests[1].left)
    reader:leave()
    app:advance(9.5)
    assert.is_false(model.requests[1].left)
    app:advance(1)
    assert.is_true(model.requests[1].left)
    assert.event(app:stream(path), "stopped", {})
  end)

  it("gives programs what the model says, with its key in the place of theirs", function()
    local model = with_model(function(request, reply)
      if request.path == "/v1/responses" then
        reply:event { event = "delta", data = { text = "moon" } }
        return
      end
      reply:status(429):header("Content-Type", "application/json; charset=utf-8")
      reply:send('{"error":"slow down"}')
    end)
    local stream = app:post("/v1/responses", { json = { stream = true }, stream = true,
      headers = { ["x-api-key"] = "theirs", ["anthropic-version"] = "2023" } })
    assert.event(stream, "delta", { text = "moon" })
    assert.ended(stream, "complete")
    local headers = model.requests[1].headers
    assert.equal("ours 2023", headers["x-api-key"] .. " " .. headers["anthropic-version"])
    assert.is_nil(headers.authorization)
    app:post("/v1/messages", { json = {} }):expect {
      status = 429, text = '{"error":"slow down"}',
      headers = { ["Content-Type"] = "application/json; charset=utf-8" },
    }
  end)

  it("ends with the model when a program leaves, whatever it waits for", function()
    for _, answer in ipairs {
      function(reply) reply:hang() end,
      function(reply) reply:event({ data = "a" }):hang() end,
      function(reply) reply:write("{"):hang() end,
    } do
      local model = with_model(function(_, reply) answer(reply) end)
      local asked = app:send("POST", "/v1/responses", { json = {} })
      app:advance(1)
      assert.is_false(model.requests[1].left)
      asked:leave()
      app:turn()
      assert.is_true(model.requests[1].left)
    end
  end)

  it("tells programs that the model is silent", function()
    local model = with_model(function(_, reply) reply:hang() end)
    local answer = app:send("POST", "/v1/responses", { json = {} })
    app:advance(119)
    assert.is_nil(answer.status)
    app:advance(2)
    answer:expect(504)
    assert.equal("model.example:443: no answer within 120 s", answer:json().error.message)
    assert.is_true(model.requests[1].left)
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
