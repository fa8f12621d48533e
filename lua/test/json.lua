-- JSON (RFC 8259) for what the kit sends and what it reads. It is written from the RFC and not from
-- the encoder of the program, which it judges: it takes exactly what the RFC allows.

local json = {}

---`null`, in what is read and in what is sent.
json.null = setmetatable({}, {
  __tostring = function()
    return "null"
  end,
})

local ARRAY = {}

---Marks a table as an array, which an empty one needs: `json.array {}` is sent as `[]`.
function json.array(list)
  return setmetatable(list or {}, ARRAY)
end

local ESCAPES = {
  ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t",
}
local LITERALS = { { "true", true }, { "false", false }, { "null", json.null } }
local DEPTH_MAX = 200

local function refuse(position, what)
  error({ position = position, what = what }, 0)
end

local function skip_space(text, position)
  return text:find("[^ \t\r\n]", position) or #text + 1
end

---The code point of the escape `\uXXXX` at `position`, or of the pair of surrogates there.
local function read_unicode(text, position)
  local unit = tonumber(text:match("^\\u(%x%x%x%x)", position) or "", 16)
  if not unit or unit >= 0xDC00 and unit < 0xE000 then
    refuse(position, "a bad \\u escape")
  elseif unit < 0xD800 or unit > 0xDFFF then
    return unit, position + 6
  end
  local low = tonumber(text:match("^\\u(%x%x%x%x)", position + 6) or "", 16)
  if not low or low < 0xDC00 or low > 0xDFFF then
    refuse(position, "half a surrogate pair")
  end
  return 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00), position + 12
end

local function read_string(text, position)
  local parts, start = {}, position + 1
  while true do
    local stop = text:find('["\\%c]', start)
    local byte = stop and text:sub(stop, stop)
    parts[#parts + 1] = text:sub(start, (stop or 0) - 1)
    if byte == '"' then
      return table.concat(parts), stop + 1
    elseif byte == "\\" and text:sub(stop + 1, stop + 1) == "u" then
      local code
      code, start = read_unicode(text, stop)
      parts[#parts + 1] = utf8.char(code)
    elseif byte == "\\" and ESCAPES[text:sub(stop + 1, stop + 1)] then
      parts[#parts + 1] = ESCAPES[text:sub(stop + 1, stop + 1)]
      start = stop + 2
    elseif byte == "\x7f" then
      parts[#parts + 1] = byte
      start = stop + 1
    else
      refuse(stop or position, not byte and "a string without an end" or byte == "\\" and
        "an unknown escape" or "a control character in a string")
    end
  end
end

local function read_number(text, position)
  local integer = text:match("^-?0", position) or text:match("^-?[1-9]%d*", position)
  if not integer then
    refuse(position, "no value")
  end
  local stop = position + #integer
  local fraction = text:match("^%.%d+", stop) or ""
  local exponent = text:match("^[eE][+-]?%d+", stop + #fraction) or ""
  return tonumber(integer .. fraction .. exponent), stop + #fraction + #exponent
end

local read_value

local function read_array(text, position, depth)
  local list = json.array()
  position = skip_space(text, position + 1)
  if text:sub(position, position) == "]" then
    return list, position + 1
  end
  while true do
    list[#list + 1], position = read_value(text, position, depth)
    local mark = text:sub(position, position)
    if mark == "]" then
      return list, position + 1
    elseif mark ~= "," then
      refuse(position, "no , or ] in an array")
    end
    position = position + 1
  end
end

local function read_object(text, position, depth)
  local object = {}
  position = skip_space(text, position + 1)
  if text:sub(position, position) == "}" then
    return object, position + 1
  end
  while true do
    position = skip_space(text, position)
    if text:sub(position, position) ~= '"' then
      refuse(position, "no string as the name of a member")
    end
    local key
    key, position = read_string(text, position)
    position = skip_space(text, position)
    if text:sub(position, position) ~= ":" then
      refuse(position, "no : behind the name of a member")
    end
    object[key], position = read_value(text, position + 1, depth)
    local mark = text:sub(position, position)
    if mark == "}" then
      return object, position + 1
    elseif mark ~= "," then
      refuse(position, "no , or } in an object")
    end
    position = position + 1
  end
end

---The value at `position`, and where what follows it begins.
function read_value(text, position, depth)
  position = skip_space(text, position)
  local mark, value = text:sub(position, position), nil
  if depth > DEPTH_MAX then
    refuse(position, "too deep a value")
  elseif mark == '"' then
    value, position = read_string(text, position)
  elseif mark == "{" then
    value, position = read_object(text, position, depth + 1)
  elseif mark == "[" then
    value, position = read_array(text, position, depth + 1)
  else
    for _, literal in ipairs(LITERALS) do
      if text:sub(position, position + #literal[1] - 1) == literal[1] then
        return literal[2], skip_space(text, position + #literal[1])
      end
    end
    value, position = read_number(text, position)
  end
  return value, skip_space(text, position)
end

---The value of a JSON text; nil and why it is none.
---@param text string
function json.decode(text)
  if not utf8.len(text) then
    return nil, "not JSON: it is not UTF-8"
  end
  local ok, value, position = pcall(read_value, text, 1, 0)
  if ok and position <= #text then
    ok, value = false, { position = position, what = "something behind the value" }
  end
  if ok then
    return value
  elseif type(value) ~= "table" then
    error(value, 0)
  end
  return nil, ("not JSON: %s at byte %d"):format(value.what, value.position)
end

local function escaped(char)
  local NAMES = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }
  return NAMES[char] or ("\\u%04x"):format(char:byte())
end

local function write_number(value)
  if value ~= value or value == math.huge or value == -math.huge then
    error(("%s is no JSON number"):format(value), 0)
  end
  return math.type(value) == "integer" and tostring(value) or ("%.17g"):format(value)
end

local write_value

local function write_table(value, depth)
  local parts = {}
  if getmetatable(value) == ARRAY or #value > 0 then
    for i = 1, #value do
      parts[i] = write_value(value[i], depth + 1)
    end
    return "[" .. table.concat(parts, ",") .. "]"
  end
  local names = {}
  for name in pairs(value) do
    if type(name) ~= "string" then
      error(("a %s cannot name a member of a JSON object"):format(type(name)), 0)
    end
    names[#names + 1] = name
  end
  table.sort(names) -- the same bytes in every run
  for i, name in ipairs(names) do
    parts[i] = write_value(name, depth) .. ":" .. write_value(value[name], depth + 1)
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

function write_value(value, depth)
  if depth > DEPTH_MAX then
    error("the value is too deep for JSON, or holds itself", 0)
  elseif value == json.null then
    return "null"
  elseif type(value) == "table" then
    return write_table(value, depth)
  elseif type(value) == "string" then
    return '"' .. value:gsub('[%c"\\]', escaped) .. '"'
  elseif type(value) == "number" then
    return write_number(value)
  elseif type(value) == "boolean" then
    return tostring(value)
  end
  error(("a %s has no JSON"):format(type(value)), 0)
end

---The JSON text of a value; members of objects are sorted by name.
function json.encode(value)
  return write_value(value, 0)
end

return json
