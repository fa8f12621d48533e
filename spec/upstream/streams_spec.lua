-- Answers that are read while they come: pieces, events, slow readers, and how such a stream ends.

local clock = require "spec.support.clock"
local Server = require "spec.support.server"
local support = require "spec.upstream.support"

local HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"

local SCRIPT = support.RELAY .. [[
local function open(request, options)
  options = options or {}
  options.stream = true
  return http.get(request.query.url, options)
end
server:get("/chunks", { on_leave = "cancel" }, function(request, response)
  local up <close> = open(request)
  response:write("[" .. up.status .. "]")
  for chunk in up:chunks() do response:write("<" .. chunk .. ">") end
  response:write("done")
  response:finish()
end)
server:get("/events", function(request, response)
  local up <close> = open(request)
  for event in up:events() do response.sse:send(event) end
  response.sse:send("done")
end)
server:get("/first", function(request, response)
  local up = open(request)
  for event in up:events() do response:send(event.data) break end
end)
server:get("/text", function(request, response)
  local up <close> = open(request, { body_bytes = 10 })
  local text, why, code = up:text()
  response:send(tostring(text) .. " " .. tostring(code))
end)
server:get("/hold", { on_leave = "cancel" }, function(request, response)
  local up <close> = open(request)
  lunesse.sleep(1000000)
end)
local task, kept
server:get("/bare", { on_leave = "cancel" }, function(request, response)
  kept = open(request)
  response:write("open")
  lunesse.sleep(1000000)
end)
server:get("/spawned", function(request, response)
  task = lunesse.spawn(function()
    kept = { open(request), open(request) }
    kept[2]:close()
    kept[2] = open(request)
    lunesse.sleep(1000000)
  end)
  response:send("begun")
end)
server:get("/cancel", function(_, response)
  task:cancel()
  response:send("cancelled")
end)
server:get("/return", function(request, response)
  kept = open(request)
  response:send("open")
end)
server:get("/raise", function(request)
  kept = open(request)
  error("so")
end)
server:get("/other", function(request, response)
  kept = open(request)
  lunesse.spawn(function()
    local up = kept
    local text, why, code = up:text()
    up.said = tostring(text) .. " " .. why .. " " .. code
  end)
  lunesse.sleep(0)
  response:send("open")
end)
server:get("/said", function(_, response) response:send(kept.said or "") end)
server:get("/closed", function(request, response)
  local up = open(request)
  up:close()
  local text, why, code = up:text()
  response:send(tostring(text) .. " " .. why .. " " .. code)
end)
]]

local function start(options)
  options = options or {}
  options.workers = 1
  return Server.start(SCRIPT, options)
end

local function begin(server, path, upstream, fields)
  local client = server:connect()
  local url = upstream.url:gsub("[^%w]", function(c) return ("%%%02X"):format(c:byte()) end)
  client:send(("GET %s?url=%s HTTP/1.1\r\nHost: localhost\r\n%s\r\n"):format(path, url,
    fields or ""))
  local conn = upstream:accept()
  conn:request()
  return client, conn
end

local EVENTS = "Accept: text/event-stream\r\n"

describe("a stream of another server", function()
  after_each(support.close_all)

  it("is there when its head has come, and gives each piece when that has come", function()
    local server, upstream = start(), support.listen()
    local client, conn = begin(server, "/chunks", upstream)
    conn:send(HEAD)
    assert.truthy(client:receive_until("[200]"))
    for _, piece in ipairs { "one", "two" } do
      conn:send(piece)
      assert.truthy(client:receive_until("<" .. piece .. ">"))
    end
    conn:close()
    assert.truthy(client:receive_until("done"))
  end)

  it("gives events as the standard reads them, in whatever pieces they come", function()
    local text = "\239\187\191: hello\r\n\r\nid: 1\r\ndata: a\r\ndata:b\r\n\r\n" ..
      "event: x\ndata\n\n" ..
      "id\nretry: 1500\ndata:  c\r\rretry: x\nignored: 1\n\ndata: last\nevent:\n\n" ..
      "event: a\0b\ndata: \255c\195\nretry: 99999999999\n\ndata: cut off"
    local server = start()
    for _, size in ipairs { 1, 2, 3, 7, #text } do
      local upstream = support.listen()
      local client, conn = begin(server, "/events", upstream, EVENTS)
      conn:send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
      for at = 1, #text, size do
        local piece = text:sub(at, at + size - 1)
        conn:send(("%x\r\n%s\r\n"):format(#piece, piece))
      end
      conn:send("0\r\n\r\n")
      local body = client:receive_until("data: done\n\n")
      assert.truthy(body, size)
      assert.matches("id: 1\ndata: a\ndata: b\n\n", body)
      assert.matches("id: 1\nevent: x\ndata: \n\n", body)
      assert.matches("retry: 1500\ndata:  c\n\n", body)
      assert.matches("\ndata: last\n\n", body)
      assert.matches("event: a\239\191\189b\ndata: \239\191\189c\239\191\189\n\n", body)
      assert.is_nil(body:find("cut off", 1, true))
    end
  end)

  it("is cut where the other server cuts it", function()
    local server, upstream = start(), support.listen()
    local client, conn = begin(server, "/chunks", upstream)
    conn:send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
    assert.truthy(client:receive_until("<abc>"))
    conn:close()
    local rest = client:receive_all()
    assert.is_nil((rest or ""):find("done", 1, true))
    clock.eventually(function()
      return #server:log_lines("in the middle of its answer") == 1
    end)
  end)

  it("is closed when its loop is left, by close, and by <close>", function()
    local server = start()
    local upstream = support.listen()
    local client, conn = begin(server, "/first", upstream)
    conn:send(HEAD .. "data: one\n\n")
    assert.equal("one", client:response().body)
    conn:await_close()
    client, conn = begin(server, "/closed", upstream)
    conn:send(HEAD)
    assert.equal("nil closed ECLOSED", client:response().body)
    conn:await_close()
    client, conn = begin(server, "/hold", upstream)
    conn:send(HEAD)
    client:reset()
    conn:await_close()
  end)

  it("is closed when the task ends that opened it, even if it is still held", function()
    local server, upstream = start(), support.listen()
    local client, conn = begin(server, "/bare", upstream)
    conn:send(HEAD .. "more than one reads")
    assert.truthy(client:receive_until("open"))
    client:reset()
    conn:await_close()
    for _, path in ipairs { "/return", "/raise" } do
      client, conn = begin(server, path, upstream)
      conn:send(HEAD)
      assert.equal(path == "/raise" and 500 or 200, client:response().status)
      conn:await_close()
    end
    client, conn = begin(server, "/spawned", upstream)
    conn:send(HEAD)
    local closed = upstream:accept()
    closed:send(HEAD)
    closed:await_close()
    local second = upstream:accept()
    second:request()
    second:send(HEAD)
    assert.equal("begun", client:response().body)
    assert.equal("cancelled", server:request({ target = "/cancel" }).body)
    conn:await_close()
    second:await_close()
  end)

  it("is closed under another task that reads it, when the one ends that opened it", function()
    local server, upstream = start(), support.listen()
    local client, conn = begin(server, "/other", upstream)
    conn:send(HEAD .. "some")
    assert.equal("open", client:response().body)
    conn:await_close()
    clock.eventually(function()
      return server:request({ target = "/said" }).body == "nil closed ECLOSED"
    end)
  end)

  it("ends with the reader of the stream that it is sent on to", function()
    local server, upstream = start(), support.listen()
    local client, conn = begin(server, "/events", upstream, EVENTS)
    conn:send(HEAD .. "data: one\n\n")
    assert.truthy(client:receive_until("data: one\n\n"))
    client:reset()
    conn:await_close()
  end)

  it("bounds what text collects", function()
    local server, upstream = start(), support.listen()
    local client, conn = begin(server, "/text", upstream)
    conn:answer("0123456789")
    assert.equal("0123456789 nil", client:response().body)
    conn:close()
    client, conn = begin(server, "/text", upstream)
    conn:answer("0123456789x")
    assert.equal("nil EMSGSIZE", client:response().body)
  end)

  it("is not read faster than its reader reads", function()
    local server, upstream = start(), support.listen()
    local client, conn = begin(server, "/chunks", upstream)
    conn:send(HEAD)
    assert.truthy(client:receive_until("[200]"))
    local before, sent, block = server:memory(), 0, ("x"):rep(65536)
    conn.socket:settimeout(0)
    local quiet = 0
    while sent < 64 * 1024 * 1024 and quiet < 20 do -- far more than all buffers on the way
      local ok, _, part = conn.socket:send(block)
      local count = ok or part
      sent = sent + count
      quiet = count == 0 and quiet + 1 or 0
      if count == 0 then
        clock.pause()
      end
    end
    assert.is_true(sent < 32 * 1024 * 1024, sent)
    local grown = server:memory() - before
    assert.is_true(grown < 2 * 1024 * 1024 or Server.is_sanitized(), grown) -- those keep the freed
    conn:close()
    local left = 0
    while true do
      local some = client:receive_some()
      if not some or #some == 0 then break end
      left = left + #some
      if some:find("done", 1, true) then break end
    end
    assert.is_true(left > sent, left) -- framing included
  end)

  it("takes an event that is larger than what else waits, up to body_bytes", function()
    local server = Server.start(support.RELAY .. [[
      server:get("/", function(request, response)
        local up <close> = http.get(request.query.url, { stream = true, body_bytes = 400000 })
        for event in up:events() do response:send(tostring(#event.data)) return end
      end)
    ]], { workers = 1 })
    local upstream = support.listen()
    local client, conn = begin(server, "/", upstream)
    conn:send(HEAD .. "data: " .. ("x"):rep(300000) .. "\n\n")
    assert.equal("300000", client:response().body)
    client, conn = begin(server, "/", upstream)
    conn:send(HEAD .. "data: " .. ("x"):rep(500000))
    assert.equal(500, client:response().status)
    conn:await_close()
  end)
end)
