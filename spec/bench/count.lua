-- `make count`: what does not drift with the machine. Callgrind counts the instructions that the
-- program executes for a stream that opens and leaves, for a plain request, and for the delivery of
-- an event to one reader. Each figure is the difference of two runs that differ only in their
-- number of operations, so that starting and stopping are not in it.
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

-- The instructions of the program while `work(server)` is done: all threads, from start to end.
local function instructions(work)
  local out = os.tmpname()
  local server = Server.start(SCRIPT, { workers = 1, wrap = {
    "valgrind", "-q", "--tool=callgrind", "--callgrind-out-file=" .. out,
  }, args = { "--log-level", "error" } })
  work(server)
  server:stop { seconds = STOP_SECONDS }
  local total = Process.read_file(out):match("\nsummary: (%d+)")
  os.remove(out)
  return math.tointeger(total)
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

-- Instructions of one operation, when `work(more)` does `operations` more of them than `work(few)`.
local function count(work, few, more, operations)
  local figures = {}
  for i = 1, ROUNDS do
    figures[i] = (instructions(work(more)) - instructions(work(few))) / operations
  end
  table.sort(figures)
  return figures[(ROUNDS + 1) // 2], figures[1], figures[ROUNDS]
end

local function report(what, ...)
  print(("%-52s %8.0f (%.0f to %.0f)"):format(what, ...))
end

print("instructions, median of " .. ROUNDS .. " rounds (smallest to largest)")
report("a stream that opens, gets an event and leaves", count(visit_streams, 100, 400, 300))
report("a plain request on an open connection", count(ask, 100, 400, 300))
report("an event delivered to one reader", count(deliver, 10, 60, 50 * EVENTS))
