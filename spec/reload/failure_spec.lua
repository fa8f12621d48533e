-- All or nothing: what does not load changes nothing, and the log says where the mistake is.

local lfs = require "lfs"
local support = require "spec.reload.support"
local InnerServer = require "spec.support.inner_server"
local Server = require "spec.support.server"
local Process = require "spec.support.process"
local clock = require "spec.support.clock"
local wire = require "spec.support.wire"

local start, get, fail, says = support.start_inside, support.get, support.fail, support.says

local BROKEN = {
  { "a syntax error", "\nlocal = 1\n", "script%.lua:2: .*'='" },
  { "an error while it loads", "\n\nerror 'no such thing'\n", "script%.lua:3: no such thing" },
  { "an error that is no text", "error(setmetatable({}, {}))", "why={}" },
  { "two equal routes", says "a" .. "\n" .. says "b",
    "script%.lua:3: the route GET / is already declared at .*script%.lua:1" },
  { "a bad pattern", "\nserver:get('no-slash', function() end)", "script%.lua:2: .*pattern" },
  { "a module that is not there", "\nrequire 'no.such.module'", "script%.lua:2: module" },
  { "a limit that is not there", "\nlunesse.server { limits = { moons = 1 } }",
    "script%.lua:2: there is no limit 'moons'" },
}

describe("a reload of", function()
  for _, case in ipairs(BROKEN) do
    it(case[1] .. " leaves the old code, and the log has file and line", function()
      local server = start(says "old")
      local line = fail(server, case[2])
      assert.matches(case[3], line)
      assert.not_matches("traceback", line)
      assert.equal("old", get(server, "/"))
      assert.equal(0, support.count(server, "reloaded"))
      support.reload(server, says "new")
      assert.equal("new", get(server, "/"))
      assert.equal("2", support.report(server).generation)
    end)
  end

  it("an endless loop ends at run_timeout, and leaves the old code", function()
    local server = start(says "old", { args = { "--limit", "run_timeout=0.05" } })
    assert.matches("script%.lua:2", fail(server, "\nwhile true do end"))
    assert.matches("script%.lua:2", fail(server, "\nrepeat until pcall(error)"))
    assert.equal("old", get(server, "/"))
  end)

  it("an endless loop keeps the readers waiting for one run_timeout, and not ten", function()
    local server = start(says "old", { args = { "--limit", "run_timeout=0.25" } })
    assert.matches("script%.lua:2: ran for more than run_timeout %(0%.25 s%)",
      fail(server, "\nwhile true do end"))
    server:stop()
    local folder = Server.write { ["a.lua"] = "\nwhile true do end" }
    local code, _, err = Server.run { "--check", "--limit", "run_timeout=0.05", folder }
    assert.equal(1, code)
    assert.matches("a%.lua:2: ran for more than 0%.5 s, ten times run_timeout", err)
    assert.matches(" warn a limit is met limit=run_timeout at=0%.500\n", err)
  end)

  it("scripts that take more memory than lua_bytes leaves the old code", function()
    local server = start(says "old", { args = { "--limit", "lua_bytes=8000000" } })
    assert.matches("memory", fail(server,
      "local t = {} for i = 1, 1e8 do t[i] = ('x'):rep(10000) end"))
    assert.equal("old", get(server, "/"))
  end)

  it("a script that is not there, or cannot be read, leaves the old code", function()
    local server = start(says "old")
    os.remove(server.folder .. "/script.lua")
    assert.matches("script%.lua: No such file", fail(server))
    assert(lfs.mkdir(server.folder .. "/script.lua"))
    assert.matches("no %*%.lua files in .*script%.lua", fail(server))
    assert.equal("old", get(server, "/"))
  end)

  it("a folder that has gone leaves the old code", function()
    local server = InnerServer.start { ["inner/a.lua"] = support.script(says "old") ,
      ["zz.lua"] = "" }
    assert(os.rename(server.folder, server.folder .. "-away"))
    assert.matches("cannot read /tmp/[^ ]*: No such file", fail(server))
    assert(os.rename(server.folder .. "-away", server.folder))
    support.reload(server)
  end)

  it("one bad script among good ones takes none of them", function()
    local server = InnerServer.start { ["a.lua"] = support.script(says "old") }
    Process.write_file(server.folder .. "/a.lua", support.script(says "new"))
    Process.write_file(server.folder .. "/b.lua", "error 'bad'")
    assert.matches("b%.lua:1: bad", fail(server))
    assert.equal("old", get(server, "/"))
  end)

  it("a mistake is shown with its traceback with --dev", function()
    local server = support.start(says "old", { args = { "--dev" } })
    fail(server, "local function inner()\n error 'bad'\nend\ninner()")
    assert.matches('why="[^\n]*script%.lua:2: bad"\n  stack traceback:\n', server:log())
    assert.matches("\n      %S*script%.lua:4: in main chunk\n", server:log())
  end)
end)

describe("a load that fails", function()
  it("leaves no timer", function()
    local server = start(says "old")
    fail(server, [[
lunesse.every(0.001, function() mark("every") end)
lunesse.after(0, function() mark("after") end)
error "bad"
]])
    support.reload(server, [[ lunesse.after(0.02, function() mark("later") end) ]])
    support.await_marks(server, { "later" })
  end)

  it("leaves no channel, and no change of one", function()
    local server = start([[
local room = lunesse.channel("room", { history = 3 })
server:get("/room", function(_, response)
  response.sse:subscribe(room, { since = "earliest" })
end)
server:post("/room", function(request, response)
  response:send(room:publish(request:text()))
end)
server:post("/other", function(_, response)
  local other, message = lunesse.channel("other")
  response:send(other and "made" or message)
end)
]], { args = { "--limit", "channels=2" } })
    local function publish(text)
      server:request { method = "POST", target = "/room", body = text }
    end
    local reader = server:stream("/room")
    reader:comment()
    for i = 1, 5 do
      publish(tostring(i))
    end
    fail(server, [[
lunesse.channel("room", { history = 0, ttl = 0.001, on_lag = "skip", reset_event = "x" })
lunesse.channel("third", { history = 5 })
error "bad"
]])
    publish("6")
    for i = 1, 6 do
      assert.equal(tostring(i), reader:event().data)
    end
    local late = server:stream("/room")
    for i = 4, 6 do
      assert.equal(tostring(i), late:event().data)
    end
    assert.equal("made", server:request({ method = "POST", target = "/other", body = "" }).body)
  end)

  it("changes no limit", function()
    local server = start([[
server:post("/", function(request, response) response:send(tostring(#request:text())) end)
]])
    fail(server, "lunesse.server { limits = { body_bytes = 1 } } error 'bad'")
    assert.equal("5", server:request({ method = "POST", target = "/", body = "12345" }).body)
  end)

  it("leaves nothing behind, many times", function()
    local server = support.start(says "old", { args = { "--log-level", "warn" } })
    local bad = [[
local t = {} for i = 1, 1000 do t[i] = { i } end
lunesse.channel("c" .. math.random(1e9))
lunesse.every(1, function() end)
error "bad"
]]
    for _ = 1, 20 do
      fail(server, bad)
    end
    local before, files = server:memory(), server:descriptors()
    for _ = 1, 100 do
      fail(server, bad)
    end
    local slack = Server.is_sanitized() and 200 or clock.slow -- MiB
    assert.is_true(server:memory() - before < slack * 1024 * 1024)
    assert.equal(files, server:descriptors())
    assert.equal("old", get(server, "/"))
  end)
end)

describe("server:on_reload", function()
  it("raises outside of loading, and for what it does not know", function()
    local server = start [[
for _, what in ipairs { "Keep", "", 1, true, {} } do
  mark(select(2, pcall(server.on_reload, server, what)))
end
mark(select(2, pcall(server.on_reload, server)))
mark(tostring(server:on_reload("keep") == server))
server:on_reload("end"):on_reload(function() end)
server:get("/", function(_, response)
  response:send(select(2, pcall(server.on_reload, server, "keep")))
end)
]]
    local marks = support.marks(server)
    for i = 1, 6 do
      assert.matches("on_reload takes 'keep', 'end' or a function$", marks[i])
    end
    assert.equal("true", marks[7])
    assert.matches("on_reload belongs to the script's top level", get(server, "/"))
  end)
end)

describe("without a descriptor to load the scripts with", function()
  local HUNGRY = says "old" .. [[
local held = {}
server:get("/take", function(_, response)
  repeat held[#held + 1] = io.open("/dev/null") until not io.open("/dev/null")
  response:send("taken")
end)
server:get("/give", function(_, response)
  held = {}
  collectgarbage()
  response:send("given")
end)
]]

  for _, case in ipairs { { "a folder", "" }, { "a script", "/a.lua" } } do
    it("a reload of " .. case[1] .. " leaves the old code, and the log says why", function()
      local folder = Server.write { ["a.lua"] = support.script(HUNGRY) }
      local server = Server.start(nil, {
        path = folder .. case[2], wrap = Server.under "ulimit -n 100",
      })
      local client = server:connect()
      local function ask(target)
        client:send(wire.request { target = target })
        return client:response().body
      end
      assert.equal("taken", ask("/take"))
      assert.matches("cannot read [^ ]+: Too many open files", fail(server))
      assert.equal("old", ask("/"))
      assert.equal("given", ask("/give"))
      support.reload(server)
      client:close()
    end)
  end
end)
