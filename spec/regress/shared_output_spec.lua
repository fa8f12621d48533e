-- What threads print waits in memory that all of them use under a lock. As long as it was small it
-- came from the pages of one thread, and another thread gave it back when it grew: two threads
-- changed the same page at once. Debug builds now ask who has made a page.

local Server = require "spec.support.server"

describe("what several workers print", function()
  it("waits in memory that belongs to none of them", function()
    local server = Server.start([[
local lunesse = require "lunesse"
lunesse.server():get("/:len", function(request, response)
  print(("x"):rep(tonumber(request.params.len)))
  response:send("printed")
end)
]], { workers = 8 })
    for i = 1, 12 do
      assert.equal("printed", server:request({ target = "/" .. i * 150 }).body)
    end
  end)
end)
