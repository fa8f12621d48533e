-- channel:read while the server stops.

local test = require "lunesse.test"

local SCRIPT = [[
local lunesse = require "lunesse"
local server = lunesse.server()
local room = lunesse.channel "room"

server:get("/poll", function(request, response)
  local events, cursor = room:read { after = request.query.after, wait = 60 }
  response:json { events = events, cursor = cursor }
end)

server:get("/reader", function(_, response)
  local rounds = 0
  response.sse:open()
  lunesse.spawn(function()
    local cursor
    while not room.finished do
      rounds = rounds + 1
      _, cursor = room:read { after = cursor, wait = 60 }
    end
    lunesse.log.info("read", { rounds = rounds })
  end)
  lunesse.sleep(5)
  room:finish()
  response.sse:close()
end)
]]

describe("a read that waits when the server stops", function()
  local app

  before_each(function()
    app = test.load({ ["a.lua"] = SCRIPT }, { workers = 2 })
  end)

  after_each(function()
    app:stop()
  end)

  it("returns what there is, so that each poll is answered at once", function()
    local waiting = {}
    for i = 1, 4 do
      waiting[i] = app:send("GET", "/poll", { worker = i % 2 + 1 })
    end
    app:advance(1)
    assert.is_nil(waiting[1].status)
    app:signal "TERM"
    app:turn()
    for i = 1, 4 do
      local answer = waiting[i]:expect(200):json()
      assert.same({}, answer.events)
      assert.matches("^%x+%-0$", answer.cursor)
    end
  end)

  it("returns once, and a task that reads on waits again", function()
    local stream = app:stream "/reader"
    app:advance(1)
    app:signal "TERM"
    app:advance(5)
    assert.equal("complete", stream.ended)
    assert.equal(2, app:log("read")[1].fields.rounds) -- ended by the stop, and by finish
  end)
end)
