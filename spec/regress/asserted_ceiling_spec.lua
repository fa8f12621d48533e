-- What had to fit was asserted to fit, so a script or a peer that made it not fit ended the server:
-- headers of a middleware that left no room for those of the engine's own answers, an answer for
-- which there was no memory, memory that a script asked for and that the system did not have, an
-- event for which there was no memory, the thread and the text of a scrape of the metrics.
-- Where such things had taken all memory, the next small thing of the engine's own found none, and
-- that ended the server, too. And where memory ended, a refusal named a limit that nobody had met.

local Server = require "spec.support.server"
local sse = require "spec.support.sse"
local support = require "spec.sse.support"

local FULL = [[
server:use(function(_, response, next)
  response:header("X-Full", ("a"):rep(64 * 1024 - 20))
  next()
end)
server:get("/bad", function() error "bad" end)
server:get("/", function(_, response) response:send("x") end)
]]

describe("headers that leave no room", function()
  for _, args in ipairs { {}, { "--dev" } } do
    it("do not keep the server from answering by itself " .. (args[1] or ""), function()
      local server = support.start(FULL, { args = args })
      for _, accept in ipairs { "text/html", "text/plain", "*/*" } do
        local headers = { Accept = accept }
        assert.equal(500, server:request({ target = "/bad", headers = headers }).status)
        assert.equal(404, server:request({ target = "/none", headers = headers }).status)
      end
      assert.equal("x", server:request({ target = "/" }).body)
    end)
  end
end)

describe("where memory ends", function()
  local function start(kilobytes)
    return support.start([[
server:get("/answer", function(_, response)
  local part = ("x"):rep(10000000)
  response:send(part:rep(9))
end)
server:get("/script", function(_, response)
  local parts = {}
  for i = 1, 100 do parts[i] = ("x"):rep(5000000 + i) end
  response:send("had it")
end)
server:get("/small", function(_, response)
  local parts = {}
  for i = 1, 5000000 do parts[i] = { i } end
  response:send("had it")
end)
local many = lunesse.shared("many")
server:get("/fill", function(_, response)
  for i = many.count + 1, many.count + 50000 do
    many:set(("%010d"):format(i):rep(25), true)
    if i % 1000 == 0 then lunesse.sleep(0) end
  end
  response:send("filled")
end)
server:get("/keys", function(_, response)
  local keys, _, code = many:keys(math.maxinteger)
  response:send(keys and "had it" or code)
end)
server:get("/text", function(_, response)
  local text, ok, why, code = ("x"):rep(10000000), true, nil, nil
  for i = 1, 30 do
    if ok then ok, why, code = many:set("text" .. i, text) end
  end
  response:send(ok and "had it" or code .. " " .. why)
end)
local room = lunesse.channel("room", { history = 1000, bytes = 1000000000, ttl = false })
server:get("/publish", function(request, response)
  local data = ("x"):rep(tonumber(request.query.bytes))
  for i = 1, 1000 do
    local before = room:cursor()
    local id, why, code = room:publish(i .. data)
    if not id then
      return response:send(("%s %s %s"):format(code, why, room:cursor() == before))
    end
  end
  response:send("had it")
end)
server:get("/say", function(_, response)
  local before = room:cursor():match("%d+$")
  response:send(tostring(room:publish("small"):match("%d+$") - before))
end)
server:get("/events", function(_, response)
  response.sse:subscribe(room, { since = -2 })
end)
local told = lunesse.channel("told", { reset = { data = ("x"):rep(4096) } })
server:get("/told", function(_, response)
  response.sse:subscribe(told)
end)
local rooms = {}
for i = 1, 100 do
  rooms[i] = lunesse.channel("room" .. i, { history = 1, ttl = false })
  rooms[i]:publish("event")
end
server:get("/merged", function(_, response)
  for _, each in ipairs(rooms) do
    response.sse:subscribe(each, { since = -1 })
  end
end)
local held = {}
local function hold(size, count)
  for _ = 1, count do held[#held + 1] = ("x"):rep(size) end
end
local function hold_all()
  for size = 24, 12, -1 do
    pcall(hold, 2 ^ size, 100)
  end
end
server:get("/hold", function(_, response)
  hold_all()
  response:send("held")
end)
server:get("/replace", function(_, response)
  response:header("X-Large", ("x"):rep(30000)):header("X-Small", "1")
  hold_all()
  response:header("X-Small", "2")
  held = { "replaced" }
  response:send("x") -- for which there may be no memory yet
end)
server:use("/kept", function(_, response, next)
  response:header("X-Large", ("x"):rep(30000)):header("X-Small", "1")
  next()
end)
server:get("/kept/replace", function(_, response)
  hold_all()
  response:header("X-Small", "2")
  held = { "replaced" }
  response:send("x")
end)
server:get("/kept/fail", function()
  hold_all()
  local all = held
  held = setmetatable({ "failed" }, { __gc = function() all = nil end })
  error "fails"
end)
server:get("/held", function(_, response) response:send(held[1]) end)
server:get("/stream", function(_, response) response.sse:send("x") end)
server:get("/", function(_, response) response:send("x") end)
]], {
      workers = 1, wrap = Server.under("ulimit -v " .. (kilobytes or 220000)),
      args = { "--limit", "lua_bytes=1000000000", "--limit", "run_timeout=20",
        "--limit", "shared_bytes=1000000000", "--limit", "channel_total_bytes=1000000000",
        "--metrics", "/metrics" },
    })
  end

  local function survives(target)
    if Server.is_sanitized() then
      return pending("a sanitizer's own memory is beyond any ulimit")
    end
    local server = start()
    for _ = 1, 2 do
      local client = server:connect()
      client:send("GET " .. target .. " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
      local bytes = client:receive_all()
      assert.is_true(#bytes < 90000000, "there was memory enough")
      assert.is_nil(bytes:find("had it", 1, true))
      client:close()
      assert.equal("x", server:request({ target = "/" }).body)
    end
  end

  it("an answer is cut, and the server goes on", function()
    survives "/answer"
  end)

  it("a script that wants more fails, and the server goes on", function()
    survives "/script"
  end)

  it("a store refuses to list its keys, or to keep a text, and the server goes on", function()
    if Server.is_sanitized() then
      return pending("a sanitizer's own memory is beyond any ulimit")
    end
    local server = start(130000)
    for _ = 1, 3 do
      assert.equal("filled", server:request({ target = "/fill" }).body)
    end
    assert.equal("ENOMEM", server:request({ target = "/keys" }).body)
    assert.equal("x", server:request({ target = "/" }).body)
    server = start()
    assert.equal("ENOMEM there is no memory for the value",
      server:request({ target = "/text" }).body)
    assert.equal("x", server:request({ target = "/" }).body)
    assert.is_nil(server:log():find("shared_bytes", 1, true))
  end)

  it("a channel refuses an event, keeps what it has, and takes a smaller one", function()
    if Server.is_sanitized() then
      return pending("a sanitizer's own memory is beyond any ulimit")
    end
    for _, bytes in ipairs { 1000000, 10000000, 60000000 } do
      local server = start()
      local target = "/publish?bytes=" .. bytes
      assert.equal("ENOMEM there is no memory for the event true",
        server:request({ target = target }).body)
      assert.equal("1", server:request({ target = "/say" }).body)
      assert.is_nil(server:log():find("limit is met", 1, true))
      if bytes == 1000000 then
        local stream = sse.open(server, "/events")
        local last = stream:event()
        assert.equal(last.id:match("%d+$") .. ("x"):rep(bytes), last.data)
        assert.equal("small", stream:event().data)
        stream:close()
      end
    end
  end)

  it("a header is replaced without memory", function()
    if Server.is_sanitized() then
      return pending("a sanitizer's own memory is beyond any ulimit")
    end
    local server = start()
    local client = server:connect()
    client:send("GET /replace HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    client:receive_all()
    client:close()
    assert.equal("replaced", server:request({ target = "/held" }).body)
  end)

  it("headers of a middleware are replaced, and restored for an error's answer", function()
    if Server.is_sanitized() then
      return pending("a sanitizer's own memory is beyond any ulimit")
    end
    for _, what in ipairs { "replace", "fail" } do
      local server = start()
      local client = server:connect()
      client:send("GET /kept/" .. what .. " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
      client:receive_all()
      client:close()
      assert.equal(what == "fail" and "failed" or "replaced",
        server:request({ target = "/held" }).body)
    end
  end)

  it("so does one that wants many small things", function()
    survives "/small"
  end)

  it("a stream ends that cannot be told of its place, or be sent many channels' events", function()
    if Server.is_sanitized() then
      return pending("a sanitizer's own memory is beyond any ulimit")
    end
    local server = start()
    assert.equal("held", server:request({ target = "/hold" }).body)
    for _, target in ipairs { "/told", "/merged" } do
      local client = server:connect()
      client:send("GET " .. target .. " HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n" ..
        "Last-Event-ID: bad\r\n\r\n")
      assert.is_nil(client:receive_all():find("data:", 1, true))
      client:close()
      assert.equal("x", server:request({ target = "/" }).body)
    end
    assert.truthy(server:log():find("reason=failed", 1, true))
  end)

  it("the next readers are served, and a scrape of the metrics is refused", function()
    if Server.is_sanitized() then
      return pending("a sanitizer's own memory is beyond any ulimit")
    end
    local server = start()
    assert.equal("held", server:request({ target = "/hold" }).body)
    local streams, refused = {}, 0
    for _ = 1, 50 do
      local stream = server:connect()
      stream:send("GET /stream HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n")
      if stream:receive_until("\r\n\r\n"):find("^HTTP/1.1 200 ") then
        assert.truthy(stream:receive_until("data: x\n\n"))
        streams[#streams + 1] = stream
      else -- Lua had nothing left for this handler, and collects before the next
        refused = refused + 1
        stream:close()
      end
      assert.equal("x", server:request({ target = "/" }).body)
    end
    assert.is_true(refused <= 5, refused .. " of 50 were refused")
    assert.equal(503, server:request({ target = "/metrics" }).status)
    for _, stream in ipairs(streams) do
      stream:close()
    end
    assert.equal("x", server:request({ target = "/" }).body)
  end)
end)
