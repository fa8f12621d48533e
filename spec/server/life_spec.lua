-- The program while it serves and when it ends: the access log, signals, and what it gives back.

local support = require "spec.sse.support"
local Server = require "spec.support.server"
local wire = require "spec.support.wire"
local clock = require "spec.support.clock"
local cjson = require "cjson"

local start, get = support.start, support.get

local ROUTES = [[
server:get("/plain", function(_, response) response:send("12345") end)
server:get("/stream", function(_, response)
  response.sse:send("x")
  response.sse:close()
end)
server:get("/held", function(_, response)
  response:on("close", function(reason) mark("close", reason) end)
  response.sse:open()
  hold()
end)
server:get("/slow", function(_, response)
  mark("slow")
  lunesse.sleep(0.1)
  response:send("slow but done")
end)
server:get("/forever", function(_, response)
  mark("forever")
  local guard <close> = setmetatable({}, { __close = function() mark("guard") end })
  hold()
end)
server:get("/detached", { on_leave = "detach" }, function(_, response)
  response.sse:open()
  mark("detached")
  hold()
end)
]]

local STREAM = { Accept = "text/event-stream" }

describe("the access log", function()
  it("has one line a response: method, target, status, bytes, duration, reason, ip, id", function()
    local server = start(ROUTES, { workers = 1 })
    get(server, "/plain?a=b")
    support.stream_bytes(server, "/stream")
    server:request { method = "HEAD", target = "/plain" }
    server:request { method = "DELETE", target = "/plain" }
    server:request { target = "/none" }
    local held = server:stream("/held")
    held:comment()
    held:close()
    eventually(function()
      return support.access_line(server, "/held")
    end)
    local lines = {}
    for line in server:log():gmatch("[^\n]+") do
      local shape = line:match(" info (%a+ method=.*)$")
      if shape then
        assert.matches(" ms=%d+%.%d%d%d ", shape)
        assert.matches(" id=%x+%-%d+$", shape)
        lines[#lines + 1] = shape:gsub(" ms=[%d.]+", ""):gsub(" id=.*", "")
      end
    end
    assert.same({
      "request method=GET target=/plain status=200 bytes=5 reason=finished ip=127.0.0.1",
      "stream method=GET target=/stream status=200 bytes=22 reason=finished ip=127.0.0.1",
      "request method=HEAD target=/plain status=200 bytes=0 reason=finished ip=127.0.0.1",
      "request method=DELETE target=/plain status=405 bytes=45 reason=finished ip=127.0.0.1",
      "request method=GET target=/none status=404 bytes=28 reason=finished ip=127.0.0.1",
    }, { table.unpack(lines, 1, 5) })
    assert.matches("^stream method=GET target=/held status=200 bytes=%d+ reason=left ip=127.0.0.1$",
      lines[6])
    assert.equal(6, #lines)
  end)

  it("has the address of a peer that is gone, however it went", function()
    local server = start(ROUTES .. [[
server:get("/quiet", function(_, response) response.sse:subscribe(lunesse.channel("quiet")) end)
]])
    for _, target in ipairs { "/held", "/quiet" } do
      local reader = server:stream(target)
      reader:comment()
      reader:reset()
      local line = eventually(function() return support.access_line(server, target) end)
      assert.matches(" reason=left ip=127%.0%.0%.1 ", line)
    end
  end)

  it("says unix of a peer of a Unix socket", function()
    local path = Server.write {} .. "/socket"
    local server = start(ROUTES, { workers = 2, args = { "--unix", path } })
    get(server, "/plain")
    eventually(function() return #server:log_lines(" reason=finished ip=unix id=") == 1 end)
  end)

  it("has a query only with --log-query: event streams have no other place for a token", function()
    for _, args in ipairs { {}, { "--log-query" } } do
      local server = start(ROUTES .. [[
server:get("/quiet", function(_, response) response.sse:subscribe(lunesse.channel("quiet")) end)
]], { args = { "--log-level", "debug", table.unpack(args) } })
      get(server, "/plain?token=moon")
      support.raw(server, { target = "http://x/plain?token=moon" })
      for _, name in ipairs { "/held", "/quiet" } do
        local reader = server:stream(name .. "?token=moon")
        reader:comment()
        reader:close()
      end
      eventually(function() return #server:log_lines(" reason=") == 4 end)
      for _, target in ipairs { "/plain", "/held", "/quiet", "http://x/plain" } do
        local shown = args[1] and ('="%s?token=moon" '):format(target) or ("=%s "):format(target)
        local count = target:find("plain") and 1 or 2 -- streams have a line when they open, too
        assert.equal(count, #server:log_lines(" target" .. shown), server:log())
      end
      assert.equal(args[1] and 6 or 0, #server:log_lines("moon"))
    end
  end)

  it("says at debug when a stream opens", function()
    local server = start(ROUTES, { args = { "--log-level", "debug" } })
    local reader = server:stream("/held")
    reader:comment()
    local opened = eventually(function() return server:log_lines("debug stream opened")[1] end)
    local id = opened:match(" method=GET target=/held ip=127%.0%.0%.1 id=(%S+)$")
    reader:close()
    eventually(function() return #server:log_lines(" id=" .. id) == 2 end)
    get(server, "/plain")
    assert.equal(1, #server:log_lines("stream opened"))
  end)

  it("says why a message was refused or cut", function()
    local server = start(ROUTES)
    support.raw(server, { target = "/plain", host = "a b" })
    local client = server:connect()
    client:send("nonsense\r\n\r\n")
    assert.equal(400, client:response().status)
    client:close()
    eventually(function()
      return #server:log_lines("reason=refused") == 2
    end)
  end)

  it("is JSON when asked for, with numbers as numbers", function()
    local server = start(ROUTES, { workers = 1, args = { "--log-format", "json" } })
    get(server, "/plain")
    support.stream_bytes(server, "/stream")
    eventually(function()
      return #server:log_lines('"reason"') == 2
    end)
    local records = {}
    for line in server:log():gmatch("[^\n]+") do
      records[#records + 1] = cjson.decode(line)
    end
    local plain, stream = records[1], records[2]
    assert.same({ "info", "request", "GET", "/plain", 200, 5, "finished" }, { plain.level,
      plain.text, plain.method, plain.target, plain.status, plain.bytes, plain.reason })
    assert.is_number(plain.ms)
    assert.matches("^%x+%-%d+$", plain.id)
    assert.same({ "stream", 22 }, { stream.text, stream.bytes })
  end)

  it("cannot be forged by a target, a header or a method", function()
    local server = start(ROUTES)
    local client = server:connect()
    client:send("GET /a%0a2026-01-01T00:00:00.000Z%20error\"x=y HTTP/1.1\r\nHost: a\r\n" ..
      "X: \xff\x80\r\n\r\n")
    client:response()
    client:close()
    eventually(function()
      return #server:log_lines("method=") == 1
    end)
    for line in server:log():gmatch("[^\n]+") do
      assert.matches("^%d%d%d%d%-%d%d%-%d%dT[%d:.]+Z %a+ ", line)
      assert.not_matches("[\127-\255]", line)
    end
  end)
end)

describe("SIGUSR1 and SIGUSR2", function()
  it("log what each worker has counted, and nothing", function()
    local server = start(ROUTES, { workers = 2 })
    local reader = server:stream("/held")
    reader:comment()
    server.process:signal("USR2")
    server.process:signal("USR1")
    eventually(function() return #server:log_lines(" info counts worker=") == 2 end)
    local streams = 0
    for _, line in ipairs(server:log_lines(" info counts worker=")) do
      streams = streams + line:match(" connections=%d+ streams=(%d+) opened=%d+ events=%d+ " ..
        "published=%d+ pending_bytes=%d+ lua_bytes=%d+$")
    end
    assert.equal(1, streams)
    reader:close()
  end)

  it("do not end the program, whenever they come", function()
    local server = start(ROUTES)
    local reader = server:stream("/held")
    reader:comment()
    for _ = 1, 3 do
      server.process:signal("USR1")
      server.process:signal("USR2")
    end
    assert.equal("12345", get(server, "/plain"))
    reader:close()
    server:stop() -- with 0
  end)
end)

describe("one signal", function()
  it("ends the program with 0, whichever of the two, with nothing open", function()
    for _, signal in ipairs { "TERM", "INT" } do
      local server = start(ROUTES)
      get(server, "/plain")
      server:stop { signal = signal }
      assert.equal(1, #server:log_lines("info stopping"))
    end
  end)

  it("ends it with open streams, which are cut with a retry", function()
    for _, signal in ipairs { "TERM", "INT" } do
      local server = start(ROUTES)
      local streams = {}
      for i = 1, 10 do
        streams[i] = server:stream(i % 2 == 0 and "/held" or "/detached")
        streams[i]:comment()
      end
      server:stop { signal = signal }
      for _, stream in ipairs(streams) do
        assert.equal("closed", stream:finish())
        assert.is_true(stream.parser.retry_ms >= 200)
        stream:close()
      end
    end
  end)

  it("ends it with idle connections at once, and with half-sent requests after drain_timeout",
    function()
    local server = start(ROUTES, { args = { "--limit", "drain_timeout=0.2" } })
    local idle, half, used = server:connect(), server:connect(), server:connect()
    half:send("GET /plain HTTP/1.1\r\nHost:")
    used:send(wire.request { target = "/plain" })
    used:response()
    get(server, "/plain")
    server:stop { seconds = 1.5 }
    for _, client in ipairs { idle, half, used } do
      client:close()
    end
  end)

  it("lets a running plain handler finish", function()
    local server = start(ROUTES)
    local client = server:connect()
    client:send(wire.request { target = "/slow" })
    support.await_marks(server, { "slow" })
    server:stop { seconds = 1 }
    local response = client:response()
    assert.same({ 200, "slow but done", "close" },
      { response.status, response.body, response.headers["connection"] })
    client:close()
  end)

  it("stops listening at once", function()
    local server = start(ROUTES)
    local client = server:connect()
    client:send(wire.request { target = "/slow" })
    support.await_marks(server, { "slow" })
    server.process:signal("TERM")
    eventually(function()
      return not pcall(server.connect, server)
    end)
    assert.equal("slow but done", client:response().body)
    client:close()
    assert.equal(0, server.process:wait(2))
    server:kill()
  end)

  it("gives running handlers until drain_timeout, and runs their closing variables", function()
    local server = start(ROUTES, { args = { "--limit", "drain_timeout=0.1" } })
    local client = server:connect()
    client:send(wire.request { target = "/forever" })
    support.await_marks(server, { "forever" })
    local began = clock.wall()
    server:stop { seconds = 1 }
    assert.is_true(clock.wall() - began >= 0.09)
    assert.same({ "forever", "guard" }, support.marks(server))
    assert.equal(1, #server:log_lines("drain_timeout is over"))
    client:close()
  end)

  it("ends handlers that send in a loop and do not look at the answer", function()
    local server = start([[
server:get("/", function(_, response)
  mark("started")
  while true do response.sse:send("x") end
end)
]], { args = { "--limit", "drain_timeout=1" } })
    local streams = {}
    for i = 1, 3 do
      streams[i] = server:stream("/")
      streams[i]:take(10)
    end
    server.process:signal("TERM")
    for _, stream in ipairs(streams) do
      assert.equal("closed", stream:finish())
      stream:close()
    end
    assert.equal(0, server.process:wait(1))
    assert.equal(0, #server:log_lines("run_timeout"))
    server:kill()
  end)

  it("is enough with a reader that does not read, after drain_timeout", function()
    local server = start([[
server:get("/", function(_, response) while true do response.sse:send(("x"):rep(10000)) end end)
]], { args = { "--limit", "drain_timeout=0.1" } })
    local client = server:connect { receive_buffer = 4096 }
    client:send(wire.request { headers = STREAM })
    client:head()
    server:stop { seconds = 1 }
    client:close()
  end)
end)

describe("a second signal", function()
  it("ends the program at once, with 0", function()
    local server = start(ROUTES)
    local client = server:connect()
    client:send(wire.request { target = "/forever" })
    support.await_marks(server, { "forever" })
    server.process:signal("TERM")
    eventually(function()
      return #server:log_lines("info stopping") == 1
    end)
    server:stop()
    assert.equal(1, #server:log_lines("stopping at once"))
    client:close()
  end)
end)

describe("two thousand streams that come and go", function()
  it("leave descriptors and memory as they were", function()
    local server = start(ROUTES)
    local function round(count)
      for first = 1, count, 50 do
        local streams = {}
        for i = 1, 50 do
          streams[i] = server:connect()
          local kind = (first + i) % 4
          streams[i]:send(wire.request {
            target = kind == 0 and "/plain" or kind == 1 and "/stream" or "/held", headers = STREAM,
          })
        end
        for i = 1, 50 do
          streams[i]:head()
          local how = i % 3 == 0 and "reset" or "close"
          streams[i][how](streams[i])
        end
      end
    end
    get(server, "/plain")
    local descriptors = server:descriptors()
    round(1000)
    eventually(function()
      return server:descriptors() <= descriptors
    end)
    local before = server:memory()
    round(2000)
    eventually(function()
      return server:descriptors() <= descriptors
    end)
    local slack = (server:memory() - before) / 2 ^ 20
    assert.is_true(slack < (Server.is_sanitized() and 100 or 2), slack .. " MiB more than before")
    assert.equal("12345", get(server, "/plain"))
  end)
end)

describe("the idle timeout", function()
  it("is 75 s, longer than a balancer's usual minute, and can be set", function()
    local server = Server.start(support.script(ROUTES), { clock = true })
    local client = server:connect()
    client:send(wire.request { target = "/plain" })
    client:response()
    server:advance(74)
    assert.is_true(client:is_silent(0.01))
    client:send(wire.request { target = "/plain" })
    assert.equal("12345", client:response().body)
    server:advance(75.1)
    assert.same({ "", "closed" }, { client:receive_all() })
    client:close()
    server = Server.start(support.script(ROUTES), {
      clock = true, args = { "--limit", "idle_timeout=5" },
    })
    client = server:connect()
    client:send(wire.request { target = "/plain" })
    client:response()
    server:advance(5.1)
    assert.same({ "", "closed" }, { client:receive_all() })
    client:close()
  end)

  it("does not touch an open stream, however silent", function()
    local server = Server.start(support.script [[
server:get("/", { heartbeat = false }, function(_, response) response.sse:open() hold() end)
]], { clock = true })
    local stream = server:stream("/")
    stream:comment()
    for _ = 1, 5 do
      server:advance(1000)
    end
    assert.is_true(stream:is_silent(0.02))
    stream:close()
  end)
end)

describe("a vanished peer", function()
  it("is given up by the kernel after peer_timeout: TCP_USER_TIMEOUT is set", function()
    local strace = require("spec.support.process").run { "strace", "-V" }
    if strace ~= 0 then
      return pending("strace is not there")
    end
    local folder = Server.write { ["a.lua"] = [[
require("lunesse").server():get("/", print)
require("lunesse").after(0.2, function() os.execute("kill $PPID") end)
]] }
    local Process = require "spec.support.process"
    local binary = os.getenv("LUNESSE_BIN") or
      (os.getenv("LUNESSE_BUILD") or "build/debug") .. "/lunesse"
    local _, _, err = Process.run({ "strace", "-f", "-e", "trace=setsockopt", binary, "--port", "0",
      "--limit", "peer_timeout=7", folder .. "/a.lua" }, {
      env = { ASAN_OPTIONS = "detect_leaks=0" },
    })
    assert.matches("TCP_USER_TIMEOUT, [7000]", err, 1, true)
    assert.matches("TCP_NODELAY, [1]", err, 1, true)
  end)
end)
