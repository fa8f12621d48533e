-- The C half of the test kit: the engine in the process of a spec, without a socket and in a time
-- that the spec moves. What it is used for is in the Lua half; here it is driven by bytes.

local Process = require "spec.support.process"
local Server = require "spec.support.server"

local MODULE = (os.getenv("LUNESSE_BUILD") or "build/debug") .. "/lunesse-lua/lunesse/test.so"

-- The library of a sanitizer must be loaded before everything else, so a program that was built
-- without one is started anew.
if Server.is_sanitized() and not os.getenv("LD_PRELOAD") then
  describe("the engine of the test kit", function()
    it("holds all of this with a sanitizer", function()
      local _, needed = Process.run { "ldd", MODULE }
      local library = needed:match("=> (%S*/lib[at]san%.so%S*)")
      if not library then
        return pending("this compiler has its sanitizer in programs alone")
      end
      local code, out, err = Process.run({ "lua5.4", "/usr/bin/busted", "spec/kit/core_spec.lua" },
        { env = { LD_PRELOAD = library }, seconds = 120 })
      assert.equal(0, code, out .. err)
    end)
  end)
  return
end

local core = require "lunesse.test.core"

local START = 1893456000 -- 2030-01-01T00:00:00Z

local SCRIPT = [[
local lunesse = require "lunesse"
local server, room = lunesse.server(), lunesse.channel "room"
server:get("/", function(_, response) response:send "hello" end)
server:get("/time", function(_, response)
  response:send(("%d %s %g %g"):format(os.time(), os.date "!%FT%T", os.clock(), lunesse.now()))
end)
server:get("/sleep", function(_, response)
  lunesse.sleep(3600)
  response:send "awake"
end)
server:post("/say", function(request, response)
  response:send(room:publish(request:text()))
end)
server:get("/events", function(_, response)
  response.sse:subscribe(room, { since = "earliest" })
end)
server:get("/worker", function(_, response)
  response:send(tostring(lunesse.worker))
end)
server:post("/echo", function(request, response) response:send(tostring(#request:text())) end)
server:get("/log", function(_, response)
  lunesse.log.warn("from a script", { count = 7 })
  response:send "logged"
end)
server:get("/exit", function() os.exit(3) end)
]]

local apps = {}

local function load_app(options)
  if type(options) == "string" then
    options = { files = { ["a.lua"] = options } }
  end
  options = options or { files = { ["a.lua"] = SCRIPT } }
  local app, why = core.load(options)
  if app then
    apps[#apps + 1] = app
  end
  return app, why
end

---Sends a request and returns the connection once the app is at rest.
local function ask(app, target, fields, options)
  local conn = assert(app:connect(options))
  conn:send(("%s HTTP/1.1\r\nHost: a\r\n%s\r\n"):format(target, fields or ""))
  app:turn()
  return conn
end

---The body of an answer with a length.
local function get(app, path, options)
  local text = ask(app, "GET " .. path, "Connection: close\r\n", options):take()
  return text:match("\r\n\r\n(.*)$"), text
end

local function post(app, path, body)
  local conn = ask(app, "POST " .. path, ("Content-Length: %d\r\n"):format(#body))
  conn:send(body)
  app:turn()
  return conn:take():match("\r\n\r\n(.*)$")
end

---The record with this message.
local function logged(app, message)
  for _, record in ipairs(app:log()) do
    if record.message == message then
      return record
    end
  end
end

describe("the engine of the test kit", function()
  after_each(function()
    for i = #apps, 1, -1 do
      assert.is_true(table.remove(apps, i):stop())
    end
  end)

  it("serves without a socket", function()
    local app = load_app()
    local body, text = get(app, "/")
    assert.equal("hello", body)
    assert.matches("^HTTP/1.1 200 OK\r\n", text)
    assert.matches("\r\nDate: Tue, 01 Jan 2030 00:00:00 GMT\r\n", text)
  end)

  it("says why scripts cannot be loaded", function()
    local app, why = load_app("local x = 1 +")
    assert.is_nil(app)
    assert.matches("a.lua:1: unexpected symbol near <eof>", why, 1, true)
    assert.matches("cannot read /no/such/folder", select(2, load_app { path = "/no/such/folder" }))
    assert.matches("no such limit", select(2, load_app {
      files = { ["a.lua"] = SCRIPT }, arguments = { "--limit", "bodies=1" },
    }))
    assert.matches("expected", select(2, load_app { files = { ["../a.lua"] = SCRIPT } }))
  end)

  it("has a clock that stands still and is moved", function()
    local app = load_app()
    assert.equal("1893456000 2030-01-01T00:00:00 0 1.89346e+09", (get(app, "/time")))
    app:advance(90.5)
    assert.equal(START + 90.5, app:now())
    assert.matches("^1893456090 2030%-01%-01T00:01:30 90.5 ", (get(app, "/time")))
    local early = load_app { files = { ["a.lua"] = SCRIPT }, time = 0 }
    assert.matches("^0 1970%-01%-01T00:00:00 0 0$", (get(early, "/time")))
  end)

  it("sleeps in no time, and says when it wakes", function()
    local app = load_app()
    local conn = ask(app, "GET /sleep")
    assert.equal("", conn:take())
    assert.is_true(app:next() <= 3600)
    app:advance(3599.9)
    assert.equal("", conn:take())
    app:advance(0.1)
    assert.matches("awake$", conn:take())
  end)

  it("streams events, and heartbeats when time passes", function()
    local app = load_app()
    local conn = ask(app, "GET /events")
    assert.matches("text/event%-stream", conn:take())
    post(app, "/say", "hello")
    assert.matches("data: hello\n", conn:take())
    app:advance(15)
    assert.matches("\n:\n\n", conn:take())
    local channel = app:channel("room")
    assert.same({ 1, 1, 1, false },
      { channel.first, channel.last, channel.readers, channel.finished })
    assert.equal("hello", channel.events[1].data)
    assert.matches("^%x+%-1$", channel.events[1].id)
    conn:leave()
    app:turn()
    assert.equal(0, app:channel("room").readers)
    assert.equal("reset", conn:state())
    assert.is_nil(app:channel("none"))
  end)

  it("gives the same ids each time", function()
    local ids = {}
    for i = 1, 2 do
      local app = load_app()
      ids[i] = post(app, "/say", "x")
    end
    assert.equal(ids[1], ids[2])
  end)

  it("waits while a peer takes nothing, and goes on", function()
    local app = load_app()
    local conn = ask(app, "GET /", nil, { window = 20 })
    assert.equal("HTTP/1.1 200 OK\r\nDat", conn:take())
    conn:window(1)
    app:turn()
    assert.equal("e", conn:take())
    conn:window()
    app:turn()
    assert.matches("hello$", conn:take())
  end)

  it("reads a body in pieces, and one of megabytes", function()
    local app = load_app()
    local conn = ask(app, "POST /echo", "Content-Length: 6\r\n")
    conn:send("abc")
    app:turn()
    assert.equal("", conn:take())
    conn:send("def")
    app:turn()
    assert.matches("\r\n\r\n6$", conn:take())
    assert.equal("1000000", post(app, "/echo", ("x"):rep(1000000)))
  end)

  it("closes as peers see it", function()
    local app = load_app()
    local conn = ask(app, "GET /", "Connection: close\r\n")
    assert.equal("closed", conn:state())
    conn = ask(app, "GET /")
    assert.equal("open", conn:state())
    conn:finish()
    app:turn()
    assert.equal("closed", conn:state())
    assert.same({}, app:left())
    conn = ask(app, "GET /sleep")
    assert.same({ "worker 1: GET /sleep, a request under way for 0 s" }, app:left())
    conn:leave()
    app:turn()
    assert.same({}, app:left())
  end)

  it("logs records instead of lines", function()
    local app = load_app()
    app:log()
    app:advance(1)
    get(app, "/log")
    local records = app:log()
    assert.equal("from a script", records[1].message)
    assert.equal("warn", records[1].level)
    assert.equal(START + 1, records[1].time)
    assert.equal(7, tonumber(records[1].fields.count))
    assert.equal("/log", records[2].fields.target)
    assert.same({}, app:log())
  end)

  it("has workers, in turn or by number", function()
    local app = load_app { files = { ["a.lua"] = SCRIPT }, workers = 2 }
    assert.equal("1", (get(app, "/worker")))
    assert.equal("2", (get(app, "/worker")))
    assert.equal("2", (get(app, "/worker", { worker = 2 })))
    local readers = {}
    for i = 1, 2 do
      readers[i] = ask(app, "GET /events", nil, { worker = i })
      assert.equal(i, readers[i]:worker())
    end
    post(app, "/say", "to all")
    for i = 1, 2 do
      assert.matches("data: to all\n", readers[i]:take())
    end
    assert.error_matches(function() app:connect { worker = 3 } end, "no such worker")
  end)

  it("reloads other scripts, or says why not", function()
    local app = load_app()
    local ok, why = app:reload { files = { ["a.lua"] = "error 'broken'" } }
    assert.is_nil(ok)
    assert.matches("a.lua:1: broken", why, 1, true)
    assert.equal("hello", (get(app, "/")))
    assert.is_true(app:reload { files = { ["b.lua"] = SCRIPT:gsub("hello", "anew") } })
    assert.equal("anew", (get(app, "/")))
    assert.is_true(app:reload())
    app:signal("HUP")
    assert.equal("anew", (get(app, "/")))
  end)

  it("drains on SIGTERM: streams end, and nobody is let in", function()
    local app = load_app()
    local conn = ask(app, "GET /events")
    app:signal("TERM")
    app:advance(30)
    assert.equal("closed", conn:state())
    assert.same({}, app:left())
    local refused, why = app:connect()
    assert.is_nil(refused)
    assert.equal("connection refused: the app is stopping", why)
  end)

  it("says which tasks are left", function()
    local app = load_app(SCRIPT .. [[server:get("/spawn", function(_, response)
      lunesse.spawn(function() lunesse.sleep(60) end)
      response:send "spawned"
    end)]])
    get(app, "/spawn")
    local left, may_end = app:left()
    assert.same({ "worker 1: a task that goes on, spawned at a.lua:27" }, left)
    assert.is_true(may_end)
    app:advance(60)
    left, may_end = app:left()
    assert.same({}, left)
    assert.is_false(may_end)
  end)

  it("says which connections are left, each by its request", function()
    local app = load_app()
    app:connect():send("GET /sl")
    app:connect():send("GET /sleep?a=1 HTTP/1.1\r\nHost: a\r\n\r\n")
    app:turn()
    app:advance(2.5)
    app:connect():send("GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
    app:turn()
    app:advance(1)
    local left, may_end = app:left()
    table.sort(left)
    assert.same({
      "worker 1: 1 connections without a request",
      "worker 1: GET /events, an event stream that is open for 1 s",
      "worker 1: GET /sleep?a=1, a request under way for 3.5 s",
    }, left)
    assert.is_true(may_end)
  end)

  it("does not end the process for os.exit", function()
    local app = load_app()
    assert.matches("^HTTP/1.1 500 ", select(2, get(app, "/exit")))
    local why = logged(app, "script error").fields.error
    assert.matches("os.exit would end the server", why, 1, true)
  end)

  it("refuses the scripts memory, and gives it again", function()
    local app = load_app()
    assert.is_true(app:fail("memory", true))
    assert.matches("^HTTP/1.1 500 ", ask(app, "GET /time"):take()) -- which makes a string
    assert.matches("^HTTP/1.1 500 ", ask(app, "GET /"):take()) -- which makes nothing
    assert.matches("not enough memory", logged(app, "script error").fields.error, 1, true)
    assert.is_true(app:fail("memory", false))
    assert.equal("hello", (get(app, "/")))
    app:fail "memory"
    assert.is_nil((app:reload()))
    app:fail("memory", false)
    assert.is_true(app:reload())
    assert.equal("hello", (get(app, "/")))
    assert.same({ nil, "no such fault: there are memory and run_timeout" }, { app:fail "disk" })
  end)

  it("strikes the next run as run_timeout does, and no other", function()
    local app = load_app()
    app:log()
    app:fail "run_timeout"
    assert.matches("^HTTP/1.1 500 ", select(2, get(app, "/")))
    local why = logged(app, "script error").fields.error
    assert.matches("ran for more than run_timeout", why, 1, true)
    assert.equal("hello", (get(app, "/")))
  end)

  it("ends an endless loop of a script by CPU time, and leaves the host's hook alone", function()
    local app = load_app {
      files = { ["a.lua"] = SCRIPT .. 'server:get("/loop", function() while true do end end)' },
      arguments = { "--limit", "run_timeout=0.05" },
    }
    local lines = 0
    debug.sethook(function() lines = lines + 1 end, "l")
    local text = select(2, get(app, "/loop"))
    local hook, mask = debug.gethook()
    debug.sethook()
    assert.matches("^HTTP/1.1 500 ", text)
    assert.equal("l", mask)
    assert.is_function(hook)
    assert.is_true(lines > 0)
  end)

  it("has variables of its own, before those of the process", function()
    local script = SCRIPT .. [[server:get("/env", function(_, response)
      response:send(("%s %s"):format(os.getenv "KEY", os.getenv "PATH" ~= nil))
    end)]]
    local app = load_app { files = { ["a.lua"] = script }, env = { KEY = "7", OTHER = "x" } }
    assert.equal("7 true", (get(app, "/env")))
    assert.equal("nil true", (get(load_app { files = { ["a.lua"] = script } }, "/env")))
  end)

  -- glibc counts what the caches of a thread keep as given out, and they fill slowly: without them
  -- the bytes are the same each time.
  it("leaves memory where it was, after a hundred loads", function()
    local posix = package.searchpath("spec_posix", package.cpath)
    local code, out, err = Process.run(
      { "lua5.4", "spec/kit/loads.lua", MODULE, "100", SCRIPT, posix },
      { env = { GLIBC_TUNABLES = "glibc.malloc.tcache_count=0" } }
    )
    assert.equal(0, code, err)
    local bytes, descriptors = {}, {}
    for memory, count in out:gmatch("(%d+)\t(%d+)\n") do
      bytes[#bytes + 1], descriptors[#descriptors + 1] = memory, count
    end
    assert.equal(bytes[2], bytes[4]) -- what the first loads keep for later ones is there
    assert.equal(descriptors[1], descriptors[4])
  end)

  it("lets two apps live side by side", function()
    local one, other = load_app(), load_app()
    one:advance(100)
    post(one, "/say", "for one")
    assert.equal(START, other:now())
    assert.equal(0, #other:channel("room").events)
    assert.equal("hello", (get(other, "/")))
    assert.equal("/", other:log()[1].fields.target)
    assert.equal("/say", one:log()[1].fields.target)
  end)

  it("stops twice, and then only says so", function()
    local app = core.load { files = { ["a.lua"] = SCRIPT } }
    local conn = ask(app, "GET /")
    assert.is_true(app:stop())
    assert.is_true(app:stop())
    assert.matches("hello$", conn:take())
    assert.equal("closed", conn:state())
    conn:send("more")
    conn:leave()
    assert.error_matches(function() app:turn() end, "the app has been stopped")
  end)

  it("tells at its end what was logged since the log was taken last", function()
    local app = core.load { files = { ["a.lua"] = [[
local lunesse = require "lunesse"
lunesse.spawn(function()
  local _ <close> = setmetatable({}, { __close = function() error "not closed" end })
  lunesse.sleep(60)
end)
]] } }
    app:turn()
    app:log()
    local ok, why, records = app:stop()
    assert.is_true(ok)
    assert.is_nil(why)
    assert.equal("a closing variable failed", records[1].message)
    assert.matches("a.lua:3: not closed", records[1].fields.error)
  end)
end)
