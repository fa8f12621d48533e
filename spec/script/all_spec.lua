-- `lunesse.all` and signals.

local apps = require "spec.support.app"
local tasks = require "spec.script.tasks"

local start, get, expect_marks = apps.start, apps.get, apps.expect_marks
local TOLD, answer, says = tasks.TOLD, tasks.answer, tasks.says

describe("lunesse.all", function()
  it("returns the first result of each function, in their order", function()
    says("b a nil 4", [[return told(lunesse.all {
      function() lunesse.sleep(0.02) return "b", "more" end,
      function() return "a" end,
      function() end,
      function() lunesse.sleep(0.01) return 4 end,
    })]])
    says("0", [[return told(select("#", lunesse.all {}))]])
  end)

  it("runs them at once", function()
    local app = start(TOLD:gsub("\n", " ") .. [[
server:get("/", function(_, response)
  local function nap(seconds) return function() lunesse.sleep(seconds) return seconds end end
  response:send(told(lunesse.all { nap(10), nap(10), nap(9) }))
end)
]])
    local begun = app:send("GET", "/")
    app:advance(10)
    assert.equal("10 10 9", begun:text())
  end)

  it("raises the first error as it was raised, and cancels the rest", function()
    local app = says("false script.lua:2: no luck", [[
      return told(pcall(lunesse.all, { function() lunesse.sleep(0.01) error("no luck") end,
        function()
          local _ <close> = setmetatable({}, { __close = function() mark("closed") end })
          lunesse.sleep(1000) mark("no")
        end }))]])
    expect_marks(app, { "closed" })
    assert.same({}, app:log("script error"))
    says("true", [[local what = {}
      local _, why = pcall(lunesse.all, { function() error(what) end }) return told(why == what)]])
  end)

  it("raises for one that ran too long, and does not wait for ever", function()
    assert.matches("^false script.lua:%d+: ran for more than run_timeout", (answer(
      [[return told(pcall(lunesse.all, { function() while true do end end }))]],
      { limits = { run_timeout = 0.1 } })))
  end)

  it("cancels its functions when the reader of the caller leaves", function()
    local app = start [[
server:get("/", function(_, response)
  local function hang()
    local _ <close> = setmetatable({}, { __close = function() mark("closed") end })
    hold()
  end
  response.sse:send("begun")
  lunesse.all { hang, hang, hang }
  mark("no")
end)
]]
    app:stream("/"):leave()
    expect_marks(app, { "closed", "closed", "closed" })
  end)

  it("can be nested, and used in a spawned task", function()
    says("true 1 2", [[return told(lunesse.spawn(function()
      local one, two = lunesse.all {
        function() return (lunesse.all { function() lunesse.sleep(0) return 1 end }) end,
        function() return 2 end,
      }
      return told(one, two)
    end):wait())]])
  end)

  it("runs a thousand functions, which end one by one", function()
    local count = apps.fewer(1000)
    says(("%d %d"):format(count, count), (([[local list = {}
      for i = 1, COUNT do
        list[i] = function() for _ = 1, i // 100 do lunesse.sleep(0) end return i end
      end
      local results = table.pack(lunesse.all(list))
      return told(results.n, results[COUNT])]]):gsub("COUNT", count)))
  end)

  it("raises where tasks are at their limit, and leaves none of its own", function()
    says("false script.lua:3: there are as many tasks as the limit allows true", [[
      local ok, why = pcall(function()
lunesse.all { hold, hold, hold } end)
      return told(ok, why, lunesse.spawn(print) ~= nil)]], { limits = { tasks = 2 } })
  end)

  it("raises at the script's line for what it does not take", function()
    for what, message in pairs {
      ["nil"] = "all takes a list of functions, got nil",
      ["{ print, 1 }"] = "all takes a list of functions, and nothing else in its table",
      ["{ a = print }"] = "all takes a list of functions, and nothing else in its table",
      ["{ [2] = print }"] = "all takes a list of functions without gaps",
    } do
      says("script.lua:3: " .. message, ([[return (select(2, pcall(function()
lunesse.all(%s) end)))]]):format(what))
    end
  end)

  it("says what stands in the way where nothing can wait", function()
    local text = answer [[return (select(2, pcall(table.sort, { 1, 2 },
      function() return lunesse.all { print } end)))]]
    assert.matches("^script.lua:%d+: all can only wait inside a handler, timer, task or " ..
      "callback; not inside the C function", text)
  end)
end)

-- A function that waits for ever, and marks its name when it is closed.
local CLOSES = [[
local function closes(name)
  return function()
    local _ <close> = setmetatable({}, { __close = function() mark(name) end })
    hold()
  end
end
]]

-- `CLOSES` in one line, so that scripts keep their line numbers.
local function start_closing(text)
  return start(CLOSES:gsub("\n", " ") .. text)
end

describe("what lunesse.all has begun", function()
  it("has ended when it raises, and its to-be-closed variables have run", function()
    local app = start_closing [[
server:get("/", function(_, response)
  local function fails() lunesse.sleep(1) error("x", 0) end
  mark(select(2, pcall(lunesse.all, { closes "a", closes "b", fails })))
  response:send("raised")
end)
]]
    assert.equal("raised", get(app, "/"))
    expect_marks(app, { "a", "b", "x" })
  end)

  it("has ended before a caller that is cancelled, from the innermost on", function()
    local app = start_closing [[
server:get("/", function(_, response)
  local task = lunesse.spawn(function()
    local _ <close> = setmetatable({}, { __close = function() mark("outer") end })
    lunesse.all { closes "a", function()
      local _ <close> = setmetatable({}, { __close = function() mark("middle") end })
      lunesse.all { closes "b", closes "c" }
    end }
  end)
  lunesse.sleep(1)
  task:cancel()
  mark(select(3, task:wait()))
  response:send("ended")
end)
]]
    assert.equal("ended", get(app, "/"))
    expect_marks(app, { "a", "b", "c", "middle", "outer", "ECANCELED" })
  end)

  it("has ended before the handler whose reader leaves", function()
    local app = start_closing [[
server:get("/", function(_, response)
  local _ <close> = setmetatable({}, { __close = function() mark("handler") end })
  response.sse:send("begun")
  coroutine.wrap(function() lunesse.all { closes "a", closes "b" } end)()
end)
]]
    app:stream("/"):leave()
    expect_marks(app, { "a", "b", "handler" })
  end)

  it("has ended before its caller when the code of both is too old", function()
    local app = start_closing [[
server:get("/", function(_, response)
  lunesse.spawn(function()
    local _ <close> = setmetatable({}, { __close = function() mark("caller") end })
    lunesse.all { closes "a", function() lunesse.all { closes "b" } end }
  end)
  response:send("begun")
end)
]]
    get(app, "/")
    for _ = 1, 3 do
      assert(app:reload())
    end
    expect_marks(app, { "a", "b", "caller" })
  end)

  it("may fail while it is closed, which is logged, and cannot wait there", function()
    local app = start [[
local function fails(fn)
  return function()
    local _ <close> = setmetatable({}, { __close = fn })
    hold()
  end
end
server:get("/", function(_, response)
  local _, why = pcall(lunesse.all, {
    fails(function() lunesse.sleep(1) mark("slept") end),
    fails(function() error("oh no", 0) end),
    fails(function() mark("closed") end),
    function() lunesse.sleep(1) error("first", 0) end,
  })
  response:send(why)
end)
]]
    assert.equal("first", get(app, "/"))
    expect_marks(app, { "closed" })
    local records = app:log("a closing variable failed")
    assert.equal(2, #records)
    assert.matches("sleep can only wait", records[1].fields.error, 1, true)
    assert.equal("oh no", records[2].fields.error:match("^[^\n]*"))
  end)

  it("may cancel its caller, and ends before it", function()
    local app = start_closing [[
server:get("/", function(_, response)
  local caller
  caller = lunesse.spawn(function()
    local _ <close> = setmetatable({}, { __close = function() mark("caller") end })
    lunesse.all { closes "a", function()
      local _ <close> = setmetatable({}, { __close = function() mark("b") end })
      lunesse.sleep(1)
      caller:cancel()
      error("nobody waits for this")
    end }
  end)
  mark(select(3, caller:wait()))
  response:send("ended")
end)
]]
    get(app, "/")
    expect_marks(app, { "b", "a", "caller", "ECANCELED" })
    assert.matches("nobody waits for this", apps.script_errors(app)[1])
  end)

  it("does not begin in a caller that was cancelled before", function()
    local app = start_closing [[
server:get("/", function(_, response)
  local self
  self = lunesse.spawn(function()
    self:cancel()
    lunesse.all { function() mark("no") end, closes "no" }
  end)
  mark(select(3, self:wait()))
  response:send("ended")
end)
]]
    get(app, "/")
    expect_marks(app, { "ECANCELED" })
    assert.same({}, apps.script_errors(app))
  end)

  it("may be nested thousands deep, and all of it ends with its reader", function()
    local depth = apps.fewer(9000)
    local app = start(([[
local open = 0
local function nest(depth)
  local _ <close> = setmetatable({}, { __close = function() open = open - 1 end })
  open = open + 1
  if depth > 0 then lunesse.all { function() nest(depth - 1) end } end
  hold()
end
server:get("/", function(_, response) response.sse:send("begun") nest(DEPTH) end)
local task
server:post("/spawn", function(_, response)
  task = lunesse.spawn(nest, DEPTH)
  response:send("spawned")
end)
server:post("/cancel", function(_, response)
  task:cancel()
  response:send("cancelled")
end)
server:get("/open", function(_, response) response:send(tostring(open)) end)
]]):gsub("DEPTH", depth), { workers = 1 })
    local stream = app:stream("/")
    app:run_until(function() return get(app, "/open") == tostring(depth + 1) end)
    stream:leave()
    app:run_until(function() return get(app, "/open") == "0" end)
    app:post("/spawn"):expect(200)
    app:run_until(function() return get(app, "/open") == tostring(depth + 1) end)
    app:post("/cancel"):expect(200)
    app:run_until(function() return get(app, "/open") == "0" end)
  end)
end)

describe("a signal", function()
  it("wakes all who wait, with its value, also when it is cleared in the same turn", function()
    says("true 7|true 7|true 7", [[
      local signal = lunesse.signal()
      local tasks, texts = {}, {}
      for i = 1, 3 do tasks[i] = lunesse.spawn(function() return signal:wait() end) end
      lunesse.sleep(0.01)
      signal:set(7)
      signal:clear()
      for i, task in ipairs(tasks) do texts[i] = told(task:wait()) end
      return table.concat(texts, "|")]])
  end)

  it("stays set until it is cleared", function()
    says("false true a a b|true false nil the signal was not set in time ETIMEDOUT", [[
      local signal = lunesse.signal()
      local was = signal.is_set
      signal:set("a")
      local text = told(was, signal.is_set, signal:wait(), (signal:wait()))
      signal:set("b")
      return text .. " " .. told(signal:wait()) .. "|" .. told(signal:clear(), signal:clear(),
        signal:wait(0))]])
  end)

  it("has nil and false as values, and is true without one", function()
    says("1 nil|1 false|1 true", [[
      local signal, texts = lunesse.signal(), {}
      local function add(...) texts[#texts + 1] = told(select("#", ...), ...) end
      signal:set(nil) add(signal:wait(1))
      signal:clear()
      local task = lunesse.spawn(function() add(signal:wait()) end)
      lunesse.sleep(0) signal:set(false) task:wait()
      signal:set() add(signal:wait(0))
      return table.concat(texts, "|")]])
  end)

  it("answers ETIMEDOUT when the time is up, and may be waited for again", function()
    local app = start(TOLD:gsub("\n", " ") .. [[
server:get("/", function(_, response)
  local signal = lunesse.signal()
  mark(told(signal:wait(5)))
  lunesse.after(5, function() signal:set("now") end)
  response:send(told(signal:wait(6)))
end)
]])
    local begun = app:send("GET", "/")
    app:advance(5)
    expect_marks(app, { "nil the signal was not set in time ETIMEDOUT" })
    app:advance(5)
    assert.equal("now", begun:text())
  end)

  it("forgets a waiter that is cancelled or whose reader has left", function()
    local app = start [[
local signal = lunesse.signal()
server:get("/", function(_, response)
  response.sse:send("begun")
  local _ <close> = setmetatable({}, { __close = function() mark("left") end })
  signal:wait()
  mark("no")
end)
server:get("/set", function(_, response)
  local task = lunesse.spawn(function() signal:wait() mark("no") end)
  lunesse.sleep(0.01)
  task:cancel()
  task:wait()
  collectgarbage()
  signal:set(1)
  response:send("set")
end)
]]
    app:stream("/"):leave()
    expect_marks(app, { "left" })
    assert.equal("set", get(app, "/set"))
    expect_marks(app, { "left" })
  end)

  it("may be set by its own waiters, by finalizers and by closing variables", function()
    says("true x", [[
      local signal, other = lunesse.signal(), lunesse.signal()
      local task = lunesse.spawn(function() return signal:wait() end)
      local closer = lunesse.spawn(function()
        local _ <close> = setmetatable({}, { __close = function() signal:set("x") end })
        other:wait()
      end)
      lunesse.sleep(0) setmetatable({}, { __gc = function() other:set() end })
      collectgarbage()
      return told(task:wait())]])
  end)

  it("says what stands in the way where nothing can wait", function()
    local text = answer [[local signal = lunesse.signal()
      return (select(2, pcall(function()
        return (string.gsub("a", "a", function() signal:wait() end))
      end)))]]
    assert.matches("signal:wait can only wait inside a handler, timer, task or callback; not " ..
      "inside the C function 'string.gsub'", text)
  end)

  it("leaves its server in peace when it is never set", function()
    local app = start [[
local signal = lunesse.signal()
server:get("/", function(_, response) response.sse:send("begun") signal:wait() end)
]]
    app:stream("/")
    app:stop()
  end)
end)
