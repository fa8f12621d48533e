-- Where a reader begins that has no id: `since = -n`, and the greeting, an event that says the
-- stream's place for readers that ignore an id without data.

local hub = require "spec.hub.app"

local run, further = hub.run, hub.further

-- `GET /greet/a,b?greet=hello&since=` subscribes to the channels a and b; `as` is code for `since`.
local GREET = [[
server:get("/greet/*names", function(request, response)
  local query = request.query
  local since = query.since or query.as and load("return " .. query.as)()
  for name in request.params.names:gmatch("[^,]+") do
    local greet = query.greet and query.greet .. (query.own and name or "")
    response.sse:subscribe(lunesse.channel(name), { greet = greet, since = since })
  end
end)
]]

local function open(app, target, last_event_id)
  return app:stream("/greet/" .. target, { last_event_id = last_event_id })
end

local function greeting(id, name)
  return { event = name or "hello", data = id, id = id }
end

describe("a greeting", function()
  local app, cursor

  before_each(function()
    app = hub.start(GREET, { workers = 1 })
    hub.keep(app, "room", "{ history = 5 }")
    hub.keep(app, "other")
    hub.publish_numbers(app, "room", 1, 3)
    cursor = run(app, "return kept.room:cursor()")
  end)

  it("has the cursor as data and as id, before all else", function()
    local stream = open(app, "room?greet=hello")
    assert.equal("", stream.comments[1])
    assert.same(greeting(cursor), stream:next())
    local id = hub.publish(app, "room", "x")
    assert.same({ event = "message", data = "x", id = id }, stream:next())
    hub.expect_chunks(stream)
  end)

  it("lets a reader come back that lost its connection before the first event", function()
    local stream = open(app, "room?greet=hello")
    local id = stream:next().data
    hub.publish(app, "room", "missed")
    stream = open(app, "room", id)
    assert.equal("missed", stream:next().data)
    stream = app:stream("/greet/room?greet=hello&last_event_id=" .. id)
    assert.same(greeting(id), stream:next())
    assert.equal("missed", stream:next().data)
  end)

  it("says where it begins to a reader that is given older events", function()
    for _, case in ipairs { { "since=earliest", 0 }, { "since=" .. further(cursor, -1), 2 },
      { "as=-1", 2 } } do
      local stream = open(app, "room?greet=hello&" .. case[1])
      assert.same(greeting(further(cursor, case[2] - 3)), stream:next())
      for n = case[2] + 1, 3 do
        assert.equal(tostring(n), stream:next().data)
      end
    end
  end)

  it("says where it goes on to a reader that is resumed", function()
    local stream = open(app, "room?greet=hello", further(cursor, -2))
    assert.same(greeting(further(cursor, -2)), stream:next())
    assert.equal("2 3", hub.data(stream, 2))
  end)

  it("follows the reset of a reader that cannot be resumed", function()
    for _, id in ipairs { "nonsense", "1-1", further(cursor, 9) } do
      local stream = open(app, "room?greet=hello&as=-1", id)
      assert.equal("reset", stream:next().type)
      assert.same(greeting(further(cursor, -1)), stream:next())
      assert.equal("3", stream:next().data)
    end
    hub.publish_numbers(app, "room", 4, 20)
    local stream = open(app, "room?greet=hello", cursor)
    assert.equal("expired", hub.notice(stream:next()).reason)
    assert.same(greeting(further(cursor, 17)), stream:next())
  end)

  it("comes once for each subscription that asks, with the place in all channels", function()
    local both = cursor .. "," .. run(app, "return kept.other:cursor()")
    local stream = open(app, "room,other?greet=to-&own=1")
    assert.same(greeting(both, "to-room"), stream:next())
    assert.same(greeting(both, "to-other"), stream:next())
    hub.publish(app, "other", "x")
    hub.publish(app, "room", "y")
    assert.equal("x y", hub.data(stream, 2))
    stream = open(app, "room,other?greet=to-&own=1", both)
    assert.same(greeting(both, "to-room"), stream:next())
  end)

  it("is not said again when the stream is blocked, unblocked or subscribes to more", function()
    local stream = open(app, "room?greet=hello")
    stream:next()
    for n = 1, 20 do
      hub.publish(app, "room", n)
    end
    assert.equal(hub.numbers(1, 20), hub.data(stream, 20))
  end)

  it("goes before the events of the stream's own, and after those that were sent before", function()
    local other = hub.start(GREET .. [[
server:get("/own", function(_, response)
  local sse = response.sse
  sse:send("first")
  sse:subscribe(lunesse.channel("room"), { greet = "hello" })
  sse:send("second")
end)
]], { workers = 1 })
    local stream = other:stream("/own")
    assert.equal("first hello second", (hub.data(stream, 3):gsub(":[%x-]+", "")))
  end)

  it("holds in a stream without chunks, and in one that ends at once", function()
    assert.equal((":\n\nid: %s\nevent: hello\ndata: %s\n\n"):format(cursor, cursor),
      app:stream("/greet/room?greet=hello", { version = "1.0" }).raw)
    local ended = hub.start([[
server:get("/ended", function(_, response)
  response.sse:subscribe(lunesse.channel("room"), { greet = "hello" })
  response.sse:close()
end)
]], { workers = 1 })
    local stream = ended:stream("/ended")
    assert.ended(stream, "complete")
    assert.equal("hello", stream.events[1].type)
  end)
end)

describe("since = -n", function()
  local app, cursor

  before_each(function()
    app = hub.start(GREET, { workers = 3 })
    hub.keep(app, "room", "{ history = 5 }")
    hub.publish_numbers(app, "room", 1, 8)
    cursor = run(app, "return kept.room:cursor()")
  end)

  it("gives a newcomer the last n events, in every worker, as far as the channel has them",
    function()
      for count, first in pairs {
        ["-1"] = 8, ["-3"] = 6, ["-5"] = 4, ["-6"] = 4, ["-1000000"] = 4, ["-2.0"] = 7,
        ["math.mininteger"] = 4, ["-math.maxinteger"] = 4,
      } do
        for worker = 1, 3 do
          local stream = app:stream("/greet/room?as=" .. count, { worker = worker })
          assert.equal(hub.numbers(first, 8), hub.data(stream, 9 - first), count)
          assert.equal(cursor, stream.id)
        end
      end
    end)

  it("is a newcomer's place like any other with 0, or where nothing was published", function()
    for _, target in ipairs { "room?as=0", "empty?as=-5" } do
      local stream = open(app, target .. "&greet=hello")
      local event = stream:next()
      assert.equal(event.id, event.data)
      assert.matches(target:find("room") and "%-8$" or "%-0$", event.id)
    end
  end)

  it("counts after the id that a reader brings, and is where a reset leads", function()
    local stream = open(app, "room?as=-3", further(cursor, -1))
    assert.equal("8", hub.data(stream, 1))
    stream = open(app, "room?as=-2", "1-1")
    assert.equal(further(cursor, -2), hub.notice(stream:next()).to)
    assert.equal("7 8", hub.data(stream, 2))
  end)

  it("is a number of the script's: what an address says is an id", function()
    local stream = open(app, "room?since=-2")
    assert.equal("malformed", hub.notice(stream:next()).reason)
  end)
end)
