-- What `app:stop` complains of: what the app has not ended by itself, each with the place to mend.

require "spec.support.kit"
local test = require "lunesse.test"

local SCRIPT = [[
local lunesse = require "lunesse"
local server = lunesse.server()
local news = lunesse.channel "news"
local running
server:get("/news", function(_, response)
  response.sse:subscribe(news)
  response.sse:send("hello")
  lunesse.every(1, function() end) -- ends with the stream
end)
server:get("/work", function(_, response)
  response.sse:send("hello")
  lunesse.sleep(5000) -- within drain_timeout, so it is waited for
end)
server:get("/slow", function(_, response)
  lunesse.sleep(10000)
  response:send "late"
end)
server:post("/start", function(_, response)
  running = lunesse.every(0.5, function() end)
  response:send "started"
end)
server:post("/stop", function(_, response)
  running:stop()
  response:send "stopped"
end)
server:get("/detached", function(_, response)
  lunesse.every(2, function() end, { detached = true })
  response.sse:send("hello")
end)
server:post("/once", function(_, response)
  lunesse.after(10000, function() end)
  response:send "once"
end)
server:post("/spawn", function(_, response)
  lunesse.spawn(function()
    lunesse.signal():wait()
  end)
  response:send "spawned"
end)
lunesse.every(7, function() end)
lunesse.spawn(function()
  lunesse.sleep(1)
  lunesse.every(8, function() end)
end)
]]

---Stops an app that leaves something behind: the lines that say what.
local function left_by(app)
  local ok, why = pcall(app.stop, app)
  assert.is_false(ok)
  why = tostring(type(why) == "table" and why.message or why)
  local lines = {}
  for line in why:match("the app has left something behind:(.*)"):gmatch("\n  (worker[^\n]*)") do
    lines[#lines + 1] = line
  end
  return lines
end

describe("an app that is stopped", function()
  local function load(options)
    return test.load({ ["a.lua"] = SCRIPT }, options)
  end

  it("names a repeating timer that a handler has set up, and where", function()
    local app = load()
    app:post("/start"):expect(200)
    assert.same({ "worker 1: a timer that fires every 0.5 s, set up by a handler at a.lua:19" },
      left_by(app))
  end)

  it("names one that outlives its stream, or its scripts", function()
    local app = load { workers = 2 }
    app:stream("/detached", { worker = 2 }):leave()
    assert(app:reload())
    app:advance(100)
    app:post("/start", { worker = 1 }):expect(200)
    assert.same({
      "worker 1: a timer that fires every 0.5 s, set up by a handler at a.lua:19",
      "worker 2: a timer that fires every 2 s, set up by a handler at a.lua:27",
    }, left_by(app))
  end)

  it("does not complain of timers that end, or are the scripts' own", function()
    local app = load()
    app:post("/start"):expect(200)
    app:post("/stop"):expect(200)
    app:post("/once"):expect(200)
    app:stream("/news"):leave()
    app:advance(20)
    app:stop()
  end)

  it("names requests and streams that go on, and since when", function()
    local app = load { limits = { drain_timeout = 7200 } }
    app:send("GET", "/slow?fast=1")
    app:advance(10)
    app:stream("/work")
    app:stream("/news") -- is ended in order
    local lines = left_by(app)
    table.sort(lines)
    assert.same({
      "worker 1: GET /slow?fast=1, a request under way for 3610 s",
      "worker 1: GET /work, an event stream that is open for 3600 s",
    }, lines)
  end)

  it("names a request that drain_timeout has cut off, and no stream of a slow reader", function()
    local app = load()
    app:send("GET", "/slow")
    app:stream("/news", { window = 10 })
    local lines = left_by(app)
    assert.equal(1, #lines)
    assert.matches("^worker 1: GET /slow, a request under way for [%d.]+ s$", lines[1])
  end)

  it("names a task that goes on, and where it was spawned", function()
    local app = load()
    app:post("/spawn"):expect(200)
    assert.same({ "worker 1: a task that goes on, spawned at a.lua:35" }, left_by(app))
  end)
end)
