-- Everything at once and for long: streams that come and go, a channel under load, handlers with
-- timers, and a reload every second, under which generations end by themselves and by force. Before
-- and after it, in the same state of rest, memory, descriptors and threads are looked at.
local clock = require "spec.support.clock"
local Monitor = require "spec.soak.monitor"
local Server = require "spec.support.server"
local support = require "spec.soak.support"
local Visitors = require "spec.soak.visitors"

local SECONDS = tonumber(os.getenv("SOAK_SECONDS")) or 600
-- The first load makes what is made once: pools, allocator arenas of each thread, the history.
local WARMUP_SECONDS = math.max(10, math.min(60, SECONDS / 5))
local RELOAD_EVERY = 1 * clock.slow
local READERS, RATE, CONCURRENCY, VISITORS = 200, 50, 8, 60
local REST_SECONDS = 10
-- What the allocator keeps in pieces and cannot give back. A leak of one byte a connection would be
-- more than this, after ten minutes.
local MEMORY_SHARE, MEMORY_BYTES = 1.10, 2 * 1024 * 1024

local MORE = [[
local pulse = lunesse.channel("pulse", { history = 20 })
local counts = lunesse.shared("counts")

lunesse.every(0.05, function()
  pulse:publish("pulse", { n = counts:incr("pulses") })
end)
lunesse.every(0.1, function()
  counts:set("worker " .. lunesse.worker, lunesse.now(), { ttl = 1 })
end, { each_worker = true })

server:get("/soak/first", function(request, response)
  response.sse:send("first")
  lunesse.sleep(3600)
end)
server:get("/soak/timer", function(request, response)
  local sse, n = response.sse, 0
  sse:open()
  if request.query.pulse then
    sse:subscribe(pulse)
  end
  local ticker = lunesse.every(0.1, function()
    n = n + 1
    sse:send("tick " .. n)
  end)
  response:once("close", function()
    ticker:stop()
    counts:incr("left")
  end)
end)
server:get("/soak/loop", function(request, response)
  local n = 0
  repeat
    n = n + 1
    local ok = response.sse:send("tick " .. n)
    lunesse.sleep(0.1)
  until not ok
end)
]]

---Reloads once a second. What was not there at the next one is late.
local function reload(state)
  if clock.now() < state.due then
    return
  end
  local server = state.server
  state.late_count = state.late_count + (state.monitor:has(server.version) and 0 or 1)
  state.due = state.due + RELOAD_EVERY
  state.reload_count = state.reload_count + 1
  support.change(server)
  server.process:signal("HUP")
end

---All the load for a while; returns what came of it. The machine's time counts, as it does for the
---programs that make the load.
local function stir(server, monitor, seconds)
  local state = {
    server = server, monitor = monitor, due = clock.now(), late_count = 0, reload_count = 0,
    visitors = Visitors.open(server, VISITORS),
  }
  local churn = support.load(server, "churn", "/soak/first", seconds,
    { "--concurrency", tostring(CONCURRENCY) })
  local fanout = support.fanout(server, READERS, RATE, seconds)
  local ending = clock.wall() + seconds
  repeat
    state.visitors:turn(0.02)
    reload(state)
  until clock.wall() >= ending
  state.visitors:close()
  state.churn, state.fanout = support.finish(churn), support.finish(fanout)
  return state
end

---Figures of a server that has only the monitor's connections left, and one generation.
local function rest(server, monitor, descriptors)
  support.change(server)
  server.process:signal("HUP")
  support.await("rest", REST_SECONDS * clock.slow, function()
    return monitor:has(server.version) and server:descriptors() <= descriptors
  end)
  local ending = clock.now() + 2 -- late ends of connections, and what a collector still does
  monitor:press(function()
    clock.pause()
    return clock.now() >= ending
  end)
  return {
    descriptors = server:descriptors(), memory = server:memory(),
    threads = support.thread_count(server.pid),
  }
end

local function compare(sheet, before, after)
  sheet:show("descriptors before, after", "%d, %d", before.descriptors, after.descriptors)
  sheet:hold("the same", before.descriptors == after.descriptors)
  sheet:show("threads before, after", "%d, %d", before.threads, after.threads)
  sheet:hold("the same", before.threads == after.threads)
  sheet:show("resident MiB before, after", "%.2f, %.2f", before.memory / 2 ^ 20,
    after.memory / 2 ^ 20)
  if not Server.is_sanitized() then
    local allowed = math.max(before.memory * MEMORY_SHARE, before.memory + MEMORY_BYTES)
    sheet:hold(("<= %.2f"):format(allowed / 2 ^ 20), after.memory <= allowed)
  end
end

local function report(sheet, state)
  local visitors = state.visitors
  sheet:show("reloads", "%d", state.reload_count)
  sheet:none("... that were not there a second later", state.late_count)
  sheet:show("connections of churn", "%d", state.churn.connections)
  sheet:none("... that failed", state.churn.failed_connections)
  sheet:show("deliveries of the channel", "%d", state.fanout.deliveries)
  for _, what in ipairs { "lost", "doubled", "reordered", "foreign", "disconnects" } do
    sheet:none("... " .. what, state.fanout[what])
  end
  sheet:none("other failures of the load", #state.churn.failures + #state.fanout.failures)
  sheet:show("streams with handlers", "%d", visitors.begun_count)
  sheet:show("... events", "%d", visitors.tick_count)
  sheet:show("... ended by the server, and told when to come back", "%d", visitors.ended_count)
  sheet:none("... cut off without a word", visitors.lost_count)
  sheet:none("... complete, though their handlers had more to say", visitors.complete_count)
  sheet:none("... events out of order", visitors.wrong_count)
end

return function(workers, sheet)
  local server = support.start { workers = workers, more = MORE }
  local monitor = Monitor.open(server, workers)
  local descriptors = server:descriptors()
  stir(server, monitor, WARMUP_SECONDS)
  local before = rest(server, monitor, descriptors)
  local state = stir(server, monitor, SECONDS)
  local after = rest(server, monitor, descriptors)
  report(sheet, state)
  compare(sheet, before, after)
  sheet:none("errors in the log", support.log_count(server, "error"))
  sheet:show("warnings in the log", "%d", support.log_count(server, "warn"))
  monitor:close()
  sheet:stop(server)
end
