-- The start, where the world does not go along: no threads, no standard streams, signals that come
-- too early.

local support = require "spec.sse.support"
local Server = require "spec.support.server"
local Process = require "spec.support.process"
local clock = require "spec.support.clock"
local posix = require "spec_posix"

local BINARY = Server.binary()

local HELLO = 'server:get("/", function(_, response) response:send("hello") end)\n'

local function write(text)
  return Server.write { ["a.lua"] = support.script(text) } .. "/a.lua"
end

describe("the start", function()
  it("says which worker cannot be, why, and what to do", function()
    if Server.is_sanitized() then
      return pending("a sanitizer wants more memory than there would be")
    end
    local code, out, err = Server.run({ "--workers=64", "--port=0", write(HELLO) }, {
      wrap = Server.under "ulimit -v 300000",
    })
    assert.same({ 1, "" }, { code, out }, err)
    assert.matches("^lunesse: cannot start worker %d+ of 64: Resource temporarily unavailable; " ..
      "have fewer %-%-workers, or raise[^\n]*\n$", err)
  end)

  it("opens the standard streams that it lacks, so that no other descriptor is taken for one",
    function()
    local server = support.start(HELLO, { wrap = Server.under "exec 2>&- 0<&-" })
    assert.equal("hello", support.get(server, "/"))
    server:stop()
  end)

  for _, slow in ipairs { 1, 3 } do
    describe(("while worker %d of 3 still loads"):format(slow), function()
      local process

      before_each(function()
        process = Process.start { BINARY, "--workers=3", "--port=0", write(HELLO .. ([[
          if lunesse.worker == %d and lunesse.shared("once"):add("once", true) then
            lunesse.log.warn("loading")
            local start = lunesse.clock()
            while lunesse.clock() - start < 0.4 do end
          end
        ]]):format(slow)) }
        eventually(function() return process:stderr():find("loading", 1, true) end)
      end)

      for _, name in ipairs { "TERM", "INT" } do
        it(("is ended by SIG%s, with 0, as soon as that is done"):format(name), function()
          process:signal(name)
          assert.equal(0, (process:wait(3)))
          assert.equal("", process:stdout())
          assert.matches(" info stopping signal=%d+", process:stderr())
        end)
      end

      it("keeps SIGHUP for the time when it serves", function()
        process:signal "HUP"
        eventually(function() return process:stderr():find(" info reloaded ", 1, true) end, 3)
        process:signal "TERM"
        assert.equal(0, (process:wait(3)))
      end)
    end)
  end

  -- Loops for ever while it loads, in the worker that is asked for.
  local LOOPS = {
    ["computes"] = "while true do end",
    ["catches what ends it"] = "while true do pcall(function() while true do end end) end",
    ["computes in a comparator"] = "table.sort({ 1, 2 }, function() while true do end end)",
  }

  for what, loop in pairs(LOOPS) do
    for _, number in ipairs { 1, 3 } do
      it(("is ended by one signal in worker %d, whose script %s"):format(number, what), function()
        local process = Process.start { BINARY, "--workers=3", "--port=0",
          "--limit=run_timeout=60", write(([[
local _ <close> = setmetatable({}, { __close = function() lunesse.log.warn("closed") end })
if lunesse.worker == %d then
  lunesse.log.warn("loading")
  %s
end
]]):format(number, loop)) }
        eventually(function() return process:stderr():find("loading", 1, true) end)
        process:signal "INT"
        assert.same({ 0, "" }, { process:wait(5), process:stdout() })
        local log = process:stderr()
        assert.matches("\nlunesse: [^\n]*a%.lua:4: was still loading when a signal ended the " ..
          "program", log)
        assert.matches(" info stopping signal=2 connections=0\n", log)
        assert.not_matches("a limit is met", log)
        assert.matches(" warn closed\n", log)
      end)
    end
  end

  it("is ended at once by a second signal while scripts load", function()
    local process = Process.start { BINARY, "--port=0", write [[
      lunesse.log.warn("loading")
      os.execute("sleep 5")
    ]] }
    eventually(function() return process:stderr():find("loading", 1, true) end)
    process:signal "TERM"
    eventually(function()
      process:signal "TERM"
      return process:has_ended()
    end)
    assert.equal("signal 15", process.why)
  end)
end)

describe("a server in the foreground of a terminal", function()
  local script, pid

  ---The pid, when the program serves on a terminal of its own.
  local function start_in_terminal(before)
    local folder = Server.write { ["a.lua"] = support.script(HELLO) }
    local line = ("echo $$ >%s/pid; %s exec %s --port=0 %s/a.lua 2>%s/log"):format(folder, before,
      BINARY, folder, folder)
    script = Process.start { "script", "-qc", line, "/dev/null" }
    eventually(function()
      pid = tonumber(Process.read_file(folder .. "/pid"))
      return pid
    end)
    clock.watch(pid) -- `script` is watched, and this is a child of its
    eventually(function() return script:stdout():find("listening on", 1, true) end)
    return folder .. "/log"
  end

  local function runs()
    return Process.read_file(("/proc/%d/stat"):format(pid)):match("%) [^Z]") ~= nil
  end

  after_each(function()
    if pid and runs() then
      posix.kill(pid, 9)
    end
    if pid then
      clock.unwatch(pid)
    end
  end)

  if Process.run { "script", "--version" } ~= 0 then
    pending("script is not there")
    return
  end

  it("ends with it", function()
    local log = start_in_terminal ""
    script:kill()
    eventually(function() return not runs() end)
    assert.matches(" info stopping signal=1 ", Process.read_file(log))
  end)

  it("loads its scripts anew at SIGHUP as long as there is one", function()
    local log = start_in_terminal ""
    posix.kill(pid, 1)
    eventually(function() return Process.read_file(log):find(" info reloaded ", 1, true) end)
    assert.is_true(runs())
  end)

  it("goes on without it behind nohup, and loads its scripts anew at SIGHUP", function()
    local log = start_in_terminal "trap '' HUP;"
    script:kill()
    posix.kill(pid, 1)
    eventually(function() return Process.read_file(log):find(" info reloaded ", 1, true) end)
    assert.is_true(runs())
  end)
end)
