-- What is measured, on which servers, and which figures of it go into which table.
--
-- A scenario has a `name`, the `servers` it is for, `load(server)`, which answers one round's
-- figures, and `tables`: a `title`, a `note`, `columns`, and whether it `is_of_rooms`, that is, not
-- for deaf servers. A column takes the figure `key`, times `scale`, through `format`; with
-- `is_ratio` it is divided by the limit's of the same round.
local cjson = require "cjson"
local socket = require "socket"
local bench = require "spec.bench.bench"
local servers = require "spec.bench.servers"
local clock = require "spec.support.clock"

local SECONDS = tonumber(os.getenv("BENCH_SECONDS")) or 3
local STREAMS = tonumber(os.getenv("BENCH_STREAMS")) or 10000
local SPARE_DESCRIPTORS = 200
local PATIENCE = 60 -- seconds over what a load program was asked to take
local EVERY = 0.01 -- seconds between the plain requests beside a firehose
local ANSWER_SECONDS = 30
local WRK_CONNS = 64
local RELAYS = 1000

-- Descriptors bound it: a server keeps a tenth of them for itself.
local function stream_count()
  local limits = assert(io.open("/proc/self/limits")):read("a")
  local descriptors = tonumber(limits:match("Max open files%s+(%d+)")) or math.huge
  return math.tointeger(math.min(STREAMS, descriptors * 9 // 10 - SPARE_DESCRIPTORS))
end

local STREAM_COUNT = stream_count()

local function url(server, path)
  return ("http://127.0.0.1:%d%s"):format(server.port, path)
end

---Runs `lunesse bench` on a server. It ends with 1 when something was lost, and says what.
local function generate(server, kind, path, words, meanwhile)
  local argv = {
    bench.program, "bench", kind, url(server, path), "--pid", tostring(server.pid), "--json",
    "--seconds", tostring(SECONDS), table.unpack(words or {}),
  }
  local code, printed, complaints, beside = bench.load(argv, SECONDS + PATIENCE, meanwhile)
  assert(code <= 1 and printed:find("^%s*{"), complaints)
  return cjson.decode(printed), beside
end

local function fanout(...)
  local words = { ... }
  return function(server)
    local all = { "--publish", url(server.source or server, "/publish"), table.unpack(words) }
    return (generate(server, "fanout", "/events", all))
  end
end

---A few readers, whose events fill a socket within the time, and then one more who does not read.
local function stalled(server)
  local words = { "--readers", "100", "--size", "16384", "--rate", "200" }
  local without = fanout(table.unpack(words))(server)
  local with = fanout("--stalled", "1", table.unpack(words))(server)
  with.without = without
  return with
end

local function sleep_until(moment)
  while clock.now() < moment do
    socket.sleep(moment - clock.now())
  end
end

local function ask(client)
  assert(client:send("GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n"))
  repeat
    local line = assert(client:receive("*l"))
  until line == "hello"
end

---Plain requests at a steady pace, on one connection. The time of an answer begins when its request
---was due, so that one long wait is not hidden by the requests that could not be sent meanwhile.
local function ask_steadily(server)
  local client = assert(socket.connect("127.0.0.1", server.port))
  client:settimeout(ANSWER_SECONDS)
  client:setoption("tcp-nodelay", true)
  local start, waits = clock.now() + 1, {}
  for i = 1, math.floor((SECONDS - 0.2) / EVERY) do
    sleep_until(start + i * EVERY)
    ask(client)
    waits[i] = (clock.now() - start - i * EVERY) * 1000
  end
  client:close()
  table.sort(waits)
  return { p50 = bench.median(waits), p99 = waits[math.ceil(#waits * 0.99)] }
end

local function firehose(server)
  local result, waits = generate(server, "firehose", "/firehose", { "--readers", "1" }, function()
    return ask_steadily(server)
  end)
  result.get_ms = waits
  return result
end

local function firehoses(server)
  return (generate(server, "firehose", "/firehose", { "--readers", "32" }))
end

---A stream of another server for each reader: what a relay costs while nothing comes, and for an
---event. Events come at a rate that all can follow.
local function relay(server)
  local readers = { "--readers", tostring(RELAYS) }
  local idle_figures = generate(server, "idle", "/events", readers)
  local result = fanout("--rate", "5", table.unpack(readers))(server)
  result.idle = idle_figures
  return result
end

local function churn(server)
  return (generate(server, "churn", "/first"))
end

---Many streams that do nothing, with one event to all of them now and then; and what memory stays
---when all have left.
local function idle(server)
  local words = { "--readers", tostring(STREAM_COUNT) }
  if not server.is_deaf then
    table.move({ "--publish", url(server, "/publish"), "--events", "5" }, 1, 4, #words + 1, words)
  end
  local resident, descriptors = bench.resident_bytes(server.pid), bench.descriptor_count(server.pid)
  local result = generate(server, "idle", server.events or "/events", words)
  bench.await("the end of all streams", PATIENCE, function()
    return bench.descriptor_count(server.pid) <= descriptors
  end)
  sleep_until(clock.now() + 1)
  result.kept_bytes = (bench.resident_bytes(server.pid) - resident) / STREAM_COUNT
  return result
end

local function plain(server)
  local argv = { "wrk", "-t1", "-c" .. WRK_CONNS, "-d" .. SECONDS .. "s", url(server, "/hello") }
  local cpu = bench.cpu_seconds(server.pid)
  local _, report = bench.load(argv, SECONDS + PATIENCE)
  cpu = bench.cpu_seconds(server.pid) - cpu
  assert(not report:find("Non-2xx", 1, true) and not report:find("Socket errors", 1, true), report)
  local count, took = report:match("(%d+) requests in ([%d.]+)s")
  return { cpu_us_per_request = cpu / count * 1e6, requests_per_second = count / took }
end

local function column(head, key, format, scale)
  return { head = head, key = key, format = format, scale = scale or 1 }
end

local function ratio(key)
  return { head = "of the limit", key = key, format = "%.2f", is_ratio = true }
end

local DELIVERY = {
  column("CPU a delivery, µs", "cpu_us_per_delivery", "%.2f"), ratio "cpu_us_per_delivery",
  column("thousand deliveries/s", "deliveries_per_second", "%.0f", 1e-3),
  ratio "deliveries_per_second",
  column("p50, ms", "latency_ms.p50", "%.2f"), column("p99, ms", "latency_ms.p99", "%.2f"),
}
local FIREHOSE = {
  column("million events/s", "events_per_second", "%.2f", 1e-6), ratio "events_per_second",
  column("CPU an event, µs", "cpu_us_per_event", "%.3f"), ratio "cpu_us_per_event",
}

local function with(columns, ...)
  local more = { ... }
  local all = table.move(columns, 1, #columns, 1, {})
  return table.move(more, 1, #more, #all + 1, all)
end

local ROOMS = {
  servers.lunesse, servers.limit, servers.nchan, servers.node, servers.better_sse,
}
local CROWDED = {
  servers.lunesse, servers.limit, servers.merged, servers.nchan, servers.node, servers.better_sse,
}
local POURING = {
  servers.lunesse, servers.limit, servers.merged, servers.nginx_lua, servers.node,
  servers.better_sse,
}
local STREAMING = {
  servers.lunesse, servers.parked, servers.limit, servers.nchan, servers.nginx_lua, servers.node,
  servers.better_sse,
}

local function room(name, title, opponents, ...)
  return {
    name = name, servers = opponents, load = fanout(...),
    tables = { { title = title, columns = DELIVERY } },
  }
end

return {
  seconds = SECONDS,
  room("fanout", "One event to 1 000 readers, 64 bytes", ROOMS),
  room("fanout-1k", "One event to 1 000 readers, 1 KiB", ROOMS, "--size", "1024"),
  room("burst", "16 publishers, 1 000 readers, 64 bytes", CROWDED, "--publishers", "16"),
  {
    name = "stalled", servers = ROOMS, load = stalled,
    tables = { {
      title = "One reader in a hundred does not read",
      note = "100 readers, 200 events a second of 16 KiB; then one more, who never reads. "
        .. "Latencies of those who do.",
      columns = {
        column("without: p50, ms", "without.latency_ms.p50", "%.2f"),
        column("p99", "without.latency_ms.p99", "%.2f"),
        column("with: p50, ms", "latency_ms.p50", "%.2f"),
        column("p99", "latency_ms.p99", "%.2f"),
        column("CPU a delivery, µs", "cpu_us_per_delivery", "%.2f"),
      },
    } },
  },
  {
    name = "firehose", servers = POURING, load = firehose,
    tables = { {
      title = "One stream as fast as it will go",
      note = "64 bytes an event; and how long a plain `GET` every 10 ms waits meanwhile. Node's "
        .. "scripts give way by hand at each `drain`. A script of nginx's has no cheap way to, so "
        .. "no one else is answered while the reader keeps up. In Lunesse the engine does so.",
      columns = with(FIREHOSE, column("GET, p50 ms", "get_ms.p50", "%.2f"),
        column("p99", "get_ms.p99", "%.2f")),
    } },
  },
  {
    name = "firehose-32", servers = POURING, load = firehoses,
    tables = { {
      title = "32 streams as fast as they will go",
      note = "Slowest and fastest are shares of what the median reader got.",
      columns = with(FIREHOSE, column("slowest", "evenness.min", "%.2f"),
        column("fastest", "evenness.max", "%.2f")),
    } },
  },
  {
    name = "idle", servers = STREAMING, load = idle,
    tables = {
      {
        title = ("%d idle streams"):format(STREAM_COUNT),
        note = "Memory is the process's own, without the kernel's. A parked handler is one that "
          .. "waits in the middle of its code; nginx's Lua module has no other. Measured before "
          .. "the first heartbeats of Lunesse; the others send none.",
        columns = {
          column("bytes a stream", "memory_bytes_per_stream", "%.0f"),
          column("kept when all have left", "kept_bytes", "%.0f"),
          column("CPU while idle, %", "idle_cpu_share", "%.2f", 100),
        },
      },
      {
        title = "Opening them",
        columns = {
          column("CPU a stream, µs", "cpu_us_per_connect", "%.1f"), ratio "cpu_us_per_connect",
          column("thousand streams/s", "connects_per_second", "%.1f", 1e-3),
        },
      },
      {
        title = "One event to all of them",
        is_of_rooms = true,
        columns = {
          column("CPU a delivery, µs", "cpu_us_per_delivery", "%.2f"),
          ratio "cpu_us_per_delivery",
          column("p50, ms", "latency_ms.p50", "%.1f"), column("last, ms", "latency_ms.max", "%.1f"),
        },
      },
    },
  },
  {
    name = "relay", load = relay,
    servers = { servers.lunesse_relay, servers.nginx_relay, servers.node_relay },
    tables = { {
      title = "A relay of 1 000 streams of another server",
      note = "Each reader has a stream of its own there. 5 events a second to each, 64 bytes.",
      columns = {
        column("CPU an event, µs", "cpu_us_per_delivery", "%.2f"),
        column("p50, ms", "latency_ms.p50", "%.2f"), column("p99, ms", "latency_ms.p99", "%.2f"),
        column("bytes a relay", "idle.memory_bytes_per_stream", "%.0f"),
        column("CPU to open one, µs", "idle.cpu_us_per_connect", "%.1f"),
      },
    } },
  },
  {
    name = "churn", load = churn, servers = ROOMS,
    tables = { {
      title = "Streams that come and go",
      note = "32 at a time connect, ask, get the head and one event, and leave.",
      columns = {
        column("CPU a connection, µs", "cpu_us_per_connection", "%.1f"),
        ratio "cpu_us_per_connection",
        column("thousand connections/s", "connections_per_second", "%.1f", 1e-3),
        column("p50, ms", "latency_ms.p50", "%.2f"), column("p99, ms", "latency_ms.p99", "%.2f"),
      },
    } },
  },
  {
    name = "plain", load = plain,
    servers = { servers.lunesse, servers.limit, servers.nginx_lua, servers.node },
    tables = { {
      title = "A plain GET of a two-line route",
      note = ("wrk, %d connections. Lunesse and nginx log each request."):format(WRK_CONNS),
      columns = {
        column("CPU a request, µs", "cpu_us_per_request", "%.2f"), ratio "cpu_us_per_request",
        column("thousand requests/s", "requests_per_second", "%.1f", 1e-3),
      },
    } },
  },
}
