-- What the HTTP specs share: a script that says what it was asked, requests as bytes, the ways in
-- which bytes can arrive, and the two verdicts, taken and refused.

local cjson = require "cjson"
local InnerServer = require "spec.support.inner_server"
local Server = require "spec.support.server"
local wire = require "spec.support.wire"

local support = {}

-- Answers say what the program understood. `/ran` tells how often `/smuggled` was asked for, which
-- only stands behind messages that end their connection.
support.ECHO = [[
local lunesse = require "lunesse"
local server = lunesse.server { limits = LIMITS }
local ran = 0

-- JSON is text, and what came may be any bytes: each one above ASCII becomes a character.
local function text_of(value)
  if type(value) == "string" then
    return (value:gsub("[\x80-\xff]", function(byte) return utf8.char(byte:byte()) end))
  end
  local texts = {}
  for name, item in pairs(value) do
    texts[text_of(name)] = text_of(item)
  end
  return texts
end

local function echo(request, response)
  return response:json {
    method = request.method, target = text_of(request.target), path = text_of(request.path),
    params = text_of(request.params), query = text_of(request.query),
    headers = text_of(request.headers), version = request.http_version,
    body = text_of(request:text()),
  }
end

server:any("/", echo)
server:any("/echo", echo)
server:any("/echo/*rest", echo)
server:any("/item/:name", echo)
server:get("/next", function(request, response)
  return response:send("next")
end)
server:any("/smuggled", function(request, response)
  ran = ran + 1
  return response:send("smuggled")
end)
server:get("/ran", function(request, response)
  return response:send(tostring(ran))
end)
]]

---A head: these lines, each with its CRLF, and the empty line.
function support.head(...)
  return table.concat({ ... }, "\r\n") .. "\r\n\r\n"
end

---A head for `method` (default POST) on /echo with these field lines.
function support.post(...)
  return support.head("POST /echo HTTP/1.1", "Host: a", ...)
end

function support.get(...)
  return support.head("GET /echo HTTP/1.1", "Host: a", ...)
end

support.NEXT = support.head("GET /next HTTP/1.1", "Host: a")
support.SMUGGLED = support.head("GET /smuggled HTTP/1.1", "Host: a")

---Starts a server that outlives the test; the spec's teardown stops it. It is in the test kit,
---unless `options.process` asks for one with sockets. `limits` is a table's text.
function support.start(script, options)
  options = options or {}
  local text = (script or support.ECHO):gsub("LIMITS", options.limits or "{}")
  local args = { "--log-level", "warn" }
  table.move(options.args or {}, 1, #(options.args or {}), #args + 1, args)
  local start = options.process and Server.start or InnerServer.start
  return start(text, {
    shared = true, args = args, clock = options.clock, workers = options.workers,
    wrap = options.wrap,
  })
end

---Stops it and judges it. Connections that a spec left open may linger for a moment.
function support.stop(server)
  server:stop { seconds = 3 }
end

---The pieces in which `bytes` can arrive: whole, cut in two at each place, one byte at a time.
function support.ways(bytes)
  local ways = { { bytes } }
  for at = 1, #bytes - 1 do
    ways[#ways + 1] = { bytes:sub(1, at), bytes:sub(at + 1) }
  end
  local single = {}
  for at = 1, #bytes do
    single[at] = bytes:sub(at, at)
  end
  ways[#ways + 1] = single
  return ways
end

---A round trip on a connection of its own: what others sent before it has been read after it,
---because the program reads its sockets in the order in which they had something to read.
local function barrier(control)
  control:send("GET /-/barrier HTTP/1.1\r\nHost: a\r\n\r\n")
  control:response()
end

---Sends each list of pieces on a connection of its own, every piece in a read of its own, and
---returns the connections. One that is closed already is not sent more.
function support.deliver(server, ways)
  local control, clients, rounds = wire.connect(server), {}, 0
  for i, pieces in ipairs(ways) do
    clients[i] = wire.connect(server)
    rounds = math.max(rounds, #pieces)
  end
  barrier(control)
  for round = 1, rounds do
    for i, pieces in ipairs(ways) do
      local client = clients[i]
      if pieces[round] and not client.is_deaf then
        client.is_deaf = not client:send(pieces[round])
      end
    end
    barrier(control)
  end
  control:close()
  return clients
end

---A connection to a server in the test kit, on which each piece came in a read of its own.
local function send_apart(server, pieces)
  local client = server:connect()
  for _, piece in ipairs(pieces) do
    client:send(piece)
  end
  return client
end

local function describe_way(bytes, i)
  if i == 1 then
    return "in one piece"
  elseif i == #bytes + 1 then
    return "byte by byte"
  end
  return ("cut behind %q"):format(bytes:sub(math.max(1, i - 20), i - 1))
end

---Holds `judge(client)` for every way in which `bytes` can arrive.
function support.each_way(server, bytes, judge)
  local ways = support.ways(bytes)
  local clients = server.app and {} or support.deliver(server, ways)
  local complaint
  for i, pieces in ipairs(ways) do
    local client = clients[i] or send_apart(server, pieces)
    if not complaint then
      local ok, why = pcall(judge, client)
      if not ok then
        why = type(why) == "table" and why.message or why
        complaint = ("%s: %s"):format(describe_way(bytes, i), tostring(why))
      end
    end
    client:reset()
  end
  if complaint then
    error(complaint, 0)
  end
end

---Nothing follows, and the connection ends in order, not by a reset.
function support.ended(client)
  local rest, how = client:receive_all()
  assert(rest == "", ("there is more: %q"):format(rest:sub(1, 300)))
  assert(how == "closed", "the connection did not end in order but: " .. how)
end

---Whether `status` is the wanted number, or one of the wanted ones.
local function is_one_of(status, wanted)
  if type(wanted) == "number" then
    return status == wanted
  end
  for _, one in ipairs(wanted) do
    if status == one then
      return true
    end
  end
  return false
end

---One answer with the wanted status that announces the end of the connection, then the end.
function support.refused(client, wanted, method)
  local response = client:response(method or "GET")
  local shown = type(wanted) == "table" and table.concat(wanted, " or ") or wanted
  assert(is_one_of(response.status, wanted),
    ("%s expected, got %d: %s"):format(shown, response.status, response.body:sub(1, 300)))
  assert(response.headers["connection"] == "close", "the answer does not announce the end")
  assert(response.headers["content-length"], "the answer has no Content-Length")
  support.ended(client)
  return response
end

---What the echo was sent, from what it has answered: its characters are bytes.
local function bytes_of(value)
  if type(value) == "string" then
    return (value:gsub("[\xc2\xc3][\x80-\xbf]", function(character)
      return string.char(utf8.codepoint(character))
    end))
  elseif type(value) ~= "table" then
    return value
  end
  local all = {}
  for name, item in pairs(value) do
    all[bytes_of(name)] = bytes_of(item)
  end
  return all
end

---The answer 200 of the echo, decoded.
function support.taken(client, method)
  local response = client:response(method or "POST")
  assert(response.status == 200,
    ("200 expected, got %d: %s"):format(response.status, response.body:sub(1, 300)))
  return bytes_of(cjson.decode(response.body)), response
end

---The answer to NEXT: proof that the message before it ended where it should.
function support.next(client)
  local response = client:response("GET")
  assert(response.status == 200 and response.body == "next",
    ("the next request got %d: %s"):format(response.status, response.body:sub(1, 300)))
  return response
end

local function compare(wanted, got, name)
  for key, value in pairs(wanted) do
    if type(value) == "table" then
      compare(value, got[key] or {}, name .. key .. ".")
    elseif value ~= got[key] then
      error(("%s%s: %q expected, got %q"):format(name, key, value, tostring(got[key])), 0)
    end
  end
end

---Makes a test of each case `{ "what it is", bytes, status = 400, method = "GET" }`: refused
---however it is cut, and what stands behind it is not run.
function support.refuses(it, server, cases)
  for _, case in ipairs(cases) do
    local status = case.status or 400
    local shown = type(status) == "table" and table.concat(status, " or ") or status
    it(("refuses %s with %s"):format(case[1], shown), function()
      support.each_way(server(), case[2] .. (case.behind or support.SMUGGLED), function(client)
        support.refused(client, status, case.method)
      end)
    end)
  end
end

---Makes a test of each case `{ "what it is", bytes, { what the echo says } }`: taken however it is
---cut, and the next request on the connection is answered.
function support.takes(it, server, cases)
  for _, case in ipairs(cases) do
    it("takes " .. case[1], function()
      support.each_way(server(), case[2] .. support.NEXT, function(client)
        local said = support.taken(client, case.method)
        compare(case[3] or {}, said, "")
        support.next(client)
      end)
    end)
  end
end

---Makes the last test of a file: nothing that stood behind a refused message was run.
function support.runs_nothing_smuggled(it, server)
  it("has run nothing that stood behind a refused message", function()
    assert(server():request { target = "/ran" }.body == "0", "a smuggled request was run")
  end)
end

return support
