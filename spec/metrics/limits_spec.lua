-- A limit that is met is counted, and said in the log: which one, and at what number.

local support = require "spec.sse.support"
local Server = require "spec.support.server"
local reload = require "spec.reload.support"
local wire = require "spec.support.wire"

local ROUTES = [[
local small = lunesse.channel("small", { bytes = 100 })
server:post("/body", function(request, response) response:send(request:text()) end)
server:get("/own", function(_, response)
  local _, _, code = response.sse:send(("x"):rep(3000))
  response.sse:send(code)
  hold()
end)
server:get("/publish", function(_, response)
  response:send((select(3, small:publish(("x"):rep(200)))))
end)
server:get("/channels", function(_, response)
  for i = 1, 20 do
    local _, _, code = lunesse.channel("c" .. i, { history = 0 })
    if code then return response:send(code) end
  end
end)
server:get("/subscribe", function(_, response)
  local sse = response.sse
  sse:subscribe(small)
  local _, _, code = sse:subscribe(lunesse.channel("other"))
  sse:send(code)
  sse:close()
end)
server:get("/shared", function(_, response)
  response:send((select(3, lunesse.shared("s"):set("k", ("x"):rep(5000)))))
end)
server:get("/name", function() lunesse.channel(("x"):rep(21)) end)
server:get("/total", function(_, response)
  for i = 1, 1000 do
    local channel, _, code = lunesse.channel("t" .. i, { history = 0 })
    if not channel then return response:send(code) end
  end
end)
lunesse.channel_group("few", { channels = 1 })
local only = lunesse.channel("only", { group = "few" })
server:get("/group_channels", function(_, response)
  response:send((select(3, lunesse.channel("not " .. only.name, { group = "few" }))))
end)
lunesse.channel_group("light", { bytes = 1 })
server:get("/group_bytes", function(_, response)
  response:send((select(3, lunesse.channel("heavy", { group = "light" }))))
end)
lunesse.channel_group("loud", { bytes = 5000 })
local loud = lunesse.channel("loud", { group = "loud" })
server:get("/group_publish", function(_, response)
  response:send((select(3, loud:publish(("x"):rep(6000)))))
end)
local few = lunesse.shared("few", { bytes = 1000 })
server:get("/store", function(_, response)
  response:send((select(3, few:set("k", ("x"):rep(2000)))))
end)
local seen = lunesse.metric.counter("seen_total", "Seen.", { "who" })
server:get("/series", function(_, response)
  for i = 1, 1001 do seen:add(1, "w" .. i) end
  response:send("x")
end)
local files = {}
server:get("/take", function(_, response)
  repeat
    local file = io.open("/dev/null")
    files[#files + 1] = file
  until not file
  response:send("taken")
end)
server:get("/give", function(_, response)
  for _, file in ipairs(files) do file:close() end
  files = {}
  response:send("given")
end)
server:get("/firehose", function(_, response)
  while true do response.sse:send(("x"):rep(8000)) end
end)
server:get("/tasks", function(_, response)
  local tasks, code, _ = {}, nil, nil
  for i = 1, 3 do tasks[i], _, code = lunesse.spawn(hold) end
  for _, task in ipairs(tasks) do task:cancel() end
  tasks[1]:wait()
  response:send(code)
end)
server:get("/passwords", function(_, response)
  local waiting = lunesse.spawn(lunesse.crypto.password_hash, "x")
  lunesse.sleep(0)
  local _, _, code = lunesse.crypto.password_hash("x")
  waiting:wait()
  response:send(code)
end)
server:get("/upstream", function(request, response)
  local url = "http://127.0.0.1:" .. request.query.port .. "/nothing"
  local _, _, code = lunesse.http.get(url)
  response:send(code)
end)
server:get("/run", function() while true do end end)
server:get("/memory", function() local t = {} while true do t[#t + 1] = ("x"):rep(#t) end end)
]]

---Starts a server with the limit `name` at `value`.
local function start(name, value, options)
  options = options or {}
  options.workers = 1
  options.args = table.move({ "--metrics", "/metrics", "--limit", name .. "=" .. value }, 1, 4,
    #(options.args or {}) + 1, { table.unpack(options.args or {}) })
  return support.start(ROUTES, options)
end

local function count(server, name)
  local text = server:request { target = "/metrics" }.body
  return tonumber(text:match('\nlunesse_limit_total{limit="' .. name .. '"} (%d+)'))
end

---Meets the limit `name` twice by `meet`, and judges what is counted and said. Without a `value`
---it is one that is not set by that name, or that has its default.
local function judge(name, value, shown, meet, options)
  local server = start(value and name or "stream_channels", value or 1, options)
  assert.equal(0, count(server, name))
  meet(server)
  meet(server)
  eventually(function() return count(server, name) >= 2 end)
  local lines = server:log_lines("warn a limit is met limit=" .. name .. " at=" .. shown)
  assert.equal(1, #lines, server:log())
  return server
end

local function answers(code, target)
  return function(server)
    assert.equal(code, support.get(server, target))
  end
end


---What `request` is answered with.
local function answers_with(status, request)
  return function(server)
    assert.equal(status, server:request(request).status)
  end
end

---A body whose pieces come in time, but are too few.
local function drip(server)
  local client = server:connect()
  client:send("POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
  local before = count(server, "body_rate")
  eventually(function()
    server:advance(0.3)
    client:send("x")
    return count(server, "body_rate") > before
  end)
  assert.equal(408, client:response().status)
  client:close()
end

---A reader that takes nothing. What the kernel still takes begins the time anew.
local function stall(server)
  local client = server:connect { receive_buffer = 4096 }
  client:send(wire.request { target = "/firehose", headers = { Accept = "text/event-stream" } })
  client:head()
  local before = count(server, "peer_timeout")
  eventually(function()
    server:advance(21)
    return count(server, "peer_timeout") > before
  end)
  client:close()
end

---A script that takes all descriptors, and a peer for whom there is none.
local function exhaust(server)
  local script = server:connect()
  local function ask(target)
    script:send(wire.request { target = target })
    return script:response().body
  end
  assert.equal("taken", ask "/take")
  local peer = server:connect()
  peer:send(wire.request { target = "/publish" })
  assert.equal("", (peer:receive_all()))
  peer:close()
  assert.equal("given", ask "/give")
  script:close()
end

local function too_many(server)
  local held = { server:connect(), server:connect() }
  for _, client in ipairs(held) do
    client:send(wire.request { target = "/metrics" })
    assert.equal(200, client:response().status)
  end
  assert.equal(503, server:request { target = "/publish" }.status)
  for _, client in ipairs(held) do
    client:close()
  end
  eventually(function()
    return server:request({ target = "/metrics" }).status == 200
  end)
end

local function begin(text)
  return function(server)
    local client = server:connect()
    client:send(text)
    assert.equal(408, client:response().status)
    client:close()
  end
end

local MEBIBYTE = 1024 * 1024
local BODY = { method = "POST", target = "/body", body = ("x"):rep(11) }
local MANY_FIELDS = { target = "/", headers = { ["X-A"] = "1", ["X-B"] = "2", ["X-C"] = "3" } }
local LONG_FIELD = { target = "/", headers = { ["X-Long"] = ("x"):rep(300) } }

-- By name: what it is set to, how the log shows that, and how to meet it. `nil` stands for what has
-- no name to be set by.
local CASES = {
  head_bytes = { 300, "300", answers_with(431, LONG_FIELD) },
  head_fields = { 3, "3", answers_with(431, MANY_FIELDS) },
  target_bytes = { 20, "20", answers_with(414, { target = "/" .. ("x"):rep(30) }) },
  body_bytes = { 10, "10", answers_with(413, BODY) },
  head_timeout = { 0.1, "0.100", begin "GET / HT" },
  body_timeout = { 0.1, "0.100",
    begin "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nx" },
  body_rate = { 100, "100", drip, { clock = true, args = { "--limit", "body_timeout=1" } } },
  body_total_bytes = { 10, "10", answers_with(503, BODY) },
  connections = { 2, "2", too_many },
  stream_max_bytes = { 2000, "2000", function(server)
    local reader = server:stream("/own")
    assert.equal("EMSGSIZE", reader:event().data)
    reader:close()
  end },
  peer_timeout = { 20, "20.000", stall, { clock = true } },
  stream_channels = { 1, "1", function(server)
    assert.matches("data: E2BIG", support.stream_bytes(server, "/subscribe"))
  end },
  channels = { 5, "5", answers("E2BIG", "/channels") },
  channel_total_bytes = { 10000, "10000", answers("ENOMEM", "/total") },
  channel_name_bytes = { 20, "20", answers_with(500, { target = "/name" }) },
  shared_bytes = { 1000, "1000", answers("ENOMEM", "/shared") },
  tasks = { 2, "2", answers("E2BIG", "/tasks") },
  passwords = { 1, "1", answers("EAGAIN", "/passwords") },
  upstream_body_bytes = { 3, "3", function(server)
    local response = server:request { target = "/upstream?port=" .. server.port }
    assert.equal("EMSGSIZE", response.body)
  end },
  load_timeout = { 0.1, "0.100", function(server) reload.fail(server, "hold()") end },
  run_timeout = { 0.1, "0.100", answers_with(500, { target = "/run" }) },
  lua_bytes = { 8 * MEBIBYTE, tostring(8 * MEBIBYTE), answers_with(500, { target = "/memory" }) },
  descriptors = { nil, "100", exhaust, { wrap = Server.under "ulimit -n 100" } },
  channel_bytes = { nil, "100", answers("EMSGSIZE", "/publish") },
  group_channels = { nil, "1", answers("E2BIG", "/group_channels") },
  group_bytes = { nil, "1", answers("ENOMEM", "/group_bytes") },
  store_bytes = { nil, "1000", answers("ENOMEM", "/store") },
  metric_series = { nil, "1000", answers("x", "/series") },
}

-- What refuses nobody anything.
local PACES = {
  idle_timeout = "an idle connection asks for nothing",
  pipeline = "the server reads on when it has answered some",
  stream_high_bytes = "who sends waits",
  heartbeat = "a comment is sent",
  drain_delay = "the server drains",
  drain_timeout = "nobody is left to read the number",
}

describe("a limit that is met", function()
  for name, case in pairs(CASES) do
    it("is counted each time and said once: " .. name, function()
      judge(name, case[1], case[2], case[3], case[4])
    end)
  end

  it("has its case here, each of those that are counted", function()
    local server = start("stream_channels", 1)
    local text = server:request { target = "/metrics" }.body
    local names = {}
    for name in text:gmatch '\nlunesse_limit_total{limit="([^"]+)"}' do
      names[#names + 1] = name
      assert.is_true((CASES[name] ~= nil) ~= (PACES[name] ~= nil), name)
    end
    assert.is_true(#names > 20)
  end)

  it("is the one that was met, where several have the same answer", function()
    for name, request in pairs {
      head_fields = "POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" ..
        "1\r\nx\r\n0\r\na: 1\r\nb: 1\r\nc: 1\r\nd: 1\r\n\r\n",
      head_bytes = "POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" ..
        "1\r\nx\r\n0\r\na: " .. ("x"):rep(300) .. "\r\n\r\n",
      target_bytes = "GET /" .. ("x"):rep(100) .. " HTTP/1.1\r\nHost: x\r\n\r\n",
    } do
      local server = start("head_fields", 3, {
        args = { "--limit", "head_bytes=200", "--limit", "target_bytes=50" },
      })
      local client = server:connect()
      client:send(request)
      local status = client:response().status
      assert.equal(name == "target_bytes" and 414 or 431, status)
      client:close()
      for _, other in ipairs { "head_fields", "head_bytes", "target_bytes" } do
        assert.equal(other == name and 1 or 0, count(server, other), other)
      end
    end
  end)

  it("is head_bytes for a target that is too long for the rest of the head alone", function()
    local server = start("head_bytes", 100)
    local target = "/" .. ("x"):rep(200)
    assert.equal(414, server:request({ target = target }).status)
    assert.equal(1, count(server, "head_bytes"))
    assert.equal(0, count(server, "target_bytes"))
  end)

  it("is the group's where it is the group that is full", function()
    local server = start("stream_channels", 1)
    assert.equal("ENOMEM", support.get(server, "/group_publish"))
    assert.equal(1, count(server, "group_bytes"))
    assert.equal(0, count(server, "channel_total_bytes"))
  end)
end)
