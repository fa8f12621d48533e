-- Which members of which structs a piece of C touches, found without a compiler. The types of
-- variables, members and functions are read from their declarations, and a chain such as
-- `scope->exchange->response.state` is followed from one struct to the next. A chain whose first
-- name has no known type is not seen.

local source = require "spec.support.c_source"

local types = {}

local function module_of(path)
  return path:match("^(.+)%.[ch]$")
end

---The members that stand in `body`, the text between a struct's braces: name -> the struct that the
---member is or points to; false for anything else.
local function members_of(body)
  local members = {}
  for declaration in body:gsub("%b{}", ""):gmatch("[^;]+") do
    local type = declaration:match("%f[%w_]struct%s+([%w_]+)") or false
    local callback = declaration:match("%(%s*%*%s*([%w_]+)%s*%)")
    if callback then
      members[callback] = false
    else
      for part in declaration:gsub("%b[]", ""):gsub(":%s*%d+", ""):gmatch("[^,]+") do
        members[part:match("([%w_]+)%s*$") or ""] = type
      end
    end
  end
  return members
end

---Every struct of `files`, in two tables: those of headers by their name, and those that a source
---has for itself by its path and then their name.
local function structs_of(files)
  local shared, own = {}, {}
  for path, text in pairs(files) do
    own[path] = setmetatable({}, { __index = shared })
    local structs = path:find("%.h$") and shared or own[path]
    for name, body in ("\n" .. source.code(text)):gmatch("\nstruct%s+([%w_]+)%s*(%b{})") do
      structs[name] = { module = module_of(path), members = members_of(body:sub(2, -2)) }
    end
  end
  return shared, own
end

---The functions that return a struct or a pointer to one: name -> the struct's name.
local function results_of(files)
  local results = {}
  for _, text in pairs(files) do
    for type, name in source.code(text):gmatch("%f[%w_]struct%s+([%w_]+)[%s%*]+([%w_]+)%s*%(") do
      results[name] = type
    end
  end
  return results
end

---Adds the variables and parameters that `code` declares: name -> the struct's name.
local function declare(code, variables)
  for type, name in code:gmatch("%f[%w_]struct%s+([%w_]+)[%s%*]+([%w_]+)%s*%f[,)=;%[]") do
    variables[name] = type
  end
  for type, name in code:gmatch("%f[%w_]struct%s+([%w_]+)%s*%*%s*volatile%s+([%w_]+)") do
    variables[name] = type
  end
  return variables
end

---Follows the chain of members that goes on at `at`, from the struct called `name`.
local function follow(code, at, name, known, touch)
  local struct = known.structs[name]
  while struct do
    local _, index_stop = code:find("^%s*%b[]", at)
    local from = index_stop and index_stop + 1 or at
    local _, stop, member = code:find("^%s*%-?[.>]%s*([%a_][%w_]*)", from)
    if not stop or struct.members[member] == nil then
      return
    end
    touch(struct, member)
    struct, at = known.structs[struct.members[member]], stop + 1
  end
end

---The struct that `word`, which ends before `at`, stands for, and where it ends: a variable, a
---call, or a macro that has the struct among its arguments.
local function struct_of(code, word, at, known)
  local _, stop, arguments = code:find("^(%b())", at)
  if not stop then
    return known.variables[word], at
  elseif word == "LIST_ITEM" or word == "CONTAINER_OF" then
    return arguments:match("struct%s+([%w_]+)"), stop + 1
  end
  return known.results[word], stop + 1
end

---Calls `touch(struct, member)` for each member that the function `code` touches.
local function each_touch(code, known, touch)
  for at, word, stop in code:gmatch("()%f[%w_]([%a_][%w_]*)()") do
    if not code:sub(math.max(1, at - 2), at - 1):find("[.>]$") then
      local name, from = struct_of(code, word, stop, known)
      follow(code, from, name, known, touch)
    end
  end
  for name, from in code:gmatch("%(%([const%s]*struct%s+([%w_]+)%s*%*%)[%w_]+%)()") do
    follow(code, from, name, known, touch) -- ((struct a *)b)->c
  end
end

---The structs of headers: name -> `module` and the set `touched` of those members that other files
---than the struct's own touch. A header and a source of one name are one file.
function types.touched(files)
  local shared, own = structs_of(files)
  local results = results_of(files)
  for path, text in pairs(files) do
    local outside = source.code(text):gsub("\n{\n.-\n}\n", "\n;\n")
    local global = declare(outside, {})
    for _, fn in ipairs(source.function_texts(text)) do
      local variables = setmetatable({}, { __index = global })
      declare(fn.signature .. ";" .. fn.body, variables)
      local known = { structs = own[path], results = results, variables = variables }
      each_touch(fn.body, known, function(struct, member)
        if struct.module ~= module_of(path) then
          struct.touched = struct.touched or {}
          struct.touched[member] = true
        end
      end)
    end
  end
  return shared
end

return types
