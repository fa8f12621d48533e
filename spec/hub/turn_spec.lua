-- What a turn of the loop is to channels: one write for each reader, however much was published;
-- and everybody's share, however much one publisher has to say.

local hub = require "spec.hub.support"
local strace = require "spec.support.strace"

local run, data, numbers = hub.run, hub.data, hub.numbers

---How many system calls that write the server makes during `work`; nil without strace. The answer
---to one more request marks the end.
local function count_writes(server, work)
  local traced = strace.during(server, "write,writev,sendto,sendmsg,pwrite64,sendmmsg",
    "that was all", function()
      work()
      run(server, "return 'that was all'")
    end)
  return traced and select(2, traced:gsub("%f[%w]%l+%d*%(", ""))
end

describe("what one turn publishes", function()
  it("is one write to each reader, however many events it is", function()
    local server = hub.start(nil, { workers = 1, args = { "--log-level", "warn" } })
    hub.keep(server, "room")
    hub.keep(server, "other")
    local streams = {}
    for i = 1, 30 do
      streams[i] = hub.open(server, i % 3 == 0 and "room,other" or "room")
      streams[i]:comment()
    end
    local count = count_writes(server, function()
      run(server, "for n = 1, 25 do kept.room:publish(n) end")
      for _, stream in ipairs(streams) do
        assert.equal(numbers(1, 25), data(stream, 25))
      end
    end)
    if not count then
      return pending("strace is not there, or may not attach")
    end
    assert.equal(31, count) -- thirty readers and the answer
    for _, stream in ipairs(streams) do
      stream:close()
    end
  end)

  it("is one write together with the stream's own events, with or without chunks", function()
    local server = hub.start([[
server:get("/live", function(_, response)
  env.kept[#env.kept + 1] = response.sse
  response.sse:subscribe(env.kept.room)
end)
]], { args = { "--log-level", "warn" } })
    hub.keep(server, "room")
    local streams = { server:stream("/live"), server:stream("/live", { version = "1.0" }) }
    hub.await_subscribers(server, "room", 2)
    local count = count_writes(server, function()
      run(server, [[
        for n = 1, 5 do
          kept.room:publish(n)
          for i = 1, 2 do kept[i]:send("own " .. n) kept[i]:comment("c") end
        end]])
      for _, stream in ipairs(streams) do
        assert.equal("1 own 1 2 own 2 3 own 3 4 own 4 5 own 5", data(stream, 10))
      end
    end)
    if not count then
      return pending("strace is not there, or may not attach")
    end
    assert.equal(3, count)
    for _, stream in ipairs(streams) do
      stream:close()
    end
  end)

  it("has left when the answer to the request that published it is there", function()
    local server = hub.start(nil, { workers = 1 })
    hub.keep(server, "room")
    local stream = hub.open(server, "room")
    stream:comment()
    for n = 1, 100 do
      hub.publish(server, "room", n)
      assert(stream:read_until(function()
        return #stream.parser.events == n
      end, 0))
    end
    stream:close()
  end)
end)

describe("a publisher that publishes without end", function()
  local ENDLESS = [[
server:get("/endless", function(request, response)
  local n = 0
  env.kept.is_running = true
  while env.kept.is_running do
    n = n + 1
    env.kept.room:publish(n)
  end
  response:send(tostring(n))
end)
]]

  it("lets others run: a request is answered meanwhile", function()
    local server = hub.start(ENDLESS)
    hub.keep(server, "room")
    local client = server:connect()
    client:send("GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n")
    for _ = 1, 20 do
      assert.equal("answered", run(server, "return 'answered'"))
    end
    eventually(function()
      return tonumber(run(server, "return (kept.room:cursor():gsub('.*-', ''))")) > 20000
    end, 5)
    run(server, "kept.is_running = false")
    assert.is_true(tonumber(client:response().body) > 20000)
    client:close()
  end)

  it("is heard whole and in order by everybody", function()
    local server = hub.start [[
server:get("/many", function(_, response)
  for n = 1, 20000 do env.kept.room:publish(n) end
  response:send("published")
end)
]]
    hub.keep(server, "room", "{ history = 100000 }")
    local streams = {}
    for i = 1, 4 do
      streams[i] = hub.open(server, i == 4 and "room,other" or "room", {
        version = i == 3 and "1.0" or nil,
      })
      streams[i]:comment()
    end
    assert.equal("published", server:request({ target = "/many", seconds = 10 }).body)
    for _, stream in ipairs(streams) do
      for n = 1, 20000 do
        local event = stream:event()
        if event.data ~= tostring(n) then
          error(("event %d is %s"):format(n, event.data))
        end
      end
      stream:close()
    end
  end)

  it("is one of several that take turns, from handlers and timers alike", function()
    -- A turn's share is two hundred of these events. Who begins first may be a few shares ahead.
    local server = hub.start([[
local function publish(name)
  for n = 1, 5000 do env.kept.room:publish(name, n) end
  mark("done", name)
end
server:get("/all", function(_, response)
  for name in ("abc"):gmatch(".") do lunesse.after(0, function() publish(name) end) end
  publish("d")
  response:send("d")
end)
]], { args = { "--limit", "stream_high_bytes=8192" } })
    hub.keep(server, "room", "{ history = 100000, bytes = 100000000 }")
    local stream = hub.open(server, "room")
    stream:comment()
    assert.equal("d", server:request({ target = "/all" }).body)
    local counts = { a = 0, b = 0, c = 0, d = 0 }
    local first_done
    for _ = 1, 20000 do
      local event = stream:event()
      counts[event.type] = counts[event.type] + 1
      assert.equal(tostring(counts[event.type]), event.data)
      if counts[event.type] == 5000 and not first_done then
        first_done = { a = counts.a, b = counts.b, c = counts.c, d = counts.d }
      end
    end
    for name, count in pairs(first_done) do
      assert.is_true(count > 4000, name .. " had " .. count)
    end
    stream:close()
  end)

  it("is cancelled like any other that waits, when its stream's reader leaves", function()
    local server = hub.start [[
server:get("/", function(_, response)
  local guard <close> = setmetatable({}, { __close = function() mark("closed") end })
  response.sse:open()
  while true do env.kept.room:publish(("x"):rep(1000)) end
end)
]]
    hub.keep(server, "room")
    local stream = server:stream("/")
    stream:comment()
    stream:close()
    hub.await_marks(server, { "closed" })
    assert.equal("answered", run(server, "return 'answered'"))
  end)

  it("ends with the server", function()
    local server = hub.start(ENDLESS, { args = { "--limit", "drain_timeout=0.1" } })
    hub.keep(server, "room")
    local client = server:connect()
    client:send("GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n")
    eventually(function()
      return run(server, "return kept.is_running") == "true"
    end)
    server:stop { seconds = 2 }
    client:close()
  end)

  it("publishes on where it cannot wait, within twice the channel's bytes", function()
    local server = hub.start()
    hub.keep(server, "room", "{ bytes = 100000, history = 100000 }")
    local stream = hub.open(server, "room")
    stream:comment()
    local words = run(server, [[
      local count = 0
      table.sort({ 1, 2, 3 }, function(a, b)
        if count == 0 then
          for n = 1, 120 do assert(kept.room:publish(n .. (" "):rep(1000))) count = n end
        end
        return a < b
      end)
      return count, (kept.room:cursor():gsub(".*-", ""))]])
    assert.equal("120 120", words)
    for n = 1, 120 do
      assert.equal(tostring(n), stream:event().data:match("^%d+"))
    end
    stream:close()
  end)
end)
