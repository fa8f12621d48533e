-- What the end of a stream means for its handler, its variables and its timers, and what the end of
-- the program means for its streams.

local support = require "spec.sse.support"
local wire = require "spec.support.wire"

local start, await_marks = support.start_inside, support.await_marks

local STREAM = { headers = { Accept = "text/event-stream" } }

-- A stream whose close is marked with its reason; its handler waits for good.
local HELD = [[
server:get("/", function(_, response)
  response:on("close", function(reason) mark("close", reason) end)
  response.sse:open()
  mark("open")
  hold()
  mark("resumed")
end)
]]

---Opens a stream on "/" and reads its first comment.
local function open(server, target)
  local stream = server:stream(target or "/")
  stream:comment()
  return stream
end

describe("the handler of a stream whose peer leaves", function()
  it("ends where it sleeps", function()
    local server = start(HELD)
    open(server):close()
    await_marks(server, { "open", "close left" })
    assert.equal("404: no route for this path\n", support.get(server, "/none"))
    assert.same({ "open", "close left" }, support.marks(server))
  end)

  it("ends where it waits for a slow reader", function()
    local server = start [[
server:get("/", function(_, response)
  response:on("close", function(reason) mark("close", reason) end)
  local guard <close> = setmetatable({}, { __close = function() mark("closed") end })
  while true do
    if not response.sse:send(("x"):rep(10000)) then mark("resumed") end
  end
end)
]]
    local client = server:connect { receive_buffer = 4096 }
    client:send(wire.request(STREAM))
    client:head()
    client:reset()
    await_marks(server, { "closed", "close left" })
  end)

  it("runs its to-be-closed variables, innermost first", function()
    local server = start [[
local function guard(name)
  return setmetatable({}, { __close = function(_, problem) mark(name, tostring(problem)) end })
end
server:get("/", function(_, response)
  response.sse:open()
  local outer <close> = guard("outer")
  local function inner()
    local one <close> = guard("one")
    local two <close> = guard("two")
    pcall(hold)
  end
  inner()
  mark("resumed")
end)
]]
    open(server):close()
    await_marks(server, { "two nil", "one nil", "outer nil" })
  end)

  it("runs the to-be-closed variables inside a coroutine of its own that waits", function()
    local server = start [[
local function guard(name)
  return setmetatable({}, { __close = function() mark(name) end })
end
server:get("/", function(_, response)
  response.sse:open()
  local outer <close> = guard("outer")
  local generator = coroutine.wrap(function()
    local inner <close> = guard("inner")
    hold()
  end)
  generator()
end)
]]
    open(server):close()
    await_marks(server, { "inner", "outer" })
  end)

  it("cannot catch its end, and cannot hold it up by waiting in a closer", function()
    local server = start [[
server:get("/", function(_, response)
  response.sse:open()
  local outer <close> = setmetatable({}, { __close = function() mark("outer") end })
  local waits <close> = setmetatable({}, { __close = function()
    mark(tostring(pcall(lunesse.sleep, 0.01)))
  end })
  pcall(function()
    xpcall(hold, function() mark("caught") end)
    mark("resumed")
  end)
  mark("resumed")
end)
]]
    open(server):close()
    await_marks(server, { "false", "outer" })
  end)

  it("runs to its end with on_leave = 'detach', and is told of the leaving by send", function()
    local server = start [[
server:get("/", { on_leave = "detach" }, function(_, response)
  local sse = response.sse
  response:on("close", function(reason) mark("close", reason) end)
  sse:open()
  lunesse.sleep(0.1)
  mark("resumed", tostring(sse.active), select(2, sse:send("x")))
  lunesse.sleep(0.01)
  mark("end")
end)
]]
    open(server):close()
    await_marks(server, { "close left", "resumed false closed ECLOSED", "end" })
  end)

  it("is resumed from a waiting send with on_leave = 'detach'", function()
    local server = start [[
server:get("/", { on_leave = "detach" }, function(_, response)
  while true do
    local ok, why, code = response.sse:send(("x"):rep(10000))
    if not ok then return mark(tostring(ok), why, code) end
  end
end)
]]
    local client = server:connect { receive_buffer = 4096 }
    client:send(wire.request(STREAM))
    client:head()
    client:reset()
    await_marks(server, { "nil closed ECLOSED" })
  end)

  it("always runs to its end when the response is a plain one", function()
    local server = start([[
server:get("/", function(_, response)
  mark("started")
  lunesse.sleep(0.05)
  local ok, why, code = response:send("late")
  mark(tostring(ok), why, code)
end)
]], { clock = true })
    local client = server:connect()
    client:send(wire.request {})
    await_marks(server, { "started" })
    client:reset()
    server:advance(1)
    await_marks(server, { "started", "nil closed ECLOSED" })
  end)

  it("goes on after its own close, to its end", function()
    local server = start [[
server:get("/", function(_, response)
  response.sse:send("x")
  response.sse:close()
  lunesse.sleep(0.02)
  mark("still here")
end)
]]
    support.stream_bytes(server, "/")
    await_marks(server, { "still here" })
  end)

  it("does not take other work with it that another request has begun", function()
    local server = start([[
local first
server:get("/first", function(_, response)
  first = response.sse
  first:open()
  hold()
end)
server:get("/second", function(_, response)
  response.sse:open()
  lunesse.after(0.1, function() mark("tied") end)
  hold()
end)
]], { clock = true })
    local first = open(server, "/first")
    open(server, "/second"):close()
    eventually(function()
      return #server:log_lines("target=/second ") == 1
    end)
    server:advance(1)
    assert.is_true(first:is_silent())
    assert.same({}, support.marks(server))
    first:close()
  end)
end)

describe("timers made in a stream's handler", function()
  it("stop with the stream, whoever ends it", function()
    local server = start([[
local count = 0
server:get("/:how", function(request, response)
  local sse = response.sse
  sse:open()
  lunesse.every(0.01, function() count = count + 1 sse:send("x") end)
  lunesse.after(0.3, function() mark("after") end)
  if request.params.how == "finish" then lunesse.sleep(0.05) sse:close() end
  if request.params.how == "fail" then lunesse.sleep(0.05) error("on purpose") end
end)
server:get("/plain/count", function(_, response) response:send(tostring(count)) end)
]], { workers = 1 })
    local stream = server:stream("/leave")
    stream:take(3)
    stream:close()
    support.stream_bytes(server, "/finish")
    support.stream_bytes(server, "/fail")
    eventually(function()
      return #server:log_lines("info stream ") == 3
    end)
    local before = support.get(server, "/plain/count")
    local watch = server:connect()
    assert.is_true(watch:is_silent(0.35))
    watch:close()
    assert.equal(before, support.get(server, "/plain/count"))
    assert.same({}, support.marks(server))
  end)

  it("keep the stream open although the handler has returned", function()
    local server = start [[
server:get("/", function(_, response)
  response.sse:open()
  lunesse.every(0.01, function() response.sse:send("tick") end)
end)
]]
    local stream = open(server)
    assert.equal(5, #stream:take(5))
    stream:close()
  end)

  it("outlive it with { detached = true }", function()
    local server = start [[
server:get("/", function(_, response)
  response.sse:open()
  lunesse.after(0.1, function()
    mark(tostring(response.sse.active), select(2, response.sse:send("x")))
  end, { detached = true })
  hold()
end)
]]
    open(server):close()
    await_marks(server, { "false closed ECLOSED" })
  end)

  it("run on after a plain answer", function()
    local server = start [[
server:get("/", function(_, response)
  lunesse.after(0.05, function() mark("after") end)
  response:send("x")
end)
]]
    assert.equal("x", support.get(server, "/"))
    await_marks(server, { "after" })
  end)

  it("have callbacks that end with the stream, also while they wait", function()
    local server = start [[
server:get("/", function(_, response)
  response.sse:open()
  lunesse.after(0, function()
    local guard <close> = setmetatable({}, { __close = function() mark("closed") end })
    mark("started")
    hold()
  end)
end)
]]
    local stream = open(server)
    await_marks(server, { "started" })
    stream:close()
    await_marks(server, { "started", "closed" })
  end)
end)

describe("a stream that nobody's variable names", function()
  it("stays open through collections", function()
    local server = start [[
server:get("/", function(_, response)
  response.sse:open()
  response:on("close", function(reason) mark("close", reason) end)
end)
server:get("/collect", function(_, response)
  for _ = 1, 5 do collectgarbage() end
  response:send("done")
end)
]]
    local stream = open(server)
    support.get(server, "/collect")
    assert.is_true(stream:is_silent(0.01))
    stream:close()
    support.get(server, "/collect")
    await_marks(server, { "close left" })
  end)
end)

describe("a shutdown", function()
  it("cuts a stream, with a retry that is spread over drain_timeout", function()
    local server = start(HELD)
    local streams = {}
    for i = 1, 20 do
      streams[i] = open(server)
    end
    server:stop()
    local seen, distinct = {}, 0
    for _, stream in ipairs(streams) do
      assert.equal("closed", stream:finish())
      local retry_ms = stream.parser.retry_ms
      assert.is_true(retry_ms >= 200 and retry_ms <= 10000)
      distinct = distinct + (seen[retry_ms] and 0 or 1)
      seen[retry_ms] = true
      stream:close()
    end
    assert.is_true(distinct > 10)
  end)

  it("delivers what was sent before", function()
    local server = start [[
server:get("/", function(_, response)
  response.sse:send("x")
  mark("sent")
  hold()
end)
]]
    local client = server:connect()
    client:send(wire.request(STREAM))
    await_marks(server, { "sent" })
    server:stop()
    local _, body = support.split_head((client:receive_all()))
    assert.matches("\r\ndata: x\n\n\r\n%x+\r\nretry: %d+\n\n\r\n$", body)
    client:close()
  end)
end)

describe("too many connections", function()
  it("get an event stream with a retry that is cut, because an EventSource never retries a 503",
    function()
      local server = start(HELD, { args = { "--limit", "connections=2" } })
      local one, two = open(server), open(server)
      local retries = {}
      local bytes, why = support.raw(server, STREAM)
      local head, body = support.split_head(bytes)
      local expected = support.stream_head()
      expected[4] = "Connection: close"
      assert.same(expected, support.head_lines(head.head))
      retries[1] = body:match("^%x+\r\nretry: (%d+)\n\n\r\n$")
      assert.is_true(tonumber(retries[1]) >= 1000, body)
      assert.equal("closed", why)
      assert.matches("reason=refused", support.await_access_line(server, "/"))
      one:close()
      two:close()
    end)

  it("get a 503 with Retry-After when they ask for something plain", function()
    local server = start(HELD, { args = { "--limit", "connections=1" } })
    local one = open(server)
    local response = server:request {}
    assert.equal(503, response.status)
    assert.matches("^%d+$", response.headers["retry-after"])
    one:close()
  end)

  it("are followed by ordinary service when there is room again", function()
    local server = start(HELD, { args = { "--limit", "connections=1" } })
    local one = open(server)
    assert.equal(503, server:request({}).status)
    one:close()
    eventually(function()
      -- One that is turned away holds the only place itself until it has closed.
      local stream = server:stream("/")
      local is_open = pcall(stream.comment, stream)
      stream:close()
      return is_open
    end)
  end)
end)
