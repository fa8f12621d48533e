-- `lunesse test --coverage` and `busted --coverage`: the lines of the scripts are in luacov's data,
-- beside those of the spec. Debian 12 has no package of luacov, so a stand-in of a few lines is in
-- its place. It has what busted, the kit and luacov's own hook use of `luacov.runner`, and writes
-- what it has counted when the process ends.

local kit = require "spec.support.kit"
local Process = require "spec.support.process"
local Server = require "spec.support.server"

local LUACOV = [[
local runner = { data = {}, configuration = { exclude = {} }, initialized = false }

function runner.file_included(name)
  for _, pattern in ipairs(runner.configuration.exclude) do
    if name:gsub("%.lua$", ""):find(pattern) then
      return false
    end
  end
  return true
end

local function hook(_, line)
  local name = debug.getinfo(2, "S").source:match("^@(.*)")
  if name and runner.file_included(name) then
    local file = runner.data[name] or { max = 0, max_hits = 0 }
    runner.data[name] = file
    file[line] = (file[line] or 0) + 1
    file.max, file.max_hits = math.max(file.max, line), math.max(file.max_hits, file[line])
  end
end

local function save()
  local out = assert(io.open("stats", "w"))
  for name, file in pairs(runner.data) do
    for line = 1, file.max do
      if file[line] then
        out:write(("%s:%d %d of %d at most\n"):format(name, line, file[line], file.max_hits))
      end
    end
  end
  out:close()
end

local function start()
  table.insert(runner.configuration.exclude, "/unwanted$")
  debug.sethook(hook, "l")
  local exit = os.exit
  function os.exit(...)
    save()
    exit(...)
  end
  runner.at_end = setmetatable({}, { __gc = save })
  runner.initialized = true
end

return setmetatable(runner, { __call = start })
]]

local SCRIPT = [[
local lunesse = require "lunesse"
local more = require "more"
require "unwanted"
local server = lunesse.server()
server:get("/", function(_, response)
  local text = more.text(1)
  if lunesse.now() < 0 then
    text = "never"
  end
  lunesse.sleep(1)
  response:send(text)
end)
server:get("/endless", function()
  while true do end
end)
lunesse.every(60, function()
  local _ = coroutine.wrap(function()
    return 1
  end)()
end)
]]

local MORE = [[
local more = {}
function more.text(number)
  return "text " .. number
end
return more
]]

local SPEC = [[
local test = require "lunesse.test"
describe("a script", function()
  for turn = 1, 2 do
    it("is counted", function()
      local app = test.load("scripts/a.lua", { limits = { run_timeout = 0.05 }, workers = turn })
      app:get("/"):expect { text = "text 1" }
      app:get("/endless", { worker = 1 }):expect(500)
      assert.logged("script error")
      app:get("/", { worker = 1 }):expect { text = "text 1" }
      app:advance(60)
      assert(app:reload())
      app:stop()
    end)
  end
  it("is not counted when it is a text", function()
    local app = test.load { ["text.lua"] = "require 'lunesse'.server()" }
    app:stop()
  end)
end)
]]

local FILES = {
  ["luacov/runner.lua"] = LUACOV, ["spec/a_spec.lua"] = SPEC, ["scripts/a.lua"] = SCRIPT,
  ["scripts/more.lua"] = MORE, ["scripts/unwanted.lua"] = "return 1",
}

---Runs the spec in a folder of its own, and returns how often each line has run: "FILE:LINE" to
---the number.
local function counts_of(argv, env)
  local folder = Server.write(FILES)
  local code, out, err = Process.run(argv, { cwd = folder, env = env, seconds = 60 })
  assert.equal(0, code, out .. err)
  local counts = {}
  for line in io.lines(folder .. "/stats") do
    local place, count = line:match("^(%S+) (%d+) of %d+ at most$")
    counts[place] = tonumber(count)
  end
  return counts
end

local function check(counts)
  local function of(name, line)
    return counts[name .. ":" .. line]
  end
  -- two tests, of one worker and of two, each loaded and reloaded
  assert.equal(6, of("scripts/a.lua", 1))
  assert.equal(6, of("scripts/more.lua", 1))
  assert.equal(4, of("scripts/a.lua", 6))
  assert.equal(4, of("scripts/more.lua", 3))
  assert.equal(4, of("scripts/a.lua", 11))
  assert.is_nil(of("scripts/a.lua", 8))
  assert.is_true(of("scripts/a.lua", 14) >= 2)
  assert.equal(2, of("scripts/a.lua", 18)) -- a timer's, in a coroutine of the script's own
  assert.equal(1, of("spec/a_spec.lua", 1))
  assert.equal(2, of("spec/a_spec.lua", 12))
  local wanted = {
    ["scripts/a.lua"] = true, ["scripts/more.lua"] = true, ["spec/a_spec.lua"] = true,
  }
  for place in pairs(counts) do
    local name = place:match("^(.*):%d+$")
    if not name:find("^/usr/") and not name:find("luacov/", 1, true) then
      assert.is_true(wanted[name], name)
    end
  end
end

describe("luacov", function()
  it("counts the lines of scripts in lunesse test --coverage", function()
    check(counts_of { Server.binary(), "test", "--coverage" })
  end)

  it("counts them in plain busted -c", function()
    check(counts_of({ "lua5.4", "/usr/bin/busted", "-c", "--cpath=" .. kit.path, "spec" },
      kit.environment() or kit.pending(kit.REASON)))
  end)
end)
