-- A task's closing variable stopped the last timer that was tied to a request, and allocated. The
-- request's scope, which only that timer still held, was collected in the middle of the function
-- that ended the task, and this function went on to use it: the program ended by SIGSEGV. A task is
-- ended when it fails, when it has run for too long, when its peer leaves, when its code was
-- replaced three times, and when the server stops; the closing variable runs in each of these.

local support = require "spec.reload.support"
local clock = require "spec.support.clock"

local STREAMS = 30

-- `%s` is what the task does below its closing variable.
local SCRIPT = [[
local room = lunesse.channel("room")
local function churn()
  collectgarbage()
  collectgarbage() -- what has a finalizer outlives the first
  local junk = {}
  for i = 1, 1000 do junk[i] = ("%%06d"):format(i) .. ("x"):rep(172) end
end
server:get("/room", function(_, response)
  response.sse:subscribe(room)
  local pulse = lunesse.every(1000, function() room:publish("pulse") end)
  lunesse.after(0.01, function()
    local _ <close> = setmetatable({}, { __close = function()
      pulse:stop()
      churn()
      mark("closed")
    end })
    mark("begun")
    %s
  end)
end)
server:get("/alive", function(_, response) response:send("alive") end)
]]

local function start(body, options)
  local server = support.start(SCRIPT:format(body), options or { workers = 1 })
  local streams = {}
  for i = 1, STREAMS do
    streams[i] = server:stream("/room")
    assert.equal("", streams[i]:comment())
  end
  server.streams = streams -- a socket that nobody holds is closed
  return server
end

local function count(server, wanted)
  local found = 0
  for _, mark in ipairs(support.marks(server)) do
    found = found + (mark == wanted and 1 or 0)
  end
  return found
end

local function await(server, wanted)
  eventually(function()
    return count(server, wanted) == STREAMS
  end, 5)
end

describe("a closing variable that stops the last timer of its stream, and allocates", function()
  it("may do so when its task has failed", function()
    local server = start('error("on purpose")')
    await(server, "closed")
    assert.equal("alive", support.get(server, "/alive"))
  end)

  it("may do so when its task has run for too long", function()
    local limit = ("run_timeout=%g"):format(0.005 * clock.slow)
    local server = start("while true do end", { workers = 1, args = { "--limit", limit } })
    await(server, "begun")
    assert.equal("alive", support.get(server, "/alive"))
  end)

  it("may do so when its peer leaves", function()
    local server = start("lunesse.sleep(1000)")
    await(server, "begun")
    for i = 1, STREAMS do
      server.streams[i]:close()
    end
    await(server, "closed")
    assert.equal("alive", support.get(server, "/alive"))
  end)

  it("may do so when its code was replaced three times", function()
    local server = start("lunesse.sleep(1000)")
    await(server, "begun")
    for i = 1, 3 do
      support.reload(server)
      server.streams[STREAMS + i] = server:stream("/room") -- so that this code, too, is in use
      assert.equal("", server.streams[STREAMS + i]:comment())
    end
    await(server, "closed")
    assert.equal("alive", support.get(server, "/alive"))
  end)

  it("may do so when the server stops", function()
    local server = start("lunesse.sleep(1000)")
    await(server, "begun")
    server:stop()
    assert.equal(STREAMS, count(server, "closed"))
  end)
end)
