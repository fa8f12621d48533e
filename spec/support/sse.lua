-- A strict reader of event streams, written from the WHATWG standard (HTML, 9.2.5 and 9.2.6) and
-- not from our encoder. Bytes may come in any cut. It also looks at the chunks they came in,
-- because each event has to be one chunk of its own.

local wire = require "spec.support.wire"
local clock = require "spec.support.clock"

local sse = {}

local Parser = {}
Parser.__index = Parser

---A parser at the start of a stream. `events` are those dispatched, each `{ type, data, id }` with
---the last event id of that moment; `comments` the texts behind the colon; `retry_ms` the last
---valid retry; `last_event_id`; `unknown` the names of fields that the standard does not know;
---`is_utf8` whether all lines were valid UTF-8.
function sse.parser()
  return setmetatable({
    events = {}, comments = {}, unknown = {}, last_event_id = "", retry_ms = nil, is_utf8 = true,
    _line = "", _is_start = true, _after_cr = false, _data = nil, _type = "", _id = "",
  }, Parser)
end

---A dispatch (empty line). Without a data field nothing reaches the page.
function Parser:_dispatch()
  self.last_event_id = self._id
  local data = self._data
  local type = self._type
  self._data, self._type = nil, ""
  if data == nil then
    return
  end
  self.events[#self.events + 1] = {
    type = type ~= "" and type or "message",
    data = data:sub(1, -2),
    id = self.last_event_id,
  }
end

function Parser:_field(name, value)
  if name == "event" then
    self._type = value
  elseif name == "data" then
    self._data = (self._data or "") .. value .. "\n"
  elseif name == "id" then
    if not value:find("\0", 1, true) then
      self._id = value
    end
  elseif name == "retry" then
    if value:find("^%d+$") then
      self.retry_ms = tonumber(value)
    end
  else
    self.unknown[#self.unknown + 1] = name
  end
end

function Parser:_take_line(line)
  if not utf8.len(line) then
    self.is_utf8 = false
  end
  local colon = line:find(":", 1, true)
  if line == "" then
    self:_dispatch()
  elseif colon == 1 then
    self.comments[#self.comments + 1] = line:sub(2)
  elseif colon then
    local value = line:sub(colon + 1)
    self:_field(line:sub(1, colon - 1), value:sub(1, 1) == " " and value:sub(2) or value)
  else
    self:_field(line, "")
  end
end

---Drops one byte order mark from the very start; false while too little is there to know.
function Parser:_skip_bom(bytes)
  local BOM = "\xEF\xBB\xBF"
  self._line = self._line .. bytes
  if #self._line < #BOM and self._line == BOM:sub(1, #self._line) then
    return nil
  end
  bytes, self._line = self._line, ""
  self._is_start = false
  return bytes:sub(1, 3) == BOM and bytes:sub(4) or bytes
end

---Takes the next bytes in and returns the events that they completed.
---@param bytes string
---@return table[] events
function Parser:feed(bytes)
  local count = #self.events
  if self._is_start and #bytes > 0 then
    bytes = self:_skip_bom(bytes) or ""
  end
  local position = 1
  while position <= #bytes do
    if self._after_cr and bytes:sub(position, position) == "\n" then
      position = position + 1
    end
    self._after_cr = false
    local stop = bytes:find("[\r\n]", position)
    self._line = self._line .. bytes:sub(position, (stop or #bytes + 1) - 1)
    if not stop then
      break
    end
    local line = self._line
    self._line = ""
    self:_take_line(line)
    self._after_cr = bytes:sub(stop, stop) == "\r"
    position = stop + 1
  end
  return table.move(self.events, count + 1, #self.events, 1, {})
end

---Whether the parser stands between two events: nothing of an event or a line has been seen since.
function Parser:is_between_events()
  return self._line == "" and self._data == nil and self._type == "" and
    self._id == self.last_event_id
end

---All events of a complete stream of `bytes`.
function sse.parse(bytes)
  local parser = sse.parser()
  parser:feed(bytes)
  return parser.events, parser
end

local Chunked = {}
Chunked.__index = Chunked

---A strict decoder of the chunked coding: no extensions, no trailers, exact line ends. `chunks` are
---the complete ones so far, `is_done` whether the last one came.
function sse.chunked()
  return setmetatable({ chunks = {}, is_done = false, _bytes = "" }, Chunked)
end

local function check(is_true, what, bytes)
  if not is_true then
    error(("malformed chunk: %s in %q"):format(what, bytes:sub(1, 80)), 0)
  end
end

---The chunk at `position` of the bytes held, and what follows it; nil while it is not complete.
function Chunked:_next(position)
  local bytes = self._bytes
  local size = bytes:match("^(%x+)\r\n", position)
  if not size then
    local rest = bytes:sub(position, position + 20)
    check(rest:find("^%x*\r?$") and #rest < 20, "size line", rest)
    return nil
  end
  local len, start = tonumber(size, 16), position + #size + 2
  local ending = bytes:sub(start + len, start + len + 1)
  if #ending > 0 then
    check(ending == ("\r\n"):sub(1, #ending), "ending", bytes:sub(start + len))
  end
  if #ending < 2 then
    return nil
  end
  return bytes:sub(start, start + len - 1), start + len + 2
end

---Takes the next bytes in and returns the payloads of the chunks that they completed.
---@return string[] chunks
function Chunked:feed(bytes)
  self._bytes = self._bytes .. bytes
  local new, position = {}, 1
  while not self.is_done do
    local chunk, after = self:_next(position)
    if not chunk then
      break
    end
    position = after
    if chunk == "" then
      self.is_done = true
    else
      new[#new + 1] = chunk
      self.chunks[#self.chunks + 1] = chunk
    end
  end
  self._bytes = self._bytes:sub(position)
  check(not self.is_done or self._bytes == "", "bytes behind the last chunk", self._bytes)
  return new
end

local Stream = {}
Stream.__index = Stream

---A stream over a connection whose head has been read. `events` as in the parser, each with
---`is_chunk`: whether it came as exactly one chunk that held nothing else.
function sse.stream(client, head)
  local is_chunked = head.headers["transfer-encoding"] ~= nil
  return setmetatable({
    client = client, head = head, parser = sse.parser(), _taken = 0,
    chunked = is_chunked and sse.chunked() or nil, _parts = {},
  }, Stream)
end

---Opens the event stream `target` of a server and reads its head. Options: `method`, `headers`,
---`body`, `version`, `last_event_id`, `seconds`, `receive_buffer`. Raises unless the head is that
---of a stream.
---@return table stream
function sse.open(where, target, options)
  options = options or {}
  local headers = { ["Accept"] = "text/event-stream", ["Last-Event-ID"] = options.last_event_id }
  for name, value in pairs(options.headers or {}) do
    headers[name] = value
  end
  local client = wire.connect(where, options)
  client:send(wire.request {
    method = options.method, target = target, version = options.version,
    headers = headers, body = options.body,
  })
  local head = client:head(options.seconds)
  local mime = head.headers["content-type"] or "none"
  if head.status ~= 200 or not mime:find("^text/event%-stream") then
    client:close()
    error(("no event stream: status %d, type %s"):format(head.status, mime), 2)
  end
  return sse.stream(client, head)
end

---All bytes of the body so far, as they were on the wire.
function Stream:bytes()
  return table.concat(self._parts)
end

function Stream:_feed(bytes)
  self._parts[#self._parts + 1] = bytes
  if not self.chunked then
    self.parser:feed(bytes)
    return
  end
  for _, chunk in ipairs(self.chunked:feed(bytes)) do
    local is_boundary = self.parser:is_between_events()
    local events = self.parser:feed(chunk)
    for _, event in ipairs(events) do
      event.is_chunk = is_boundary and #events == 1 and self.parser:is_between_events()
    end
  end
end

---Takes in whatever has arrived, waiting until `deadline` for something. False when there is no
---more.
function Stream:_read(deadline)
  local bytes, why = self.client:receive_some((deadline - clock.now()) / clock.slow)
  if bytes then
    self:_feed(bytes)
    return true
  end
  return false, why
end

---Reads until `is_enough()` answers true; nil and why ("timeout", "closed", "reset") otherwise.
function Stream:read_until(is_enough, seconds)
  local deadline = clock.deadline(seconds or 2)
  while not is_enough() do
    local ok, why = self:_read(deadline)
    if not ok then
      return nil, why
    end
  end
  return true
end

---The next event; raises when none comes in time (default 2 s).
function Stream:event(seconds)
  local ok, why = self:read_until(function()
    return #self.parser.events > self._taken
  end, seconds)
  if not ok then
    error(("no event came (%s); the stream so far: %q"):format(why, self:bytes():sub(-500)), 2)
  end
  self._taken = self._taken + 1
  return self.parser.events[self._taken]
end

---The next `count` events.
function Stream:take(count, seconds)
  local events = {}
  for i = 1, count do
    events[i] = self:event(seconds)
  end
  return events
end

---The text of the next comment that has not been asked for; raises when none comes in time.
function Stream:comment(seconds)
  self._comments = (self._comments or 0) + 1
  local ok, why = self:read_until(function()
    return #self.parser.comments >= self._comments
  end, seconds)
  if not ok then
    error(("no comment came (%s); the stream so far: %q"):format(why, self:bytes():sub(-500)), 2)
  end
  return self.parser.comments[self._comments]
end

---Reads to the end. Returns how it ended: "done" (a proper last chunk), "closed" (end of input;
---proper for a stream without chunks), "reset" or "timeout". With chunks, "closed" means cut off.
function Stream:finish(seconds)
  local _, why = self:read_until(function()
    return self.chunked and self.chunked.is_done
  end, seconds)
  return why or "done"
end

---Whether nothing arrives for `seconds` (default 0.05).
function Stream:is_silent(seconds)
  return self.client:is_silent(seconds)
end

function Stream:close()
  self.client:close()
end

function Stream:reset()
  self.client:reset()
end

return sse
