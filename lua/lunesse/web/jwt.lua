-- Signed tokens (JWT: RFC 7515, 7519), for `web.bearer`. Who judges a token has keys, and each key
-- has its algorithm. What the token says of its algorithm only has to be the same: with "none",
-- with an algorithm for which there is no key, or with that of another key's, it is refused. Keys
-- that a token brings along, or names by an address, are never looked at.
local core = require "lunesse.core"

local crypto, json = require "lunesse.crypto", core.json

local jwt = {}

local TOKEN_BYTES <const> = 8192
local SECRET_BYTES <const> = 32 -- RFC 7518 (3.2): as long as the digest

-- By their names in tokens and keys. EdDSA with Ed25519 has a second one (RFC 9864).
local ALGORITHMS <const> = {
  HS256 = "HS256", RS256 = "RS256", ES256 = "ES256", EdDSA = "EdDSA", Ed25519 = "EdDSA",
}

local function is_object(value)
  return type(value) == "table" and getmetatable(value) == nil -- arrays have one
end

-- The JSON object that is written in base64url; nil when it is none.
local function object_of(text)
  local bytes = crypto.base64url_decode(text)
  local value = bytes and json.decode(bytes)
  return is_object(value) and value or nil
end

-- The algorithm of this name; nil for "none", and for any other that is not taken.
function jwt.algorithm(name)
  return type(name) == "string" and ALGORITHMS[name] or nil
end

-- Reads a token: { algorithm =, kid =, claims =, text =, signature = }. `text` is what is signed.
-- Returns nil and why for what is none, and for what is refused whoever has signed it.
function jwt.parse(token)
  if #token > TOKEN_BYTES then
    return nil, "the token is longer than 8192 bytes"
  end
  local head, body, tail = token:match("^([%w_-]+)%.([%w_-]+)%.([%w_-]+)$")
  local header, claims = head and object_of(head), body and object_of(body)
  local signature = tail and crypto.base64url_decode(tail)
  if not (header and claims and signature) then
    return nil, "the token is no signed JWT"
  elseif header.crit ~= nil then
    return nil, "the token asks for an extension, and none is known here"
  elseif header.kid ~= nil and type(header.kid) ~= "string" then
    return nil, "the token's kid is no string"
  end
  local algorithm = jwt.algorithm(header.alg)
  if not algorithm then
    return nil, "the token is not signed by HS256, RS256, ES256 or EdDSA"
  end
  return {
    algorithm = algorithm, kid = header.kid, claims = claims, signature = signature,
    text = head .. "." .. body,
  }
end

-- The keys that may have signed the token: those of its algorithm, and of its name where it names
-- one. A key is { algorithm =, kid =, key = } or { algorithm = "HS256", secret = }.
function jwt.candidates(keys, parsed)
  local found = {}
  for _, key in ipairs(keys) do
    if key.algorithm == parsed.algorithm and (key.secret or parsed.kid == nil
        or key.kid == parsed.kid) then
      found[#found + 1] = key
    end
  end
  return found
end

local function has_signed(key, parsed)
  if key.algorithm == "HS256" then
    return crypto.equal(crypto.hmac("sha256", key.secret, parsed.text), parsed.signature)
  end
  return crypto.verify(key.key, parsed.text, parsed.signature)
end

-- Whether one of these keys has signed the token.
function jwt.is_signed(keys, parsed)
  for _, key in ipairs(keys) do
    if has_signed(key, parsed) then
      return true
    end
  end
  return false
end

-- The keys of secrets. They have no names, so a token may call its own as it likes.
function jwt.secrets(list)
  local keys = {}
  for i, secret in ipairs(list) do
    keys[i] = { algorithm = "HS256", secret = secret }
  end
  return keys
end

-- Whether a text is a secret: not short, and no public key that everybody has.
function jwt.is_secret(text)
  return type(text) == "string" and #text >= SECRET_BYTES and not text:find("-----BEGIN", 1, true)
end

local function has(list, value)
  for _, one in ipairs(list) do
    if one == value then
      return true
    end
  end
  return false
end

-- Whether `aud`, a string or an array of strings, names one of ours.
local function is_for(audiences, aud)
  local is_array = type(aud) == "table" and not is_object(aud)
  for _, one in ipairs(is_array and aud or { aud }) do
    if type(one) == "string" and has(audiences, one) then
      return true
    end
  end
  return false
end

-- The times, which are numbers or not there. Returns why the token is not valid now.
local function wrong_time(claims, leeway)
  local now = core.now()
  for _, name in ipairs { "exp", "nbf", "iat" } do
    if claims[name] ~= nil and type(claims[name]) ~= "number" then
      return ("the token's %s is no number"):format(name)
    end
  end
  if claims.exp and now >= claims.exp + leeway then
    return "the token has expired"
  elseif claims.nbf and now < claims.nbf - leeway then
    return "the token is not valid yet"
  elseif claims.iat and now < claims.iat - leeway then
    return "the token is from the future"
  end
end

-- Returns why the claims are not enough, or nothing. `rules` has `leeway`, and may have the lists
-- `audiences` and `issuers`. A token for somebody is refused where nobody says who he is (RFC
-- 7519, 4.1.3).
function jwt.wrong_claim(claims, rules)
  local why = wrong_time(claims, rules.leeway)
  if why then
    return why
  elseif (claims.aud ~= nil or rules.audiences)
    and not is_for(rules.audiences or {}, claims.aud) then
    return "the token is for another audience"
  elseif rules.issuers and not has(rules.issuers, claims.iss) then
    return "the token is from another issuer"
  elseif claims.sub ~= nil and type(claims.sub) ~= "string" then
    return "the token's sub is no string"
  end
end

return jwt
