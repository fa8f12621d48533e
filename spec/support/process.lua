-- A program under test: started with its output in files of a private folder, looked at while it
-- runs, waited for with a deadline. Nothing outlives the test that started it.

local lfs = require "lfs"
local posix = require "spec_posix"
local clock = require "spec.support.clock"

local SIGNALS = {
  HUP = 1, INT = 2, QUIT = 3, KILL = 9, USR1 = 10, USR2 = 12, TERM = 15, CONT = 18, STOP = 19,
}

local Process = {}
Process.__index = Process

local kept = {} -- those whose folders are there

local function read_file(path)
  local file = io.open(path, "rb")
  if not file then
    return ""
  end
  local text = file:read("a")
  file:close()
  return text
end

local function write_file(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

local function remove_folder(path)
  for name in lfs.dir(path) do
    local inside = path .. "/" .. name
    if name ~= "." and name ~= ".." then
      if lfs.symlinkattributes(inside, "mode") == "directory" then
        remove_folder(inside)
      else
        os.remove(inside)
      end
    end
  end
  lfs.rmdir(path)
end

local function environment(values)
  local list = {}
  for name, value in pairs(values or {}) do
    list[#list + 1] = name .. "=" .. value
  end
  return list
end

---Starts `argv`. Options: `env` (added to the inherited), `cwd`, `stdin` (text), `stderr` (a path
---to write to, instead of the file that `stderr` reads), `sockets` (descriptors that it gets from 3
---on, as from a service manager).
---@param argv string[]
---@param options? table
function Process.start(argv, options)
  options = options or {}
  local folder = assert(posix.make_folder())
  local self = setmetatable({ argv = argv, folder = folder }, Process)
  if options.stdin then
    write_file(folder .. "/stdin", options.stdin)
  end
  self.pid = assert(posix.spawn {
    argv = argv,
    env = environment(options.env),
    cwd = options.cwd,
    stdin = options.stdin and folder .. "/stdin",
    stdout = folder .. "/stdout",
    stderr = options.stderr or folder .. "/stderr",
    sockets = options.sockets,
  })
  kept[self] = true
  clock.watch(self.pid)
  return self
end

---Runs `argv` to its end: exit code (or nil and why), what it wrote to stdout, and to stderr.
function Process.run(argv, options)
  local self = Process.start(argv, options)
  local code, why = self:wait(options and options.seconds or 10)
  if not code and why == "timeout" then
    self:kill()
  end
  local stdout, stderr = self:stdout(), self:stderr()
  self:forget()
  return code, stdout, stderr, why
end

function Process:stdout()
  return self.last_stdout or read_file(self.folder .. "/stdout")
end

function Process:stderr()
  return self.last_stderr or read_file(self.folder .. "/stderr")
end

---Whether the program has ended; then `code` (nil when a signal ended it) and `why` are set.
function Process:has_ended()
  if self.why then
    return true
  end
  local how, number = posix.wait(self.pid)
  if how == nil and number == nil then
    return false
  end
  self.code = how == "exit" and number or nil
  self.why = ("%s %s"):format(how or "wait:", number)
  clock.unwatch(self.pid)
  return true
end

---The exit code; or nil and "signal N"; or nil and "timeout", and it runs on.
---@param seconds number
function Process:wait(seconds)
  local deadline = clock.deadline(seconds)
  while not self:has_ended() do
    if clock.now() >= deadline then
      return nil, "timeout"
    end
    clock.pause()
  end
  return self.code, self.why
end

---@param name "HUP" | "INT" | "QUIT" | "KILL" | "USR1" | "USR2" | "TERM"
function Process:signal(name)
  if not self:has_ended() then
    posix.kill(self.pid, assert(SIGNALS[name], "unknown signal"))
  end
end

---Ends the program at once, if it runs.
function Process:kill()
  self:signal("KILL")
  self:wait(5)
end

---What each thread does at this moment, a line or more a thread: its state, the nanoseconds that it
---ran and waited for a processor, and where it stands in the kernel as far as that may be read.
function Process:whereabouts()
  local folder, lines = ("/proc/%d/task"):format(self.pid), {}
  if lfs.attributes(folder, "mode") ~= "directory" then
    return "no thread is left"
  end
  for name in lfs.dir(folder) do
    local thread = folder .. "/" .. name
    local state = name:find("^%d") and read_file(thread .. "/stat"):match(".*%) (%a)")
    if state then
      lines[#lines + 1] = ("thread %s: state %s, schedstat %s%s"):format(name, state,
        read_file(thread .. "/schedstat"), read_file(thread .. "/stack"))
    end
  end
  return table.concat(lines, "\n")
end

---Removes the files; the process must have ended. What it had written can still be read.
function Process:forget()
  kept[self] = nil
  self.last_stdout, self.last_stderr = self:stdout(), self:stderr()
  if lfs.attributes(self.folder, "mode") == "directory" then
    remove_folder(self.folder)
  end
end

---Kills what a test has started, and removes the files of what had ended too, except of what was
---started to be shared.
function Process.kill_all()
  for process in pairs(kept) do
    if not process.is_shared then
      process:kill()
      process:forget()
    end
  end
end

Process.read_file = read_file
Process.remove_folder = remove_folder
Process.write_file = write_file

return Process
