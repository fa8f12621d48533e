-- `lunesse new`: a project that runs, with a spec that passes.

local lfs = require "lfs"
local kit = require "spec.support.kit"
local posix = require "spec_posix"
local Process = require "spec.support.process"
local Server = require "spec.support.server"

local LUNESSE = Server.binary()

describe("lunesse new", function()
  local folder

  local function run(argv, inside, env)
    return Process.run(argv, { cwd = folder .. (inside or ""), env = env, seconds = 30 })
  end

  ---The paths of all files below a folder, in order.
  local function files_of(path, prefix, list)
    prefix, list = prefix or "", list or {}
    for name in lfs.dir(path) do
      local inside = path .. "/" .. name
      if lfs.attributes(inside, "mode") == "file" then
        list[#list + 1] = prefix .. name
      elseif name ~= "." and name ~= ".." then
        files_of(inside, prefix .. name .. "/", list)
      end
    end
    table.sort(list)
    return list
  end

  local function text_of_specs()
    return Process.read_file(folder .. "/moon/spec/countdown_spec.lua")
  end

  before_each(function()
    folder = assert(posix.make_folder())
  end)

  after_each(function()
    Process.remove_folder(folder)
  end)

  local KINDS = {
    countdown = { "scripts/countdown.lua", "spec/countdown_spec.lua" },
    chat = { "scripts/chat.html", "scripts/chat.lua", "spec/chat_spec.lua" },
    relay = { "scripts/publish.lua", "spec/publish_spec.lua" },
  }

  for kind, files in pairs(KINDS) do
    it("writes a project whose specs pass and whose scripts load, from the " .. kind, function()
      local code, out, err = run { LUNESSE, "new", "moon-rise", "--from", kind }
      assert.equal(0, code, err)
      assert.matches("\nNext: cd moon%-rise && lunesse test", out)
      assert.same({ ".busted", ".luarc.json", "README.md", "moon-rise.service",
        table.unpack(files) }, files_of(folder .. "/moon-rise"))
      code, out, err = run({ LUNESSE, "test", "-o", "TAP" }, "/moon-rise")
      assert.equal(0, code, out .. err)
      assert.matches("\nok 5 ", out)
      local env = kit.environment()
      if env then -- nil: a sanitizer that another program cannot load
        code, out, err = run({ "lua5.4", "/usr/bin/busted", "-o", "TAP" }, "/moon-rise", env)
        assert.equal(0, code, out .. err)
      end
      code, out = run({ LUNESSE, "--check", "scripts/" }, "/moon-rise")
      assert.equal(0, code)
      assert.matches("^%u+ +/", out)
    end)
  end

  it("writes specs that say one thing of a script that does not load: where it is wrong", function()
    assert.equal(0, (run { LUNESSE, "new", "moon" }))
    local path = folder .. "/moon/scripts/countdown.lua"
    local text = Process.read_file(path)
    local file <close> = assert(io.open(path, "w"))
    file:write("local lunesse = = 1\n", text)
    file:flush()
    local code, out, err = run({ LUNESSE, "test", "-o", "plainTerminal" }, "/moon")
    assert.not_equal(0, code)
    local tests = select(2, text_of_specs():gsub("\n  it%(", ""))
    assert.matches(("0 successes / 0 failures / %d errors"):format(tests), out, 1, true)
    assert.equal(tests, select(2, out:gsub("scripts/countdown.lua:1: ", "")), out .. err)
    assert.not_matches("attempt to index", out, 1, true)
  end)

  it("fills every gap of its files, and names folders that are there", function()
    assert.equal(0, (run { LUNESSE, "new", "moon" }))
    for _, name in ipairs(files_of(folder .. "/moon")) do
      assert.is_nil(Process.read_file(folder .. "/moon/" .. name):find("@%u+@"), name)
    end
    local settings = Process.read_file(folder .. "/moon/.luarc.json")
    local types = settings:match('"workspace.library": %["(.-)"%]')
    assert.equal("file", (lfs.attributes(types .. "/lunesse.lua", "mode")), types)
    local unit = Process.read_file(folder .. "/moon/moon.service")
    assert.equal("file", lfs.attributes(unit:match("ExecStart=(%S+)"), "mode"))
  end)

  it("leaves a folder alone that is there already", function()
    assert(lfs.mkdir(folder .. "/moon"))
    local code, _, err = run { LUNESSE, "new", "moon" }
    assert.equal(1, code)
    assert.equal("lunesse new: 'moon' is there already; nothing was written\n", err)
    assert.same({}, files_of(folder .. "/moon"))
  end)

  it("says what is wrong with its words", function()
    local function complaint(...)
      local code, _, err = run { LUNESSE, "new", ... }
      assert.equal(2, code)
      return err:match("^lunesse new: (.-)\nusage: lunesse new NAME ")
    end
    assert.equal("the name of the project is missing", complaint())
    assert.equal("'a/b' is no name for a folder: letters, digits, _ and - expected",
      complaint "a/b")
    assert.equal("one name expected, and 'b' is a second one", complaint("a", "b"))
    assert.equal("there is no option '--form=chat'", complaint("a", "--form=chat"))
    assert.equal("--from takes chat, relay or countdown, and not 'moon'",
      complaint("a", "--from=moon"))
    assert.equal("--from takes chat, relay or countdown, and not ''", complaint("a", "--from"))
    assert.same({}, files_of(folder))
  end)

  it("has a help", function()
    local code, out = run { LUNESSE, "new", "--help" }
    assert.equal(0, code)
    assert.matches("^usage: lunesse new NAME", out)
  end)
end)
