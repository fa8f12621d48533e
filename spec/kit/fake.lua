-- An engine that plays what a spec tells it, for the Lua half of the test kit: connections whose
-- server is a function of the spec, timers, and a clock. It has the methods of the real one.

local App = require "lunesse.test.app"

local fake = {}

local START = 1893456000
local DATE = "Date: Tue, 01 Jan 2030 00:00:00 GMT\r\n"

---The bytes of an answer: `head` is the status line's rest and fields that end with newlines.
function fake.answer(head, body)
  return "HTTP/1.1 " .. head:gsub("\n", "\r\n") .. DATE .. "\r\n" .. (body or "")
end

---An answer with a length.
function fake.text(status, body, fields)
  return fake.answer(("%s\nContent-Length: %d\n%s"):format(status, #body, fields or ""), body)
end

function fake.chunk(text)
  return ("%x\r\n%s\r\n"):format(#text, text)
end

---The head of an event stream, with the comment that opens it.
function fake.stream(fields)
  return fake.answer("200 OK\nContent-Type: text/event-stream\nTransfer-Encoding: chunked\n" ..
    (fields or "")) .. fake.chunk(":\n\n")
end

local Conn = {}
Conn.__index = Conn

-- What the kit calls.

function Conn:send(bytes)
  self.sent[#self.sent + 1] = bytes
  self.core.todo[#self.core.todo + 1] = self
end

function Conn:finish()
  self.is_finished = true
  self.core.todo[#self.core.todo + 1] = self
end

function Conn:leave()
  self.is_left, self.ended = true, "closed"
end

function Conn:window(bytes)
  self.room = bytes or math.huge
end

function Conn:take()
  local count = math.min(#self.out, self.room)
  local bytes = self.out:sub(1, count)
  self.out, self.room = self.out:sub(count + 1), self.room - count
  return bytes
end

function Conn:state()
  return self.out == "" and self.ended or "open"
end

function Conn:worker()
  return self.number
end

-- What the spec's server calls.

function Conn:say(bytes)
  self.out = self.out .. bytes
end

---All that has been received.
function Conn:received()
  return table.concat(self.sent)
end

---The server ends the connection: "closed" or "reset".
function Conn:close(how)
  self.ended = how or "closed"
end

local Core = {}
Core.__index = Core

function Core:connect(options)
  self.connections[#self.connections + 1] = setmetatable({
    core = self, options = options, sent = {}, out = "", room = options.window or math.huge,
    number = options.worker or #self.connections % self.workers + 1,
  }, Conn)
  return self.connections[#self.connections]
end

function Core:turn()
  local todo = self.todo
  self.todo = {}
  self.turns = self.turns + 1
  for _, conn in ipairs(todo) do
    if not conn.ended then
      if conn.is_finished then
        conn:close()
      else
        self.serve(conn, table.concat(conn.sent), self)
      end
    end
  end
  return #todo > 0
end

---Calls `fn` in `seconds`.
function Core:at(seconds, fn)
  self.timers[#self.timers + 1] = { due = self.time + seconds, fn = fn }
  table.sort(self.timers, function(a, b)
    return a.due < b.due
  end)
end

function Core:next()
  return self.timers[1] and math.max(0, self.timers[1].due - self.time) or nil
end

function Core:advance(seconds)
  self.time = self.time + seconds
  local due = {}
  while self.timers[1] and self.timers[1].due <= self.time + 1e-9 do
    due[#due + 1] = table.remove(self.timers, 1)
  end
  for _, timer in ipairs(due) do
    timer.fn()
  end
end

function Core:now()
  return self.time
end

function Core:log()
  local new = self.records
  self.records = {}
  return new
end

function Core:channel(name)
  return self.channels[name]
end

function Core:signal(name)
  self.signals[#self.signals + 1] = name
  for _, conn in ipairs(self.connections) do
    conn.ended = conn.ended or "closed"
  end
end

function Core:left()
  return self.remains, #self.remains > 0
end

function Core:reload(options)
  self.reloaded = options
  return self.reload_answer ~= false or nil, "a.lua:1: broken"
end

function Core:fail(what, is_on)
  if what ~= "memory" then
    return nil, "no such fault"
  end
  self.failing = is_on
  return true
end

function Core:stop()
  self.stops = self.stops + 1
  return true
end

---An app over such an engine, and the engine. `serve(conn, received, core)` is called whenever a
---connection has received something; `received` is all of it.
function fake.app(serve, options)
  local core = setmetatable({
    serve = serve or function() end, connections = {}, todo = {}, timers = {}, records = {},
    channels = {}, signals = {}, remains = {}, time = START, turns = 0, stops = 0,
    workers = options and options.workers or 1,
  }, Core)
  return App.new(core), core
end

return fake
