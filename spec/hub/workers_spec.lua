-- Channels of several workers, where it matters that one of them has not yet seen what another did.
-- The one is kept busy meanwhile, so that it is so each time.

local hub = require "spec.hub.support"

local run = hub.run

-- A stream that code of its worker may send to, as `kept.sse`.
local KEPT = [[
server:get("/kept", function(_, response)
  env.kept.sse = response.sse
  response.sse:open()
end)
]]

---A server of two workers, and a connection to each.
local function start()
  local server = hub.start(KEPT, { workers = 2, args = { "--limit", "run_timeout=60" } })
  return server, hub.connect(server, 1), hub.connect(server, 2)
end

---A stream that the second worker has.
local function open(server, target)
  local stream = hub.open_at(server, 2, target)
  stream:comment()
  return stream
end

describe("what another worker has published", function()
  it("comes before what a stream is sent afterwards", function()
    local server, first, second = start()
    local stream = open(server, "/kept")
    run(second, "kept.sse:subscribe(channel('room'))")
    local go_on = hub.hold(second, first, "kept.sse:send('own')")
    hub.publish(first, "room", "theirs")
    go_on()
    assert.equal("theirs own", hub.data(stream, 2))
    stream:close()
  end)

  it("comes before the end of a stream that is closed afterwards", function()
    local server, first, second = start()
    local stream = open(server, "/kept")
    run(second, "kept.sse:subscribe(channel('room'))")
    local go_on = hub.hold(second, first, "kept.sse:close()")
    hub.publish(first, "room", "last")
    go_on()
    assert.equal("last", hub.data(stream, 1))
    assert.equal("done", stream:finish())
    stream:close()
  end)
end)
