-- `make bench`: every scenario on every server, in turn, round after round, each time with a fresh
-- server; then the tables and plots, which are also written beside this file.
--
--   BENCH_ROUNDS (5), BENCH_SECONDS (3) of one load, BENCH_STREAMS (10000) that idle
--   BENCH_ONLY=idle     only this scenario, and nothing is written
--   BENCH_BEFORE=/path/to/another/lunesse     measured in turn with this one; no other but the
--                       limit is, and nothing is written
local bench = require "spec.bench.bench"
local plot = require "spec.bench.plot"
local scenarios = require "spec.bench.scenarios"
local servers = require "spec.bench.servers"
local Process = require "spec.support.process"

local FOLDER = "spec/bench/"
local ROUNDS = tonumber(os.getenv("BENCH_ROUNDS")) or 5
local ONLY = os.getenv("BENCH_ONLY")

local METHOD = [[
# Results

What `make bench` wrote. %s

%s

## How it is measured

%s Everything is on loopback, and every server is one process. Each figure comes from a fresh one.
The servers of a table are measured in turn, %s of %g s after one that warms up, so that
what the machine does to one it does to all. A cell has the median of the rounds, and the smallest
and largest. *Of the limit* is the ratio to `limit` in the same round; it travels better than the
figure before it.

- **lunesse** runs a script of a few lines; its channel remembers 1 000 events. **parked** is the
  same with a handler that waits in the middle of its code.
- **limit** is a bare epoll loop in C ([limit.c](limit.c)): it parses next to nothing, encodes an
  event once and writes it to each reader at once. It has no history and no queue, and closes a
  reader whose socket is full. **merged** writes what one turn of the loop has to say in one
  piece, as Lunesse does.
- **nginx** with Nchan, which remembers as many events and publishes what is POSTed; or with its
  Lua module, which has no channels. Both write an access log, as Lunesse does.
- **node:http** is a `Set` of responses ([node_server.mjs](node_server.mjs)), **better-sse** a
  channel of that library ([better_sse_server.mjs](better_sse_server.mjs)). They remember and log
  nothing.
- A relay asks a Lunesse for a stream for each of its readers, and passes on what comes. Lunesse
  reads the events and sends them as events of its own; nginx (`proxy_pass`, without buffering) and
  Node with undici ([node_relay.mjs](node_relay.mjs)) pass on bytes.

`lunesse bench` makes the load and checks it: every event has to reach every reader once and in
order. The next event is published when the last one has reached all, but where a rate is given.
CPU is the server's, user and kernel, from `/proc`. Where the server is faster than what loads it,
events a second say how fast the load is, and CPU how fast the server is.

]]

local VERSIONS = { "lunesse", "nchan", "nginx_lua", "node", "better_sse" }

---What went wrong in a round that still has figures; nil when nothing did.
local function complaint(figures)
  local words = table.move(figures.failures or {}, 1, #(figures.failures or {}), 1, {})
  for _, what in ipairs { "lost", "doubled", "reordered", "disconnects" } do
    if #words == 0 and (tonumber(figures[what]) or 0) > 0 then
      words[1] = ("%d %s"):format(figures[what], what)
    end
  end
  return #words > 0 and table.concat(words, ", ") or nil
end

---The servers of a scenario that are measured now.
local function opponents(scenario)
  if not bench.before then
    return scenario.servers
  end
  return { servers.lunesse, servers.before, servers.limit }
end

---One round of a scenario on a fresh server: figures, or nil; and a complaint, or nil.
local function measure(scenario, definition)
  local ok, server = pcall(bench.start, definition.command)
  if not ok then
    return nil, server
  end
  setmetatable(server, { __index = definition })
  local figures
  ok, figures = pcall(function()
    if definition.prepare then
      definition.prepare(server)
    end
    return scenario.load(server)
  end)
  local why = bench.stop(server)
  if definition.finish then
    definition.finish()
  end
  if why then
    return nil, "the server ended: " .. why
  elseif not ok then
    return nil, figures
  end
  return figures, complaint(figures)
end

---All rounds: by server a list of figures, with holes where a round failed; and complaints.
local function play(scenario)
  local rounds, complaints = {}, {}
  for round = 1, ROUNDS do
    for _, definition in ipairs(opponents(scenario)) do
      local figures, words = measure(scenario, definition)
      rounds[definition] = rounds[definition] or {}
      rounds[definition][round] = figures
      if words then
        complaints[#complaints + 1] = ("- %s, round %d: %s"):format(definition.name, round,
          tostring(words):match("[^\n]+"):gsub("^%S+%.lua:%d+: ", ""))
      end
    end
  end
  return rounds, complaints
end

local function figure(figures, key)
  local value = figures
  for name in key:gmatch("[^.]+") do
    value = type(value) == "table" and value[name] or nil
  end
  return tonumber(value)
end

---The values of a column, of the rounds that have one.
local function values(column, rounds, definition)
  local list = {}
  for round = 1, ROUNDS do
    local own = figure(rounds[definition][round], column.key)
    if own and column.is_ratio then
      local limit = rounds[servers.limit] and figure(rounds[servers.limit][round], column.key)
      list[#list + 1] = limit and limit > 0 and own / limit or nil
    elseif own then
      list[#list + 1] = own * column.scale
    end
  end
  return list
end

local function rows(scenario, sheet, rounds)
  local all = { { "" } }
  for i, column in ipairs(sheet.columns) do
    all[1][i + 1] = column.head
  end
  for _, definition in ipairs(opponents(scenario)) do
    local row = { definition.name }
    for i, column in ipairs(sheet.columns) do
      row[i + 1] = bench.spread(values(column, rounds, definition), column.format)
    end
    if not table.concat(row, "", 2):find("%d") then
      row[2] = "failed"
    end
    if not (sheet.is_of_rooms and definition.is_deaf) then
      all[#all + 1] = row
    end
  end
  return all
end

---The tables of a scenario as text.
local function report(scenario, rounds, complaints)
  local parts = {}
  for _, sheet in ipairs(scenario.tables) do
    parts[#parts + 1] = "## " .. sheet.title
    parts[#parts + 1] = sheet.note
    parts[#parts + 1] = bench.markdown(rows(scenario, sheet, rounds))
  end
  if #complaints > 0 then
    parts[#parts + 1] = "What went wrong:\n\n" .. table.concat(complaints, "\n")
  end
  return table.concat(parts, "\n\n") .. "\n"
end

---A chart of one figure's medians, and the name of its file.
local function chart(name, options, scenario, rounds)
  local column = { key = options.key, scale = 1 }
  local bars = {}
  for _, definition in ipairs(scenario.servers) do
    local list = values(column, rounds, definition)
    local value = #list > 0 and bench.median(list)
    if value and value > 0 then
      value = options.of and options.of(value) or value
      bars[#bars + 1] = {
        label = definition.name, value = value, text = plot.short(value, options.unit),
        is_ours = definition.name:find("^lunesse") ~= nil,
      }
    end
  end
  if #bars > 0 then
    Process.write_file(FOLDER .. name .. ".svg",
      plot.bars { title = options.title, rows = bars, is_log = options.is_log })
  end
  return ("![%s](%s.svg)"):format(options.title, name)
end

local CHARTS = {
  fanout = { "delivered", {
    title = "Events delivered for a second of CPU (1 000 readers, 64 bytes)",
    key = "cpu_us_per_delivery", of = function(micros) return 1e6 / micros end,
  } },
  idle = { "memory", {
    title = "Memory of an idle stream, bytes (logarithmic)",
    key = "memory_bytes_per_stream", unit = "B", is_log = true,
  } },
}

local function head(charts)
  local versions = {}
  for _, name in ipairs(VERSIONS) do
    versions[#versions + 1] = servers[name].version
  end
  versions[#versions + 1] = bench.first_line("wrk -v"):match("^wrk %S+")
  local cores = bench.is_pinned
    and "The servers run on one core and the load on another, by `taskset`."
    or "The servers and the load share one core, so compare nothing but CPU."
  local rounds = ROUNDS == 1 and "one round" or ROUNDS .. " rounds"
  local method = METHOD:format(bench.machine(), table.concat(versions, "; ") .. ".", cores, rounds,
    scenarios.seconds)
  return method .. table.concat(charts, "\n\n") .. "\n"
end

io.stdout:setvbuf("line")
local charts, parts = {}, {}
local is_whole = not ONLY and not bench.before
for _, scenario in ipairs(scenarios) do
  if not ONLY or scenario.name == ONLY then
    local rounds, complaints = play(scenario)
    parts[#parts + 1] = report(scenario, rounds, complaints)
    print(parts[#parts])
    local wanted = is_whole and CHARTS[scenario.name]
    if wanted then
      charts[#charts + 1] = chart(wanted[1], wanted[2], scenario, rounds)
    end
  end
end
assert(#parts > 0, "no scenario is called " .. tostring(ONLY))
if is_whole then
  Process.write_file(FOLDER .. "RESULTS.md",
    head(charts) .. "\n" .. table.concat(parts, "\n"))
  print("written: " .. FOLDER .. "RESULTS.md")
end
