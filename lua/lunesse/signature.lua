-- Signed values, in the format of npm's `cookie-signature`: the value, a dot, and the base64 of its
-- HMAC-SHA256 without padding.
local require = require -- that of a script waits for other loads

-- libcrypto is loaded with this: not before a value is signed, or its signature is verified.
local function crypto()
  return require "lunesse.crypto"
end

local signature = {
  WANTED = "a key that signs is a string that is not empty, or a list of such strings",
}

local function text_of(value, key)
  local mac = crypto().hmac("sha256", key, value)
  return value .. "." .. crypto().base64(mac):gsub("=+$", "")
end

-- Returns the list of keys that a script has given: a string, or a list of them. Otherwise nil.
function signature.keys(keys)
  local list = type(keys) == "string" and { keys } or keys
  if type(list) ~= "table" or #list == 0 then
    return nil
  end
  for key, value in pairs(list) do
    if math.type(key) ~= "integer" or type(value) ~= "string" or value == "" then
      return nil
    end
  end
  return list
end

-- Returns the signed text. The first key signs.
function signature.sign(value, keys)
  return text_of(value, keys[1])
end

-- Returns the value of a signed text; nil when none of the keys has signed it.
function signature.verify(text, keys)
  local value = text:match("^(.*)%.[^.]*$")
  for i = 1, value and #keys or 0 do
    if crypto().equal(text_of(value, keys[i]), text) then
      return value
    end
  end
  return nil
end

return signature
