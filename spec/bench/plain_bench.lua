-- Processor time of a plain GET of a two-line route, beside nginx with its Lua module and beside a
-- bare epoll loop, which is what the sockets alone cost.
local bench = require "spec.bench.bench"

local ROUNDS = tonumber(os.getenv("BENCH_ROUNDS")) or 5
local SECONDS = 2
local CONNS = 64

local SCRIPT = [[
local server = require("lunesse").server()
server:get("/hello", function(request, response)
  response:send("hello\n")
end)
]]

local LOCATION = [[
    location /hello { content_by_lua_block { ngx.say("hello") } }
]]

local function load(server, seconds)
  local url = ("http://127.0.0.1:%d/hello"):format(server.port)
  local cpu = bench.cpu_seconds(server.pid)
  local report = bench.run({ "wrk", "-t1", "-c" .. CONNS, "-d" .. seconds .. "s", url },
    seconds + 10)
  cpu = bench.cpu_seconds(server.pid) - cpu
  assert(not report:find("Non-2xx", 1, true) and not report:find("Socket errors", 1, true), report)
  local count, took = report:match("(%d+) requests in ([%d.]+)s")
  return cpu / count * 1e6, count / took
end

bench.main("A plain GET of a two-line route", function()
  local servers = { bench.lunesse(SCRIPT), bench.nginx(LOCATION), bench.epoll() }
  for _, server in ipairs(servers) do
    load(server, 1)
    server.micros, server.rates = {}, {}
  end
  for round = 1, ROUNDS do
    for _, server in ipairs(servers) do
      server.micros[round], server.rates[round] = load(server, SECONDS)
    end
  end
  local nginx, epoll = servers[2], servers[3]
  local rows = { { "", "CPU a request, µs", "of nginx-lua", "of bare epoll", "requests/s" } }
  for _, server in ipairs(servers) do
    rows[#rows + 1] = {
      server.name,
      bench.spread(server.micros, "%.2f"),
      bench.spread(bench.ratios(server.micros, nginx.micros), "%.2f"),
      bench.spread(bench.ratios(server.micros, epoll.micros), "%.2f"),
      bench.spread(server.rates, "%.0f"),
    }
  end
  bench.print_table(rows)
  print(("\nwrk, %d connections, %d rounds of %d s; access log to a file, but not for epoll")
    :format(CONNS, ROUNDS, SECONDS))
end)
