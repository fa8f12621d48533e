-- JSON for scripts, over lua-cjson. Decoding answers `nil, message, "EJSON"` for what is not JSON,
-- because that comes from the world; encoding raises for what JSON cannot hold, because that is a
-- mistake of the script.
local cjson = require("cjson.safe").new()
local strict = require("cjson").new()

cjson.decode_max_depth(128)
strict.encode_max_depth(128)
strict.encode_number_precision(14)
strict.encode_invalid_numbers(false)
strict.encode_sparse_array(true)

local json = { null = strict.null }

function json.encode(value)
  local ok, text = pcall(strict.encode, value)
  if not ok then
    error(text, 2)
  end
  return text
end

function json.decode(text)
  if type(text) ~= "string" then
    error("a string expected, got " .. type(text), 2)
  end
  local value, message = cjson.decode(text)
  if value == nil then
    return nil, message, "EJSON"
  end
  return value
end

return json
