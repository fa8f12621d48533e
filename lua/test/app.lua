-- The program under test: its time, its turns, its log, and the connections of all its clients. It
-- stands on `core`, which is the engine itself (or a real process behind sockets, in the project's
-- own suite). Whatever a spec does with it ends in `turn`, which goes on until nothing is ready: so
-- what can happen without time has happened when a call returns.

local Client = require "lunesse.test.client"
local Conn = require "lunesse.test.conn"
local blame = require "lunesse.test.blame"
local coverage = require "lunesse.test.coverage"
local follow = require "lunesse.test.follow"
local match = require "lunesse.test.match"
local show = require "lunesse.test.show"
local Upstream = require "lunesse.test.upstream"

local App = {}
App.__index = App
App.__name = "app"

local ROUNDS_MAX = 100000
local STEP_SECONDS_MIN = 0.001 -- of a clock that counts in milliseconds
local WAIT_SECONDS = 60
local DRAIN_SECONDS = 3600
local RELOAD_SECONDS = 24 * 3600 -- more than anybody's load_timeout, which ends a reload

---An app over a loaded `core`.
function App.new(core)
  local self = setmetatable({
    core = core, began = core:now(), is_stopped = false, _conns = {}, _upstreams = {},
    _records = {},
  }, App)
  self._client = Client.new(self, { cookies = false })
  return self
end

function App:_check_is_running()
  if self.is_stopped then
    blame.misuse("the app has been stopped")
  end
end

for _, name in ipairs(Client.SHARED) do
  App[name] = function(self, ...)
    self:_check_is_running()
    return self._client[name](self._client, ...)
  end
end

---A client with headers, cookies and a connection of its own.
function App:client(options)
  self:_check_is_running()
  return Client.new(self, options or {})
end

function App:_connect(options)
  local conn, why = blame.call("no connection", Conn.open, self, options)
  if not conn then
    blame.misuse("no connection: %s", tostring(why))
  end
  self._conns[#self._conns + 1] = conn
  return conn
end

function App:_forget(conn)
  for i, each in ipairs(self._conns) do
    if each == conn then
      return table.remove(self._conns, i)
    end
  end
end

-- Turns and time ----------------------------------------------------------------------------------

---Lets each of the connections do `what` once, also when some of them go meanwhile.
function App:_each_conn(what)
  local conns, moved = table.move(self._conns, 1, #self._conns, 1, {}), false
  for _, conn in ipairs(conns) do
    moved = conn[what](conn) or moved
  end
  return moved
end

---Lets whoever stands in for other servers go on. Answers whether anything has happened.
function App:_turn_upstreams()
  local moved, call, host = false, nil, nil
  repeat
    if #self._upstreams > 0 and not self.is_stopped then
      call, host = self.core:call()
    end
    for i = call and #self._upstreams or 0, 1, -1 do -- the last of a host counts
      if self._upstreams[i].host == host then
        self._upstreams[i]:_accept(call)
        break
      end
    end
  until not call
  for _, upstream in ipairs(self._upstreams) do
    moved = upstream:_turn() or moved
  end
  return moved
end

---Lets everything happen that can happen without time: answers are made, sent and received. Answers
---whether anything did. Nothing does in an app that was stopped.
function App:turn()
  if self.is_stopped then
    return false
  end
  for round = 1, ROUNDS_MAX do
    local moved = self:_each_conn("push")
    local has_turned, restless = self.core:turn()
    if restless then
      blame.fail(("the app does not come to rest: %s runs again and again, and waits for no time"):
        format(restless ~= "" and restless or "a timer or a callback"))
    end
    moved = has_turned or moved
    moved = self:_turn_upstreams() or moved
    moved = self:_each_conn("pull") or moved
    if not moved then
      return round > 1
    end
  end
  blame.fail("the app does not come to rest: somebody sends without an end, and without waiting")
end

---Seconds until something is due, in the app or of a client that sends in time; nil when nothing
---is.
function App:_next()
  local seconds = self.core:next()
  local now = self.core:now()
  local function consider(due)
    if due then
      seconds = math.min(seconds or math.huge, math.max(0, due - now))
    end
  end
  for _, conn in ipairs(self._conns) do
    consider(conn:due())
  end
  for _, upstream in ipairs(self._upstreams) do
    consider(upstream:_due())
  end
  return seconds
end

---Moves to the next moment at which something is due, `left` seconds from now at most. Returns what
---is left then; nil when it is nothing.
function App:_step(left)
  local seconds = math.max(self:_next() or left, STEP_SECONDS_MIN)
  local is_last = seconds >= left
  self.core:advance(is_last and left or seconds)
  self:turn()
  if is_last then
    return nil
  end
  return left - seconds
end

local function check_seconds(seconds, what)
  if type(seconds) ~= "number" or seconds < 0 or seconds ~= seconds or seconds == math.huge then
    blame.misuse("%s: seconds expected, got %s", what, tostring(seconds))
  end
end

---Moves time: timers fire, heartbeats are sent and what is too old goes, each at its moment.
---@param seconds number
function App:advance(seconds)
  check_seconds(seconds, "app:advance")
  self:_check_is_running()
  self:turn()
  local left = seconds
  while left do
    left = self:_step(left)
  end
  return self
end

---Moves time until `fn` answers something true, and returns that; nil when it does not within
---`seconds`, or nothing is left to happen.
function App:_advance_until(fn, seconds)
  self:turn()
  local left, result = seconds, fn()
  while not result and left do
    left = self:_step(left)
    result = fn()
  end
  return result
end

---Moves time until `fn` answers something true, and returns that. Raises when it does not within
---`seconds` (60).
---@param fn fun(): any
---@param seconds? number
function App:run_until(fn, seconds)
  seconds = seconds or WAIT_SECONDS
  blame.check_type(fn, "function", "app:run_until")
  check_seconds(seconds, "app:run_until")
  self:_check_is_running()
  local result = self:_advance_until(fn, seconds)
  if not result then
    blame.fail(("it did not become true within %g s of the app's time\n%s"):format(seconds,
      show.errors(self)))
  end
  return result
end

---Waits for an answer; `complain(why)` is the text when it does not end.
function App:_wait(is_over, seconds, complain)
  self:turn()
  if is_over() then
    return
  end
  seconds = seconds or WAIT_SECONDS
  check_seconds(seconds, "seconds")
  if not self:_advance_until(is_over, seconds) then
    blame.fail(complain(("it is not over after %g s of the app's time"):format(seconds)))
  end
end

---The Unix time of the app.
function App:now()
  self:_check_is_running()
  return self.core:now()
end

-- The rest of it ----------------------------------------------------------------------------------

local FILTER = { level = true, message = true, fields = true }
local LEVELS = { debug = true, info = true, warn = true, error = true }
local SIGNALS = { TERM = true, INT = true, HUP = true }

---Whether `text` contains `wanted`, or matches it as a pattern.
local function has_text(text, wanted)
  if match.is_asked(wanted) then
    return wanted(text)
  end
  return text:find(wanted, 1, true) ~= nil or text:find(wanted) ~= nil
end

---Whether a field is as wanted: a function is asked, and all else is equal. Of an error, which has
---a place and a traceback around its text, a part will do.
local function has_field(name, value, wanted)
  if match.is_asked(wanted) then
    return value ~= nil and wanted(value)
  elseif name == "error" and type(wanted) == "string" and value ~= nil then
    return has_text(tostring(value), wanted)
  end
  return tostring(value) == tostring(wanted)
end

local function is_wanted(record, filter)
  local fields = record.fields or {}
  if filter.level and record.level ~= filter.level then
    return false
  elseif filter.message and not has_text(record.message, filter.message) and
    not has_text(tostring(fields.error or ""), filter.message) then
    return false
  end
  for name, value in pairs(filter.fields or {}) do
    if not has_field(name, fields[name], value) then
      return false
    end
  end
  return true
end

local function check_pattern(text)
  local ok, why = pcall(string.find, "", text)
  if type(text) ~= "string" or not ok then
    blame.misuse("app:log: %s is no text and no pattern: %s", tostring(text), tostring(why))
  end
end

---Raises where a filter is none, before anything is compared with it.
local function check_filter(filter)
  blame.check_options(filter, FILTER, "app:log")
  if filter.message ~= nil and not match.is_asked(filter.message) then
    check_pattern(filter.message)
  end
  if filter.fields ~= nil and type(filter.fields) ~= "table" then
    blame.misuse("app:log: fields: a table expected, got %s", type(filter.fields))
  end
  local wanted = filter.fields and filter.fields.error
  if wanted ~= nil and not match.is_asked(wanted) then
    check_pattern(wanted)
  end
end

---What the app has logged since it was loaded, or what of it `filter` wants: a text (or pattern) in
---the message or in the field `error`, or a table with `level`, `message` (such a text) and
---`fields`: of each its value or a function of it, and of `error` such a text. Each record has
---`time`, `level`, `message` and `fields`.
---@param filter? string | table
function App:log(filter)
  if not self.is_stopped then
    local new = self.core:log()
    table.move(new, 1, #new, #self._records + 1, self._records)
  end
  if type(filter) == "string" then
    filter = { message = filter }
  end
  check_filter(filter or {})
  blame.check_word(filter and filter.level, LEVELS, "app:log: level")
  local found = {}
  for _, record in ipairs(self._records) do
    if is_wanted(record, filter or {}) then
      found[#found + 1] = record
    end
  end
  return found
end

---A channel as it is now: `first`, `last`, `readers`, `finished` and its `history`; nil
---when there is none of that name.
---@param name string
function App:channel(name)
  self:_check_is_running()
  self:turn()
  blame.check_type(name, "string", "app:channel: the name of a channel")
  local channel = self.core:channel(name)
  if channel then
    channel.history = channel.events
  end
  return channel
end

---Loads the scripts again, or others, as SIGHUP does: true, or nil and why they cannot be loaded.
---While a main chunk sleeps or waits for time, the app's time goes on, until all have run or
---`load_timeout` is over. Time stands still where nothing waits for it.
---@param scripts? string | table<string, string>
function App:reload(scripts)
  self:_check_is_running()
  self:turn()
  local options
  if type(scripts) == "string" then
    options = { path = scripts }
  elseif type(scripts) == "table" then
    options = { files = scripts }
  end
  local ok, why = self.core:reload(options)
  self:_advance_until(function()
    if ok == false then
      ok, why = self.core:reloaded()
    end
    return ok ~= false
  end, RELOAD_SECONDS)
  if not ok then
    return nil, why or "the scripts still load, after a day of the app's time"
  end
  return true
end

---Stands in for another server: `handler` answers what the app's `lunesse.http` asks of `host`, or
---connections to it fail by a code such as "ECONNREFUSED". The last one of a host counts.
---@param host string
---@param handler function | string
function App:upstream(host, handler)
  self:_check_is_running()
  local upstream = Upstream.new(self, host, handler)
  self._upstreams[#self._upstreams + 1] = upstream
  return upstream
end

---Sends the app a signal, such as "TERM".
---@param name string
function App:signal(name)
  self:_check_is_running()
  name = tostring(name):upper():gsub("^SIG", "")
  blame.check_word(name, SIGNALS, "app:signal")
  self.core:signal(name)
  self:turn()
  return self
end

---Lets something fail from now on: "memory" is refused to scripts until `false` ends it. Each run
---of a handler, timer or task fails then, and so does a reload. The next run of a script is struck
---by "run_timeout".
---@param what string
---@param is_on? boolean
function App:fail(what, is_on)
  self:_check_is_running()
  local ok, why = blame.call("app:fail", self.core.fail, self.core, what, is_on ~= false)
  if ok == nil and why then
    blame.misuse("app:fail: %s", why)
  end
  return self
end

---Adds the requests of a list, and not the event streams: a reader that is slow is the spec's.
local function add_requests(left, list)
  for _, what in ipairs(list) do
    if what:find(", a request under way", 1, true) then
      left[#left + 1] = what
    end
  end
end

---Gives the app time to drain, and answers what is left then, and which requests were cut off.
function App:_drain()
  local under_way = {}
  self.core:signal("TERM")
  self:turn()
  self:_advance_until(function()
    local left, may_end = self.core:left()
    under_way = may_end and left or under_way
    return not may_end
  end, DRAIN_SECONDS)
  local left = self.core:left()
  if #self:log("drain_timeout is over") > 0 then
    add_requests(left, under_way)
  end
  return left
end

---Ends the app in order, as SIGTERM does: streams and requests are drained, in the app's time.
---Raises when something was left behind. A second call does nothing.
function App:stop()
  if self.is_stopped then
    return true
  end
  local ok, left = pcall(self._drain, self)
  self:log()
  follow.app(self.core)
  if coverage.is_on() then
    coverage.add(self.core:lines())
  end
  self.is_stopped = true
  local stopped, why, records = self.core:stop()
  self:_turn_upstreams() -- they see that it is gone
  table.move(records or {}, 1, #(records or {}), #self._records + 1, self._records)
  if not ok then
    error(left, 0)
  elseif #left > 0 then
    blame.fail(("the app has left something behind:\n  %s\n%s"):format(
      table.concat(left, "\n  "), show.errors(self)))
  elseif not stopped and why then
    blame.fail("the app did not stop: " .. why)
  end
  return true
end

return blame.guard(App)
