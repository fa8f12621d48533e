-- Tests the promise of tasks with random steps: the script floor in the whole engine of the test
-- kit, in a time that only this program moves. Tasks of one to two workers spawn, wait, cancel, set
-- signals, join others, read channels, fail, and do so in their to-be-closed variables as well
-- (tasks/actor.lua). Requests come and their readers leave, the scripts are loaded anew, and the
-- end comes at any moment. What each task has observed is compared with books (tasks/books.lua).
--
--     lua5.4 spec/sim/tasks.lua --seed N --steps M [--verbose]
--
-- It runs in the root of the project, against the build in LUNESSE_BUILD (build/debug). A step is
-- what a task or the host begins to do. The steps are divided among worlds of about WORLD_STEPS
-- each, the first with seed N, the next with N+1, and so on. Whatever fails prints what was said
-- last, the seed of its world and the step, and what to run to see it again.

package.path = "./?.lua;" .. package.path

local Books = require "spec.sim.tasks.books"
local expect = require "spec.sim.tasks.expect"

local WORLD_STEPS, DEFAULT_STEPS = 2000, 20000
local START = 1893456000 -- of the clock of an app
local DRAIN_MS, QUIET_MS = 400, 1000
local THREADS_MAX = 64 + 8 -- the scheduler keeps 64 coroutines for other tasks
local SPARE_BYTES = 128 * 1024 -- stacks of those, and what else may have grown
local ANSWER = "\r\n\r\n(.*)$"

local World = {}
World.__index = World

local function read_actor()
  local file <close> = assert(io.open("spec/sim/tasks/actor.lua"))
  return file:read("a")
end

local ACTOR = read_actor()

---The scripts of the next generation.
function World:_files()
  self.generation = self.generation + 1
  return {
    ["actor.lua"] = ACTOR,
    ["lib/world.lua"] = ("return { seed = %d, generation = %d }"):format(math.random(1 << 40),
      self.generation),
  }
end

function World.new(core, seed, is_verbose)
  math.randomseed(seed)
  local limit = math.random(8, 60)
  local self = setmetatable({
    workers = math.random(2), generation = 0, visits = {}, visit_count = 0,
    books = Books.new(limit), is_verbose = is_verbose, bytes = {},
    last_lines = {}, last_ms = {}, line_count = 0,
  }, World)
  self.app = assert(core.load {
    files = self:_files(), workers = self.workers,
    arguments = {
      "--limit", "tasks=" .. limit, "--limit", "drain_timeout=" .. DRAIN_MS / 1000,
    },
  })
  return self
end

local function to_ms(time)
  return math.floor((time - START) * 1000 + 0.5)
end

-- What the world says -----------------------------------------------------------------------------

local KEPT_LINES = 40

function World:_keep_line(ms, line)
  if self.is_verbose then
    print(("%6d  %6d ms  %s"):format(self.books.step, ms, line))
  end
  self.line_count = self.line_count + 1
  local place = self.line_count % KEPT_LINES
  self.last_lines[place], self.last_ms[place] = line, ms
end

local TOLD = { ["a limit is met"] = true, stopping = true }

function World:_judge_other(record)
  local fields = record.fields
  if record.level == "info" or TOLD[record.message] then
    return
  elseif record.message:find("^generation ended by force") then
    expect(self.books:ended(tonumber(fields.generation), tonumber(fields.tasks)),
      "generation %s was ended with %s tasks", fields.generation, fields.tasks)
  elseif record.message == "drain_timeout is over" then
    self.is_drained = true
    expect(self.books:late(tonumber(fields.tasks)), "the end does not wait for %s tasks any more",
      fields.tasks)
  else
    expect(self.books:logged(record.message, tostring(fields.error)), "the log says %q: %s",
      record.message, fields.error)
  end
end

function World:_judge(records)
  local books = self.books
  for _, record in ipairs(records) do
    local ms, message = to_ms(record.time), record.message
    self:_keep_line(ms, message)
    local key, id, verb, rest = message:match("^(%d+%.%d+) (%S+) (%a+) ?(.*)$")
    if key then
      books:said(ms, key, id, verb, rest)
    else
      if ms ~= books.now then
        books:move(ms)
      end
      self:_judge_other(record)
    end
  end
end

---What the engine says about its workers: how many tasks it waits for, and whether it waits at all.
function World:_left()
  local counts, is_busy = {}, {}
  for _, text in ipairs(self.app:left()) do
    local worker, what = text:match("^worker (%d+): (.*)")
    worker = tonumber(worker)
    local is_task = what:find("^a task that goes on") ~= nil
    counts[worker] = (counts[worker] or 0) + (is_task and 1 or 0)
    is_busy[worker] = is_busy[worker] or not what:find("^a timer ")
  end
  return counts, is_busy
end

---Nothing is ready now.
function World:_rest()
  self:_judge(self.app:log())
  self.books:rest(to_ms(self.app:now()))
  local counts, is_busy = self:_left()
  for worker = 1, self.workers do
    local count, its_end = self.books:awaited(worker), self.books.ends and self.books.ends[worker]
    expect(count == (counts[worker] or 0), "worker %d has %d tasks by its books, and %d by its own",
      worker, count, counts[worker] or 0)
    if its_end and not is_busy[worker] then
      its_end.is_over = true
    end
  end
end

-- What is done to the world -----------------------------------------------------------------------

function World:_advance(ms)
  self.app:advance(ms / 1000)
  self:_rest()
end

local REQUEST = "GET %s HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n"

function World:_ask(worker, path)
  local conn = assert(self.app:connect { worker = worker })
  conn:send(REQUEST:format(path))
  self.app:turn()
  self:_rest()
  return conn
end

function World:_get(worker, path)
  local conn = self:_ask(worker, path)
  local body = conn:take():match(ANSWER)
  conn:leave()
  self.app:turn()
  self:_rest()
  return body
end

function World:_visit()
  self.visit_count = self.visit_count + 1
  local id = "v" .. self.visit_count
  self:_keep_line(self.books.now, "visit " .. id)
  local conn = self:_ask(math.random(self.workers), "/visit/" .. id)
  self.visits[#self.visits + 1] = { id = id, conn = conn }
end

function World:_leave()
  local visit = table.remove(self.visits, math.random(#self.visits))
  self:_keep_line(self.books.now, "leave " .. visit.id)
  self.books:leave(visit.id)
  visit.conn:leave()
  self.app:turn()
  self:_rest()
end

function World:_reload()
  self:_keep_line(self.books.now, "reload")
  self.books:reload()
  local ok, why = self.app:reload { files = self:_files() }
  expect(ok, "the scripts cannot be loaded anew: %s", why)
  self:_rest()
  self.books:check_ended()
end

function World:_act()
  self.books.step = self.books.step + 1
  local lot = math.random(100)
  if lot <= 4 then
    self:_reload()
  elseif lot <= 15 and #self.visits < 3 then
    self:_visit()
  elseif lot <= 28 and #self.visits > 0 then
    self:_leave()
  else
    self:_advance(math.random(30))
  end
end

---Tells the tasks to come to their ends, and looks what they have left behind. The newest
---generation is told to go on afterwards.
function World:_quieten()
  self:_keep_line(self.books.now, "quiet")
  self:_get(1, "/order/quiet")
  self:_advance(QUIET_MS)
  local count = self.books:open_count()
  expect(count == self.workers, "%d tasks have not ended, and all were told to, such as %s",
    count - self.workers, self.books:some_open())
  for worker = 1, self.workers do
    local left = self:_get(worker, "/left")
    local handles, threads, bytes = left:match("^(%d+) (%d+) (%d+)$")
    expect(handles == "1", "%s handles are held in worker %d, and one task is there", handles,
      worker)
    expect(tonumber(threads) <= THREADS_MAX, "%s coroutines are held in worker %d", threads,
      worker)
    local before = self.bytes[worker]
    if before and before.generation == self.generation then
      expect(tonumber(bytes) < before.bytes + SPARE_BYTES,
        "the scripts of worker %d hold %s bytes, and held %d when as little was going on", worker,
        bytes, before.bytes)
    end
    self.bytes[worker] = { generation = self.generation, bytes = tonumber(bytes) }
  end
  self:_get(1, "/order/play")
end

---Whether no worker waits for anything any more.
function World:_is_over()
  for _, its_end in ipairs(self.books.ends) do
    if not its_end.is_over then
      return false
    end
  end
  return true
end

---The server is told to end, and waits for tasks as long as it may.
function World:_end()
  local last_ms = self.books.now + DRAIN_MS
  self:_keep_line(self.books.now, "SIGTERM")
  self.books:begin_end(self.workers)
  self.app:signal("TERM")
  self:_rest()
  while not self:_is_over() and self.books.now < last_ms do
    local next_ms = math.floor((self.app:next() or 0) * 1000 + 0.5)
    self:_advance(math.min(math.max(next_ms, 1), last_ms - self.books.now))
    expect(not self.is_drained or self.books.now == last_ms, "drain_timeout is over %d ms early",
      last_ms - self.books.now)
  end
  for worker, its_end in ipairs(self.books.ends) do
    expect(its_end.is_over or its_end.may_be_over or its_end.is_late,
      "worker %d waits for longer than drain_timeout", worker)
  end
end

---Closes the engine, which cancels whatever is still there. Readers leave before: what their
---handlers do then has its turns, and what the end cancels has none.
function World:_close()
  self:_rest()
  while #self.visits > 0 do
    self:_leave()
  end
  self.books:close()
  local ok, why, records = self.app:stop()
  self:_judge(records)
  expect(ok, "%s", why)
  self.books:rest(self.books.now)
  expect(self.books:open_count() == 0, "%d tasks outlive their server", self.books:open_count())
end

local function play(core, seed, count, is_verbose)
  local world = World.new(core, seed, is_verbose)
  local quiet_step = math.random(WORLD_STEPS)
  local ok, why = xpcall(function()
    world:_rest()
    while world.books.step < count do
      if world.books.step >= quiet_step then
        quiet_step = quiet_step + math.random(WORLD_STEPS)
        world:_quieten()
      end
      world:_act()
    end
    if math.random(2) == 1 then
      world:_end()
    end
    world:_close()
  end, function(message)
    return type(message) == "table" and message.promise or debug.traceback(message)
  end)
  return ok, why, world
end

-- The command line --------------------------------------------------------------------------------

local function explain()
  io.stderr:write("usage: lua5.4 spec/sim/tasks.lua [--seed N] [--steps M] [--verbose]\n")
  os.exit(2)
end

local function read_arguments(words)
  local options = { seed = 1, steps = DEFAULT_STEPS }
  local i = 1
  while words[i] do
    local name = words[i]:match("^%-%-(%a+)$")
    if name == "verbose" then
      options.verbose = true
    elseif name == "seed" or name == "steps" then
      i = i + 1
      options[name] = math.tointeger(tonumber(words[i])) or explain()
    else
      explain()
    end
    i = i + 1
  end
  return options
end

local function open_core()
  local build = os.getenv("LUNESSE_BUILD") or "build/debug"
  local module = build .. "/lunesse-lua/lunesse/test.so"
  return assert(package.loadlib(module, "luaopen_lunesse_test_core"))()
end

---Prints the promise that was broken, what was said before it, and how to see it again.
local function complain(world, seed, count, why)
  for i = math.max(1, world.line_count - KEPT_LINES + 1), world.line_count do
    local place = i % KEPT_LINES
    print(("%6d ms  %s"):format(world.last_ms[place], world.last_lines[place]))
  end
  print("BROKEN: " .. why)
  print(("seed %d, step %d; to see it again: lua5.4 spec/sim/tasks.lua --seed %d --steps %d " ..
    "--verbose"):format(seed, world.books.step, seed, count))
end

local function main(words)
  local options = read_arguments(words)
  local core = open_core()
  local left, seed = options.steps, options.seed
  while left > 0 do
    local count = math.min(left, WORLD_STEPS)
    local ok, why, world = play(core, seed, count, options.verbose)
    if not ok then
      complain(world, seed, count, why)
      os.exit(1)
    end
    left, seed = left - math.max(count, world.books.step), seed + 1
  end
  print(("seed %d: %d steps of tasks in %d worlds"):format(options.seed, options.steps - left,
    seed - options.seed))
end

main(arg)
