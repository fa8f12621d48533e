-- What the specs of event streams, scripts and the program have in common: a script's usual first
-- lines, marks that a script leaves in the log, and heads as literal bytes.

local assert = require "luassert"
local InnerServer = require "spec.support.inner_server"
local Server = require "spec.support.server"
local apps = require "spec.support.app"
local http = require "lunesse.test.http"
local clock = require "spec.support.clock"
local wire = require "spec.support.wire"

local support = { script = apps.script }

---Starts a server with a script of the usual first lines and `text`: a process, with sockets.
function support.start(text, options)
  return Server.start(support.script(text), options)
end

---The same in the test kit; see spec/support/inner_server.lua.
function support.start_inside(text, options)
  return InnerServer.start(support.script(text), options)
end

---What the scripts of `server` have marked so far, in order.
function support.marks(server)
  if server.app then
    return apps.marks(server.app)
  end
  local marks = {}
  for _, line in ipairs(server:log_lines(" info mark what=")) do
    marks[#marks + 1] = line:match('what="(.*)"$') or line:match("what=(.*)$")
  end
  return marks
end

---Waits until the scripts of `server` have marked exactly `expected`, and not more.
function support.await_marks(server, expected, seconds)
  clock.eventually(function()
    assert.same(expected, support.marks(server))
    return true
  end, seconds)
end

---The lines of a head without the empty one, with the date's value checked and left out.
function support.head_lines(head)
  local lines = {}
  for line in head:gsub("\r\n\r\n$", "\r\n"):gmatch("(.-)\r\n") do
    local date = line:match("^Date: (.*)$")
    assert(not date or date:find("^%a%a%a, %d%d %a%a%a %d%d%d%d %d%d:%d%d:%d%d GMT$"), line)
    lines[#lines + 1] = date and "Date" or line
  end
  return lines
end

---The lines that every event stream's head has, in their order, with the script's own `fields`.
function support.stream_head(fields)
  local lines = {
    "HTTP/1.1 200 OK", "Content-Type: text/event-stream", "Cache-Control: no-cache, no-transform",
    "Connection: keep-alive", "X-Accel-Buffering: no", "Date",
  }
  table.move(fields or {}, 1, #(fields or {}), #lines + 1, lines)
  lines[#lines + 1] = "Transfer-Encoding: chunked"
  return lines
end

---Everything that a connection of its own says to `request`, until its end; and how it ended.
function support.raw(server, request, seconds)
  local client = server:connect()
  client:send(wire.request(request))
  local bytes, why = client:receive_all(seconds or 2)
  client:close()
  return bytes, why
end

---The body of a stream that ends, as it was on the wire.
function support.stream_bytes(server, target, options)
  local stream = server:stream(target, options)
  local why = stream:finish()
  stream:close()
  return stream:bytes(), why
end

---`text` as one chunk.
function support.chunk(text)
  return ("%x\r\n%s\r\n"):format(#text, text)
end

---`texts` as chunks, and the last one.
function support.chunks(...)
  local parts = {}
  for i, text in ipairs { ... } do
    parts[i] = support.chunk(text)
  end
  return table.concat(parts) .. "0\r\n\r\n"
end

---The head and the rest of `bytes`.
function support.split_head(bytes)
  local head, after = http.parse_head(bytes, 1)
  assert(head, "no head: " .. bytes)
  return head, bytes:sub(after)
end

---The first line in the access log for `target`.
function support.access_line(server, target)
  for _, line in ipairs(server:log_lines("target=" .. target .. " ")) do
    if line:find(" info request ", 1, true) or line:find(" info stream ", 1, true) then
      return line
    end
  end
end

---The same, when it comes: a turn's records are written after its answers.
function support.await_access_line(server, target)
  return eventually(function()
    return support.access_line(server, target)
  end)
end

---The body of the answer to GET `target`.
function support.get(server, target)
  return server:request({ target = target }).body
end

return support
