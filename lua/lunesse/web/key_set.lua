-- The public keys of an issuer (JWKS: RFC 7517), for `web.bearer`: a table in hand, or what a URL
-- has. Fetched keys are kept, and they stay when a later fetch fails. They are fetched again when a
-- token names a key that is not there, and when they are ten minutes old; in both cases at most
-- once a minute, one fetch at a time, whatever tokens come.
local core = require "lunesse.core"
local log = require "lunesse.log"
local http = require "lunesse.http"
local crypto = require "lunesse.crypto"
local jwt = require "lunesse.web.jwt"

local key_set = {}

local KEYS_MAX <const> = 64
local BODY_BYTES <const> = 256 * 1024
local PAUSE_SECONDS <const> = 60 -- between two fetches
local FIRST_PAUSE_SECONDS <const> = 5 -- the same while there are no keys at all
local OLD_SECONDS <const> = 600
local TIMEOUTS <const> = { connect_timeout = 5, first_byte_timeout = 5, idle_timeout = 5,
  body_bytes = BODY_BYTES }

local function has(list, value)
  for _, one in ipairs(type(list) == "table" and list or {}) do
    if one == value then
      return true
    end
  end
  return false
end

-- The key of a JSON Web Key; nil and why when it is none that signs tokens.
local function key_of(jwk)
  if type(jwk) ~= "table" then
    return nil, "a table is expected"
  end
  local key, algorithm = crypto.public_key(jwk)
  if not key then
    return nil, algorithm
  elseif jwk.use ~= nil and jwk.use ~= "sig" then
    return nil, "its use is not 'sig'"
  elseif jwk.key_ops ~= nil and not has(jwk.key_ops, "verify") then
    return nil, "its key_ops have no 'verify'"
  elseif jwk.alg ~= nil and jwt.algorithm(jwk.alg) ~= algorithm then
    return nil, "its alg is not " .. algorithm
  elseif jwk.kid ~= nil and type(jwk.kid) ~= "string" then
    return nil, "its kid is no string"
  end
  return { key = key, algorithm = algorithm, kid = jwk.kid }
end

-- The keys of a set, and what is wrong with the first one that is left out; nil and why when it is
-- no set.
local function keys_of(set)
  local list = type(set) == "table" and set.keys
  if type(list) ~= "table" or #list > KEYS_MAX or #list == 0 and next(list) ~= nil then
    return nil, ("a set with at most %d keys is expected"):format(KEYS_MAX)
  end
  local keys, wrong = {}, nil
  for i, jwk in ipairs(list) do
    local key, why = key_of(jwk)
    keys[#keys + 1] = key
    wrong = wrong or why and ("key %d: %s"):format(i, why)
  end
  return keys, wrong
end

local Remote = {}
Remote.__index = Remote

-- Fetches the set once. Returns the keys, or nil and why.
local function fetch(url)
  local page, why = http.get(url, TIMEOUTS)
  if not page then
    return nil, why
  elseif page.status ~= 200 then
    return nil, "the answer is " .. page.status
  end
  local set, wrong = page:json()
  if set == nil then
    return nil, wrong
  end
  return keys_of(set)
end

-- Ends the fetch, also where its task is cancelled, so that nobody waits for ever.
local Running = {}

function Running:__close()
  self.set.running = nil
  self.is_done:set()
end

local function run(self)
  local _ <close> = self.running
  local ok, keys, why = pcall(fetch, self.url)
  if ok and keys then
    self.keys, self.fetched_at = keys, core.clock()
  else
    log.warn("web.bearer: the keys could not be fetched", {
      url = self.url, why = ok and why or keys, kept = self.keys and #self.keys or 0,
    })
  end
end

-- Begins a fetch, unless one is running or the last one is too near.
local function start(self)
  local pause = self.keys and PAUSE_SECONDS or FIRST_PAUSE_SECONDS
  local now = core.clock()
  if self.running or self.tried_at and now - self.tried_at < pause then
    return
  end
  self.running = setmetatable({ set = self, is_done = core.signal() }, Running)
  self.tried_at = now
  if not core.spawn(run, self) then -- as many tasks as there may be
    self.running = nil
  end
end

-- The keys that there are now; nil when none were ever had. `lacks(keys)` says that the one that is
-- looked for is not among them: then a fetch is waited for.
function Remote:ask(lacks)
  if not self.keys or lacks(self.keys) then
    start(self)
    if self.running then
      self.running.is_done:wait()
    end
  elseif core.clock() - self.fetched_at > OLD_SECONDS then
    start(self)
  end
  return self.keys
end

local remotes = {} -- by URL: several middlewares have one set

-- Whether a URL is safe to have keys from: by TLS, or from this machine.
function key_set.is_url(url)
  local scheme, host = (type(url) == "string" and url or ""):match("^(https?)://([^/?#]+)")
  if not host or host:find("@", 1, true) then
    return false
  end
  local name = host:gsub(":%d*$", "")
  return scheme == "https" or name == "localhost" or name == "[::1]"
    or name:find("^127%.%d+%.%d+%.%d+$") ~= nil
end

-- The set at a URL.
function key_set.at(url)
  remotes[url] = remotes[url] or setmetatable({ url = url }, Remote)
  return remotes[url]
end

-- The set in a table. Returns nil and why unless each key in it can be used.
function key_set.of(set)
  local keys, wrong = keys_of(set)
  if not keys or wrong or #keys == 0 then
    return nil, wrong or "there is no key in it"
  end
  return { ask = function() return keys end }
end

return key_set
