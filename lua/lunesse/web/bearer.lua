-- A token that comes with each request (RFC 6750). `keys` are the tokens that are known beforehand,
-- or a function that knows them; `secret` and `jwks` are what signs others (lunesse.web.jwt).
local crypto = require "lunesse.crypto"
local jwt = require "lunesse.web.jwt"
local options = require "lunesse.web.options"

local LEEWAY_MAX <const> = 600

local keys_kind = {
  what = "a list of tokens, a table of tokens and whose they are, or a function",
  takes = function(value)
    if type(value) ~= "table" then
      return type(value) == "function"
    end
    for key, of in pairs(value) do
      local token = math.type(key) == "integer" and of or key
      if type(token) ~= "string" or not token:find("^[%w%-._~+/]+=*$") or of == false then
        return false
      end
    end
    return next(value) ~= nil
  end,
}

local function is_url_or_table(value)
  return type(value) == "table" or require("lunesse.web.key_set").is_url(value)
end

-- One value of the kind, or a list of them.
local function one_or_list(is_one, what)
  local list = options.list({ takes = is_one }, what)
  return {
    what = what,
    takes = function(value) return is_one(value) or list.takes(value) end,
  }
end

local function is_name(value)
  return type(value) == "string" and value ~= ""
end

local names_kind = one_or_list(is_name, "a text, or a list of texts")

local known = {
  secret = { kind = one_or_list(jwt.is_secret, "a text of at least 32 bytes that only the issuer "
    .. "and this server know, or a list of such texts; public keys belong into jwks") },
  jwks = { kind = {
    what = "a URL that begins with https:// (http:// for this machine alone), or a key set as a "
      .. "table",
    takes = is_url_or_table,
  } },
  audience = { kind = names_kind },
  issuer = { kind = names_kind },
  leeway = { kind = {
    what = "seconds, 0 to " .. LEEWAY_MAX,
    takes = function(value)
      return type(value) == "number" and value >= 0 and value <= LEEWAY_MAX
    end,
  } },
  realm = { kind = options.quotable, default = "this server" },
  keys = { kind = keys_kind },
  query = { kind = options.token },
}

-- Returns a function that tells whose token it is. The tokens are found by their digests, so the
-- time of the search says nothing about a token that is nearly right.
local function judge_of(keys)
  if type(keys) == "function" then
    return keys
  end
  local owners = {}
  for key, of in pairs(keys) do
    if math.type(key) == "integer" then
      owners[crypto.hash("sha256", of)] = true
    else
      owners[crypto.hash("sha256", key)] = of
    end
  end
  return function(token)
    return owners[crypto.hash("sha256", token)]
  end
end

-- Returns the token; or nil and, where the request has one that cannot be read, "invalid_request".
local function token_of(request, query)
  local field, in_query = request.headers.authorization, query and request.query[query]
  local scheme, token = (field or ""):match("^(%a+) *(.*)$")
  local is_bearer = scheme ~= nil and scheme:lower() == "bearer"
  if is_bearer and in_query or in_query and #request:query_values(query) > 1 then
    return nil, "invalid_request"
  end
  token = is_bearer and token or in_query
  if token and not token:find("^[%w%-._~+/]+=*$") then
    return nil, "invalid_request"
  end
  return token
end

local function list_of(value)
  return type(value) == "string" and { value } or value
end

local function key_set_of(jwks)
  local key_set = require "lunesse.web.key_set"
  if type(jwks) == "string" then
    return key_set.at(jwks)
  end
  local set, why = key_set.of(jwks)
  return set or options.fail("web.bearer: jwks: %s", why)
end

-- Returns a function that tells whose a signed token is, and what it claims; or nil and why not; or
-- nil when there are no keys to judge it.
local function signed_judge_of(read)
  local secrets = jwt.secrets(list_of(read.secret) or {})
  local set = read.jwks and key_set_of(read.jwks)
  local rules = {
    audiences = list_of(read.audience), issuers = list_of(read.issuer), leeway = read.leeway or 5,
  }
  local function keys_for(parsed)
    if parsed.algorithm == "HS256" or not set then
      return secrets
    end
    return set:ask(function(keys) return #jwt.candidates(keys, parsed) == 0 end)
  end
  return function(token)
    local parsed, why = jwt.parse(token)
    if not parsed then
      return nil, why
    end
    local keys = keys_for(parsed)
    if not keys then
      return nil
    elseif not jwt.is_signed(jwt.candidates(keys, parsed), parsed) then
      return nil, "no key that is known has signed the token"
    end
    why = jwt.wrong_claim(parsed.claims, rules)
    if why then
      return nil, why
    end
    return parsed.claims.sub or true, parsed.claims
  end
end

local function check(read)
  local is_signed = read.secret or read.jwks
  if not read.keys and not is_signed then
    options.fail("web.bearer: keys is missing: %s; or secret, or jwks", keys_kind.what)
  end
  for _, name in ipairs { "audience", "issuer", "leeway" } do
    if read[name] and not is_signed then
      options.fail("web.bearer: %s is for signed tokens: secret or jwks is missing", name)
    end
  end
end

return function(given)
  local read = options.read("bearer", given, known)
  check(read)
  local owner_of = read.keys and judge_of(read.keys)
  local signer_of = (read.secret or read.jwks) and signed_judge_of(read)
  local challenge = ('Bearer realm="%s"'):format(read.realm)

  -- `why` is the error of RFC 6750, and `description` says more of it to whoever sent the token.
  local function refuse(response, why, text, description)
    local field = challenge .. (why and (', error="%s"'):format(why) or "") ..
      (description and (', error_description="%s"'):format(description) or "")
    response:header("WWW-Authenticate", field)
    local status = why == "invalid_request" and 400 or 401
    return response:status(status):send(("%d: %s\n"):format(status, text))
  end

  -- Whose the token is, and what it claims, or why nothing: as `signed_judge_of` has it.
  local function judge(token, request)
    local owner = owner_of and owner_of(token, request)
    if owner or not signer_of then
      return owner, not owner and "this token is not known" or nil
    end
    return signer_of(token)
  end

  return function(request, response, next)
    local token, why = token_of(request, read.query)
    if not token then
      return refuse(response, why, why and "one token is expected" or "a token is needed")
    end
    local owner, claims = judge(token, request)
    if owner then
      request.state.user, request.state.claims = owner, claims
      return next()
    elseif not claims then
      response:header("Retry-After", 5)
      return response:status(503):send("503: the keys that tokens are judged by are not there\n")
    end
    return refuse(response, "invalid_token", claims, signer_of and claims or nil)
  end
end
