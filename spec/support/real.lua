-- The engine of the test kit, played by a real process behind real sockets: `real.load` stands
-- where `test.load` does, so that one spec file judges both, and what passes in the kit passes on a
-- socket. The process has a clock that the spec moves; nothing here waits for a fixed while.
--
-- "Nothing is ready" cannot be seen from outside. A turn is over when every worker has answered
-- twice after the last bytes came: what one of them had told another has then been read.

local lfs = require "lfs"
local posix = require "spec_posix"
local socket = require "socket"
local asserts = require "lunesse.test.asserts"
local json = require "lunesse.test.json"
local load_into = require "lunesse.test.load"
local Process = require "spec.support.process"
local Server = require "spec.support.server"

-- How far time goes at once, as it is not known when something is due: further and further, while
-- nothing comes; after a long silence, by a part of that.
local STEP_SECONDS, STEP_SECONDS_MAX, STEP_SHARE_MAX = 0.05, 0.8, 1 / 50
local DRAIN_STEPS = 3 -- after which the readers of a process that is to end leave
local READ_SIZE = 65536
local START = 1893456000

-- What the kit asks of a channel, told by a route of the app's own.
local SCRIPT = [[
local lunesse = require "lunesse"
local server = lunesse.server()
server:get("/-/channel/*name", { sse = "always" }, function(request, response)
  local channel = lunesse.channel(request.params.name)
  response.sse:send("about", { readers = channel.subscribers, finished = channel.finished })
  response.sse:subscribe(channel, { since = "earliest" })
end)
]]

local Conn = {}
Conn.__index = Conn

function Conn:send(bytes)
  self.core.is_busy = true
  self.socket:settimeout(0)
  local sent, _, partly = self.socket:send(bytes)
  assert(sent or partly == #bytes or self.ended or partly == 0, "the socket is full")
end

function Conn:finish()
  self.core.is_busy = true
  self.socket:shutdown("send")
end

---The peer is gone: a reset, as of one that crashed.
function Conn:leave()
  self.core.is_busy = true
  self.socket:setoption("linger", { on = true, timeout = 0 })
  self:_close("closed")
end

function Conn:window(bytes)
  self.room = bytes
end

function Conn:_close(why)
  self.ended = why
  self.socket:close()
end

---What has come, within the window.
function Conn:take()
  local parts = {}
  while not self.ended and self.room ~= 0 do
    local bytes, why = posix.receive(self.socket:getfd(), self.room or READ_SIZE, 0)
    if not bytes then
      if why ~= "timeout" then
        self:_close(why)
      end
      break
    end
    parts[#parts + 1] = bytes
    self.core.step, self.core.silence = STEP_SECONDS, 0
    self.room = self.room and self.room - #bytes
  end
  return table.concat(parts)
end

function Conn:state()
  return self.ended or "open"
end

function Conn.worker()
  return 1
end

local Core = {}
Core.__index = Core

---The number of the worker to which a connection has come, which is as it was afterwards.
local function worker_of(peer)
  assert(peer:send("GET /-/worker HTTP/1.1\r\nHost: localhost\r\n\r\n"))
  local length, line
  repeat
    line = assert(peer:receive("*l"))
    length = line:match("^Content%-Length: (%d+)$") or length
  until line == ""
  return tonumber((assert(peer:receive(tonumber(length)))))
end

---Connects until the connection has come to the worker that is wanted, if one is.
function Core:connect(options)
  local peer
  repeat
    peer = assert(socket.tcp4())
    assert(peer:connect("127.0.0.1", self.server.port))
    assert(peer:setoption("tcp-nodelay", true))
    local is_wanted = not options.worker or self.server.worker_count == 1 or
      worker_of(peer) == options.worker
    if not is_wanted then
      peer:close()
    end
  until is_wanted
  self.is_busy = true
  local conn = setmetatable({ core = self, socket = peer, room = options.window }, Conn)
  self.conns[#self.conns + 1] = conn
  return conn
end

---Waits until every worker has done what it was told. True when something was told since.
function Core:turn()
  if not self.is_busy then
    return false
  end
  self.is_busy = false
  if not self.is_ending then
    pcall(self.server._meet_workers, self.server, 2)
  end
  return true
end

function Core:advance(seconds)
  if seconds > 0 and not self.is_ending then
    self.server:advance(seconds)
    self.silence = self.silence + seconds
    self.step = math.min(self.step * 2, math.max(STEP_SECONDS_MAX, self.silence * STEP_SHARE_MAX))
  elseif seconds > 0 then
    self:_await_end()
  end
  self.time = self.time + seconds
  self.is_busy = true
end

---Waits for the end of a process that has been told to end. Its clock cannot be moved any more, and
---it may wait for its readers for ten seconds: so they leave.
function Core:_await_end()
  self.drain_steps = self.drain_steps + 1
  for _, conn in ipairs(self.drain_steps > DRAIN_STEPS and self.conns or {}) do
    if not conn.ended then
      conn:leave()
    end
  end
  self.server.process:wait(0.1)
end

function Core:next()
  return not self.server.process:has_ended() and self.step or nil
end

function Core:now()
  return self.time
end

function Core:log()
  local new = {}
  local stopped_at = self.log_at
  for line, stop in self.server:log():sub(self.log_at):gmatch("([^\n]*)\n()") do
    local record = json.decode(line)
    if record then
      local fields = {}
      for name, value in pairs(record) do
        fields[name] = value
      end
      fields.time, fields.level, fields.text = nil, nil, nil
      new[#new + 1] = {
        time = self.time, level = record.level, message = record.text, fields = fields,
      }
    end
    stopped_at = self.log_at + stop - 1
  end
  self.log_at = stopped_at
  return new
end

---What a stream of its own is told of the channel.
function Core:channel(name)
  self.is_busy = true
  self:turn()
  local stream = self.server:stream("/-/channel/" .. name)
  local about = json.decode(stream:event().data)
  self.server:_meet_workers(2)
  local events = {}
  while stream:has_more() or not stream:is_silent(0.02) do
    local event = stream:event()
    local id = event.id:match("^[^,]*")
    events[#events + 1] = { id = id, event = event.type, data = event.data }
  end
  stream:close()
  if #events == 0 and about.readers == 0 then
    return nil
  end
  return { readers = about.readers, finished = about.finished, events = events }
end

function Core:reload(options)
  local count = #self.server:log_lines("reload")
  for name, text in pairs(options and options.files or {}) do
    Process.write_file(self.server.folder .. "/" .. name, text)
  end
  self.server.process:signal("HUP")
  eventually(function()
    return #self.server:log_lines("reload") > count
  end)
  self.is_busy = true
  local line = self.server:log_lines("reload")[count + 1]
  return not line:find('"error"', 1, true) or nil, line
end

function Core:signal(name)
  self.server.process:signal(name)
  self.is_ending = name == "TERM" or name == "INT"
  self.is_busy = true
end

function Core.fail()
  return nil, "a real process has no such switch"
end

function Core:left()
  local has_ended = self.server.process:has_ended()
  return has_ended and {} or { "the process" }, not has_ended
end

function Core:stop()
  self.server:stop { seconds = 20 }
  return true
end

---The files of a folder, by their names in it.
local function files_of_folder(path)
  local files = {}
  for name in lfs.dir(path) do
    local whole = path:gsub("/$", "") .. "/" .. name
    if name:find("^[^.]") and lfs.attributes(whole, "mode") == "directory" then
      for inner, text in pairs(files_of_folder(whole)) do
        files[name .. "/" .. inner] = text
      end
    elseif name:find("^[^.]") then
      files[name] = Process.read_file(whole)
    end
  end
  return files
end

---The files of a folder; or one script, with what lies beside it that is no other script.
local function files_of(path)
  if lfs.attributes(path, "mode") ~= "file" then
    return files_of_folder(path)
  end
  local folder, script = path:match("^(.-)([^/]*)$")
  local files = files_of_folder(folder == "" and "." or folder)
  for name in pairs(files) do
    files[name] = (name == script or not name:find("^[^/]+%.lua$")) and files[name] or nil
  end
  return files
end

local engine = {}

function engine.load(options)
  local files = { ["zz_kit.lua"] = SCRIPT }
  for name, text in pairs(options.files or files_of(options.path)) do
    files[name] = text
  end
  local args = { "--log-format", "json", table.unpack(options.arguments) }
  local ok, server = pcall(Server.start, files, {
    clock = true, workers = options.workers, args = args, env = options.env, shared = true,
  })
  if not ok then
    return nil, server
  end
  return setmetatable({
    server = server, time = options.time or START, log_at = 1, is_busy = true, conns = {},
    step = STEP_SECONDS, silence = 0, drain_steps = 0,
  }, Core)
end

---`engine` is what the kit stands on, `load` is `test.load` into a real process.
return { engine = engine, load = load_into(engine, asserts.on_load, asserts.on_begin) }
