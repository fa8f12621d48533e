-- What runs in each thread of a pool, in a Lua state of its own: it loads the module, and returns
-- the function by which the C half (script/pool_state.c) calls the module's functions. Arguments
-- and results are JSON arrays. nil has no place in an array, so it is null there.
--
-- An answer is an outcome and a text: "returned" with the results; "raised" with an array of what
-- was raised; "text" with the message that was raised; "mistake" with what is wrong with the call.
local json, module_name = ...

package.loaded.lunesse = setmetatable({ json = json }, { __index = function(_, name)
  error(("lunesse.%s is not there in a thread of a pool: of lunesse it has json alone")
    :format(name), 2)
end })

local is_loaded, module = pcall(require, module_name)
if not is_loaded then
  error(module, 0)
elseif type(module) ~= "table" then
  error(("module '%s' returns no table of functions, but a %s"):format(module_name, type(module)),
    0)
end

local function arguments(text)
  local list = json.decode(text)
  local count = #list
  for i = 1, count do
    if list[i] == json.null then
      list[i] = nil
    end
  end
  return table.unpack(list, 1, count)
end

local function encode(...)
  local list = json.array()
  for i = 1, select("#", ...) do
    local value = select(i, ...)
    list[i] = value == nil and json.null or value
  end
  return json.encode(list)
end

local function raised(value)
  local class = getmetatable(value)
  local has_text = type(class) == "table" and class.__tostring ~= nil
  if type(value) == "string" or type(value) == "number" or has_text then
    local ok, text = pcall(tostring, value)
    return "text", ok and text or "(what was raised has no text)"
  end
  local ok, text = pcall(encode, value)
  if ok then
    return "raised", text
  end
  return "text", ("(what was raised is a %s, which is no JSON value)"):format(type(value))
end

local function answer(name, ok, ...)
  if not ok then
    return raised((...))
  end
  local is_fit, text = pcall(encode, ...)
  if is_fit then
    return "returned", text
  end
  return "mistake", ("%s of module '%s' has a result that is no JSON value: %s")
    :format(name, module_name, text)
end

return function(name, text)
  if name == "" then
    return "returned", "[]"
  end
  local fn = module[name]
  if type(fn) ~= "function" then
    return "mistake", ("module '%s' has no function '%s'"):format(module_name, name)
  end
  return answer(name, pcall(fn, arguments(text)))
end
