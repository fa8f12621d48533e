-- A raw client. It sends any bytes, cut anywhere, and can be as slow, half-open or rude as peers
-- are. What it reads is kept in a buffer until it is asked for; every wait has a deadline.

local socket = require "socket"
local unix = require "socket.unix"
local posix = require "spec_posix"
require "spec.support.kit"
local clock = require "spec.support.clock"
local http = require "lunesse.test.http"
local requests = require "lunesse.test.request"

local RECEIVE_SECONDS = 5
local FLUSH_SECONDS = 0.25
local READ_SIZE = 65536

local wire = { responses = http.responses, request = requests.bytes }

local Client = {}
Client.__index = Client
wire.Client = Client

local function new_socket(where)
  local path = type(where) == "table" and where.unix or type(where) == "string" and where
  if path then
    return assert(unix.stream()), path
  end
  return assert(socket.tcp4()), nil, type(where) == "table" and where.port or where
end

---Connects to a server object, a port of 127.0.0.1, or the path of a Unix socket. Options:
---`receive_buffer` (bytes; small makes a reader that fills up soon), `host`. A server in the test
---kit has connections of its own.
function wire.connect(where, options)
  options = options or {}
  if type(where) == "table" and where.app then
    return where:connect(options)
  end
  local peer, path, port = new_socket(where)
  if options.receive_buffer then
    assert(peer:setoption("recv-buffer-size", options.receive_buffer))
  end
  peer:settimeout(RECEIVE_SECONDS * clock.slow)
  if path then
    assert(peer:connect(path))
  else
    assert(peer:connect(options.host or "127.0.0.1", port))
    assert(peer:setoption("tcp-nodelay", true))
  end
  local local_port = not path and select(2, peer:getsockname()) or nil
  return setmetatable({
    socket = peer, port = port, local_port = tonumber(local_port), buffer = "", ended = nil,
  }, Client)
end

---The moment that is so many seconds from now.
function Client.deadline(_, seconds)
  return clock.deadline(seconds)
end

---How many seconds it is until `deadline`.
function Client.left(_, deadline)
  return (deadline - clock.now()) / clock.slow
end

---Sends all of `bytes`: true, or nil and why ("closed": the peer does not read any more).
function Client:send(bytes)
  self.socket:settimeout(RECEIVE_SECONDS * clock.slow)
  local sent, why = self.socket:send(bytes)
  if not sent then
    return nil, why
  end
  return true
end

---Sends as much of `bytes` as goes without waiting; returns how many bytes that were.
function Client:send_some(bytes)
  self.socket:settimeout(0)
  local sent, _, partly = self.socket:send(bytes)
  return sent or partly
end

---The line of /proc/net/tcp that is the server's end of this connection: bytes it has not read yet.
function Client:_unread_bytes()
  local pattern = ("^%%s*%%d+: %%x+:%04X %%x+:%04X %%x+ %%x+:(%%x+)"):format(
    self.port, self.local_port)
  for line in io.lines("/proc/net/tcp") do
    local unread = line:match(pattern)
    if unread then
      return tonumber(unread, 16)
    end
  end
  return 0
end

---Waits until the peer has read everything that was sent, so that what is sent next meets another
---read. Gives up after a quarter of a second: a server under pressure does not read, and may be
---right.
function Client:flush()
  local deadline = clock.deadline(FLUSH_SECONDS)
  if not self.local_port then
    clock.pause()
    return
  end
  while self:_unread_bytes() > 0 and clock.now() < deadline do
    clock.pause()
  end
end

---Sends `bytes` in two pieces, the first of `at` bytes, that arrive in two reads.
function Client:send_cut(bytes, at)
  local ok, why = self:send(bytes:sub(1, at))
  if not ok then
    return nil, why
  end
  self:flush()
  return self:send(bytes:sub(at + 1))
end

---Sends `bytes` one at a time (or `step` at a time), each in a read of its own. Stops without
---complaint when the peer has closed, as it may have answered already.
function Client:send_bytewise(bytes, step)
  step = step or 1
  for at = 1, #bytes, step do
    if not self:send(bytes:sub(at, at + step - 1)) then
      return
    end
    self:flush()
  end
end

---Takes in what arrives (at most `size` bytes of it), waiting for something until `deadline`: true,
---or nil and why ("timeout", "closed" for an orderly end, "reset"). After an end it answers that
---for ever.
function Client:_fill(deadline, size)
  if self.ended then
    return nil, self.ended
  end
  local bytes, why
  repeat
    local left = deadline - clock.now()
    bytes, why = posix.receive(self.socket:getfd(), size or READ_SIZE,
      math.ceil(math.max(0, left) * 1000))
  until bytes or why ~= "timeout" or left <= 0
  if not bytes then
    self.ended = why ~= "timeout" and why or nil
    return nil, why
  end
  self.buffer = self.buffer .. bytes
  return true
end

---Fills the buffer until `is_enough(buffer)` answers something true, and returns that; nil and why
---when the time or the connection is over before.
function Client:_fill_until(is_enough, seconds)
  local deadline = self:deadline(seconds or RECEIVE_SECONDS)
  while true do
    local answer = is_enough(self.buffer)
    if answer then
      return answer
    end
    local ok, why = self:_fill(deadline)
    if not ok then
      return nil, why
    end
  end
end

function Client:_take(count)
  local bytes = self.buffer:sub(1, count)
  self.buffer = self.buffer:sub(count + 1)
  return bytes
end

---What has arrived, waiting for at least one byte; nil and why when there is none.
function Client:receive_some(seconds)
  local ok, why = self:_fill_until(function(buffer)
    return #buffer > 0
  end, seconds)
  if not ok then
    return nil, why
  end
  return self:_take(#self.buffer)
end

---Exactly `count` bytes; nil, why, and what there was.
function Client:receive(count, seconds)
  local ok, why = self:_fill_until(function(buffer)
    return #buffer >= count
  end, seconds)
  if not ok then
    return nil, why, self:_take(#self.buffer)
  end
  return self:_take(count)
end

---Everything through the first occurrence of the plain text `ending`; nil, why, and what there was.
function Client:receive_until(ending, seconds)
  local stop, why = self:_fill_until(function(buffer)
    return select(2, buffer:find(ending, 1, true))
  end, seconds)
  if not stop then
    return nil, why, self:_take(#self.buffer)
  end
  return self:_take(stop)
end

---Everything until the connection ends, and how it ended: "closed", "reset" or "timeout".
function Client:receive_all(seconds)
  local parts = { self:_take(#self.buffer) }
  local deadline = self:deadline(seconds or RECEIVE_SECONDS)
  while self:_fill(deadline) do
    parts[#parts + 1] = self:_take(#self.buffer)
  end
  return table.concat(parts), self.ended or "timeout"
end

---As `receive_all`, but taken from the kernel `step` bytes at a time.
function Client:receive_slowly(step, seconds)
  local parts = { self:_take(#self.buffer) }
  local deadline = self:deadline(seconds or RECEIVE_SECONDS)
  while self:_fill(deadline, step) do
    parts[#parts + 1] = self:_take(#self.buffer)
  end
  return table.concat(parts), self.ended or "timeout"
end

---The next response, parsed strictly. Raises when it is malformed, cut off or does not come.
---@param method? string  the request's method; HEAD has no body
function Client:response(method, seconds)
  local function parse(buffer)
    local response, after = http.parse(buffer, 1, method or "GET", self.ended ~= nil)
    return response and { response, after }
  end
  local found, why = self:_fill_until(parse, seconds)
  found = found or (self.ended and parse(self.buffer))
  if not found then
    error(("no complete response (%s): %q"):format(why, self.buffer:sub(1, 2000)), 2)
  end
  self:_take(found[2] - 1)
  return found[1]
end

---The head of the next final response alone, for streams; interim responses are in `interim`.
function Client:head(seconds)
  local interim = {}
  while true do
    local head, why = self:_fill_until(function(buffer)
      local response, after = http.parse_head(buffer, 1)
      return response and { response, after }
    end, seconds)
    if not head then
      error(("no complete head (%s): %q"):format(why, self.buffer:sub(1, 2000)), 2)
    end
    self:_take(head[2] - 1)
    if head[1].status >= 200 then
      head[1].interim = interim
      return head[1]
    end
    interim[#interim + 1] = head[1]
  end
end

---Whether nothing arrives for `seconds` (default 0.05): neither bytes nor an end.
function Client:is_silent(seconds)
  local _, why = self:_fill_until(function(buffer)
    return #buffer > 0
  end, (seconds or 0.05) / clock.slow)
  return why == "timeout"
end

---Closes the sending side; what the server still says can be read.
function Client:finish_sending()
  self.socket:shutdown("send")
end

---From now on it takes no packet and answers none: the network between the two is gone.
function Client:vanish()
  assert(posix.deafen(self.socket:getfd()))
end

---Ends the connection with a reset (RST), as a crashed or impatient peer does.
function Client:reset()
  self.socket:setoption("linger", { on = true, timeout = 0 })
  self.socket:close()
  self.ended = "reset"
end

function Client:close()
  self.socket:close()
  self.ended = self.ended or "closed"
end

---Sends `bytes` on a new connection and returns the strictly parsed answers to `methods`.
function wire.exchange(where, bytes, methods)
  local client = wire.connect(where)
  client:send(bytes)
  local responses = {}
  for i, method in ipairs(methods or { "GET" }) do
    responses[i] = client:response(method)
  end
  client:close()
  return responses
end

---Runs `check(client, at)` on a new connection for each way to cut `bytes` in two, and at last with
---every byte sent alone (`at` is then "bytewise"). The input has been sent when `check` is called.
---@param where any
---@param bytes string
---@param check fun(client: table, at: integer | "bytewise")
function wire.cut_everywhere(where, bytes, check)
  for at = 1, #bytes - 1 do
    local client = wire.connect(where)
    client:send_cut(bytes, at)
    check(client, at)
    client:close()
  end
  local client = wire.connect(where)
  client:send_bytewise(bytes)
  check(client, "bytewise")
  client:close()
end

return wire
