-- A handler that left the answer to a timer, whose function failed, left the client waiting for
-- ever: only the handler's own end was looked at.

local support = require "spec.sse.support"

local start = support.start

describe("a request whose answer was left to a timer", function()
  it("is answered with 500 when the timer's function fails or forgets it", function()
    local server = start [[
server:get("/fails", function() lunesse.after(0.01, function() error("too bad") end) end)
server:get("/forgets", function() lunesse.after(0.01, function() end) end)
server:get("/twice", function(_, response)
  lunesse.after(0.01, function() end)
  lunesse.after(0.02, function() response:send("x") end)
end)
]]
    assert.equal(500, server:request({ target = "/fails" }).status)
    assert.equal(500, server:request({ target = "/forgets" }).status)
    assert.equal(200, server:request({ target = "/twice" }).status)
    assert(server:log():find("too bad", 1, true))
  end)
end)
