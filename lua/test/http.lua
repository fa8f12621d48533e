-- A strict HTTP/1.1 response parser, written from RFC 9110 and 9112, for judging what a server
-- sends. It takes nothing that a server may not send and raises a message that starts with
-- "malformed". Bytes may come in any cut: `http.reader` takes them as they come, `http.parse` reads
-- from a text, `http.responses` a whole connection.

local http = {}

local TOKEN = "^[!#$%%&'*+%-.^_`|~%w]+$"
local DATE = "^%a%a%a, %d%d %a%a%a %d%d%d%d %d%d:%d%d:%d%d GMT$"
local SIZE_LINE_MAX = 20

-- Fields that are not lists: a second one makes a response ambiguous.
local SINGLETONS = {
  "age", "cache-control", "connection", "content-length", "content-location", "content-range",
  "content-type", "date", "etag", "expires", "last-modified", "location", "retry-after", "server",
  "transfer-encoding", "x-accel-buffering",
}

---The fields of a head, by name in any case.
function http.header_table(headers)
  return setmetatable({}, {
    __index = function(_, name)
      return headers[tostring(name):lower()]
    end,
    __pairs = function()
      return next, headers, nil
    end,
  })
end

---A part of a URL, without its percent signs.
function http.decode(text)
  return (text:gsub("%%(%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end))
end

local function malformed(...)
  error("malformed response: " .. string.format(...), 0)
end
local function parse_status_line(line)
  local version, status, reason = line:match("^(HTTP/%d%.%d) (%d%d%d) (.*)$")
  if not version then
    malformed("status line %q", line)
  end
  if version ~= "HTTP/1.1" then
    malformed("version %s (a server answers with its own, RFC 9110 2.5)", version)
  end
  if status < "100" or status > "599" then
    malformed("status %s", status)
  end
  if reason:find("[^\t\x20-\x7e\x80-\xff]") then
    malformed("control character in the reason phrase")
  end
  return tonumber(status), reason
end

local function parse_field(line)
  local name, value = line:match("^([^:]*):(.*)$")
  if not name then
    malformed("field line without a colon: %q", line)
  end
  if not name:find(TOKEN) then
    malformed("field name %q", name)
  end
  if value:find("[^\t\x20-\x7e\x80-\xff]") then
    malformed("control character in the value of %s", name)
  end
  return name, value:match("^[ \t]*(.-)[ \t]*$")
end

---Splits `block` (lines that each end with CRLF) into lines; bare CR and LF are refused.
local function lines_of(block)
  local lines = {}
  for line in block:gmatch("(.-)\r\n") do
    if line:find("[\r\n\0]") then
      malformed("bare CR, LF or NUL in the line %q", line)
    end
    lines[#lines + 1] = line
  end
  return lines
end

---The fields of `lines` from `first` on: in order, and joined by lower-case name.
local function parse_fields(lines, first)
  local fields, headers = {}, {}
  for i = first, #lines do
    local name, value = parse_field(lines[i])
    local key = name:lower()
    fields[#fields + 1] = { name, value }
    headers[key] = headers[key] and headers[key] .. ", " .. value or value
  end
  return fields, headers
end

local function check_singletons(fields)
  local seen = {}
  for _, field in ipairs(fields) do
    local key = field[1]:lower()
    seen[key] = (seen[key] or 0) + 1
  end
  for _, key in ipairs(SINGLETONS) do
    if (seen[key] or 0) > 1 then
      malformed("%d fields named %s", seen[key], key)
    end
  end
end

---What the fields must and must not be, given the status (RFC 9110, 6.6.1, 8.6, 15.5.6).
local function check_head(response)
  local headers, status = response.headers, response.status
  check_singletons(response.fields)
  if headers["content-length"] and not headers["content-length"]:find("^%d+$") then
    malformed("Content-Length %q", headers["content-length"])
  end
  if headers["content-length"] and headers["transfer-encoding"] then
    malformed("Content-Length beside Transfer-Encoding (RFC 9112 6.2)")
  end
  if headers["transfer-encoding"] and headers["transfer-encoding"]:lower() ~= "chunked" then
    malformed("Transfer-Encoding %q", headers["transfer-encoding"])
  end
  if status < 200 or status == 204 then
    if headers["content-length"] or headers["transfer-encoding"] then
      malformed("a %d with Content-Length or Transfer-Encoding", status)
    end
  end
  if status >= 200 and not headers["date"] then
    malformed("no Date (RFC 9110 6.6.1)")
  end
  if headers["date"] and not headers["date"]:find(DATE) then
    malformed("Date %q", headers["date"])
  end
  if status == 405 and not headers["allow"] then
    malformed("405 without Allow")
  end
end

---Parses the head at `position`: a response without body, and where its body starts; nil while the
---head is not complete.
function http.parse_head(bytes, position)
  local _, stop = bytes:find("\r\n\r\n", position, true)
  local head = bytes:sub(position, stop)
  if not stop then
    if head:find("[^\r]\n") or head:find("^\n") then
      malformed("bare LF in the head")
    end
    return nil
  end
  local lines = lines_of(head:sub(1, -3))
  local response = { version = "1.1", head = head }
  response.status, response.reason = parse_status_line(lines[1] or "")
  response.fields, response.headers = parse_fields(lines, 2)
  check_head(response)
  return response, stop + 1
end

local Chunked = {}
Chunked.__index = Chunked

---A decoder of the chunked coding. `chunks` are the complete ones so far, `is_done` says whether
---the last one came, `trailers` what fields followed it, and `rest` what bytes did. A server has no
---reason to send chunk extensions, so there are none.
function http.chunked()
  return setmetatable({ chunks = {}, is_done = false, trailers = {}, rest = "" }, Chunked)
end

---The chunk at `position` of the bytes held, and what follows it; nil while it is not complete.
function Chunked:_next(position)
  local bytes = self.rest
  local size = bytes:match("^(%x+)\r\n", position)
  if not size then
    local line = bytes:sub(position, position + SIZE_LINE_MAX)
    if not line:find("^%x*\r?$") or #line >= SIZE_LINE_MAX then
      malformed("chunk size line %q", line)
    end
    return nil
  end
  local len, start = tonumber(size, 16), position + #size + 2
  if len == 0 then
    return "", start
  end
  local ending = bytes:sub(start + len, start + len + 1)
  if ending ~= ("\r\n"):sub(1, #ending) then
    malformed("chunk of %d bytes is followed by %q", len, ending)
  end
  if #ending < 2 then
    return nil
  end
  return bytes:sub(start, start + len - 1), start + len + 2
end

---Reads the trailer section, which is all that is left before the end.
function Chunked:_end()
  local bytes = self.rest
  local stop = bytes:sub(1, 2) == "\r\n" and 2 or select(2, bytes:find("\r\n\r\n", 1, true))
  if stop then
    self.trailers = parse_fields(lines_of(bytes:sub(1, stop - 2)), 1)
    self.rest = bytes:sub(stop + 1)
    self.is_done = true
  end
end

---Takes the next bytes in and returns the payloads of the chunks that they completed.
---@return string[] chunks
function Chunked:feed(bytes)
  local new, position = {}, 1
  self.rest = self.rest .. bytes
  while not self._is_behind_last do
    local chunk, after = self:_next(position)
    if not chunk then
      break
    end
    position = after
    if chunk == "" then
      self._is_behind_last = true
    else
      new[#new + 1] = chunk
      self.chunks[#self.chunks + 1] = chunk
    end
  end
  self.rest = self.rest:sub(position)
  if self._is_behind_last and not self.is_done then
    self:_end()
  end
  return new
end

---How the body of `response` to `method` is framed (RFC 9112, 6.3).
local function framing(response, method)
  local status = response.status
  if method == "HEAD" or status < 200 or status == 204 or status == 304 then
    return "none"
  elseif response.headers["transfer-encoding"] then
    return "chunked"
  elseif response.headers["content-length"] then
    return "length"
  end
  return "close"
end

local Reader = {}
Reader.__index = Reader

---A reader of one final response to `method`, with the interim ones before it. `response` is there
---as soon as its head is complete, with `framing` and `interim`; `is_done` says that the response
---is complete, and `rest` holds the bytes that follow it.
function http.reader(method)
  return setmetatable({ method = method, is_done = false, rest = "", _interim = {} }, Reader)
end

---Reads heads from what is held until the final one is complete.
function Reader:_head()
  while not self.response do
    local response, after = http.parse_head(self.rest, 1)
    if not response then
      return
    end
    self.rest = self.rest:sub(after)
    if response.status >= 200 or response.status == 101 then
      response.interim = self._interim
      response.framing = framing(response, self.method)
      self._chunked = response.framing == "chunked" and http.chunked() or nil
      self._left = response.framing == "length" and
        math.tointeger(tonumber(response.headers["content-length"])) or nil
      self.response = response
    else
      self._interim[#self._interim + 1] = response
    end
  end
end

---The pieces of the body that are in what is held.
function Reader:_body()
  local bytes, pieces = self.rest, {}
  if self._chunked then
    pieces = self._chunked:feed(bytes)
    self.is_done, self.rest = self._chunked.is_done, self._chunked.is_done and
      self._chunked.rest or ""
    self.response.chunks, self.response.trailers = self._chunked.chunks, self._chunked.trailers
    return pieces
  end
  local framed = self.response.framing
  local len = framed == "length" and self._left or framed == "none" and 0 or #bytes
  pieces[1] = len > 0 and bytes ~= "" and bytes:sub(1, len) or nil
  self.rest = bytes:sub(len + 1)
  if framed ~= "close" then
    self._left = (self._left or 0) - #(pieces[1] or "")
    self.is_done = framed == "none" or self._left == 0
  end
  return pieces
end

---Takes the next bytes in and returns the pieces of the body that they completed: chunks, or what
---came of a body without chunks.
---@return string[] pieces
function Reader:feed(bytes)
  self.rest = self.rest .. bytes
  if self.is_done then
    return {}
  end
  self:_head()
  return self.response and self:_body() or {}
end

---Says that the connection has ended, which is what ends a body without a length. Answers whether
---the response is complete.
function Reader:finish()
  if self.response and self.response.framing == "close" then
    self.is_done = true
  end
  return self.is_done
end

---Parses the final response to `method` at `position`, with the interim ones before it in
---`interim`. Returns the response and where the next one starts; nil while more bytes are needed.
---`is_end` says that the connection has ended, which is what ends a body without a length.
---@param bytes string
---@param position integer
---@param method string
---@param is_end boolean
function http.parse(bytes, position, method, is_end)
  local reader = http.reader(method)
  local pieces = reader:feed(bytes:sub(position))
  if not reader.is_done and not (is_end and reader:finish()) then
    return nil
  end
  reader.response.body = table.concat(pieces)
  return reader.response, #bytes - #reader.rest + 1
end

---Parses all of `bytes`, what a connection said until its end, as the answers to `methods`. Raises
---when a response is malformed, missing or cut off, or when anything follows that nobody asked for.
---@param bytes string
---@param methods? string[]  one a request; default one GET
function http.responses(bytes, methods)
  local responses, position = {}, 1
  for i, method in ipairs(methods or { "GET" }) do
    local response, after = http.parse(bytes, position, method, true)
    if not response then
      malformed("answer %d is cut off or missing: %q", i, bytes:sub(position, position + 200))
    end
    responses[i] = response
    position = after
    if (response.headers["connection"] or ""):lower():find("close", 1, true) then
      break
    end
  end
  if position <= #bytes then
    malformed("bytes after the last answer: %q", bytes:sub(position, position + 200))
  end
  return responses
end

return http
