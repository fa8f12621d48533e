-- `make count`: what does not drift with the machine. Callgrind counts the instructions that the
-- program executes for a stream that opens and leaves, for a plain request, and for the delivery of
-- an event to one reader. Each figure is the difference of two runs that differ only in their
-- number of operations, so that starting and stopping are not in it.
--
-- What Lua, libc and libuv execute is told apart from what the program's own file does. For a
-- request and a delivery, the program's own figure is the same in every run to a few instructions,
-- so it shows the smallest change. For a stream both figures vary by several per cent: Lua's
-- collector works by the clock, and the clock decides how many turns of the loop a visit takes.
-- Compare only medians there.
--
--   LUNESSE_BIN=/path/to/another/lunesse make count     counts another build, for a comparison
local build = assert(os.getenv("LUNESSE_BUILD"), "LUNESSE_BUILD is not set; type: make count")
package.cpath = build .. "/?.so;" .. package.cpath

local Process = require "spec.support.process"
local Server = require "spec.support.server"
local wire = require "spec.support.wire"

local STOP_SECONDS = 30
local ROUNDS = 3

local SCRIPT = [[
local lunesse = require "lunesse"
local server = lunesse.server()
local room = lunesse.channel("room")
server:get("/", function(_, response)
  response:send("moon")
end)
server:get("/events", function(_, response)
  response.sse:subscribe(room)
  response.sse:send("hello")
end)
server:post("/publish", function(request, response)
  room:publish("said", request:text())
  response:send("")
end)
]]

-- The instructions that callgrind's file `text` counts: all, and those of the program's own file.
-- A line of costs belongs to the object and function named before it; the line after `calls=` says
-- what a call cost below, and that is counted where it was spent.
local function costs(text)
  local binary = Server.binary():match("[^/]+$")
  local names, object, is_call, own = {}, nil, false, 0
  for line in text:gmatch("[^\n]+") do
    local key, id, name = line:match("^(c?ob)=(%(%d+%))%s*(.*)")
    local cost = line:match("^[%d+*-]%S* (%d+)$")
    if key then
      names[id] = name ~= "" and name or names[id]
      object = key == "ob" and names[id]:match("[^/]+$") or object
    elseif cost and not is_call and object == binary then
      own = own + math.tointeger(cost)
    end
    is_call = line:find("^calls=") ~= nil
  end
  return { all = math.tointeger(text:match("\nsummary: (%d+)")), own = own }
end

-- The costs of the program while `work(server)` is done: all threads, from start to end.
local function costs_of(work)
  local out = os.tmpname()
  local server = Server.start(SCRIPT, { workers = 1, wrap = {
    "valgrind", "-q", "--tool=callgrind", "--callgrind-out-file=" .. out,
  }, args = { "--log-level", "error" } })
  work(server)
  server:stop { seconds = STOP_SECONDS }
  local text = Process.read_file(out)
  os.remove(out)
  return costs(text)
end

-- Opens a stream and waits for its first event.
local function open(server)
  local client = server:connect()
  client:send(wire.request { target = "/events", headers = { Accept = "text/event-stream" } })
  assert(client:receive_until("data: hello\n\n", 30))
  return client
end

local function visit_streams(count)
  return function(server)
    for _ = 1, count do
      open(server):close()
    end
  end
end

local function ask(count)
  return function(server)
    local client = server:connect()
    for _ = 1, count do
      client:send(wire.request {})
      assert(client:response("GET", 30))
    end
    client:close()
  end
end

local EVENTS = 200

local function deliver(reader_count)
  return function(server)
    local readers, publisher = {}, server:connect()
    for i = 1, reader_count do
      readers[i] = open(server)
    end
    for i = 1, EVENTS do
      publisher:send(wire.request { method = "POST", target = "/publish", body = "event " .. i })
      assert(publisher:response("POST", 30))
      for _, reader in ipairs(readers) do
        assert(reader:receive_until("data: event " .. i .. "\n\n", 30))
      end
    end
  end
end

-- Median, smallest and largest of `figures`.
local function spread(figures)
  table.sort(figures)
  local median = figures[(#figures + 1) // 2]
  return ("%8.0f (%.0f to %.0f)"):format(median, figures[1], figures[#figures])
end

-- Instructions of one operation, when `work(more)` does `operations` more of them than `work(few)`.
local function report(what, work, few, more, operations)
  local all, own = {}, {}
  for i = 1, ROUNDS do
    local costs_more, costs_few = costs_of(work(more)), costs_of(work(few))
    all[i] = (costs_more.all - costs_few.all) / operations
    own[i] = (costs_more.own - costs_few.own) / operations
  end
  print(("%-46s %-26s %s"):format(what, spread(all), spread(own)))
end

print("instructions, median of " .. ROUNDS .. " rounds (smallest to largest)")
print(("%-46s %-26s %s"):format("", "     all", "     without libraries"))
report("a stream that opens, gets an event and leaves", visit_streams, 100, 2100, 2000)
report("a plain request on an open connection", ask, 100, 2100, 2000)
report("an event delivered to one reader", deliver, 10, 60, 50 * EVENTS)
