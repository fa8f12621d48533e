-- The memory of an idle stream whose handler is parked, beside nginx with its Lua module: just
-- opened, after heartbeats, and what is left when all readers have gone.
local bench = require "spec.bench.bench"
local clock = require "spec.support.clock"

local STREAMS = tonumber(os.getenv("BENCH_STREAMS")) or 10000
local SPARE_DESCRIPTORS = 200
local HEARTBEAT = 3 -- the default is longer; the memory of a beat is the same
local OPEN_SECONDS = 30

local SCRIPT = [[
local lunesse = require "lunesse"
local server = lunesse.server()
server:get("/idle", function(request, response)
  response.sse:open()
  lunesse.sleep(1e6)
end)
server:get("/memory", function(request, response)
  response:send(("%d"):format(collectgarbage("count") * 1024))
end)
]]

local LOCATION = [[
    location /idle {
      default_type text/event-stream;
      content_by_lua_block {
        ngx.print(":\n\n")
        ngx.flush(true)
        ngx.sleep(1e6)
      }
    }
    location /memory { content_by_lua_block { ngx.print(collectgarbage("count") * 1024) } }
]]

-- Descriptors bound it: the server keeps a tenth of them for itself.
local function stream_count()
  local limits = assert(io.open("/proc/self/limits")):read("a")
  local descriptors = tonumber(limits:match("Max open files%s+(%d+)")) or math.huge
  local possible = math.min(STREAMS, descriptors * 9 // 10 - SPARE_DESCRIPTORS)
  if possible < STREAMS then
    print(("only %d streams: raise the limit of open files, which is %d\n"):format(possible,
      descriptors))
  end
  return math.tointeger(possible)
end

local function lua_bytes(server)
  local url = ("http://127.0.0.1:%d/memory"):format(server.port)
  return tonumber((bench.run({ "curl", "-sS", "-m5", url }, 10)))
end

local function await(what, seconds, condition)
  local deadline = clock.now() + seconds
  while not condition() do
    assert(clock.now() < deadline, what .. " took too long")
    clock.pause()
  end
end

local function look(server)
  local lua = lua_bytes(server)
  return { resident = bench.resident_bytes(server.pid), lua = lua }
end

local function let_pass(seconds)
  local over = clock.now() + seconds
  await("waiting", seconds + 1, function()
    return clock.now() >= over
  end)
end

local function fill(server, crowd, count)
  local descriptors = bench.descriptor_count(server.pid)
  local began = clock.now()
  local readers = bench.start { crowd, tostring(server.port), "/idle", tostring(count) }
  await("opening streams", OPEN_SECONDS, function()
    assert(not readers:has_ended(), readers:stderr())
    return readers:stdout():match("open=%d")
  end)
  server.seconds = clock.now() - began
  server.open = look(server)
  let_pass(2 * HEARTBEAT + 1)
  server.beaten = look(server)
  readers:kill()
  await("the end of all streams", OPEN_SECONDS, function()
    return bench.descriptor_count(server.pid) <= descriptors
  end)
  let_pass(2)
  server.after = look(server)
end

local function row(server, count)
  local function per_stream(moment, part)
    local now, before = server[moment], server.before
    if part == "rest" then
      return ("%.0f"):format((now.resident - now.lua - before.resident + before.lua) / count)
    end
    return ("%.0f"):format((now[part] - before[part]) / count)
  end
  return {
    server.name,
    per_stream("open", "resident"),
    per_stream("open", "lua"),
    per_stream("open", "rest"),
    per_stream("beaten", "resident"),
    ("%.1f"):format(server.before.resident / 2 ^ 20),
    ("%.1f"):format(server.open.resident / 2 ^ 20),
    ("%.1f"):format(server.after.resident / 2 ^ 20),
    ("%.1f"):format(server.seconds),
  }
end

bench.main("Idle streams with a parked handler", function()
  local crowd, count = bench.compile("crowd"), stream_count()
  local servers = {
    bench.lunesse(SCRIPT, { "--limit", "heartbeat=" .. HEARTBEAT }), bench.nginx(LOCATION),
  }
  local rows = { {
    "", "bytes a stream", "in Lua", "elsewhere", "after heartbeats", "RSS before, MiB", "open",
    "after all left", "s to open",
  } }
  for _, server in ipairs(servers) do
    lua_bytes(server)
    server.before = look(server)
    fill(server, crowd, count)
    rows[#rows + 1] = row(server, count)
  end
  bench.print_table(rows)
  print(("\n%d streams; nginx sends no heartbeats; ratio %.2f"):format(count,
    (servers[1].open.resident - servers[1].before.resident)
    / (servers[2].open.resident - servers[2].before.resident)))
end)
