-- Tasks that scripts spawn: what their handles tell, what ends them, and what they outlive.

local support = require "spec.sse.support"
local apps = require "spec.support.app"
local tasks = require "spec.script.tasks"
local wire = require "spec.support.wire"

local start, get, expect_marks = apps.start, apps.get, apps.expect_marks
local TOLD, answer, says = tasks.TOLD, tasks.answer, tasks.says

describe("task:wait", function()
  it("returns true and what the function returned, with its arguments, nils included", function()
    says("true 1 nil 3 nil", [[
      return told(lunesse.spawn(function(...) return ... end, 1, nil, 3, nil):wait())]])
    says("true", "return told(lunesse.spawn(function() end):wait())")
    says("true nil", "return told(lunesse.spawn(function() return nil end):wait())")
    says("true 200 200", [[
      local list = {} for i = 1, 200 do list[i] = i end
      local results = table.pack(lunesse.spawn(function(...) return ... end,
        table.unpack(list)):wait())
      return told(results[1], results.n - 1, results[201])]])
  end)

  it("returns the message when it raised, without a traceback", function()
    local app = says("nil script.lua:2: no luck ERAISED",
      [[return told(lunesse.spawn(function() error("no luck") end):wait())]])
    assert.same({}, app:log("script error"))
  end)

  it("returns an error that is no string as it was raised", function()
    says("nil true ERAISED", [[local what = {}
      local ok, why, code = lunesse.spawn(function() error(what) end):wait()
      return told(ok, why == what, code)]])
    says("nil nil ERAISED", [[return told(lunesse.spawn(error):wait())]])
  end)

  it("tells of a run that took too long, and of memory that ran out", function()
    local app = says("nil true ERAISED",
      [[local ok, why, code = lunesse.spawn(function() while true do end end):wait()
      return told(ok, why:find("ran for more than run_timeout (0.1 s)", 1, true) ~= nil, code)]],
      { limits = { run_timeout = 0.1 } })
    assert.same({}, app:log("script error"))
    says("nil not enough memory ERAISED", [[return told(lunesse.spawn(function()
        local list = {} for i = 1, 1e9 do list[i] = ("x"):rep(1000) .. i end
      end):wait())]], { limits = { lua_bytes = 8000000 } })
  end)

  it("returns ETIMEDOUT when the time is up, and the task goes on", function()
    local app = start(TOLD:gsub("\n", " ") .. [[
local task
server:get("/", function(_, response)
  task = lunesse.spawn(function() lunesse.sleep(10) return "done" end)
  response:send(told(task:wait(5)))
end)
server:get("/again", function(_, response) response:send(told(task:wait(100))) end)
server:get("/now", function(_, response) response:send(told(task.active, task:wait(0))) end)
]], { workers = 1 })
    local begun = app:send("GET", "/")
    app:advance(5)
    assert.equal("nil the task has not ended in time ETIMEDOUT", begun:text())
    assert.equal("true nil the task has not ended in time ETIMEDOUT", get(app, "/now"))
    begun = app:send("GET", "/again")
    app:advance(5)
    assert.equal("true done", begun:text())
    assert.equal("false true done", get(app, "/now"))
  end)

  it("gives each of several waiters all of it, and again after the end", function()
    says("true a b|true a b|true a b|true a b", [[
      local task = lunesse.spawn(function() lunesse.sleep(0.02) return "a", "b" end)
      local texts = {}
      local function wait() local text = told(task:wait()) texts[#texts + 1] = text end
      local one, two = lunesse.spawn(wait), lunesse.spawn(wait)
      wait() one:wait() two:wait() wait()
      return table.concat(texts, "|")]])
  end)

  it("raises where the task would wait for itself, or in a circle", function()
    says("nil script.lua:2: deadlock: this task waits for itself ERAISED",
      [[local task task = lunesse.spawn(function() task:wait() end) return told(task:wait())]])
    says("nil script.lua:3: deadlock: the task that this one waits for waits for this one ERAISED",
      [[local a, b a = lunesse.spawn(function() return b:wait() end)
b = lunesse.spawn(function() return a:wait() end) return told(b:wait())]])
    says("true nil the task has not ended in time ETIMEDOUT", [[local a, b
      a = lunesse.spawn(function() return b:wait() end)
      b = lunesse.spawn(function() return a:wait(0.01) end) return told(b:wait())]])
  end)

  it("leaves the list when its own task is cancelled", function()
    says("true x", [[
      local task = lunesse.spawn(function() lunesse.sleep(0.05) return "x" end)
      local waiter = lunesse.spawn(function() task:wait() end)
      lunesse.sleep(0.01) waiter:cancel() waiter:wait() waiter = nil collectgarbage()
      return told(task:wait())]])
  end)

  it("passes through coroutines and pcall of the script", function()
    says("true true 7", [[
      local task = lunesse.spawn(function() lunesse.sleep(0.01) return 7 end)
      return told(coroutine.wrap(function() return pcall(task.wait, task) end)())]])
  end)

  it("says what stands in the way where nothing can wait", function()
    local text = answer [[
      local task = lunesse.spawn(lunesse.sleep, 10)
      local ok, why = pcall(table.sort, { 1, 2 }, function() task:wait() end)
      task:cancel()
      return why]]
    assert.matches("script.lua:%d+: task:wait can only wait inside a handler, timer, task or " ..
      "callback; not inside the C function", text)
  end)
end)

describe("task:cancel", function()
  local ENDED = "true nil the task was cancelled ECANCELED"

  it("ends the task where it waits, and its to-be-closed variables run", function()
    local app = says(ENDED, [[
      local task = lunesse.spawn(function()
        local _ <close> = setmetatable({}, { __close = function() mark("closed") end })
        lunesse.sleep(1000)
        mark("no")
      end)
      lunesse.sleep(0.01)
      return told(task:cancel(), task:wait())]])
    expect_marks(app, { "closed" })
    assert.same({}, app:log("script error"))
  end)

  it("ends one that is ready and has not run yet: nothing of it runs", function()
    local app = says(ENDED, [[
      local task = lunesse.spawn(function() mark("no") end)
      return told(task:cancel(), task:wait())]])
    expect_marks(app, {})
  end)

  it("ends one whose wait is over and that has not run since", function()
    says(ENDED, [[
      local signal = lunesse.signal()
      local task = lunesse.spawn(function() signal:wait() mark("no") end)
      lunesse.sleep(0.01)
      signal:set()
      return told(task:cancel(), task:wait())]])
  end)

  it("has no effect on one that has ended", function()
    says("false true 1", [[
      local task = lunesse.spawn(function() return 1 end)
      task:wait()
      return told(task:cancel(), task:wait())]])
  end)

  it("ends one that others wait for, and they go on", function()
    says("nil the task was cancelled ECANCELED|true false", [[
      local task = lunesse.spawn(lunesse.sleep, 1000)
      local waiter = lunesse.spawn(function() return told(task:wait()) end)
      lunesse.sleep(0.01)
      local first, second = task:cancel(), task:cancel()
      local _, text = waiter:wait()
      return text .. "|" .. told(first, second)]])
  end)

  it("of itself ends a task when it next waits, or when it returns", function()
    local app = says(ENDED, [[
      local self
      self = lunesse.spawn(function() mark(told(self:cancel())) lunesse.sleep(0) mark("no") end)
      return told(true, self:wait())]])
    expect_marks(app, { "true" })
    says(ENDED, [[local self
      self = lunesse.spawn(function() self:cancel() return 1 end)
      return told(true, self:wait())]])
  end)

  it("can be called by a closing variable, of its own task too", function()
    local app = says(ENDED, [[
      local other = lunesse.spawn(lunesse.sleep, 1000)
      local task
      task = lunesse.spawn(function()
        local _ <close> = setmetatable({}, { __close = function()
          mark(told(task:cancel(), other:cancel()))
        end })
        lunesse.sleep(1000)
      end)
      lunesse.sleep(0.01)
      task:cancel()
      return told(true, other:wait())]])
    expect_marks(app, { "false true" })
  end)

  it("ends a task inside coroutines of the script, from the innermost outwards", function()
    local app = says(ENDED, [[
      local function closes(name)
        return setmetatable({}, { __close = function() mark(name) end })
      end
      local task = lunesse.spawn(function()
        local _ <close> = closes "outer"
        coroutine.wrap(function() local _ <close> = closes "inner" lunesse.sleep(1000) end)()
      end)
      lunesse.sleep(0.01)
      return told(task:cancel(), task:wait())]])
    expect_marks(app, { "inner", "outer" })
  end)

  it("ends a task that waits to publish, to send, or for JSON", function()
    -- A process, because an app does not come to rest while somebody publishes without an end.
    local server = support.start(TOLD:gsub("\n", " ") .. [[
server:get("/", function(_, response)
  local room, list = lunesse.channel("room"), {}
  for i = 1, 300000 do list[i] = i end
  local sse = response.sse
  sse:open()
  local tasks = {
    lunesse.spawn(function() while true do room:publish(("x"):rep(10000)) end end),
    lunesse.spawn(function() while true do sse:send(("x"):rep(60000)) end end),
    lunesse.spawn(function() while true do lunesse.json.encode(list) end end),
  }
  lunesse.sleep(0.05)
  for _, task in ipairs(tasks) do task:cancel() mark(told(task:wait())) end
end)
]])
    local client = wire.connect(server, { receive_buffer = 4096 })
    client:send(wire.request { headers = { Accept = "text/event-stream" } })
    client:flush()
    local line = "nil the task was cancelled ECANCELED"
    support.await_marks(server, { line, line, line })
    client:close()
  end)
end)

describe("a spawned task", function()
  it("outlives the request and the reader that began it, and finds the response closed", function()
    local app = start(TOLD:gsub("\n", " ") .. [[
server:get("/", function(_, response)
  local sse = response.sse
  sse:send("begun")
  lunesse.spawn(function()
    while sse.active do lunesse.sleep(0.01) end
    mark(told(sse:send("x")))
    mark(told(response:write("x")))
  end)
  hold()
end)
]])
    app:stream("/"):leave()
    app:advance(0.01)
    expect_marks(app, { "nil closed ECLOSED", "nil closed ECLOSED" })
  end)

  it("is not cancelled with a handler that waits for it", function()
    local app = start(TOLD:gsub("\n", " ") .. [[
server:get("/", function(_, response)
  response.sse:send("begun")
  local task = lunesse.spawn(function() lunesse.sleep(5) mark("done") end)
  local _ <close> = setmetatable({}, { __close = function() mark("left") end })
  task:wait()
  mark("no")
end)
]])
    app:stream("/"):leave()
    expect_marks(app, { "left" })
    app:advance(5)
    expect_marks(app, { "left", "done" })
  end)

  it("keeps the timers that it makes when the reader leaves", function()
    local app = start [[
server:get("/", function(_, response)
  response.sse:send("begun")
  lunesse.spawn(function() lunesse.after(0.1, function() mark("fired") end) end)
  hold()
end)
]]
    app:stream("/"):leave()
    app:advance(0.1)
    expect_marks(app, { "fired" })
  end)

  it("logs an error that nobody waits for, with where it was spawned", function()
    local app = start [[
local function fail()
  error("no luck")
end
local function begin()
  lunesse.spawn(fail)
  return 1
end
server:get("/", function(_, response)
  begin()
  response:send("x")
end)
]]
    get(app, "/")
    local errors = apps.script_errors(app)
    assert.equal(1, #errors)
    assert.matches("^script%.lua:2: no luck\nstack traceback:", errors[1])
    assert.matches("spawned by:.-script%.lua:5: in .-begin.-script%.lua:9: in", errors[1])
  end)

  it("gives an error that was logged to one who waits later", function()
    local app = says("nil script.lua:2: no luck ERAISED", [[
      local task = lunesse.spawn(function() error("no luck") end)
      lunesse.sleep(0.01)
      return told(task:wait())]])
    assert.equal(1, #app:log("script error"))
  end)

  it("cannot yield to nobody, and is not logged as another's", function()
    local ok = answer [[return told(lunesse.spawn(coroutine.yield):wait())]]
    assert.matches("^nil coroutine.yield outside a coroutine of the script ERAISED", ok)
  end)

  it("is one of as many as the limit allows", function()
    local app = says("nil there are as many tasks as the limit allows E2BIG|true", [[
      local tasks = {}
      for i = 1, 3 do tasks[i] = lunesse.spawn(lunesse.sleep, 1000) end
      local text = told(lunesse.spawn(print))
      tasks[1]:cancel() tasks[1]:wait()
      text = text .. "|" .. told(lunesse.spawn(function() end) ~= nil)
      tasks[2]:cancel() tasks[3]:cancel()
      return text]], { limits = { tasks = 3 } })
    assert.equal(1, #app:log { message = "a limit is met", fields = { limit = "tasks", at = 3 } })
  end)

  it("leaves nothing behind: a hundred thousand of them", function()
    local size = apps.fewer(1000) -- of a round
    says(("%d true"):format(100 * size), (([[
      local count = 0
      local function add() count = count + 1 end
      local function round(n)
        local last
        for _ = 1, n do last = lunesse.spawn(add) end
        last:wait()
        lunesse.sleep(0)
      end
      for _ = 1, 20 do round(SIZE) end
      collectgarbage()
      local before = collectgarbage("count")
      for _ = 1, 80 do round(SIZE) end
      collectgarbage()
      return told(count, collectgarbage("count") < before + 300)]]):gsub("SIZE", size)))
  end)

  it("raises for what is no function, and for too many arguments", function()
    local text = answer [[return (select(2, pcall(lunesse.spawn)))]]
    assert.matches("^bad argument #1 to '.*spawn' %(function expected, got no value%)$", text)
    text = answer [[return (select(2, pcall(lunesse.spawn, print,
      table.unpack({}, 1, 251))))]]
    assert.matches("a task takes at most 250 arguments", text)
  end)

  it("is taken for its own: another object has no wait and no cancel of it", function()
    local text = answer [[local task = lunesse.spawn(print)
      return (select(2, pcall(task.wait, lunesse.signal())))]]
    assert.matches("Task expected, got Signal", text)
  end)
end)

describe("a spawned task at a reload", function()
  local function says_word(word)
    return ('server:get("/", function(_, response) response:send(%q) end)\n'):format(word)
  end

  local function reload(app, text)
    assert(app:reload { ["script.lua"] = support.script(text) })
  end

  it("goes on in the old code, and is cancelled and logged with its generation", function()
    local app = start([[
lunesse.spawn(function()
  local _ <close> = setmetatable({}, { __close = function() mark("ended") end })
  lunesse.sleep(5)
  mark("old")
  hold()
end)
server:get("/", function(_, response) response:send("one") end)
]], { workers = 1 })
    local holds = "lunesse.spawn(hold)\n"
    assert.equal("one", get(app, "/"))
    reload(app, holds .. says_word "two")
    assert.equal("two", get(app, "/"))
    app:advance(5)
    expect_marks(app, { "old" })
    reload(app, holds .. says_word "three")
    expect_marks(app, { "old" })
    reload(app, says_word "four")
    expect_marks(app, { "old", "ended" })
    assert.equal(1, #app:log { message = "generation ended by force: too many reloads since",
      fields = { generation = 1, streams = 0, tasks = 1 } })
  end)

  it("is cancelled by the third reload, though no newer code has anything to do", function()
    local app = start([[
server:get("/", function(_, response)
  lunesse.spawn(function()
    local _ <close> = setmetatable({}, { __close = function() mark("ended") end })
    hold()
  end)
  response:send("one")
end)
]], { workers = 1 })
    assert.equal("one", get(app, "/"))
    reload(app, says_word "two")
    reload(app, says_word "three")
    expect_marks(app, {})
    reload(app, says_word "four")
    expect_marks(app, { "ended" })
  end)

  it("lets its generation go once it has ended", function()
    local app = start([[
server:get("/", function(_, response)
  lunesse.spawn(lunesse.sleep, 5)
  response:send("one")
end)
]], { workers = 1, args = { "--log-level", "debug" } })
    assert.equal("one", get(app, "/"))
    reload(app, says_word "two")
    assert.equal(0, #app:log("generation ended"))
    app:advance(5)
    assert.equal(1, #app:log("generation ended"))
  end)
end)

describe("a spawned task at the end of the server", function()
  local SERVES = [[
server:get("/", function(_, response)
  lunesse.spawn(function()
    local _ <close> = setmetatable({}, { __close = function() mark("closed") end })
    lunesse.sleep(%s)
    mark("done")
  end)
  response:send("x")
end)
]]

  it("is waited for until drain_timeout", function()
    local app = start(SERVES:format(0.2), { workers = 1 })
    get(app, "/")
    app:stop()
    expect_marks(app, { "done", "closed" })
    assert.same({}, app:log("drain_timeout is over"))
  end)

  it("is cut off then, and the log says how many were", function()
    local server = support.start(SERVES:format(1000),
      { workers = 1, args = { "--limit", "drain_timeout=0.1" } })
    support.get(server, "/")
    server:stop { seconds = 5 }
    support.await_marks(server, { "closed" })
    assert.equal(1, #server:log_lines("drain_timeout is over connections=0 tasks=1"))
  end)

  it("is not waited for when it was spawned while the scripts loaded", function()
    local server = support.start [[
lunesse.spawn(function()
  local _ <close> = setmetatable({}, { __close = function() mark("closed") end })
  hold()
end)
server:get("/", function(_, response) response:send("x") end)
]]
    support.get(server, "/")
    server:stop()
    assert.equal("closed", support.marks(server)[1])
    assert.equal(0, #server:log_lines("drain_timeout is over"))
  end)
end)
