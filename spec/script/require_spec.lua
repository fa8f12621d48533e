-- `require`: modules that wait while they load, modules that several tasks require, circles, and
-- the tree into which `luarocks --tree lua_modules` installs.

local support = require "spec.sse.support"
local reload = require "spec.reload.support"
local Process = require "spec.support.process"
local InnerServer = require "spec.support.inner_server"
local Server = require "spec.support.server"
local wire = require "spec.support.wire"
local eventually = require("spec.support.clock").eventually

local get, await_marks = support.get, support.await_marks

-- A script whose route answers with what `require` of the module in the path says.
local SCRIPT = support.script [[
server:get("/:name", function(request, response)
  local ok, what = pcall(require, request.params.name)
  response:send(tostring(what))
end)
]]

---The files of a server with modules in folders of their own, so that they are no scripts.
local function files_with(modules, script)
  local files = { ["main.lua"] = script or SCRIPT }
  for name, text in pairs(modules) do
    files[name] = text
  end
  return files
end

local function start(modules, script, options)
  return InnerServer.start(files_with(modules, script), options)
end

---What a request answers, without the folder's name.
local function says(server, target)
  return (get(server, target):gsub("/[^ \n']*/lunesse[^/]*/", ""))
end

local SLOW = [[
local lunesse = require "lunesse"
lunesse.log.info("mark", { what = "loading" })
lunesse.sleep(5)
lunesse.log.info("mark", { what = "loaded" })
return "slow"
]]

describe("require", function()
  it("gives what the module returns, or true, or what it has put in package.loaded", function()
    local server = start({
      ["m/value.lua"] = "return 'value of ' .. ...",
      ["m/none.lua"] = "",
      ["m/own.lua"] = "package.loaded[...] = 'own'",
      ["m/no.lua"] = "return false",
    }, nil, { workers = 1 })
    assert.equal("value of m.value", says(server, "/m.value"))
    assert.equal("true", says(server, "/m.none"))
    assert.equal("own", says(server, "/m.own"))
    assert.equal("false", says(server, "/m.no"))
  end)

  it("tells the place as a second result, once", function()
    local server = start({ ["m/value.lua"] = "return 1" }, support.script [[
server:get("/", function(_, response)
  local _, place = require "m.value"
  local count = select("#", require "m.value")
  response:send(place:match("[^/]*/[^/]*$") .. " " .. count)
end)
]])
    assert.equal("m/value.lua 1", says(server, "/"))
  end)

  it("says where it has looked, at the script's line", function()
    local server = start({}, support.script [[
server:get("/", function(_, response)
  local ok, why = pcall(function()
    require "not.there"
  end)
  response:send(why)
end)
]])
    local text = says(server, "/")
    assert.matches("^main.lua:3: module 'not.there' not found:\n\tno field package.preload" ..
      "%['not.there'%]\n\tno file 'not/there.lua'\n", text)
    assert.matches("\n\tno file 'lua_modules/share/lua/5.4/not/there.lua'\n", text)
    assert.matches("\n\tno file 'lua_modules/share/lua/5.4/not/there/init.lua'\n", text)
    assert.matches("\n\tno file 'lua_modules/lib/lua/5.4/not/there.so'\n", text)
  end)

  it("raises for what is no name", function()
    local server = start({}, support.script [[
server:get("/", function(_, response)
  local ok, why = pcall(function()
    require {}
  end)
  response:send(why)
end)
]])
    assert.equal("main.lua:3: bad argument #1 to 'require' (string expected, got table)",
      says(server, "/"))
  end)

  it("passes on the error of a module, and tries again the next time", function()
    local server = start({ ["m/bad.lua"] = "count = (count or 0) + 1 error('bad ' .. count)" }, nil,
      { workers = 1 })
    assert.equal("m/bad.lua:1: bad 1", says(server, "/m.bad"))
    assert.equal("m/bad.lua:1: bad 2", says(server, "/m.bad"))
  end)

  it("waits while a module waits, and the second waits for the first", function()
    local server = start({ ["m/slow.lua"] = SLOW }, nil, { clock = true, workers = 1 })
    local clients = {}
    for i = 1, 3 do
      clients[i] = server:connect()
      clients[i]:send(wire.request { target = "/m.slow" })
      clients[i]:flush()
    end
    await_marks(server, { "loading" })
    server:advance(5)
    for i = 1, 3 do
      assert.equal("slow", clients[i]:response().body)
      clients[i]:close()
    end
    await_marks(server, { "loading", "loaded" })
  end)

  it("has another task load the module when the one that loaded it was cancelled", function()
    local server = start({ ["m/slow.lua"] = SLOW }, support.script [[
server:get("/first", { sse = "always" }, function(_, response)
  response.sse:send("begun")
  require "m.slow"
end)
server:get("/second", function(_, response) response:send(require "m.slow") end)
]], { clock = true, workers = 1 })
    local stream = server:stream("/first")
    stream:event()
    await_marks(server, { "loading" })
    local client = server:connect()
    client:send(wire.request { target = "/second" })
    client:flush()
    stream:close()
    await_marks(server, { "loading", "loading" })
    server:advance(5)
    assert.equal("slow", client:response().body)
    client:close()
  end)

  it("has another task load the module when the one that loaded it failed", function()
    local server = start({ ["m/bad.lua"] = [[
local lunesse = require "lunesse"
count = (count or 0) + 1
local mine = count
lunesse.sleep(0.05)
error("bad " .. mine, 0)
]] }, support.script [[
server:get("/", function(_, response)
  local function try() return select(2, pcall(require, "m.bad")) end
  local one, two = lunesse.all { try, try }
  response:send(one .. ", " .. two)
end)
]], { workers = 1 })
    assert.equal("bad 1, bad 2", says(server, "/"))
  end)

  it("raises for modules that require each other in a circle", function()
    local server = start({
      ["m/a.lua"] = "local b = require 'm.b' return b",
      ["m/b.lua"] = "local c = require 'm.c' return c",
      ["m/c.lua"] = "local a = require 'm.a' return a",
      ["m/self.lua"] = "local self = require 'm.self' return self",
    })
    assert.equal("m/c.lua:1: modules require each other in a circle: m.a requires m.b requires " ..
      "m.c requires m.a", says(server, "/m.a"))
    assert.equal("m/self.lua:1: modules require each other in a circle: m.self requires m.self",
      says(server, "/m.self"))
  end)

  it("raises for a circle over two tasks, which would wait for each other", function()
    local half = [[
local lunesse = require "lunesse"
lunesse.sleep(0.02)
return require "%s"
]]
    local server = start({ ["m/a.lua"] = half:format "m.b", ["m/b.lua"] = half:format "m.a" },
      support.script [[
server:get("/", function(_, response)
  local function try(name) return function() return select(2, pcall(require, name)) end end
  local one, two = lunesse.all { try "m.a", try "m.b" }
  response:send(one .. "\n" .. two)
end)
]], { workers = 1 })
    local text = says(server, "/")
    assert.matches("modules require each other in a circle: m%.[ab] requires m%.[ab] requires",
      text)
    assert.equal(0, #server:log_lines("script error"))
  end)

  it("is not confused by a coroutine that died in a module", function()
    local server = start({ ["m/once.lua"] = [[
count = (count or 0) + 1
if count == 1 then error("no luck") end
return "second"
]] }, support.script [[
server:get("/", function(_, response)
  coroutine.resume(coroutine.create(function() require "m.once" end))
  response:send(require "m.once")
end)
]], { workers = 1 })
    assert.equal("second", says(server, "/"))
  end)

  it("says what stands in the way where nothing can wait", function()
    local server = start({ ["m/slow.lua"] = SLOW }, support.script [[
server:get("/", function(_, response)
  local _, why = pcall(table.sort, { 1, 2 }, function() require "m.slow" end)
  response:send(why)
end)
]])
    assert.matches("^m/slow.lua:3: sleep can only wait inside a handler, timer, task or " ..
      "callback; not inside the C function 'table.sort', called at main.lua:2: wait before " ..
      "it is called, or after it has returned$", says(server, "/"))
  end)
end)

describe("the tree lua_modules beside the scripts", function()
  it("comes before the system's modules, and after the scripts' own", function()
    local server = start({
      ["lua_modules/share/lua/5.4/socket.lua"] = "return 'tree'",
      ["lua_modules/share/lua/5.4/pack/init.lua"] = "return 'init'",
      ["lua_modules/share/lua/5.4/pack/part.lua"] = "return 'part'",
      ["lua_modules/share/lua/5.4/m/own.lua"] = "return 'tree'",
      ["m/own.lua"] = "return 'own'",
    })
    assert.equal("tree", says(server, "/socket"))
    assert.equal("init", says(server, "/pack"))
    assert.equal("part", says(server, "/pack.part"))
    assert.equal("own", says(server, "/m.own"))
  end)

  it("has C modules too", function()
    local server = Server.start(files_with {})
    local folder = server.folder .. "/lua_modules/lib/lua/5.4"
    assert.equal(0, (Process.run { "mkdir", "-p", folder }))
    Process.write_file(server.folder .. "/answer.c", [[
#include <lua.h>
int luaopen_answer(lua_State *L) { lua_pushinteger(L, 42); return 1; }
]])
    local code, _, complaint = Process.run { "cc", "-shared", "-fPIC", "-I/usr/include/lua5.4",
      "-o", folder .. "/answer.so", server.folder .. "/answer.c" }
    assert.equal(0, code, complaint)
    assert.equal("42", says(server, "/answer"))
  end)

  it("is watched: an edit of a module there is loaded", function()
    local module = "lua_modules/share/lua/5.4/word.lua"
    local server = Server.start(files_with({ [module] = "return 'old'" }, support.script [[
local word = require "word"
server:get("/", function(_, response) response:send(word) end)
]]), { args = { "--watch" } })
    assert.equal("old", says(server, "/"))
    Process.write_file(server.folder .. "/" .. module, "return 'new'")
    eventually(function() return reload.count(server, "reloaded") == 1 end)
    assert.equal("new", says(server, "/"))
  end)
end)
