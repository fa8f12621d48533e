-- `web.session`: values that belong to one browser, in a shared store, under an id in a signed
-- cookie. A session begins with the first value that is set, so who only looks gets neither a
-- cookie nor a place in the store. What is stored is JSON: { values =, at = when it was renewed }.
local caller = require "lunesse.caller"
local core = require "lunesse.core"
local options = require "lunesse.web.options"
local signature = require "lunesse.signature"

local crypto, json = core.crypto, core.json

local ID_BYTES <const> = 18 -- 144 bits, and base64 of it has no rest
local ID_PATTERN <const> = "^" .. ("[%w_-]"):rep(24) .. "$"

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
      what = "a shared store",
      takes = function(value) return type(value) == "userdata" end,
    },
  },
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
  return type(record) == "table" and record or { values = {}, at = 0 }
end

-- Sends the cookie, which is as old as the record.
local function send_cookie(self)
  local settings = self._settings
  self._response:cookie(settings.cookie, self.id or "", {
    path = settings.path, domain = settings.domain, http_only = true, secure = settings.secure,
    same_site = settings.same_site, max_age = self.id and settings.ttl or 0,
    sign = self.id and settings.keys or nil,
  })
end

local function check_unsent(self)
  if self._response.headers_sent then
    error("the session's cookie comes too late: the head is already sent", caller.level())
  end
end

-- Puts `change(values)` into the store, whatever other requests of the session do meanwhile.
local function update(self, change)
  local store, settings = self._settings.store, self._settings
  while true do
    local text = store:get(self.id)
    if not text then
      self.id = nil
      return nil, "the session has ended", "ECLOSED"
    end
    local record = read(text)
    change(record)
    local ok, why, code = store:replace(self.id, text, json.encode(record), { ttl = settings.ttl })
    if ok then
      self._record = record
      return true
    elseif code ~= "ESTALE" and code ~= "ENOENT" then
      return nil, why, code
    end
  end
end

-- Begins a session with this record.
local function begin(self, record)
  check_unsent(self)
  local settings = self._settings
  local id = crypto.base64url(crypto.random(ID_BYTES))
  record.at = core.clock()
  local ok, why, code = settings.store:add(id, json.encode(record), { ttl = settings.ttl })
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

function Session:renew()
  local old = self.id
  local ok, why, code = begin(self, self._record)
  if not ok then
    return nil, why, code
  elseif old then
    self._settings.store:delete(old)
  end
  return true
end

function Session:destroy()
  if self.id then
    check_unsent(self)
    self._settings.store:delete(self.id)
    self.id, self._record = nil, read(nil)
    send_cookie(self)
  end
end

function Session:is_alive()
  return self.id ~= nil and self._settings.store:get(self.id) ~= nil
end

-- Finds the session that the request's cookie names. A cookie that an older key has signed, or
-- whose session has half its life behind it, is sent anew.
local function open(settings, request, response)
  local self = setmetatable({
    _settings = settings, _response = response, _record = read(nil),
  }, Session)
  local id = request:signed_cookie(settings.cookie, settings.keys)
  local text = id and id:find(ID_PATTERN) and settings.store:get(id)
  if not text then
    return self
  end
  self.id, self._record = id, read(text)
  local is_old = core.clock() - self._record.at > settings.ttl / 2
  if is_old and not update(self, function(record) record.at = core.clock() end) then
    return self
  elseif is_old or not request:signed_cookie(settings.cookie, settings.keys[1]) then
    send_cookie(self)
  end
  return self
end

---web.session { key =, ... } -> a middleware, which puts the session into request.state.session
return function(given)
  local settings = options.read("session", given, known)
  settings.keys = signature.keys(settings.key) or options.fail("web.session needs a key")
  settings.store = settings.store or core.shared("sessions")
  return function(request, response, next)
    request.state.session = open(settings, request, response)
    return next()
  end
end
