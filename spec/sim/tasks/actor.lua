-- The script of a world of tasks. Each task acts by chance, and says in the log what it is about to
-- do and what came of it: "WORKER.GENERATION TASK VERB ...". The books of the simulator judge that;
-- nothing is judged here. What is done at once is said when it is done. What may wait is said
-- before and after.

local lunesse = require "lunesse"
local world = require "lib.world"

local KEY = ("%d.%d"):format(lunesse.worker, world.generation)
local SIGNALS, CHANNELS, HANDLES = 4, 2, 24
local ACTS_MAX = 7 -- of a task
local ROOT_SECONDS = 0.02 -- between two tasks that nobody's act has spawned
local NUDGE_SECONDS = 0.15 -- between two signals that nobody's act has set

local random, info, concat = math.random, lunesse.log.info, table.concat
math.randomseed(world.seed, lunesse.worker)

local signals, channels = {}, {}
local handles = {} -- the newest tasks
local handle_count, last_id = 0, 0
local alive = setmetatable({}, { __mode = "k" }) -- handles and coroutines that Lua still knows
local is_quiet = false
local act, spawn

local function say(...)
  info(concat({ KEY, ... }, " "))
end

local function new_id()
  last_id = last_id + 1
  return last_id
end

---A number of milliseconds; now and then none.
local function some_ms()
  return random(10) == 1 and 0 or random(60)
end

---How long a wait may take: milliseconds, and what to call it with. Sometimes it has no end.
local function some_end()
  if random(4) == 1 then
    return "-", nil
  end
  local ms = some_ms()
  return ms, ms / 1000
end

-- What a task is ----------------------------------------------------------------------------------

local Closable = {}

-- It may do anything that a task may, and that includes to wait, where it can. The outermost one of
-- a task only says that it ran: that is the last which the books hear of the task.
function Closable:__close()
  local me = self.me
  say(me.id, "closing", self.number)
  if self.number > 0 and not is_quiet then
    if random(3) == 1 then
      act(me)
    end
    if random(12) == 1 and not me.is_inside then
      local id = new_id()
      say(me.id, "throws", id)
      error("boom " .. id, 0)
    end
  end
  say(me.id, "closed", self.number)
end

local function closable(me)
  me.closables = me.closables + 1
  say(me.id, "opens", me.closables - 1)
  return setmetatable({ me = me, number = me.closables - 1 }, Closable)
end

---Up to `count` values that tell the task that returns them.
local function results(id, count)
  if count == 0 then
    return
  end
  return id, results(id + 1, count - 1)
end

local function live(id, kind)
  local me = { id = id, closables = 0, acts = random(ACTS_MAX) }
  alive[coroutine.running()] = true
  say(id, "begins", kind)
  local _ <close> = closable(me)
  while me.acts > 0 and not is_quiet do
    act(me)
  end
  if random(8) == 1 then
    local thrown = new_id()
    say(id, "throws", thrown)
    error("boom " .. thrown, 0)
  end
  local count = kind == "visit" and 0 or random(0, 3)
  say(id, "returns", count)
  return results(id, count)
end

function spawn(by)
  local id = new_id()
  local task, _, code = lunesse.spawn(live, id, "task")
  say(by, "spawned", id, code or "ok")
  if task then
    handle_count = handle_count + 1
    alive[task] = true
    handles[handle_count % HANDLES + 1] = { task = task, id = id }
  end
end

---A task that was spawned a short while ago, ended or not.
local function some_handle()
  return handles[random(HANDLES)]
end

-- What a task does --------------------------------------------------------------------------------

local acts = {}

function acts.sleep(me)
  local ms = some_ms()
  say(me.id, "sleeps", ms)
  local ok = pcall(lunesse.sleep, ms / 1000)
  say(me.id, "slept", ok and "ok" or "raised")
end

function acts.spawn(me)
  for _ = 1, random(3) do
    spawn(me.id)
  end
end

function acts.wait(me)
  local handle, ms, seconds = some_handle(), some_end()
  if not handle then
    return
  end
  say(me.id, "waits", handle.id, ms)
  local got = table.pack(pcall(handle.task.wait, handle.task, seconds))
  for i = 1, got.n do
    got[i] = tostring(got[i])
  end
  say(me.id, "waited", handle.id, concat(got, ",", 1, got.n))
end

function acts.cancel(me)
  local handle = some_handle()
  if handle then
    say(me.id, "cancelled", handle.id, tostring(handle.task:cancel()))
  end
end

function acts.look(me)
  local handle = some_handle()
  if handle then
    say(me.id, "looked", handle.id, tostring(handle.task.active))
  end
end

function acts.set(me)
  local number, value = random(SIGNALS), new_id()
  signals[number]:set(value)
  say(me.id, "set", number, value)
end

function acts.clear(me)
  local number = random(SIGNALS)
  say(me.id, "cleared", number, tostring(signals[number]:clear()))
end

function acts.await(me)
  local number, ms, seconds = random(SIGNALS), some_end()
  say(me.id, "awaits", number, ms)
  local ok, value, _, code = pcall(signals[number].wait, signals[number], seconds)
  say(me.id, "awaited", number, ok and tostring(code or value) or "raised")
end

function acts.all(me)
  local ids, functions = {}, {}
  for i = 1, random(4) do
    local id = new_id()
    ids[i] = id
    functions[i] = function() return live(id, "child") end
  end
  say(me.id, "joins", concat(ids, ","))
  local got = table.pack(pcall(lunesse.all, functions))
  for i = 1, got.n do
    got[i] = tostring(got[i])
  end
  say(me.id, "joined", concat(got, ",", 1, got.n))
end

function acts.block(me)
  local _ <close> = closable(me)
  for _ = 1, random(3) do
    act(me)
  end
end

---In a coroutine of the script, whose to-be-closed variables run before those around it.
function acts.inside(me)
  local was_inside = me.is_inside
  me.is_inside = true
  coroutine.wrap(function()
    alive[coroutine.running()] = true
    acts.block(me)
  end)()
  me.is_inside = was_inside
end

---An error that the task catches.
function acts.guard(me)
  if me.is_inside then
    return
  end
  say(me.id, "guards")
  pcall(function()
    acts.block(me)
    error("caught", 0)
  end)
  say(me.id, "guarded")
end

local function open_channel(number, era)
  local name = ("%d.%d"):format(number, era)
  channels[number] = {
    name = name, number = number, era = era,
    channel = lunesse.channel(name, { ttl = false, history = 100000, bytes = 4 << 20 }),
  }
end

---Nothing follows in a channel that was finished, so the next one takes its place.
local function leave_channel(one)
  if channels[one.number] == one then
    open_channel(one.number, one.era + 1)
  end
end

function acts.publish(me)
  local one, value = channels[random(CHANNELS)], new_id()
  local id, _, code = one.channel:publish(KEY .. "/" .. value)
  say(me.id, "published", one.name, KEY .. "/" .. value, id or code)
  if code then
    leave_channel(one)
  end
end

function acts.finish(me)
  local one = channels[random(CHANNELS)]
  one.channel:finish()
  say(me.id, "finished", one.name)
  leave_channel(one)
end

function acts.read(me)
  local one, ms, max = channels[random(CHANNELS)], some_ms(), random(5)
  local after = one.cursor
  say(me.id, "reads", one.name, after or "-", ms, max)
  local ok, events, cursor, is_over = pcall(one.channel.read, one.channel, {
    after = after, since = "earliest", wait = ms / 1000, max = max,
  })
  local data = {}
  for i, event in ipairs(ok and events or {}) do
    data[i] = event.data
  end
  say(me.id, "read", one.name, ok and cursor or "raised", tostring(is_over), concat(data, ","))
  if ok then
    one.cursor = cursor
  end
  if is_over then
    leave_channel(one)
  end
end

---A loop over the events that come from now on.
function acts.loop(me)
  local one, left = channels[random(CHANNELS)], random(4)
  say(me.id, "loops", one.name, one.channel:cursor())
  local ok, why = pcall(function()
    for event in one.channel:events() do
      say(me.id, "met", one.name, event.data)
      left = left - 1
      if left == 0 then
        return "left"
      end
    end
    leave_channel(one)
    return "over"
  end)
  say(me.id, "looped", one.name, ok and why or "raised")
end

local CHANCES = {
  sleep = 12, spawn = 8, wait = 14, cancel = 7, look = 2, set = 8, clear = 5, await = 12, all = 5,
  block = 6, inside = 4, guard = 3, publish = 6, read = 5, loop = 3, finish = 1,
}
local lots = {}

do
  local names = {}
  for name in pairs(CHANCES) do
    names[#names + 1] = name
  end
  table.sort(names) -- the order of `pairs` is not the seed's
  for _, name in ipairs(names) do
    for _ = 1, CHANCES[name] do
      lots[#lots + 1] = acts[name]
    end
  end
end

function act(me)
  if me.acts > 0 and not is_quiet then
    me.acts = me.acts - 1
    lots[random(#lots)](me)
  end
end

-- What the world does -----------------------------------------------------------------------------

---Ends all that waits, or lets it begin anew. A generation that was replaced ends altogether.
local function obey(order)
  is_quiet = order ~= "play"
  for number, signal in ipairs(signals) do
    if is_quiet then
      signal:set(0)
      say("-", "set", number, 0)
    else
      say("-", "cleared", number, tostring(signal:clear()))
    end
  end
  for _, one in ipairs(is_quiet and channels or {}) do
    one.channel:finish()
    say("-", "finished", one.name)
    leave_channel(one)
  end
end

---Waits for orders as long as its generation is the newest.
local function serve(id)
  alive[coroutine.running()] = true
  say(id, "begins", "servant")
  local _ <close> = closable { id = id, closables = 0 }
  say(id, "serves")
  for event in lunesse.channel("orders"):events { since = "earliest" } do
    local order, newest = event.data:match("^(%a+) (%d+)$")
    if tonumber(newest) >= world.generation then
      obey(order)
    end
    if order == "quiet" and tonumber(newest) > world.generation then
      break
    end
  end
  say(id, "returns", 0)
end

for number = 1, SIGNALS do
  signals[number] = lunesse.signal()
end
for number = 1, CHANNELS do
  open_channel(number, 1)
end

lunesse.every(ROOT_SECONDS, function()
  if not is_quiet then
    spawn "-"
  end
end, { each_worker = true })

lunesse.every(NUDGE_SECONDS, function()
  if not is_quiet then
    acts.set { id = "-" }
  end
end, { each_worker = true })

do
  local id = new_id()
  local task <const>, _, code = lunesse.spawn(serve, id)
  alive[task] = true
  say("-", "spawned", id, code or "ok")
  spawn "-"
  say("-", "loaded")
end

local server = lunesse.server()

server:get("/visit/:id", function(request, response)
  live(request.params.id, "visit")
  response:send "seen"
end)

server:get("/order/:order", function(request, response)
  lunesse.channel("orders"):publish(request.params.order .. " " .. world.generation)
  response:send "told"
end)

-- What is left once every task has ended: handles and coroutines that something of the engine's
-- holds, and the memory of the scripts.
server:get("/left", function(_, response)
  handles = {}
  alive[coroutine.running()] = nil
  collectgarbage()
  collectgarbage()
  local counts = { userdata = 0, thread = 0 }
  for one in pairs(alive) do
    counts[type(one)] = counts[type(one)] + 1
  end
  response:send(("%d %d %d"):format(counts.userdata, counts.thread,
    collectgarbage("count") * 1024 // 1))
end)
