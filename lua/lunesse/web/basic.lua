-- A name and a password that the browser asks for (RFC 7617). Both come with every request, in
-- clear text but for TLS.
local crypto = require "lunesse.crypto"
local options = require "lunesse.web.options"

local users_kind = {
  what = "a table of names and passwords, or a function",
  takes = function(value)
    if type(value) ~= "table" then
      return type(value) == "function"
    end
    for name, password in pairs(value) do
      if type(name) ~= "string" or type(password) ~= "string" or name:find("[:%c]") then
        return false
      end
    end
    return next(value) ~= nil
  end,
}

local known = {
  realm = { kind = options.quotable, default = "this server" },
  users = { kind = users_kind },
}

-- Returns name and password; nil when the request has none that can be read.
local function credentials_of(request)
  local scheme, token = (request.headers.authorization or ""):match("^(%a+) +([%w+/]+=*)$")
  if not scheme or scheme:lower() ~= "basic" then
    return nil
  end
  local text = crypto.base64_decode(token)
  if not text or not utf8.len(text) or text:find("%c") then
    return nil
  end
  return text:match("^([^:]*):(.*)$")
end

-- Returns a function that tells who has this name and this password. It takes as long for a name
-- that nobody has.
local function judge_of(users)
  if type(users) == "function" then
    return users
  end
  local digests, nobody = {}, crypto.random(32)
  for name, password in pairs(users) do
    digests[name] = crypto.hash("sha256", password)
  end
  return function(name, password)
    local is_right = crypto.equal(crypto.hash("sha256", password), digests[name] or nobody)
    return is_right and name
  end
end

return function(given)
  local read = options.read("basic", given, known)
  if not read.users then
    options.fail("web.basic: users is missing: %s", users_kind.what)
  end
  local who = judge_of(read.users)
  local challenge = ('Basic realm="%s", charset="UTF-8"'):format(read.realm)

  return function(request, response, next)
    local name, password = credentials_of(request)
    local user = name and who(name, password, request)
    if not user then
      response:header("WWW-Authenticate", challenge)
      return response:status(401):send("401: a name and a password are needed\n")
    end
    request.state.user = user == true and name or user
    return next()
  end
end
