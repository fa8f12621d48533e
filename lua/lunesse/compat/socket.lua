-- LuaSocket's connections over TCP and Unix sockets, and LuaSec's `wrap`, for which only the
-- calling task waits. Debian's own lua-socket and lua-sec do the work, with a timeout of 0: they
-- never wait. Where they would, the task waits for the descriptor, and they are asked again.
--
-- A call that does not return, because its task is cancelled while it waits, closes the connection:
-- it may have sent half a question, and the next task must not read the answer to it.
local caller = require "lunesse.caller"
local core = require "lunesse.core"
local luasocket = require "socket"
local luaunix = require "socket.unix"

local require = require -- that of a script waits for other loads

local RETRY_SECONDS <const> = 0.01
local LONGEST_SECONDS <const> = 1e9

local Socket = {}

-- What another task does meanwhile, by the member that says so.
local uses = { is_read = "reads", is_written = "writes" }

-- Which readiness each of the inner "not yet" stands for. LuaSocket's own is of the direction.
local modes = { wantread = "r", wantwrite = "w" }

-- What LuaSocket says of a name that has no addresses.
local name_failures = {
  ENOTFOUND = "host or service not provided, or not known",
  EAI_AGAIN = "temporary failure in name resolution",
}

local function new(inner, options)
  inner:settimeout(0)
  local self = { inner = inner, raw = false, limits = {}, is_read = false, is_written = false }
  for key, value in pairs(options) do
    self[key] = value
  end
  return setmetatable(self, Socket)
end

local servers = { listen = true, accept = true }

local function refuse()
  error("lunesse.compat.socket connects to others; server:listen names addresses for others to "
    .. "connect to", caller.level())
end

-- What is not said here does not wait, and is the inner socket's.
function Socket:__index(name)
  if Socket[name] or servers[name] then
    return Socket[name] or refuse
  end
  local inner = rawget(self, "inner")
  local method = inner and inner[name]
  return method and function(_, ...)
    return method(self.inner, ...)
  end
end

function Socket:__tostring()
  return tostring(self.inner)
end

function Socket:__close()
  self:close()
end

-- LuaSec's own finalizer says goodbye in a write that may wait.
Socket.__gc = Socket.__close

-- A call that waits. Only while it does is there one of these.
local Use = {}
Use.__index = Use

function Use:__close()
  self.socket[self.member] = false
  if not self.has_ended then
    self.socket:close()
  end
end

function Use:finish(...)
  self.has_ended = true
  return ...
end

local function begin(socket, member)
  socket[member] = true
  return setmetatable({ socket = socket, member = member }, Use)
end

-- Two tasks that read from one connection would each get pieces of what is the other's. Nothing
-- that comes on it is of use to either then.
local function check_alone(socket, member)
  if socket[member] then
    socket:close()
    error(("another task %s this socket: each task needs a connection of its own; this one is "
      .. "closed"):format(uses[member]), caller.level())
  end
end

-- When the call has to be over; nil for never.
local function due_of(socket)
  local limit = math.min(socket.limits.b or math.huge, socket.limits.t or math.huge)
  return limit <= LONGEST_SECONDS and core.clock() + limit or nil
end

-- Returns true when the socket is ready, or nil and why not.
local function wait(socket, mode, due)
  local seconds = due and due - core.clock()
  if seconds and seconds <= 0 then
    return nil, "timeout"
  end
  local ready, why, code = core.wait_fd(math.tointeger(socket.inner:getfd()), mode, seconds)
  if ready then
    return true
  end
  return nil, code == "ETIMEDOUT" and "timeout" or code == "EBADF" and "closed" or why
end

-- Calls `step` until it is done, has failed, or the time is up. `step` returns whether it is not
-- done yet, and then what the call returns if it ends here.
local function go_on(socket, member, mode, step)
  check_alone(socket, member)
  local results = table.pack(step())
  if not results[1] then
    return table.unpack(results, 2, results.n)
  end
  local use <close> = begin(socket, member)
  local due = due_of(socket)
  while results[1] do
    local ok, why = wait(socket, modes[results[3]] or mode, due)
    if not ok then
      results[3] = why == "timeout" and results[3] or why
      break
    end
    results = table.pack(step())
  end
  return use:finish(table.unpack(results, 2, results.n))
end

local function is_not_yet(why)
  return why == "timeout" or modes[why] ~= nil
end

-- receive([pattern [, prefix]]) -> what came | nil, why, the part that came
function Socket:receive(pattern, prefix)
  local is_size = type(pattern) == "number"
  local pieces = { prefix and tostring(prefix) or "" }
  local size = is_size and pattern - #pieces[1] or nil
  pattern = pattern or "*l"
  if not is_size and (type(pattern) ~= "string" or not pattern:find("^%*?[al]")) then
    error("receive takes '*l', '*a' or a number of bytes", caller.level())
  elseif is_size and size <= 0 and pattern > 0 then
    return pieces[1]
  end
  local is_all = not is_size and pattern:find("a", 1, true)
  local has_come = false
  local is_whole, why = go_on(self, "is_read", "r", function()
    local whole, why, part = self.inner:receive(size or pattern)
    local piece = whole or part or ""
    pieces[#pieces + 1] = piece
    has_come = has_come or piece ~= ""
    size = size and size - #piece
    if whole or is_all and why == "closed" and has_come then
      return false, true
    end
    return is_not_yet(why), nil, why
  end)
  if is_whole then
    return table.concat(pieces)
  end
  return nil, why, table.concat(pieces)
end

-- send(data [, first [, last]]) -> index of the last byte sent | nil, why, that index
function Socket:send(data, first, last)
  first, last = first or 1, last or -1
  return go_on(self, "is_written", "w", function()
    local index, why, sent = self.inner:send(data, first, last)
    if index then
      return false, math.tointeger(index)
    end
    sent = math.tointeger(sent) or first - 1
    first = sent + 1
    return is_not_yet(why), nil, why, sent
  end)
end

-- LuaSec's dohandshake() -> true | false, why
function Socket:dohandshake()
  return go_on(self, "is_written", "w", function()
    local ok, why = self.inner:dohandshake()
    return not ok and is_not_yet(why), ok, why
  end)
end

-- settimeout(seconds [, "b" | "t"]): how long a call may take, in both modes; nil for no limit.
function Socket:settimeout(seconds, mode)
  if seconds ~= nil and type(seconds) ~= "number" then
    error("settimeout takes seconds or nil", caller.level())
  end
  self.limits[mode and tostring(mode):sub(1, 1) == "t" and "t" or "b"] =
    seconds and seconds >= 0 and seconds or nil
  return 1
end

function Socket:getfd()
  return math.tointeger(self.inner:getfd())
end

-- LuaSec says goodbye in a write that waits. So nothing may be in its way, or the connection is
-- shut down before.
local function shut_before_close(self)
  local inner, raw = self.inner, self.raw
  raw:setfd(inner:getfd())
  local knows, _, writable = pcall(luasocket.select, nil, { raw }, 0)
  if self.is_read or self.is_written or inner:want() == "write" or not knows
      or not writable[1] then
    raw:shutdown("both")
  end
  raw:setfd(luasocket._SOCKETINVALID)
end

-- Closes the connection. A task that waits for it finds it closed.
function Socket:close()
  if self.inner:getfd() < 0 then
    return 1
  elseif self.raw then
    shut_before_close(self)
  elseif self.is_read or self.is_written then
    self.inner:shutdown("both")
  end
  return self.inner:close() or 1
end

-- Connects to one address. Each is tried with a socket of its own, unless the script has chosen its
-- family or bound it.
local function connect_to(self, address, port, due)
  local ok, why = self.inner:connect(address, port)
  if ok or why ~= "timeout" then
    return ok, why
  end
  ok, why = wait(self, "w", due)
  if not ok then
    return nil, why
  end
  why = self.inner:getfd() < 0 and "closed" or self.inner:getoption("error")
  return not why and 1 or nil, why
end

local function has_family(self, address)
  return not self.family or (self.family == "inet6") == (address:find(":", 1, true) ~= nil)
end

local function connect_tcp(self, host, port, due)
  local addresses, why, code = core.find_addresses(host, due and math.max(0, due - core.clock()))
  if not addresses then
    return nil, name_failures[code] or why
  end
  local ok
  why = name_failures.ENOTFOUND
  local is_first = true
  for _, address in ipairs(addresses) do
    if has_family(self, address) then
      if not is_first and not self.family then
        self.inner:close()
        self.inner = luasocket.tcp()
        self.inner:settimeout(0)
      end
      is_first = false
      ok, why = connect_to(self, address, port, due)
      if ok or why == "timeout" or why == "closed" then
        break
      end
    end
  end
  return ok, why
end

-- A Unix socket is never half connected: while the other's queue is full, it is tried again.
local function connect_unix(self, path, _, due)
  local ok, why = self.inner:connect(path)
  while not ok and why == "timeout" and not (due and core.clock() >= due) do
    core.sleep(RETRY_SECONDS)
    ok, why = self.inner:connect(path)
  end
  return ok, why
end

-- connect(host, port), or connect(path) of a Unix socket -> 1 | nil, why
function Socket:connect(host, port)
  if type(host) ~= "string" then
    error("connect takes a host and a port, or the path of a Unix socket", caller.level())
  end
  check_alone(self, "is_written")
  local use <close> = begin(self, "is_written")
  local possible, why, code = core.wait_fd(self:getfd(), "w", 0)
  if not possible and code == "ENOTSUP" then
    return use:finish(nil, why)
  end
  local ok
  ok, why = self.connect_by(self, host, port, due_of(self))
  return use:finish(ok or nil, not ok and why or nil)
end

local function maker(open, options)
  return function()
    local inner, why = open()
    if not inner then
      return nil, why
    end
    return new(inner, options)
  end
end

-- What else modules that are written for LuaSocket use of it, as it is.
local helpers = {}
for _, name in ipairs { "BLOCKSIZE", "_VERSION", "newtry", "protect", "try", "skip", "choose",
  "sink", "sinkt", "source", "sourcet" } do
  helpers[name] = luasocket[name]
end

local socket = setmetatable({
  tcp = maker(luasocket.tcp, { connect_by = connect_tcp }),
  tcp4 = maker(luasocket.tcp4, { connect_by = connect_tcp, family = "inet" }),
  tcp6 = maker(luasocket.tcp6, { connect_by = connect_tcp, family = "inet6" }),
  gettime = core.now,
}, { __index = helpers })

local unix = maker(luaunix.stream, { connect_by = connect_unix })
socket.unix = setmetatable({ stream = unix, tcp = unix }, { __call = unix })

function socket.sleep(seconds)
  core.sleep(math.max(0, seconds))
end

-- connect(host, port) -> a connection | nil, why
function socket.connect(host, port)
  local connection, why = socket.tcp()
  if not connection then
    return nil, why
  end
  local ok
  ok, why = connection:connect(host, port)
  if not ok then
    connection:close()
    return nil, why
  end
  return connection
end

-- LuaSec's wrap(connection, parameters) -> the connection with TLS | nil, why
function socket.wrap(connection, parameters)
  if getmetatable(connection) ~= Socket or connection.raw then
    error("wrap takes a connection of lunesse.compat.socket", caller.level())
  end
  local inner, why = require("ssl").wrap(connection.inner, parameters)
  if not inner then
    return nil, why
  end
  return new(inner, { raw = connection.inner, limits = connection.limits })
end

return socket
