-- The texts of `reset` and `lagged`: a channel can give both of its own, so that a page whose
-- framework reads every event sees none that is not for it.

local hub = require "spec.hub.support"
local reload = require "spec.reload.support"
local sse = require "spec.support.sse"

local run = hub.run

-- A reader that comes to `room` with an id of another life: its first event.
local function reset_event(server)
  local stream = hub.open(server, "room", { last_event_id = "abc-1" })
  local event = stream:event()
  stream:close()
  return event
end

-- The type and the data of the event `lagged` of a reader that read nothing for 8000 events.
local function lagged_event(server)
  local client = hub.stalled(server, "/on/room")
  hub.await_subscribers(server, "room", 1)
  run(server, "for n = 1, 8000 do kept.room:publish(n .. (' '):rep(1000)) end")
  run(server, "kept.room:finish()")
  local stream = sse.stream(client, client:head())
  assert.equal("done", stream:finish(20))
  stream:close()
  return stream.parser.events[#stream.parser.events]
end

describe("the texts of a notice", function()
  it("of a reset have a name and data of their own, and its id all the same", function()
    local server = hub.start_inside()
    hub.keep(server, "room", "{ reset = { event = 'anew', data = '<b>\\nagain</b>' } }")
    local id = hub.publish(server, "room", "x")
    local event = reset_event(server)
    assert.same({ "anew", "<b>\nagain</b>", id }, { event.type, event.data, event.id })
  end)

  it("have no name where none is given, and the usual data where none are given", function()
    local server = hub.start_inside()
    hub.keep(server, "room", "{ reset = { data = '<turbo-stream action=\"refresh\">' } }")
    local event = reset_event(server)
    assert.same({ "message", '<turbo-stream action="refresh">' }, { event.type, event.data })
    hub.keep(server, "room", "{ reset = { event = 'anew' } }")
    assert.equal("epoch", hub.notice(reset_event(server)).reason)
    assert.equal("anew", reset_event(server).type)
    hub.keep(server, "room", "{ reset = {} }")
    assert.equal("message", reset_event(server).type)
    hub.keep(server, "room", "{ reset = { data = { again = true } } }")
    assert.equal('{"again":true}', reset_event(server).data)
    hub.keep(server, "room", "{ reset = { event = 'n', data = '' } }")
    assert.equal("", reset_event(server).data)
  end)

  it("of a lag have them as well", function()
    local server = hub.start_inside()
    hub.keep(server, "room",
      "{ history = 5, on_lag = 'skip', lagged = { event = 'gap', data = 'some' } }")
    local event = lagged_event(server)
    assert.same({ "gap", "some" }, { event.type, event.data })
    assert.matches("%-8000$", event.id)
  end)

  it("are set by the last call that names them, of any worker", function()
    local server = hub.start_inside("", { workers = 2 })
    hub.keep(server, "room", "{ reset = { event = 'one', data = 'one' } }")
    run(hub.connect(server, 2), "channel('room', { history = 7 })")
    assert.equal("one", reset_event(server).type)
    run(hub.connect(server, 2), "channel('room', { reset = { event = 'two' } })")
    assert.equal("two", reset_event(server).type)
    assert.equal("epoch", hub.notice(reset_event(server)).reason)
    run(server, "channel('room', { reset_event = 'three' })")
    assert.equal("three", reset_event(server).type)
  end)

  it("of new scripts wait until these have loaded, as they were when the call was made", function()
    local text = [[
local options = { reset = { event = "%s", data = { n = %d } } }
room = lunesse.channel("room", options)
options.reset.event, options.reset.data.n = "late", 0
server:get("/room", function(_, response) response.sse:subscribe(room) end)
%s
]]
    local server = reload.start_inside(text:format("one", 1, ""))
    local function first()
      local stream = server:stream("/room", { last_event_id = "abc-1" })
      local event = stream:event()
      stream:close()
      return event.type .. " " .. event.data
    end
    assert.equal('one {"n":1}', first())
    reload.reload(server, text:format("two", 2, "error('no')"), "failed")
    assert.equal('one {"n":1}', first())
    reload.reload(server, text:format("two", 2, ""))
    assert.equal('two {"n":2}', first())
  end)

  it("are checked like those of any event", function()
    local server = hub.start_inside()
    local wrong = {
      ["'x'"] = "reset: a table with event and data, and no reset_event, expected",
      ["{ event = 'a\\nb' }"] = "reset: an event name without line break and NUL expected",
      ["{ event = '' }"] = "reset: an event name without line break and NUL expected",
      ["{ event = 5 }"] = "reset: an event name without line break and NUL expected",
      ["{ id = '5' }"] = "reset: unknown field 'id'",
      ["{ 'x' }"] = "reset: unknown field '1'",
      ["{ data = print }"] = "reset: data: a string, number, boolean or table expected",
      ["{ data = ('x'):rep(4097) }"] = "reset: 4096 bytes at most expected",
      ["{ event = 'e', data = ('x'):rep(4096) }"] = "reset: 4096 bytes at most expected",
    }
    for value, message in pairs(wrong) do
      local words = run(server, "return channel('room', { reset = %s })", value)
      assert.equal("bad argument #2 to 'channel' (" .. message .. ")",
        words:match("bad argument.*"))
    end
    assert.matches("lagged: unknown field 'x'",
      run(server, "return channel('room', { lagged = { x = 1 } })"))
    assert.matches("reset: a table with event and data, and no reset_event, expected",
      run(server, "return channel('room', { reset = {}, reset_event = 'x' })"))
    assert.matches("^Channel: ",
      run(server, "return channel('room', { reset = { data = ('x'):rep(4096) } })"))
  end)
end)
