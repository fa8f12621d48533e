-- Other servers, as the specs of `lunesse.http` play them: they accept a connection, look at what
-- comes, and say or do anything.

local assert = require "luassert"
local socket = require "socket"
local clock = require "spec.support.clock"
local Server = require "spec.support.server"

local support = {}

local ACCEPT_SECONDS = 5

local Upstream = {}
Upstream.__index = Upstream

local Conn = {}
Conn.__index = Conn

local listening = {}

---A server on a free port of 127.0.0.1. A `backlog` of 0 leaves connections unanswered as soon as
---one waits.
function support.listen(options)
  options = options or {}
  local listener = assert(socket.tcp4())
  assert(listener:setoption("reuseaddr", true))
  assert(listener:bind(options.host or "127.0.0.1", options.port or 0))
  assert(listener:listen(options.backlog or 64))
  local host, port = listener:getsockname()
  local self = setmetatable({ listener = listener, port = tonumber(port) }, Upstream)
  self.url = ("http://%s:%d"):format(host, self.port)
  listening[#listening + 1] = self
  return self
end

---Closes whatever is open. At the end of each test.
function support.close_all()
  for _, one in ipairs(listening) do
    one:close()
  end
  listening = {}
end

---A port on which nobody listens.
function support.closed_port()
  local upstream = support.listen()
  upstream.listener:close()
  return upstream.port
end

---A name server that takes questions and never answers, and what to give `Server.start` as `wrap`
---for a program that asks it: the files of the system are others for that program alone. Nil where
---port 53 is taken.
function support.deaf_names()
  local deaf = assert(socket.udp4())
  if not deaf:setsockname("127.0.0.1", 53) then
    return nil
  end
  local folder = Server.write { ["resolv.conf"] = "nameserver 127.0.0.1\noptions timeout:30\n",
    ["nsswitch.conf"] = "hosts: files dns\n" }
  local line = ("mount --bind %s/resolv.conf /etc/resolv.conf; mount --bind %s/nsswitch.conf " ..
    "/etc/nsswitch.conf; exec \"$@\""):format(folder, folder)
  return deaf, { "unshare", "-m", "sh", "-c", line, "sh" }
end

function Upstream:close()
  self.listener:close()
  for _, conn in ipairs(self.conns or {}) do
    conn:close()
  end
end

---The next connection; nil when none comes within `seconds`.
function Upstream:try_accept(seconds)
  self.listener:settimeout(seconds)
  local peer = self.listener:accept()
  if not peer then
    return nil
  end
  peer:settimeout(0)
  local conn = setmetatable({ socket = peer, buffer = "" }, Conn)
  self.conns = self.conns or {}
  table.insert(self.conns, conn)
  return conn
end

function Upstream:accept()
  return assert(self:try_accept(ACCEPT_SECONDS * clock.slow), "no connection came")
end

---Takes in what has come. False once the peer has closed.
function Conn:_fill()
  local bytes, why, part = self.socket:receive(65536)
  bytes = bytes or part
  self.buffer = self.buffer .. (bytes or "")
  self.is_closed = self.is_closed or why ~= nil and why ~= "timeout"
  return not self.is_closed
end

---A whole request: its head, and its body by Content-Length.
function Conn:request()
  local head, body
  clock.eventually(function()
    self:_fill()
    local stop = select(2, self.buffer:find("\r\n\r\n", 1, true))
    head = stop and self.buffer:sub(1, stop)
    local size = head and tonumber(head:lower():match("\ncontent%-length: (%d+)")) or 0
    body = stop and self.buffer:sub(stop + 1, stop + size)
    return stop and #body == size
  end)
  self.buffer = self.buffer:sub(#head + #body + 1)
  return head, body
end

function Conn:send(bytes)
  self.socket:settimeout(ACCEPT_SECONDS)
  local ok, why = self.socket:send(bytes)
  self.socket:settimeout(0)
  return ok, why
end

---Answers 200 with this body.
function Conn:answer(body, fields)
  return self:send(("HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s"):format(
    fields or "", #body, body))
end

function Conn:close()
  self.socket:close()
end

---Waits until the peer has closed.
function Conn:await_close()
  clock.eventually(function() return not self:_fill() end)
end

---Waits for something from the peer.
function Conn:await_bytes()
  clock.eventually(function()
    self:_fill()
    return #self.buffer > 0
  end)
end

-- A script that asks whatever it is told to, and says what came of it.
support.RELAY = [[
local lunesse = require "lunesse"
local server = lunesse.server()
local http = lunesse.http
local function told(page, why, code)
  if not page then return "nil " .. why .. " " .. code end
  return page.status .. " " .. page:text()
end
server:get("/get", { on_leave = "cancel" }, function(request, response)
  response:send(told(http.get(request.query.url)))
end)
]]

return support
