-- What each task must have observed. The books read what the tasks of a world say, in its order,
-- and know from that alone what has to come of every wait: which value, at which moment, and whose
-- turn it is. They are told by the host what it does to the world. A promise that was not kept is
-- raised by `expect`.

local Channels = require "spec.sim.tasks.channels"
local expect = require "spec.sim.tasks.expect"
local life = require "spec.sim.tasks.life"
local verbs = require "spec.sim.tasks.verbs"

local GENERATIONS_MAX = 3

local Books = {}
Books.__index = Books

---@param limit integer  the limit `tasks`
function Books.new(limit)
  return setmetatable({
    limit = limit, now = 0, step = 0, states = {}, order = {}, expected = {},
    channels = Channels.new(),
  }, Books)
end

-- The steps that are counted, rather than what comes of them.
local STEPS = {
  opens = true, guards = true, throws = true, sleeps = true, waits = true, cancelled = true,
  looked = true, spawned = true, set = true, cleared = true, awaits = true, joins = true,
  published = true, finished = true, reads = true, loops = true,
}

---A task of the generation `key` says something.
function Books:said(ms, key, id, verb, rest)
  if ms ~= self.now then
    self:move(ms)
  end
  local state = self.states[key] or life.new_state(self, key)
  if state.joining then
    local is_answer = state.joining.id == id and verb == "joined"
    verbs.begin_join(self, state, is_answer and rest or nil)
  end
  if STEPS[verb] then
    self.step = self.step + 1
  end
  local task = state.tasks[id]
  if id == "-" then
    task = state.nobody
  else
    if verb == "begins" and rest == "visit" then
      task = life.add_task(self, state, id, "visit")
    end
    expect(task, "%s has no task %s, which says %q", key, id, verb)
    life.check_saying(self, task, verb)
  end
  verbs.on[verb](self, task, rest)
  if self.ends then
    self:_look_at_end(state.worker)
  end
end

-- The world at rest -------------------------------------------------------------------------------

---The record must be in the log before the world is at rest.
function Books:expect_log(message, what)
  self.expected[#self.expected + 1] = { message = message, what = what }
end

---The engine logs an error or a warning. Returns whether the books expect it.
function Books:logged(message, text)
  for i, each in ipairs(self.expected) do
    if each.message == message and (text .. "\n"):find(each.what .. "%D") then
      table.remove(self.expected, i)
      return true
    end
  end
  return false
end

local function drop_pending(books, state)
  while #state.pending > 0 do
    life.end_pending(books, state.pending[1])
  end
end

---Why the task should not be where it is when nothing is ready; nil when it may wait on.
local function overdue(books, task)
  local doing = task.doing
  if not task.began then
    return "has not begun"
  elseif task.cancelled then
    return "was cancelled"
  elseif not doing then
    return "neither waits nor has ended"
  elseif doing.woken or life.is_late(books, doing) then
    return "was not woken when it " .. doing.verb
  elseif doing.verb == "waits" and doing.target.ended then
    return "waits for a task that has ended"
  elseif doing.join and doing.join.left == 0 then
    return "waits for functions of `all` that are over"
  elseif doing.place and Channels.has_news(doing.place) then
    return "waits for events that are there"
  elseif doing.verb == "reads" and books.end_ms and doing.since < books.end_ms then
    return "waits for events, and the server ends"
  end
end

---Nothing is ready at this moment.
local function settle(books)
  for _, state in ipairs(books.order) do
    if state.joining then
      verbs.begin_join(books, state)
    end
    if state.pending_count > 0 then
      drop_pending(books, state)
    end
  end
  local lost = books.expected[1]
  expect(not lost, "the log has no %q of %q", lost and lost.message, lost and lost.what)
end

---Time moves only while the world is at rest.
function Books:move(ms)
  settle(self)
  expect(ms >= self.now, "time goes back to %d ms", ms)
  self.now = ms
end

---Nothing is ready. No task is lost, and every one that should have gone on has.
function Books:rest(ms)
  self:move(ms)
  for _, state in ipairs(self.order) do
    for _, task in pairs(state.open) do
      local why = overdue(self, task)
      if why then
        expect(false, "task %s of %s %s", task.id, state.key, why)
      end
    end
  end
end

---How many tasks of the worker the end of the server waits for.
function Books:awaited(worker)
  local count = 0
  for _, state in ipairs(self.order) do
    count = count + (state.worker == worker and state.awaited or 0)
  end
  return count
end

---How many tasks have not ended, those of requests included.
function Books:open_count()
  local count = 0
  for _, state in ipairs(self.order) do
    for _ in pairs(state.open) do
      count = count + 1
    end
  end
  return count
end

---What one of them does that is no servant.
function Books:some_open()
  for _, state in ipairs(self.order) do
    for id, task in pairs(state.open) do
      if task.kind ~= "servant" then
        return ("%s of %s, which %s since %d ms"):format(id, state.key, task.doing.verb,
          task.doing.since)
      end
    end
  end
end

-- What the host does ------------------------------------------------------------------------------

---The scripts are about to be loaded anew. What of a worker is too old is ended, some time in the
---turns of that: events of a channel may still wake its tasks before.
function Books:reload()
  local live = {}
  for i = #self.order, 1, -1 do
    local state = self.order[i]
    local count = live[state.worker] or 1
    if next(state.open) then
      count = count + 1
      state.is_doomed = state.is_doomed or count > GENERATIONS_MAX
    end
    live[state.worker] = count
  end
end

---The log says that a generation was ended with so many tasks.
function Books:ended(generation, count)
  for _, state in ipairs(self.order) do
    local high = state.is_forced and state.forced_count or state.count
    local low = high - (state.is_forced and state.forced_pending or state.pending_count)
    if state.generation == generation and state.is_doomed and not state.was_told and
      count >= low and count <= high then
      life.force(self, state)
      state.was_told = true
      return true
    end
  end
  return false
end

---Every generation that had to be ended was.
function Books:check_ended()
  for _, state in ipairs(self.order) do
    expect(not state.is_doomed or state.was_told, "%s was not ended, and newer code is there",
      state.key)
  end
end

---The reader of a request has left.
function Books:leave(id)
  for _, state in ipairs(self.order) do
    local task = state.open[id]
    if task then
      life.cancel_at_once(self, task)
    end
  end
end

---The server is told to end. A worker has ended as soon as no task is left that it waits for, and
---may spawn others before all workers have.
---@param workers integer
function Books:begin_end(workers)
  self.ends, self.end_ms = {}, self.now
  for worker = 1, workers do
    self.ends[worker] = {}
  end
end

---Notes whether the worker may have ended in the midst of this moment.
function Books:_look_at_end(worker)
  local count = 0
  for _, state in ipairs(self.order) do
    count = count + (state.worker == worker and state.awaited - state.pending_count or 0)
  end
  self.ends[worker].may_be_over = self.ends[worker].may_be_over or count <= 0
end

---The log says that the time of a worker's tasks, `count` of them, is over. Its connections are cut
---next.
function Books:late(count)
  for worker, its_end in ipairs(self.ends) do
    if not its_end.is_over and not its_end.is_late and self:awaited(worker) == count then
      its_end.is_late = true
      self:_cut(worker)
      return true
    end
  end
  return false
end

---The handlers of the worker's requests are cancelled, as when all their readers leave.
function Books:_cut(worker)
  for _, state in ipairs(self.order) do
    for _, task in pairs(state.worker == worker and state.open or {}) do
      if task.kind == "visit" then
        life.cancel_at_once(self, task)
      end
    end
  end
end

---The engine is about to be closed.
function Books:close()
  for _, state in ipairs(self.order) do
    life.force(self, state)
  end
end

return Books
