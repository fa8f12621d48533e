-- scripts/countdown.lua, with a clock that the specs move: nothing here waits a second.

local Server = require "spec.support.server"
local Process = require "spec.support.process"

local SCRIPT = Process.read_file("scripts/countdown.lua")

local function start()
  return Server.start({ ["countdown.lua"] = SCRIPT }, { clock = true })
end

---The next event as the text `id event data`.
local function next_event(stream)
  local event = stream:event()
  return ("%s %s %s"):format(event.id, event.type, event.data)
end

describe("the countdown", function()
  it("ticks from ten to nought, a second apart, says that it is done and ends", function()
    local server = start()
    local stream = server:stream("/countdown")
    for n = 10, 0, -1 do
      assert.equal(("%d tick %d"):format(n, n), next_event(stream))
      assert.is_true(n > 8 or stream:is_silent(0.005))
      server:advance(1)
    end
    assert.equal("0 done lift-off", next_event(stream))
    assert.equal("done", stream:finish())
  end)

  it("is these bytes", function()
    local server = start()
    local stream = server:stream("/countdown", { last_event_id = "1" })
    assert.equal("0 tick 0", next_event(stream))
    server:advance(1)
    assert.equal("done", stream:finish())
    assert.equal(":\n\n" .. "id: 0\nevent: tick\ndata: 0\n\n" ..
      "event: done\ndata: lift-off\n\n", table.concat(stream.chunked.chunks))
  end)

  it("goes on after the last event id of a reader that comes back", function()
    local server = start()
    local by_header = server:stream("/countdown", { last_event_id = "7" })
    local by_query = server:stream("/countdown?last_event_id=4")
    assert.equal("6 tick 6", next_event(by_header))
    assert.equal("3 tick 3", next_event(by_query))
    by_header:close()
    by_query:close()
  end)

  it("tells a reader that has seen the last tick to stop coming back", function()
    local response = start():request {
      target = "/countdown",
      headers = { ["Accept"] = "text/event-stream", ["Last-Event-ID"] = "0" },
    }
    assert.equal(204, response.status)
  end)

  it("begins anew for an id that is not one of its own", function()
    local server = start()
    for _, id in ipairs { "11", "-1", "7.5", "0x7", "1e0", "lift-off", ("9"):rep(400) } do
      local stream = server:stream("/countdown", { last_event_id = id })
      assert.equal("10 tick 10", next_event(stream))
      stream:close()
    end
  end)

  it("ends its handler when the reader has left", function()
    local server = start()
    local stream = server:stream("/countdown")
    stream:event()
    stream:reset()
    eventually(function()
      return server:log_lines("target=/countdown")[1]
    end)
    assert.matches("reason=left", server:log_lines("target=/countdown")[1])
    server:advance(20)
    assert.same({}, server:log_lines("error"))
  end)

  it("refuses a client that does not read event streams", function()
    local response = start():request {
      target = "/countdown", headers = { ["Accept"] = "application/json" },
    }
    assert.equal(400, response.status)
    assert.equal("this route speaks text/event-stream\n", response.body)
  end)
end)
