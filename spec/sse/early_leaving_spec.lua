-- A reader that leaves while the handler still waits before the first byte of the answer. Where the
-- answer may become a stream, that is as with an open one: tied timers stop, `close` is told
-- "left", and the handler ends where it waits. A peer that has only closed its sending side gets
-- its answer.

local support = require "spec.sse.support"
local wire = require "spec.support.wire"

local start, await_marks = support.start_inside, support.await_marks

local STREAM = { headers = { Accept = "text/event-stream" } }

-- Handlers that wait a day before they answer; each tells of its end.
local WAITING = [[
local function wait(response)
  response:on("close", function(reason) mark("close", reason) end)
  local guard <close> = setmetatable({}, { __close = function() mark("ended") end })
  lunesse.every(10, function() mark("tick") end)
  mark("started")
  lunesse.sleep(86400)
  mark("resumed", tostring(response.sse and response.sse:send("x")))
end
server:get("/asked", function(_, response) wait(response) end)
server:get("/taken", function(_, response) local _ = response.sse wait(response) end)
server:get("/always", { sse = "always" }, function(_, response) wait(response) end)
server:get("/cancel", { on_leave = "cancel" }, function(_, response) wait(response) end)
]]

local JSON = { Accept = "application/json" }
local BOTH = { Accept = "application/json, text/event-stream" }
local KINDS = {
  { target = "/asked", headers = STREAM.headers },
  { target = "/taken", headers = BOTH },
  { target = "/always", headers = JSON },
  { target = "/cancel", headers = JSON },
}

---Sends `request` and waits for its handler to wait.
local function begin(server, request)
  local client = server:connect()
  client:send(wire.request(request))
  await_marks(server, { "started" })
  return client
end

---Moves the clock by `seconds` in small steps, in which questions reach the peer and come back.
local function pass(server, seconds)
  for _ = 1, seconds * 10 do
    server:advance(0.1)
  end
end

describe("leaving before the first byte", function()
  for _, request in ipairs(KINDS) do
    for _, how in ipairs { "close", "reset" } do
      it("ends what " .. request.target .. " waits for, by a " .. how, function()
        local server = start(WAITING, { clock = true })
        local client = begin(server, request)
        client[how](client)
        eventually(function()
          server:advance(0.1)
          return #support.marks(server) == 3
        end)
        local marks = support.marks(server)
        table.sort(marks)
        assert.same({ "close left", "ended", "started" }, marks)
        server:advance(60)
        assert.equal(3, #support.marks(server)) -- the timer has stopped
      end)
    end
  end

  it("ends a wait for a Unix socket's peer at once", function()
    local path = os.tmpname()
    os.remove(path)
    local server = start(WAITING, { args = { "--unix", path } })
    local client = server:connect()
    client:send(wire.request(KINDS[1]))
    await_marks(server, { "started" })
    client:close()
    eventually(function()
      return #support.marks(server) == 3
    end)
  end)

  it("is told, but the handler runs on with on_leave = 'detach'; send says 'closed'", function()
    local server = start([[
server:get("/", { on_leave = "detach" }, function(_, response)
  response:on("close", function(reason) mark("close", reason) end)
  mark("started")
  lunesse.sleep(60)
  mark("resumed", select(2, response.sse:send("x")))
end)
]], { clock = true })
    local client = begin(server, STREAM)
    client:close()
    pass(server, 1)
    await_marks(server, { "started", "close left" })
    server:advance(60)
    await_marks(server, { "started", "close left", "resumed closed ECLOSED" })
  end)

  it("lets a plain answer's handler run on, also one that could take either", function()
    local server = start([[
server:get("/", function(_, response)
  mark("started")
  lunesse.sleep(60)
  mark("resumed", tostring(response:send("x")))
end)
]], { clock = true })
    for _, headers in ipairs { JSON, BOTH, {} } do
      local before = #support.marks(server)
      local client = server:connect()
      client:send(wire.request { headers = headers })
      eventually(function() return #support.marks(server) == before + 1 end)
      client:close()
      pass(server, 2)
      assert.equal(before + 1, #support.marks(server))
      server:advance(60)
      eventually(function() return support.marks(server)[before + 2] end)
      assert.matches("^resumed", support.marks(server)[before + 2])
    end
  end)

  it("does not end a handler that has answered, and goes on with something else", function()
    local server = start([[
server:get("/", { on_leave = "cancel" }, function(_, response)
  response:send("x")
  mark("started")
  lunesse.sleep(60)
  mark("resumed")
end)
]], { clock = true })
    local client = begin(server, {})
    client:reset()
    pass(server, 1)
    server:advance(60)
    await_marks(server, { "started", "resumed" })
  end)

  it("of a request behind another is noticed as well", function()
    local server = start(WAITING .. [[
server:get("/first", function(_, response)
  mark("first")
  lunesse.sleep(1)
  response:send("x")
end)
]], { clock = true })
    local client = server:connect()
    client:send(wire.request { target = "/first" } .. wire.request(KINDS[1]))
    await_marks(server, { "first" })
    client:finish_sending()
    pass(server, 2)
    eventually(function() return support.marks(server)[2] == "started" end)
    assert.equal("x", client:response().body)
    client:close()
    eventually(function()
      server:advance(1)
      return #support.marks(server) == 4
    end)
  end)
end)

describe("a peer that has closed its sending side before the first byte", function()
  local SLOW = [[
server:get("/", function(_, response)
  response:on("close", function(reason) mark("close", reason) end)
  mark("started")
  lunesse.sleep(60)
  response.sse:send("late")
  response.sse:close()
end)
server:get("/soon", function(_, response)
  mark("started")
  lunesse.sleep(0.09)
  response.sse:send("soon")
  response.sse:close()
end)
]]

  it("gets its stream, however late, behind interim answers", function()
    local server = start(SLOW, { clock = true })
    local client = begin(server, STREAM)
    client:finish_sending()
    pass(server, 2)
    server:advance(60)
    local head = client:head()
    assert.equal(200, head.status)
    -- The last step is a single moment for a process, and has four heartbeats in the kit.
    local count, most = #head.interim, server.app and 9 or 5
    assert.is_true(count >= 3 and count <= most, count .. " interim answers")
    for _, interim in ipairs(head.interim) do
      assert.equal(100, interim.status)
    end
    assert.matches("data: late\n\n", (client:receive_all()), 1, true)
    await_marks(server, { "started", "close finished" })
  end)

  it("gets one that begins within 0.1 s without any", function()
    local server = start(SLOW, { clock = true })
    local client = begin(server, { target = "/soon", headers = STREAM.headers })
    client:finish_sending()
    server:advance(0.09)
    assert.same({}, client:head().interim)
    assert.matches("data: soon\n\n", (client:receive_all()), 1, true)
  end)

  it("over HTTP/1.0 gets what begins within a second, and is gone then", function()
    local server = start(SLOW, { clock = true })
    local text = "GET %s HTTP/1.0\r\nAccept: text/event-stream\r\n\r\n"
    local client = server:connect()
    client:send(text:format("/soon"))
    await_marks(server, { "started" })
    client:finish_sending()
    server:advance(0.1)
    assert.matches("data: soon\n\n", (client:receive_all()), 1, true)
    client = server:connect()
    client:send(text:format("/"))
    await_marks(server, { "started", "started" })
    client:finish_sending()
    eventually(function()
      server:advance(0.5)
      return #support.marks(server) == 3
    end)
    await_marks(server, { "started", "started", "close left" })
    assert.equal("", (client:receive_all()))
  end)
end)
