-- What scripts have of Lua's own libraries. C code of the engine trusts its boxes, its upvalues and
-- its stack; `debug`, bytecode and a few others could change them behind its back, and the program
-- ended by a signal.

local apps = require "spec.support.app"
local support = require "spec.sse.support"

local start, get = apps.start, apps.get

---Runs `body`, a function's, in a handler: what it returned. The server still answers then.
local function answer_of(body)
  local app = start([[
local room = lunesse.channel("room")
local function try(fn, ...)
  local is_well, what = pcall(fn, ...)
  return is_well and tostring(what) or (what:gsub("^.-:%d+: ", ""))
end
server:get("/", function(request, response)
  local function body() ]] .. body .. [[ end
  response:send(tostring(body()))
end)
server:get("/alive", function(_, response) response:send("alive") end)
]], { workers = 1 })
  local answer = get(app, "/")
  assert.equal("alive", get(app, "/alive"))
  return answer
end

describe("debug", function()
  it("keeps the metatables of the engine's objects to itself", function()
    assert.equal("protected protected protected", answer_of [[
      local sse = response.sse
      return table.concat({ debug.getmetatable(room), debug.getmetatable(response),
        debug.getmetatable(lunesse.after(0, print)) }, " ")
    ]])
    assert.equal("true true", answer_of [[
      local mine = {}
      return tostring(debug.getmetatable(setmetatable({}, mine)) == mine) .. " " ..
        tostring(debug.getmetatable("").__index == string)
    ]])
  end)

  it("has nothing that changes what a function of the engine stands on", function()
    assert.equal("nil nil nil nil nil nil nil nil", answer_of [[
      return table.concat({ tostring(debug.debug), tostring(debug.sethook),
        tostring(debug.setuservalue), tostring(debug.getuservalue), tostring(debug.setmetatable),
        tostring(debug.setlocal), tostring(debug.getregistry), tostring(package.loadlib) }, " ")
    ]])
  end)

  it("shows the locals of Lua functions, and not the stack of C functions", function()
    assert.equal("found 7 nil", answer_of [[
      local found = 7
      local name, value
      for i = 1, 20 do
        name, value = debug.getlocal(1, i)
        if name == "found" then break end
      end
      local of_c
      table.sort({ 1, 2 }, function() of_c = debug.getlocal(2, 1) return false end)
      return name .. " " .. value .. " " .. tostring(of_c)
    ]])
    assert.equal("a b nil", answer_of [[
      local function two(a, b) return a, b end
      return debug.getlocal(two, 1) .. " " .. debug.getlocal(two, 2) .. " " ..
        tostring(debug.getlocal(two, math.mininteger))
    ]])
    assert.equal("bad argument #1 to 'debug.getlocal' (level out of range)",
      answer_of "return try(debug.getlocal, 1000, 1)")
  end)

  it("reads and writes the upvalues of Lua functions, and not of C functions", function()
    assert.equal("count 1 count 5 nil nil", answer_of [[
      local count = 1
      local function counter() return count end
      local name, value = debug.getupvalue(counter, 1)
      local written = debug.setupvalue(counter, 1, 5)
      local wrapped = coroutine.wrap(print)
      return table.concat({ name, value, written, counter(),
        tostring((debug.setupvalue(wrapped, 1, 5))),
        tostring((debug.getupvalue(wrapped, 1))) }, " ")
    ]])
  end)
end)

describe("a function of the engine that a script can get hold of", function()
  it("checks what it is given: the look-up of header fields", function()
    assert.equal("bad argument #1 to '?' (table expected, got number)",
      answer_of [[return try(getmetatable(request.headers).__index, 1, "x")]])
  end)

  it("is not led astray by what a script has put in the place of modules", function()
    assert.equal("alive", support.get(support.start [[
package.loaded["lunesse.server"] = nil
setmetatable(package.loaded, { __index = function() error("mine") end })
table.remove = error
server:get("/", function(_, response)
  response:on("close", print)
  response:off("close", print)
  response:send("alive")
end)
]], "/"))
  end)
end)

describe("bytecode", function()
  it("is not loaded by load, loadfile and dofile", function()
    local refusal = "attempt to load a binary chunk (mode is 't')"
    assert.equal("nil " .. refusal, answer_of [[
      local chunk, why = load(string.dump(function() end), "=it")
      return tostring(chunk) .. " " .. why:gsub("^it: ", "")
    ]])
    assert.equal("nil bytecode is not loaded here: what is wrong with it ends the server",
      answer_of [[
        local chunk, why = load(string.dump(function() end), "it", "b")
        return tostring(chunk) .. " " .. why
      ]])
    assert.matches("binary chunk.*binary chunk", answer_of [[
      local path = os.tmpname()
      local file = io.open(path, "wb")
      file:write(string.dump(function() end))
      file:close()
      local chunk, why = loadfile(path, "bt")
      local answer = tostring(chunk) .. " " .. why .. " " .. try(dofile, path)
      os.remove(path)
      return answer
    ]])
  end)

  it("is not loaded by require", function()
    local app = apps.load {
      ["script.lua"] = [[
require("lunesse").server():get("/", function(_, response)
  local is_well, why = pcall(require, "compiled")
  response:send(why)
end)
]],
      ["compiled/init.lua"] = string.dump(function() end),
    }
    assert.matches("^error loading module 'compiled' from file '.*compiled/init.lua':\n\t" ..
      ".*attempt to load a binary chunk", get(app, "/"))
  end)

  it("text is loaded as ever, with its name, its environment and its pieces", function()
    assert.equal("7 nil 9 3", answer_of [[
      local pieces = { "return ", "3" }
      local with = load("return x", "=it", "t", { x = 7 })
      local without = load("return x", "=it", "bt", nil)
      return table.concat({ with(), tostring((try(without)):match("^%d+$")), load("return 9")(),
        load(function() return table.remove(pieces, 1) end)() }, " ")
    ]])
    assert.matches("^it:1:", answer_of [[return select(2, load("x x", "=it"))]])
  end)
end)

describe("os.exit", function()
  it("ends nothing, and says what to do instead", function()
    assert.matches("^os.exit would end the server for everybody",
      answer_of "return try(os.exit, 0)")
  end)
end)

describe("os.setlocale", function()
  it("says the locale, and does not change it for all workers", function()
    assert.equal("C the locale belongs to the whole program, and stays \"C\"",
      answer_of [[return os.setlocale() .. " " .. try(os.setlocale, "")]])
  end)
end)

describe("the main coroutine", function()
  it("is not closed or resumed by scripts: the engine works on it", function()
    local server = support.start([[
local main
local find = package.searchpath
function package.searchpath(...) -- the list of files to watch is made in the main coroutine
  main = select(2, coroutine.running()) and coroutine.running() or main
  return find(...)
end
server:get("/", function(_, response)
  local _, closing = pcall(coroutine.close, main)
  local _, resuming = pcall(coroutine.resume, main, print)
  response:send(closing .. "\n" .. resuming)
end)
]], { workers = 1, args = { "--watch" } })
    assert.equal(("the main coroutine belongs to the server\n"):rep(2),
      support.get(server, "/"):gsub("[^\n]-:%d+: ", "") .. "\n")
  end)
end)

describe("collectgarbage", function()
  it("can be used in every way, stopped, in steps and by generations", function()
    assert.equal("true", answer_of [[
      collectgarbage("stop")
      collectgarbage("step", -1000000)
      collectgarbage("step", 1000000)
      collectgarbage("generational", 1, 1)
      collectgarbage()
      collectgarbage("incremental", 1, 1000, 60)
      collectgarbage("restart")
      return collectgarbage("count") > 0
    ]])
  end)
end)
