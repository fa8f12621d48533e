-- Headers that left no room for the Content-Type that `send` adds by itself ended the server.

local support = require "spec.sse.support"

local start = support.start

describe("a response whose headers are as large as they may be", function()
  it("still gets the Content-Type that send adds by itself", function()
    local server = start [[
server:get("/full", function(_, response)
  response:header("X-Full", ("a"):rep(64 * 1024 - 20))
  response:send("x")
end)
server:get("/over", function(_, response)
  response:header("X-Full", ("a"):rep(64 * 1024 - 20)):header("X-More", ("b"):rep(20))
end)
server:get("/", function(_, response) response:send("x") end)
]]
    local response = server:request { target = "/full" }
    assert.equal(200, response.status)
    assert.equal("text/plain; charset=utf-8", response.headers["content-type"])
    assert.equal(500, server:request({ target = "/over" }).status)
    assert.equal(200, server:request({ target = "/" }).status)
    assert(server:log():find("the headers are larger than 64 KiB", 1, true))
  end)
end)
