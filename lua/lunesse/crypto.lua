-- `lunesse.crypto`: what libcrypto does is in C; here is hexadecimal.
local caller = require "lunesse.caller"
local core = require "lunesse.core"

local crypto = core.crypto

local function check_text(name, text)
  if type(text) ~= "string" then
    error(("bad argument #1 to '%s' (string expected, got %s)"):format(name, type(text)),
      caller.level())
  end
end

local function hex_of(byte)
  return ("%02x"):format(byte:byte())
end

local function byte_of(digits)
  return string.char(tonumber(digits, 16))
end

-- hex(bytes) -> text in lower case
function crypto.hex(bytes)
  check_text("hex", bytes)
  return (bytes:gsub(".", hex_of))
end

-- hex_decode(text) -> bytes; nil, message, "EINVAL". Both cases are read.
function crypto.hex_decode(text)
  check_text("hex_decode", text)
  if #text % 2 == 1 or text:find("%X") then
    return nil, "the text is not pairs of hexadecimal digits", "EINVAL"
  end
  return (text:gsub("..", byte_of))
end

return crypto
