-- Event streams over real sockets: each byte is read by the parsers of the test kit, which are
-- written from the standards and not from our encoder. They also look at the chunks in which the
-- bytes came, because each event has to be one chunk of its own.

local http = require "lunesse.test.http"
local parsers = require "lunesse.test.sse"
local wire = require "spec.support.wire"

local sse = { parser = parsers.parser, parse = parsers.parse }

local Chunked = {}
Chunked.__index = Chunked

---A decoder of the chunked coding for streams, which have no trailers, and are the last that their
---connection carries. `chunks` are the complete ones so far, `is_done` whether the last one came.
function sse.chunked()
  local decoder = http.chunked()
  return setmetatable({ chunks = decoder.chunks, is_done = false, _decoder = decoder }, Chunked)
end

---Takes the next bytes in and returns the payloads of the chunks that they completed.
---@return string[] chunks
function Chunked:feed(bytes)
  local decoder = self._decoder
  local new = decoder:feed(bytes)
  self.is_done = decoder.is_done
  assert(not self.is_done or decoder.rest == "", "malformed: bytes behind the last chunk")
  assert(#decoder.trailers == 0, "malformed: a stream has trailers")
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
  local bytes, why = self.client:receive_some(self.client:left(deadline))
  if bytes then
    self:_feed(bytes)
    return true
  end
  return false, why
end

---Reads until `is_enough()` answers true; nil and why ("timeout", "closed", "reset") otherwise.
function Stream:read_until(is_enough, seconds)
  local deadline = self.client:deadline(seconds or 2)
  while not is_enough() do
    local ok, why = self:_read(deadline)
    if not ok then
      return nil, why
    end
  end
  return true
end

---Whether an event has been read that nobody has asked for.
function Stream:has_more()
  return #self.parser.events > self._taken
end

---The next event; raises when none comes in time (default 2 s).
function Stream:event(seconds)
  local ok, why = self:read_until(function()
    return self:has_more()
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
