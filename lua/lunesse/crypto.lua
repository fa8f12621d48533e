-- `lunesse.crypto`: what libcrypto does is in C; here are hexadecimal and JSON Web Keys.
local caller = require "lunesse.caller"
local core = require "lunesse.core"

local crypto = caller.call(core.crypto_table)

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

-- The kinds of keys by their `kty` and `crv`: the algorithm, and the members that have its numbers.
local kinds = {
  ["RSA "] = { "RS256", "n", "e" },
  ["EC P-256"] = { "ES256", "x", "y" },
  ["OKP Ed25519"] = { "EdDSA", "x" },
}

-- The bytes of a member of a key; "" for one that the kind does not have.
local function number_of(jwk, name)
  local text = name and jwk[name]
  return name == nil and "" or type(text) == "string" and crypto.base64url_decode(text) or nil
end

-- public_key(jwk) -> key, algorithm; nil, message, "EINVAL"
function crypto.public_key(jwk)
  if type(jwk) ~= "table" then
    error("public_key takes a JSON Web Key as a table, got " .. type(jwk), caller.level())
  end
  local kty, crv = jwk.kty, jwk.crv
  local kind = kinds[tostring(kty) .. " " .. (kty ~= "RSA" and tostring(crv) or "")]
  if not kind then
    return nil, "a key of RSA, EC with P-256, or OKP with Ed25519 is expected", "EINVAL"
  end
  local first, second = number_of(jwk, kind[2]), number_of(jwk, kind[3])
  local key = first and second and core.public_key(kind[1], first, second)
  if not key then
    return nil, ("the numbers are no key for %s%s"):format(kind[1],
      kind[1] == "RS256" and ", which takes 2048 to 8192 bits" or ""), "EINVAL"
  end
  return key, kind[1]
end

return crypto
