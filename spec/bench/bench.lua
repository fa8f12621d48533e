-- What the benches share: programs to measure, helpers compiled on the spot, processor time and
-- memory from /proc, medians, and a table on standard output. `make bench` starts them all; one
-- alone: LUNESSE_BUILD=$PWD/build lua5.4 spec/bench/plain_bench.lua
--
-- Figures of a shared machine wander, so each is also a ratio to another server, measured in the
-- same run and in turn with it: A B A B. What stands in a table is the median of the rounds, and
-- the smallest and largest.
local build = assert(os.getenv("LUNESSE_BUILD"), "LUNESSE_BUILD is not set; type: make bench")
package.cpath = build .. "/?.so;" .. package.cpath

local lfs = require "lfs"
local posix = require "spec_posix"
local socket = require "socket"
local clock = require "spec.support.clock"
local Process = require "spec.support.process"
local Server = require "spec.support.server"

local READY_SECONDS = 5
local NGINX_MODULES = "/usr/lib/nginx/modules/"

local bench = { build = build }
local started = {} -- processes, and folders they need
local folders = {}

local function first_line(command)
  local pipe = assert(io.popen(command .. " 2>/dev/null"))
  local line = pipe:read("l") or "?"
  pipe:close()
  return line
end

local ticks_a_second = tonumber(first_line("getconf CLK_TCK"))

local function await(what, condition)
  local deadline = clock.deadline(READY_SECONDS)
  while true do
    local answer = condition()
    if answer then
      return answer
    end
    assert(clock.now() < deadline, what .. " did not come up")
    clock.pause()
  end
end

local function start(argv, env)
  local process = Process.start(argv, { env = env })
  started[#started + 1] = process
  return process
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

---Starts the server under test with `script`: { name, pid, port, server }.
function bench.lunesse(script, args)
  local server = Server.start(script, { args = args, shared = true })
  return { name = "lunesse", pid = server.pid, port = server.port, server = server }
end

---Starts spec/bench/epoll.c, which answers everything alike.
function bench.epoll()
  local process = start { bench.compile("epoll") }
  local port = await("epoll", function()
    return process:stdout():match("listening on http://127.0.0.1:(%d+)\n")
  end)
  return { name = "bare epoll", pid = process.pid, port = tonumber(port) }
end

local function free_port()
  local listening = assert(socket.bind("127.0.0.1", 0))
  local _, port = listening:getsockname()
  listening:close()
  return tonumber(port)
end

local function nginx_config(port, locations)
  return ([[
load_module %sndk_http_module.so;
load_module %sngx_http_lua_module.so;
daemon off;
master_process off;
pid nginx.pid;
events { worker_connections 16384; }
http {
  access_log access.log combined;
  default_type text/plain;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  keepalive_requests 1000000000;
  lua_check_client_abort on;
  server {
    listen 127.0.0.1:%d;
%s
  }
}
]]):format(NGINX_MODULES, NGINX_MODULES, port, locations)
end

---Starts nginx with its Lua module, one process, in a folder of its own; `locations` is the text
---of the location blocks.
function bench.nginx(locations)
  local port, folder = free_port(), assert(posix.make_folder())
  folders[#folders + 1] = folder
  Process.write_file(folder .. "/nginx.conf", nginx_config(port, locations))
  local process = start {
    "/usr/sbin/nginx", "-e", "stderr", "-p", folder, "-c", folder .. "/nginx.conf",
  }
  await("nginx", function()
    assert(not process:has_ended(), process:stderr())
    local client = socket.connect("127.0.0.1", port)
    return client and client:close()
  end)
  return { name = "nginx-lua", pid = process.pid, port = port }
end

---Runs a load program to its end and returns what it printed.
function bench.run(argv, seconds)
  local code, printed, complaints, why = Process.run(argv, { seconds = seconds })
  assert(code == 0, argv[1] .. ": " .. tostring(why) .. ": " .. complaints)
  return printed
end

---Starts a load program that runs beside others; `bench.join` waits for what it printed.
function bench.start(argv)
  return start(argv)
end

function bench.join(process, seconds)
  local code, why = process:wait(seconds)
  assert(code == 0, process.argv[1] .. ": " .. tostring(why) .. ": " .. process:stderr())
  return process:stdout()
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

---The fields `name=number` of a load program's line.
function bench.numbers(text)
  local numbers = {}
  for name, number in text:gmatch("(%w+)=([%d.]+)") do
    numbers[name] = tonumber(number)
  end
  return numbers
end

function bench.median(values)
  local sorted = table.move(values, 1, #values, 1, {})
  table.sort(sorted)
  local middle = #sorted // 2
  return #sorted % 2 == 1 and sorted[middle + 1] or (sorted[middle] + sorted[middle + 1]) / 2
end

---"median (smallest-largest)", each through `format`.
function bench.spread(values, format)
  local text = (format .. " (" .. format .. "-" .. format .. ")")
  return text:format(bench.median(values), math.min(table.unpack(values)),
    math.max(table.unpack(values)))
end

---The ratios of two lists, round by round.
function bench.ratios(values, others)
  local ratios = {}
  for i = 1, #values do
    ratios[i] = values[i] / others[i]
  end
  return ratios
end

---Prints rows of texts as a Markdown table; the first row is the head.
function bench.print_table(rows)
  local widths = {}
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do
      widths[i] = math.max(widths[i] or 3, utf8.len(cell))
    end
  end
  local function print_row(row, filler)
    local cells = {}
    for i, width in ipairs(widths) do
      cells[i] = row[i] .. filler:rep(width - utf8.len(row[i]))
    end
    print("| " .. table.concat(cells, " | ") .. " |")
  end
  print_row(rows[1], " ")
  print_row(setmetatable({}, { __index = function() return "---" end }), "-")
  for i = 2, #rows do
    print_row(rows[i], " ")
  end
end

local function print_machine()
  local model = Process.read_file("/proc/cpuinfo"):match("model name%s*:%s*([^\n]+)") or "?"
  print(("%s processors, %s, Linux %s; commit %s; load %s"):format(first_line("nproc"), model,
    first_line("uname -r"), first_line("git describe --always --dirty"),
    Process.read_file("/proc/loadavg"):match("%S+")))
end

local function end_all()
  for _, process in ipairs(started) do
    process:kill()
    process:forget()
  end
  Server.kill_shared()
  for _, folder in ipairs(folders) do
    Process.remove_folder(folder)
  end
end

---Runs a bench: says what it is and where, and ends everything it started, whatever happens.
function bench.main(title, fn)
  io.stdout:setvbuf("line")
  print("## " .. title .. "\n")
  print_machine()
  print()
  local ok, message = xpcall(fn, debug.traceback)
  end_all()
  print()
  if not ok then
    io.stderr:write(message, "\n")
    os.exit(1)
  end
end

return bench
