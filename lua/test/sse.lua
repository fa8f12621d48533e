-- A strict parser of event streams, written from the WHATWG standard (HTML, 9.2.5 and 9.2.6) and
-- not from our encoder. Bytes may come in any cut.

local sse = {}

local Parser = {}
Parser.__index = Parser

---A parser at the start of a stream. `events` are those dispatched, each `{ type, data, id }` with
---the last event id of that moment; `comments` the texts behind the colon; `retry_ms` the last
---valid retry; `last_event_id`; `unknown` the names of fields that the standard does not know;
---`is_utf8` whether all lines were valid UTF-8. `on_item(kind, value)` is told of each as it comes:
---"event" and the event, "comment" and its text, "retry" and the milliseconds. `last_event_id` is
---what a reader that comes back has from the stream before.
---@param on_item? fun(kind: string, value: any)
---@param last_event_id? string
function sse.parser(on_item, last_event_id)
  local id = tostring(last_event_id or "")
  return setmetatable({
    events = {}, comments = {}, unknown = {}, last_event_id = id, retry_ms = nil, is_utf8 = true,
    _line = "", _is_start = true, _after_cr = false, _data = nil, _type = "", _id = id,
    _on_item = on_item or function() end,
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
  self._on_item("event", self.events[#self.events])
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
      self._on_item("retry", self.retry_ms)
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
    self._on_item("comment", line:sub(2))
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

return sse
