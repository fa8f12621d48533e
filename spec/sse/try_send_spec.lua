-- `sse:try_send`: what `send` does, for loops that no reader may hold up.

local support = require "spec.sse.support"
local wire = require "spec.support.wire"

local start, await_marks = support.start_inside, support.await_marks

-- Streams that stay, by name; `/each` sends to all of them in one loop.
local SCRIPT = [[
local readers, names = {}, {}
local function say(ok, why, code) return ("%s %s %s"):format(ok, why, code) end
server:get("/reader/:name", function(request, response)
  local sse, name = response.sse, request.params.name
  sse:open()
  readers[sse], names[name] = true, sse
  response:on("close", function(reason) readers[sse] = nil mark(name, reason) end)
  hold()
end)
server:get("/each/:count", function(request, response)
  local full = 0
  for n = 1, tonumber(request.params.count) do
    for sse in pairs(readers) do
      local ok, why, code = sse:try_send(n, "e", ("x"):rep(1000))
      full = full + (code == "EAGAIN" and why == "full" and ok == nil and 1 or 0)
    end
  end
  response:send(tostring(full))
end)
server:get("/try/:name/:size", function(request, response)
  local sse = names[request.params.name]
  response:send(say(sse:try_send(("x"):rep(tonumber(request.params.size)))) .. " " .. sse.pending)
end)
]]

---A connection with a small receive buffer whose stream nobody reads.
local function stuck(server, name)
  local client = server:connect { receive_buffer = 4096 }
  client:send(wire.request {
    target = "/reader/" .. name, headers = { Accept = "text/event-stream" },
  })
  return client
end

describe("try_send", function()
  it("takes what `send` takes, and opens the stream by itself", function()
    local server = start [[
server:get("/", function(_, response)
  local sse = response.sse
  local ok, why = sse:try_send("x")
  mark(tostring(ok), tostring(why), tostring(sse.active))
  sse:try_send("e", "x") sse:try_send(7, "e", { a = 1 })
  sse:try_send(lunesse.event { id = 8, event = "f", retry = 1, data = "y" })
  mark(select(2, pcall(function() sse:try_send() end)))
  mark(select(2, pcall(function() sse:try_send("a\nb", "x") end)))
  sse:close()
  mark(tostring(select(3, sse:try_send("x"))))
end)
]]
    local stream = server:stream("/")
    assert.equal("done", stream:finish())
    assert.same({
      ":\n\n", "data: x\n\n", "event: e\ndata: x\n\n", 'id: 7\nevent: e\ndata: {"a":1}\n\n',
      "id: 8\nevent: f\nretry: 1000\ndata: y\n\n",
    }, stream.chunked.chunks)
    stream:close()
    local marks = eventually(function()
      local marks = support.marks(server)
      return #marks == 4 and marks
    end)
    assert.equal("true nil true", marks[1])
    assert.matches("bad argument #1 to 'try_send' %(data; event, data;", marks[2])
    assert.matches("bad argument #1 to 'try_send' %(an event name", marks[3])
    assert.equal("ECLOSED", marks[4])
  end)

  it("raises for an id on a stream that follows a channel", function()
    local server = start [[
server:get("/", function(_, response)
  response.sse:subscribe(lunesse.channel("room"))
  mark(select(2, pcall(function() response.sse:try_send(1, "e", "x") end)))
end)
]]
    local stream = server:stream("/")
    stream:close()
    eventually(function() return #support.marks(server) == 1 end)
    assert.matches("script.lua:%d+: a stream that follows a channel gets its ids from the engine",
      support.marks(server)[1])
  end)

  it("says full for a reader that does not read, holds up no other, and does not end it", function()
    local server = start(SCRIPT, { workers = 1, clock = true })
    local idle = stuck(server, "idle")
    local stream = server:stream("/reader/quick")
    local full, rounds = 0, 0
    while full < 100 and rounds < 1000 do -- the kernel takes some megabytes for the idle one
      full, rounds = full + tonumber(support.get(server, "/each/30")), rounds + 1
      for n = 1, 30 do
        assert.equal(tostring(n), stream:event().id)
      end
    end
    assert.is_true(full >= 100, "never full")
    assert.same({}, support.marks(server)) -- both are there
    stream:close()
    await_marks(server, { "quick left" })
    idle:close()
    await_marks(server, { "quick left", "idle left" })
  end)

  it("counts by stream_high_bytes: a stream over it is full until the bytes are out", function()
    local server = start(SCRIPT .. [[
server:get("/turn", function(_, response)
  local sse, results = names.quick, {}
  for n = 1, 4 do results[n] = say(sse:try_send(("x"):rep(400))) end
  response:send(table.concat(results, ","))
end)
]], { workers = 1, args = { "--limit", "stream_high_bytes=1000" } })
    local stream = server:stream("/reader/quick")
    for _ = 1, 3 do -- each turn anew
      assert.equal("true nil nil,true nil nil,true nil nil,nil full EAGAIN",
        support.get(server, "/turn"))
      for _ = 1, 3 do
        assert.equal(400, #stream:event().data)
      end
    end
    stream:close()
  end)

  it("says full, and resets nobody, where the event would pass stream_max_bytes", function()
    local server = start(SCRIPT .. [[
server:get("/turn", function(_, response)
  local sse = names.quick
  response:send(table.concat({ say(sse:try_send(("x"):rep(600))),
    say(sse:try_send(("x"):rep(600))), say(sse:try_send(("x"):rep(1001))), tostring(sse.active) },
    ","))
end)
]], { workers = 1, args = { "--limit", "stream_high_bytes=1000", "--limit",
      "stream_max_bytes=1000" } })
    local stream = server:stream("/reader/quick")
    assert.equal("true nil nil,nil full EAGAIN," ..
      "nil the event is larger than stream_max_bytes EMSGSIZE,true", support.get(server, "/turn"))
    assert.equal(600, #stream:event().data)
    stream:close()
  end)
end)
