-- Scripts that fail, loop and eat memory: what the peer sees, what the log says, and that the
-- others do not notice.

local support = require "spec.sse.support"
local wire = require "spec.support.wire"
local clock = require "spec.support.clock"

local start, get, await_marks = support.start_inside, support.get, support.await_marks

local PLAIN = "500: the handler failed; the server's log says why\n"

-- One event, and no last chunk: the reader sees that something is missing.
local X_AND_CUT = support.chunk(":\n\n") .. support.chunk("data: x\n\n")

describe("a handler that raises", function()
  it("leaves a plain 500 when nothing is out, and a log line with script and line", function()
    local server = start [[
server:get("/a/:b", function(_, response)
  response:status(201):header("X-A", "1"):type("text/html")
  error("on purpose")
end)
]]
    local response = server:request { target = "/a/1" }
    assert.same({ 500, PLAIN }, { response.status, response.body })
    assert.is_nil(response.headers["x-a"])
    assert.equal("text/plain; charset=utf-8", response.headers["content-type"])
    local lines = server:log_lines("script error")
    assert.equal(1, #lines)
    assert.matches(" error script error ", lines[1])
    assert.matches(" route=/a/:b", lines[1])
    assert.matches(" id=%x+-%d+ ", lines[1])
    assert.matches("script.lua:3: on purpose", lines[1])
    assert.matches("stack traceback:", lines[1])
    assert.equal(0, #server:log_lines("closing variable"))
  end)

  it("leaves the connection fit for the next request", function()
    local server = start [[
server:get("/bad", function() error("on purpose") end)
server:get("/good", function(_, response) response:send("good") end)
]]
    local client = server:connect()
    client:send(wire.request { target = "/bad" } .. wire.request { target = "/good" })
    assert.equal(500, client:response().status)
    assert.equal("good", client:response().body)
    client:close()
  end)

  it("leaves a 500 also after it has waited, and for errors that are no text", function()
    local server = start([[
server:get("/wait", function() lunesse.sleep(0.001) error("late") end)
server:get("/table", function() error({ code = 1 }) end)
server:get("/nil", function() error(nil) end)
server:get("/object", function()
  error(setmetatable({}, { __tostring = function() return "an object says" end }))
end)
server:get("/bad-object", function()
  error(setmetatable({}, { __tostring = function() error("no") end }))
end)
server:get("/loop-object", function()
  error(setmetatable({}, { __tostring = function() while true do end end }))
end)
server:get("/line", function() error("two\nlines \"quoted\" \xff", 0) end)
server:get("/deep", function()
  local function f(...) return 1 + f(...) end -- a few of these fill the stack
  f(table.unpack({}, 1, 200000))
end)
]], { args = { "--limit", "run_timeout=0.3" } })
    for _, target in ipairs { "/wait", "/table", "/nil", "/object", "/bad-object",
      "/loop-object", "/line", "/deep" } do
      local response = server:request { target = target }
      assert.same({ 500, PLAIN }, { response.status, response.body }, target)
    end
    assert.equal(8, #server:log_lines("script error"))
    assert.equal(1, #server:log_lines("an object says"))
    assert.equal(1, #server:log_lines("stack overflow"))
  end)

  it("cuts an open stream, so that the reader comes back and never sees a traceback", function()
    local server = start [[
server:get("/", function(_, response)
  response.sse:send("x")
  lunesse.sleep(0.001)
  error("on purpose")
end)
]]
    local bytes, why = support.stream_bytes(server, "/")
    assert.same({ X_AND_CUT, "closed" }, { bytes, why })
    assert.matches("reason=failed", eventually(function()
      return support.access_line(server, "/")
    end))
    assert.equal(1, #server:log_lines("script.lua:4: on purpose"))
  end)

  it("shows its traceback to the peer with --dev and nothing out, and never in a stream", function()
    local server = start([[
server:get("/", function() error("on purpose") end)
server:get("/stream", function(_, response) response.sse:send("x") error("on purpose") end)
]], { args = { "--dev" } })
    local response = server:request {}
    assert.equal(500, response.status)
    assert.matches("script.lua:1: on purpose\nstack traceback:\n.*[^\n]\n$", response.body)
    assert.equal(X_AND_CUT, (support.stream_bytes(server, "/stream")))
  end)

  it("after its answer was sent changes nothing for the peer", function()
    local server = start [[
server:get("/", function(_, response) response:send("x") error("afterwards") end)
]]
    local response = server:request {}
    assert.same({ 200, "x" }, { response.status, response.body })
    assert.equal(1, #server:log_lines("afterwards"))
  end)

  it("runs its to-be-closed variables, with the error", function()
    local server = start [[
server:get("/", function()
  local guard <close> = setmetatable({}, {
    __close = function(_, e) mark(e.code) end,
  })
  error({ code = "on purpose" })
end)
server:get("/closer", function()
  local guard <close> = setmetatable({}, { __close = function() error("in the closer") end })
  error("on purpose")
end)
server:get("/numbers", function()
  local guard <close> = setmetatable({}, { __close = function() error(42) end })
  error(41)
end)
server:get("/number", function() error(43) end)
]]
    assert.equal(500, server:request({}).status)
    await_marks(server, { "on purpose" })
    assert.equal(500, server:request({ target = "/closer" }).status)
    assert.equal(1, #server:log_lines("in the closer"))
    assert.equal(1, #server:log_lines("a closing variable failed"))
    assert.equal(500, server:request({ target = "/numbers" }).status)
    assert.equal(1, #server:log_lines('error="41\\n'))
    assert.equal(1, #server:log_lines('a closing variable failed error="42\\n'))
    assert.equal(500, server:request({ target = "/number" }).status)
    assert.equal(2, #server:log_lines("a closing variable failed"))
  end)
end)

describe("errors outside of handlers", function()
  it("are logged, and nothing else happens: timers, listeners, callbacks", function()
    local server = start [[
lunesse.after(0, function() error("at load") end)
server:get("/", function(_, response)
  response:on("close", function() error("in close") end)
  response.sse:open()
  lunesse.after(0, function() error("in timer") end)
  lunesse.after(0.02, function() response.sse:send("still here") response.sse:close() end)
end)
]]
    assert.equal(support.chunks(":\n\n", "data: still here\n\n"),
      (support.stream_bytes(server, "/")))
    eventually(function()
      return #server:log_lines("script error") == 3
    end)
    assert.equal(1, #server:log_lines("script.lua:1: at load"))
    assert.equal(1, #server:log_lines("script.lua:5: in timer"))
    assert.equal(1, #server:log_lines("script.lua:3: in close"))
  end)
end)

describe("a loop that does not end", function()
  local LIMIT = { args = { "--limit", "run_timeout=0.1" } }
  local TICK = [[
server:get("/tick", function(_, response)
  response.sse:open()
  lunesse.every(0.01, function() response.sse:send("tick") end)
end)
server:get("/alive", function(_, response) response:send("alive") end)
]]

  ---What the program has computed so far, in all its threads.
  local function cpu_seconds(server)
    if not server.pid then
      return os.clock() -- it is in this process
    end
    local file = assert(io.open(("/proc/%d/stat"):format(server.pid)))
    local user, system = file:read("a"):match("^.*%) %S" .. (" %S+"):rep(10) .. " (%d+) (%d+)")
    file:close()
    return (user + system) / 100
  end

  ---Each handler here never returns by itself.
  local LOOPS = {
    plain = "while true do end",
    ["in pcall"] = "while true do pcall(function() while true do end end) end",
    ["in short pcalls"] = "while true do pcall(error) end",
    ["in xpcall, whose handler loops"] =
      "xpcall(function() while true do end end, function() while true do end end)",
    ["in a coroutine"] = "coroutine.wrap(function() while true do end end)()",
    ["in short coroutines"] = "while true do coroutine.wrap(function() end)() end",
    ["in a coroutine inside pcall inside a coroutine"] = [[coroutine.wrap(function()
      while true do pcall(coroutine.wrap(function() while true do end end)) end end)()]],
    ["in a comparator"] = "table.sort({ 3, 2, 1 }, function() while true do end end)",
    ["in a comparator inside pcall"] =
      "while true do pcall(table.sort, { 3, 2, 1 }, function() while true do end end) end",
    ["in gsub's callback"] = "(('x'):rep(10)):gsub('x', function() while true do end end)",
    ["in a metamethod"] =
      "local x = setmetatable({}, { __index = function() while true do end end }).x",
    ["in __close"] = [[do local x <close> = setmetatable({}, { __close = function()
      while true do end end }) end]],
    ["in __close when the loop is ended"] = [[local x <close> = setmetatable({}, { __close =
      function() while true do end end }) while true do end]],
    ["in __close of a coroutine"] = [[local co = coroutine.create(function()
      local x <close> = setmetatable({}, { __close = function() while true do end end })
      coroutine.yield() end) coroutine.resume(co) while true do coroutine.close(co) end]],
    ["with goto"] = "::top:: goto top",
    ["after a wait"] = "lunesse.sleep(0.001) while true do end",
    ["in next()"] = "local t = {} while true do t[1] = next(t) end",
  }

  for name, text in pairs(LOOPS) do
    it(name .. " is ended within run_timeout, with a 500, and the others go on", function()
      local route = ("server:get('/loop', function(_, response)\n%s\nend)"):format(text)
      local server = start(TICK .. route, LIMIT)
      local tick = server:stream("/tick")
      tick:event()
      local began = cpu_seconds(server)
      local response = server:request { target = "/loop", seconds = 5 }
      assert.same({ 500, PLAIN }, { response.status, response.body })
      assert.is_true(cpu_seconds(server) - began < 0.1 * 2 + 0.3 * clock.slow)
      eventually(function()
        return #server:log_lines("ran for more than run_timeout") >= 1
      end)
      assert.equal("alive", get(server, "/alive"))
      local seen = #tick.parser.events
      assert.is_true(tick:read_until(function()
        return #tick.parser.events > seen + 5
      end))
      tick:close()
    end)
  end

  it("in a stream's handler cuts the stream", function()
    local server = start([[
server:get("/", function(_, response)
  response:on("close", function(reason) mark("close", reason) end)
  response.sse:send("x")
  while true do end
end)
]], LIMIT)
    local bytes, why = support.stream_bytes(server, "/")
    assert.same({ X_AND_CUT, "closed" }, { bytes, why })
    await_marks(server, { "close failed" })
    assert.equal(1, #server:log_lines("script.lua:4: ran for more than run_timeout (0.1 s)"))
  end)

  it("in a timer or a listener is ended and logged, and the stream goes on", function()
    local server = start(TICK .. [[
lunesse.after(0, function() while true do end end)
server:get("/listener", function(_, response)
  response:on("close", function() while true do end end)
  response:send("x")
end)
]], LIMIT)
    assert.equal("x", get(server, "/listener"))
    eventually(function()
      return #server:log_lines("ran for more than run_timeout") == 2
    end)
    local tick = server:stream("/tick")
    tick:take(3)
    tick:close()
  end)

  it("while a script loads stops the start, with script and line", function()
    local Server = require "spec.support.server"
    local folder = Server.write { ["bad.lua"] = "\nwhile true do end\n" }
    local code, _, err = Server.run { "--check", "--limit", "run_timeout=0.02", folder }
    assert.equal(1, code)
    assert.matches("bad.lua:2", err)
    assert.matches("run_timeout", err)
  end)

  it("does not count time spent waiting, nor many short runs", function()
    local server = support.start([[
server:get("/", function(_, response)
  for _ = 1, 10 do
    local stop = lunesse.clock() + 0.03
    while lunesse.clock() < stop do end
    lunesse.sleep(0.001)
  end
  lunesse.sleep(0.2)
  response:send("done")
end)
]], LIMIT)
    assert.equal("done", get(server, "/"))
    assert.equal(0, #server:log_lines("ran for more than run_timeout"))
  end)

  it("is not what a run is that waits in a program; the log says that it held others up", function()
    local server = support.start([[
server:get("/slow/:what", function(_, response)
  os.execute("sleep 0.3")
  response:send("done")
end)
]], LIMIT)
    assert.equal("done", get(server, "/slow/thing"))
    local lines = server:log_lines(" warn a run took longer than run_timeout")
    assert.equal(1, #lines)
    assert.matches(" route=/slow/:what ", lines[1], 1, true)
    local ms = tonumber(lines[1]:match(" ms=([%d.]+)"))
    assert.is_true(ms >= 300, lines[1])
  end)

  it("is not what a run is while the process stands still", function()
    -- The loop is a run too, and takes longer in a slow build.
    local server = support.start(([[
server:get("/", function(_, response)
  os.execute("(sleep %g; kill -CONT $PPID) & kill -STOP $PPID")
  for i = 1, 1000000 do local _ = i end
  response:send("done")
end)
]]):format(0.3 * clock.slow), { args = { "--limit", "run_timeout=" .. 0.1 * clock.slow } })
    assert.equal("done", get(server, "/"))
    assert.equal(0, #server:log_lines("ran for more than run_timeout"))
  end)

  it("cannot be made endless by debug.sethook, which scripts do not have", function()
    local server = start [[
server:get("/", function(_, response)
  response:send(tostring(debug.sethook or debug.setuservalue or debug.setmetatable))
end)
]]
    assert.equal("nil", get(server, "/"))
  end)
end)

describe("memory over lua_bytes", function()
  local LIMIT = { args = { "--limit", "lua_bytes=20000000" } }

  it("fails the handler that asks for it, and the worker lives", function()
    local server = start([[
server:get("/table", function()
  local t = {}
  for i = 1, 1e9 do t[i] = ("x"):rep(10000) end
end)
server:get("/string", function() return ("x"):rep(1e9) end)
server:get("/caught", function(_, response)
  local ok, problem = pcall(string.rep, "x", 1e9)
  response:send(tostring(ok) .. " " .. tostring(problem))
end)
server:get("/alive", function(_, response) response:send(("x"):rep(1000000)) end)
server:get("/tick", function(_, response)
  response.sse:open()
  lunesse.every(0.01, function() response.sse:send("tick") end)
end)
]], LIMIT)
    local tick = server:stream("/tick")
    tick:event()
    for _ = 1, 3 do
      assert.equal(500, server:request({ target = "/table", seconds = 10 }).status)
      assert.equal(500, server:request({ target = "/string" }).status)
      assert.equal("false not enough memory", get(server, "/caught"))
      assert.equal(1000000, #get(server, "/alive"))
    end
    eventually(function()
      return #server:log_lines("not enough memory") == 6
    end)
    tick:take(5)
    tick:close()
  end)

  it("fails a stream's handler, which cuts the stream", function()
    local server = start([[
server:get("/", function(_, response)
  response.sse:send("x")
  local t = {}
  for i = 1, 1e9 do t[i] = { i } end
end)
]], LIMIT)
    local bytes, why = support.stream_bytes(server, "/")
    assert.same({ X_AND_CUT, "closed" }, { bytes, why })
  end)

  it("that was kept by a script is not given to others, who fail alone", function()
    local server = start([[
local kept = {}
server:get("/keep", function(_, response)
  for i = #kept + 1, #kept + 100 do kept[i] = ("x"):rep(100000) .. i end
  response:send("kept")
end)
server:get("/free", function(_, response) kept = {} collectgarbage() response:send("freed") end)
]], { workers = 1, args = LIMIT.args })
    assert.equal("kept", get(server, "/keep"))
    assert.equal(500, server:request({ target = "/keep" }).status)
    assert.equal("freed", get(server, "/free"))
    assert.equal("kept", get(server, "/keep"))
  end)
end)

describe("an error that is a table", function()
  local FAILS = [[
server:get("/plain", function() error { status = 404, why = { "no", "such" } } end)
server:get("/named", function()
  error(setmetatable({}, { __tostring = function() return "its own name" end }))
end)
server:get("/circle", function()
  local circle = {}
  circle.circle = circle
  error(circle)
end)
server:get("/false", function() error(false) end)
server:get("/text", function() error("text", 0) end)
]]

  it("reaches on_error as it is", function()
    local server = start(FAILS .. [[
server:on_error(function(raised, _, response)
  local status = type(raised) == "table" and raised.status or 500
  response:status(status):send(type(raised) .. " " .. tostring(status))
end)
]])
    local response = server:request { target = "/plain" }
    assert.same({ 404, "table 404" }, { response.status, response.body })
    assert.equal("table 500", get(server, "/named"))
    assert.equal("boolean 500", get(server, "/false"))
    assert.equal("string 500", get(server, "/text"))
  end)

  it("is JSON in the log, unless it says its own text, or cannot be JSON", function()
    local server = start(FAILS)
    for _, path in ipairs { "/plain", "/named", "/circle", "/false" } do
      assert.equal(500, server:request { target = path }.status)
    end
    local lines = server:log_lines("script error")
    assert.matches('error="{\\"status\\":404,\\"why\\":[\\"no\\",\\"such\\"]}\\nstack', lines[1], 1,
      true)
    assert.matches('error="its own name\\nstack', lines[2], 1, true)
    assert.matches('error="table: 0x', lines[3], 1, true)
    assert.matches('error="false\\nstack', lines[4], 1, true)
  end)
end)

describe("a call that would wait where nothing can wait", function()
  it("says where it stands: in what function of C, and where that was called", function()
    local server = start [[
server:get("/sort", function()
  table.sort({ 1, 2 }, function()
    lunesse.sleep(0)
  end)
end)
server:get("/gsub", function()
  local _ = ("1"):gsub("1", lunesse.sleep)
end)
server:get("/yield", function()
  coroutine.wrap(function()
    table.sort({ 1, 2 }, function()
      coroutine.yield()
    end)
  end)()
end)
]]
    for _, path in ipairs { "/sort", "/gsub", "/yield" } do
      assert.equal(500, server:request { target = path }.status)
    end
    local lines = server:log_lines("script error")
    local sleep = "sleep can only wait inside a handler, timer, task or callback; " ..
      "not inside the C function "
    local advice = ": wait before it is called, or after it has returned\\n"
    assert.matches("script.lua:3: " .. sleep .. "'table.sort', called at [^ ]+script.lua:2" ..
      advice, lines[1])
    assert.matches("script.lua:7: " .. sleep .. "'string.gsub', called at [^ ]+script.lua:7" ..
      advice, lines[2])
    assert.matches("script.lua:12: yield can only wait inside a coroutine; " ..
      "not inside the C function 'table.sort', called at [^ ]+script.lua:11" .. advice, lines[3])
  end)

  it("says so of a closing variable and of a finalizer", function()
    local server = start([[
server:get("/", function(_, response)
  local closed = coroutine.create(function()
    local _ <close> = setmetatable({}, { __close = function() lunesse.sleep(0) end })
    coroutine.yield()
  end)
  coroutine.resume(closed)
  mark(select(2, coroutine.close(closed)))
  setmetatable({}, { __gc = function() lunesse.sleep(0) end })
  collectgarbage()
  response:send("sent")
end)
]], { workers = 1 })
    assert.equal("sent", get(server, "/"))
    local marks = support.marks(server)
    assert.matches("script.lua:3: .* callback; not in a coroutine that is being ended", marks[1])
    local lines = server:log_lines(" warn a warning of Lua's")
    assert.equal(1, #lines)
    assert.matches("error in __gc .*script.lua:8: sleep can .*; not in a finalizer", lines[1])
  end)
end)

describe("warn", function()
  it("writes into the log, its pieces as one, cut where they are too long", function()
    local server = start [[
server:get("/", function(_, response)
  warn("@on")
  warn("one", " and ", "another")
  warn("first", ("x"):rep(5000))
  response:send("sent")
end)
]]
    assert.equal("sent", get(server, "/"))
    local lines = server:log_lines(" warn a warning of Lua's")
    assert.matches('warning="one and another"', lines[1], 1, true)
    assert.matches("warning=first$", lines[2])
    assert.equal(2, #lines)
  end)
end)
