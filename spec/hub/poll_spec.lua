-- One channel, read by a stream, by a long poll and by a loop at once, while much is published and
-- the scripts are replaced: they agree event by event.

local cjson = require "cjson"
local reload = require "spec.reload.support"
local wire = require "spec.support.wire"

local SCRIPT = [[
local room = lunesse.channel("room", { history = 100000, bytes = 2^24 })
server:get("/stream", function(_, response)
  response.sse:subscribe(room, { since = "earliest" })
end)
server:get("/poll", function(request, response)
  local events, cursor, finished = room:read {
    after = request.query.after, since = "earliest", max = 50, wait = 5 }
  response:json { events = events, cursor = cursor, finished = finished }
end)
server:get("/loop", function(_, response)
  for event in room:events { since = "earliest" } do
    response:write(event.id .. " " .. (event.event or "message") .. " " .. event.data .. "\n")
  end
  response:finish()
end)
server:post("/publish", function(request, response)
  local n = tonumber(request:text())
  for i = 1, n do
    if i % 3 == 0 then room:publish("said", n .. " " .. i) else room:publish(n .. " " .. i) end
  end
  response:send("ok")
end)
server:post("/finish", function(_, response) response:send(tostring(room:finish())) end)
]]

---Publishes on `client`, `count` events in one turn, and does not wait for the answer.
local function publish(client, count)
  client:send(wire.request { method = "POST", target = "/publish", body = tostring(count) })
end

---A long poll: asks on a connection and takes what comes in, until the channel is finished.
local function poller(server)
  local self = { client = server:connect(), lines = {} }
  function self.ask()
    local query = self.cursor and "?after=" .. self.cursor or ""
    self.client:send(wire.request { target = "/poll" .. query })
  end
  function self.take()
    local answer = cjson.decode(self.client:response("GET", 20).body)
    for _, event in ipairs(answer.events) do
      assert(not event.reset, event.data)
      self.lines[#self.lines + 1] = event.id .. " " .. (event.event or "message") .. " " ..
        event.data
    end
    self.cursor, self.finished = answer.cursor, answer.finished
  end
  return self
end

describe("a stream, a long poll and a loop of one channel", function()
  it("agree event by event, under load and over reloads, to the end", function()
    local server = reload.start(SCRIPT, { workers = 2 })
    local stream, loop = server:stream("/stream"), server:connect()
    loop:send(wire.request { target = "/loop" })
    local publishers = { server:connect(), server:connect() }
    local poll, total = poller(server), 0
    poll.ask()
    for round = 1, 100 do
      for i, client in ipairs(publishers) do
        local count = (round * 7 + i * 13) % 60 + 1
        publish(client, count)
        total = total + count
      end
      if round == 30 or round == 60 then -- the loop's generation is kept, but for the third
        reload.reload(server)
      end
      poll.take()
      poll.ask()
    end
    for _, client in ipairs(publishers) do
      for _ = 1, 100 do
        assert.equal("ok", client:response("POST", 20).body)
      end
    end
    server:request { method = "POST", target = "/finish", body = "" }
    poll.take()
    while not poll.finished do
      poll.ask()
      poll.take()
    end
    assert.equal("done", stream:finish(20))
    local streamed = {}
    for i, event in ipairs(stream:take(total)) do
      streamed[i] = event.id .. " " .. event.type .. " " .. event.data
    end
    assert.equal(total, #stream.parser.events)
    assert.same(streamed, poll.lines)
    local looped = {}
    for line in loop:response("GET", 20).body:gmatch("[^\n]+") do
      looped[#looped + 1] = line
    end
    assert.same(streamed, looped)
    stream:close()
  end)
end)
