-- `http.event_source`: the events of another server's stream, over connections that come and go.

local clock = require "spec.support.clock"
local Server = require "spec.support.server"
local support = require "spec.upstream.support"

local HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n" ..
  "Connection: close\r\n\r\n"

-- Sends on what comes as "event name, data, id to keep", and at the end what the iterator said.
local SCRIPT = [[
local lunesse = require "lunesse"
local server = lunesse.server()
local http = lunesse.http
server:get("/", function(request, response)
  local options = %s
  local next_event, _, _, source <close> = http.event_source(request.query.up .. "/feed", options)
  local event, id, code = next_event()
  while event do
    assert(event.id == nil and event.retry == nil)
    response.sse:send(tostring(event.event) .. ", " .. event.data .. ", " .. tostring(id))
    event, id, code = next_event()
  end
  response.sse:send("over: " .. tostring(id) .. " " .. tostring(code))
end)
]]

local clients = {}

-- At the end of a test, for the handlers that would not end before.
local function leave()
  for _, client in ipairs(clients) do
    client:reset()
  end
  clients = {}
end

local function start(options, text)
  return Server.start(text or SCRIPT:format(options or "nil"), { clock = true, workers = 1 })
end

local function escaped(url)
  return url:gsub("[^%w]", function(c) return ("%%%02X"):format(c:byte()) end)
end

local function begin(server, upstream)
  local client = server:connect()
  clients[#clients + 1] = client
  client:send(("GET /?up=%s HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n"):format(
    escaped(upstream.url)))
  return client
end

-- The next connection, and the head of its request.
local function accept(upstream)
  local conn = upstream:accept()
  return conn, (conn:request())
end

-- A whole answer; the source has noticed its end when this returns.
local function send(conn, text)
  conn:send(HEAD .. text)
  conn.socket:shutdown("send")
  conn:await_close()
end

-- The seconds that the source has said it waits.
local function waits(server)
  local found = {}
  for _, line in ipairs(server:log_lines("event source lost its connection")) do
    found[#found + 1] = tonumber(line:match('next_in="([%d.]+) s"'))
  end
  return found
end

describe("an event source", function()
  after_each(support.close_all)

  it("gives events without their ids, and the id to keep", function()
    local server, upstream = start(), support.listen()
    local client = begin(server, upstream)
    local conn, head = accept(upstream)
    assert.matches("^GET /feed HTTP/1.1\r\n", head)
    assert.matches("\r\nAccept: text/event%-stream\r\n", head)
    assert.is_nil(head:lower():find("last-event-id", 1, true))
    conn:send(HEAD .. "data: a\n\nid: 1\nevent: x\ndata: b\n\ndata: c\n\nid: 2\n\n" ..
      "id: 3\0\nretry: 5\ndata: d\n\nid\ndata: e\n\nid: \255\ndata: f\n\n")
    for _, expected in ipairs { "nil, a, nil", "x, b, 1", "nil, c, 1", "nil, d, 2", "nil, e, nil",
      "nil, f, \239\191\189" } do
      assert.truthy(client:receive_until("data: " .. expected .. "\n\n"), expected)
    end
    leave()
  end)

  it("has events that a channel takes as they are", function()
    local server, upstream = start(nil, [[
      local lunesse = require "lunesse"
      local server, news = lunesse.server(), lunesse.channel("news")
      server:get("/", function(request, response)
        response.sse:subscribe(news)
        for event, id in lunesse.http.event_source(request.query.up) do
          assert(news:publish(event))
        end
      end)
    ]]), support.listen()
    local client = begin(server, upstream)
    accept(upstream):send(HEAD .. "id: 7\nevent: said\ndata: a\ndata: b\n\n")
    local body = client:receive_until("data: b\n\n")
    assert.matches("event: said\ndata: a\n", body)
    assert.is_nil(body:find("id: 7\n", 1, true))
    leave()
  end)

  it("connects again with the last id, when the time is over that the server said", function()
    local server, upstream = start('{ last_event_id = "first" }'), support.listen()
    local client = begin(server, upstream)
    local conn, head = accept(upstream)
    assert.matches("\r\nLast%-Event%-ID: first\r\n", head)
    send(conn, "retry: 1000000\n\nid: one\ndata: a\n\nid: two\n\nid: three\ndata: not whole")
    assert.truthy(client:receive_until("nil, a, one\n\n"))
    server:advance(900)
    assert.is_nil(upstream:try_accept(0))
    server:advance(600)
    conn, head = accept(upstream)
    assert.matches("\r\nLast%-Event%-ID: two\r\n", head)
    send(conn, "id\ndata: b\n\n")
    assert.truthy(client:receive_until("nil, b, nil\n\n"))
    server:advance(1500)
    assert.is_nil(select(2, accept(upstream)):find("Last-Event-ID", 1, true))
    assert.same({}, waits(server)) -- the server has closed in an orderly way each time
    leave()
  end)

  it("ends with a 204", function()
    local server, upstream = start(), support.listen()
    local client = begin(server, upstream)
    accept(upstream):send("HTTP/1.1 204 No Content\r\n\r\n")
    assert.truthy(client:receive_until("data: over: nil nil\n\n"))
    assert.same({}, server:log_lines("event source ended"))
  end)

  it("ends with an answer that is no event stream, and says so", function()
    local ANSWERS = {
      ["answered 500 instead of an event stream"] = "500 No\r\nContent-Type: text/event-stream",
      ["answered 404 instead of an event stream"] = "404 No",
      ["answered 302 instead of an event stream"] = "302 Go",
      ["answered with the type 'text/html'"] = "200 OK\r\nContent-Type: text/html; x=y",
      ["answered with the type ''"] = "200 OK",
    }
    for expected, answer in pairs(ANSWERS) do
      local server, upstream = start(), support.listen()
      local client = begin(server, upstream)
      local conn = accept(upstream)
      conn:send("HTTP/1.1 " .. answer .. "\r\nContent-Length: 9\r\n\r\n")
      local body = client:receive_until(" EPROTO\n\n")
      assert.truthy(body and body:find(expected, 1, true), body)
      conn:await_close()
      assert.equal(1, #server:log_lines("event source ended"))
    end
    leave()
  end)

  it("ends when a next try would fail as this one did", function()
    local server, upstream = start("{ body_bytes = 100 }"), support.listen()
    local client = begin(server, upstream)
    accept(upstream):send(HEAD .. "data: " .. ("x"):rep(200))
    assert.truthy(client:receive_until(" EMSGSIZE\n\n"))
    client = begin(server, { url = "ftp://x" })
    assert.truthy(client:receive_until(" EINVAL\n\n"))
    leave()
  end)

  it("waits longer and longer for a server that fails, up to a minute", function()
    local server, upstream = start(), support.listen()
    local client = begin(server, upstream)
    local expected = { 3, 6, 12, 24, 48, 60, 60 }
    for number = 1, #expected do
      accept(upstream)
      upstream.conns[number]:close() -- without an answer
      clock.eventually(function() return #waits(server) == number end)
      server:advance(90)
    end
    for number, seconds in ipairs(waits(server)) do
      assert.is_true(seconds >= expected[number] and seconds <= expected[number] * 1.5 + 0.1,
        ("wait %d: %g s"):format(number, seconds))
    end
    local conn = accept(upstream)
    conn:send(HEAD .. "data: back\n\n")
    assert.truthy(client:receive_until("nil, back, nil\n\n"))
    conn.socket:setoption("linger", { on = true, timeout = 0 }) -- a reset: cut, not ended
    conn:close()
    clock.eventually(function() return #waits(server) == #expected + 1 end)
    assert.is_true(waits(server)[#expected + 1] <= 4.6)
    leave()
  end)

  it("takes silence for a lost connection", function()
    local server, upstream = start("{ idle_timeout = 1000 }"), support.listen()
    local client = begin(server, upstream)
    local conn = accept(upstream)
    conn:send(HEAD .. "data: a\n\n")
    assert.truthy(client:receive_until("nil, a, nil\n\n"))
    server:advance(1000)
    conn:await_close()
    server:advance(5)
    accept(upstream):send(HEAD .. "data: b\n\n")
    assert.truthy(client:receive_until("nil, b, nil\n\n"))
    leave()
  end)

  it("ends with its reader, also between two connections", function()
    local server, upstream = start(), support.listen()
    local client = begin(server, upstream)
    local conn = accept(upstream)
    conn:send(HEAD .. "data: a\n\n")
    assert.truthy(client:receive_until("nil, a, nil\n\n"))
    client:reset()
    conn:await_close()
    client = begin(server, upstream)
    conn = accept(upstream)
    send(conn, "retry: 1000000\ndata: b\n\n")
    assert.truthy(client:receive_until("nil, b, nil\n\n"))
    client:reset()
    clock.eventually(function() return #server:log_lines("reason=left") == 2 end)
    server:advance(2000)
    assert.is_nil(upstream:try_accept(0))
    leave()
  end)

  it("is closed when its loop is left, and does not connect again", function()
    local server, upstream = start(nil, [[
      local lunesse = require "lunesse"
      lunesse.server():get("/", function(request, response)
        local next_event, a, b, source = lunesse.http.event_source(request.query.up)
        for event in next_event, a, b, source do
          response.sse:send(event)
          break
        end
        response.sse:send("after " .. tostring(next_event()))
        lunesse.sleep(1000000)
      end)
    ]]), support.listen()
    local client = begin(server, upstream)
    local conn = accept(upstream)
    conn:send(HEAD .. "data: a\n\n")
    assert.truthy(client:receive_until("data: a\n\n"))
    assert.truthy(client:receive_until("data: after nil\n\n"))
    conn:await_close()
    leave()
  end)

  it("asks its own URL each time, with what is secret, and follows redirects from there", function()
    local server, upstream = start('{ headers = { authorization = "secret" } }'), support.listen()
    local other = support.listen()
    begin(server, upstream)
    for _ = 1, 2 do
      local conn, head = accept(upstream)
      assert.matches("\r\nauthorization: secret\r\n", head)
      conn:send(("HTTP/1.1 301 Go\r\nLocation: %s/there\r\nContent-Length: 0\r\n" ..
        "Connection: close\r\n\r\n"):format(other.url))
      conn, head = accept(other)
      assert.matches("^GET /there ", head)
      assert.is_nil(head:find("secret", 1, true))
      send(conn, "retry: 1000\ndata: a\n\n")
      server:advance(5)
    end
    leave()
  end)

  it("raises for options that are none", function()
    local server = start(nil, [[
      local lunesse = require "lunesse"
      local http = lunesse.http
      lunesse.server():get("/", function(_, response)
        for _, options in ipairs { { last_event_id = "a\n" }, { body = "x" },
            { headers = { ["a b"] = 1 } }, { query = { a = {} }, last_event_id = 1 } } do
          local ok, why = pcall(http.event_source, "http://127.0.0.1:1/", options)
          response:write(tostring(ok) .. " " .. why:gsub("^.-:%d+: ", "") .. "\n")
        end
        response:finish()
      end)
    ]])
    local body = server:request({ target = "/" }).body
    assert.matches("false event_source: last_event_id is a string without control characters\n",
      body)
    assert.matches("false event_source: unknown option 'body'\n", body)
    assert.matches("false a header name is letters", body)
  end)
end)
