-- Several workers: threads with a Lua state each, which share addresses, channels and stores.

local cjson = require "cjson"
local lfs = require "lfs"
local posix = require "spec_posix"
local hub = require "spec.hub.support"
local support = require "spec.sse.support"
local Server = require "spec.support.server"
local Process = require "spec.support.process"
local clock = require "spec.support.clock"
local wire = require "spec.support.wire"

local get, connect_to = support.get, hub.connect

local ROUTES = [[
server:get("/worker", function(_, response) response:send(lunesse.worker) end)
server:get("/busy", function(request, response)
  lunesse.log.warn("busy") -- which is written at once, and not at the turn's end
  local start = lunesse.clock()
  while lunesse.clock() - start < tonumber(request.query.seconds) do end
  response:send("done")
end)
server:get("/on/*names", function(request, response)
  response.sse:send("worker", lunesse.worker)
  for name in request.params.names:gmatch("[^,]+") do
    response.sse:subscribe(lunesse.channel(name))
  end
end)
server:post("/publish/:name", function(request, response)
  local text, id = request:text()
  for n = 1, tonumber(request.query.count or 1) do
    id = lunesse.channel(request.params.name):publish(text .. (request.query.count and n or ""))
  end
  response:send(id)
end)
server:get("/subscribers/:name", function(request, response)
  response:send(lunesse.channel(request.params.name).subscribers)
end)
]]

local function start(text, options)
  options = options or {}
  options.workers = options.workers or 3
  return support.start(ROUTES .. (text or ""), options)
end

local function publish(client, name, text, count)
  local query = count and "?count=" .. count or ""
  client:send(wire.request { method = "POST", target = "/publish/" .. name .. query, body = text })
  return client:response("POST").body
end

---A stream on `names` that worker `number` has.
local function stream_at(server, names, number)
  for _ = 1, 200 do
    local stream = server:stream("/on/" .. names)
    if stream:event().data == tostring(number) then
      return stream
    end
    stream:close()
  end
  error("no stream came to worker " .. number)
end

local function run(...)
  return Server.run({ ... }, { seconds = 5 })
end

describe("--workers", function()
  it("is 1 by default, a number up to 64, or auto", function()
    local folder = Server.write { ["a.lua"] = support.script "mark(lunesse.worker)" }
    for _, value in ipairs { "0", "65", "two", "-1", "", "1x" } do
      local code, _, err = run("--workers=" .. value, folder)
      assert.equal(2, code)
      local quoted = value:gsub("%-", "%%-")
      assert.matches("--workers '" .. quoted .. "': a number between 1 and 64", err)
    end
    local script = support.script "mark(lunesse.worker)"
    local server = Server.start(script, { args = { "--workers=auto" } })
    assert.is_true(#support.marks(server) >= 1)
  end)

  it("loads the scripts in each, which know their number", function()
    local server = start "mark(lunesse.worker)"
    local marks = support.marks(server)
    table.sort(marks)
    assert.same({ "1", "2", "3" }, marks)
    local threads = 0
    for _ in lfs.dir(("/proc/%d/task"):format(server.pid)) do
      threads = threads + 1
    end
    threads = threads - 2 -- . and ..
    -- A sanitizer may have one of its own.
    assert.is_true(threads == 3 or Server.is_sanitized(), threads .. " threads")
  end)

  it("ends with 1 when the scripts do not load in one of them", function()
    local folder = Server.write {
      ["a.lua"] = support.script "if lunesse.worker == 2 then error('not here') end",
    }
    local code, out, err = run("--port=0", "--workers=3", folder)
    assert.equal(1, code)
    assert.matches("a.lua:1: not here", err)
    assert.equal("", out)
  end)

  it("spreads a thousand streams over them, within 20 %", function()
    local server = start("", { args = { "--log-level", "warn" } })
    local streams, counts = {}, { 0, 0, 0 }
    for i = 1, 1000 do
      streams[i] = server:stream("/on/room")
      local number = tonumber(streams[i]:event().data)
      counts[number] = counts[number] + 1
    end
    for _, count in ipairs(counts) do
      assert.is_true(count > 1000 / 3 * 0.8 and count < 1000 / 3 * 1.2, table.concat(counts, " "))
    end
    assert.equal("1000", get(server, "/subscribers/room"))
    for _, stream in ipairs(streams) do
      stream:close()
    end
  end)

  it("spreads those of a Unix socket evenly, as they come and go", function()
    local folder = Server.write {}
    local server = start("", { args = { "--unix", folder .. "/socket" } })
    local streams = {}
    for round = 1, 3 do
      local counts = { 0, 0, 0 }
      for i = 1, 90 do
        if streams[i] and i % 2 == 0 then
          streams[i]:close()
          streams[i] = nil
        end
      end
      eventually(function()
        return get(server, "/subscribers/room") == (round == 1 and "0" or "45")
      end)
      for i = 1, 90 do
        streams[i] = streams[i] or server:stream("/on/room")
        streams[i].worker = streams[i].worker or tonumber(streams[i]:event().data)
        counts[streams[i].worker] = counts[streams[i].worker] + 1
      end
      for _, count in ipairs(counts) do
        assert.is_true(math.abs(count - 30) <= 3, table.concat(counts, " "))
      end
    end
    for _, stream in pairs(streams) do
      stream:close()
    end
  end)

  it("counts connections over all of them", function()
    local server = start("", { args = { "--limit", "connections=12" } })
    local clients = {}
    for i = 1, 12 do
      clients[i] = server:connect()
      clients[i]:send(wire.request { target = "/worker" })
      assert.equal(200, clients[i]:response("GET").status)
    end
    for _ = 1, 6 do
      assert.equal(503, server:request({ target = "/worker" }).status)
    end
    for _, client in ipairs(clients) do
      client:close()
    end
    eventually(function()
      return server:request({ target = "/worker" }).status == 200
    end)
  end)
end)

describe("the address of several workers", function()
  it("is refused to a second server, whatever the number of workers of both", function()
    for _, count in ipairs { 1, 3 } do
      local server = start("", { workers = count })
      for _, other in ipairs { "1", "3" } do
        local folder = Server.write { ["a.lua"] = support.script "" }
        local code, _, err = run("--workers", other, "--port", tostring(server.port), folder)
        assert.equal(1, code)
        assert.matches("cannot listen on 127.0.0.1 port %d+: .*; stop the other program", err)
      end
      server:stop()
    end
  end)

  it("is refused to several workers where another program listens that would share it", function()
    local socket, port = assert(posix.open_socket("sharing", ""))
    local folder = Server.write { ["a.lua"] = support.script "" }
    local code, _, err = run("--workers", "3", "--port", tostring(port), folder)
    posix.close(socket)
    assert.equal(1, code)
    assert.matches("cannot listen on 127.0.0.1 port", err)
  end)
end)

describe("a channel", function()
  it("has one order of ids for the readers of all workers, whoever publishes", function()
    local server = start("", { args = { "--log-level", "warn" } })
    local streams, clients = {}, {}
    for number = 1, 3 do
      clients[number] = connect_to(server, number)
      for _ = 1, 2 do
        streams[#streams + 1] = stream_at(server, "room", number)
      end
    end
    for round = 1, 20 do
      for number = 1, 3 do -- all at once
        clients[number]:send(wire.request {
          method = "POST", target = "/publish/room?count=10",
          body = ("%d.%d."):format(number, round),
        })
      end
      for number = 1, 3 do
        assert.equal(200, clients[number]:response("POST").status)
      end
    end
    local first
    for _, stream in ipairs(streams) do
      local seen = {}
      for i, event in ipairs(stream:take(600, 10)) do
        assert.equal(tostring(i), event.id:match("%-(%d+)$"))
        seen[i] = event.data
      end
      first = first or seen
      assert.same(first, seen)
      stream:close()
    end
  end)

  it("is resumed in another worker than the one that had the reader", function()
    local server = start()
    local stream = stream_at(server, "room", 1)
    local client = connect_to(server, 2)
    publish(client, "room", "a")
    local id = stream:event().id
    stream:close()
    publish(client, "room", "b")
    for number = 1, 3 do
      local back
      repeat
        if back then back:close() end
        back = server:stream("/on/room", { last_event_id = id })
        local event = back:event()
      until event.data == tostring(number)
      assert.equal("b", back:event().data)
      back:close()
    end
  end)

  it("keeps the order of publishing for a stream on several, whoever publishes", function()
    local server = start("", { args = { "--log-level", "warn" } })
    local stream = stream_at(server, "one,two", 3)
    local first, second = connect_to(server, 1), connect_to(server, 2)
    for n = 1, 200 do -- each is published when the one before it has been
      publish(n % 2 == 0 and first or second, n % 2 == 0 and "one" or "two", tostring(n))
    end
    for n = 1, 200 do
      assert.equal(tostring(n), stream:event(5).data)
    end
    stream:close()
  end)

  it("makes who publishes without end wait for a worker that is busy, whose readers miss nothing",
    function()
      local server = start("", { args = { "--log-level", "warn" } })
      local stream = stream_at(server, "room", 2)
      local busy, client = connect_to(server, 2), connect_to(server, 1)
      busy:send(wire.request { target = "/busy?seconds=0.5" })
      eventually(function() return #server:log_lines("warn busy") > 0 end)
      local began = clock.wall()
      -- Three times what the channel keeps.
      publish(client, "room", ("x"):rep(1000), 3000)
      assert.is_true(clock.wall() - began > 0.3)
      for n = 1, 3000 do
        assert.equal(("x"):rep(1000) .. n, stream:event(5).data)
      end
      assert.equal("done", busy:response("GET").body)
      stream:close()
    end)

  it("that one worker closes is over for the readers of all", function()
    local server = start [[
server:post("/close", function(_, response)
  response:send(tostring(lunesse.channel("room"):close()))
end)
]]
    local streams = {}
    for number = 1, 3 do
      streams[number] = stream_at(server, "room", number)
    end
    local client = connect_to(server, 1)
    local id = publish(client, "room", "last")
    assert.equal(200, server:request({ method = "POST", target = "/close", body = "" }).status)
    for number = 1, 3 do
      assert.equal("last", streams[number]:event().data)
      assert.equal("done", streams[number]:finish())
      streams[number]:close()
    end
    assert.is_not.equal(id:match("^%x+"), publish(client, "room", "new"):match("^%x+"))
  end)

  it("has the options that any worker gave it", function()
    local server = start [[
server:post("/options", function(_, response)
  lunesse.channel("room", { history = 2, reset_event = "again" })
  response:send("set")
end)
]]
    local client = connect_to(server, 1)
    local id = publish(client, "room", "0")
    local keep = stream_at(server, "room", 3)
    local other = connect_to(server, 2)
    other:send(wire.request { method = "POST", target = "/options", body = "" })
    assert.equal("set", other:response("POST").body)
    for n = 1, 5 do
      publish(client, "room", tostring(n))
      assert.equal(tostring(n), keep:event().data)
    end
    local back = server:stream("/on/room", { last_event_id = id })
    back:event()
    assert.equal("again", back:event().type)
    back:close()
    keep:close()
  end)
end)

describe("a timer that is made while the scripts load", function()
  it("runs in one worker, or in each if it says so, and is stopped in the others", function()
    local server = start([[
local one = lunesse.every(1, function() mark("one", lunesse.worker) end)
lunesse.after(2, function() mark("each", lunesse.worker) end, { each_worker = true })
server:get("/active", function(_, response) response:send(tostring(one.active)) end)
]], { clock = true })
    server:advance(1)
    support.await_marks(server, { "one 1" })
    server:advance(1)
    eventually(function() return #support.marks(server) == 5 end)
    local marks = support.marks(server)
    table.sort(marks)
    assert.same({ "each 1", "each 2", "each 3", "one 1", "one 1" }, marks)
    for number = 1, 3 do
      local client = connect_to(server, number)
      client:send(wire.request { target = "/active" })
      assert.equal(tostring(number == 1), client:response("GET").body)
      client:close()
    end
  end)
end)

describe("lunesse.shared", function()
  it("is one store for all workers, and counts right when all count at once", function()
    local server = start [[
local hits = lunesse.shared("hits")
server:get("/hit", function(_, response)
  for _ = 1, 1000 do hits:incr("n") end
  response:send(hits:get("n"))
end)
]]
    local clients = {}
    for number = 1, 3 do
      clients[number] = connect_to(server, number)
    end
    for _ = 1, 10 do
      for _, client in ipairs(clients) do
        client:send(wire.request { target = "/hit" })
      end
      for _, client in ipairs(clients) do
        client:response("GET")
      end
    end
    for _, client in ipairs(clients) do
      client:close()
    end
    assert.equal("31000", get(server, "/hit"))
  end)
end)

describe("a reload of several workers", function()
  local function says(word)
    return support.script(ROUTES .. ('server:get("/word", function(_, response) ' ..
      'response:send(%q) end)\n'):format(word))
  end

  local function words(server)
    local seen = {}
    for number = 1, 3 do
      local client = connect_to(server, number)
      client:send(wire.request { target = "/word" })
      seen[number] = client:response("GET").body
      client:close()
    end
    return table.concat(seen, " ")
  end

  local function reload(server, text, done)
    Process.write_file(server.folder .. "/script.lua", text)
    local count = #server:log_lines(done)
    server.process:signal("HUP")
    eventually(function() return #server:log_lines(done) > count end)
  end

  it("brings the new code to all of them, and is one line in the log", function()
    local server = Server.start(says "old", { workers = 3 })
    assert.equal("old old old", words(server))
    reload(server, says "new", " reloaded ")
    assert.equal("new new new", words(server))
    assert.equal(1, #server:log_lines(" reloaded "))
  end)

  it("changes nothing in any of them when it fails in one", function()
    local server = Server.start(says "old", { workers = 3 })
    local stream = stream_at(server, "room", 2)
    for number = 1, 3 do
      local text = says "new" .. ("if lunesse.worker == %d then error('no') end\n"):format(number)
      reload(server, text, "not reloaded")
      assert.equal("old old old", words(server))
    end
    assert.equal(3, #server:log_lines("not reloaded"))
    reload(server, says "new", " reloaded ")
    assert.equal("new new new", words(server))
    local client = connect_to(server, 1)
    publish(client, "room", "x")
    assert.equal("x", stream:event().data)
    stream:close()
    client:close()
  end)

  it("starts timers of new code only when all have it", function()
    local server = Server.start(says "old", { workers = 3 })
    reload(server, says "new" .. "lunesse.after(0, function() mark('ran') end)\n" ..
      "if lunesse.worker == 3 then error('no') end\n", "not reloaded")
    reload(server, says "new" .. "lunesse.after(0, function() mark('in charge') end)\n",
      " reloaded ")
    support.await_marks(server, { "in charge" })
  end)

  it("that is asked for while some of them still load comes when all serve", function()
    local server = start [[
local start = lunesse.clock()
while lunesse.worker == 3 and lunesse.clock() - start < 0.3 do end
lunesse.after(0, function()
  if lunesse.shared("asked"):add("once", true) then lunesse.reload() end
end)
]]
    eventually(function() return #server:log_lines(" reloaded ") == 1 end)
  end)

  it("counts the streams of all, and goes on with those that come meanwhile", function()
    local server = Server.start(says "old", { workers = 3 })
    local streams = {}
    for i = 1, 30 do
      streams[i] = server:stream("/on/room")
      streams[i]:event()
    end
    reload(server, says "new", " reloaded ")
    assert.matches(" kept=30 ended=0 ", server:log_lines(" reloaded ")[1])
    local client = connect_to(server, 3)
    publish(client, "room", "x")
    for _, stream in ipairs(streams) do
      assert.equal("x", stream:event().data)
      stream:close()
    end
  end)
end)

describe("the end of several workers", function()
  it("is one SIGTERM, which tells each stream when to come back", function()
    local server = start()
    local streams = {}
    for i = 1, 30 do
      streams[i] = server:stream("/on/room")
      streams[i]:event()
    end
    server.process:signal("TERM")
    for _, stream in ipairs(streams) do
      assert.equal("closed", stream:finish(5))
      assert.is_truthy(stream.parser.retry_ms)
      stream:close()
    end
    assert.equal(0, (server.process:wait(5)))
    server:kill()
    assert.equal(1, #server:log_lines("stopping"))
  end)

  it("waits for the handlers of each, and not longer", function()
    local server = start [[
server:get("/slow", function(_, response) mark("slow") lunesse.sleep(0.3) response:send("x") end)
]]
    local client = connect_to(server, 2)
    client:send(wire.request { target = "/slow" })
    support.await_marks(server, { "slow" })
    server.process:signal("TERM")
    assert.equal("x", client:response("GET").body)
    assert.equal(0, (server.process:wait(1)))
    server:kill()
    client:close()
  end)

  it("comes at once with a second signal, whoever is still at work", function()
    local server = start 'server:get("/forever", function() mark("in") hold() end)'
    local clients = {}
    for number = 1, 3 do
      clients[number] = connect_to(server, number)
      clients[number]:send(wire.request { target = "/forever" })
    end
    support.await_marks(server, { "in", "in", "in" })
    server.process:signal("TERM")
    eventually(function() return #server:log_lines("stopping") > 0 end)
    server.process:signal("TERM")
    assert.equal(0, (server.process:wait(1)))
    server:kill()
    for _, client in ipairs(clients) do
      client:close()
    end
  end)

  it("logs whole lines, however many of them write", function()
    local server = start([[
server:get("/chatter", function(_, response)
  for n = 1, 300 do lunesse.log.info("chatter", { n = n, pad = ("x"):rep(200) }) end
  response:send("done")
end)
]], { args = { "--log-format", "json" } })
    local clients = {}
    for i = 1, 9 do
      clients[i] = connect_to(server, (i - 1) % 3 + 1)
      clients[i]:send(wire.request { target = "/chatter" })
    end
    for i = 1, 9 do
      assert.equal("done", clients[i]:response("GET").body)
      clients[i]:close()
    end
    local count = 0
    eventually(function()
      count = 0
      for line in server:log():gmatch("([^\n]*)\n") do
        count = count + (cjson.decode(line).text == "chatter" and 1 or 0)
      end
      return count == 2700
    end)
  end)
end)
