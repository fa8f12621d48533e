-- scripts/clock.lua, the first script that a person meets, in the test kit.

local test = require "lunesse.test"

describe("the clock", function()
  local app

  before_each(function()
    app = test.load("scripts/clock.lua")
  end)

  after_each(function()
    app:stop()
    assert.same({}, app:log { level = "error" })
  end)

  it("begins with exactly the head of an event stream, a comment and the first event", function()
    local stream = app:stream("/clock")
    local fields = {}
    for i, field in ipairs(stream.fields) do
      fields[i] = field[1] == "Date" and "Date" or table.concat(field, ": ")
    end
    assert.same({
      "Content-Type: text/event-stream", "Cache-Control: no-cache, no-transform",
      "Connection: keep-alive", "X-Accel-Buffering: no", "Date", "Transfer-Encoding: chunked",
    }, fields)
    assert.same({ ":\n\n", "data: connected\n\n" }, stream.chunks)
  end)

  it("tells the time every five seconds, and not in between", function()
    local stream = app:stream("/clock")
    assert.next_event(stream, "message", "connected")
    for n = 1, 3 do
      assert.quiet(stream, 4)
      app:advance(1)
      assert.next_event(stream, "message",
        ("server time: 2030-01-01T00:00:%02dZ"):format(5 * n))
    end
  end)

  it("stops its ticker when the reader leaves", function()
    app:stream("/clock"):leave()
    assert.logged { fields = { target = "/clock", reason = "left" } }
    app:advance(60)
  end)

  it("refuses a client that does not read event streams", function()
    app:get("/clock", { accept = "text/html" }):expect {
      status = 400, text = "this route speaks text/event-stream\n",
    }
  end)
end)

describe("the clock's script", function()
  it("declares port 3000", function()
    local file <close> = assert(io.open("scripts/clock.lua"))
    assert.matches("server:listen%(3000%)", file:read("a"))
  end)
end)
