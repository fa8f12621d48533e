-- Timers, sleep, and what may wait where.

local apps = require "spec.support.app"
local support = require "spec.sse.support"

local start, get, marks, expect_marks = apps.start, apps.get, apps.marks, apps.expect_marks

describe("after", function()
  it("runs its function once, no earlier than asked, in the order of time", function()
    local app = start [[
local began = lunesse.clock()
local function at(seconds, name)
  lunesse.after(seconds, function()
    assert(lunesse.clock() - began >= seconds - 0.001)
    mark(name)
  end)
end
at(60, "third") at(0, "first") at(30, "second")
]]
    app:advance(50)
    expect_marks(app, { "first", "second" })
    app:advance(10)
    expect_marks(app, { "first", "second", "third" })
  end)

  it("can be stopped before, and says whether it still ran", function()
    local app = start [[
server:get("/", function(_, response)
  local timer = lunesse.after(0.02, function() mark("no") end)
  local other = lunesse.after(0, function() mark("yes") end)
  mark(tostring(timer.active), tostring(timer:stop()), tostring(timer:stop()),
    tostring(timer.active))
  lunesse.sleep(0.04)
  mark(tostring(other:stop()), tostring(other.active))
  response:send("x")
end)
]]
    get(app, "/")
    expect_marks(app, { "true true false false", "yes", "false false" })
  end)

  it("may wait in its function, and be stopped by it", function()
    local app = start [[
local timer
timer = lunesse.after(0, function()
  mark(tostring(timer:stop()))
  lunesse.sleep(1)
  mark("slept")
end)
]]
    app:advance(1)
    expect_marks(app, { "false", "slept" })
  end)
end)

describe("every", function()
  it("keeps its phase, without drift, however long its function takes", function()
    local app = start([[
local began
lunesse.every(10, function()
  local now = lunesse.clock()
  began = began or now - 10
  mark(math.floor((now - began) / 10 + 0.5))
  lunesse.sleep(3)
end)
]], { workers = 1 })
    -- Time is moved in steps that have nothing to do with the interval.
    for _ = 1, 26 do
      app:advance(4)
    end
    expect_marks(app, { "1", "2", "3", "4", "5", "6", "7", "8", "9", "10" })
  end)

  it("never overlaps itself: while its function waits, its turns pass", function()
    local app = start([[
local inside, turns = 0, 0
local timer
timer = lunesse.every(1, function()
  inside = inside + 1
  turns = turns + 1
  mark("in", inside)
  lunesse.sleep(5.5)
  inside = inside - 1
end)
]])
    app:advance(12)
    expect_marks(app, { "in 1", "in 1" })
  end)

  it("does not run once for each interval that was missed", function()
    -- A process, because the time of an app goes from one timer to the next.
    local server = support.start([[
lunesse.every(1, function() mark("turn") end)
]], { clock = true })
    server:advance(100.5)
    support.await_marks(server, { "turn" })
    server:advance(1)
    support.await_marks(server, { "turn", "turn" })
  end)

  it("goes on after an error, which is only logged", function()
    local app = start([[
local n = 0
local timer
timer = lunesse.every(1, function()
  n = n + 1
  mark(n)
  if n == 3 then timer:stop() end
  error("turn " .. n)
end)
server:get("/", function(_, response) response:send("alive") end)
]], { workers = 1 })
    app:advance(10)
    expect_marks(app, { "1", "2", "3" })
    assert.equal("alive", get(app, "/"))
    local errors = apps.script_errors(app)
    assert.equal(3, #errors)
    assert.matches("^script.lua:7: turn 2\n", errors[2])
  end)

  it("ends in the middle of its own turn when it is stopped there", function()
    local app = start [[
local timer
timer = lunesse.every(1, function()
  timer:stop()
  collectgarbage()
  lunesse.sleep(5)
  collectgarbage()
  mark("once", tostring(timer.active))
end)
]]
    app:advance(10)
    expect_marks(app, { "once false" })
  end)

  it("runs on although no variable names it", function()
    local app = start [[
local n = 0
lunesse.every(1, function() n = n + 1 if n <= 3 then mark(n) end collectgarbage() end)
]]
    app:advance(10)
    expect_marks(app, { "1", "2", "3" })
  end)
end)

describe("timers", function()
  it("raise for what is no duration, function or option, at the caller's line", function()
    local app = start [[
server:get("/", function(_, response)
  for _, arguments in ipairs {
    { "x", print }, { -1, print }, { 0/0, print }, { 1/0, print }, { 1 }, { 1, "x" },
    { 1, print, { detach = true } }, { 1, print, 5 }, { nil, print },
  } do
    mark(tostring((pcall(lunesse.after, table.unpack(arguments, 1, 3)))))
    mark(tostring((pcall(lunesse.every, table.unpack(arguments, 1, 3)))))
  end
  mark(tostring((pcall(lunesse.every, 0, print))))
  for _, bad in ipairs { "x", -1, 0/0, {} } do mark(tostring((pcall(lunesse.sleep, bad)))) end
  mark(select(2, pcall(function() lunesse.after("x", print) end)))
  response:send("x")
end)
]]
    get(app, "/")
    local list = marks(app)
    assert.equal(24, #list)
    for i = 1, 23 do
      assert.equal("false", list[i], i)
    end
    assert.matches("script.lua:11: bad argument #1 to 'after'", list[24])
  end)

  it("made by the thousand fire all", function()
    local app = start [[
local n = 0
server:get("/", function(_, response)
  for i = 1, 5000 do lunesse.after(i % 50 / 1000, function() n = n + 1 end) end
  lunesse.sleep(0.08)
  while n < 5000 do lunesse.sleep(0.005) end
  response:send(tostring(n))
end)
]]
    assert.equal("5000", get(app, "/"))
  end)

  it("made while the script loads start when it is served, and stop with the server", function()
    local app = start [[
lunesse.after(0, function() mark("after") end)
lunesse.every(0.01, function() lunesse.sleep(100) end)
lunesse.after(1000, print)
]]
    expect_marks(app, { "after" })
    app:stop()
  end)
end)

describe("sleep", function()
  it("lets others run, and returns nothing", function()
    local app = start [[
server:get("/slow", function(_, response)
  mark("slow", select("#", lunesse.sleep(0.05)))
  response:send("slow")
end)
server:get("/quick", function(_, response) mark("quick") response:send("quick") end)
]]
    local answer = app:send("GET", "/slow")
    assert.equal("quick", get(app, "/quick"))
    assert.equal("slow", answer:wait():text())
    expect_marks(app, { "quick", "slow 0" })
  end)

  it("of zero seconds lets a turn pass", function()
    local app = start [[
server:get("/", function(_, response)
  lunesse.after(0, function() mark("other") end)
  for _ = 1, 3 do lunesse.sleep(0) end
  mark("self")
  response:send("x")
end)
]]
    get(app, "/")
    expect_marks(app, { "other", "self" })
  end)

  it("that ends with its reader leaves its coroutine to others, who are bounded as ever", function()
    local app = start([[
local function wait(response, close)
  local guard <close> = setmetatable({}, { __close = close })
  response.sse:open()
  mark("open")
  lunesse.sleep(3600)
end
server:get("/wait", function(_, response) wait(response, function() mark("closed") end) end)
server:get("/fail", function(_, response) wait(response, function() error("broken") end) end)
server:get("/", function(_, response) lunesse.sleep(0) response:send("fine") end)
server:get("/loop", function() while true do end end)
]], { limits = { run_timeout = 0.1 } })
    for i, target in ipairs { "/wait", "/fail", "/wait" } do
      app:stream(target):leave()
      assert.equal(i, #app:log { fields = { reason = "left" } })
      assert.equal("fine", get(app, "/"))
    end
    expect_marks(app, { "open", "closed", "open", "open", "closed" })
    assert.equal(1, #app:log("a closing variable failed"))
    app:get("/loop"):expect(500)
    assert.equal("fine", get(app, "/"))
  end)

  it("raises where nothing can wait, and says so", function()
    local app = start [[
server:get("/", function(_, response)
  local t = { 3, 1, 2 }
  mark(select(2, pcall(table.sort, t, function() lunesse.sleep(0.001) end)))
  local object = setmetatable({}, { __index = function() lunesse.sleep(0.001) return "waited" end })
  mark(object.field)
  mark((("x"):gsub("x", function() return tostring((pcall(lunesse.sleep, 0.001))) end)))
  response:send("x")
end)
]]
    get(app, "/")
    local message = "sleep can only wait inside a handler, timer, task or callback"
    local list = marks(app)
    assert.equal("script.lua:3: " .. message .. "; not inside the C function 'table.sort', " ..
      "called at script.lua:3: wait before it is called, or after it has returned",
      (list[1]:gsub("/[^ ]*/script%.lua", "script.lua")))
    assert.same({ "waited", "false" }, { list[2], list[3] })
  end)

  it("may be called in pcall, in iterators and in coroutines of the script", function()
    local app = start [[
server:get("/", function(_, response)
  mark(tostring(pcall(lunesse.sleep, 0.001)))
  mark(tostring(pcall(function() lunesse.sleep(0.001) error("after", 0) end)))
  for n in coroutine.wrap(function()
    for n = 1, 3 do lunesse.sleep(0.001) coroutine.yield(n) end
  end) do mark(n) end
  response:send("x")
end)
]]
    get(app, "/")
    expect_marks(app, { "true", "false", "1", "2", "3" })
  end)
end)

describe("coroutines of the script", function()
  it("may wait and send inside a handler: a generator that streams", function()
    local app = start [[
server:get("/", function(_, response)
  local sse = response.sse
  local tokens = coroutine.wrap(function(first)
    mark("first", first)
    for n = 1, 3 do
      lunesse.sleep(0.002)
      sse:send("inner " .. n)
      mark("got", coroutine.yield(n, "and"))
    end
    return "end"
  end)
  mark(tokens("a"))
  mark(tokens("b"))
  mark(tokens("c"))
  mark(tokens("d"))
  sse:close()
end)
]]
    local stream = app:stream("/")
    for n = 1, 3 do
      app:advance(0.002)
      assert.next_event(stream, "message", "inner " .. n)
    end
    assert.ended(stream, "complete")
    expect_marks(app, { "first a", "1 and", "got b", "2 and", "got c", "3 and", "got d", "end" })
  end)

  it("may be nested, several at a time, and wait at every depth", function()
    local app = start [[
local function nest(depth)
  if depth == 0 then lunesse.sleep(0.001) coroutine.yield("deep") return "bottom" end
  local inner = coroutine.wrap(nest)
  local first = inner(depth - 1)
  lunesse.sleep(0.001)
  coroutine.yield(first .. depth)
  return inner()
end
server:get("/", function(_, response)
  local one, two = coroutine.wrap(nest), coroutine.wrap(nest)
  mark(one(3), two(2))
  mark(one(), two())
  response:send("x")
end)
]]
    get(app, "/")
    assert.equal("deep123 deep12", marks(app)[1])
    assert.equal(2, #marks(app))
  end)

  it("wait for a slow reader as the handler itself would", function()
    local app = start [[
server:get("/", function(_, response)
  local sse = response.sse
  local body = coroutine.create(function()
    for n = 1, 600 do assert(sse:send(n, "e", ("x"):rep(10000)) == true) end
    return "sent"
  end)
  mark(coroutine.resume(body) and "resumed", coroutine.status(body))
  sse:close()
end)
]]
    local stream = app:stream("/", { window = 4096 })
    app:advance(1)
    expect_marks(app, {})
    stream:resume()
    app:run_until(function() return #marks(app) > 0 end)
    expect_marks(app, { "resumed dead" })
    assert.equal(600, #stream.events)
  end)

  it("behave as in plain Lua otherwise", function()
    local app = start [[
server:get("/", function(_, response)
  local co = coroutine.create(function(a) local b = coroutine.yield(a + 1) error("e" .. b, 0) end)
  mark(select(2, coroutine.resume(co, 1)), coroutine.status(co))
  mark(select(2, coroutine.resume(co, 2)), coroutine.status(co))
  mark(select(2, coroutine.resume(co)))
  mark(tostring(coroutine.isyieldable()), type(coroutine.running()))
  mark(select(2, pcall(coroutine.wrap(function() error("in wrap", 0) end))):match("in wrap$"))
  mark(select(2, coroutine.resume(coroutine.running())))
  local closed = coroutine.create(function() local x <close> = setmetatable({}, { __close =
    function() mark("closed") end }) coroutine.yield() end)
  coroutine.resume(closed)
  mark(tostring(coroutine.close(closed)), coroutine.status(closed))
  local w = coroutine.wrap(function() return 1, nil, 3 end)
  mark(select("#", w()))
  mark((select(2, pcall(w)):match("cannot resume dead coroutine")))
  mark(tostring(pcall(coroutine.resume, 5)))
  response:send("x")
end)
]]
    get(app, "/")
    expect_marks(app, { "2 suspended", "e2 dead", "cannot resume dead coroutine", "true thread",
      "in wrap", "cannot resume non-suspended coroutine", "closed", "true dead", "3",
      "cannot resume dead coroutine", "false" })
  end)

  it("run the to-be-closed variables of a wrapped function that raises, as in plain Lua", function()
    local app = start [[
server:get("/", function(_, response)
  local f = coroutine.wrap(function()
    local guard <close> = setmetatable({}, { __close = function(_, e) mark("closed", e) end })
    error("oh", 0)
  end)
  mark(tostring((pcall(f))))
  response:send("x")
end)
]]
    get(app, "/")
    expect_marks(app, { "closed oh", "false" })
  end)

  it("cannot wait in a closing variable: that raises there, and all goes on", function()
    local app = start [[
local function guard()
  return setmetatable({}, {
    __close = function() mark(tostring((pcall(lunesse.sleep, 0.001)))) end,
  })
end
server:get("/", function(_, response)
  local co = coroutine.create(function() local g <close> = guard() coroutine.yield() end)
  coroutine.resume(co)
  mark(tostring(coroutine.close(co)))
  pcall(coroutine.wrap(function() local g <close> = guard() error("x") end))
  lunesse.sleep(0.001)
  response:send("x")
end)
]]
    assert.equal("x", get(app, "/"))
    expect_marks(app, { "false", "true", "false" })
  end)

  it("pass errors on through a wait, with their message", function()
    local app = start [[
server:get("/", function(_, response)
  local f = coroutine.wrap(function() lunesse.sleep(0.001) error({ code = 7 }) end)
  local ok, problem = pcall(f)
  mark(tostring(ok), problem.code)
  local co = coroutine.create(function() lunesse.sleep(0.001) error("late", 0) end)
  mark(select(2, coroutine.resume(co)))
  response:send("x")
end)
]]
    get(app, "/")
    expect_marks(app, { "false 7", "late" })
  end)

  it("can be resumed by another request than the one that made them", function()
    local app = start([[
local co = coroutine.create(function()
  for n = 1, 10 do lunesse.sleep(0.001) coroutine.yield(n) end
end)
server:get("/", function(_, response)
  local ok, n = coroutine.resume(co)
  response:send(tostring(n))
end)
]], { workers = 1 })
    for n = 1, 3 do
      assert.equal(tostring(n), get(app, "/"))
    end
  end)

  it("cannot be yielded out of the handler itself: that is an error of the script", function()
    local app = start [[
server:get("/", function() coroutine.yield(1) end)
]]
    app:get("/"):expect(500)
    assert.matches("coroutine.yield outside a coroutine", apps.script_errors(app)[1])
  end)

  it("that wait cannot be resumed by others meanwhile", function()
    local app = start([[
local co
server:get("/first", function(_, response)
  co = coroutine.create(function() mark("in") lunesse.sleep(0.05) return "done" end)
  response:send(tostring((select(2, coroutine.resume(co)))))
end)
server:get("/second", function(_, response)
  local ok, message = pcall(coroutine.resume, co)
  if not ok then ok, message = pcall(coroutine.close, co) end
  response:send(tostring(ok) .. " " .. tostring(message))
end)
]], { workers = 1 })
    local answer = app:send("GET", "/first")
    expect_marks(app, { "in" })
    assert.matches("^false .*this coroutine waits in another task", get(app, "/second"))
    assert.equal("done", answer:wait():text())
  end)
end)
