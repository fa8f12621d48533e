-- `lunesse test --watch`, in a folder of a user's own. A test waits for what the watch says, never
-- for time; while it changes several files the watch is paused, so that they are one burst.

local posix = require "spec_posix"
local Process = require "spec.support.process"
local Server = require "spec.support.server"

local LUNESSE = Server.binary()
local SECONDS = 30

local SPEC = [[
local test = require "lunesse.test"
describe("%s", function()
  it("says %s", function()
    local app = test.load("scripts/%s.lua")
    assert.equal("%s", app:get("/"):text())
    app:stop()
  end)
end)
]]

local SCRIPT = [[
local said = require "said"
require "lunesse".server():get("/", function(_, response) response:send(said.%s) end)
]]

-- A spec that goes on when something is written to the pipe.
local GATE = [[
describe("a gate", function()
  it("opens", function()
    io.stderr:write("at the gate\n")
    assert.equal("open", io.open("gate"):read())
  end)
end)
]]

local SAID = [[return { one = "one", two = "two" }]]

describe("lunesse test --watch", function()
  local folder, watch

  local function write(name, text)
    local file = assert(io.open(folder .. "/" .. name, "w"))
    file:write(text)
    file:close()
  end

  local function spec_of(name, text)
    return SPEC:format(name, text, name, text)
  end

  ---How often the watch has said something.
  local function count(text)
    local _, times = watch:stderr():gsub(text, "")
    return times
  end

  ---Waits until `times` runs are over: the watch waits for changes then.
  local function await(times)
    eventually(function()
      assert(not watch:has_ended(), "the watch has ended:\n" .. watch:stderr() .. watch:stdout())
      assert.equal(times, count "waiting for changes", watch:stderr() .. watch:stdout())
      return true
    end, SECONDS)
  end

  ---Waits until the watch or a spec has said this so often.
  local function await_text(text, times)
    eventually(function()
      return count(text) == times
    end, SECONDS)
  end

  ---What was printed to stdout by the runs since this was last called.
  local seen
  local function printed()
    local all = watch:stdout()
    local new = all:sub(seen + 1)
    seen = #all
    return new
  end

  local function start(...)
    watch = Process.start({ LUNESSE, "test", "--watch", ... }, { cwd = folder })
    seen = 0
    await(1)
  end

  local function stop(signal)
    watch:signal(signal)
    assert.equal(0, watch:wait(SECONDS), watch:stderr())
  end

  before_each(function()
    folder = Server.write {
      ["scripts/one.lua"] = SCRIPT:format("one"), ["scripts/two.lua"] = SCRIPT:format("two"),
      ["scripts/said.lua"] = SAID,
      ["spec/one_spec.lua"] = spec_of("one", "one"), ["spec/two_spec.lua"] = spec_of("two", "two"),
    }
  end)

  after_each(function()
    watch:kill()
    watch:forget()
  end)

  it("runs a changed spec again, and no other, with busted's options", function()
    start("-o", "TAP", "spec")
    assert.matches("1%.%.2\n", printed())
    write("spec/one_spec.lua", spec_of("one", "1"))
    await(2)
    local out = printed()
    assert.matches("\nnot ok 1 %- one says 1", "\n" .. out)
    assert.matches("1%.%.1\n", out)
    assert.matches("\nlunesse test: spec/one_spec.lua has changed: running spec/one_spec.lua\n",
      watch:stderr())
    stop("INT")
  end)

  it("runs the specs again that have loaded a changed script", function()
    start("-o", "TAP")
    printed()
    write("scripts/two.lua", SCRIPT:format("one"))
    await(2)
    local out = printed()
    assert.matches("not ok 1 %- two says two", out)
    assert.matches("1%.%.1\n", out)
    write("scripts/two.lua", SCRIPT:format("two"))
    await(3)
    assert.matches("ok 1 %- two says two\n1%.%.1\n", printed())
    assert.equal(2, count "scripts/two.lua has changed: running spec/two_spec.lua\n")
    stop("INT")
  end)

  it("runs those again whose scripts have required a changed module", function()
    write("scripts/two.lua", SCRIPT:format("two"):gsub("said", "other"))
    write("scripts/other.lua", SAID)
    start("-o", "TAP")
    printed()
    write("scripts/other.lua", SAID:gsub("two", "zwei", 1))
    await(2)
    assert.matches("spec/two_spec.lua\nlunesse test: waiting", watch:stderr())
    write("scripts/said.lua", SAID)
    await(3)
    assert.matches("spec/one_spec.lua\nlunesse test: waiting[^\n]*\n$", watch:stderr())
    stop("INT")
  end)

  it("runs all when a file comes of which nothing is known", function()
    start("-o", "TAP")
    printed()
    write("spec/three_spec.lua", spec_of("one", "one"))
    await(2)
    assert.matches("1%.%.3\n", printed())
    assert.equal(1, count "spec/three_spec.lua has changed: running all specs\n")
    os.remove(folder .. "/spec/three_spec.lua")
    await(3)
    assert.equal("", printed())
    write("spec/one_spec.lua", spec_of("one", "one"))
    await(4)
    assert.matches("1%.%.1\n", printed())
    stop("TERM")
  end)

  it("goes on after a spec and a script that cannot be read", function()
    write("spec/one_spec.lua", "describe(")
    start()
    assert.matches("one_spec.lua:1: .*near <eof>", printed() .. watch:stderr())
    write("spec/one_spec.lua", spec_of("one", "one"))
    await(2)
    assert.matches("1 success / 0 failures / 0 errors", printed())
    write("scripts/one.lua", "local x = = 1")
    await(3)
    assert.matches("scripts/one.lua:1: unexpected symbol near '='", printed())
    write("scripts/one.lua", SCRIPT:format("one"))
    await(4)
    assert.matches("1 success / 0 failures / 0 errors", printed())
    write("spec/two_spec.lua", "os.exit(7)")
    await(5)
    write("spec/two_spec.lua", spec_of("two", "two"))
    await(6)
    assert.matches("1 success / 0 failures / 0 errors", printed())
    stop("INT")
  end)

  it("runs once after a burst of changes, also after one that comes while specs run", function()
    start("-o", "TAP")
    printed()
    watch:signal("STOP")
    for _ = 1, 5 do
      write("spec/one_spec.lua", spec_of("one", "one"))
      write("scripts/two.lua", SCRIPT:format("two"))
    end
    watch:signal("CONT")
    await(2)
    assert.matches("1%.%.2\n", printed())
    local gate = assert(posix.open_pipe(folder .. "/gate"))
    write("spec/one_spec.lua", GATE)
    await_text("at the gate", 1)
    write("spec/one_spec.lua", spec_of("one", "one"))
    write("scripts/two.lua", SCRIPT:format("two"))
    write("gate", "open\n")
    await(4)
    posix.close(gate)
    assert.matches("ok 1 %- a gate opens\n1%.%.1\n.*1%.%.2\n", printed())
    stop("INT")
  end)

  it("ends a run that goes on, by a signal", function()
    local gate = assert(posix.open_pipe(folder .. "/gate"))
    write("spec/one_spec.lua", GATE)
    watch = Process.start({ LUNESSE, "test", "--watch" }, { cwd = folder })
    await_text("at the gate", 1)
    stop("INT")
    posix.close(gate)
    assert.equal(0, count "waiting for changes")
  end)

  it("does not begin with options that make no sense", function()
    watch = Process.start({ LUNESSE, "test", "--watch", "--nonsense" }, { cwd = folder })
    assert.equal(1, watch:wait(SECONDS))
    assert.matches("unknown/bad flag: %-%-nonsense", watch:stderr())
  end)
end)
