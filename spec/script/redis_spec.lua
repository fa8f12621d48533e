-- Debian's lua-redis, unmodified, over lunesse.compat.socket: a handler waits for Redis, and
-- everybody else is served.

local clock = require "spec.support.clock"
local Redis = require "spec.support.redis"
local Server = require "spec.support.server"

local SCRIPT = [[
package.path = package.path .. ";/usr/share/lua/5.3/?.lua" -- where Debian has lua-redis
local lunesse = require "lunesse"
local socket = require "lunesse.compat.socket"
package.loaded["socket"] = socket
package.loaded["socket.unix"] = socket.unix
local redis = require "redis"
local server = lunesse.server()
local addresses = { { scheme = "unix", path = %q }, { host = "localhost", port = %d } }
local function connect(request)
  return redis.connect(addresses[request.query.tcp and 2 or 1])
end
server:on_error(function(why, _, response)
  response:status(502):send((tostring(why):gsub("\n.*", "")))
end)
server:get("/hello", function(_, response) response:send("hello") end)
server:get("/set", function(request, response)
  local client = connect(request)
  client:set("name", request.query.value)
  response:send(client:get("name"))
  client:quit()
end)
server:get("/pipeline", function(request, response)
  local count = tonumber(request.query.count)
  local replies = connect(request):pipeline(function(pipe)
    for n = 1, count do pipe:hset("hash", "key" .. n, n) end
    pipe:hgetall("hash")
  end)
  local hash = replies[count + 1]
  response:json { #replies, replies[count], hash.key1, hash["key" .. count] }
end)
server:get("/large", function(request, response)
  local client = connect(request)
  local value = ("0123456789abcdef"):rep(512 * 1024)
  client:set("large", value)
  response:send(client:get("large") == value and "the same" or "another")
end)
server:get("/mistake", function(request, response)
  local client = connect(request)
  client:set("name", "text")
  local ok, why = pcall(client.incr, client, "name")
  response:send(tostring(ok) .. " " .. why:gsub("^.-:%%d+: ", "") .. " " .. client:get("name"))
end)
server:get("/pop", { on_leave = "cancel" }, function(request, response)
  local popped = connect(request):blpop("queue", 0)
  response:send(popped[2])
end)
server:get("/stream", function(request, response)
  local client = connect(request)
  response.sse:open()
  response.sse:send(client:blpop("queue", 0)[2])
end)
local shared
server:get("/shared", function(request, response)
  shared = shared or connect(request)
  response:send(shared:blpop("queue", 0)[2])
end)
]]

local redis

local function start(options)
  redis = Redis.start()
  return Server.start(SCRIPT:format(redis.path, redis.port), options)
end

local function get(server, target)
  return server:request { target = target }
end

local function begin(server, target, accept)
  local client = server:connect()
  client:send(("GET %s HTTP/1.1\r\nHost: localhost\r\nAccept: %s\r\n\r\n"):format(
    target, accept or "*/*"))
  return client
end

-- The server has so many connections to Redis that wait for a list.
local function await_blocked(count)
  clock.eventually(function()
    return tonumber(redis:ask("info", "clients"):match("blocked_clients:(%d+)")) == count
  end)
end

describe("lua-redis, unmodified,", function()
  after_each(function()
    Server.stop_all()
    Redis.stop_all()
  end)

  for what, query in pairs { ["a Unix socket"] = "", ["TCP"] = "&tcp=1" } do
    it("sets and gets over " .. what, function()
      local server = start()
      assert.equal("moon", get(server, "/set?value=moon" .. query).body)
      assert.equal("moon", redis:ask("get", "name"))
    end)

    it("gets the replies of a thousand commands over " .. what, function()
      local count = 1000 // clock.slow
      assert.equal(('[%d,true,"1","%d"]'):format(count + 1, count),
        get(start(), ("/pipeline?count=%d%s"):format(count, query)).body)
    end)

    it("sends and gets 8 MiB over " .. what, function()
      assert.equal("the same", get(start(), "/large?" .. query).body)
    end)
  end

  it("raises what Redis says is wrong, and goes on with the connection", function()
    assert.equal("false redis error: ERR value is not an integer or out of range text",
      get(start(), "/mistake").body)
  end)

  it("waits for an item, while others are served and Redis is asked by others", function()
    local server = start { workers = 1 }
    local waiting = { begin(server, "/pop"), begin(server, "/pop?tcp=1") }
    await_blocked(2)
    assert.equal("hello", get(server, "/hello").body)
    assert.equal("moon", get(server, "/set?value=moon").body)
    assert.is_true(waiting[1]:is_silent())
    redis:ask("rpush", "queue", "one", "one")
    for _, client in ipairs(waiting) do
      assert.equal("one", client:response().body)
    end
  end)

  it("is disconnected when the reader leaves for whom it waits", function()
    local server = start()
    local readers = { begin(server, "/pop"), begin(server, "/stream", "text/event-stream") }
    await_blocked(2)
    for _, client in ipairs(readers) do
      client:close()
    end
    await_blocked(0)
  end)

  it("raises that the connection is closed when Redis is killed, and finds it started again",
    function()
      local server = start()
      local waiting = begin(server, "/pop")
      await_blocked(1)
      redis:kill()
      local answer = waiting:response()
      assert.equal(502, answer.status)
      assert.matches("connection error: closed", answer.body, 1, true)
      answer = get(server, "/set?value=x&tcp=1")
      assert.equal(502, answer.status)
      assert.matches("connection refused", answer.body, 1, true)
      redis:restart()
      assert.equal("x", get(server, "/set?value=x").body)
      assert.equal("y", get(server, "/set?value=y&tcp=1").body)
    end)

  it("is for one task at a time: a second one is told, and neither reads the other's reply",
    function()
      local server = start { workers = 1 }
      local first = begin(server, "/shared")
      await_blocked(1)
      local second = get(server, "/shared")
      assert.equal(502, second.status)
      assert.matches("another task reads this socket: each task needs a connection of its own",
        second.body, 1, true)
      local answer = first:response()
      assert.equal(502, answer.status)
      assert.matches("connection error: closed", answer.body, 1, true)
    end)
end)
