-- Who asks: sends requests to an app, with the headers and cookies that it has. `app:get` and the
-- others are those of a client without cookies, which opens a connection for each request; a client
-- of `app:client` keeps its cookies, and its connection as long as the server does.

local Answer = require "lunesse.test.answer"
local Stream = require "lunesse.test.stream"
local blame = require "lunesse.test.blame"
local cookies = require "lunesse.test.cookies"
local json = require "lunesse.test.json"
local requests = require "lunesse.test.request"

local Client = {}
Client.__index = Client
Client.__name = "client"

local METHODS = { "get", "post", "put", "patch", "delete", "head", "options" }
local CLIENT_OPTIONS = { headers = true, cookies = true, worker = true }
local OPTIONS = {
  headers = true, json = true, form = true, body = true, query = true, slow = true, every = true,
  worker = true, window = true, peer = true, seconds = true, last_event_id = true, accept = true,
  method = true, chunked = true, cookies = true, version = true, proxy_header = true,
  stream = true,
}

---A client of `app`. Options: `headers` (sent with each request), `cookies` (false: it keeps none;
---a table: those it has), `worker` (where its connections go).
function Client.new(app, options)
  blame.check_options(options, CLIENT_OPTIONS, "app:client")
  local self = setmetatable({ app = app, headers = options.headers or {}, worker = options.worker },
    Client)
  if options.cookies ~= false then
    self.jar = cookies.jar(function()
      return app.core:now()
    end)
    for name, value in pairs(type(options.cookies) == "table" and options.cookies or {}) do
      self.jar:take(("%s=%s; Path=/; Secure"):format(name, value), "/", "localhost")
    end
  end
  return self
end

---The value of the cookie that is called `name`, and all that is known of it; nil when the client
---has none.
function Client:cookie(name)
  for _, cookie in ipairs(self.jar and self.jar:matching("/") or {}) do
    if cookie.name == name then
      return cookie.value, cookie
    end
  end
  for _, cookie in ipairs(self.jar and self.jar.list or {}) do
    if cookie.name == name then
      return cookie.value, cookie
    end
  end
end

---Takes the cookies of an answer. One whose head says that events follow is a stream.
function Client:_on_head(answer)
  if getmetatable(answer) == Answer and answer:_is_event_stream() then
    Stream._adopt(answer)
  end
  for _, field in ipairs(self.jar and answer.fields or {}) do
    if field[1]:lower() == "set-cookie" then
      self.jar:take(field[2], answer.request.url_path, answer.request.host)
    end
  end
end

-- Building a request ------------------------------------------------------------------------------

local List = {}
List.__index = List

---Header fields in order. A later field of the same name takes the place of those before it.
local function new_list()
  return setmetatable({}, List)
end

function List:set(name, value)
  for i = #self, 1, -1 do
    if self[i][1]:lower() == name:lower() then
      table.remove(self, i)
    end
  end
  for _, each in ipairs(type(value) == "table" and value or { value }) do
    if each ~= false then
      self[#self + 1] = { name, tostring(each) }
    end
  end
end

---Sets what a caller says: a table by name (a list of values repeats the field, `false` leaves it
---out), or a list of `{ name, value }`.
function List:set_all(headers)
  local names = {}
  for name in pairs(headers) do
    names[#names + 1] = name
  end
  table.sort(names, function(a, b)
    return tostring(a) < tostring(b)
  end)
  for _, name in ipairs(names) do
    if type(name) == "number" then
      self[#self + 1] = { headers[name][1], tostring(headers[name][2]) }
    else
      self:set(name, headers[name])
    end
  end
end

function List:value(name)
  for _, field in ipairs(self) do
    if field[1]:lower() == name then
      return field[2]
    end
  end
end

---The pieces of the body that `options` say, and their type.
local function body_of(options)
  local count = (options.json ~= nil and 1 or 0) + (options.form and 1 or 0) +
    (options.body ~= nil and 1 or 0)
  if count > 1 then
    blame.misuse("a request has one body: json, form or body")
  elseif options.json ~= nil then
    local ok, text = pcall(json.encode, options.json)
    if not ok then
      blame.misuse("json: %s", text)
    end
    return { text }, "application/json"
  elseif options.form then
    return { requests.form(options.form) }, "application/x-www-form-urlencoded"
  elseif type(options.body) == "table" then
    return options.body
  elseif options.body ~= nil then
    return { tostring(options.body) }
  end
end

local function target_of(path, query)
  if type(path) ~= "string" then
    blame.misuse("a path such as \"/room/sea\" expected, got %s", type(path))
  end
  path = path:gsub("^https?://[^/?]*", ""):gsub("#.*$", "")
  if path:find("^%?") or path == "" then
    path = "/" .. path
  elseif not path:find("^[/*]") then
    blame.misuse("the path \"%s\" does not begin with /", path)
  end
  if query then
    local text = type(query) == "table" and requests.form(query) or tostring(query)
    path = path .. (path:find("?", 1, true) and "&" or "?") .. text
  end
  return path
end

---The header fields of a request.
function Client:_fields(request, options, kind)
  local fields = new_list()
  fields:set("Host", "localhost")
  fields:set("Accept", options.accept or request.is_stream and "text/event-stream" or false)
  fields:set("Content-Type", kind or false)
  fields:set("Last-Event-ID", options.last_event_id or false)
  fields:set_all(self.headers)
  fields:set_all(options.headers or {})
  request.host = (fields:value("host") or "localhost"):gsub(":%d*$", ""):lower()
  local cookie = self.jar and not fields:value("cookie") and self.jar:field(request.url_path)
  if type(options.cookies) == "table" then
    local parts = { cookie or nil }
    for name, value in pairs(options.cookies) do
      parts[#parts + 1] = name .. "=" .. value
    end
    cookie = table.concat(parts, "; ")
  end
  fields:set("Cookie", cookie or fields:value("cookie") or false)
  return fields
end

---The head and the pieces of the body, as they are sent.
local function lay_out(request, fields, pieces, options)
  local size = 0
  for _, piece in ipairs(pieces or {}) do
    size = size + #piece
  end
  local has_body = pieces or request.method ~= "GET" and request.method ~= "HEAD" and
    request.method ~= "OPTIONS" and request.method ~= "DELETE"
  if options.chunked then
    fields:set("Transfer-Encoding", "chunked")
  elseif has_body and not fields:value("content-length") and
    not fields:value("transfer-encoding") then
    fields:set("Content-Length", size)
  end
  local sent = { requests.bytes {
    method = request.method, target = request.target, headers = fields, host = false,
    version = options.version,
  } }
  for _, piece in ipairs(pieces or {}) do
    sent[#sent + 1] = options.chunked and ("%x\r\n%s\r\n"):format(#piece, piece) or piece
  end
  if options.chunked then
    sent[#sent + 1] = "0\r\n\r\n"
  end
  return sent
end

---Puts the pieces into the queue: the head with the first one, each other in a turn of its own, or
---`every` so many seconds.
local function enqueue(conn, sent, options)
  local first = table.remove(sent, 1) .. (table.remove(sent, 1) or "")
  local at = conn.app.core:now()
  conn:send(first)
  for i, piece in ipairs(sent) do
    conn:send(piece, options.every and at + i * options.every)
  end
end

---A connection of this client: the one that it has kept, or another.
function Client:_connect(options)
  local kept = self.conn
  local worker = options.worker or self.worker
  if kept and kept.is_open and kept.is_idle and not options.slow and not options.window and
    not options.proxy_header and
    (not worker or kept.core:worker() == worker) then
    kept.is_idle = false
    return kept
  end
  local conn = self.app:_connect {
    worker = worker, window = options.window, peer = options.peer, slow = options.slow,
    proxy_header = options.proxy_header,
  }
  if self.jar then
    self.conn, conn.is_kept = conn, true
  end
  return conn
end

---Sends a request and returns what will be its answer.
function Client:_begin(request, options, new, parent)
  blame.check_options(options, OPTIONS, request.method .. " " .. tostring(request.path))
  self.app:_check_is_running()
  request.options = options
  request.target = target_of(request.path, options.query)
  request.url_path = request.target:match("^[^?]*")
  local pieces, kind = body_of(options)
  local sent = lay_out(request, self:_fields(request, options, kind), pieces, options)
  local conn = self:_connect(options)
  local answer = new(self, request, conn, parent)
  conn:ask(request.method, answer)
  enqueue(conn, sent, options)
  return answer
end

---The answer is a stream that is read while it goes on: `app:post(path, { stream = true })`.
local function wants_stream(options)
  return type(options) == "table" and options.stream
end

---Sends a request and does not wait for the end of its answer.
---@param method string
---@param path string
---@param options? table
function Client:send(method, path, options)
  local request = { method = tostring(method):upper(), path = path }
  if type(options) == "table" and options.method then
    blame.misuse("%s %s: only app:stream has the option 'method'; app:request(method, path) " ..
      "takes any", request.method, tostring(path))
  elseif wants_stream(options) then
    return self:_open(request, options)
  end
  local answer = self:_begin(request, options or {}, Answer.new)
  self.app:turn()
  return answer
end

---Sends a request and returns its complete answer, for which the app's time goes on where it has
---to.
function Client:request(method, path, options)
  local answer = self:send(method, path, options)
  return wants_stream(options) and answer or answer:wait(options and options.seconds)
end

for _, name in ipairs(METHODS) do
  Client[name] = function(self, path, options)
    return self:request(name, path, options)
  end
end

function Client:_stream(request, options, parent)
  request.is_stream = true
  return self:_begin(request, options, Stream.new, parent)
end

---Opens an event stream. It returns what came: `stream.status` says whether it is one.
function Client:_open(request, options)
  local stream = self:_stream(request, options)
  self.app:turn()
  return stream
end

---Opens an event stream with GET, or with POST where it has a body, or with the option `method`.
function Client:stream(path, options)
  options = options or {}
  local has_body = type(options) == "table" and
    (options.json ~= nil or options.form ~= nil or options.body ~= nil)
  local method = has_body and "POST" or "GET"
  if type(options) == "table" and options.method then
    method = tostring(options.method):upper()
  end
  return self:_open({ method = method, path = path }, options)
end

---The names of what `app` does as its own client.
Client.SHARED = { "send", "request", "stream", table.unpack(METHODS) }

return blame.guard(Client)
