-- Streams with a handler that come and go and come back, read as a browser would: an end is not a
-- failure when the server has said when to come back, and what comes is counted, one after the
-- other.
local socket = require "socket"

local TICKS_MAX = 100 -- after which, at the latest, one leaves by itself
local PATHS = { "/soak/timer", "/soak/loop", "/soak/timer?pulse=1" }
local LAST_CHUNK = "0\r\n\r\n"
local RETURN = "\nretry: %d+\n" -- in the last lines of a stream that the server ends

local Visitors = {}
Visitors.__index = Visitors

---Begins visit `i`, in the place of the one that is over.
local function visit(self, i)
  local client = assert(socket.connect("127.0.0.1", self.port))
  client:settimeout(0)
  assert(client:send(("GET %s HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
    :format(PATHS[i % #PATHS + 1])))
  self.clients[i] = client
  self.visits[client] = { i = i, held = "", ticks = 0, leaves_at = math.random(TICKS_MAX) }
  self.begun_count = self.begun_count + 1
end

---Opens `count` streams of the server's.
function Visitors.open(server, count)
  local self = setmetatable({
    port = server.port, clients = {}, visits = {},
    begun_count = 0, tick_count = 0, ended_count = 0, complete_count = 0, lost_count = 0,
    wrong_count = 0,
  }, Visitors)
  for i = 1, count do
    visit(self, i)
  end
  return self
end

local function leave(self, client)
  client:close()
  self.visits[client] = nil
end

---Takes all events that are there: ticks count up from 1, and pulses come between.
local function take(self, state)
  local last = 1
  for number, next_at in state.held:gmatch("\ndata: tick (%d+)\n\n()") do
    state.ticks = state.ticks + 1
    self.wrong_count = self.wrong_count + (tonumber(number) == state.ticks and 0 or 1)
    self.tick_count, last = self.tick_count + 1, next_at
  end
  state.held = state.held:sub(math.max(last, #state.held - 4096))
end

local function read(self, client)
  local state = self.visits[client]
  local bytes, why, rest = client:receive(65536)
  state.held = state.held .. (bytes or rest)
  take(self, state)
  local is_complete = state.held:sub(-#LAST_CHUNK) == LAST_CHUNK -- the connection is kept
  if is_complete then
    self.complete_count = self.complete_count + 1
  elseif why == "closed" and state.held:find(RETURN) then
    self.ended_count = self.ended_count + 1
  elseif why == "closed" then
    self.lost_count = self.lost_count + 1
  end
  if is_complete or why == "closed" or state.ticks >= state.leaves_at then
    leave(self, client)
    visit(self, state.i)
  end
end

---Waits for `seconds` at most and reads what has come.
function Visitors:turn(seconds)
  socket.sleep(seconds) -- so that one turn has much to read
  for _, client in ipairs(socket.select(self.clients, nil, 0)) do
    read(self, client)
  end
end

function Visitors:close()
  for _, client in ipairs(self.clients) do
    leave(self, client)
  end
  self.clients = {}
end

return Visitors
