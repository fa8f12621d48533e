-- `lunesse.postgres`: queries to a database. What a script says is checked here, and here is which
-- connection a query gets; the connections, and the wait for an answer, are the C half's
-- (`core.postgres_query`).
local caller = require "lunesse.caller"
local core = require "lunesse.core"
local Listener = require "lunesse.postgres_listener"
local Transaction = require "lunesse.postgres_transaction"
local value = require "lunesse.postgres_value"

local connections_default = 8
local queue_default = 1000
local connect_timeout_default = 10
local longest = 1e9 -- seconds

local function is_count(number)
  return math.type(number) == "integer" and number > 0
end

local known = {
  url = { what = "a string such as 'postgres://user@host/database'",
    takes = function(url) return type(url) == "string" and not url:find("\0", 1, true) end },
  connections = { what = "a whole number, 1 or more", takes = is_count },
  queue = { what = "a whole number, 1 or more", takes = is_count },
  connect_timeout = { what = "seconds", takes = function(seconds)
    return type(seconds) == "number" and seconds >= 0 and seconds <= longest
  end },
}

local Database = {}
Database.__index = Database
Database.__name = "lunesse.Database"

-- A place among the connections, which its task has until it closes the loan. `link` is the
-- connection; a loan without one has its place still to be filled.
local Loan = {}

-- Gives `link`, or for nil the place that has none, to whoever waits longest. False: nobody does.
local function hand_over(database, link)
  while database._first <= database._last do
    local loan = database._waiting[database._first]
    database._waiting[database._first] = nil
    database._first = database._first + 1
    if loan then
      database._waiting_count = database._waiting_count - 1
      loan.queue_number, loan.has_place, loan.link = nil, true, link
      loan.signal:set()
      return true
    end
  end
  return false
end

-- What is not fit to be lent again is closed: a transaction goes on in it, or its query does.
function Loan:__close()
  local database, link = self.database, self.link
  if self.queue_number then
    database._waiting[self.queue_number] = false
    database._waiting_count = database._waiting_count - 1
  end
  if not self.has_place then
    return
  end
  self.has_place, self.link = false, nil
  if link and not core.postgres_is_free(link) then
    core.postgres_close(link)
    link = nil
  end
  if hand_over(database, link) then
    return
  elseif link then
    table.insert(database._idle, link)
  else
    database._count = database._count - 1
  end
end

-- A connection that nobody has, and that still stands. Those that do not are thrown away.
local function take_idle(database)
  local link = table.remove(database._idle)
  while link and not core.postgres_is_free(link) do
    core.postgres_close(link)
    database._count = database._count - 1
    link = table.remove(database._idle)
  end
  return link
end

-- Waits for a place.
local function take_place(loan, database)
  loan.link = take_idle(database)
  if loan.link then
    loan.has_place = true
    return true
  elseif database._count < database._connections then
    loan.has_place, database._count = true, database._count + 1
    return true
  elseif database._waiting_count >= database._queue then
    return nil, ("%d queries wait for a connection already"):format(database._queue), "EAGAIN"
  end
  loan.signal = core.signal()
  database._last = database._last + 1
  database._waiting_count = database._waiting_count + 1
  loan.queue_number = database._last
  database._waiting[loan.queue_number] = loan
  loan.signal:wait()
  return true
end

-- Gives the loan, which its caller closes, a connection. A connection that was handed over may have
-- been closed by the server since.
local function borrow(loan, database)
  local ok, why, code = take_place(loan, database)
  if not ok then
    return nil, why, code
  end
  if loan.link and not core.postgres_is_free(loan.link) then
    core.postgres_close(loan.link)
    loan.link = nil
  end
  if loan.link then
    return true
  end
  loan.link = core.postgres_link()
  return core.postgres_open(loan.link, database._url, database._connect_timeout)
end

local function new_loan(database)
  return setmetatable({ database = database }, Loan)
end

local function check_self(self, name)
  if type(self) ~= "table" or getmetatable(self) ~= Database then
    error(("%s is called with a colon: db:%s(...)"):format(name, name), caller.level())
  end
end

function Database:query(sql, ...)
  check_self(self, "query")
  value.check_sql(sql)
  local formats, parameters = value.parameters(...)
  core.check_wait("query")
  local loan <close> = new_loan(self)
  local ok, why, code = borrow(loan, self)
  if not ok then
    return nil, why, code
  end
  return value.ask(loan.link, sql, formats, parameters)
end

-- Ends the transaction as `results` of its function want it, and returns them, or what failed. A
-- server answers `commit` with ROLLBACK when a query before it has failed.
local function finish(link, results)
  if results[1] == nil and results[2] ~= nil then
    core.postgres_query(link, "rollback", "")
    return table.unpack(results, 1, results.n)
  end
  local rows, why, code = core.postgres_query(link, "commit", "")
  if not rows then
    return nil, why, code
  elseif code == "ROLLBACK" then
    return nil, "a query of the transaction failed, so nothing of it was done", "25P02"
  elseif results.n == 0 then
    return true
  end
  return table.unpack(results, 1, results.n)
end

-- A function that raises, or whose task is cancelled, leaves a connection in a transaction. Closing
-- the loan closes it then, and the server rolls back.
function Database:transaction(fn)
  check_self(self, "transaction")
  if type(fn) ~= "function" then
    error("transaction takes a function, got " .. type(fn), caller.level())
  end
  core.check_wait("transaction")
  local loan <close> = new_loan(self)
  local ok, why, code = borrow(loan, self)
  if ok then
    ok, why, code = core.postgres_query(loan.link, "begin", "")
  end
  if not ok then
    return nil, why, code
  end
  local transaction = setmetatable({ _link = loan.link }, Transaction)
  local results = table.pack(fn(transaction))
  transaction._link = nil
  return finish(loan.link, results)
end

function Database:listen(name, channel, map)
  check_self(self, "listen")
  return Listener.open(self, name, channel, map)
end

function Database:bytea(bytes)
  check_self(self, "bytea")
  return value.bytes(bytes)
end

return function(options)
  if options ~= nil and type(options) ~= "table" then
    error("lunesse.postgres takes a table of options, got " .. type(options), caller.level())
  end
  options = options or {}
  for key, given in pairs(options) do
    local option = known[key]
    if not option then
      error(("lunesse.postgres: unknown option '%s'"):format(tostring(key)), caller.level())
    elseif not option.takes(given) then
      error(("lunesse.postgres: %s is %s"):format(key, option.what), caller.level())
    end
  end
  caller.call(core.postgres_check, options.url)
  return setmetatable({
    _url = options.url,
    _connections = options.connections or connections_default,
    _queue = options.queue or queue_default,
    _connect_timeout = options.connect_timeout or connect_timeout_default,
    _count = 0,   -- places that are taken, by connections in use or not
    _idle = {},   -- connections that nobody has
    _waiting = {}, _first = 1, _last = 0, _waiting_count = 0, -- loans without a place, in order
  }, Database)
end
