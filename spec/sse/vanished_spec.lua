-- Peers of whom nothing is heard any more, without a word of TCP that says so: the network is gone,
-- or they do not read. The kernel waits for them, by its own clock, for `peer_timeout`.

local support = require "spec.sse.support"
local wire = require "spec.support.wire"

local SECONDS = 10 -- the kernel takes 2 to 4

local ROUTES = [[
server:get("/stream/:heartbeat", function(request, response)
  response.sse:open { heartbeat = tonumber(request.params.heartbeat) or false }
end)
server:get("/quiet", function(_, response) response.sse:open { heartbeat = false } end)
server:get("/by_hand", function(_, response)
  response:write("begun")
  hold()
end)
server:get("/waiting", function()
  mark("waiting")
  hold()
end)
server:get("/much", function(_, response)
  response:on("close", function(reason) mark("close", reason) end)
  response.sse:send(("x"):rep(60000))
end)
]]

---The reasons with which the requests for `targets` ended, as the log has them.
local function reasons(server, targets)
  local found
  eventually(function()
    found = {}
    for _, target in ipairs(targets) do
      local line = support.access_line(server, target)
      found[#found + 1] = line and line:match("reason=(%a+)")
    end
    return #found == #targets
  end, SECONDS)
  return found
end

local function start()
  return support.start(ROUTES, { args = { "--limit", "peer_timeout=2", "--metrics", "/metrics" } })
end

describe("a vanished reader", function()
  it("is given up after peer_timeout: with and without heartbeats, between the pieces of an " ..
    "answer, and while its handler waits", function()
    local server = start()
    local targets = { "/stream/none", "/stream/0.2", "/by_hand", "/waiting" }
    local clients = {}
    for i, target in ipairs(targets) do
      clients[i] = server:connect()
      clients[i]:send(wire.request { target = target, headers = { Accept = "text/event-stream" } })
      if target ~= "/waiting" then
        clients[i]:receive_until "\r\n\r\n"
      end
    end
    eventually(function()
      return support.marks(server)[1] == "waiting"
    end)
    local quiet = server:stream("/quiet")
    quiet:comment()
    for _, client in ipairs(clients) do
      client:vanish()
    end
    assert.same({ "timeout", "timeout", "timeout", "timeout" }, reasons(server, targets))
    assert.truthy(support.get(server, "/metrics")
      :find('lunesse_limit_total{limit="peer_timeout"} 4\n', 1, true))
    -- Who only has nothing to say has answered the kernel's questions meanwhile.
    assert.is_nil(support.access_line(server, "/quiet"))
    assert.is_true(quiet:is_silent(0.02))
    quiet:close()
    for _, client in ipairs(clients) do
      client:close()
    end
  end)
end)

-- All of what it does not read has room in the server's kernel, which then is the one that waits.
-- Where there is no room the engine waits itself; see leaving_spec.
describe("a reader that stalls", function()
  it("ends with 'timeout' when it is the kernel that gives it up, too", function()
    local server = start()
    local client = server:connect { receive_buffer = 4096 }
    client:send(wire.request { target = "/much", headers = { Accept = "text/event-stream" } })
    client:receive_until "\r\n\r\n"
    assert.same({ "timeout" }, reasons(server, { "/much" }))
    support.await_marks(server, { "close timeout" })
    client:close()
  end)
end)
