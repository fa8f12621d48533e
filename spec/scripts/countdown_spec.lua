-- scripts/countdown.lua, in the test kit.

local test = require "lunesse.test"

describe("the countdown", function()
  local app

  before_each(function()
    app = test.load("scripts/countdown.lua")
  end)

  after_each(function()
    test.stop()
    assert.no.logged { level = "error" }
  end)

  it("ticks from ten to nought, a second apart, says that it is done and ends", function()
    local stream = app:stream("/countdown")
    for n = 10, 0, -1 do
      assert.next_event(stream, { event = "tick", id = n, data = tostring(n) })
      assert.quiet(stream, 0.9)
      app:advance(0.1)
    end
    assert.next_event(stream, { event = "done", id = "0", data = "lift-off" })
    assert.ended(stream, "complete")
  end)

  it("is these bytes", function()
    local stream = app:stream("/countdown", { last_event_id = "1" })
    app:advance(1)
    assert.equal(":\n\n" .. "id: 0\nevent: tick\ndata: 0\n\n" ..
      "event: done\ndata: lift-off\n\n", stream.raw)
  end)

  it("goes on after the last event id of a reader that comes back", function()
    local stream = app:stream("/countdown")
    app:run_until(function()
      return stream.id == "7"
    end)
    assert.next_event(stream:reconnect(), "tick", "6")
    assert.next_event(app:stream("/countdown?last_event_id=4"), "tick", "3")
    assert.next_event(app:stream("/countdown?last_event_id=10"), "tick", "9")
  end)

  it("tells a reader that has seen the last tick to stop coming back", function()
    local stream = app:stream("/countdown", { last_event_id = "1" })
    app:advance(1)
    assert.ended(stream, "complete")
    stream:reconnect():expect(204)
  end)

  it("begins anew for an id that is not one of its own", function()
    for _, id in ipairs { "11", "-1", "7.5", "0x7", "1e0", "lift-off", ("9"):rep(400) } do
      assert.next_event(app:stream("/countdown", { last_event_id = id }), "tick", "10")
    end
  end)

  it("ends its handler when the reader has left", function()
    app:stream("/countdown"):leave()
    assert.logged { fields = { target = "/countdown", reason = "left" } }
    app:advance(20)
  end)

  it("refuses a client that does not read event streams", function()
    app:get("/countdown", { accept = "application/json" }):expect {
      status = 400, text = "this route speaks text/event-stream\n",
    }
  end)
end)
