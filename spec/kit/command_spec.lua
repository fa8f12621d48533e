-- `lunesse test` and `lunesse --test-path`: the kit in a folder of a user's own.

local lfs = require "lfs"
local kit = require "spec.support.kit"
local posix = require "spec_posix"
local Process = require "spec.support.process"
local Server = require "spec.support.server"

local SPEC = [[
local test = require "lunesse.test"

describe("a page", function()
  it("greets", function()
    local app = test.load("hello.lua")
    assert.equal("hello", app:get("/"):text())
    app:advance(3600)
    app:stop()
  end)
  it("fails", function()
    assert.equal(os.getenv "WANTED" or "1", "1")
  end)
end)
]]

local SCRIPT = [[
require "lunesse".server():get("/", function(_, response) response:send "hello" end)
]]

local LUNESSE = Server.binary()

describe("lunesse test", function()
  local folder

  local function write(name, text)
    local file = assert(io.open(folder .. "/" .. name, "w"))
    file:write(text)
    file:close()
  end

  local function run(argv, env)
    return Process.run(argv, { cwd = folder, env = env, seconds = 30 })
  end

  ---How many files and folders are in a folder.
  local function count_names(path)
    local count = 0
    for name in lfs.dir(path) do
      count = count + (name:find("^%.%.?$") and 0 or 1)
    end
    return count
  end

  before_each(function()
    folder = assert(posix.make_folder())
    assert(lfs.mkdir(folder .. "/spec"))
    write("hello.lua", SCRIPT)
    write("spec/hello_spec.lua", SPEC)
  end)

  after_each(function()
    Process.remove_folder(folder)
  end)

  it("runs the specs of a folder with busted", function()
    local code, out, err = run { LUNESSE, "test", "spec", "-o", "TAP" }
    assert.equal(0, code, out .. err)
    assert.matches("ok 1 %- a page greets", out)
    assert.matches("1%.%.2", out)
  end)

  it("has busted's exit code when a spec fails", function()
    local code, out = run({ LUNESSE, "test", "spec", "-o", "TAP" }, { WANTED = "2" })
    assert.equal(1, code)
    assert.matches("not ok 2 %- a page fails", out)
  end)

  it("says how busted is installed when it is not there", function()
    local code, _, err = run({ LUNESSE, "test" }, { LUA_PATH = "/nowhere/?.lua" })
    assert.equal(127, code)
    assert.matches("^lunesse test: busted is not there: install it with `apt%-get install", err)
  end)

  it("writes a .busted with which plain busted finds the kit, and never over another", function()
    local code, out, err = run { LUNESSE, "test", "--init" }
    assert.equal(0, code, err)
    assert.matches("^wrote .busted", out)
    local env = kit.environment()
    if env then -- nil: a sanitizer that another program cannot load
      code, out, err = run({ "lua5.4", "/usr/bin/busted", "-o", "TAP" }, env)
      assert.equal(0, code, out .. err)
      assert.matches("ok 1 %- a page greets", out)
    end
    code, out, err = run { LUNESSE, "test", "--init" }
    assert.equal(1, code, out)
    assert.matches("^lunesse test %-%-init: .busted is there already: remove it first, or put\n" ..
      "  cpath = \"/.*/%?%.so;%./%?%.so\"\ninto its _all\n$", err)
  end)

  it("writes a .busted with which busted goes on in Lua 5.4 when it began in another", function()
    local env = kit.environment()
    if not env or not io.open("/usr/bin/lua5.1") then
      return pending(env and "lua5.1 is not installed" or kit.REASON)
    end
    assert.equal(0, (run { LUNESSE, "test", "--init" }))
    local code, out, err = run({ "lua5.1", "/usr/bin/busted", "-o", "TAP" }, env)
    assert.equal(0, code, out .. err)
    assert.matches("ok 1 %- a page greets", out)
  end)

  it("stays in its own Lua when a .busted names another", function()
    write(".busted", 'return { _all = { lua = "/nowhere/lua" } }\n')
    local code, out, err = run { LUNESSE, "test", "-o", "TAP", "spec" }
    assert.equal(0, code, out .. err)
    assert.matches("ok 1 %- a page greets", out)
  end)

  it("says what to do where there are no specs", function()
    local code, out, err = run { LUNESSE, "test", "spec/hallo_spec.lua" }
    assert.same({ 1, "" }, { code, out })
    assert.matches("^lunesse test: there is no spec/hallo_spec.lua here. `lunesse new NAME` " ..
      "makes a project [^\n]*\n$", err)
    assert(os.remove(folder .. "/spec/hello_spec.lua"))
    code, out, err = run { LUNESSE, "test", "spec" }
    assert.same({ 1, "", "lunesse test: there is no spec in spec: specs are files such as " ..
      "spec/x_spec.lua\n" }, { code, out, err })
    assert(os.remove(folder .. "/spec"))
    code, out, err = run { LUNESSE, "test" }
    assert.same({ 1, "" }, { code, out })
    assert.matches("^lunesse test: there is no spec here. `lunesse new NAME` makes", err)
  end)

  it("has a help that is no error", function()
    local code, out, err = run { LUNESSE, "test", "--help" }
    assert.same({ 0, "" }, { code, err })
    assert.matches("^usage: lunesse test .*\nUsage: lunesse test .*%-%-filter=PATTERN", out)
    assert.not_matches("error: ", out, 1, true)
    assert.not_matches("re-run", out, 1, true)
  end)

  it("says in its help which Lua plain busted needs", function()
    local _, out = run { LUNESSE, "test", "--help" }
    assert.matches("\nPlain busted needs Lua 5.4 for the kit: busted --lua=lua5.4\n", out, 1, true)
  end)

  it("leaves no folder of its texts behind when a signal ends it", function()
    write("spec/hello_spec.lua", [[
      local test = require "lunesse.test"
      it("goes on", function()
        local app = test.load { ["a.lua"] = "", ["lib/deep/b.lua"] = "" }
        test.load { ["c.lua"] = "" }
        assert(app:reload { ["a.lua"] = "", ["lib/d.lua"] = "" })
        io.stdout:write "loaded\n"
        io.stdout:flush()
        while true do app:advance(1) end
      end)]])
    assert(lfs.mkdir(folder .. "/tmp"))
    for _, name in ipairs { "INT", "TERM", "HUP" } do
      local process = Process.start({ LUNESSE, "test" },
        { cwd = folder, env = { TMPDIR = folder .. "/tmp" } })
      eventually(function()
        return process:stdout():find("loaded", 1, true)
      end)
      assert.equal(2, count_names(folder .. "/tmp"))
      process:signal(name)
      assert.is_nil((process:wait(10))) -- the signal ended it
      assert.equal(0, count_names(folder .. "/tmp"), name)
    end
  end)

  it("prints where Lua finds the kit", function()
    local code, out = run { LUNESSE, "--test-path" }
    assert.equal(0, code)
    assert.matches("^/.*/%?%.so\n$", out)
    assert.truthy(io.open((out:gsub("%?%.so\n", "lunesse/test.so"))))
  end)
end)
