-- A server in the test kit with the methods of one that is a process (spec/support/server.lua):
-- raw connections, streams, time that is moved, the log. The connections are memory and the engine
-- is in this process, so specs of bytes and of scripts need no sockets and wait for nothing. Where
-- a build is watched from outside, `InnerServer.start` starts the process.
--
-- With `clock = true` time moves by `advance` alone. Without, it goes on while a spec waits for
-- something, as it does with a process: `client:response()`, `stream:event()` and `eventually` move
-- it from one timer to the next until there is what they wait for.

local posix = require "spec_posix"
local apps = require "spec.support.app"
local clock = require "spec.support.clock"
local wire = require "spec.support.wire"
local Process = require "spec.support.process"
local Server = require "spec.support.server"

local PAUSE_SECONDS = 0.005 -- of the app's time, between two looks of `eventually`
local READ_SIZE = 65536
local OPTIONS = { args = true, clock = true, shared = true, workers = true, run_timeout = true }

-- A connection ----------------------------------------------------------------------------------

local Client = setmetatable({}, { __index = wire.Client })
Client.__index = Client

---Seconds from now on, by the clock of the app.
function Client:deadline(seconds)
  return self.server:now() + seconds
end

function Client:left(deadline)
  return math.max(0, deadline - self.server:now())
end

function Client:send(bytes)
  if self.ended then
    return nil, "closed"
  end
  assert(self.peer:send(bytes))
  self.server:turn()
  return true
end

function Client:send_some(bytes)
  return self:send(bytes) and #bytes or 0
end

---Nothing to do: whatever was sent has been read, if the server reads at all.
function Client:flush()
  self.server:turn()
end

---What has come and was not asked for, or nil. One that has little room takes more when it reads.
function Client:_look(size)
  if self.kernel == "" then
    self.kernel = self.peer:take()
  end
  if self.kernel == "" and self.room and self.server:is_running() then
    self.peer:window(size or READ_SIZE)
    self.server:turn()
    self.kernel = self.peer:take()
    self.peer:window(self.room)
  end
  local bytes = self.kernel:sub(1, size or READ_SIZE)
  self.kernel = self.kernel:sub(#bytes + 1)
  return bytes ~= "" and bytes or nil
end

---As of a connection over a socket; `deadline` is of the app's time.
function Client:_fill(deadline, size)
  local bytes, why
  if self.ended then
    return nil, self.ended
  end
  self.server:pass(self:left(deadline), function()
    bytes = self:_look(size)
    why = not bytes and self.peer:state() or nil
    return bytes or why ~= "open"
  end)
  if not bytes then
    self.ended = why ~= "open" and why or nil
    return nil, self.ended or "timeout"
  end
  self.buffer = self.buffer .. bytes
  return true
end

function Client:finish_sending()
  self.peer:finish()
  self.server:turn()
end

function Client:reset()
  if self.server:is_running() then
    self.peer:leave()
    self.server:turn()
  end
  self.ended = "reset"
end

---A peer that closes has a reset for whatever comes after it; here it comes at once.
function Client:close()
  local ended = self.ended
  if not self.is_closed then
    self.is_closed = true
    self:reset()
    self.ended = ended or "closed"
  end
end

-- The server ------------------------------------------------------------------------------------

local InnerServer = { request = Server.request, stream = Server.stream }
InnerServer.__index = InnerServer

local running = {}

local function arguments(options)
  local args = {}
  if clock.slow > 1 and options.run_timeout ~= false then
    table.move({ "--limit", ("run_timeout=%g"):format(clock.slow) }, 1, 2, 1, args)
  end
  return table.move(options.args or {}, 1, #(options.args or {}), #args + 1, args)
end

---Starts a server: see `Server.start`, of whose options it has `args`, `clock`, `shared`, `workers`
---and `run_timeout`.
---@param script string | table<string, string>
---@param options? table
function InnerServer.start(script, options)
  options = options or {}
  if apps.is_watched() then
    return Server.start(script, options)
  end
  for name in pairs(options) do
    assert(OPTIONS[name], "only a process has the option " .. name)
  end
  local self = setmetatable({
    is_shared = options.shared, has_clock = options.clock, folder = assert(posix.make_folder()),
  }, InnerServer)
  self.process = { signal = function(_, name)
    self.app:signal(name)
  end }
  Server.write_files(self.folder, type(script) == "table" and script or { ["script.lua"] = script })
  local path = type(script) == "table" and self.folder or self.folder .. "/script.lua"
  self.app = apps.load_alone(path, {
    args = arguments(options), workers = options.workers, time = os.time(),
  })
  self.worker_count = options.workers or tonumber(os.getenv("LUNESSE_WORKERS")) or 1
  running[self] = true
  return self
end

function InnerServer:now()
  return self:is_running() and self.app:now() or 0
end

function InnerServer:is_running()
  return not self.app.is_stopped
end

function InnerServer:turn()
  self.app:turn()
end

---Lets time pass until `is_over()`, or for so many seconds; no time where the spec has the clock.
function InnerServer:pass(seconds, is_over)
  self.app:turn()
  if is_over() or not self:is_running() then
    return
  end
  self.app:_advance_until(is_over, self.has_clock and 0 or seconds)
end

function InnerServer:advance(seconds)
  assert(self.has_clock, "the server was started without clock = true")
  self.app:advance(seconds)
end

---Connects; see `wire.connect`. With `receive_buffer` the peer takes so many bytes before it reads.
function InnerServer:connect(options)
  local room = options and options.receive_buffer
  local peer = assert(self.app.core:connect { window = room })
  return setmetatable({ server = self, peer = peer, room = room, kernel = "", buffer = "" }, Client)
end

---How many connections there are, as each would have a descriptor.
function InnerServer:descriptors()
  local count = 0
  self.app:turn()
  for _, what in ipairs((self.app.core:left())) do
    count = count + (tonumber(what:match("(%d+) connections")) or
      what:find("stream", 1, true) and 1 or what:find("a request", 1, true) and 1 or 0)
  end
  return count
end

local ESCAPES = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ['"'] = '\\"', ["\\"] = "\\\\" }

---A value as it stands in a line of the log.
local function shown(value)
  value = tostring(value)
  if value:find("[%s%c\"=]") or value == "" then
    return '"' .. value:gsub("[\n\r\t\"\\]", ESCAPES) .. '"'
  end
  return value
end

---The lines of the log in which `text` is. The fields of each are in the order of their names.
function InnerServer:log_lines(text)
  local lines = {}
  self.app:turn()
  for _, record in ipairs(self.app:log()) do
    local words, names = { "", record.level, record.message }, {}
    for name in pairs(record.fields) do
      names[#names + 1] = name
    end
    table.sort(names)
    for _, name in ipairs(names) do
      words[#words + 1] = name .. "=" .. shown(record.fields[name])
    end
    local line = table.concat(words, " ")
    lines[#lines + 1] = (line .. " "):find(text, 1, true) and line or nil
  end
  return lines
end

function InnerServer:log()
  return table.concat(self:log_lines(""), "\n") .. "\n"
end

---Stops it in order; raises when something was left behind.
function InnerServer:stop()
  if running[self] then
    running[self] = nil
    local ok, why = pcall(self.app.stop, self.app)
    Process.remove_folder(self.folder)
    if not ok then
      error(why, 0)
    end
  end
end

---Lets time pass for the servers that have no clock of the spec's. True when there is one.
function clock.at_pause()
  local has_any = false
  for server in pairs(running) do
    if not server.has_clock and server:is_running() then
      has_any = true
      server.app:advance(PAUSE_SECONDS)
    end
  end
  return has_any
end

---Stops every server that is not shared. The first complaint is raised after all stopped.
function InnerServer.stop_all()
  local complaint
  for server in pairs(running) do
    if not server.is_shared then
      local ok, message = pcall(server.stop, server)
      complaint = complaint or (not ok and message) or nil
    end
  end
  if complaint then
    error(complaint, 0)
  end
end

return InnerServer
