-- A strict HTTP/1.1 response parser, written from RFC 9110 and 9112, for judging what a server
-- sends. It takes nothing that a server may not send and raises a message that starts with
-- "malformed".

local http = {}

local TOKEN = "^[!#$%%&'*+%-.^_`|~%w]+$"
local DATE = "^%a%a%a, %d%d %a%a%a %d%d%d%d %d%d:%d%d:%d%d GMT$"

-- Fields that are not lists: a second one makes a response ambiguous.
local SINGLETONS = {
  "age", "cache-control", "connection", "content-length", "content-location", "content-range",
  "content-type", "date", "etag", "expires", "last-modified", "location", "retry-after", "server",
  "transfer-encoding", "x-accel-buffering",
}

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

---One chunk at `position`: its data and what follows; nil while it is not complete. A server has no
---reason to send chunk extensions, so there are none.
local function parse_chunk(bytes, position)
  local _, stop, size = bytes:find("^(%x+)\r\n", position)
  if not size then
    local rest = bytes:sub(position, position + 20)
    if not rest:find("^%x*\r?$") then
      malformed("chunk size line %q", rest)
    end
    return nil
  end
  local len = tonumber(size, 16)
  local data = bytes:sub(stop + 1, stop + len)
  if len == 0 then
    return "", stop + 1
  end
  local ending = bytes:sub(stop + len + 1, stop + len + 2)
  if #data == len and ending ~= ("\r\n"):sub(1, #ending) then
    malformed("chunk of %d bytes is followed by %q", len, ending)
  end
  if #ending < 2 then
    return nil
  end
  return data, stop + len + 3
end

---The trailer section at `position`; nil while it is not complete.
local function parse_trailers(bytes, position)
  if bytes:sub(position, position + 1) == "\r\n" then
    return {}, position + 2
  end
  local _, stop = bytes:find("\r\n\r\n", position, true)
  if not stop then
    return nil
  end
  return parse_fields(lines_of(bytes:sub(position, stop - 2)), 1), stop + 1
end

local function parse_chunked(response, bytes, position)
  response.chunks = {}
  while true do
    local data, after = parse_chunk(bytes, position)
    if not data then
      return nil
    end
    position = after
    if data == "" then
      break
    end
    response.chunks[#response.chunks + 1] = data
  end
  response.trailers, position = parse_trailers(bytes, position)
  response.body = table.concat(response.chunks)
  return position
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

local function parse_body(response, bytes, position, is_end)
  if response.framing == "none" then
    response.body = ""
    return position
  elseif response.framing == "chunked" then
    return parse_chunked(response, bytes, position)
  elseif response.framing == "length" then
    local len = tonumber(response.headers["content-length"])
    response.body = bytes:sub(position, position + len - 1)
    return #response.body == len and position + len or nil
  end
  response.body = bytes:sub(position)
  return is_end and #bytes + 1 or nil
end

---Parses the final response to `method` at `position`, with the interim ones before it in
---`interim`. Returns the response and where the next one starts; nil while more bytes are needed.
---`is_end` says that the connection has ended, which is what ends a body without a length.
---@param bytes string
---@param position integer
---@param method string
---@param is_end boolean
function http.parse(bytes, position, method, is_end)
  local interim = {}
  while true do
    local response, after = http.parse_head(bytes, position)
    if not response then
      return nil
    end
    if response.status >= 200 or response.status == 101 then
      response.interim = interim
      response.framing = framing(response, method)
      local stop = parse_body(response, bytes, after, is_end)
      return stop and response or nil, stop
    end
    interim[#interim + 1] = response
    position = after
  end
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
