-- `db:listen`: what is notified on a channel of PostgreSQL becomes events of a channel of Lunesse.
-- The connection is one of its own. What is notified while there is none is never seen, so each
-- connection, also the first of all, begins another life of the channel: its readers are told
-- `reset`, after the server has said that it listens.
local caller = require "lunesse.caller"
local core = require "lunesse.core"
local log = require "lunesse.log"

local first_wait <const> = 0.1 -- seconds
local longest_wait <const> = 30
local name_bytes <const> = 63 -- of an identifier of PostgreSQL

local Listener = {}
Listener.__index = Listener
Listener.__name = "lunesse.DatabaseListener"

-- The connection, as a variable that is closed.
local Connection = {}

function Connection:__close()
  core.postgres_close(self.link)
end

function Listener:close()
  if type(self) ~= "table" or getmetatable(self) ~= Listener then
    error("close is called with a colon: listener:close()", caller.level())
  end
  self._is_closed = true
  self._timer:stop()
  self._closing:set()
  if self._link then
    core.postgres_close(self._link)
  end
  return true
end

-- What `map` returns is published as it is; nothing, for a notification that is no event.
local function publish_mapped(channel, event, ...)
  if event == nil then
    return true
  end
  return channel:publish(event, ...)
end

-- A notification that cannot be published is missed by the readers, and so they are told.
local function publish(self, payload)
  local ok, id, why, code = pcall(function()
    return publish_mapped(self._channel, self._map(payload))
  end)
  if code == "ECLOSED" or code == "EFINISHED" then
    self:close()
  elseif not ok or not id then
    log.error("a notification of PostgreSQL became no event",
      { name = self._name, why = tostring(ok and why or id) })
    self._channel:reset()
  end
end

-- Listens over one connection. Returns why it does no longer, and a code.
local function listen(self, link)
  local ok, why, code = core.postgres_open(link, self._database._url,
    self._database._connect_timeout)
  if ok then
    ok, why, code = core.postgres_query(link, self._sql, "")
  end
  if ok then
    self._tries = 0
    if not self._channel:reset() then
      self:close() -- the channel has ended
    end
  end
  while ok do
    ok, why, code = core.postgres_notification(link)
    if ok then
      publish(self, ok)
    end
  end
  return why, code
end

local function listen_once(self)
  self._link = core.postgres_link(true)
  local _ <close> = setmetatable({ link = self._link }, Connection)
  return listen(self, self._link)
end

-- The part that is left to chance keeps servers apart that lost their database at the same time.
local function wait_of(self)
  local wait = math.min(first_wait * 2.0 ^ (self._tries - 1), longest_wait)
  return wait * (1 + math.random() / 2)
end

local function run(self)
  while not self._is_closed do
    local why, code = listen_once(self)
    if self._is_closed then
      return
    elseif code == "ENOTSUP" then
      log.warn("PostgreSQL is not listened to", { name = self._name, why = why })
      return
    end
    self._tries = self._tries + 1
    local seconds = wait_of(self)
    log.warn("PostgreSQL is not listened to for now", { name = self._name, why = why,
      next_in = ("%.1f s"):format(seconds) })
    self._closing:wait(seconds)
  end
end

local function check(name, channel, map)
  if type(name) ~= "string" or name == "" or #name > name_bytes or name:find("\0", 1, true) then
    error(("listen takes the name of a channel of PostgreSQL, a string of 1 to %d bytes, got %s")
      :format(name_bytes, type(name) == "string" and #name .. " bytes" or type(name)),
      caller.level())
  elseif type(channel) ~= "userdata" or not tostring(channel):find("^Channel") then
    error("listen takes a channel of lunesse.channel, got " .. type(channel), caller.level())
  elseif map ~= nil and type(map) ~= "function" then
    error("listen takes a function that makes events, got " .. type(map), caller.level())
  elseif not core.is_loading() then
    error("listen belongs to the script's top level: it lasts as long as the script's code",
      caller.level())
  end
end

local function same(payload)
  return payload
end

local listener = { Listener = Listener }

-- A timer of the scripts' top level runs in the first worker alone. It begins when this code takes
-- over, and ends with it.
function listener.open(database, name, channel, map)
  check(name, channel, map)
  local self = setmetatable({
    _database = database, _channel = channel, _map = map or same, _name = name,
    _sql = 'listen "' .. name:gsub('"', '""') .. '"',
    _tries = 0, _is_closed = false, _closing = core.signal(),
  }, Listener)
  self._timer = core.after(0, function() run(self) end)
  return self
end

return listener
