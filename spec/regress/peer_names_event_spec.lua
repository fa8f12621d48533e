-- A single table with a field of an event was taken for an event. So a peer whose JSON a script
-- published sent events of any name, such as `reset`, to all readers, and kept them away for a day
-- with `retry`; a payload that had an `id`, or other fields beside `data`, made the call raise.

local support = require "spec.sse.support"
local Server = require "spec.support.server"

describe("a table that a peer sent", function()
  it("is data to `publish` and to `send`, whatever fields it has", function()
    local server = Server.start(support.script [[
local room = lunesse.channel("room")
server:get("/room", function(_, response) response.sse:subscribe(room) end)
server:post("/publish", function(request, response)
  response:json { id = room:publish(request:json()) }
end)
server:post("/send", function(request, response)
  response.sse:send(request:json())
  response.sse:close()
end)
]])
    local stream = server:stream("/room")
    for _, body in ipairs {
      '{"event":"reset"}', '{"retry":86400}', '{"id":"7"}', '{"data":"x"}', '{"data":1,"z":2}',
    } do
      local request = { method = "POST", target = "/publish", body = body }
      assert.equal(200, server:request(request).status, body)
      local event = stream:event()
      assert.same({ "message", body }, { event.type, event.data })
      request.target, request.headers = "/send", { Accept = "text/event-stream" }
      assert.equal(":\n\ndata: " .. body .. "\n\n", server:request(request).body)
    end
    stream:close()
  end)
end)
