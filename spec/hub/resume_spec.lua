-- Where a subscription begins: what the reader's id says, what the script's `since` says, and the
-- one reset when an id cannot be resumed.

local hub = require "spec.hub.app"
local process = require "spec.hub.support"
local Client = require "spec.support.client"

local run, further, data, numbers = hub.run, hub.further, hub.data, hub.numbers

---What a reader that subscribes so is sent, as words: data, or the type with reason and number
---missed.
local function story(app, options)
  local words = {}
  for i, event in ipairs(hub.open(app, "room", options).events) do
    words[i] = event.data
    if event.type ~= "message" then
      local notice = hub.notice(event)
      words[i] = ("%s %s %s"):format(event.type, notice.reason, tostring(notice.missed))
    end
  end
  return words
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
    local app = hub.start()
    hub.keep(app, "room")
    hub.publish_numbers(app, "room", 1, 5)
    assert.same({}, story(app))
  end)

  it("gets what is published in the turn in which it came, but only after it came", function()
    local app = hub.start [[
server:get("/", function(_, response)
  local room = env.kept.room
  room:publish("before")
  response.sse:subscribe(room)
  room:publish("after")
end)
]]
    hub.keep(app, "room")
    local stream = app:stream("/")
    assert.equal("after", data(stream, 1))
  end)

  it("gets nothing of an empty history with since = 'earliest'", function()
    local app = hub.start()
    hub.keep(app, "room")
    assert.same({}, story(app, { since = "earliest" }))
  end)

  -- Nobody has read before: what a worker with readers has yet to offer them is there a little
  -- longer than the bounds say.
  it("gets everything that there is with since = 'earliest'", function()
    local app = hub.start()
    hub.keep(app, "room", "{ history = 5 }")
    hub.publish_numbers(app, "room", 1, 20)
    assert.same(expected(16, 20), story(app, { since = "earliest" }))
  end)

  it("gets what came after the id in since, which publish or cursor returned", function()
    local app = hub.start()
    hub.keep(app, "room")
    local before = run(app, "return kept.room:cursor()")
    local id = hub.publish_numbers(app, "room", 1, 20)
    for missed, since in pairs { [20] = before, [3] = further(id, -3), [0] = id } do
      local stream = hub.open(app, "room", { since = since })
      assert.equal("", stream.comments[1])
      assert.equal(missed > 0 and numbers(21 - missed, 20) or "", data(stream, missed))
      assert.quiet(stream)
    end
  end)

  it("loses nothing that happens between rendering a page and subscribing", function()
    local app = hub.start [[
server:get("/page", function(_, response)
  response:header("X-Cursor", env.kept.room:cursor()):send("a page")
end)
]]
    hub.keep(app, "room")
    hub.publish_numbers(app, "room", 1, 3)
    local cursor = app:get("/page").headers["x-cursor"]
    hub.publish_numbers(app, "room", 4, 6)
    local stream = hub.open(app, "room", { query = "?last_event_id=" .. cursor })
    assert.equal("4 5 6", data(stream, 3))
    stream = hub.open(app, "room", { since = cursor })
    assert.equal("4 5 6", data(stream, 3))
  end)

  it("is told its place, which is no event, so that it can come back before the first", function()
    local app = hub.start()
    hub.keep(app, "room")
    hub.keep(app, "other")
    hub.publish_numbers(app, "room", 1, 3)
    for round = 1, 3 do
      local since = round == 2 and run(app, "return kept.room:cursor()") or nil
      local stream = hub.open(app, round == 3 and "room,other" or "room", { since = since })
      assert.is_string(stream.id)
      assert.same({}, stream.events)
      stream:leave()
      hub.publish(app, "room", "meanwhile")
      hub.publish(app, "other", "meanwhile")
      stream = hub.open(app, "room", { last_event_id = stream.id })
      assert.equal("meanwhile", data(stream, 1))
    end
  end)

  it("is told its place also where 'earliest' finds nothing, and where it asks for HTTP/1.0",
    function()
      local app = hub.start()
      hub.keep(app, "room")
      local place = run(app, "return kept.room:cursor()")
      for _, version in ipairs { "1.1", "1.0" } do
        local stream = hub.open(app, "room", { since = "earliest", version = version })
        assert.equal(place, stream.id)
      end
    end)

  it("is treated so when its id is empty", function()
    local app = hub.start()
    hub.keep(app, "room")
    hub.publish_numbers(app, "room", 1, 3)
    assert.same({}, story(app, { last_event_id = "" }))
    assert.same({}, story(app, { query = "?last_event_id=" }))
  end)

  it("is reset when the script's since cannot be resumed", function()
    local app = hub.start()
    hub.keep(app, "room", "{ history = 5 }")
    local id = hub.publish_numbers(app, "room", 1, 20)
    assert.same({ "reset malformed nil" }, story(app, { since = "yesterday" }))
    assert.same({ "reset expired 15" }, story(app, { since = further(id, -15) }))
    assert.same({ "reset epoch nil" }, story(app, { since = "1-1" }))
    assert.same({ "reset ahead nil" }, story(app, { since = further(id, 100) }))
  end)
end)

describe("a reader with an id", function()
  it("gets exactly what it missed, wherever it was, and then what is new", function()
    local app = hub.start()
    hub.keep(app, "room")
    local id = hub.publish_numbers(app, "room", 1, 50)
    for missed = 0, 50 do
      local stream = hub.open(app, "room", { last_event_id = further(id, -missed) })
      assert.equal(missed > 0 and numbers(51 - missed, 50) or "", data(stream, missed))
      for i, event in ipairs(stream.events) do
        assert.equal(further(id, i - missed), event.id)
      end
    end
  end)

  it("may bring it in the query, as a new EventSource has no other way, but the header counts",
    function()
      local app = hub.start()
      hub.keep(app, "room")
      local id = hub.publish_numbers(app, "room", 1, 10)
      local stream = hub.open(app, "room", { query = "?last_event_id=" .. further(id, -2) })
      assert.equal("9 10", data(stream, 2))
      stream = hub.open(app, "room", {
        query = "?last_event_id=" .. further(id, -5), last_event_id = further(id, -1),
      })
      assert.equal("10", data(stream, 1))
      hub.publish(app, "room", "live")
      assert.equal("live", data(stream, 1))
    end)

  it("is asked before the script's since, be it an id or 'earliest'", function()
    local app = hub.start()
    hub.keep(app, "room")
    local id = hub.publish_numbers(app, "room", 1, 10)
    for _, since in ipairs { "earliest", further(id, -7), id, "nonsense" } do
      local stream = hub.open(app, "room", { since = since, last_event_id = further(id, -2) })
      assert.equal("9 10", data(stream, 2))
    end
    assert.same({}, story(app, { since = "earliest", last_event_id = id }))
  end)

  it("may be at the oldest place that can still be resumed, and not one before", function()
    local app = hub.start()
    hub.keep(app, "room", "{ history = 5 }")
    local id = hub.publish_numbers(app, "room", 1, 20)
    local stream = hub.open(app, "room", { last_event_id = further(id, -5) })
    assert.equal(numbers(16, 20), data(stream, 5))
    assert.same({ "reset expired 6" }, story(app, { last_event_id = further(id, -6) }))
  end)

  it("resumes though it brings an id of many channels, of which one is here", function()
    local app = hub.start()
    hub.keep(app, "room")
    local id = hub.publish_numbers(app, "room", 1, 10)
    for _, list in ipairs { "1-1,%s", "%s,1-1", "ffff-7,%s,2-2,3-3", "%s,%s" } do
      local stream = hub.open(app, "room", {
        last_event_id = (list:gsub("%%s", further(id, -2))),
      })
      assert.equal("9 10", data(stream, 2))
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
    local app = hub.start(AGAIN)
    hub.keep(app, "room", keep)
    local id = hub.publish_numbers(app, "room", 1, 10)
    local stream = app:stream("/again", { last_event_id = further(id, -2) })
    assert.equal("9 10", data(stream, 2))
    hub.publish_numbers(app, "room", 11, 13)
    assert.equal("11 12 13", data(stream, 3))
    hub.run(app, "kept.live:unsubscribe(kept.room) kept.live:subscribe(kept.room%s)", options)
    hub.publish(app, "room", "new")
    return stream
  end

  it("is a newcomer there: the id that its reader brought was for the first time", function()
    local stream = come_again("")
    assert.equal("new", data(stream, 1))
  end)

  it("is not told of what the channel has lost since", function()
    local stream = come_again("", "{ history = 2 }")
    assert.equal("new", data(stream, 1))
  end)

  it("begins where the script says", function()
    local stream = come_again(", { since = 'earliest' }", "{ history = 3 }")
    assert.equal("11 12 13 new", data(stream, 4))
  end)

  it("brings its id to other channels still", function()
    local app = hub.start(AGAIN)
    hub.keep(app, "room")
    hub.keep(app, "other")
    local room = hub.publish_numbers(app, "room", 1, 10)
    local other = hub.publish_numbers(app, "other", 1, 10)
    local stream = app:stream("/again", {
      last_event_id = further(room, -1) .. "," .. further(other, -2),
    })
    assert.equal("10", data(stream, 1))
    hub.run(app, "kept.live:unsubscribe(kept.room) kept.live:subscribe(kept.other)")
    assert.equal("9 10", data(stream, 2))
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
    local app = hub.start()
    hub.keep(app, "room", "{ history = 5 }")
    local id = hub.publish_numbers(app, "room", 1, 20)
    for _, case in ipairs(cases(id)) do
      local stream = hub.open(app, "room", { last_event_id = case[1] })
      assert.same({
        type = "reset", channel = "room", reason = case[2], to = id, id = id,
        from = case[3] and case[1], missed = case[3],
      }, hub.notice(stream:next()), case[1])
      hub.expect_chunks(stream)
      assert.quiet(stream)
    end
  end)

  it("is that reset and the whole history with since = 'earliest'", function()
    local app = hub.start()
    hub.keep(app, "room", "{ history = 5 }")
    local id = hub.publish_numbers(app, "room", 1, 20)
    for _, case in ipairs(cases(id)) do
      local stream = hub.open(app, "room", { last_event_id = case[1], since = "earliest" })
      local notice = hub.notice(stream:next())
      assert.same({ "reset", case[2], further(id, -5), case[3] and case[3] - 5 },
        { notice.type, notice.reason, notice.id, notice.missed }, case[1])
      assert.equal(numbers(16, 20), data(stream, 5))
      assert.quiet(stream)
    end
  end)

  it("is one reset when the script's since cannot be resumed either, of the reader's own id",
    function()
      local app = hub.start()
      hub.keep(app, "room", "{ history = 5 }")
      local id = hub.publish_numbers(app, "room", 1, 20)
      local stream = hub.open(app, "room", {
        last_event_id = further(id, -10), since = further(id, -15),
      })
      assert.same({
        type = "reset", channel = "room", reason = "expired", to = id, id = id,
        from = further(id, -10), missed = 10,
      }, hub.notice(stream:next()))
      assert.quiet(stream)
    end)

  it("is a reset to the script's since when that can be resumed", function()
    local app = hub.start()
    hub.keep(app, "room", "{ history = 5 }")
    local id = hub.publish_numbers(app, "room", 1, 20)
    local stream = hub.open(app, "room", {
      last_event_id = further(id, -10), since = further(id, -3),
    })
    local notice = hub.notice(stream:next())
    assert.same({ "expired", further(id, -10), further(id, -3), 7 },
      { notice.reason, notice.from, notice.to, notice.missed })
    assert.equal("18 19 20", data(stream, 3))
  end)

  it("leaves the reader with an id that it can come back with", function()
    local app = hub.start()
    hub.keep(app, "room", "{ history = 5 }")
    hub.publish_numbers(app, "room", 1, 20)
    local stream = hub.open(app, "room", { last_event_id = "old" })
    assert.equal("reset", stream:next().type)
    stream:leave()
    hub.publish_numbers(app, "room", 21, 23)
    stream = hub.open(app, "room", { last_event_id = stream.id })
    assert.equal("21 22 23", data(stream, 3))
  end)

  it("is told with the event that the channel names", function()
    local app = hub.start()
    hub.keep(app, "room", "{ reset_event = 'begin anew' }")
    local stream = hub.open(app, "room", { last_event_id = "old" })
    assert.equal("begin anew", stream:next().type)
  end)

  it("is told with the channel's name as JSON, whatever it is", function()
    local cjson = require "cjson"
    local app = hub.start [[
server:get("/named", function(request, response)
  response.sse:subscribe(lunesse.channel(request.query.name))
end)
]]
    for query, name in pairs {
      ["%22a%22"] = '"a"', ["%5c"] = "\\", ["%5cn"] = "\\n", ["%e6%9c%88"] = "月",
      ["%3c/script%3e"] = "</script>", ["a%2fb"] = "a/b",
    } do
      local stream = app:stream("/named?name=" .. query, { last_event_id = "old" })
      assert.equal(name, cjson.decode(stream:next().data).channel)
    end
  end)

  it("is a reset to the place at which the reader came, and what came later follows", function()
    local app = hub.start [[
server:get("/", function(_, response)
  local room = env.kept.room
  response.sse:subscribe(room)
  room:publish("after")
end)
]]
    hub.keep(app, "room")
    local id = hub.publish(app, "room", "x")
    local stream = app:stream("/", { last_event_id = "old" })
    assert.equal(id, hub.notice(stream:next()).to)
    assert.equal("after", data(stream, 1))
    assert.equal(further(id, 1), stream.id)
  end)
end)

describe("a channel that was there before", function()
  it("is another one after the server was started anew: its ids are of another epoch", function()
    local ids = {}
    for i = 1, 2 do
      local server = process.start() -- which draws its epochs by chance
      process.keep(server, "room")
      ids[i] = process.publish(server, "room", "x")
      local stream = process.open(server, "room", { last_event_id = ids[1] })
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
    local server = process.start [[
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
    process.keep(server, "room")
    process.publish_numbers(server, "room", 1, 3)
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
    local server = process.start [[
server:get("/live", function(_, response)
  response.sse:open { retry = 0.01 }
  response.sse:subscribe(env.kept.room, { since = "earliest" })
  env.kept.live = response.sse
end)
]]
    process.keep(server, "room")
    process.publish_numbers(server, "room", 1, 3)
    local client = Client.start("eventsource", { server.url .. "/live", "--types", "reset" })
    for round = 1, 5 do
      client:await("event", 3 * round)
      client:await("open", round)
      process.run(server, "kept.live:close() for n = %d, %d do kept.room:publish(n) end",
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
    local app = hub.start [[
server:use("/private", function(request, response, next)
  if request.query.key == "good" then return next() end
  response:status(403):send("no\n")
end)
server:get("/private/room", function(_, response)
  response.sse:subscribe(env.kept.room, { since = "earliest" })
end)
]]
    hub.keep(app, "room")
    local id = hub.publish_numbers(app, "room", 1, 3)
    for _, query in ipairs { "", "?last_event_id=" .. further(id, -2), "?since=earliest" } do
      app:stream("/private/room" .. query, { last_event_id = further(id, -3) }):expect {
        status = 403, text = "no\n",
      }
    end
    local stream = app:stream("/private/room?key=good", { last_event_id = further(id, -2) })
    assert.equal("2 3", data(stream, 2))
  end)
end)
