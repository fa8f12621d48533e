-- scripts/by_hand.lua: a plain response, written chunk by chunk.

local Server = require "spec.support.server"
local Process = require "spec.support.process"
local sse = require "spec.support.sse"
local wire = require "spec.support.wire"

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

local function start()
  local script = Process.read_file("scripts/by_hand.lua")
  return Server.start({ ["by_hand.lua"] = script }, { clock = true })
end

local function open(server)
  local client = server:connect()
  client:send(wire.request { target = "/by_hand" })
  return client, client:head()
end

describe("the response streamed by hand", function()
  it("has the head that the script wrote, and the engine's framing", function()
    local client, head = open(start())
    assert.equal(200, head.status)
    assert.equal("text/plain; charset=utf-8", head.headers["content-type"])
    assert.equal("nosniff", head.headers["x-content-type-options"])
    assert.equal("no-cache, no-transform", head.headers["cache-control"])
    assert.equal("no", head.headers["x-accel-buffering"])
    assert.equal("chunked", head.headers["transfer-encoding"])
    client:reset() -- the handler would sleep for as long as the clock stands still
  end)

  it("sends each line as one chunk, two fifths of a second apart, and a last one", function()
    local server = start()
    local client = open(server)
    local chunked = sse.chunked()
    for i, line in ipairs(LINES) do
      eventually(function()
        chunked:feed(client:receive_some(0.5) or "")
        return #chunked.chunks == i
      end)
      assert.equal(line, chunked.chunks[i])
      server:advance(0.4)
    end
    chunked:feed(assert(client:receive_until("0\r\n\r\n")))
    assert.equal("good night\n", chunked.chunks[#LINES + 1])
    assert.is_true(chunked.is_done)
  end)

  it("stops writing when the reader has left", function()
    local server = start()
    local client = open(server)
    client:reset()
    eventually(function()
      return server:log_lines("target=/by_hand")[1]
    end)
    assert.matches("reason=left", server:log_lines("target=/by_hand")[1])
    server:advance(1)
    assert.same({}, server:log_lines("error"))
  end)
end)
