-- Where a subscription begins: what the reader's id says, what the script's `since` says, and the
-- one reset when an id cannot be resumed.

local hub = require "spec.hub.support"
local Client = require "spec.support.client"
local wire = require "spec.support.wire"

local run, further, data, numbers = hub.run, hub.further, hub.data, hub.numbers

---A stream that has been sent all that it is owed: the events up to one more that is published now.
local function all_of(server, stream, name)
  local id = hub.publish(server, name or "room", "end")
  local events = {}
  repeat
    events[#events + 1] = stream:event()
  until events[#events].data == "end"
  stream:close()
  events[#events] = nil
  return events, id
end

---The words of those events: data, or the type with reason and number missed.
local function words_of(events)
  local words = {}
  for i, event in ipairs(events) do
    words[i] = event.data
    if event.type ~= "message" then
      local notice = hub.notice(event)
      words[i] = ("%s %s %s"):format(event.type, notice.reason, tostring(notice.missed))
    end
  end
  return words
end

---What a reader that subscribes so is sent, as words.
local function story(server, options)
  return words_of((all_of(server, hub.open(server, "room", options))))
end

local function expected(first, last, notice)
  local words = { notice }
  for n = first, last do
    words[#words + 1] = tostring(n)
  end
  return words
end

describe("a reader without an id", function()
  it("gets what is published from then on", function()
    local server = hub.start()
    hub.keep(server, "room")
    hub.publish_numbers(server, "room", 1, 5)
    assert.same({}, story(server))
  end)

  it("gets what is published in the turn in which it came, but only after it came", function()
    local server = hub.start [[
server:get("/", function(_, response)
  local room = env.kept.room
  room:publish("before")
  response.sse:subscribe(room)
  room:publish("after")
end)
]]
    hub.keep(server, "room")
    local stream = server:stream("/")
    assert.equal("after", data(stream, 1))
    stream:close()
  end)

  it("gets nothing of an empty history with since = 'earliest'", function()
    local server = hub.start()
    hub.keep(server, "room")
    assert.same({}, story(server, { since = "earliest" }))
  end)

  -- Nobody has read before: what a worker with readers has yet to offer them is there a little
  -- longer than the bounds say.
  it("gets everything that there is with since = 'earliest'", function()
    local server = hub.start()
    hub.keep(server, "room", "{ history = 5 }")
    hub.publish_numbers(server, "room", 1, 20)
    assert.same(expected(16, 20), story(server, { since = "earliest" }))
  end)

  it("gets what came after the id in since, which publish or cursor returned", function()
    local server = hub.start()
    hub.keep(server, "room")
    local before = run(server, "return kept.room:cursor()")
    local id = hub.publish_numbers(server, "room", 1, 20)
    for missed, since in pairs { [20] = before, [3] = further(id, -3), [0] = id } do
      local stream = hub.open(server, "room", { since = since })
      assert.equal("", stream:comment())
      assert.equal(missed > 0 and numbers(21 - missed, 20) or "", data(stream, missed))
      assert.is_true(stream:is_silent(0.01))
      stream:close()
    end
  end)

  it("loses nothing that happens between rendering a page and subscribing", function()
    local server = hub.start [[
server:get("/page", function(_, response)
  response:header("X-Cursor", env.kept.room:cursor()):send("a page")
end)
]]
    hub.keep(server, "room")
    hub.publish_numbers(server, "room", 1, 3)
    local cursor = server:request({ target = "/page" }).headers["x-cursor"]
    hub.publish_numbers(server, "room", 4, 6)
    local stream = hub.open(server, "room", { query = "?last_event_id=" .. cursor })
    assert.equal("4 5 6", data(stream, 3))
    stream:close()
    stream = hub.open(server, "room", { since = cursor })
    assert.equal("4 5 6", data(stream, 3))
    stream:close()
  end)

  it("is told its place, which is no event, so that it can come back before the first", function()
    local server = hub.start()
    hub.keep(server, "room")
    hub.keep(server, "other")
    hub.publish_numbers(server, "room", 1, 3)
    for round = 1, 3 do
      local since = round == 2 and run(server, "return kept.room:cursor()") or nil
      local stream = hub.open(server, round == 3 and "room,other" or "room", { since = since })
      stream:read_until(function()
        return stream.parser.last_event_id ~= ""
      end)
      assert.same({}, stream.parser.events)
      stream:close()
      hub.publish(server, "room", "meanwhile")
      hub.publish(server, "other", "meanwhile")
      stream = hub.open(server, "room", { last_event_id = stream.parser.last_event_id })
      assert.equal("meanwhile", data(stream, 1))
      stream:close()
    end
  end)

  it("is told its place also where 'earliest' finds nothing, and where it asks for HTTP/1.0",
    function()
      local server = hub.start()
      hub.keep(server, "room")
      local place = run(server, "return kept.room:cursor()")
      for _, version in ipairs { "1.1", "1.0" } do
        local stream = hub.open(server, "room", { since = "earliest", version = version })
        stream:read_until(function()
          return stream.parser.last_event_id == place
        end)
        assert.equal(place, stream.parser.last_event_id)
        stream:close()
      end
    end)

  it("is treated so when its id is empty", function()
    local server = hub.start()
    hub.keep(server, "room")
    hub.publish_numbers(server, "room", 1, 3)
    assert.same({}, story(server, { last_event_id = "" }))
    assert.same({}, story(server, { query = "?last_event_id=" }))
  end)

  it("is reset when the script's since cannot be resumed", function()
    local server = hub.start()
    hub.keep(server, "room", "{ history = 5 }")
    local id = hub.publish_numbers(server, "room", 1, 20)
    assert.same({ "reset malformed nil" }, story(server, { since = "yesterday" }))
    assert.same({ "reset expired 16" }, story(server, { since = further(id, -15) }))
    assert.same({ "reset epoch nil" }, story(server, { since = "1-1" }))
    assert.same({ "reset ahead nil" }, story(server, { since = further(id, 100) }))
  end)
end)

describe("a reader with an id", function()
  it("gets exactly what it missed, wherever it was, and then what is new", function()
    local server = hub.start()
    hub.keep(server, "room")
    local id = hub.publish_numbers(server, "room", 1, 50)
    for missed = 0, 50 do
      local stream = hub.open(server, "room", { last_event_id = further(id, -missed) })
      assert.equal(missed > 0 and numbers(51 - missed, 50) or "", data(stream, missed))
      for i, event in ipairs(stream.parser.events) do
        assert.equal(further(id, i - missed), event.id)
      end
      stream:close()
    end
  end)

  it("may bring it in the query, as a new EventSource has no other way, but the header counts",
    function()
      local server = hub.start()
      hub.keep(server, "room")
      local id = hub.publish_numbers(server, "room", 1, 10)
      local stream = hub.open(server, "room", { query = "?last_event_id=" .. further(id, -2) })
      assert.equal("9 10", data(stream, 2))
      stream:close()
      stream = hub.open(server, "room", {
        query = "?last_event_id=" .. further(id, -5), last_event_id = further(id, -1),
      })
      assert.equal("10", data(stream, 1))
      hub.publish(server, "room", "live")
      assert.equal("live", data(stream, 1))
      stream:close()
    end)

  it("is asked before the script's since, be it an id or 'earliest'", function()
    local server = hub.start()
    hub.keep(server, "room")
    local id = hub.publish_numbers(server, "room", 1, 10)
    for _, since in ipairs { "earliest", further(id, -7), id, "nonsense" } do
      local stream = hub.open(server, "room", { since = since, last_event_id = further(id, -2) })
      assert.equal("9 10", data(stream, 2))
      stream:close()
    end
    assert.same({}, story(server, { since = "earliest", last_event_id = id }))
  end)

  it("may be at the oldest place that can still be resumed, and not one before", function()
    local server = hub.start()
    hub.keep(server, "room", "{ history = 5 }")
    local id = hub.publish_numbers(server, "room", 1, 20)
    local stream = hub.open(server, "room", { last_event_id = further(id, -5) })
    assert.equal(numbers(16, 20), data(stream, 5))
    stream:close()
    assert.same({ "reset expired 6" }, story(server, { last_event_id = further(id, -6) }))
  end)

  it("resumes though it brings an id of many channels, of which one is here", function()
    local server = hub.start()
    hub.keep(server, "room")
    local id = hub.publish_numbers(server, "room", 1, 10)
    for _, list in ipairs { "1-1,%s", "%s,1-1", "ffff-7,%s,2-2,3-3", "%s,%s" } do
      local stream = hub.open(server, "room", {
        last_event_id = (list:gsub("%%s", further(id, -2))),
      })
      assert.equal("9 10", data(stream, 2))
      stream:close()
    end
  end)
end)

describe("a stream that left a channel and comes to it again", function()
  local AGAIN = [[
server:get("/again", function(_, response)
  env.kept.live = response.sse
  response.sse:subscribe(env.kept.room)
end)
]]

  ---Events 9 and 10 are resumed; then the channel is left, and joined again with `options`.
  local function come_again(options, keep)
    local server = hub.start(AGAIN)
    hub.keep(server, "room", keep)
    local id = hub.publish_numbers(server, "room", 1, 10)
    local stream = server:stream("/again", { last_event_id = further(id, -2) })
    assert.equal("9 10", data(stream, 2))
    hub.publish_numbers(server, "room", 11, 13)
    assert.equal("11 12 13", data(stream, 3))
    hub.run(server, "kept.live:unsubscribe(kept.room) kept.live:subscribe(kept.room%s)", options)
    hub.publish(server, "room", "new")
    return stream
  end

  it("is a newcomer there: the id that its reader brought was for the first time", function()
    local stream = come_again("")
    assert.equal("new", data(stream, 1))
    stream:close()
  end)

  it("is not told of what the channel has lost since", function()
    local stream = come_again("", "{ history = 2 }")
    assert.equal("new", data(stream, 1))
    stream:close()
  end)

  it("begins where the script says", function()
    local stream = come_again(", { since = 'earliest' }", "{ history = 3 }")
    assert.equal("11 12 13 new", data(stream, 4))
    stream:close()
  end)

  it("brings its id to other channels still", function()
    local server = hub.start(AGAIN)
    hub.keep(server, "room")
    hub.keep(server, "other")
    local room = hub.publish_numbers(server, "room", 1, 10)
    local other = hub.publish_numbers(server, "other", 1, 10)
    local stream = server:stream("/again", {
      last_event_id = further(room, -1) .. "," .. further(other, -2),
    })
    assert.equal("10", data(stream, 1))
    hub.run(server, "kept.live:unsubscribe(kept.room) kept.live:subscribe(kept.other)")
    assert.equal("9 10", data(stream, 2))
    stream:close()
  end)
end)

describe("an id that cannot be resumed", function()
  ---Four ways of that, with the reason that is given; five of twenty events are still there.
  local function cases(id)
    local epoch = hub.parts(id)
    return {
      { further(id, -10), "expired", 10 }, { epoch .. "-0", "expired", 20 },
      { "1-1", "epoch" }, { "1-1,2-2", "epoch" },
      { "ffffffffffffffff-18446744073709551615", "epoch" },
      { further(id, 1), "ahead" }, { epoch .. "-18446744073709551615", "ahead" },
      { "7", "malformed" }, { id .. ",", "malformed" }, { epoch .. "-020", "malformed" },
      { id:upper() .. "X", "malformed" }, { id .. ",x", "malformed" },
      { epoch .. "-18446744073709551616", "malformed" },
    }
  end

  it("is exactly one reset: the reason, what was missed, and the place of a newcomer", function()
    local server = hub.start()
    hub.keep(server, "room", "{ history = 5 }")
    local id = hub.publish_numbers(server, "room", 1, 20)
    for _, case in ipairs(cases(id)) do
      local stream = hub.open(server, "room", { last_event_id = case[1] })
      assert.same({
        type = "reset", channel = "room", reason = case[2], to = id, id = id,
        from = case[3] and case[1], missed = case[3],
      }, hub.notice(stream:event()), case[1])
      assert.is_true(stream.parser.events[1].is_chunk)
      assert.is_true(stream:is_silent(0.005))
      stream:close()
    end
  end)

  it("is that reset and the whole history with since = 'earliest'", function()
    local server = hub.start()
    hub.keep(server, "room", "{ history = 5 }")
    local id = hub.publish_numbers(server, "room", 1, 20)
    for _, case in ipairs(cases(id)) do
      local stream = hub.open(server, "room", { last_event_id = case[1], since = "earliest" })
      local notice = hub.notice(stream:event())
      assert.same({ "reset", case[2], further(id, -5), case[3] and case[3] - 5 },
        { notice.type, notice.reason, notice.id, notice.missed }, case[1])
      assert.equal(numbers(16, 20), data(stream, 5))
      assert.is_true(stream:is_silent(0.005))
      stream:close()
    end
  end)

  it("is one reset when the script's since cannot be resumed either, of the reader's own id",
    function()
      local server = hub.start()
      hub.keep(server, "room", "{ history = 5 }")
      local id = hub.publish_numbers(server, "room", 1, 20)
      local stream = hub.open(server, "room", {
        last_event_id = further(id, -10), since = further(id, -15),
      })
      assert.same({
        type = "reset", channel = "room", reason = "expired", to = id, id = id,
        from = further(id, -10), missed = 10,
      }, hub.notice(stream:event()))
      assert.is_true(stream:is_silent(0.01))
      stream:close()
    end)

  it("is a reset to the script's since when that can be resumed", function()
    local server = hub.start()
    hub.keep(server, "room", "{ history = 5 }")
    local id = hub.publish_numbers(server, "room", 1, 20)
    local stream = hub.open(server, "room", {
      last_event_id = further(id, -10), since = further(id, -3),
    })
    local notice = hub.notice(stream:event())
    assert.same({ "expired", further(id, -10), further(id, -3), 7 },
      { notice.reason, notice.from, notice.to, notice.missed })
    assert.equal("18 19 20", data(stream, 3))
    stream:close()
  end)

  it("leaves the reader with an id that it can come back with", function()
    local server = hub.start()
    hub.keep(server, "room", "{ history = 5 }")
    hub.publish_numbers(server, "room", 1, 20)
    local stream = hub.open(server, "room", { last_event_id = "old" })
    assert.equal("reset", stream:event().type)
    stream:close()
    hub.publish_numbers(server, "room", 21, 23)
    stream = hub.open(server, "room", { last_event_id = stream.parser.last_event_id })
    assert.equal("21 22 23", data(stream, 3))
    stream:close()
  end)

  it("is told with the event that the channel names", function()
    local server = hub.start()
    hub.keep(server, "room", "{ reset_event = 'begin anew' }")
    local stream = hub.open(server, "room", { last_event_id = "old" })
    assert.equal("begin anew", stream:event().type)
    stream:close()
  end)

  it("is told with the channel's name as JSON, whatever it is", function()
    local cjson = require "cjson"
    local server = hub.start [[
server:get("/named", function(request, response)
  response.sse:subscribe(lunesse.channel(request.query.name))
end)
]]
    for query, name in pairs {
      ["%22a%22"] = '"a"', ["%5c"] = "\\", ["%5cn"] = "\\n", ["%e6%9c%88"] = "月",
      ["%3c/script%3e"] = "</script>", ["a%2fb"] = "a/b",
    } do
      local stream = server:stream("/named?name=" .. query, { last_event_id = "old" })
      assert.equal(name, cjson.decode(stream:event().data).channel)
      stream:close()
    end
  end)

  it("is a reset to the place at which the reader came, and what came later follows", function()
    local server = hub.start [[
server:get("/", function(_, response)
  local room = env.kept.room
  response.sse:subscribe(room)
  room:publish("after")
end)
]]
    hub.keep(server, "room")
    local id = hub.publish(server, "room", "x")
    local stream = server:stream("/", { last_event_id = "old" })
    assert.equal(id, hub.notice(stream:event()).to)
    assert.equal("after", data(stream, 1))
    assert.equal(further(id, 1), stream.parser.last_event_id)
    stream:close()
  end)
end)

describe("a channel that was there before", function()
  it("is another one after the server was started anew: its ids are of another epoch", function()
    local ids = {}
    for i = 1, 2 do
      local server = hub.start()
      hub.keep(server, "room")
      ids[i] = hub.publish(server, "room", "x")
      local stream = hub.open(server, "room", { last_event_id = ids[1] })
      if i == 2 then
        assert.equal("epoch", hub.notice(stream:event()).reason)
      end
      assert.is_true(stream:is_silent(0.01) or i == 1)
      stream:close()
      server:stop()
    end
    assert.not_equal(hub.parts(ids[1]), (hub.parts(ids[2])))
  end)
end)

describe("an EventSource that is cut off", function()
  -- npm's parser keeps an id only with data, against the standard (HTML, 9.2.6); browsers do not.
  it("comes back to its place though it had seen no event, in a browser", function()
    local server = hub.start [[
server:get("/", function(_, response) response:type("text/html"):send("<title>x</title>") end)
server:get("/live", function(_, response)
  local sse = response.sse
  sse:open { retry = 0.01 }
  sse:subscribe(env.kept.room)
  if not sse.last_event_id then
    lunesse.after(0.05, function()
      sse:close()
      env.kept.room:publish("first")
    end, { detached = true })
  end
end)
]]
    hub.keep(server, "room")
    hub.publish_numbers(server, "room", 1, 3)
    local result = Client.browse(server.url .. "/", [[
      return await new Promise((resolve) => {
        const source = new EventSource('/live')
        source.onmessage = (event) => resolve(event.data)
        source.addEventListener('reset', () => resolve('reset'))
      })
    ]])
    assert.equal("first", result)
  end)

  it("comes back by itself and gets what it missed, each event once", function()
    local server = hub.start [[
server:get("/live", function(_, response)
  response.sse:open { retry = 0.01 }
  response.sse:subscribe(env.kept.room, { since = "earliest" })
  env.kept.live = response.sse
end)
]]
    hub.keep(server, "room")
    hub.publish_numbers(server, "room", 1, 3)
    local client = Client.start("eventsource", { server.url .. "/live", "--types", "reset" })
    for round = 1, 5 do
      client:await("event", 3 * round)
      client:await("open", round)
      run(server, "kept.live:close() for n = %d, %d do kept.room:publish(n) end",
        3 * round + 1, 3 * round + 3)
    end
    client:await("event", 18)
    for n, record in ipairs(client:records("event")) do
      assert.same({ tostring(n), "message" }, { record.data, record.type })
    end
    client:stop()
  end)
end)

describe("a replay", function()
  it("is a subscribe: who may not subscribe is told nothing", function()
    local server = hub.start [[
server:use("/private", function(request, response, next)
  if request.query.key == "good" then return next() end
  response:status(403):send("no\n")
end)
server:get("/private/room", function(_, response)
  response.sse:subscribe(env.kept.room, { since = "earliest" })
end)
]]
    hub.keep(server, "room")
    local id = hub.publish_numbers(server, "room", 1, 3)
    for _, query in ipairs { "", "?last_event_id=" .. further(id, -2), "?since=earliest" } do
      local client = server:connect()
      client:send(wire.request {
        target = "/private/room" .. query,
        headers = { ["Accept"] = "text/event-stream", ["Last-Event-ID"] = further(id, -3) },
      })
      local response = client:response()
      assert.same({ 403, "no\n" }, { response.status, response.body })
      client:close()
    end
    local stream = server:stream("/private/room?key=good", { last_event_id = further(id, -2) })
    assert.equal("2 3", data(stream, 2))
    stream:close()
  end)
end)
