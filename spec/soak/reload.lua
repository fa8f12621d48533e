-- Reloads under ten thousand streams that only subscribe, and fifty thousand deliveries a second.
-- `lunesse bench` looks for each event at every reader; here the scripts change, or are broken, and
-- it is measured how long a reload keeps anyone waiting.
--
-- A reader waits for a reload only while the loop of its worker stands still; so does a plain
-- request on a kept connection to that worker, and one is always under way (see monitor.lua). But a
-- fan-out to ten thousand readers makes it wait as well, for longer than a reload does, and so does
-- a machine that has no processor free. So looks of the same length are taken in turn, with a
-- reload and without, and sorted: into a pause between two fan-outs, where nothing else is done and
-- the longest wait of all is what counts; or else into a fan-out, where it is what the median wait
-- grows by. A long wait in a pause, half of which one of us waited for a processor, is left out.
local socket = require "socket"
local clock = require "spec.support.clock"
local Monitor = require "spec.soak.monitor"
local support = require "spec.soak.support"

local READERS = 10000
local RATE = 5
local CHANGES, BROKEN = 50, 10
local LOOK_SECONDS = 0.04 -- at least; longer when the reload takes longer
local CONTROLS = 40
local SECONDS = 45 -- of load: time enough for all looks, a quarter of a second each
local BASE_SECONDS = 5
local SILENCE_MS = 50
local QUIET_SECONDS = 0.002 -- of a round of answers, when no fan-out is on
local QUEUED_SECONDS = 0.01 -- shorter waits count, whatever the machine did
local LOOKS_MIN = 10 -- that have to be left to judge
local MEMORY_SHARE = 1.05

local BREAKS = {
  "\nreturn return\n",
  "\nerror 'broken on purpose'\n",
}

---A stream of ours, to know when a fan-out begins.
local function follow(server)
  local client = assert(socket.connect("127.0.0.1", server.port))
  client:settimeout(10 * clock.slow)
  assert(client:send("GET /soak/events HTTP/1.1\r\nHost: localhost\r\n" ..
    "Accept: text/event-stream\r\n\r\n"))
  return client
end

---Reads the next event to its end, so that what is readable then is another.
local function await_event(client)
  repeat
    local line = assert(client:receive("*l"))
  until line:find("^data: %d")
  assert(client:receive("*l") and client:receive("*l")) -- the end of the event, and of the chunk
end

---Puts the next scripts in place and signals. Returns whether the outcome is there, as a function
---of the monitor.
local function begin_change(state)
  local version = support.change(state.server)
  state.server.process:signal("HUP")
  return function(monitor)
    return monitor:saw(version)
  end
end

local function begin_broken(state)
  local server = state.server
  state.broken_count = state.broken_count + 1
  support.replace(server.main, support.script(0) .. BREAKS[state.broken_count % #BREAKS + 1])
  server.process:signal("HUP")
  local looked = 0
  return function()
    if clock.now() < looked + 0.005 then
      return false
    end
    looked = clock.now()
    return support.log_count(server, "error") == state.broken_count
  end
end

---Where a look belongs that ends now: a fan-out has begun meanwhile, or none could be waited out;
---or half of the wait was one for a processor.
local function moment_of(state, is_quiet, wait, queued)
  local is_fanout = not is_quiet or #socket.select({ state.events }, nil, 0) > 0
  if is_fanout then
    return "fanout"
  end
  return wait > QUEUED_SECONDS and queued > wait / 2 and "disturbed" or "pause"
end

---One look: in a pause or at the beginning of a fan-out, with a reload that `begin` begins or
---without. What it showed is kept in `state.waits`.
local function look(state, wants_pause, begin)
  await_event(state.events)
  local is_quiet = wants_pause and state.monitor:await_quiet(QUIET_SECONDS, 1 / RATE)
  local queued = support.queued_seconds(state.server.pid)
  local began = clock.now()
  local is_done = begin and begin(state) or function()
    return true
  end
  local has_outcome, took = false, 0
  local wait = state.monitor:press(function(monitor)
    if not has_outcome and is_done(monitor) then
      has_outcome, took = true, clock.now() - began
    end
    assert(clock.now() < began + 10 * clock.slow, "a reload that has no end")
    return has_outcome and clock.now() >= began + LOOK_SECONDS
  end)
  queued = support.queued_seconds(state.server.pid) - queued
  local list = state.waits[moment_of(state, is_quiet, wait, queued)][begin and "with" or "without"]
  list[#list + 1] = wait * 1000
  state.took[#state.took + 1] = begin and took * 1000 or nil
end

---What is not there yet cannot be in its place: the running version must be the one before.
local function check_refused(state)
  state.wrong_count = state.wrong_count + (state.monitor:has(state.server.version) and 0 or 1)
end

---All looks, in turn. Memory is looked at behind the first change and behind the last.
local function reload(state)
  local changes, broken, controls, number = 0, 0, 0, 0
  while changes < CHANGES or broken < BROKEN do
    number = number + 1
    if number % 6 == 0 and broken < BROKEN then
      broken = broken + 1
      look(state, broken % 3 ~= 0, begin_broken)
      check_refused(state)
    else
      changes = changes + 1
      look(state, changes % 3 ~= 0, begin_change)
    end
    if changes == 1 and not state.memory then
      state.memory = state.server:memory()
    end
    if controls < CONTROLS then
      controls = controls + 1
      look(state, controls % 3 ~= 0)
    end
  end
  state.changes, state.broken = changes, broken
  look(state, true) -- what the last one has to let go of
  state.memory_after = state.server:memory()
end

local function report_load(sheet, figures, base)
  sheet:show("deliveries a second", "%.0f", figures.deliveries_per_second)
  sheet:show("deliveries", "%d", figures.deliveries)
  for _, what in ipairs { "lost", "doubled", "reordered", "foreign", "disconnects" } do
    sheet:none("... " .. what, figures[what] or 0)
  end
  sheet:none("other failures of the load", #figures.failures)
  sheet:show("last reader's latency, ms: p50, p99, max", "%.1f, %.1f, %.1f",
    figures.latency_ms.p50, figures.latency_ms.p99, figures.latency_ms.max)
  sheet:show("... without reloads", "%.1f, %.1f, %.1f",
    base.latency_ms.p50, base.latency_ms.p99, base.latency_ms.max)
end

local function show_waits(sheet, what, list)
  sheet:show("wait, " .. what .. ", ms: median, max", "%.1f, %.1f (of %d)", support.median(list),
    math.max(0, table.unpack(list)), #list)
end

local function report_waits(sheet, waits)
  for _, moment in ipairs { "pause", "fanout", "disturbed" } do
    for _, kind in ipairs { "without", "with" } do
      show_waits(sheet, ("%s, %s reload"):format(moment, kind), waits[moment][kind])
    end
  end
  local silence = math.max(0, table.unpack(waits.pause.with))
  sheet:show("longest silence by a reload, ms", "%.1f", silence)
  sheet:hold(("< %d"):format(SILENCE_MS), silence < SILENCE_MS * clock.slow)
  sheet:show("... looks that say so", "%d", #waits.pause.with)
  sheet:hold((">= %d"):format(LOOKS_MIN), #waits.pause.with >= LOOKS_MIN)
  local growth = support.median(waits.fanout.with) - support.median(waits.fanout.without)
  sheet:show("... what a fan-out's median wait grows by, ms", "%.1f", growth)
  sheet:hold(("< %d"):format(SILENCE_MS), growth < SILENCE_MS * clock.slow)
end

local function report(sheet, state, figures, base)
  sheet:show("reloads of changed scripts", "%d", state.changes)
  sheet:show("reloads of broken ones", "%d", state.broken)
  sheet:none("... that were not refused", state.wrong_count)
  sheet:show("ms from the signal to the outcome: median, max", "%.1f, %.1f",
    support.median(state.took), math.max(table.unpack(state.took)))
  report_load(sheet, figures, base)
  report_waits(sheet, state.waits)
  sheet:show("resident MiB after the first, the last", "%.2f, %.2f", state.memory / 2 ^ 20,
    state.memory_after / 2 ^ 20)
  sheet:hold("within 5 %", state.memory_after <= state.memory * MEMORY_SHARE)
end

return function(workers, sheet)
  local server = support.start { workers = workers }
  local monitor = Monitor.open(server, workers)
  local base = support.finish(support.fanout(server, READERS, RATE, BASE_SECONDS))
  local load = support.fanout(server, READERS, RATE, SECONDS)
  local state = {
    server = server, monitor = monitor, broken_count = 0, wrong_count = 0, took = {},
    waits = {
      pause = { with = {}, without = {} }, fanout = { with = {}, without = {} },
      disturbed = { with = {}, without = {} },
    },
  }
  state.events = follow(server)
  await_event(state.events) -- all readers are there
  reload(state)
  sheet:show("seconds of load left after the last reload", "%.1f", load.ending - clock.now())
  sheet:hold("> 0", not load.process:has_ended())
  report(sheet, state, support.finish(load), base)
  sheet:none("errors in the log, but for those of the broken scripts",
    support.log_count(server, "error") - state.broken)
  state.events:close()
  monitor:close()
  sheet:stop(server)
end
