-- Which functions of C may raise an error of Lua: those that call what raises in Lua's own API, and
-- those that call such a function. Running out of memory is left out, as whatever makes a value of
-- Lua's may.

local source = require "spec.support.c_source"

local raises = {}

-- What raises in Lua's API, or runs code that may.
local PRIMITIVES = { "^lua_error$", "^lua_callk?$", "^luaL_error$", "^luaL_arg", "^luaL_typeerror$",
  "^luaL_check", "^luaL_opt" }

---The functions of `files`, each with the names that it calls and the `scope` in which they are
---looked up: a static function of the same file goes before one of another.
local function functions_of(files)
  local list, public = {}, {}
  for path, text in pairs(files) do
    local own = setmetatable({}, { __index = public })
    for _, fn in ipairs(source.function_texts(text)) do
      fn.path, fn.scope, fn.calls = path, own, {}
      for name in fn.body:gmatch("([%a_][%w_]*)%s*%(") do
        table.insert(fn.calls, name)
      end
      list[#list + 1] = fn
      local scope = fn.is_static and own or public
      scope[fn.name] = fn
    end
  end
  return list
end

---The name by which `fn` raises, as far as is known; nil when it calls nothing that raises.
local function cause_of(fn)
  for _, name in ipairs(fn.calls) do
    local callee = fn.scope[name]
    if source.matches_any(name, PRIMITIVES) or callee and callee.cause then
      return name
    end
  end
end

---Every function of `files`, in order: `name`, `path`, `line`, and `cause`, which is what it calls
---that raises; nil when it does not raise.
function raises.functions(files)
  local list = functions_of(files)
  local has_changed = true
  while has_changed do
    has_changed = false
    for _, fn in ipairs(list) do
      if not fn.cause then
        fn.cause = cause_of(fn)
        has_changed = has_changed or fn.cause ~= nil
      end
    end
  end
  table.sort(list, function(a, b)
    return a.path < b.path or a.path == b.path and a.line < b.line
  end)
  return list
end

return raises
