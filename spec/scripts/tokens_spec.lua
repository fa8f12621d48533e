-- scripts/tokens.lua: a streamed answer to a POST.

local cjson = require "cjson"
local Server = require "spec.support.server"
local Process = require "spec.support.process"

local SCRIPT = Process.read_file("scripts/tokens.lua")
local SEA = "The night lends it to the sea, and the sea gives it back in pieces. Every wave is " ..
  "an event: it comes, it is heard on the shore, and the next one is already on its way. The " ..
  "shore keeps no list of the waves, it only listens."

local function start()
  return Server.start({ ["tokens.lua"] = SCRIPT }, { clock = true })
end

local function ask(server, prompt)
  return server:stream("/tokens", { method = "POST", body = cjson.encode { prompt = prompt } })
end

---Lets the answer run to its end; the tokens put together, and how many there were.
local function read_answer(server, stream)
  local text, count = "", 0
  while true do
    local event = stream:event()
    if event.data == "[DONE]" then
      return text, count
    end
    text, count = text .. cjson.decode(event.data).token, count + 1
    server:advance(0.05)
  end
end

local function refusal(body, headers)
  local response = start():request {
    method = "POST", target = "/tokens", headers = headers, body = body,
  }
  assert.equal("application/json", response.headers["content-type"])
  return response.status, cjson.decode(response.body).error
end

describe("the tokens", function()
  it("come one by one as JSON, each when its time has come", function()
    local server = start()
    local stream = ask(server, "Tell me of the sea")
    for _, word in ipairs { "The ", "night ", "lends ", "it " } do
      local event = stream:event()
      assert.equal("message", event.type)
      assert.equal(('{"token":"%s"}'):format(word), event.data)
      assert.is_true(stream:is_silent(0.005))
      server:advance(0.05)
    end
    stream:close()
  end)

  it("end with [DONE] and the end of the stream", function()
    local server = start()
    local stream = ask(server, "Tell me of the sea")
    local text, count = read_answer(server, stream)
    assert.equal(SEA, text)
    assert.equal(48, count)
    assert.equal("done", stream:finish())
  end)

  it("depend on the prompt: the last word that the text knows", function()
    local server = start()
    assert.matches("^The moon has no light", (read_answer(server, ask(server, "?"))))
    assert.matches("^But the tide remembers", (read_answer(server, ask(server, "Who REMEMBERS?"))))
    assert.matches("^The moon has no light", (read_answer(server, ask(server, "sea and moon"))))
  end)

  it("are no longer made when the reader has left", function()
    local server = start()
    local stream = ask(server, "moon")
    for _ = 1, 3 do
      stream:event()
      server:advance(0.05)
    end
    stream:event()
    stream:reset()
    local line = eventually(function()
      return server:log_lines("tokens made")[1]
    end)
    assert.matches("tokens made count=4 ", line)
    assert.matches("reason=left", server:log_lines("target=/tokens")[1])
  end)

  it("are refused with 400 and a reason to a body that is not JSON", function()
    local status, why = refusal("prompt=moon")
    assert.equal(400, status)
    assert.matches("^the body is not JSON: ", why)
    status, why = refusal("")
    assert.equal(400, status)
    assert.matches("^the body is not JSON: ", why)
  end)

  it("are refused with 400 and an example to JSON without a prompt", function()
    for _, body in ipairs { "{}", "null", "7", '"moon"', "[]", '{"prompt":7}', '{"prompt":" "}',
      '{"prompt":null}', "false" } do
      local status, why = refusal(body)
      assert.equal(400, status)
      assert.equal('a body like {"prompt": "Tell me of the sea"} expected', why)
    end
  end)

  it("come whatever Accept says, as the clients of language models want it", function()
    local stream = start():stream("/tokens", {
      method = "POST", body = '{"prompt":"moon"}', headers = { ["Accept"] = "application/json" },
    })
    assert.equal('{"token":"The "}', stream:event().data)
    stream:close()
  end)

  it("are refused with 413 to a body over 16 KiB", function()
    local response = start():request {
      method = "POST", target = "/tokens", body = ("x"):rep(16 * 1024 + 1),
    }
    assert.equal(413, response.status)
  end)
end)
