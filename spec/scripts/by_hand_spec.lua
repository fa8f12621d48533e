-- scripts/by_hand.lua, a plain response that is written chunk by chunk, in the test kit.

local test = require "lunesse.test"

local LINES = {
  "          oooo::.\n",
  "      O@@OOo::..\n",
  "    O@@@Ooo:.\n",
  "  o@@@@Oo::.\n",
  "  @@@@@Oo:.\n",
  " O@@@@Oo:..\n",
  " O@@@@Oo::.\n",
  " O@@@@@Oo:.\n",
  "  @@@@@Ooo:.\n",
  "  o@@@@@OOo:..\n",
  "    O@@@@@Ooo::..\n",
  "      O@@@@@OOoo::::.\n",
  "          oOOOOoo\n",
}

describe("the response streamed by hand", function()
  local app

  before_each(function()
    app = test.load("scripts/by_hand.lua")
  end)

  after_each(function()
    app:stop()
    assert.same({}, app:log { level = "error" })
  end)

  it("has the head that the script wrote, and the engine's framing", function()
    app:send("GET", "/by_hand"):expect {
      status = 200,
      headers = {
        ["Content-Type"] = "text/plain; charset=utf-8", ["X-Content-Type-Options"] = "nosniff",
        ["Cache-Control"] = "no-cache, no-transform", ["X-Accel-Buffering"] = "no",
        ["Transfer-Encoding"] = "chunked",
      },
    }
  end)

  it("sends each line as one chunk, two fifths of a second apart, and a last one", function()
    local answer = app:send("GET", "/by_hand")
    for i, line in ipairs(LINES) do
      assert.same({ i, line }, { #answer.chunks, answer.chunks[i] })
      app:advance(0.4)
    end
    assert.equal("good night\n", answer.chunks[#LINES + 1])
    assert.ended(answer, "complete")
  end)

  it("stops writing when the reader has left", function()
    app:send("GET", "/by_hand"):leave()
    assert.logged { fields = { target = "/by_hand", reason = "left" } }
    app:advance(1)
    assert.same({}, app:log { level = "error" })
  end)
end)
