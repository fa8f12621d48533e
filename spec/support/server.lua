-- The real program, started on a free port with a script given as text. At the end of each test
-- every server is told to stop and judged: it must exit 0 at the first SIGTERM within half a
-- second, and its log must not speak of sanitizer reports, open handles, failed checks or leaks.
--
--   local server = Server.start([[ ... ]], { args = { "--dev" }, clock = true })
--   server.port, server.url, server:request { target = "/" }, server:advance(15), server:log()

local lfs = require "lfs"
local posix = require "spec_posix"
local clock = require "spec.support.clock"
local Process = require "spec.support.process"
local wire = require "spec.support.wire"
local sse = require "spec.support.sse"

local STOP_SECONDS = 0.5
local READY_SECONDS = 5
local BAD_WORDS = {
  "Sanitizer", "runtime error:", "open handle", "check failed", "leak", "==%d+==",
}

-- Time moves when a spec says so; appended to the script under test as a file of its own.
local CLOCK_SCRIPT = [[
local lunesse = require "lunesse"
lunesse.server():post("/-/advance", function(request, response)
  lunesse.advance(tonumber(request.query.seconds))
  return response:send("advanced\n")
end)
lunesse.server():get("/-/worker", function(request, response)
  return response:send(lunesse.worker)
end)
]]

local Server = {}
Server.__index = Server

local running = {}
local written = {} -- folders made by Server.write

---The path of the program.
function Server.binary()
  local build = os.getenv("LUNESSE_BUILD") or lfs.currentdir() .. "/build/debug"
  return os.getenv("LUNESSE_BIN") or build .. "/lunesse"
end

---The words of the command: `wrap` (a shell that sets limits), LUNESSE_WRAP (valgrind and its
---flags), the program, `args`.
local function command(args, wrap)
  local words = { table.unpack(wrap or {}) }
  for word in (os.getenv("LUNESSE_WRAP") or ""):gmatch("%S+") do
    words[#words + 1] = word
  end
  words[#words + 1] = Server.binary()
  for _, word in ipairs(args) do
    words[#words + 1] = word
  end
  return words
end

local function tail(text, count)
  local lines = {}
  for line in text:gmatch("[^\n]+") do
    lines[#lines + 1] = line
  end
  return table.concat(lines, "\n", math.max(1, #lines - count + 1))
end

---Writes `files`, by their names in `folder`.
function Server.write_files(folder, files)
  for name, text in pairs(files) do
    local path = folder
    for part in name:gmatch("([^/]+)/") do
      path = path .. "/" .. part
      lfs.mkdir(path)
    end
    Process.write_file(folder .. "/" .. name, text)
  end
end

---Writes what is to be served below `folder` and returns the path that the program is given.
local function lay_out(folder, script, options)
  if options.path then
    return options.path
  end
  local files = type(script) == "table" and script or { ["script.lua"] = script }
  Server.write_files(folder, files)
  if options.clock then
    Server.write_files(folder, { ["zz_clock.lua"] = CLOCK_SCRIPT })
  end
  local is_one_file = type(script) == "string" and not options.clock
  return is_one_file and folder .. "/script.lua" or folder
end

local function has_option(args, pattern)
  for _, word in ipairs(args or {}) do
    if word:match("^" .. pattern) then
      return true
    end
  end
  return false
end

---What `options` say, or else LUNESSE_WORKERS, by which the whole suite runs with several.
local function worker_count(options)
  return options.workers or tonumber(os.getenv("LUNESSE_WORKERS")) or 1
end

local function arguments(path, options)
  local args = {}
  -- A run of a script may take longer too, unless the spec says how long.
  if clock.slow > 1 and options.run_timeout ~= false then
    table.move({ "--limit", ("run_timeout=%g"):format(clock.slow) }, 1, 2, 1, args)
  end
  if options.clock then
    args[#args + 1] = ("--test-clock=%d"):format(math.ceil(clock.slow))
  end
  if not has_option(options.args, "%-%-workers") then
    args[#args + 1] = "--workers=" .. worker_count(options)
  end
  for _, word in ipairs(options.args or {}) do
    args[#args + 1] = word
  end
  local has_address = has_option(args, "%-%-port") or has_option(args, "%-%-unix")
  if not has_address and not options.sockets then
    for _, word in ipairs { "--host", "127.0.0.1", "--port", "0" } do
      args[#args + 1] = word
    end
  end
  args[#args + 1] = path
  return args
end

---Waits for the ready line and takes the address from it.
function Server:_await_ready()
  local deadline = clock.deadline(READY_SECONDS)
  while true do
    local text = self.process:stdout()
    local host, port = text:match("listening on http://(.-):(%d+)\n")
    local path = text:match("listening on unix:([^\n]+)\n")
    if port or path then
      self.host, self.port, self.unix = host, tonumber(port), path
      self.url = port and ("http://%s:%s"):format(host, port)
      return
    end
    if self.process:has_ended() or clock.now() > deadline then
      break
    end
    clock.pause()
  end
  local why = self.process.why or "no ready line"
  self:kill()
  error(("the server did not start (%s):\n%s"):format(why, self.last_log), 3)
end

---Starts the program and waits until it listens. `script` is the text of one script, or a table of
---file names and texts. Options: `args`, `env`, `clock` (`advance` moves the program's time, which
---passes as much slower as LUNESSE_SLOW says that the build is), `path` (serve this file or folder
---instead of `script`), `shared` (outlives the test; the spec stops it), `sockets` (descriptors of
---listening sockets that it gets, instead of an address), `stderr` (a path to which the log goes,
---where it is neither looked at nor judged), `workers` (so many, whatever the suite runs with: 1
---where the script keeps something in a variable, which is each worker's own), `wrap` (words in
---front of the program; see `Server.under`), `run_timeout` (false: it is the script's on slow
---builds too).
---@param script string | table<string, string> | nil
---@param options? table
function Server.start(script, options)
  options = options or {}
  local self = setmetatable({ is_shared = options.shared }, Server)
  self.worker_count = worker_count(options)
  self.folder = assert(posix.make_folder())
  local path = lay_out(self.folder, script, options)
  self.process = Process.start(command(arguments(path, options), options.wrap), {
    env = options.env, sockets = options.sockets, stderr = options.stderr,
  })
  self.process.is_shared = options.shared
  self.pid = self.process.pid
  running[self] = true
  self:_await_ready()
  return self
end

---Runs the program with `args` to its end: exit code, stdout, stderr.
---@param args string[]
---@param options? { env?: table, cwd?: string, stdin?: string, seconds?: number, wrap?: string[] }
function Server.run(args, options)
  return Process.run(command(args, options and options.wrap), options)
end

---What to give as `wrap`: the program is started by a shell that runs `line` before, such as
---"ulimit -n 256". It may name descriptors too: with "exec 2>&-" the program has none.
function Server.under(line)
  return { "sh", "-c", line .. '\nexec "$@"', "sh" }
end

---Puts script files into a new folder, which goes with the test, and returns its path.
function Server.write(files)
  local folder = assert(posix.make_folder())
  written[#written + 1] = folder
  Server.write_files(folder, files)
  return folder
end

---What the program has written to stderr so far: the log.
function Server:log()
  return self.last_log or self.process:stderr()
end

function Server:stdout()
  return self.last_stdout or self.process:stdout()
end

---The log lines that contain the plain text `text`.
function Server:log_lines(text)
  local lines = {}
  for line in self:log():gmatch("[^\n]+") do
    if line:find(text, 1, true) then
      lines[#lines + 1] = line
    end
  end
  return lines
end

function Server:_judge(code, why)
  if why == "timeout" then
    local whereabouts = self.process:whereabouts()
    self:kill()
    error(("the server did not end within %g s of SIGTERM:\n%s\n%s"):format(
      STOP_SECONDS * clock.slow, whereabouts, tail(self.last_log, 20)), 0)
  end
  if code ~= 0 then
    error(("the server ended with %s:\n%s"):format(why, tail(self.last_log, 60)), 0)
  end
  for _, word in ipairs(BAD_WORDS) do
    if self.last_log:find(word) then
      error(("the server's log has '%s':\n%s"):format(word, tail(self.last_log, 60)), 0)
    end
  end
end

---Takes what is left to read, and lets go of files and the process.
function Server:_forget()
  running[self] = nil
  self.last_log = self.process:stderr()
  self.last_stdout = self.process:stdout()
  self.process:forget()
  Process.remove_folder(self.folder)
end

---Signals (SIGTERM unless said otherwise), waits and judges; raises when something is not right.
---Idempotent. Options: `signal`, `seconds` (more time than the usual half second).
---@param options? { signal?: string, seconds?: number }
function Server:stop(options)
  if self.last_log then
    return
  end
  options = options or {}
  self.process:signal(options.signal or "TERM")
  local code, why = self.process:wait(options.seconds or STOP_SECONDS)
  if why ~= "timeout" then
    self:_forget()
  end
  self:_judge(code, why)
end

---Ends the program at once and without judgement.
function Server:kill()
  if not self.last_log then
    self.process:kill()
    self:_forget()
  end
end

---Opens a raw connection; see spec/support/wire.lua.
function Server:connect(options)
  return wire.connect(self, options)
end

---One request on a connection of its own; see `wire.request` for the fields. Returns the response.
function Server:request(fields)
  local client = self:connect()
  client:send(wire.request(fields))
  local response = client:response(fields.method or "GET", fields.seconds)
  client:close()
  return response
end

---Opens an event stream and reads its head; see `sse.open`.
function Server:stream(target, options)
  return sse.open(self, target, options)
end

---Moves the program's time forward. The server must have been started with `clock = true`.
---@param seconds number
function Server:advance(seconds)
  if self.worker_count > 1 then
    self:_meet_workers(1) -- each has armed its timers after what it answered last
  end
  local response = self:request {
    method = "POST",
    target = ("/-/advance?seconds=%g"):format(seconds),
    headers = { ["Connection"] = "close" },
    body = "",
  }
  assert(response.status == 200, "time could not be advanced:\n" .. response.body)
  -- A worker answers at the end of the turn in which its timers have fired. Another than the first
  -- is told in one turn that time has moved, and its timers fire in the next. The program may have
  -- begun to end by then.
  pcall(self._meet_workers, self, self.worker_count > 1 and 2 or 1)
end

---Asks until every worker has answered, the first before the others, `rounds` times.
function Server:_meet_workers(rounds)
  for number = 1, rounds * self.worker_count do
    local wanted = tostring((number - 1) % self.worker_count + 1)
    repeat
      local answer = self:request { target = "/-/worker", headers = { ["Connection"] = "close" } }
    until answer.status ~= 200 or answer.body == wanted
  end
end

---Resident memory in bytes.
function Server:memory()
  local status = Process.read_file(("/proc/%d/status"):format(self.pid))
  return tonumber(status:match("VmRSS:%s*(%d+)")) * 1024
end

---The number of open descriptors.
function Server:descriptors()
  local count = 0
  for _ in lfs.dir(("/proc/%d/fd"):format(self.pid)) do
    count = count + 1
  end
  return count - 2
end

---Stops and judges every server that is not shared. The first complaint is raised after all
---stopped.
function Server.stop_all()
  local complaint
  for server in pairs(running) do
    if not server.is_shared then
      local ok, message = pcall(server.stop, server)
      complaint = complaint or (not ok and message) or nil
    end
  end
  while #written > 0 do
    Process.remove_folder(table.remove(written))
  end
  if complaint then
    error(complaint, 0)
  end
end

---Ends what is left of shared servers when the suite is over.
function Server.kill_shared()
  for server in pairs(running) do
    server:kill()
  end
end

---The ends of the logs of all running servers, for the report of a failed test.
function Server.recent_logs()
  local logs = {}
  for server in pairs(running) do
    logs[#logs + 1] = tail(server:log(), 15)
  end
  return table.concat(logs, "\n")
end

---Whether signals may never reach a thread that is stuck. ThreadSanitizer runs a handler when the
---thread next calls something that it knows.
function Server.holds_signals_back()
  local _, _, help = Server.run({ "--version" }, { env = { TSAN_OPTIONS = "help=1" } })
  return help ~= ""
end

---Whether the program under test keeps what is freed for a while, 256 MiB of it, as a build with
---AddressSanitizer does, or has shadows of its memory, as ThreadSanitizer does.
function Server.is_sanitized()
  local env = { ASAN_OPTIONS = "help=1", TSAN_OPTIONS = "help=1" }
  local _, _, help = Server.run({ "--version" }, { env = env })
  return help ~= ""
end

return Server
