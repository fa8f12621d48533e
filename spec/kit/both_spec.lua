-- One spec, twice: in the test kit, and against a real process behind real sockets, by the same
-- clients and assertions. What passes in the kit passes on a socket, or one of the two is wrong.

local real = require "spec.support.real"
local test = require "lunesse.test"

local ROOM = [[
local lunesse = require "lunesse"
local server = lunesse.server()

server:post("/room/:name", function(request, response)
  local room = lunesse.channel("room/" .. request.params.name)
  local id = room:publish("said", assert(request:json()))
  response:status(201):json { id = id }
end)

server:get("/room/:name", function(request, response)
  if not response.sse then
    return response:status(400):send("an event stream\n")
  end
  response.sse:subscribe(lunesse.channel("room/" .. request.params.name))
end)

server:get("/slow", function(_, response)
  lunesse.sleep(5)
  response:send("at last\n")
end)

server:get("/wrong", function()
  error("oh no")
end)

server:get("/count", function(_, response)
  response.sse:retry(2)
  for n = 1, 3 do
    response.sse:send(lunesse.event { id = n, event = "n", data = n })
    lunesse.sleep(1)
  end
  response.sse:close()
end)
]]

---Counts the calls of a method of the engine below `app`.
local function count_calls(app, name)
  local inner, count = app.core, 0
  app.core = setmetatable({}, { __index = function(_, key)
    return function(_, ...)
      count = count + (key == name and 1 or 0)
      return inner[key](inner, ...)
    end
  end })
  return function()
    return count
  end
end

local WAYS = { ["in the kit"] = test.load, ["on sockets"] = real.load }

for way, load in pairs(WAYS) do
  describe("a room, " .. way .. ",", function()
    local app

    before_each(function()
      app = load { ["room.lua"] = ROOM }
    end)

    after_each(function()
      app:stop()
    end)

    it("resumes without a gap", function()
      local a = app:stream("/room/sea")
      app:post("/room/sea", { json = { text = "hi" } }):expect(201)
      local said = assert.event(a, "said", { text = "hi" })
      a:leave()
      app:post("/room/sea", { json = { text = "again" } })
      local b = app:stream("/room/sea", { last_event_id = said.id })
      assert.event(b, "said", { text = "again" })
      assert.quiet(b)
      app:advance(15)
      assert.comment(b)
    end)

    it("is published to", function()
      app:post("/room/sea", { json = { text = "hi" } })
      assert.published("room/sea", { text = "hi" })
      assert.no.published("room/sea", { text = "ho" })
      local stream = app:stream("/room/sea")
      assert.equal(1, app:channel("room/sea").readers)
      stream:leave()
    end)

    it("answers after a while, without a wait", function()
      local answer = app:send("GET", "/slow")
      app:advance(4)
      assert.is_nil(answer.ended)
      app:advance(2)
      assert.equal("at last\n", answer:expect(200):text())
      app:get("/slow"):expect { status = 200, text = "at last\n" }
    end)

    it("logs what goes wrong", function()
      app:get("/wrong"):expect(500)
      assert.logged { level = "error", message = "script error" }
    end)

    it("refuses what is no reader of streams", function()
      app:get("/room/sea", { accept = "text/html" }):expect {
        status = 400, text = "an event stream\n",
      }
    end)

    it("has streams that end, and a browser that comes back to them", function()
      local stream = app:stream("/count")
      for n = 1, 3 do
        assert.next_event(stream, "n", tostring(n))
        app:advance(1)
      end
      assert.ended(stream, "complete")
      local again = stream:reconnect()
      assert.same({ 2, 1 }, { again.retry, #again.events })
      again:leave()
    end)

    it("has new scripts after a reload", function()
      assert(app:reload { ["room.lua"] = ROOM:gsub("oh no", "oh yes") })
      app:get("/wrong"):expect(500)
      assert.logged { fields = { route = "/wrong" } }
      assert.is_nil((app:reload { ["room.lua"] = "(" }))
      app:get("/slow"):expect(200)
    end)
  end)
end

describe("a test in the kit", function()
  it("takes few turns, and none of them waits", function()
    local app = test.load { ["room.lua"] = ROOM }
    local turns, steps = count_calls(app, "turn"), count_calls(app, "advance")
    local stream = app:stream("/room/sea")
    app:post("/room/sea", { json = { text = "hi" } })
    assert.event(stream, "said", { text = "hi" })
    app:advance(15)
    assert.comment(stream)
    app:stop()
    assert.is_true(turns() <= 60, turns())
    assert.is_true(steps() <= 20, steps())
  end)

  it("does not see another app", function()
    local one, other = test.load { ["room.lua"] = ROOM }, test.load { ["room.lua"] = ROOM }
    local stream = other:stream("/room/sea")
    one:advance(100)
    one:post("/room/sea", { json = { text = "hi" } }):expect(201)
    assert.same({}, other:channel("room/sea").history)
    assert.quiet(stream)
    assert.equal(100, one:now() - other:now())
    one:get("/wrong")
    assert.same({}, other:log { level = "error" })
    one:stop()
    other:stop()
  end)
end)

describe("the variables of an app", function()
  local SCRIPT = [[
    local value = os.getenv("LUNESSE_KIT_SPEC")
    require("lunesse").server():get("/", function(_, response) response:send(tostring(value)) end)
  ]]

  it("are there for its scripts, also after a reload, and for nobody else", function()
    local app = test.load({ ["a.lua"] = SCRIPT }, { env = { LUNESSE_KIT_SPEC = 7 } })
    app:get("/"):expect { text = "7" }
    assert(app:reload())
    app:get("/"):expect { text = "7" }
    assert.is_nil(os.getenv("LUNESSE_KIT_SPEC"))
    app:stop()
    assert.has_error(function()
      test.load({ ["a.lua"] = "(" }, { env = { LUNESSE_KIT_SPEC = 7 } })
    end)
    assert.is_nil(os.getenv("LUNESSE_KIT_SPEC"))
  end)
end)
