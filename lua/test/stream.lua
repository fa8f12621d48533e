-- An event stream as its reader sees it: an answer whose body is read as a browser's EventSource
-- reads it. Assertions go through it in order: what one of them has looked at, and what it passed
-- over, is not looked at again.

local Answer = require "lunesse.test.answer"
local blame = require "lunesse.test.blame"
local sse = require "lunesse.test.sse"

local RETRY_SECONDS = 3 -- of a browser that was not told

local Stream = setmetatable({}, { __index = Answer })

local RECONNECT = {
  last_event_id = true, after = true, headers = true, worker = true, window = true,
}

local made = {}

---The body so far, as it was sent.
function made.raw(self)
  return table.concat(self.chunks)
end

made.body = made.raw

---The last event id that the reader has, and would come back with; nil when it has none.
function made.id(self)
  local last = self._current or self
  local id = last._parser and last._parser.last_event_id or last.request.options.last_event_id
  return id ~= "" and id or nil
end

Stream.__index = Answer._index(Stream, made)
Stream.__name = "stream"

local Event = { __name = "event" }

-- `event.type` and `event.name` are `event.event`, as browsers and other kits call it.
function Event.__index(event, key)
  if key == "type" or key == "name" then
    return rawget(event, "event")
  end
  return Event[key]
end

---The data as JSON; nil and why it is none.
function Event.json(event)
  return require("lunesse.test.json").decode(event.data)
end

blame.guard(Event)

---Makes a stream of an answer.
local function make_stream(answer)
  local self = setmetatable(answer, Stream)
  self.events, self.comments, self.is_stream = {}, {}, false
  self._items, self._seen, self._arrivals = {}, 0, {}
  return self
end

function Stream:_begin()
  self.is_stream = true
  self._parser = sse.parser(function(what, value)
    self:_on_item(what, value)
  end, self.request.options.last_event_id)
end

---The stream that answers a request which goes over `conn`. `parent` is the stream whose reader has
---come back by this one; it is told all that this one is.
function Stream.new(client, request, conn, parent)
  local self = make_stream(Answer.new(client, request, conn))
  self._parent = parent
  return self
end

---An answer that nobody has asked for as a stream becomes one, from its head on.
function Stream._adopt(answer)
  make_stream(answer):_begin()
end

function Stream:_on_head(response)
  Answer._on_head(self, response)
  if self:_is_event_stream() then
    self:_begin()
  end
  local parent = self._parent
  while parent do
    parent.status, parent.headers, parent.ended = self.status, self.headers, nil
    parent = parent._parent
  end
end

function Stream:_on_body(pieces)
  Answer._on_body(self, pieces)
  local bytes = table.concat(pieces)
  self._arrivals[#self._arrivals + 1] = { at = self.app.core:now(), bytes = bytes }
  if self._parent then
    self._parent:_on_body(pieces)
  end
  if self._parser and not self._current then
    self._parser:feed(bytes)
  end
end

---What the parser has found, in the words of the kit.
function Stream:_on_item(what, value)
  local app = self.app
  if what == "retry" then
    value = value / 1000
  elseif what == "comment" then
    value = value:gsub("^ ", "")
  else
    local id = value.id ~= "" and value.id or nil
    value = setmetatable({ event = value.type, data = value.data, id = id }, Event)
  end
  self:_keep(what, value, app.core:now())
end

function Stream:_keep(what, value, at)
  self._items[#self._items + 1] = { what = what, value = value, at = at }
  if #self._items == 1 and what == "comment" and value == "" then
    self._seen = 1 -- the comment that opens a stream is none that a spec asks for
  end
  if what == "retry" then
    self.retry = value
  elseif what == "comment" then
    self.comments[#self.comments + 1] = value
  else
    self.events[#self.events + 1] = value
  end
  if self._parent then
    self._parent:_keep(what, value, at)
  end
end

function Stream:_on_end(how)
  self.ended = how
  if self._parent then
    self._parent:_on_end(how)
  end
end

---The first item of a kind that no assertion has looked at and that `is_it` takes; it and all
---before it count as looked at from now on.
function Stream:_find(what, is_it)
  for i = self._seen + 1, #self._items do
    local item = self._items[i]
    if item.what == what and (not is_it or is_it(item.value)) then
      self._seen = i
      return item.value
    end
  end
end

---The items that no assertion has looked at, of a kind.
function Stream:_unseen(what)
  local list = {}
  for i = self._seen + 1, #self._items do
    if self._items[i].what == what then
      list[#list + 1] = self._items[i].value
    end
  end
  return list
end

---The next event, whatever it is; nil and why when none is there and nothing is left to happen
---without time.
function Stream:next()
  self.app:turn()
  local event = self:_find("event")
  if event then
    return event
  end
  return nil, self.ended or "nothing came"
end

function Stream:leave()
  return self._current and self._current:leave() and self or Answer.leave(self)
end

---The reader takes nothing more, until it is told to go on.
function Stream:pause()
  return self:window(0)
end

---The reader takes everything again.
function Stream:resume()
  return self:window(nil)
end

---The reader takes so many more bytes from now on; all, when nil.
---@param bytes? integer
function Stream:window(bytes)
  if bytes ~= nil and (math.type(bytes) ~= "integer" or bytes < 0) then
    blame.misuse("stream:window: a number of bytes expected, got %s", tostring(bytes))
  end
  local conn = (self._current or self).conn
  if conn.is_open then
    conn:set_window(bytes)
    self.app:turn()
  end
  return self
end

---Whether a browser would connect again: not after an answer that is no stream.
function Stream:_check_may_return()
  if self.status and not self.is_stream then
    blame.misuse("stream:reconnect: a browser does not come back: %s was answered with %d %s",
      self.path, self.status, self.headers["content-type"] or "and no type")
  end
end

---Comes back as a browser does: when the connection is over (it leaves one that is not), it waits
---for the `retry` that it was told, 3 s else, in the app's time, and asks again with the last id
---that it has. After a 204, or another answer that is no event stream, a browser does not come
---back. Returns the new stream; what that receives, this one has too, as one reader has it all.
---Options: `last_event_id`, `after` (seconds), `headers`, `worker`, `window`.
function Stream:reconnect(options)
  options = options or {}
  blame.check_options(options, RECONNECT, "stream:reconnect")
  local last = self._current or self
  last:_check_may_return()
  if not last.ended then
    last:leave()
  end
  self.app:advance(options.after or last.retry or RETRY_SECONDS)
  local again = {}
  for name, value in pairs(self.request.options) do
    again[name] = value
  end
  for name, value in pairs(options) do
    again[name] = value
  end
  again.after = nil
  again.last_event_id = options.last_event_id or last.id
  local request = { method = self.method, path = self.request.path }
  local stream = self.client:_stream(request, again, last)
  stream.retry = stream.retry or last.retry
  local each = last
  while each do
    each._current, each = stream, each._parent
  end
  self.app:turn()
  return stream
end

return blame.guard(Stream)
