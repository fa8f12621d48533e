-- How the program ends: streams one after the other, with the moments at which they come back
-- spread; handlers, slow readers and balancers meanwhile; the deadline; the second signal.

local support = require "spec.sse.support"
local Server = require "spec.support.server"
local wire = require "spec.support.wire"
local posix = require "spec_posix"
local clock = require "spec.support.clock"

local start, get = support.start, support.get

local ROUTES = [[
server:get("/plain", function(_, response) response:send("12345") end)
server:get("/held", function(_, response)
  response:on("close", function(reason) mark("close", reason) end)
  response.sse:open()
  hold()
end)
local room = lunesse.channel("room")
server:get("/room", function(_, response) response.sse:subscribe(room) end)
server:get("/news", function(_, response)
  response.sse:open()
  lunesse.every(0.1, function() response.sse:send(lunesse.clock()) end)
end)
server:get("/slow", function(_, response)
  mark("slow")
  lunesse.sleep(0.5)
  response:send(("all of it\n"):rep(100000))
end)
server:post("/answer", function(_, response)
  mark("answer")
  lunesse.sleep(0.2)
  response.sse:send("too late")
  mark("sent")
  hold()
end)
server:get("/answer", function(_, response)
  response:on("close", function(reason) mark("close", reason) end)
  for n = 1, 3 do
    response.sse:send(n)
    lunesse.sleep(0.2)
  end
  response.sse:close()
end)
server:get("/endless", function(_, response)
  response:on("close", function(reason) mark("close", reason) end)
  while true do
    response.sse:send("tick")
    lunesse.sleep(0.02)
  end
end)
server:get("/forever", function() mark("forever") hold() end)
]]

local STREAM = { Accept = "text/event-stream" }

---How many connections a test may open: ours and the server's descriptors are bounded alike.
local function affordable(count)
  local limits = assert(io.open("/proc/self/limits"))
  local files = tonumber(limits:read("a"):match("Max open files%s+(%d+)"))
  limits:close()
  return math.min(count, math.floor(files * 0.8))
end

---Opens `count` streams of `target`, as plain clients that read nothing yet but their heads. The
---log knows them by their number, from 1.
local function open_many(server, target, count)
  local clients = {}
  for i = 1, count do
    clients[i] = server:connect()
    clients[i].number = i
    clients[i]:send(wire.request { target = ("%s?n=%d"):format(target, i), headers = STREAM })
  end
  for _, client in ipairs(clients) do
    client:head()
  end
  return clients
end

---Reads all of `clients` until they end: by number, the seconds of the `retry:` that each was told.
local function read_to_end(clients, seconds)
  local deadline = clock.deadline(seconds)
  local open, retries = clients, {}
  while #open > 0 do
    assert(clock.now() < deadline, #open .. " streams did not end")
    local still = {}
    for _, client in ipairs(open) do
      local bytes, why = posix.receive(client.socket:getfd(), 65536, 0)
      client.buffer = client.buffer .. (bytes or "")
      if why == "closed" then
        local retry_ms = client.buffer:match("\nretry: (%d+)\n\n\r\n$") -- and no last chunk
        retries[client.number] = tonumber(assert(retry_ms)) / 1000
        client:close()
      else
        assert(bytes or why == "timeout", why)
        still[#still + 1] = client
      end
    end
    open = still
    clock.pause()
  end
  return retries
end

---The second of the day at which a line of the log was written.
local function second_of(line)
  local hour, minute, second = line:match("^%d+%-%d+%-%d+T(%d+):(%d+):([%d.]+)Z ")
  return hour * 3600 + minute * 60 + tonumber(second)
end

---Tells the server, which was started with LOG, to end, and waits until `clients` and then it have
---done so: for each client `{ ended, retry }`. When a stream ended, in seconds from the signal on,
---is taken from the log: these clients may be late to see it.
local function end_all(server, clients, seconds)
  server.process:signal("TERM")
  local retries = read_to_end(clients, seconds)
  assert.equal(0, server.process:wait(1))
  local ends = {}
  -- Another worker may have written its line before that of the stop.
  local began = second_of(server:log_lines(" info stopping ")[1])
  for _, line in ipairs(server:log_lines(" info stream ")) do
    local number = tonumber(line:match('target="/%l+%?n=(%d+)" '))
    local passed = (second_of(line) - began + 43200) % 86400 - 43200 -- midnight may come between
    if number then
      ends[#ends + 1] = { ended = math.max(passed, 0), retry = retries[number] }
    end
  end
  server:kill()
  assert.equal(#clients, #ends)
  return ends
end

---How many of `ends` come back in each tenth of `window` seconds.
local function tenths(ends, window)
  local counts = {}
  for i = 1, 10 do
    counts[i] = 0
  end
  for _, one in ipairs(ends) do
    local tenth = math.floor((one.ended + one.retry) / window * 10) + 1
    counts[math.min(math.max(tenth, 1), 10)] = counts[math.min(math.max(tenth, 1), 10)] + 1
  end
  return counts
end

local function assert_even(ends, window)
  local counts = tenths(ends, window)
  for _, count in ipairs(counts) do
    local share = count / (#ends / 10)
    assert.is_true(share > 0.7 and share < 1.3, table.concat(counts, " "))
  end
end

describe("at SIGTERM", function()
  it("ten thousand streams end within half of drain_timeout, and come back spread over all of it",
    function()
    local window = 6
    local count = affordable(10000 // clock.slow)
    local ending = math.min(window / 2, count / 1000) -- a thousand a second at least
    local server = start(ROUTES, {
      args = { "--limit", "drain_timeout=" .. window, "--log-query" },
    })
    local ends = end_all(server, open_many(server, "/room", count), window)
    assert_even(ends, window)
    local early = 0
    for _, one in ipairs(ends) do
      assert.is_true(one.ended < window)
      early = early + (one.ended < ending / 2 and 1 or 0)
    end
    assert.is_true(early > count * 0.3 and early < count * 0.6, early .. " had ended halfway")
  end)

  it("few streams end at once, and come back spread all the same", function()
    local server = start(ROUTES, { workers = 1, args = { "--log-query" } })
    assert_even(end_all(server, open_many(server, "/held", 100), 1), 10)
  end)

  it("a handful of readers need not wait for each other", function()
    local server = start(ROUTES, { workers = 1, args = { "--log-query" } })
    for _, one in ipairs(end_all(server, open_many(server, "/held", 20), 1)) do
      assert.is_true(one.retry >= 0.2 and one.retry <= 2, one.retry .. " s") -- a tenth for each
    end
  end)

  it("streams end a thousand a second also where one of several workers has them all", function()
    local count = 120
    local server = start([[
server:get("/any", function(_, response)
  if lunesse.worker ~= 1 then
    return response:status(404):send("")
  end
  response.sse:open()
  hold()
end)
]], { workers = 8, args = { "--log-query" } })
    local clients = {}
    while #clients < count do
      local client = server:connect()
      client.number = #clients + 1
      client:send(wire.request { target = "/any?n=" .. client.number, headers = STREAM })
      if client:head().status == 200 then
        clients[#clients + 1] = client
      else
        client:close()
      end
    end
    local ends = end_all(server, clients, 2)
    local seconds = ends[count].ended - ends[1].ended
    assert.is_true(seconds < 0.5 * clock.slow, seconds .. " s") -- 1 s if all eight had as many
  end)

  it("two servers ask for other moments than each other", function()
    local retries = {}
    for i = 1, 2 do
      local server = start(ROUTES, { args = { "--log-query" } })
      local ends = end_all(server, open_many(server, "/room", 3), 1)
      retries[i] = ("%g %g %g"):format(ends[1].retry, ends[2].retry, ends[3].retry)
    end
    assert.not_equal(retries[1], retries[2])
  end)

  it("readers come back over a second where drain_timeout is shorter", function()
    for _, timeout in ipairs { "0.2", "0" } do
      local server = start(ROUTES, {
        workers = 1, args = { "--limit", "drain_timeout=" .. timeout, "--log-query" },
      })
      local clients = open_many(server, "/room", 3)
      if timeout == "0" then
        server:stop()
      else
        local last = 0
        for _, one in ipairs(end_all(server, clients, 1)) do
          assert.is_true(one.retry >= 0.02 and one.retry <= 1)
          last = math.max(last, one.retry)
        end
        assert.is_true(last > 0.6)
      end
    end
  end)

  it("readers come back soon also where drain_timeout is long", function()
    local server = start(ROUTES, {
      workers = 1, args = { "--limit", "drain_timeout=120", "--log-query" },
    })
    for _, one in ipairs(end_all(server, open_many(server, "/room", 3), 1)) do
      assert.is_true(one.retry >= 0.5 and one.retry <= 1, one.retry .. " s")
    end
  end)

  it("a stream that its handler is writing is let run to its end, beside others", function()
    local server = start(ROUTES)
    local answer, room = server:stream("/answer"), server:stream("/room")
    room:comment()
    assert.equal("1", answer:event().data)
    server.process:signal("TERM")
    assert.equal("closed", room:finish())
    assert.equal("2", answer:event().data)
    assert.equal("3", answer:event().data)
    assert.equal("done", answer:finish())
    assert.is_nil(answer.parser.retry_ms)
    assert.equal(0, server.process:wait(1))
    assert.same({ "close finished" }, support.marks(server))
    server:kill()
    answer:close()
    room:close()
  end)

  it("a handler that does not end is cut shortly before drain_timeout, with a retry", function()
    local server = start(ROUTES, { args = { "--limit", "drain_timeout=1" } })
    local stream = server:stream("/endless")
    stream:event()
    server.process:signal("TERM")
    assert.equal("closed", stream:finish(3))
    local ended = eventually(function()
      return server:log_lines("target=/endless ")[1]
    end)
    local seconds = (second_of(ended) - second_of(server:log_lines(" stopping ")[1])) % 86400
    assert.is_true(seconds > 0.7 and seconds < 1.5 * clock.slow, seconds .. " s")
    assert.is_true(stream.parser.retry_ms > 0 and stream.parser.retry_ms <= 1000)
    assert.is_true(#stream.parser.events > 10)
    assert.equal(0, server.process:wait(1))
    assert.same({ "close shutdown" }, support.marks(server))
    assert.equal(0, #server:log_lines("drain_timeout is over"))
    server:kill()
    stream:close()
  end)

  it("streams whose turn has not come go on: they get what is sent", function()
    local server = start(ROUTES, { workers = 1, args = { "--limit", "drain_timeout=6" } })
    local clients = open_many(server, "/news", affordable(1500))
    -- By the server's clock, when it sent to each of the two for the last time. Where all of them
    -- open within a tenth of a second, the first one ends before it is sent to again.
    clients[1]:receive_until("\ndata: ")
    local first = clients[1]:receive_until("\n"):match("^[%d.]+")
    server.process:signal("TERM")
    read_to_end(clients, 6)
    first = clients[1].buffer:match(".*\ndata: ([%d.]+)\n") or first
    local last = clients[#clients].buffer:match(".*\ndata: ([%d.]+)\n")
    assert.is_true(last - first > 0.3, ("%s and %s"):format(first, last))
    assert.equal(0, server.process:wait(1))
    server:kill()
  end)

  it("a stream that opens afterwards gets what it is sent, a retry and is cut", function()
    local server = start(ROUTES)
    local client = server:connect()
    client:send(wire.request { method = "POST", target = "/answer", headers = STREAM, body = "" })
    support.await_marks(server, { "answer" })
    server:stop { seconds = 1 }
    assert.same({ "answer", "sent" }, support.marks(server))
    local bytes, why = client:receive_all()
    local _, body = support.split_head(bytes)
    assert.matches("\r\ndata: too late\n\n\r\n%x+\r\nretry: %d+\n\n\r\n$", body)
    assert.equal("closed", why)
    client:close()
  end)

  it("a reader that is slow gets all that was sent before it is cut", function()
    local server = start [[
server:get("/", function(_, response)
  for n = 1, 60 do response.sse:send(("x"):rep(1000)) end
  response.sse:send("last")
  mark("sent")
  hold()
end)
]]
    local client = server:connect { receive_buffer = 4096 }
    client:send(wire.request { headers = STREAM })
    client:head()
    server.process:signal("TERM")
    local bytes, why = client:receive_slowly(2000, 5)
    assert.equal("closed", why)
    assert.matches("\nretry: %d+\n\n\r\n$", bytes)
    assert.equal(60, select(2, bytes:gsub("data: xxx", "")))
    assert.equal(0, server.process:wait(1))
    server:kill()
    client:close()
  end)

  it("handlers of plain responses finish, and their readers get all of it", function()
    local server = start(ROUTES)
    local client = server:connect { receive_buffer = 4096 }
    client:send(wire.request { target = "/slow" })
    support.await_marks(server, { "slow" })
    server.process:signal("TERM")
    local response = client:response("GET", 5)
    assert.same({ 200, 1000000, "close" },
      { response.status, #response.body, response.headers["connection"] })
    client:close()
    assert.equal(0, server.process:wait(1))
    server:kill()
  end)

  it("the log says what is waited for, for how long at most, and how to end it at once", function()
    for signal, again in pairs { INT = "Ctrl-C again ends it", TERM = "a second signal ends it" } do
      local server = start(ROUTES, {
        args = { "--limit", "drain_delay=0.5", "--limit", "drain_timeout=90" },
      })
      local client = server:connect()
      client:send(wire.request { target = "/forever" })
      support.await_marks(server, { "forever" })
      server.process:signal(signal)
      eventually(function()
        return #server:log_lines("info waiting for what is under way; " .. again ..
          " at once connections=1 seconds_at_most=91") == 1
      end)
      server.process:signal(signal)
      -- A slow build may need longer than the half second that it is left for an orderly end.
      local code, why = server.process:wait(0.5)
      assert.is_true(code == 0 or clock.slow > 1 and why == "signal 15", why)
      server:kill()
      client:close()
    end
    local idle = start(ROUTES)
    idle:stop { signal = "INT" }
    assert.equal(0, #idle:log_lines("waiting"))
  end)

  it("an idle server ends at once, with open connections too", function()
    local server = start(ROUTES, { args = { "--ready-path", "/ready" } })
    local clients = { server:connect(), server:connect(), server:connect() }
    for i, target in ipairs { "/plain", "/ready" } do
      clients[i]:send(wire.request { target = target })
      assert.equal(200, clients[i]:response().status)
    end
    local began = clock.now()
    server:stop()
    assert.is_true(clock.now() - began < 0.2 * clock.slow)
    for _, client in ipairs(clients) do
      client:close()
    end
  end)

  it("a second signal ends it at once, in the middle of the streams", function()
    local server = start(ROUTES, { args = { "--limit", "drain_timeout=100" } })
    local clients = open_many(server, "/held", 500)
    server.process:signal("TERM")
    eventually(function()
      return #server:log_lines("info stopping") == 1
    end)
    server:stop()
    assert.equal(500, #server:log_lines("reason=shutdown"))
    for _, client in ipairs(clients) do
      client:close()
    end
  end)

  it("drain_delay is waited for first, in which all goes on but --ready-path", function()
    local server = start(ROUTES, {
      clock = true, workers = 1,
      args = { "--limit", "drain_delay=60", "--ready-path", "/ready" },
    })
    local check, stream = server:connect(), server:stream("/held")
    check:send(wire.request { target = "/ready" })
    assert.equal(200, check:response().status)
    server.process:signal("TERM")
    eventually(function()
      return server:request({ target = "/ready" }).status == 503
    end)
    check:send(wire.request { target = "/ready" })
    assert.equal("close", check:response().headers["connection"])
    assert.equal("12345", get(server, "/plain"))
    stream:comment()
    assert.is_true(stream:is_silent())
    server:advance(50) -- the clock also goes on by itself, with what this test takes
    assert.equal("12345", get(server, "/plain"))
    server:advance(10.1)
    assert.equal("closed", stream:finish())
    assert.equal(0, server.process:wait(0.5))
    stream:close()
    check:close()
    server:kill()
  end)

  it("a second signal ends the drain_delay too", function()
    local server = start(ROUTES, { args = { "--limit", "drain_delay=100" } })
    server.process:signal("TERM")
    eventually(function()
      return #server:log_lines("info stopping") == 1
    end)
    assert.equal("12345", get(server, "/plain"))
    server:stop()
  end)
end)

describe("--ready-path", function()
  local ARGS = { args = { "--ready-path", "/ready" } }

  it("answers 200 without the scripts, to GET and HEAD", function()
    local server = start(ROUTES, ARGS)
    local response = server:request { target = "/ready" }
    assert.same({ 200, "ready\n", "no-store" },
      { response.status, response.body, response.headers["cache-control"] })
    response = server:request { method = "HEAD", target = "/ready?from=balancer" }
    assert.same({ 200, "6" }, { response.status, response.headers["content-length"] })
    response = server:request { method = "POST", target = "/ready", body = "x" }
    assert.same({ 405, "GET, HEAD" }, { response.status, response.headers["allow"] })
    assert.equal(404, server:request({ target = "/ready/" }).status)
  end)

  it("answers 200 above the limit of connections: a full server is not a dead one", function()
    local server = start(ROUTES, {
      args = { "--ready-path", "/ready", "--limit", "connections=1" },
    })
    local held = server:stream("/held")
    held:comment()
    assert.equal(503, server:request({ target = "/plain" }).status)
    assert.equal(200, server:request({ target = "/ready" }).status)
    held:close()
  end)

  it("answers 503 on a kept connection while the server drains, and closes it", function()
    local server = start(ROUTES, ARGS)
    local check, client = server:connect(), server:connect()
    check:send(wire.request { target = "/ready" })
    assert.equal(200, check:response().status)
    client:send(wire.request { target = "/slow" })
    support.await_marks(server, { "slow" })
    server.process:signal("TERM")
    local response
    eventually(function() -- the check's worker may hear of the stop a little later
      check:send(wire.request { target = "/ready" })
      response = check:response()
      return response.status == 503
    end)
    assert.equal("close", response.headers["connection"])
    assert.same({ "", "closed" }, { check:receive_all() })
    assert.equal(200, client:response("GET", 5).status)
    check:close()
    client:close()
    assert.equal(0, server.process:wait(1))
    server:kill()
  end)

  it("is not waited for", function()
    local server = start(ROUTES, ARGS)
    local check, client = server:connect(), server:connect()
    check:send(wire.request { target = "/ready" })
    check:response()
    client:send(wire.request { target = "/slow" })
    support.await_marks(server, { "slow" })
    server.process:signal("TERM")
    assert.equal(200, client:response("GET", 5).status)
    client:close()
    assert.equal(0, server.process:wait(1))
    assert.same({ "", "closed" }, { check:receive_all() })
    check:close()
    server:kill()
  end)

  it("goes before a route of the scripts, and says so at the start", function()
    local server = start([[
server:get("/ready", function(_, response) response:send("the script's") end)
server:get("/*rest", function(_, response) response:send("anything") end)
]], ARGS)
    assert.equal("ready\n", get(server, "/ready"))
    assert.equal("anything", get(server, "/other"))
    local lines = server:log_lines("a path of the server hides a route")
    assert.equal(1, #lines)
    assert.matches("script.lua:1", lines[1], 1, true)
  end)

  it("is in the log at debug alone", function()
    for level, count in pairs { info = 0, debug = 1 } do
      local server = start(ROUTES, { args = { "--ready-path", "/ready", "--log-level", level } })
      get(server, "/ready")
      get(server, "/plain")
      eventually(function()
        return #server:log_lines("target=/plain") == 1
      end)
      assert.equal(count, #server:log_lines("target=/ready"))
    end
  end)

  it("must be a path", function()
    for _, path in ipairs { "ready", "", "/ready?x", "/a b", "http://a/ready" } do
      local code, _, err = Server.run { "--ready-path", path, "x.lua" }
      assert.equal(2, code)
      assert.matches("--ready-path '" .. path .. "': a path", err, 1, true)
    end
  end)
end)
