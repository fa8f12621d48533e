-- Where the specs find the test kit: its Lua files as they are in the tree, and the rest of it, the
-- engine, in the build under test. With LUNESSE_KIT=sockets the engine is a real process behind
-- real sockets instead, so that specs of the kit can be run against that.

local lfs = require "lfs"

local SEARCHERS_FIRST = 1
local CORE = "lunesse.test.core"

local kit = {}

local build = os.getenv("LUNESSE_BUILD") or "build/debug"
local folder = (build:find("^/") and build or lfs.currentdir() .. "/" .. build) .. "/lunesse-lua"

---What to put into `package.cpath` for a Lua that is to find the kit of the build.
kit.path = folder .. "/?.so"

local function real_engine()
  return require("spec.support.real").engine
end

-- The library of a sanitizer has to be loaded before everything else, or it ends the process.
-- Where that was not done, tests that ask for an app are pending: spec/kit/sanitized_spec.lua runs
-- their files in a process where it was.
kit.REASON = "spec/kit/sanitized_spec.lua runs this, with the sanitizer's library loaded first"
local is_unable

---Whether the module cannot be loaded here.
function kit.is_unable()
  if is_unable == nil then
    is_unable = not os.getenv("LD_PRELOAD") and require("spec.support.server").is_sanitized()
  end
  return is_unable
end

---For a test that catches what `test.load` raises: ends it here where there is no app.
function kit.ask()
  if kit.is_unable() then
    kit.pending(kit.REASON)
  end
end

---Variables for a program that is to load the module: the sanitizer's library, where there is one.
---Nil when this compiler has its sanitizer in programs alone.
function kit.environment()
  if not kit.is_unable() then
    return {}
  end
  local Process = require "spec.support.process"
  local _, needed = Process.run { "ldd", folder .. "/lunesse/test.so" }
  local library = needed:match("=> (%S*/lib[at]san%.so%S*)")
  return library and { LD_PRELOAD = library }
end

-- An app in name only, for what stands around a test that will be pending. In a test `kit.pending`
-- ends it; in front of one `kit.was_asked` tells spec/helper.lua to do so.
local function nothing()
  return {}
end

local function zero()
  return 0
end

local function no()
  return false
end

local IDLE = {
  now = zero, turn = no, left = nothing, log = nothing, next = no, advance = no, signal = no,
  stop = no,
}

local function idle_engine()
  return { load = function()
    if kit.pending then
      kit.pending(kit.REASON)
    end
    kit.was_asked = true
    return IDLE
  end }
end

local function find(name)
  if name == CORE and os.getenv("LUNESSE_KIT") == "sockets" then
    return real_engine
  elseif name == CORE and kit.is_unable() then
    return idle_engine
  elseif name == CORE then
    local module = folder .. "/lunesse/test.so"
    return assert(package.loadlib(module, "luaopen_lunesse_test_core")), module
  end
  local part = name == "lunesse.test" and "init" or name:match("^lunesse%.test%.([%w_]+)$")
  local path = part and ("lua/test/%s.lua"):format(part)
  local file = path and io.open(path)
  if not file then
    return nil
  end
  file:close()
  return assert(loadfile(path)), path
end

table.insert(package.searchers, SEARCHERS_FIRST, find)

return kit
