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

local function find(name)
  if name == CORE and os.getenv("LUNESSE_KIT") == "sockets" then
    return real_engine
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
