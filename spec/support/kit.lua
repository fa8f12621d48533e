-- Where the specs find the test kit: its Lua files as they are in the tree, and the rest of it, the
-- engine, in the build under test.

local SEARCHERS_FIRST = 1
local CORE = "lunesse.test.core"

local build = os.getenv("LUNESSE_BUILD") or "build/debug"

local function find(name)
  if name == CORE then
    local module = build .. "/lunesse-lua/lunesse/test.so"
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
return find
