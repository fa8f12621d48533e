-- Timers, sleep, and what may wait where.

local support = require "spec.sse.support"
local wire = require "spec.support.wire"

local start, get, await_marks = support.start, support.get, support.await_marks

describe("after", function()
  it("runs its function once, no earlier than asked, in the order of time", function()
    local server = start [[
local began = lunesse.clock()
local function at(seconds, name)
  lunesse.after(seconds, function()
    assert(lunesse.clock() - began >= seconds - 0.001)
    mark(name)
  end)
end
at(0.06, "third") at(0, "first") at(0.03, "second")
]]
    await_marks(server, { "first", "second", "third" })
  end)

  it("can be stopped before, and says whether it still ran", function()
    local server = start [[
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
    get(server, "/")
    await_marks(server, { "true true false false", "yes", "false false" })
  end)

  it("may wait in its function, and be stopped by it", function()
    local server = start [[
local timer
timer = lunesse.after(0, function()
  mark(tostring(timer:stop()))
  lunesse.sleep(0.01)
  mark("slept")
end)
]]
    await_marks(server, { "false", "slept" })
  end)
end)

describe("every", function()
  it("keeps its phase, without drift, however long its function takes", function()
    local server = start([[
local began
lunesse.every(10, function()
  local now = lunesse.clock()
  began = began or now - 10
  mark(math.floor((now - began) / 10 + 0.5))
  lunesse.sleep(3)
end)
]], { clock = true, workers = 1 })
    -- Time is moved in steps that have nothing to do with the interval.
    for _ = 1, 26 do
      server:advance(4)
    end
    local marks = support.marks(server)
    assert.is_true(#marks >= 9)
    for i, mark in ipairs(marks) do
      assert.equal(tostring(i), mark)
    end
  end)

  it("never overlaps itself: while its function waits, its turns pass", function()
    local server = start([[
local inside, turns = 0, 0
local timer
timer = lunesse.every(1, function()
  inside = inside + 1
  turns = turns + 1
  mark("in", inside)
  lunesse.sleep(5.5)
  inside = inside - 1
end)
]], { clock = true })
    for _ = 1, 13 do
      server:advance(1.01)
    end
    await_marks(server, { "in 1", "in 1" })
  end)

  it("does not run once for each interval that was missed", function()
    local server = start([[
lunesse.every(1, function() mark("turn") end)
]], { clock = true })
    server:advance(100.5)
    await_marks(server, { "turn" })
    server:advance(1)
    await_marks(server, { "turn", "turn" })
  end)

  it("goes on after an error, which is only logged", function()
    local server = start [[
local n = 0
local timer
timer = lunesse.every(0.01, function()
  n = n + 1
  mark(n)
  if n == 3 then timer:stop() end
  error("turn " .. n)
end)
server:get("/", function(_, response) response:send("alive") end)
]]
    await_marks(server, { "1", "2", "3" })
    assert.equal("alive", get(server, "/"))
    assert.equal(3, #server:log_lines("script error"))
    assert.equal(1, #server:log_lines("script.lua:7: turn 2"))
  end)

  it("ends in the middle of its own turn when it is stopped there", function()
    local server = start [[
local timer
timer = lunesse.every(0.005, function()
  timer:stop()
  collectgarbage()
  lunesse.sleep(0.03)
  collectgarbage()
  mark("once", tostring(timer.active))
end)
]]
    await_marks(server, { "once false" })
  end)

  it("runs on although no variable names it", function()
    local server = start [[
local n = 0
lunesse.every(0.005, function() n = n + 1 if n <= 3 then mark(n) end collectgarbage() end)
]]
    await_marks(server, { "1", "2", "3" })
  end)
end)

describe("timers", function()
  it("raise for what is no duration, function or option, at the caller's line", function()
    local server = start [[
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
    get(server, "/")
    eventually(function()
      return #support.marks(server) == 24
    end)
    local marks = support.marks(server)
    for i = 1, 23 do
      assert.equal("false", marks[i], i)
    end
    assert.matches("script.lua:11: bad argument #1 to 'after'", marks[24])
  end)

  it("made by the thousand fire all", function()
    local server = start [[
local n = 0
server:get("/", function(_, response)
  for i = 1, 5000 do lunesse.after(i % 50 / 1000, function() n = n + 1 end) end
  lunesse.sleep(0.08)
  while n < 5000 do lunesse.sleep(0.005) end
  response:send(tostring(n))
end)
]]
    assert.equal("5000", get(server, "/"))
  end)

  it("made while the script loads start when it is served, and stop with the server", function()
    local server = start [[
lunesse.after(0, function() mark("after") end)
lunesse.every(0.01, function() lunesse.sleep(100) end)
lunesse.after(1000, print)
]]
    await_marks(server, { "after" })
    server:stop()
  end)
end)

describe("sleep", function()
  it("lets others run, and returns nothing", function()
    local server = start [[
server:get("/slow", function(_, response)
  mark("slow", select("#", lunesse.sleep(0.05)))
  response:send("slow")
end)
server:get("/quick", function(_, response) mark("quick") response:send("quick") end)
]]
    local client = server:connect()
    client:send(wire.request { target = "/slow" })
    assert.equal("quick", get(server, "/quick"))
    assert.equal("slow", client:response().body)
    client:close()
    await_marks(server, { "quick", "slow 0" })
  end)

  it("of zero seconds lets a turn pass", function()
    local server = start [[
server:get("/", function(_, response)
  lunesse.after(0, function() mark("other") end)
  for _ = 1, 3 do lunesse.sleep(0) end
  mark("self")
  response:send("x")
end)
]]
    get(server, "/")
    await_marks(server, { "other", "self" })
  end)

  it("that ends with its reader leaves its coroutine to others, who are bounded as ever", function()
    local server = start([[
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
]], { args = { "--limit", "run_timeout=0.1" } })
    for i, target in ipairs { "/wait", "/fail", "/wait" } do
      server:stream(target):close()
      eventually(function() return #server:log_lines("reason=left") == i end)
      assert.equal("fine", get(server, "/"))
    end
    await_marks(server, { "open", "closed", "open", "open", "closed" })
    assert.equal(1, #server:log_lines("broken"))
    assert.equal(500, server:request({ target = "/loop" }).status)
    assert.equal("fine", get(server, "/"))
  end)

  it("raises where nothing can wait, and says so", function()
    local server = start [[
server:get("/", function(_, response)
  local t = { 3, 1, 2 }
  mark(select(2, pcall(table.sort, t, function() lunesse.sleep(0.001) end)))
  local object = setmetatable({}, { __index = function() lunesse.sleep(0.001) return "waited" end })
  mark(object.field)
  mark((("x"):gsub("x", function() return tostring((pcall(lunesse.sleep, 0.001))) end)))
  response:send("x")
end)
]]
    get(server, "/")
    local message = "sleep can only wait inside a handler, timer, task or callback"
    local place = server.folder .. "/script.lua:3: "
    await_marks(server, {
      place .. message .. "; not inside the C function 'table.sort', called at " ..
        place:sub(1, -3) .. ": wait before it is called, or after it has returned",
      "waited", "false",
    })
  end)

  it("may be called in pcall, in iterators and in coroutines of the script", function()
    local server = start [[
server:get("/", function(_, response)
  mark(tostring(pcall(lunesse.sleep, 0.001)))
  mark(tostring(pcall(function() lunesse.sleep(0.001) error("after", 0) end)))
  for n in coroutine.wrap(function()
    for n = 1, 3 do lunesse.sleep(0.001) coroutine.yield(n) end
  end) do mark(n) end
  response:send("x")
end)
]]
    get(server, "/")
    await_marks(server, { "true", "false", "1", "2", "3" })
  end)
end)

describe("coroutines of the script", function()
  it("may wait and send inside a handler: a generator that streams", function()
    local server = start [[
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
    local stream = server:stream("/")
    assert.equal("done", stream:finish())
    stream:close()
    local data = {}
    for i, event in ipairs(stream.parser.events) do
      data[i] = event.data
    end
    assert.same({ "inner 1", "inner 2", "inner 3" }, data)
    await_marks(server, { "first a", "1 and", "got b", "2 and", "got c", "3 and", "got d", "end" })
  end)

  it("may be nested, several at a time, and wait at every depth", function()
    local server = start [[
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
    get(server, "/")
    eventually(function()
      return #support.marks(server) == 2
    end)
    assert.equal("deep123 deep12", support.marks(server)[1])
  end)

  it("wait for a slow reader as the handler itself would", function()
    local server = start [[
server:get("/", function(_, response)
  local sse = response.sse
  local body = coroutine.create(function()
    for n = 1, 2000 do assert(sse:send(n, "e", ("x"):rep(1000)) == true) end
    return "sent"
  end)
  mark(coroutine.resume(body) and "resumed", coroutine.status(body))
  sse:close()
end)
]]
    local client = server:connect { receive_buffer = 4096 }
    client:send(wire.request { headers = { Accept = "text/event-stream" } })
    client:head()
    local bytes = 0
    eventually(function()
      bytes = bytes + #client:receive_some()
      return bytes > 2000 * 1000 and #support.marks(server) == 1
    end, 5)
    assert.same({ "resumed dead" }, support.marks(server))
    client:close()
  end)

  it("behave as in plain Lua otherwise", function()
    local server = start [[
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
    get(server, "/")
    await_marks(server, { "2 suspended", "e2 dead", "cannot resume dead coroutine", "true thread",
      "in wrap", "cannot resume non-suspended coroutine", "closed", "true dead", "3",
      "cannot resume dead coroutine", "false" })
  end)

  it("run the to-be-closed variables of a wrapped function that raises, as in plain Lua", function()
    local server = start [[
server:get("/", function(_, response)
  local f = coroutine.wrap(function()
    local guard <close> = setmetatable({}, { __close = function(_, e) mark("closed", e) end })
    error("oh", 0)
  end)
  mark(tostring((pcall(f))))
  response:send("x")
end)
]]
    get(server, "/")
    await_marks(server, { "closed oh", "false" })
  end)

  it("cannot wait in a closing variable: that raises there, and all goes on", function()
    local server = start [[
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
    assert.equal("x", get(server, "/"))
    await_marks(server, { "false", "true", "false" })
  end)

  it("pass errors on through a wait, with their message", function()
    local server = start [[
server:get("/", function(_, response)
  local f = coroutine.wrap(function() lunesse.sleep(0.001) error({ code = 7 }) end)
  local ok, problem = pcall(f)
  mark(tostring(ok), problem.code)
  local co = coroutine.create(function() lunesse.sleep(0.001) error("late", 0) end)
  mark(select(2, coroutine.resume(co)))
  response:send("x")
end)
]]
    get(server, "/")
    await_marks(server, { "false 7", "late" })
  end)

  it("can be resumed by another request than the one that made them", function()
    local server = start([[
local co = coroutine.create(function()
  for n = 1, 10 do lunesse.sleep(0.001) coroutine.yield(n) end
end)
server:get("/", function(_, response)
  local ok, n = coroutine.resume(co)
  response:send(tostring(n))
end)
]], { workers = 1 })
    for n = 1, 3 do
      assert.equal(tostring(n), get(server, "/"))
    end
  end)

  it("cannot be yielded out of the handler itself: that is an error of the script", function()
    local server = start [[
server:get("/", function() coroutine.yield(1) end)
]]
    assert.equal(500, server:request({}).status)
    assert.equal(1, #server:log_lines("coroutine.yield outside a coroutine"))
  end)

  it("that wait cannot be resumed by others meanwhile", function()
    local server = start([[
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
    local client = server:connect()
    client:send(wire.request { target = "/first" })
    await_marks(server, { "in" })
    assert.matches("^false .*this coroutine waits in another task", get(server, "/second"))
    assert.equal("done", client:response().body)
    client:close()
  end)
end)
