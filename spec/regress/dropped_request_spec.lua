-- An open stream drops its request once nothing of a script works on it. `subscribe` looked whether
-- the request was there, then asked for the option `since`, and then read the request. The option
-- was a metamethod's, which stopped the stream's last timer, so that the request went in between;
-- what was read was other memory.

local support = require "spec.sse.support"

describe("a subscription whose options stop the stream's last timer", function()
  it("follows the channel, as any other", function()
    local server = support.start([[
local room, live, timer = lunesse.channel("room"), nil, nil
server:get("/on", function(_, response)
  live = response.sse
  live:open()
  timer = lunesse.every(1000, function() end)
end)
server:get("/subscribe", function(_, response)
  local options = setmetatable({}, { __index = function() timer:stop() end })
  response:send(tostring(live:subscribe(room, options)))
  room:publish("published")
end)
]], { workers = 1 })
    local stream = server:stream("/on")
    assert.equal("", stream:comment())
    assert.equal("true", support.get(server, "/subscribe"))
    assert.equal("published", stream:event().data)
    stream:close()
  end)
end)
