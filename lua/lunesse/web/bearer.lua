-- A token that comes with each request (RFC 6750). `keys` are the tokens that are known beforehand,
-- or a function that knows them.
local crypto = require "lunesse.crypto"
local options = require "lunesse.web.options"

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

local known = {
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

return function(given)
  local read = options.read("bearer", given, known)
  if not read.keys then
    options.fail("web.bearer: keys is missing: %s", keys_kind.what)
  end
  local owner_of = judge_of(read.keys)
  local challenge = ('Bearer realm="%s"'):format(read.realm)

  local function refuse(response, why, text)
    response:header("WWW-Authenticate", why and ('%s, error="%s"'):format(challenge, why)
      or challenge)
    return response:status(why == "invalid_request" and 400 or 401):send(text)
  end

  return function(request, response, next)
    local token, why = token_of(request, read.query)
    if not token then
      return refuse(response, why, why and "400: one token is expected\n"
        or "401: a token is needed\n")
    end
    local owner = owner_of(token, request)
    if not owner then
      return refuse(response, "invalid_token", "401: this token is not known\n")
    end
    request.state.user = owner
    return next()
  end
end
