-- scripts/clock.lua, the first script that a person meets.

local Server = require "spec.support.server"
local Process = require "spec.support.process"
local wire = require "spec.support.wire"

local SCRIPT = Process.read_file("scripts/clock.lua")
local TIME = "^server time: %d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%dZ$"

local function start()
  return Server.start({ ["clock.lua"] = SCRIPT }, { clock = true })
end

describe("the clock", function()
  it("begins with exactly the head of an event stream, a comment and the first event", function()
    local client = start():connect()
    client:send(wire.request { target = "/clock", headers = { ["Accept"] = "text/event-stream" } })
    local text = client:receive_until("connected\n\n\r\n")
    assert.equal(
      "HTTP/1.1 200 OK\r\n" ..
      "Content-Type: text/event-stream\r\n" ..
      "Cache-Control: no-cache, no-transform\r\n" ..
      "Connection: keep-alive\r\n" ..
      "X-Accel-Buffering: no\r\n" ..
      "Date: ?\r\n" ..
      "Transfer-Encoding: chunked\r\n" ..
      "\r\n" ..
      "3\r\n:\n\n\r\n" ..
      "11\r\ndata: connected\n\n\r\n",
      (text:gsub("Date: [^\r]+", "Date: ?")))
  end)

  it("tells the time every five seconds, and not in between", function()
    local server = start()
    local stream = server:stream("/clock")
    assert.same({ type = "message", data = "connected", id = "", is_chunk = true }, stream:event())
    for _ = 1, 3 do
      server:advance(4)
      assert.is_true(stream:is_silent())
      server:advance(1)
      local event = stream:event()
      assert.equal("message", event.type)
      assert.matches(TIME, event.data)
    end
  end)

  it("stops its ticker when the reader leaves", function()
    local server = start()
    local stream = server:stream("/clock")
    stream:event()
    stream:reset()
    local line = eventually(function()
      return server:log_lines("target=/clock")[1]
    end)
    assert.matches("reason=left", line)
    server:advance(60)
    assert.same({}, server:log_lines("error"))
  end)

  it("refuses a client that does not read event streams", function()
    local response = start():request {
      target = "/clock", headers = { ["Accept"] = "text/html" },
    }
    assert.equal(400, response.status)
    assert.equal("this route speaks text/event-stream\n", response.body)
  end)

  it("declares port 3000", function()
    assert.matches("server:listen%(3000%)", SCRIPT)
  end)
end)
