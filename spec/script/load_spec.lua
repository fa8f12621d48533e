-- Scripts that wait while they load: the first time, and while others serve.

local support = require "spec.sse.support"
local reload = require "spec.reload.support"
local Process = require "spec.support.process"
local InnerServer = require "spec.support.inner_server"
local Server = require "spec.support.server"
local clock = require "spec.support.clock"

local start, get, await_marks = support.start_inside, support.get, support.await_marks

---A script that waits and then says a word.
local function waits(seconds, word)
  return ("mark('loading')\nlunesse.sleep(%s)\nmark('loaded')\n%s"):format(seconds,
    reload.says(word))
end

---Replaces the script, and begins to load it.
local function begin(server, text)
  reload.replace(server, text)
  server.process:signal("HUP")
end

describe("a script that waits while it loads", function()
  it("has waited when its server answers, with every number of workers", function()
    local server = start(waits(0.05, "here"), { workers = 3 })
    assert.equal("here", get(server, "/"))
    assert.equal(6, #support.marks(server))
  end)

  it("is waited for by the next script", function()
    local server = InnerServer.start {
      ["a.lua"] = support.script [[
lunesse.sleep(0.02)
settings = { word = require "m.word" }
]],
      ["b.lua"] = support.script [[
local word = settings.word
lunesse.sleep(0.02)
server:get("/", function(_, response) response:send(word) end)
]],
      ["m/word.lua"] = "local lunesse = require 'lunesse' lunesse.sleep(0.02) return 'word'",
    }
    assert.equal("word", get(server, "/"))
  end)

  it("may run functions at once, and wait for tasks and signals", function()
    local server = start [[
local ready = lunesse.signal()
local task = lunesse.spawn(function() return ready:wait() end)
local one, two = lunesse.all {
  function() lunesse.sleep(0.01) return 1 end,
  function() ready:set("x") return 2 end,
}
local _, x = task:wait()
server:get("/", function(_, response) response:send(one .. two .. x) end)
]]
    assert.equal("12x", get(server, "/"))
  end)

  it("may publish more than a turn takes, and read large JSON", function()
    local server = start([[
local room = lunesse.channel("room", { history = 10 })
for _ = 1, 30 do assert(room:publish(("x"):rep(10000))) end
local list = {}
for i = 1, 100000 do list[i] = i end
local text = lunesse.json.encode(list)
server:get("/", function(_, response) response:send(#lunesse.json.decode(text)) end)
]], { workers = 1 })
    assert.equal("100000", get(server, "/"))
  end)

  it("is waited for by --check", function()
    local folder = Server.write { ["a.lua"] = support.script(waits(0.05, "x")) }
    local code, out = Server.run { "--check", folder .. "/a.lua" }
    assert.equal(0, code)
    assert.matches("GET.*/", out)
  end)

  it("fails with the line that failed after the wait", function()
    local script = support.script "lunesse.sleep(0.01)\nerror 'no luck'"
    local folder = Server.write { ["a.lua"] = script }
    local code, _, err = Server.run { "--check", folder .. "/a.lua" }
    assert.equal(1, code)
    assert.matches("a.lua:2: no luck\n$", err)
  end)

  it("cannot yield to nobody", function()
    local folder = Server.write { ["a.lua"] = "coroutine.yield()" }
    local code, _, err = Server.run { "--check", folder .. "/a.lua" }
    assert.equal(1, code)
    assert.matches("coroutine.yield outside a coroutine of the script", err)
  end)

  it("is given up after load_timeout, with the line where it waits", function()
    local folder = Server.write { ["a.lua"] = support.script "mark('x')\nlunesse.sleep(1000)" }
    local code, _, err = Server.run { "--limit", "load_timeout=0.05", folder .. "/a.lua" }
    assert.equal(1, code)
    assert.matches("a.lua:2: the scripts have not loaded within load_timeout %(0.05 s%)\n", err)
  end)

  it("is given up at SIGTERM, with exit code 0", function()
    for _, script in ipairs {
      "mark('waits')\nlunesse.sleep(1000)",
      "if lunesse.worker > 1 then mark('waits') lunesse.sleep(1000) end",
    } do
      local folder = Server.write { ["a.lua"] = support.script(script .. "\n" .. reload.says "x") }
      local process = Process.start { Server.binary(), "--port", "0", "--workers", "2",
        folder .. "/a.lua" }
      clock.eventually(function() return process:stderr():find("what=waits", 1, true) end)
      process:signal("TERM")
      assert.equal(0, (process:wait(2 * clock.slow)))
    end
  end)
end)

describe("a reload whose scripts wait", function()
  it("lets the old code serve meanwhile, and takes its place when they have loaded", function()
    local server = start(reload.says "old", { clock = true, workers = 1 })
    begin(server, waits(5, "new"))
    await_marks(server, { "loading" })
    assert.equal("old", get(server, "/"))
    server:advance(4)
    assert.equal("old", get(server, "/"))
    server:advance(1)
    clock.eventually(function() return reload.count(server, "reloaded") == 1 end)
    assert.equal("new", get(server, "/"))
  end)

  it("is one for all workers", function()
    local server = start(reload.says "old", { workers = 3 })
    reload.reload(server, waits(0.05, "new"))
    for _ = 1, 10 do
      assert.equal("new", get(server, "/"))
    end
    assert.equal(6, #support.marks(server))
  end)

  it("is followed by another that was asked for meanwhile", function()
    local server = start(reload.says "old", { clock = true, workers = 1 })
    begin(server, waits(5, "new"))
    await_marks(server, { "loading" })
    begin(server, reload.says "newest")
    assert.equal("old", get(server, "/"))
    server:advance(5)
    clock.eventually(function() return reload.count(server, "reloaded") == 2 end)
    assert.equal("newest", get(server, "/"))
  end)

  it("is refused after load_timeout, and the old code goes on", function()
    local server = start(reload.says "old", { clock = true, workers = 1 })
    begin(server, [[
lunesse.spawn(function()
  local _ <close> = setmetatable({}, { __close = function() mark("task closed") end })
  hold()
end)
local _ <close> = setmetatable({}, { __close = function() mark("script closed") end })
mark("loading")
hold()
]])
    await_marks(server, { "loading" })
    server:advance(30)
    clock.eventually(function() return reload.count(server, "failed") == 1 end)
    await_marks(server, { "loading", "script closed", "task closed" })
    assert.equal(1, #server:log_lines("script.lua:1: the scripts have not loaded within " ..
      "load_timeout (30 s)"))
    assert.equal("old", get(server, "/"))
    reload.reload(server, reload.says "new")
    assert.equal("new", get(server, "/"))
  end)

  it("is refused for an error after the wait, and leaves no timer and no task", function()
    local server = start(reload.says "old", { workers = 1 })
    local line = reload.fail(server, [[
lunesse.every(0.01, function() mark("no") end)
lunesse.sleep(0.05)
error("no luck")
]])
    assert.matches("script.lua:3: no luck", line)
    await_marks(server, {})
    assert.equal("old", get(server, "/"))
  end)

  it("is given up when the server ends", function()
    local server = start(reload.says "old", { workers = 2 })
    begin(server, "mark('loading') hold()")
    await_marks(server, { "loading" })
    server:stop()
  end)

  it("is ended by run_timeout when it computes too long after a wait", function()
    local server = start(reload.says "old", { args = { "--limit", "run_timeout=0.1" } })
    assert.matches("script.lua:2: ran for more than run_timeout",
      reload.fail(server, "lunesse.sleep(0.01)\nwhile true do end"))
  end)
end)
