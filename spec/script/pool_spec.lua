-- lunesse.pool: what goes into a function of the module and what comes out of it, what is said of
-- mistakes, and new code. Whether anybody waits for it is in pool_threads_spec.lua.

local apps = require "spec.support.app"
local clock = require "spec.support.clock"

local MODULE = [[
local lunesse = require "lunesse"
local db, count = {}, 0
db.version = 1
function db.echo(...) return ... end
function db.count() count = count + 1 return count end
function db.fail(what) error(what) end
function db.fail_with_table() error { code = "E1", lines = { 1, 2 } } end
local Told = { __tostring = function() return "told" end }
function db.fail_with_text() error(setmetatable({}, Told)) end
function db.fail_with_function() error(print) end
function db.fail_with_nothing() error() end
function db.unfit() return 1, { room = { print } } end
function db.bytes() return "\xff" end
function db.arrays() return lunesse.json.array(), {}, { lunesse.json.null, 2 } end
function db.channel() return lunesse.channel("x") end
function db.exit() os.exit(0) end
function db.meta() return debug.getmetatable("x").__index == string end
function db.long(n) return ("x"):rep(n) end
function db.many(n) local list = {} for i = 1, n do list[i] = { i } end return list end
return db
]]

local SCRIPT = [[
local pool = lunesse.pool { module = "lib.db", threads = 1 }
local function shown(...)
  local list = table.pack(...)
  for i = 1, list.n do
    list[i] = type(list[i]) == "table" and lunesse.json.encode(list[i]) or tostring(list[i])
  end
  local text = table.concat(list, " ")
  return (text:gsub("/[^ ']*/(lib/db.lua)", "%1"):gsub("/[^ ']*/(script.lua)", "%1"))
end
]]

-- The text of an answer. A thread works in the machine's time: that of a real process does not wait
-- for it.
local function text_of(app, answer)
  eventually(function()
    app:turn()
    return answer.ended
  end)
  return answer:expect(200):text()
end

-- A server whose handler has its first line in line 11 of the script.
local function load(handler, options)
  return apps.load({
    ["script.lua"] = apps.script(SCRIPT .. 'server:get("/", function(_, response)\n' .. handler ..
      "\nend)"),
    ["lib/db.lua"] = MODULE,
  }, options)
end

-- What such a handler answers.
local function says(handler)
  local app = load(handler)
  return text_of(app, app:send("GET", "/"))
end

-- Why a script does not load.
local function refusal(text, files)
  files = files or { ["lib/db.lua"] = MODULE }
  files["script.lua"] = apps.script(text)
  local ok, why = pcall(apps.load, files)
  assert.is_false(ok)
  return tostring(why)
end

describe("a function of a pool", function()
  it("gets JSON values and returns as many, in their places", function()
    assert.equal('4 nil x nil {"a":[1,2.5,true]} false', says [[
local list = table.pack(pool.echo(nil, "x", nil, { a = { 1, 2.5, true } }, false, nil))
response:send(shown(list.n - 2, table.unpack(list, 1, 5)))]])
    assert.equal('[] {} [null,2]', says "response:send(shown(pool.arrays()))")
    assert.equal("0", says 'response:send(shown(select("#", pool.echo())))')
    assert.equal("9007199254740993 1e+300", says
      "response:send(shown(pool.echo(9007199254740993, 1e300)))")
  end)

  it("takes and returns what takes several slices to read", function()
    local bytes, count = 3000000 // clock.slow, 200000 // clock.slow
    assert.equal(("%d %d %d"):format(bytes, count, count), says(([[
local list = pool.many(%d)
response:send(shown(#pool.long(%d), #list, #pool.echo(list)))]]):format(count, bytes)))
  end)

  it("keeps what its module has, in the state of its thread", function()
    local app = load("response:send(shown(pool.count(), pool.count()))", { workers = 1 })
    assert.equal("1 2", text_of(app, app:send("GET", "/")))
    assert.equal("3 4", text_of(app, app:send("GET", "/")))
  end)

  it("raises in the caller what it has raised", function()
    assert.equal("false lib/db.lua:6: no room", says
      'response:send(shown(pcall(pool.fail, "no room")))')
    assert.equal('false {"code":"E1","lines":[1,2]}', says
      "response:send(shown(pcall(pool.fail_with_table)))")
    assert.equal("false told", says "response:send(shown(pcall(pool.fail_with_text)))")
    assert.equal("false (what was raised is a function, which is no JSON value)", says
      "response:send(shown(pcall(pool.fail_with_function)))")
    assert.equal("false nil", says "response:send(shown(pcall(pool.fail_with_nothing)))")
  end)

  it("fails a handler as any error does", function()
    local app = apps.load {
      ["script.lua"] = apps.script(SCRIPT ..
        'server:get("/", function() pool.fail("no room") end)'),
      ["lib/db.lua"] = MODULE,
    }
    local answer = app:send("GET", "/")
    eventually(function()
      app:turn()
      return answer.ended
    end)
    answer:expect(500)
    assert.matches("lib/db.lua:6: no room", app:log("script error")[1].fields.error)
  end)

  it("is told of a result that is no JSON", function()
    assert.equal("false script.lua:11: lunesse.pool: unfit of module 'lib.db' has a result that " ..
      "is no JSON value: a function is no JSON at [2].room[1]", says
      "response:send(shown(pcall(function() return (pool.unfit()) end)))")
    assert.matches("bytes of module 'lib.db' has .*: a string is not UTF%-8 from byte 1 on", says
      "response:send(shown(pcall(pool.bytes)))")
  end)

  it("has of lunesse json alone, and does not end the server", function()
    assert.matches("lib/db.lua:15: lunesse.channel is not there in a thread of a pool", says
      "response:send(shown(pcall(pool.channel)))")
    assert.matches("os.exit would end the server", says "response:send(shown(pcall(pool.exit)))")
    assert.equal("true", says "response:send(shown(pool.meta()))")
  end)
end)

describe("a call of a pool", function()
  it("of a function that is not there raises at the caller's line", function()
    assert.equal("false script.lua:11: lunesse.pool: module 'lib.db' has no function 'find'", says
      "response:send(shown(pcall(function() return (pool.find()) end)))")
    assert.matches("has no function 'version'$", says "response:send(shown(pcall(pool.version)))")
  end)

  it("raises for a colon, and for an argument that is no JSON", function()
    assert.equal("false script.lua:11: a function of a pool is called with a dot: pool.echo(...)",
      says
      "response:send(shown(pcall(function() return (pool:echo()) end)))")
    assert.equal("false script.lua:11: a function is no JSON at [2].f", says
      "response:send(shown(pcall(function() return (pool.echo(1, { f = print })) end)))")
  end)

  it("raises where nothing can wait", function()
    assert.matches("^false script.lua:11: pool.echo can only wait inside a handler", says
      "response:send(shown(pcall(table.sort, { 1, 2 }, function() return (pool.echo(1)) end)))")
  end)

  it("may be made while the scripts load, and in a task", function()
    local app = apps.load {
      ["script.lua"] = apps.script(SCRIPT .. [[
local first = pool.count()
server:get("/", function(_, response)
  local second
  lunesse.all { function() second = pool.count() end }
  response:send(shown(first, second))
end)]]),
      ["lib/db.lua"] = MODULE,
    }
    assert.equal("1 2", text_of(app, app:send("GET", "/")))
  end)

  it("that a cancelled task has made comes to nothing", function()
    assert.equal("false 1", says [[
local is_done = false
local task = lunesse.spawn(function() pool.echo() is_done = true end)
lunesse.spawn(function() task:cancel() end)
pcall(task.wait, task)
response:send(shown(is_done, pool.echo(1)))]])
  end)
end)

describe("lunesse.pool", function()
  it("raises for options that it does not know", function()
    for options, why in pairs {
      ["nil"] = "takes a table of options, got nil",
      ["{}"] = "module is the name of a module, such as 'lib.db'",
      ["{ module = 1 }"] = "module is the name of a module, such as 'lib.db'",
      ["{ module = 'lib.db', threads = 0 }"] = "threads is a whole number, 1 to 64",
      ["{ module = 'lib.db', threads = 65 }"] = "threads is a whole number, 1 to 64",
      ["{ module = 'lib.db', queue = 0.5 }"] = "queue is a whole number, 1 or more",
      ["{ module = 'lib.db', size = 1 }"] = "unknown option 'size'",
    } do
      local text = refusal("\nlunesse.pool(" .. options .. ")")
      assert.is_truthy(text:find("script.lua:2: lunesse.pool", 1, true), text)
      assert.is_truthy(text:find(why, 1, true), text)
    end
  end)

  it("raises when its module cannot be loaded, so that the scripts do not load", function()
    local text = "lunesse.pool { module = 'lib.db' }"
    assert.matches("script.lua:1: lunesse.pool: module 'lib.db' not found:", refusal(text, {}))
    assert.matches("lunesse.pool: error loading module 'lib.db' from file '.-':.*lib/db.lua:1: ",
      refusal(text, { ["lib/db.lua"] = "x =" }))
    assert.matches("script.lua:1: lunesse.pool: .*lib/db.lua:1: no disk",
      refusal(text, { ["lib/db.lua"] = "error 'no disk'" }))
    assert.matches("lunesse.pool: %(what was raised is no text%)",
      refusal(text, { ["lib/db.lua"] = "error {}" }))
    assert.matches("lunesse.pool: module 'lib.db' returns no table of functions, but a boolean",
      refusal(text, { ["lib/db.lua"] = "" }))
  end)

  it("has the module's new code after a reload, and its old one if that does not load", function()
    local app = load("response:send(shown(pool.count()))", { workers = 1 })
    assert.equal("1", text_of(app, app:send("GET", "/")))
    local script = apps.script(SCRIPT ..
      'server:get("/", function(_, response) response:send(pool.name()) end)')
    local function module(text)
      return ("return { name = function() return '%s' end }"):format(text)
    end
    assert(app:reload { ["script.lua"] = script, ["lib/db.lua"] = module "new" })
    assert.equal("new", text_of(app, app:send("GET", "/")))
    assert.is_falsy(app:reload { ["script.lua"] = script, ["lib/db.lua"] = "x =" })
    assert.equal("new", text_of(app, app:send("GET", "/")))
  end)
end)
