-- scripts/tokens.lua, a streamed answer to a POST, in the test kit.

local test = require "lunesse.test"

local SEA = "The night lends it to the sea, and the sea gives it back in pieces. Every wave is " ..
  "an event: it comes, it is heard on the shore, and the next one is already on its way. The " ..
  "shore keeps no list of the waves, it only listens."

describe("the tokens", function()
  local app

  before_each(function()
    app = test.load("scripts/tokens.lua")
  end)

  after_each(function()
    app:stop()
    assert.same({}, app:log { level = "error" })
  end)

  local function ask(prompt)
    return app:stream("/tokens", { json = { prompt = prompt } })
  end

  ---The tokens of an answer that has come to its end, put together, and how many there were.
  local function read_answer(stream)
    app:advance(10)
    assert.ended(stream, "complete")
    local text, count = "", #stream.events - 1
    for i = 1, count do
      text = text .. stream.events[i]:json().token
    end
    assert.equal("[DONE]", stream.events[count + 1].data)
    return text, count
  end

  local function refusal(options)
    local answer = app:post("/tokens", options):expect {
      status = 400, headers = { ["Content-Type"] = "application/json" },
    }
    return answer:json().error
  end

  it("come one by one as JSON, each when its time has come", function()
    local stream = ask("Tell me of the sea")
    for _, word in ipairs { "The ", "night ", "lends ", "it " } do
      assert.next_event(stream, "message", ('{"token":"%s"}'):format(word))
      assert.quiet(stream, 0.03)
      app:advance(0.02)
    end
  end)

  it("end with [DONE] and the end of the stream", function()
    assert.same({ SEA, 48 }, { read_answer(ask("Tell me of the sea")) })
  end)

  it("depend on the prompt: the last word that the text knows", function()
    assert.matches("^The moon has no light", (read_answer(ask("?"))))
    assert.equal("But the tide remembers where the night began. The moon has no light of its " ..
      "own. It borrows the light of the sun and lends it to the night.",
      (read_answer(ask("Who REMEMBERS?"))))
    assert.matches("^The moon has no light", (read_answer(ask("sea and moon"))))
  end)

  it("are no longer made when the reader has left", function()
    local stream = ask("moon")
    app:advance(0.15)
    assert.equal(4, #stream.events)
    stream:leave()
    assert.logged { message = "^tokens made$", fields = { count = 4 } }
    assert.logged { fields = { target = "/tokens", reason = "left" } }
  end)

  it("are refused with 400 and a reason to a body that is not JSON", function()
    for _, body in ipairs { "prompt=moon", "" } do
      assert.equal("the body is not JSON: expected a value at line 1, column 1",
        refusal { body = body })
    end
  end)

  it("are refused with 400 and an example to JSON without a prompt", function()
    for _, body in ipairs { "{}", "null", "7", '"moon"', "[]", '{"prompt":7}', '{"prompt":" "}',
      '{"prompt":null}', "false" } do
      assert.equal('a body like {"prompt": "Tell me of the sea"} expected',
        refusal { body = body })
    end
  end)

  it("come whatever Accept says, as the clients of language models want it", function()
    local stream = app:stream("/tokens", {
      json = { prompt = "moon" }, accept = "application/json",
    })
    assert.next_event(stream, "message", { token = "The " })
  end)

  it("are refused with 413 to a body over 16 KiB", function()
    app:post("/tokens", { body = ("x"):rep(16 * 1024 + 1) }):expect(413)
    app:post("/tokens", { body = ("x"):rep(16 * 1024) }):expect(400)
  end)
end)
