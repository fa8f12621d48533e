-- Code of a script runs at many places inside the engine: closing variables when a task is ended,
-- finalizers wherever Lua collects, listeners, and the metamethods of tables that are given as
-- options, data or log fields. Here every such place does anything at all: it stops timers, closes
-- streams and channels, publishes, adds and takes away listeners, collects garbage, raises, asks
-- for a reload. A seed decides what; nothing that follows may end the server, and a sanitizer must
-- have nothing to say. LUNESSE_SEED=N replays one seed, LUNESSE_SEEDS=M runs so many (from seed N
-- on, with both); `make soak` runs many.

local Server = require "spec.support.server"
local base = require "spec.sse.support"

local FIRST = tonumber(os.getenv("LUNESSE_SEED"))
local SEEDS = tonumber(os.getenv("LUNESSE_SEEDS")) or FIRST and 1 or 8
local STEPS = 60

local SCRIPT = [[
math.randomseed(SEED)
local any = math.random
local timers, responses, streams, tasks, signals, depth = {}, {}, {}, {}, {}, 0
local budget = 0 -- of things to do: without one, each finalizer would make the next
local function one_of(list) return list[any(#list > 0 and #list or 1)] end
local function keep(list, what) list[any(8)] = what return what end
local function room() return lunesse.channel("room" .. any(3)) end
local chaos

-- Tables whose every metamethod is a place of the script's own.
local function hostile(fields)
  return setmetatable({}, {
    __index = function(_, key) chaos() return fields[key] end,
    __len = function() chaos() return 2 end,
    __pairs = function() chaos() return next, fields end,
    __tostring = function() chaos() return "text" end,
    __close = function() chaos() end,
    __gc = function() chaos() end,
  })
end

local function churn()
  local junk = {}
  for i = 1, any(300) do junk[i] = ("x"):rep(any(200)) .. i end
end

local ops = {
  function() local timer = one_of(timers) if timer then timer:stop() end end,
  function() for _, timer in pairs(timers) do timer:stop() end end,
  function() keep(timers, lunesse.after(any() / 50, function() chaos() end)) end,
  function() keep(timers, lunesse.every(0.01 + any() / 50, function() chaos() end)) end,
  function() keep(timers, lunesse.after(0, chaos, hostile { detached = true })) end,
  function() local sse = one_of(streams) if sse then sse:close() end end,
  function() local sse = one_of(streams) if sse then sse:send(hostile { 1, 2 }) end end,
  function() local sse = one_of(streams) if sse then sse:try_send("x") end end,
  function() local sse = one_of(streams) if sse then sse:open(hostile { retry = 1 }) end end,
  function() local sse = one_of(streams) if sse then sse:unsubscribe(room()) end end,
  function()
    local sse = one_of(streams)
    if sse then sse:subscribe(room(), hostile { since = "earliest" }) end
  end,
  function() room():publish(hostile { a = 1 }) end,
  function() for _ = 1, 20 do room():publish(("y"):rep(1000)) end end,
  function() room():close() end,
  function() lunesse.channel("room" .. any(3), hostile { history = any(5), ttl = 1 }) end,
  function() local r = one_of(responses) if r then r:on("close", chaos) end end,
  function() local r = one_of(responses) if r then r:once("drain", chaos) end end,
  function() local r = one_of(responses) if r then r:off("close", chaos) end end,
  function() local r = one_of(responses) if r then r:send("sent") end end,
  function() local r = one_of(responses) if r then r:write(("z"):rep(any(5000))) end end,
  function() local r = one_of(responses) if r then r:finish() end end,
  function() lunesse.log.debug("chaos", hostile { a = hostile {} }) end,
  function() lunesse.shared("store"):set("key", tostring(hostile {}), hostile { ttl = 1 }) end,
  function() lunesse.shared("store"):keys() end,
  function() lunesse.json.encode(hostile { hostile {} }) end,
  function()
    local co = coroutine.create(function()
      local _ <close> = hostile {}
      coroutine.yield()
    end)
    coroutine.resume(co)
    coroutine.close(co)
  end,
  function()
    keep(tasks, lunesse.spawn(function()
      local _ <close> = hostile {}
      chaos()
      lunesse.sleep(any() / 100)
      chaos()
      return hostile {}
    end))
  end,
  function() keep(tasks, lunesse.spawn(chaos, hostile {})) end,
  function() local task = one_of(tasks) if task then task:cancel() end end,
  function() for _, task in pairs(tasks) do task:cancel() end end,
  function() local task = one_of(tasks) if task then task:wait(any() / 50) end end,
  function() local task = one_of(tasks) if task then error(select(2, task:wait(0))) end end,
  function() lunesse.all { chaos, function() lunesse.sleep(any() / 100) chaos() end } end,
  function() keep(signals, lunesse.signal()) end,
  function() local signal = one_of(signals) if signal then signal:set(hostile {}) end end,
  function() local signal = one_of(signals) if signal then signal:clear() end end,
  function() local signal = one_of(signals) if signal then signal:wait(any() / 50) end end,
  function() tasks, signals = {}, {} end,
  function() timers, streams = {}, {} end,
  function() responses = {} end,
  function() collectgarbage() end,
  function() collectgarbage("step", any(100)) end,
  function() hostile {} churn() end,
  function() error(hostile {}) end,
  function() if any(20) == 1 then lunesse.reload() end end,
}

function chaos()
  if depth > 3 or budget <= 0 then return end
  depth = depth + 1
  for _ = 1, any(3) do
    budget = budget - 1
    pcall(one_of(ops))
  end
  depth = depth - 1
  if any(10) == 1 then error(hostile {}) end
end

local function begin(response)
  budget = budget + 40
  if any(2) == 1 then return end -- nothing but its tasks and timers keeps this one
  keep(responses, response)
  response:on("close", chaos)
  response:once("error", chaos)
end

server:get("/stream", function(_, response)
  local _ <close> = hostile {}
  begin(response)
  local sse = response.sse
  if any(2) == 1 then keep(streams, sse) end
  sse:subscribe(room())
  local timer
  timer = keep(timers, lunesse.every(0.01, function()
    local _ <close> = setmetatable({}, { __close = function()
      timer:stop()
      collectgarbage()
      collectgarbage()
      churn()
    end })
    chaos()
    lunesse.sleep(any() / 100)
    chaos()
  end))
  if any(2) == 1 then lunesse.sleep(any() / 5) end -- a stop may wait for it
  chaos()
end)
server:get("/plain", function(_, response)
  local _ <close> = hostile {}
  begin(response)
  chaos()
  lunesse.sleep(any() / 100)
  chaos()
  response:send("plain")
end)
server:on_error(function(raised, _, response)
  chaos()
  response:send(tostring(raised))
end)
]]

---Runs one seed to its end; the end of the test judges how the server ends.
local function run(seed)
  local random = seed
  local function any(most) -- of the clients; the script has its own
    random = (random * 1103515245 + 12345) % 2147483648
    return random // 65536 % most + 1
  end
  local script = ("local SEED = %d\n"):format(seed) .. base.script(SCRIPT)
  local server = Server.start(script, {
    args = { "--log-level", "error", "--limit", "run_timeout=10", "--limit", "tasks=20" },
  })
  local clients = {}
  for _ = 1, STEPS do
    local at = any(8)
    if clients[at] and any(3) == 1 then
      clients[at]:close()
      clients[at] = nil
    end
    if not clients[at] then
      clients[at] = server:connect()
      local path = any(2) == 1 and "/stream" or "/plain"
      clients[at]:send(("GET %s HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream, */*\r\n\r\n")
        :format(path))
    end
    assert(server:request({ target = "/nothing" }).status == 404, "seed " .. seed)
  end
  server:stop()
end

describe("scripts that do anything at every place where they are called", function()
  for seed = FIRST or 1, (FIRST or 1) + SEEDS - 1 do
    it(("do not end the server: seed %d"):format(seed), function()
      run(seed)
    end)
  end
end)
