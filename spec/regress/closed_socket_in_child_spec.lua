-- A connection was closed, and its socket left to the kernel to take out of the epoll set. The
-- kernel does so when nobody has the socket open any more. While another worker's io.popen stood
-- between fork and exec, its child had it open too: the set went on to report the connection by an
-- address that was freed, and AddressSanitizer stopped the program within a second.

local posix = require "spec_posix"
local support = require "spec.sse.support"
local wire = require "spec.support.wire"

local SCRIPT = [[
server:get("/popen", function(_, response)
  local pipe <close> = io.popen("echo child")
  response:send(pipe:read("a"))
end)
server:get("/plain", function(_, response) response:send("plain") end)
]]

-- What a child process finds open: its own three, and the folder that `ls` reads.
local LIST = [[
server:get("/open", function(_, response)
  local file <close> = io.popen("ls /proc/self/fd")
  response:send((file:read("a"):gsub("\n", " ")))
end)
]]

---Many short connections at once, some of which start a child. Returns how many were answered.
local function storm(server, rounds)
  local answered = 0
  for _ = 1, rounds do
    local clients = {}
    for i = 1, 16 do
      clients[i] = server:connect()
      clients[i]:send(wire.request {
        target = i % 4 == 0 and "/popen" or "/plain", headers = { Connection = "close" },
      })
    end
    for i, client in ipairs(clients) do
      if i % 3 == 0 then
        client:close() -- left while it is answered
      else
        local wanted = i % 4 == 0 and "child\n" or "plain"
        answered = answered + (client:response("GET", 10).body == wanted and 1 or 0)
        client:close()
      end
    end
  end
  return answered
end

describe("a child that a script starts", function()
  it("does not keep closed connections in the workers' epoll sets", function()
    local server = support.start(SCRIPT, { workers = 2, args = { "--log-level", "warn" } })
    assert.equal(20 * 11, storm(server, 20))
  end)

  it("inherits nothing but its standard streams", function()
    local folder = assert(posix.make_folder())
    local path = folder .. "/l.sock"
    local server = support.start(LIST, { workers = 2, args = { "--unix", path, "--watch" } })
    local stream = server:connect()
    assert.equal("0 1 2 3 ", server:request { target = "/open" }.body)
    stream:close()
    server:stop()
    os.remove(folder)
  end)
end)
