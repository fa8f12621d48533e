-- What the shipped scripts may use up at most, and what they say where that is used up, in the test
-- kit: a script beside them fills groups of channels, channels and shared stores.

local clock = require "spec.support.clock"
local test = require "lunesse.test"

local SCRIPT = [[
local lunesse = require "lunesse"
local server = lunesse.server()
local kept = { store = lunesse.shared("model", { bytes = 8 * 1024 * 1024 }) }

-- Makes channels in the group until it is refused one, or until there are `max`: says how many.
server:get("/-/channels/:group", function(request, response)
  local group, count = request.params.group, 0
  local max = tonumber(request.query.max) or math.huge
  while count < max do
    local channel = lunesse.channel("filler-" .. count, { group = group })
    if not channel then break end
    count = count + 1
    kept[count] = channel
    if count % 500 == 0 then lunesse.sleep(0) end
  end
  response:send(count)
end)

-- Publishes one event in the group, which is too large for it.
server:get("/-/event/:group", function(request, response)
  local channel = lunesse.channel("large", { group = request.params.group, bytes = 1 << 30 })
  response:send(select(2, channel:publish(("x"):rep(tonumber(request.query.size)))))
end)

-- Puts values into the store until it is refused: says how many bytes.
server:get("/-/store/*name", function(request, response)
  local store, total = lunesse.shared(request.params.name), 0
  for _, size in ipairs { 1 << 16, 1 << 10, 1 } do
    while store:set(tostring(total), ("x"):rep(size)) do total = total + size end
  end
  response:send(total)
end)

-- Publishes `count` events of `size` bytes to the channel, which is made if it is not there.
server:get("/-/publish/*name", function(request, response)
  local channel = lunesse.channel(request.params.name)
  kept[#kept + 1] = channel
  for _ = 1, tonumber(request.query.count) do
    channel:publish(("x"):rep(tonumber(request.query.size)))
  end
  response:send("published")
end)

server:get("/-/bound/*name", function(request, response)
  kept[#kept + 1] = lunesse.channel(request.params.name, {
    history = tonumber(request.query.history), bytes = tonumber(request.query.bytes),
  })
  response:send("bound")
end)

server:get("/-/finish/*name", function(request, response)
  lunesse.channel(request.params.name):finish()
  response:send("finished")
end)
]]

local TOKEN = "correct-horse-battery-staple"

local app

---Loads a script, what else it has, and the one that fills.
local function start(...)
  local files = { ["ceilings.lua"] = SCRIPT }
  for _, name in ipairs { ... } do
    local file <close> = assert(io.open("scripts/" .. name, "rb"))
    files[name] = file:read("a")
  end
  app = test.load(files, {
    env = { LUNESSE_PUBLISH_TOKEN = TOKEN },
    limits = { run_timeout = 2 * clock.slow }, -- one event is 64 MiB, which a sanitizer looks at
  })
end

---What the script that fills answers, which may be a number.
local function fill(path)
  local text = app:get("/-/" .. path):expect(200):text()
  return tonumber(text) or text
end

local function has_met(limit, at)
  assert.logged { message = "a limit is met", fields = { limit = limit, at = at } }
end

---Says something in a room of the chat, or asks for its stream.
local function say(room)
  return app:post("/chat/" .. room, { json = { name = "Ada", text = "x" } })
end

local function join(room, last_event_id)
  return app:stream("/chat/" .. room .. "/events", { last_event_id = last_event_id })
end

after_each(function()
  app:stop()
  assert.same({}, app:log { level = "error" })
end)

describe("a room of the chat", function()
  before_each(function()
    start("chat.lua", "chat.html")
  end)

  it("keeps 256 KiB of messages", function()
    say("sea"):expect(201) -- so that the room is there
    fill("bound/model?history=500&bytes=" .. 256 * 1024)
    for size = 550, 690, 20 do
      local counts = {}
      for i, name in ipairs { "model", "chat/sea" } do
        fill(("publish/%s?count=500&size=%d"):format(name, size))
        counts[i] = #app:channel(name).history
      end
      assert.equal(counts[1], counts[2], size)
      assert.is_true(counts[1] < 500)
    end
  end)

  it("keeps a hundred changes of presence; who missed more is told so by a name of its own",
    function()
      local stream = join("sea")
      say("sea")
      app:advance(0.2)
      assert.event(stream, "said")
      stream:leave()
      say("sea")
      fill("publish/chat/sea/presence?count=150&size=1")
      assert.equal(100, #app:channel("chat/sea/presence").history)
      stream = stream:reconnect()
      assert.event(stream, "recounted", { channel = "chat/sea/presence", reason = "expired" })
      assert.event(stream, "said")
      assert.no.event(stream, "said")
      assert.no.event(stream, "reset")
    end)

  it("takes no message once it is finished", function()
    say("sea"):expect(201)
    fill("finish/chat/sea")
    say("sea"):expect { status = 503, json = { error = "finished" } }
  end)
end)

describe("all rooms of the chat together", function()
  local REFUSED = { status = 503, json = { error = "the group has as many channels as it may" } }

  before_each(function()
    start("chat.lua", "chat.html")
  end)

  it("have ten thousand channels: one each, and one more where somebody reads", function()
    assert.equal(9999, fill("channels/chat?max=9999"))
    say("last"):expect(201)
    join("last"):expect(REFUSED)
    say("more"):expect(REFUSED)
    join("more"):expect(REFUSED)
  end)

  it("hold 64 MiB", function()
    fill("event/chat?size=" .. 65 * 1024 * 1024)
    has_met("group_bytes", 64 * 1024 * 1024)
  end)

  it("may be opened by all once the list of who opened them has its 8 MiB", function()
    local model, opened = fill("store/model"), fill("store/chat/opened")
    assert.is_true(math.abs(model - opened) < 4 * 1024, opened)
    for n = 1, 101 do
      say("room-" .. n):expect(201)
    end
  end)
end)

describe("the channels that others publish to", function()
  it("hold 64 MiB together", function()
    start("publish.lua")
    assert.equal("the group's channels hold as many bytes as they may",
      fill("event/published?size=" .. 65 * 1024 * 1024))
    has_met("group_bytes", 64 * 1024 * 1024)
  end)
end)

describe("a topic that is polled", function()
  it("takes no message once it is finished, and polls are answered at once", function()
    start("poll.lua")
    app:post("/poll/news", { json = { text = "one" } }):expect(201)
    fill("finish/poll/news")
    app:post("/poll/news", { json = { text = "two" } }):expect {
      status = 503, json = { error = "finished" },
    }
    local began = app:now()
    assert.equal(1, #app:get("/poll/news?wait=20"):json().events)
    assert.equal(began, app:now())
  end)
end)
