-- What the scenarios of `make soak` stand on: the server with scripts that change, the load beside
-- it, and a sheet of figures and promises. Processes, memory and medians are those of spec/bench.
local bench = require "spec.bench.bench"
local clock = require "spec.support.clock"
local cjson = require "cjson"
local lfs = require "lfs"
local Process = require "spec.support.process"
local Server = require "spec.support.server"

local STOP_SECONDS = 2 -- to end with nothing open; who has ten thousand streams asks for more
local SPARE_SECONDS = 60 -- over what a load was asked to take

local support = { program = bench.program, readers = os.getenv("LUNESSE_BUILD") .. "/soak_readers" }

-- The version stands in the text, so each is a change, and answers say by which code they are.
local MAIN = [[
local lunesse = require "lunesse"
local server = lunesse.server()
local room = lunesse.channel("room", { history = 100 })

server:get("/soak/version", function(request, response)
  response:send("%d " .. lunesse.worker)
end)
server:get("/soak/events", function(request, response)
  response.sse:subscribe(room)
end)
server:post("/soak/publish", function(request, response)
  room:publish(request:text())
  response:status(204):send("")
end)
]]

---The text of the main script. `more` follows it.
function support.script(version, more)
  return MAIN:format(version) .. (more or "")
end

---Puts `text` in a file's place by renaming, as editors do. The moment of the rename is returned.
function support.replace(path, text)
  local beside = path:gsub("[^/]+$", ".%0.new")
  Process.write_file(beside, text)
  local moment = clock.now()
  assert(os.rename(beside, path))
  return moment
end

---Starts the program with the scripts of scripts/ and what they require, so that a reload has
---something to load, and the main script. Options: `workers`, `args`, `more` (of the main script),
---`files` (beside it).
function support.start(options)
  local files = { ["main.lua"] = support.script(1, options.more) }
  for _, folder in ipairs { "", "lib/" } do
    for name in lfs.dir("scripts/" .. folder) do
      if name:find("%.%a+$") then
        files[folder .. name] = Process.read_file("scripts/" .. folder .. name)
      end
    end
  end
  for name, text in pairs(options.files or {}) do
    files[name] = text
  end
  local server = Server.start(files, {
    workers = options.workers, args = options.args or { "--log-level", "warn" },
  })
  server.main = server.folder .. "/main.lua"
  server.more, server.version = options.more, 1
  return server
end

---Puts the next version of the main script in place, and returns its number.
function support.change(server)
  server.version = server.version + 1
  support.replace(server.main, support.script(server.version, server.more))
  return server.version
end

---Starts `lunesse bench` on a server.
function support.load(server, kind, path, seconds, words)
  local argv = {
    bench.program, "bench", kind, server.url .. path, "--pid", tostring(server.pid), "--json",
    "--seconds", tostring(seconds), table.unpack(words or {}),
  }
  return { process = Process.start(argv), ending = clock.now() + seconds, kind = kind }
end

---... that publishes to the main script's channel and looks for each event at every reader.
function support.fanout(server, readers, rate, seconds)
  return support.load(server, "fanout", "/soak/events", seconds, {
    "--publish", server.url .. "/soak/publish", "--readers", tostring(readers),
    "--rate", tostring(rate), "--warmup", "0",
  })
end

---Waits for its end and returns its figures. What failed stands in `failures`.
function support.finish(load)
  local seconds = math.max(0, load.ending - clock.now()) + SPARE_SECONDS
  local code, why = load.process:wait(seconds)
  load.process:kill()
  local printed, complaints = load.process:stdout(), load.process:stderr()
  load.process:forget()
  assert(code and code <= 1 and printed:find("^%s*{"), ("bench %s: %s\n%s"):format(load.kind,
    tostring(code or why), complaints))
  return cjson.decode(printed)
end

---How many threads a process has.
function support.thread_count(pid)
  local status = Process.read_file(("/proc/%d/status"):format(pid))
  return math.tointeger(status:match("Threads:%s*(%d+)"))
end

---How long threads have waited for a processor so far, those of `pid` and our own, in seconds.
function support.queued_seconds(pid)
  local sum = tonumber(Process.read_file("/proc/self/schedstat"):match("^%d+ (%d+)")) or 0
  local folder = ("/proc/%d/task"):format(pid)
  for id in lfs.dir(folder) do
    local text = id:find("%d") and Process.read_file(folder .. "/" .. id .. "/schedstat") or ""
    sum = sum + (tonumber(text:match("^%d+ (%d+)")) or 0)
  end
  return sum / 1e9
end

---The lines of the log of a level: "error", "warn".
function support.log_count(server, level)
  return #server:log_lines(" " .. level .. " ")
end

support.await = bench.await

---The middle one, or 0 of none.
function support.median(list)
  return #list > 0 and bench.median(list) or 0
end

-- The sheet ------------------------------------------------------------------------------------

local Sheet = {}
Sheet.__index = Sheet

---The figures of one scenario with so many workers.
function support.sheet(name, workers)
  local title = ("%s, %d worker%s"):format(name, workers, workers == 1 and "" or "s")
  return setmetatable({ title = title, rows = {}, broken_count = 0 }, Sheet)
end

---A figure: `what`, and what it is, through string.format.
function Sheet:show(what, format, ...)
  self.rows[#self.rows + 1] = { what, format:format(...), "", "" }
end

---... of which something is promised, and whether it holds.
function Sheet:hold(promise, is_kept)
  local row = self.rows[#self.rows]
  row[3], row[4] = promise, is_kept and "kept" or "BROKEN"
  self.broken_count = self.broken_count + (is_kept and 0 or 1)
end

---A count that has to be nothing.
function Sheet:none(what, count)
  self:show(what, "%d", count)
  self:hold("0", count == 0)
end

---Signals the server, waits and judges: the exit code, and what must not stand in a log.
function Sheet:stop(server, seconds)
  local began = clock.now()
  local ok, complaint = pcall(server.stop, server, { seconds = seconds or STOP_SECONDS })
  self:show("seconds from SIGTERM to the end", "%.2f", clock.now() - began)
  self:hold("exit 0, nothing open", ok)
  if not ok then
    self.complaint = complaint
  end
end

function Sheet:print()
  local rows = { { self.title, "figure", "promise", "" }, table.unpack(self.rows) }
  print(bench.markdown(rows) .. "\n" .. (self.complaint and self.complaint .. "\n" or ""))
end

return support
