-- JSON for scripts, over lua-cjson. Decoding answers `nil, message, "EJSON"` for what is not JSON,
-- because that comes from the world; encoding raises for what JSON cannot hold, because that is a
-- mistake of the script. A number without a fraction is an integer on both sides. lua-cjson holds
-- every number as a float of 14 digits, so what has longer integers goes through dkjson, which is
-- slower and exact.
local caller = require "lunesse.caller"
local cjson = require("cjson.safe").new()
local dkjson = require "dkjson"
local strict = require("cjson").new()

cjson.decode_max_depth(128)
cjson.decode_invalid_numbers(false)
strict.encode_max_depth(128)
strict.encode_number_precision(14)
strict.encode_invalid_numbers(false)
strict.encode_sparse_array(true)

local json = { null = strict.null }

local exact_below = 10 ^ 14 -- integers that lua-cjson writes with all their digits

local function has_long_integer(value)
  if math.type(value) == "integer" then
    return value >= exact_below or value <= -exact_below
  elseif type(value) == "table" then
    for _, item in pairs(value) do
      if has_long_integer(item) then
        return true
      end
    end
  end
  return false
end

-- A copy for dkjson, in which our null is its own. The depth is known to be bounded.
local function with_null(value, from, to)
  if value == from then
    return to
  elseif type(value) ~= "table" then
    return value
  end
  local copy = {}
  for key, item in pairs(value) do
    copy[key] = with_null(item, from, to)
  end
  return copy
end

-- Floats without a fraction, as lua-cjson decodes every integer, become integers, in place.
local function with_integers(value)
  if math.type(value) == "float" then
    return math.tointeger(value) or value
  elseif type(value) == "table" then
    for key, item in pairs(value) do
      value[key] = with_integers(item)
    end
  end
  return value
end

function json.encode(value)
  local ok, text = pcall(strict.encode, value)
  if not ok then
    error(text, caller.level())
  end
  if has_long_integer(value) then
    return dkjson.encode(with_null(value, json.null, dkjson.null))
  end
  return text
end

function json.decode(text)
  if type(text) ~= "string" then
    error("a string expected, got " .. type(text), caller.level())
  end
  local zero = text:find("\0", 1, true)
  if zero then -- where lua-cjson would stop reading
    return nil, "a zero byte at character " .. zero, "EJSON"
  end
  local value, message = cjson.decode(text)
  if value == nil then
    return nil, message, "EJSON"
  end
  if text:find("%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d") then
    value = dkjson.decode(text, 1, json.null)
  end
  return with_integers(value)
end

return json
