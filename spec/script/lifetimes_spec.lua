-- Who frees what, and when: ways in which memory went wrong in other servers with scripts inside,
-- those that no other spec walks. A strict Lua, which collects at every opportunity, makes each of
-- them worth more; CONTRIBUTING.md tells of it, and where the other ways are walked.

local support = require "spec.sse.support"
local clock = require "spec.support.clock"

local start, await_marks = support.start_inside, support.await_marks

describe("bytes that a script has given away", function()
  -- `text` is held by nobody but whom it was given to; `churn` puts others in its place.
  local SCRIPT = [[
local function text(word, count) return table.concat({ word, (" " .. word):rep(count) }) end
local function churn()
  collectgarbage() collectgarbage()
  local junk = {}
  for i = 1, 300 do junk[i] = ("#"):rep(i * 2) .. i end
end
server:get("/plain", function(_, response)
  response:type(text("text/x;a=b", 0))
  response:header(text("X-First", 0), text("first", 50))
  response:add_header(text("X-Second", 0), text("second", 5))
  response:cookie(text("name", 0), "v" .. 1, { path = "/" .. text("path", 0) })
  churn() lunesse.sleep(0) churn()
  response:send(text("body", 100))
  churn()
end)
local room
server:get("/stream", function(_, response)
  local sse = response.sse
  response:header("X-First", text("first", 50))
  room = lunesse.channel(text("room", 20), { history = 5, reset_event = text("again", 3) })
  churn()
  sse:open { retry = 1.5 }
  sse:comment(text("comment", 10))
  sse:send(text("id", 0), text("event", 2), text("data", 40))
  sse:send(lunesse.event { event = text("table", 1), data = { text("json", 2) } })
  sse:subscribe(room)
  churn()
  room:publish(text("news", 1), text("published", 30))
  churn() lunesse.sleep(0) churn()
  lunesse.shared(text("store", 3)):set(text("key", 3), text("value", 30))
  churn()
  assert(lunesse.shared("store store store store"):get("key key key key") == text("value", 30))
  assert(lunesse.channel(("room "):rep(20) .. "room") == room)
  lunesse.log.info("mark", { what = text("logged", 2) })
  sse:close()
  churn()
end)
server:get("/:name/*rest", function(request, response)
  local name, rest, query = request.params.name, request.params.rest, request.query.q
  churn() lunesse.sleep(0) churn()
  response:send(name .. " " .. rest .. " " .. query .. " " .. request.headers["x-mine"])
end)
]]

  local function words(word, count)
    return word .. (" " .. word):rep(count)
  end

  it("are the engine's own: the answer has them, whatever the collector did meanwhile", function()
    local response = start(SCRIPT):request { target = "/plain" }
    assert.same({ "text/x;a=b", words("first", 50), words("second", 5), words("body", 100) }, {
      response.headers["content-type"], response.headers["x-first"],
      response.headers["x-second"], response.body,
    })
    assert.matches("^name=v1; Path=/path", response.headers["set-cookie"])
  end)

  it("are the engine's own in a stream, a channel, a store and the log", function()
    local server = start(SCRIPT, { workers = 1 })
    local bytes = support.stream_bytes(server, "/stream")
    local place = bytes:match("id: (%x+%-)1\n")
    assert.equal(table.concat {
      ":\n\nretry: 1500\n\n: ", words("comment", 10), "\n\n",
      "id: id\nevent: ", words("event", 2), "\ndata: ", words("data", 40), "\n\n",
      "event: table table\ndata: [\"json json json\"]\n\n",
      "id: ", place, "0\n\nid: ", place, "1\nevent: news news\n",
      "data: ", words("published", 30), "\n\n",
    }, (bytes:gsub("%x+\r\n", ""):gsub("\r\n", "")))
    await_marks(server, { "logged logged logged" })
  end)

  it("are the script's own that the engine has given: what a request said", function()
    local response = start(SCRIPT):request {
      target = "/a%20name/of/the/rest?q=what+is+asked", headers = { ["X-Mine"] = ("y"):rep(99) },
    }
    assert.equal("a name of/the/rest what is asked " .. ("y"):rep(99), response.body)
  end)
end)

describe("a listener", function()
  it("may close its own stream and all others, whose listeners do the same", function()
    local server = start([[
local all = {}
local room = lunesse.channel("room", { history = 10 })
server:get("/", function(_, response)
  local sse = response.sse
  all[#all + 1] = sse
  response:on("close", function(reason)
    mark(reason)
    room:publish("somebody left")
    for _, other in ipairs(all) do
      other:unsubscribe(room)
      other:close()
    end
    room:close()
  end)
  sse:subscribe(room)
end)
server:post("/close", function(_, response)
  all[1]:close()
  response:send("closed")
end)
server:get("/alive", function(_, response) response:send(tostring(room.subscribers)) end)
]], { workers = 1 })
    local streams = {}
    for i = 1, 5 do
      streams[i] = server:stream("/")
    end
    streams[3]:close() -- as a peer that leaves
    for _, i in ipairs { 1, 2, 4, 5 } do
      streams[i]:finish()
      streams[i]:close()
    end
    eventually(function()
      return #support.marks(server) == 5
    end)
    assert.equal("0", support.get(server, "/alive"))
    assert.equal(5, #support.marks(server))
  end)

  it("may close the stream when it drains, and when a callback of its fails", function()
    local server = start([[
server:get("/drain", function(_, response)
  local sse = response.sse
  sse:open()
  response:on("drain", function() mark("drain") sse:close() end)
  response:on("close", function(reason) mark(reason) end)
  lunesse.after(0, function()
    while sse.pending < 1000000 and sse.active do sse:send(("x"):rep(10000)) end
  end)
end)
server:get("/error", function(_, response)
  local sse = response.sse
  sse:open()
  response:on("error", function(text) mark(text:match("on purpose")) sse:close() end)
  response:on("close", function(reason) mark(reason) end)
  lunesse.after(0, function() error("on purpose") end)
  hold()
end)
]], { workers = 1 })
    local stream = server:stream("/drain", { receive_buffer = 4096 })
    clock.pause()
    stream:finish()
    stream:close()
    await_marks(server, { "drain", "finished" })
    stream = server:stream("/error")
    stream:finish()
    stream:close()
    await_marks(server, { "drain", "finished", "on purpose", "finished" })
  end)
end)

describe("what outlives the call that asked for it", function()
  it("does not lie on the C stack, which others write over meanwhile", function()
    local server = start([[
local room = lunesse.channel("room", { history = 10, reset_event = "again" })
server:get("/ask", function(_, response)
  local sse = response.sse
  response:on("close", function(reason) mark("close", reason) end)
  sse:open { retry = 2, heartbeat = 100 }
  sse:subscribe(room, { since = "earliest" })
  lunesse.after(0.1, function() mark("timer") room:publish("news", "published") end)
  lunesse.sleep(0.15)
  sse:send("event", "slept")
  sse:close()
end)
local function deep(count)
  return (("x"):gsub("x", function() return count > 0 and deep(count - 1) or "y" end))
end
server:get("/deep", function(_, response) response:send(deep(150)) end)
]], { workers = 1 })
    local stream = server:stream("/ask")
    for _ = 1, 10 do
      assert.equal("y", support.get(server, "/deep"))
    end
    stream:finish()
    stream:close()
    local texts = {}
    for i, event in ipairs(stream.parser.events) do
      texts[i] = event.type .. " " .. event.data
    end
    assert.same({ "news published", "event slept" }, texts)
    await_marks(server, { "timer", "close finished" })
  end)
end)

describe("a call that is refused", function()
  -- Each line is one: a wrong argument, or something that is over.
  local REFUSED = [[
    response.sse:subscribe(room, { since = {} })
    response.sse:subscribe("room")
    response.sse:subscribe(over)
    response.sse:unsubscribe(store)
    response.sse:send("id\n", "event", "data")
    response.sse:send(lunesse.event { id = "1", data = print })
    response.sse:send()
    response.sse:retry(-1)
    response.sse:comment()
    response.sse:open { retry = "x" }
    lunesse.channel("new", { history = "x" })
    lunesse.channel("new", { unknown = 1 })
    lunesse.channel("")
    room:publish("event\n", "data")
    room:publish(lunesse.event { id = "1" })
    room:publish({ data = function() end })
    over:publish("x")
    store:set("key", {})
    store:set("key", "value", { ttl = -1 })
    store:set("key", "value", { unknown = 1 })
    store:incr("text")
    store:keys("x")
    lunesse.shared("")
    lunesse.after(-1, print)
    lunesse.after(1, "no function")
    lunesse.every(1, print, { unknown = 1 })
    lunesse.sleep("x")
    lunesse.log.info("text", { ["bad name"] = 1 })
    lunesse.json.encode(print)
    lunesse.json.decode("{")
    response:on("nothing", print)
    response:on("close", "no function")
    response:status(99)
    response:header("bad name", "x")
    response:header("X", "a\nb")
    response:cookie("a;b", "x")
    response:cookie("a", "b", { max_age = "x" })
    response:json(print)
    response:write(print)
    response:redirect("a\nb")
    server:get("/late", print)
    server:use(print)
    server:on_error(1)
    request:query_values({})
    request:accepts({})
    coroutine.resume(coroutine.running())
    coroutine.wrap(function() error({}) end)()
]]

  it("leaves nothing behind, however often", function()
    local server = start(([[
local calls = {}
for line in ([=[%s]=]):gmatch("%%s*([^\n]+)\n") do
  calls[#calls + 1] = assert(load(
    "local lunesse, server, request, response, room, over, store = ... return " .. line, line))
end
server:get("/refused", function(request, response)
  response.sse:open()
  local room, store = lunesse.channel("room"), lunesse.shared("store")
  local over = lunesse.channel("over")
  over:close()
  store:set("text", "text")
  local function refuse(times)
    for _ = 1, times do
      for i, call in ipairs(calls) do
        local ok, answer =
          pcall(call, lunesse, server, request, response, room, over, store)
        if ok and answer then mark("not refused: " .. i .. " " .. tostring(answer)) end
      end
      lunesse.sleep(0)
    end
    collectgarbage() collectgarbage()
    return collectgarbage("count")
  end
  local before = refuse(10)
  local grown = refuse(60) - before
  mark(grown < 0.5 and "nothing" or grown .. " KiB")
  response.sse:close()
end)
]]):format(REFUSED), { clock = true, args = { "--limit", "run_timeout=" .. 5 * clock.slow } })
    assert.equal(support.chunks(":\n\n"),
      support.stream_bytes(server, "/refused", { seconds = 20 }))
    await_marks(server, { "nothing" })
  end)
end)
