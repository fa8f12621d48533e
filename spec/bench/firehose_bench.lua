-- One stream as fast as it will go, from a Lua loop to one reader, beside nginx with its Lua
-- module; and how long a plain GET of the same server waits meanwhile.
local bench = require "spec.bench.bench"

local ROUNDS = tonumber(os.getenv("BENCH_ROUNDS")) or 5
local SECONDS = 3
local EVERY_MS = 10

local SCRIPT = [[
local server = require("lunesse").server()
server:get("/firehose", function(request, response)
  local sse = response.sse
  while true do
    sse:send("hello")
  end
end)
server:get("/hello", function(request, response)
  response:send("hello\n")
end)
]]

-- What a script there writes: each event is printed and flushed.
local LOCATIONS = [[
    location /firehose {
      default_type text/event-stream;
      content_by_lua_block {
        repeat
          ngx.print("data: hello\n\n")
        until not ngx.flush(true)
      }
    }
    location /hello { content_by_lua_block { ngx.say("hello") } }
]]

local function measure(server, reader, pace)
  local port = tostring(server.port)
  local cpu = bench.cpu_seconds(server.pid)
  local reading = bench.start { reader, port, "/firehose", tostring(SECONDS) }
  local asking = bench.start {
    pace, port, "/hello", tostring(SECONDS - 0.2), tostring(EVERY_MS), "hello\n",
  }
  local read = bench.numbers(bench.join(reading, SECONDS + 10))
  cpu = bench.cpu_seconds(server.pid) - cpu
  local asked = bench.numbers(bench.join(asking, SECONDS + 10))
  return {
    rate = read.events / read.seconds / 1e6,
    cpu = cpu / read.events * 1e6,
    p50 = asked.p50 / 1000,
    p99 = asked.p99 / 1000,
  }
end

bench.main("One stream as fast as it will go", function()
  local reader, pace = bench.compile("reader"), bench.compile("pace")
  local servers = { bench.lunesse(SCRIPT), bench.nginx(LOCATIONS) }
  local figures = { "rate", "cpu", "p50", "p99" }
  for _, server in ipairs(servers) do
    server.rate, server.cpu, server.p50, server.p99 = {}, {}, {}, {}
  end
  for round = 1, ROUNDS do
    for _, server in ipairs(servers) do
      local result = measure(server, reader, pace)
      for _, figure in ipairs(figures) do
        server[figure][round] = result[figure]
      end
    end
  end
  local rows = { {
    "", "million events/s", "of nginx-lua", "CPU an event, µs", "GET meanwhile, p50 ms", "p99 ms",
  } }
  for _, server in ipairs(servers) do
    rows[#rows + 1] = {
      server.name,
      bench.spread(server.rate, "%.2f"),
      bench.spread(bench.ratios(server.rate, servers[2].rate), "%.2f"),
      bench.spread(server.cpu, "%.3f"),
      bench.spread(server.p50, "%.2f"),
      bench.spread(server.p99, "%.2f"),
    }
  end
  bench.print_table(rows)
  print(("\none reader, %d rounds of %d s; a GET every %d ms"):format(ROUNDS, SECONDS, EVERY_MS))
end)
