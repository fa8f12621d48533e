-- `web.session`: values that belong to one browser, under an id in a signed cookie. They are in a
-- shared store, or wherever `load`, `save` and `remove` of another one put them. A session begins
-- with the first value that is set, so who only looks gets neither a cookie nor a place in the
-- store. What is stored is JSON: { values =, at = when it was used, from = when it began }.
local caller = require "lunesse.caller"
local core = require "lunesse.core"
local log = require "lunesse.log"
local options = require "lunesse.web.options"
local signature = require "lunesse.signature"

local crypto, json = require "lunesse.crypto", core.json

local ID_BYTES <const> = 18 -- 144 bits, and base64 of it has no rest
local ID_PATTERN <const> = "^" .. ("[%w_-]"):rep(24) .. "$"

local TRIES_MAX <const> = 100 -- of a change that others come between

local SITES <const> = { strict = true, lax = true, none = true }

local known = {
  key = {
    kind = {
      what = "a string that is not empty, or a list of such strings",
      takes = function(value) return signature.keys(value) ~= nil end,
    },
  },
  store = {
    kind = {
      what = "a shared store, or a table of the functions load, save and remove",
      takes = function(value)
        return type(value) == "userdata" or type(value) == "table"
          and options.fn.takes(value.load) and options.fn.takes(value.save)
          and options.fn.takes(value.remove)
      end,
    },
  },
  lifetime = { kind = options.count },
  ttl = { kind = options.count, default = 14 * 24 * 3600 },
  cookie = { kind = options.token, default = "session" },
  path = { kind = options.text, default = "/" },
  domain = { kind = options.text },
  secure = { kind = options.boolean, default = false },
  same_site = {
    kind = {
      what = "'strict', 'lax' or 'none'",
      takes = function(value) return SITES[value] end,
    },
    default = "lax",
  },
}

local Session = {}
Session.__index = Session

local function read(text)
  local record = type(text) == "string" and json.decode(text)
  local is_record = type(record) == "table" and type(record.values) == "table"
    and type(record.at) == "number" and type(record.from) == "number"
  return is_record and record or { values = {}, at = 0, from = 0 }
end

-- The store as a table of functions. Its records end with the program, and so does the clock by
-- which they are dated, which nobody can set.
local function of_shared(shared)
  return {
    clock = core.clock,
    load = function(id) return shared:get(id) end,
    save = function(id, text, seconds, before)
      return shared:replace(id, before, text, { ttl = seconds })
    end,
    remove = function(id) return shared:delete(id) end,
  }
end

-- How long the session lives if nobody uses it from now on.
local function seconds_left(settings, record)
  if not settings.lifetime then
    return settings.ttl
  end
  return math.min(settings.ttl, record.from + settings.lifetime - settings.clock())
end

-- Sends the cookie, which ends with the record.
local function send_cookie(self)
  local settings = self._settings
  self._response:cookie(settings.cookie, self.id or "", {
    path = settings.path, domain = settings.domain, http_only = true, secure = settings.secure,
    same_site = settings.same_site,
    max_age = self.id and math.ceil(seconds_left(settings, self._record)) or 0,
    sign = self.id and settings.keys or nil,
  })
end

local function check_unsent(self)
  if self._response.headers_sent then
    error("the session's cookie comes too late: the head is already sent", caller.level())
  end
end

local function ended(self)
  self.id, self._record = nil, read(nil)
  return nil, "the session has ended", "ECLOSED"
end

-- Makes a change to the record in the store, whatever other requests of the session do meanwhile.
local function update(self, change)
  local settings = self._settings
  local store = settings.store
  for _ = 1, TRIES_MAX do
    local text, failure, failure_code = store.load(self.id)
    if not text and failure then
      return nil, failure, failure_code
    end
    local record = text and read(text)
    local seconds = record and seconds_left(settings, record) or 0
    if seconds <= 0 then
      return ended(self)
    end
    change(record)
    local ok, why, code = store.save(self.id, json.encode(record), seconds, text)
    if ok then
      self._record = record
      return true
    elseif code ~= "ESTALE" then
      return nil, why, code
    end
  end
  return nil, "too many requests change the session at once", "EAGAIN"
end

-- Begins a session with this record.
local function begin(self, record)
  check_unsent(self)
  local settings = self._settings
  local id = crypto.base64url(crypto.random(ID_BYTES))
  record.at = settings.clock()
  record.from = record.at
  local ok, why, code = settings.store.save(id, json.encode(record), seconds_left(settings, record))
  if not ok then
    return nil, why, code
  end
  self.id, self._record = id, record
  send_cookie(self)
  return true
end

function Session:get(name)
  return self._record.values[name]
end

function Session:set(name, value)
  if type(name) ~= "string" then
    error("the name of a value is a string, got " .. type(name), caller.level())
  end
  caller.call(core.json_at_once, { value }) -- raises for what JSON cannot hold
  if self.id then
    return update(self, function(record) record.values[name] = value end)
  elseif value == nil then
    return true
  end
  return begin(self, { values = { [name] = value } })
end

-- The old id goes first: of a renewal and a destruction that come at once, only one finds it there,
-- so a session that was destroyed does not live on under another id.
function Session:renew()
  local store, old = self._settings.store, self.id
  if not old then
    return begin(self, self._record)
  end
  check_unsent(self)
  local text, why, code = store.load(old)
  local was_there
  if text then
    was_there, why, code = store.remove(old)
  end
  if why then
    return nil, why, code
  end
  if not was_there then
    return ended(self)
  end
  self.id = nil
  return begin(self, read(text))
end

function Session:destroy()
  local id = self.id
  if not id then
    return true
  end
  check_unsent(self)
  self.id, self._record = nil, read(nil)
  send_cookie(self)
  local was_there, why, code = self._settings.store.remove(id)
  if was_there == nil then
    return nil, why, code
  end
  return true
end

function Session:is_alive()
  local text = self.id ~= nil and self._settings.store.load(self.id)
  return type(text) == "string" and seconds_left(self._settings, read(text)) > 0
end

-- Half of the time without a request is over, or the clock was set back.
local function is_old(settings, record)
  local age = settings.clock() - record.at
  return age > settings.ttl / 2 or age < 0
end

-- Finds the session that the request's cookie names. A cookie that an older key has signed, or
-- whose session has half its life behind it, is sent anew. Returns nil and why when the store
-- cannot say.
local function open(settings, request, response)
  local self = setmetatable({
    _settings = settings, _response = response, _record = read(nil),
  }, Session)
  local id = request:signed_cookie(settings.cookie, settings.keys)
  if not id or not id:find(ID_PATTERN) then
    return self
  end
  local text, why = settings.store.load(id)
  if not text and why then
    return nil, why
  end
  local record = text and read(text)
  if not record or seconds_left(settings, record) <= 0 then
    return self
  end
  self.id, self._record = id, record
  if is_old(settings, record) then
    local ok = update(self, function(it) it.at = settings.clock() end)
    if ok then
      send_cookie(self)
    end
  elseif not request:signed_cookie(settings.cookie, settings.keys[1]) then
    send_cookie(self)
  end
  return self
end

---web.session { key =, ... } -> a middleware, which puts the session into request.state.session
return function(given)
  local settings = options.read("session", given, known)
  settings.keys = signature.keys(settings.key) or options.fail("web.session needs a key")
  local store = settings.store or core.shared("sessions")
  settings.store = type(store) == "userdata" and of_shared(store) or store
  settings.clock = settings.store.clock or core.now
  return function(request, response, next)
    local session, why = open(settings, request, response)
    if not session then
      log.error("web.session: the store cannot be read", { why = why })
      return response:status(503):send("503: the sessions cannot be read\n")
    end
    request.state.session = session
    return next()
  end
end
