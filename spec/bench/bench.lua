-- What the benchmarks stand on: processes on a core of their own, helpers compiled on the spot,
-- processor time and memory from /proc, medians. `make bench` starts run.lua, which has the rest.
--
-- Figures of a shared machine wander, so each is also a ratio to another server, measured in the
-- same run and in turn with it: A B A B. What stands in a table is the median of the rounds, and
-- the smallest and largest.
local build = assert(os.getenv("LUNESSE_BUILD"), "LUNESSE_BUILD is not set; type: make bench")
package.cpath = build .. "/?.so;" .. package.cpath

local lfs = require "lfs"
local posix = require "spec_posix"
local socket = require "socket"
local free_port = require "spec.support.free_port"
local clock = require "spec.support.clock"
local Process = require "spec.support.process"

local READY_SECONDS = 10

local bench = { program = build .. "/lunesse", before = os.getenv("BENCH_BEFORE") }

---The first line that a shell command prints.
function bench.first_line(command)
  local pipe = assert(io.popen("(" .. command .. ") 2>&1"))
  local line = pipe:read("l") or "?"
  pipe:close()
  return line
end

local ticks_a_second = tonumber(bench.first_line("getconf CLK_TCK"))

-- Servers run on the first core that we may use, whatever loads them on the last.
local cores = Process.read_file("/proc/self/status"):match("Cpus_allowed_list:%s*(%S+)")
local server_core, load_core = cores:match("^%d+"), cores:match("%d+$")

---Whether servers and load have a core each.
bench.is_pinned = server_core ~= load_core

local function on_core(core, argv)
  if not bench.is_pinned then
    return argv
  end
  return table.move(argv, 1, #argv, 4, { "taskset", "-c", core })
end

---Waits until `condition` is true and returns its answer.
function bench.await(what, seconds, condition)
  local deadline = clock.deadline(seconds)
  while true do
    local answer = condition()
    if answer then
      return answer
    end
    assert(clock.now() < deadline, what .. " took too long")
    clock.pause()
  end
end

---Compiles spec/bench/NAME.c and returns the program's path.
function bench.compile(name)
  local folder = build .. "/bench"
  lfs.mkdir(folder)
  local program = folder .. "/" .. name
  local argv = { "cc", "-O2", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-o", program,
    "spec/bench/" .. name .. ".c" }
  local code, _, complaints = Process.run(argv, { seconds = 60 })
  assert(code == 0, complaints)
  return program
end

---Starts a server and waits until it takes connections. `command(port, folder)` returns its words;
---the folder is its own. A server that is part of the load has the core of the load.
function bench.start(command, options)
  local port, folder = free_port(), assert(posix.make_folder())
  local core = options and options.on_load_core and load_core or server_core
  local process = Process.start(on_core(core, command(port, folder)), { cwd = folder })
  local server = { port = port, pid = process.pid, process = process, folder = folder }
  local ok, message = pcall(bench.await, "listening", READY_SECONDS, function()
    assert(not process:has_ended(), process:stderr())
    local client = socket.connect("127.0.0.1", port)
    return client and client:close()
  end)
  if not ok then
    bench.stop(server)
    error(message, 0)
  end
  return server
end

---Ends a server; returns why it had ended before, if it had.
function bench.stop(server)
  local why = server.process:has_ended() and server.process.why or nil
  server.process:kill()
  server.process:forget()
  Process.remove_folder(server.folder)
  return why
end

---Runs a load program, and `meanwhile` beside it, and returns its exit code and what it printed.
function bench.load(argv, seconds, meanwhile)
  local process = Process.start(on_core(load_core, argv))
  local ok, result = pcall(meanwhile or function() end)
  local code, why = process:wait(seconds)
  process:kill()
  local printed, complaints = process:stdout(), process:stderr()
  process:forget()
  assert(code, ("%s: %s %s"):format(argv[1]:match("[^/]+$"), why, complaints:sub(1, 500)))
  assert(ok, result)
  return code, printed, complaints, result
end

---Seconds of processor time that a process has taken so far: all threads, user and kernel.
function bench.cpu_seconds(pid)
  local fields = Process.read_file(("/proc/%d/stat"):format(pid)):match(".*%) (.*)")
  local user, kernel = fields:match(("%S+ "):rep(11) .. "(%d+) (%d+)")
  return (user + kernel) / ticks_a_second
end

---Resident bytes of a process.
function bench.resident_bytes(pid)
  return Process.read_file(("/proc/%d/status"):format(pid)):match("VmRSS:%s*(%d+)") * 1024
end

---The number of sockets and files that a process holds.
function bench.descriptor_count(pid)
  local count = 0
  for _ in lfs.dir(("/proc/%d/fd"):format(pid)) do
    count = count + 1
  end
  return count - 2
end

---The middle one of a list of numbers.
function bench.median(values)
  local sorted = table.move(values, 1, #values, 1, {})
  table.sort(sorted)
  local middle = #sorted // 2
  return #sorted % 2 == 1 and sorted[middle + 1] or (sorted[middle] + sorted[middle + 1]) / 2
end

---"median (smallest-largest)", each through `format`; a dash for an empty list.
function bench.spread(values, format)
  if #values == 0 then
    return "–"
  elseif #values == 1 then
    return format:format(values[1])
  end
  return (format .. " (" .. format .. "–" .. format .. ")"):format(bench.median(values),
    math.min(table.unpack(values)), math.max(table.unpack(values)))
end

---Rows of texts as a Markdown table; the first row is the head.
function bench.markdown(rows)
  local widths, lines = {}, {}
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do
      widths[i] = math.max(widths[i] or 3, utf8.len(cell))
    end
  end
  for _, row in ipairs(rows) do
    local cells = {}
    for i, width in ipairs(widths) do
      cells[i] = row[i] .. (" "):rep(width - utf8.len(row[i]))
    end
    lines[#lines + 1] = "| " .. table.concat(cells, " | ") .. " |"
  end
  local rules = {}
  for i, width in ipairs(widths) do
    rules[i] = ("-"):rep(width)
  end
  table.insert(lines, 2, "| " .. table.concat(rules, " | ") .. " |")
  return table.concat(lines, "\n")
end

---One line on the machine, and the commit.
function bench.machine()
  local model = Process.read_file("/proc/cpuinfo"):match("model name%s*:%s*([^\n]+)") or "?"
  local system = Process.read_file("/etc/os-release"):match('PRETTY_NAME="([^"]+)"') or "Linux"
  local commit = bench.first_line("git rev-parse --short HEAD")
  local changes = bench.first_line("git status --porcelain --untracked-files=no")
  return ("%s processors (%s), Linux %s, %s; commit %s%s."):format(bench.first_line("nproc"), model,
    bench.first_line("uname -r"), system, commit, changes ~= "?" and " with changes" or "")
end

return bench
