-- The official clients of language models, unmodified, as judges of streamed answers: npm's openai,
-- @anthropic-ai/sdk and the transport of ai's useChat. They ask with the Accept fields of their
-- own, read a whole answer, are refused, are told of an error in the stream, meet a stream that
-- fails half-way, and leave. Then they do the same through scripts/relay.lua.

local support = require "spec.sse.support"
local Client = require "spec.support.client"
local Server = require "spec.support.server"

local ALL = "The moon borrows its light."
local HALF = "The moon borrows "

local function start_models()
  return Server.start(nil, {
    path = "spec/clients/routes/models.lua", shared = true, workers = 1,
    args = { "--limit", "drain_timeout=0" },
  })
end

local function ask_at(url, which, prompt, ...)
  local client = Client.start("models", { url, which, prompt, ... })
  client:finish(40)
  return client
end

---What each client has to see of the models at `url()`, and the models of it.
local function judge(clients, url, models)
  local function ask(...)
    return ask_at(url(), ...)
  end

  for _, which in ipairs(clients) do
    it("is read to its end by " .. which, function()
      local client = ask(which, "moon")
      assert.same({}, client:records("failure"))
      assert.equal(1, #client:records("finish"))
      assert.equal(ALL, client:records("end")[1].text)
    end)

    it("that is refused is an error for " .. which, function()
      local failure = ask(which, "refuse"):records("failure")[1]
      assert.equal("", failure.text)
      assert.truthy(failure.message:find("slow down", 1, true))
    end)

    it("that tells an error in its stream is an error for " .. which, function()
      local failure = ask(which, "report"):records("failure")[1]
      assert.equal(HALF, failure.text)
      assert.truthy(failure.message:find("overloaded", 1, true))
    end)

    it("that failed half-way is not taken for a whole one by " .. which, function()
      local client = ask(which, "fail")
      assert.same({}, client:records("end"))
      assert.same({}, client:records("finish"))
      assert.equal(HALF, client:records("failure")[1].text)
    end)

    it("ends on the server when it is aborted by " .. which, function()
      local before = #support.marks(models())
      ask(which, "slow", "--abort-after", "2")
      eventually(function()
        return support.marks(models())[before + 1] == "ended slow"
      end, 10)
    end)
  end
end

describe("A streamed answer", function()
  local server

  setup(function()
    server = start_models()
  end)

  teardown(function()
    server:stop()
  end)

  judge({ "openai-chat", "openai-responses", "anthropic", "ai" },
    function() return server.url end, function() return server end)

  local function ask(...)
    return ask_at(server.url, ...)
  end

  it("is resumed by nobody when there is none", function()
    assert.equal(1, #ask("ai", "-", "--resume", "chat-2"):records("nothing"))
  end)

  ---Opens the gate of the answer: before the first event (0) or before a piece.
  local function open_gate(number)
    assert.equal(200, server:request({ method = "POST", target = "/gate/" .. number }).status)
  end

  -- The page that asked is gone each time; another comes back for its chat.
  for state, number in pairs { ["before its first event"] = -1, ["in its middle"] = 2 } do
    it("is resumed as a whole " .. state, function()
      open_gate(-1)
      local before = #support.marks(server)
      local first = Client.start("models", { server.url, "ai", "gate", "--abort-after", "2" })
      eventually(function() return support.marks(server)[before + 1] == "asked gate" end, 10)
      open_gate(number)
      if number > 0 then
        first:await("failure")
      end
      first:stop()
      local second = Client.start("models", { server.url, "ai", "-", "--resume", "chat-1" })
      if number > 0 then
        second:await("piece")
      end
      open_gate(4)
      second:finish(40)
      assert.equal(ALL, second:records("end")[1].text)
      assert.equal(1, #second:records("finish"))
      assert.equal("ended gate", support.marks(server)[before + 2])
    end)
  end

  it("is resumed as a whole after its end", function()
    assert.equal(ALL, ask("ai", "moon"):records("end")[1].text)
    for _ = 1, 2 do
      local again = ask("ai", "-", "--resume", "chat-1")
      assert.equal(ALL, again:records("end")[1].text)
      assert.equal(1, #again:records("finish"))
    end
  end)
end)

describe("An answer through the relay", function()
  local models, relay

  setup(function()
    models = start_models()
    relay = Server.start(nil, {
      path = "scripts/relay.lua", shared = true, workers = 1,
      env = { MODEL_URL = models.url .. "/v1", MODEL_KEY = "ours" },
    })
  end)

  teardown(function()
    relay:stop()
    models:stop()
  end)

  judge({ "openai-chat", "openai-responses", "anthropic" },
    function() return relay.url end, function() return models end)

  for _, which in ipairs { "openai-whole", "anthropic-whole" } do
    it("is read in one piece by " .. which, function()
      local client = ask_at(relay.url, which, "moon")
      assert.same({}, client:records("failure"))
      assert.equal(ALL, client:records("end")[1].text)
    end)

    it("that is refused is an error for " .. which, function()
      local failure = ask_at(relay.url, which, "refuse"):records("failure")[1]
      assert.equal(429, failure.status)
      assert.truthy(failure.message:find("slow down", 1, true))
    end)
  end
end)
