-- Whoever stands in for another server: it answers what the app asks of that host. An exchange is
-- one connection with one request, which a function of the spec answers in a coroutine of its own,
-- so that it can wait in the app's time. In each turn of the app an exchange takes what has come,
-- goes on, and sends what there is.

local blame = require "lunesse.test.blame"
local http = require "lunesse.test.http"
local json = require "lunesse.test.json"

local CODES = {
  ECONNREFUSED = true, EHOSTUNREACH = true, ENETUNREACH = true, ENOTFOUND = true, EAI_AGAIN = true,
  ECERT = true, ETLS = true,
}

-- What the spec's function is given --------------------------------------------------------------

local Request = {}
Request.__index = Request
Request.__name = "request"

---The body as JSON.
function Request:json()
  return json.decode(self.body)
end

local Reply = {}
Reply.__index = Reply
Reply.__name = "reply"

function Reply:_check_is_open(what)
  if self._is_over then
    blame.misuse("reply:%s: the answer is over", what)
  end
end

function Reply:_check_is_new(what)
  self:_check_is_open(what)
  if self._has_head then
    blame.misuse("reply:%s: the head of the answer is sent", what)
  end
end

---The status, which is 200 else.
function Reply:status(number)
  self:_check_is_new("status")
  if math.type(number) ~= "integer" or number < 200 or number > 599 then
    blame.misuse("reply:status: a number from 200 to 599 expected")
  end
  self._status = number
  return self
end

---A header field.
function Reply:header(name, value)
  self:_check_is_new("header")
  blame.check_type(name, "string", "reply:header: a name")
  blame.check_type(value, "string number", "reply:header: a value")
  self._headers[#self._headers + 1] = ("%s: %s\r\n"):format(name, value)
  return self
end

function Reply:_send_head(framing)
  self._has_head = true
  self._exchange:_send(("HTTP/1.1 %d Stand-In\r\n%s%s\r\n\r\n"):format(self._status,
    table.concat(self._headers), framing))
end

function Reply:_has_body()
  return self._exchange.request.method ~= "HEAD" and self._status ~= 204 and self._status ~= 304
end

---The whole body; ends the answer.
function Reply:send(body)
  self:_check_is_new("send")
  blame.check_type(body, "string nil", "reply:send: a body")
  body = body or ""
  self:_send_head("Content-Length: " .. #body)
  if self:_has_body() then
    self._exchange:_send(body)
  end
  self._is_over = true
end

---The whole body, as JSON; ends the answer.
function Reply:json(value)
  self:_check_is_new("json")
  return self:header("Content-Type", "application/json"):send(json.encode(value))
end

---A piece of the body, as it is.
function Reply:write(piece)
  self:_check_is_open("write")
  blame.check_type(piece, "string", "reply:write: a piece of a body")
  if not self._has_head then
    self:_send_head("Transfer-Encoding: chunked")
  end
  if piece ~= "" and self:_has_body() then
    self._exchange:_send(("%x\r\n%s\r\n"):format(#piece, piece))
  end
  return self
end

local EVENT = { event = true, data = true, id = true, retry = true }

---An event of an event stream.
function Reply:event(name, data)
  local fields = type(name) == "table" and name or { event = name, data = data }
  blame.check_options(fields, EVENT, "reply:event")
  local lines = {}
  for _, key in ipairs { "event", "id", "retry", "data" } do
    local value = fields[key]
    local text = type(value) == "table" and json.encode(value) or value ~= nil and tostring(value)
    for line in (text and text .. "\n" or ""):gmatch("(.-)\n") do
      lines[#lines + 1] = ("%s: %s\n"):format(key, line)
    end
  end
  self:_check_is_open("event")
  if not self._has_head then
    self:header("Content-Type", "text/event-stream")
  end
  return self:write(table.concat(lines) .. "\n")
end

---Waits, in the app's time.
function Reply:sleep(seconds)
  if type(seconds) ~= "number" or seconds < 0 or
    seconds ~= seconds then
    blame.misuse("reply:sleep: seconds expected, got %s", tostring(seconds))
  end
  self._exchange:_wait(seconds)
  return self
end

---Says nothing more, and keeps the connection.
function Reply:hang()
  self._exchange:_wait(math.huge)
end

---Ends the answer, as the end of the function does.
function Reply:finish()
  self:_check_is_open("finish")
  if not self._has_head then
    return self:send()
  elseif self:_has_body() then
    self._exchange:_send("0\r\n\r\n")
  end
  self._is_over = true
end

---Closes the connection in the middle of the answer, or before it.
function Reply:reset()
  self:_check_is_open("reset")
  self._is_over = true
  self._exchange:_close()
end

blame.guard(Request)
blame.guard(Reply)

-- One request -------------------------------------------------------------------------------------

local Exchange = {}
Exchange.__index = Exchange

local function new_exchange(upstream, call)
  local self = setmetatable({
    upstream = upstream, app = upstream.app, call = call, received = "", unsent = "",
  }, Exchange)
  self.reply = setmetatable({ _exchange = self, _status = 200, _headers = {} }, Reply)
  return self
end

---The request, once it has come as a whole: libcurl sends the length of each body.
function Exchange:_read()
  local _, stop = self.received:find("\r\n\r\n", 1, true)
  local head = stop and self.received:sub(1, stop)
  local length = head and tonumber(head:lower():match("\ncontent%-length: (%d+)")) or 0
  if not head or #self.received < stop + length then
    return
  end
  local method, target = head:match("^(%S+) (%S+) HTTP/1%.1\r\n")
  local headers = {}
  for name, value in head:gmatch("\n([^:\r\n]+): ?([^\r\n]*)") do
    name = name:lower()
    headers[name] = headers[name] and headers[name] .. ", " .. value or value
  end
  local query = {}
  local pairs_of_query = (target:match("%?(.*)") or ""):gsub("+", " ")
  for name, value in pairs_of_query:gmatch("([^&=]+)=?([^&]*)") do
    query[http.decode(name)] = http.decode(value)
  end
  self.request = setmetatable({
    method = method, target = target, path = http.decode(target:match("^[^?]*")), query = query,
    headers = http.header_table(headers), body = self.received:sub(stop + 1), left = false,
  }, Request)
  self.thread = coroutine.create(self.upstream._handler)
  local requests = self.upstream.requests
  requests[#requests + 1] = self.request
end

function Exchange:_send(bytes)
  self.unsent = self.unsent .. bytes
  self:_push()
  if self.unsent ~= "" and coroutine.isyieldable() then
    coroutine.yield() -- until the app has taken it
  end
end

function Exchange:_push()
  if self.unsent == "" or self.is_closed then
    return false
  end
  local count = self.call:send(self.unsent)
  self.unsent = self.unsent:sub(count + 1)
  return count > 0
end

function Exchange:_wait(seconds)
  self.due = math.floor((self.app.core:now() + seconds) * 1000 + 0.5) / 1000
  coroutine.yield()
end

function Exchange:_close()
  self.is_closed = true
  self.call:close()
end

---Takes what has come. Answers whether anything has.
function Exchange:_pull()
  local bytes, has_left = self.call:take()
  self.received = self.received .. bytes
  if not self.request then
    self:_read()
  end
  if has_left then
    if self.request then
      self.request.left = not self.reply._is_over or self.unsent ~= ""
    end
    self:_close()
  end
  return has_left or bytes ~= ""
end

---Goes on with the spec's function, as far as nothing is to be waited for.
function Exchange:_run()
  local has_run = false
  while self.thread and not self.is_closed and self.unsent == "" and
    (self.due or 0) <= self.app.core:now() do
    self.due, has_run = nil, true
    local ok, why = coroutine.resume(self.thread, self.request, self.reply)
    if not ok then
      self:_close()
      error(why, 0)
    elseif coroutine.status(self.thread) == "dead" then
      self.thread = nil
      if not self.reply._is_over then
        self.reply:finish()
      end
    end
  end
  return has_run
end

function Exchange:turn()
  if self.is_closed or self.thread and coroutine.status(self.thread) ~= "suspended" then
    return false
  end
  local moved = self:_pull()
  moved = self:_run() or moved
  moved = self:_push() or moved
  if not self.is_closed and not self.thread and self.reply._is_over and self.unsent == "" then
    self:_close()
  end
  if self.is_closed and self.thread and coroutine.status(self.thread) == "suspended" then
    coroutine.close(self.thread)
    self.thread = nil
  end
  return moved
end

-- A host ------------------------------------------------------------------------------------------

local Upstream = {}
Upstream.__index = Upstream
Upstream.__name = "upstream"
Upstream._Request, Upstream._Reply = Request, Reply

---Stands in for `host` from now on.
function Upstream.new(app, host, handler)
  blame.check_type(host, "string", "app:upstream: a host")
  if not host:find("^[%w._-]+$") and not host:find("^%x*:[%x:.]*:[%x.]*$") then
    blame.misuse("app:upstream: a host such as 'api.example.com' expected, without scheme, port " ..
      "and path, got '%s'", host)
  end
  blame.check_type(handler, "function string", "app:upstream: a function or a code")
  local code = type(handler) == "string" and handler or nil
  blame.check_word(code, CODES, "app:upstream: a code")
  if not app.core.upstream then
    blame.misuse("app:upstream: this engine asks real servers")
  end
  host = host:lower()
  app.core:upstream(host, code)
  return setmetatable({
    app = app, host = host, requests = {}, _handler = handler, _exchanges = {},
  }, Upstream)
end

function Upstream:_accept(call)
  self._exchanges[#self._exchanges + 1] = new_exchange(self, call)
end

---Lets each exchange go on. Answers whether anything has happened. The spec's function may ask the
---app meanwhile, which comes here again.
function Upstream:_turn()
  local moved, open = false, {}
  for _, exchange in ipairs(table.move(self._exchanges, 1, #self._exchanges, 1, {})) do
    moved = exchange:turn() or moved
  end
  for _, exchange in ipairs(self._exchanges) do
    open[#open + 1] = not exchange.is_closed and exchange or nil
  end
  self._exchanges = open
  return moved
end

---When something is due; nil when nothing is.
function Upstream:_due()
  local first
  for _, exchange in ipairs(self._exchanges) do
    local due = exchange.due ~= math.huge and exchange.due
    first = due and math.min(first or due, due) or first
  end
  return first
end

return Upstream
