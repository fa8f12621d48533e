-- channel:reset: the channel begins another life under its readers, and each of them is told so.

local base = require "spec.hub.support"
local hub = require "spec.hub.app"

local run = hub.run

---An app that keeps the channel `room`, with options as Lua text, and has published 1 to `count`.
local function start(count, options)
  local app = hub.start("", { workers = 1 })
  hub.keep(app, "room", options)
  hub.publish_numbers(app, "room", 1, count)
  return app
end

local function expect_reset(event)
  local notice = hub.notice(event)
  assert.same({ "reset", "epoch" }, { notice.type, notice.reason })
  assert.is_nil(notice.from)
  assert.is_nil(notice.missed)
  assert.equal(event.id, notice.to)
end

describe("channel:reset", function()
  for _, lag in ipairs { "resume", "skip" } do
    it("tells a reader that is there, whose channel says " .. lag, function()
      local app = start(2, ("{ on_lag = '%s' }"):format(lag))
      local stream = hub.open(app, "room")
      hub.publish_numbers(app, "room", 3, 4)
      assert.equal("3 4", hub.data(stream, 2))
      assert.equal("true", run(app, "return kept.room:reset()"))
      local reset = assert(stream:next())
      expect_reset(reset)
      local id = hub.publish(app, "room", 5)
      assert.equal(hub.further(reset.id, 1), id)
      assert.equal("5", hub.data(stream, 1))
      assert.equal(1, hub.subscribers(app, "room"))
    end)
  end

  it("tells it once, however often it is called before the reader is woken", function()
    local app = start(1)
    local stream = hub.open(app, "room")
    run(app, [[
      kept.room:publish("lost")
      kept.room:reset()
      kept.room:reset()
      kept.room:publish("first")
      kept.room:publish("second")]])
    expect_reset(assert(stream:next()))
    assert.equal("first second", hub.data(stream, 2))
  end)

  it("drops the history, and leads ids of before nowhere", function()
    local app = start(3)
    local old = run(app, "return kept.room:cursor()")
    run(app, "kept.room:reset() kept.room:publish('new')")
    local newcomer = hub.open(app, "room", { since = "earliest" })
    assert.equal("new", hub.data(newcomer, 1))
    for _, id in ipairs { old, hub.further(old, -1) } do
      local stream = hub.open(app, "room", { last_event_id = id })
      expect_reset(assert(stream:next()))
    end
    local id = run(app, "return kept.room:cursor()")
    local stream = hub.open(app, "room", { last_event_id = hub.further(id, -1) })
    assert.equal("new", hub.data(stream, 1))
  end)

  it("is told to a loop and to a poll, which then get what follows", function()
    local app = start(3)
    local loop = hub.begin(app, [[
      local list = {}
      for event in kept.room:events() do
        list[#list + 1] = event.reset or event.data
        if #list == 3 then break end
      end
      return table.concat(list, " ")]])
    local poll = hub.begin(app, [[
      local events, cursor = kept.room:read { wait = 1000 }
      return events[1].reset, events[1].id == cursor, #events]])
    run(app, "kept.room:reset()")
    assert.equal("epoch true 1", hub.answer(poll))
    run(app, "kept.room:publish(4) kept.room:publish(5)")
    assert.equal("epoch 4 5", hub.answer(loop))
  end)

  it("is told to a reader that comes back by its cursor", function()
    local app = start(3)
    assert.equal("epoch nil new", run(app, [[
      local cursor = kept.room:cursor()
      kept.room:reset()
      kept.room:publish("new")
      local events, after = kept.room:read { after = cursor, since = "earliest" }
      local next_ones = kept.room:read { after = after }
      return events[1].reset, next_ones[1], events[2].data]]))
  end)

  it("leaves the stream's other channels as they are", function()
    local app = start(1)
    hub.keep(app, "hall")
    local stream = hub.open(app, "room,hall")
    hub.publish(app, "room", "a")
    hub.publish(app, "hall", "b")
    assert.equal("a b", hub.data(stream, 2))
    run(app, "kept.room:reset()")
    local reset = assert(stream:next())
    assert.equal("epoch", hub.notice(reset).reason)
    hub.publish(app, "hall", "c")
    hub.publish(app, "room", "d")
    local back = hub.open(app, "room,hall", { last_event_id = reset.id })
    assert.equal("c d", hub.data(back, 2))
    assert.equal("c d", hub.data(stream, 2))
  end)

  it("is refused by a channel that has ended", function()
    local app = start(1)
    assert.equal("nil finished EFINISHED", run(app, "kept.room:finish() return kept.room:reset()"))
    assert.equal("nil closed ECLOSED", run(app, "kept.room:close() return kept.room:reset()"))
  end)
end)

describe("a channel that another worker resets", function()
  it("tells the readers of a worker that was busy meanwhile, and what it kept is gone", function()
    local server = base.start([[
      server:get("/kept", function(_, response)
        env.kept.sse = response.sse
        response.sse:open()
      end)
    ]], { workers = 2, args = { "--limit", "run_timeout=60" } })
    local first, second = base.connect(server, 1), base.connect(server, 2)
    local stream = base.open_at(server, 2, "/on/room")
    stream:comment()
    base.publish(first, "room", 1)
    assert.equal("1", base.data(stream, 1))
    local go_on = base.hold(second, first, "")
    base.publish(first, "room", 2)
    base.run(first, "channel('room'):reset()")
    base.publish(first, "room", 3)
    go_on()
    local notice = base.notice(stream:event())
    assert.same({ "reset", "epoch" }, { notice.type, notice.reason })
    assert.equal("3", base.data(stream, 1))
    stream:close()
  end)
end)
