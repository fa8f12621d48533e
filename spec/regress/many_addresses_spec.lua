-- Where the sockets of many addresses took all descriptors that were meant for connections, the
-- limit of connections became 0: every request was answered with 503.

local Server = require "spec.support.server"

local SCRIPT = [[
local lunesse = require "lunesse"
local server = lunesse.server()
for number = 1, 8 do
  server:listen { host = "127.0.0." .. number, port = 0 }
end
server:get("/", function(_, response) response:send("served") end)
]]

describe("a server whose sockets take nearly all descriptors", function()
  it("serves a connection all the same", function()
    local server = Server.start(SCRIPT, {
      workers = 4, sockets = {}, wrap = Server.under("ulimit -n 110"),
    })
    local response = server:request { target = "/" }
    assert.equal(200, response.status)
    assert.equal("served", response.body)
  end)
end)
