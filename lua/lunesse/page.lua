-- Pages: the answers of other servers, as scripts get them.
local caller = require "lunesse.caller"
local core = require "lunesse.core"

local Page = {}
Page.__index = Page

local replacement <const> = "\u{FFFD}"
local retry_digits <const> = 9 -- of milliseconds: eleven days

local headers_class = {
  __index = function(headers, name)
    return type(name) == "string" and rawget(headers, name:lower()) or nil
  end,
}

-- Repeated fields are joined; cookies by a line break, since a comma may be inside one.
local function headers_of(head)
  local headers, last = {}, nil
  for line in head:gmatch("([^\r\n]+)\r?\n") do
    local name, value = line:match("^([^:%s]+):[ \t]*(.-)[ \t]*$")
    if name then
      last = name:lower()
      local old = headers[last]
      headers[last] = old and old .. (last == "set-cookie" and "\n" or ", ") .. value or value
    elseif last and line:find("^[ \t]") then
      headers[last] = headers[last] .. " " .. line:match("^%s*(.-)%s*$")
    end
  end
  return setmetatable(headers, headers_class)
end

-- What is left of a stream, as one text.
local function rest_of(self)
  local parts, size = {}, 0
  while true do
    local chunk, why, code = core.http_read(self._stream)
    if not chunk then
      return not code and table.concat(parts) or nil, why, code
    end
    size = size + #chunk
    if size > self._body_bytes then
      self:close()
      return nil, "the body of the answer is larger than body_bytes", "EMSGSIZE"
    end
    parts[#parts + 1] = chunk
  end
end

function Page:text()
  if self._stream and not self._body then
    local text, why, code = rest_of(self)
    if not text then
      return nil, why, code
    end
    self._body = text
  end
  return self._body
end

function Page:json()
  local text, why, code = self:text()
  if not text then
    return nil, why, code
  end
  return core.json.decode(text)
end

-- In a loop the end of a stream has to be told from a stream that was cut, so that one raises.
local function checked(value, why, code)
  if value == nil and code then
    error(why, caller.level())
  end
  return value
end

-- The body in pieces, for a loop. A loop that is left closes the stream.
function Page:chunks()
  if self._stream then
    return function()
      return checked(core.http_read(self._stream))
    end, nil, nil, self
  end
  local is_given = self._body == ""
  return function()
    if not is_given then
      is_given = true
      return self._body
    end
  end
end

-- Bytes that are no UTF-8 become what the standard puts in their place.
local function cleaned(text)
  local parts, at = {}, 1
  while at <= #text do
    local _, bad = utf8.len(text, at)
    parts[#parts + 1] = text:sub(at, (bad or 0) - 1)
    parts[#parts + 1] = bad and replacement
    at = bad and bad + 1 or #text + 1
  end
  return table.concat(parts)
end

-- What stands in `fields`, as an event; `id` is the last one that has come.
local function event_of(fields, id)
  local name = cleaned(fields.event or ""):gsub("\0", replacement)
  local retry = fields.retry and fields.retry:find("^%d+$") and #fields.retry <= retry_digits
  return core.event {
    id = id and id ~= "" and cleaned(id) or nil,
    event = name ~= "" and name or nil,
    data = cleaned(fields.data),
    retry = retry and fields.retry / 1000 or nil,
  }
end

-- The events of an event stream, for a loop. An id counts for all events behind it.
function Page:events()
  if not self._stream then
    error("events are read from an answer to a request with stream = true", caller.level())
  end
  return function()
    while true do
      local fields = checked(core.http_event(self._stream))
      self._last_id = fields and fields.id or self._last_id
      if not fields or fields.data then
        return fields and event_of(fields, self._last_id)
      end
    end
  end, nil, nil, self
end

function Page:close()
  if self._stream then
    core.http_close(self._stream)
  end
end

Page.__close = Page.close

-- The page of an answer: `head` is its status line and its fields, as they came.
local function page_of(url, status, head, body)
  return setmetatable({
    url = url, status = status, headers = headers_of(head), _body = body,
  }, Page)
end

-- The page of an answer whose body is still to come, and is read from `stream`.
local function page_of_stream(url, status, head, stream, body_bytes)
  return setmetatable({
    url = url, status = status, headers = headers_of(head), _stream = stream,
    _body_bytes = body_bytes,
  }, Page)
end

return { of = page_of, of_stream = page_of_stream, cleaned = cleaned, event_of = event_of }
