-- The life of a task in the books: it is made, begins, waits and is woken, is cancelled, ends.
--
-- A task that was cancelled before it began ends without a word, at some time before the world is
-- at rest. Until then it is `pending`, and both answers are right.

local expect = require "spec.sim.tasks.expect"

local life = {}

-- What a wait for a task that was cancelled returns.
life.CANCELLED = "true,nil,the task was cancelled,ECANCELED"

function life.new_state(books, key)
  local worker, generation = key:match("^(%d+)%.(%d+)$")
  local state = {
    key = key, worker = tonumber(worker), generation = tonumber(generation), tasks = {},
    open = {}, signals = {}, count = 0, awaited = 0, pending = {}, pending_count = 0,
    last_place = 0, places = 0,
  }
  state.nobody = { id = "-", state = state } -- a timer of the generation
  books.states[key] = state
  books.order[#books.order + 1] = state
  return state
end

local function next_place(state)
  state.places = state.places + 1
  return state.places
end

---A task that `spawn` made, or `all`, or a request.
function life.add_task(books, state, id, kind)
  expect(not state.tasks[id], "task %s of %s is there twice", id, state.key)
  local task = {
    id = id, state = state, kind = kind, closables = {}, waiters = {}, guards = {},
    born = books.now,
    is_counted = kind ~= "visit", is_awaited = kind ~= "visit" and state.is_loaded,
    place = kind ~= "visit" and next_place(state) or nil,
  }
  state.tasks[id], state.open[id] = task, task
  if task.is_counted then
    state.count = state.count + 1
    state.awaited = state.awaited + (task.is_awaited and 1 or 0)
  end
  return task
end

local function forget(list, item)
  for i, each in ipairs(list) do
    if each == item then
      return table.remove(list, i)
    end
  end
end

---The task no longer waits for anything.
function life.leave_wait(task)
  local doing = task.doing
  if doing and doing.list then
    forget(doing.list, task)
  end
  task.waits_for = nil
end

---Whether the end of a wait has come by the clock. It came before anything ran at this moment.
function life.is_late(books, doing)
  return doing.deadline ~= nil and doing.deadline <= books.now
end

---Wakes a task whose wait is over, unless its time was up before.
local function wake(books, task, value)
  if not life.is_late(books, task.doing) then
    task.doing.value, task.doing.woken, task.place = value, books.now, next_place(task.state)
    task.waits_for, task.doing.list = nil, nil
  end
end

function life.wake_all(books, list, value)
  for _, task in ipairs(list) do
    wake(books, task, value)
  end
end

local function uncount(task)
  local state = task.state
  state.open[task.id] = nil
  if task.is_counted then
    state.count = state.count - 1
    state.awaited = state.awaited - (task.is_awaited and 1 or 0)
  end
end

---One of the functions of an `all` has ended. The first that fails cancels the others, and the last
---one wakes the caller.
local function leave_join(books, join, task)
  join.left = join.left - 1
  join.last = books.now
  if task.failure and not join.failed and not task.cancelled then
    join.failed = task
    for _, other in ipairs(join.children) do
      life.cancel(books, other)
    end
  end
  local doing = join.caller.doing
  if join.left == 0 and not join.caller.cancelled and doing and doing.join == join then
    wake(books, join.caller)
  end
end

---`text` is what a wait for the task returns from now on.
function life.end_task(books, task, text, failure)
  expect(not task.ended, "task %s of %s ends twice", task.id, task.state.key)
  task.ended, task.text, task.failure = books.now, text, failure
  uncount(task)
  life.wake_all(books, task.waiters)
  task.waiters = {}
  if task.join then
    leave_join(books, task.join, task)
  end
end

local function has_pending(join)
  for _, child in ipairs(join.children) do
    if child.is_pending then
      return true
    end
  end
  return false
end

---Whether the place in the queue of a task that is cancelled is known to be the next one.
local function is_surely_parked(books, task)
  local doing = task.doing
  if not doing or not doing.is_parked or doing.woken or life.is_late(books, doing) then
    return false
  end
  return doing.verb == "sleeps" or doing.verb == "awaits" or
    doing.verb == "waits" and not doing.target.is_pending or
    doing.verb == "joins" and doing.join ~= nil and not has_pending(doing.join)
end

---Cancels the task, and before it the functions of an `all` that it waits for. Returns whether that
---was the first time.
function life.cancel(books, task)
  if task.ended or task.cancelled then
    return false
  end
  local state, join = task.state, task.doing and task.doing.join
  for _, child in ipairs(join and join.children or {}) do
    life.cancel(books, child)
  end
  task.cancelled = books.now
  if not task.began then
    task.is_pending = true
    state.pending[#state.pending + 1] = task
    state.pending_count = state.pending_count + 1
  elseif is_surely_parked(books, task) then
    task.place = next_place(state)
  elseif task.doing and not task.doing.woken then
    task.place = nil
  end
  life.leave_wait(task)
  return true
end

local function forget_places(task)
  local join = task.doing and task.doing.join
  task.place = nil
  for _, child in ipairs(join and join.children or {}) do
    forget_places(child)
  end
end

---Cancels the task and the functions of its `all` at once: they are not put into the queue.
function life.cancel_at_once(books, task)
  life.cancel(books, task)
  forget_places(task)
end

---Nothing of the functions of an `all` is left when its caller goes on or ends: their to-be-closed
---variables have run. Those that were cancelled before they began have said nothing.
function life.check_over(books, join)
  for _, child in ipairs(join.children) do
    local is_silent = not child.began and child.cancelled
    expect(child.is_gone or is_silent, "task %s of %s goes on, and its function %s has not ended",
      join.caller.id, child.state.key, child.id)
    if is_silent and not child.ended then
      life.end_pending(books, child)
    end
  end
end

function life.end_pending(books, task)
  forget(task.state.pending, task)
  task.state.pending_count = task.state.pending_count - 1
  task.is_pending, task.is_gone = false, true
  life.end_task(books, task, life.CANCELLED, "cancelled")
end

---All tasks of a generation are cancelled, in no order that counts.
function life.force(books, state)
  if state.is_forced then
    return
  end
  state.is_forced = true
  state.forced_count, state.forced_pending = state.count, state.pending_count
  for _, task in pairs(state.open) do
    task.is_forced = not task.cancelled
  end
  for _, task in pairs(state.open) do
    life.cancel(books, task)
    task.place = nil
  end
end

---The task was cancelled, and its to-be-closed variables run from now on.
local function unwind(books, task)
  local join = task.doing and task.doing.join
  life.leave_wait(task)
  if join and task.cancels_itself then -- before it called `all`, so its functions never begin
    for _, child in ipairs(join.children) do
      life.cancel(books, child)
    end
  elseif join then
    life.check_over(books, join)
  end
  task.doing, task.is_unwinding, task.returns, task.guards = nil, true, nil, {}
  life.end_task(books, task, life.CANCELLED, "cancelled")
  for i = #task.closables, 1, -1 do
    if task.closables[i].is_closing then
      table.remove(task.closables, i)
    end
  end
end

-- What a task may say next ------------------------------------------------------------------------

local ANSWERS = {
  slept = "sleeps", waited = "waits", awaited = "awaits", joined = "joins", read = "reads",
  met = "loops", looped = "loops",
}

---Tasks that others have woken run in the order in which they were woken.
local function take_turn(task)
  local state = task.state
  expect(task.place > state.last_place, "task %s of %s runs after one that was woken later",
    task.id, state.key)
  state.last_place, task.place = task.place, nil
end

---Whether it may go on although it was cancelled: it did so itself, and has not waited since.
local function goes_on(task)
  local doing = task.doing
  return task.cancels_itself and not (doing and doing.is_parked and not doing.may_be_at_once)
end

---A task that was cancelled says something.
local function check_end(books, task, verb)
  local doing = task.doing
  if verb ~= "closing" or not doing then
    if goes_on(task) then
      return
    end
    expect(verb == "closing", "task %s of %s was cancelled and says %q", task.id, task.state.key,
      verb)
  end
  expect(task.cancelled == books.now, "task %s of %s was cancelled at %d ms, and ends at %d ms",
    task.id, task.state.key, task.cancelled, books.now)
  unwind(books, task)
end

function life.check_saying(books, task, verb)
  if task.is_gone then
    expect(false, "task %s of %s says %q after its end", task.id, task.state.key, verb)
  end
  if verb == "closing" and task.doing and not task.cancelled and task.state.is_doomed then
    life.force(books, task.state) -- the first sign of it
  end
  if task.place then
    take_turn(task)
  end
  if task.cancelled and not task.is_unwinding then
    check_end(books, task, verb)
  end
  local doing = task.doing
  if doing and doing.verb == "serves" then
    task.doing = nil
  elseif ANSWERS[verb] ~= (doing and doing.verb) then
    expect(false, "task %s of %s %s, and says %q", task.id, task.state.key,
      doing and doing.verb or "does not wait", verb)
  end
end

---Begins something that may wait. `at_once` is the answer when it does not.
function life.begin(books, task, verb, ms, at_once)
  local doing = {
    verb = verb, since = books.now, at_once = at_once, is_parked = not at_once,
    deadline = ms ~= "-" and books.now + tonumber(ms) or nil,
  }
  task.doing = doing
  return doing
end

---Ends it. Returns what it was.
function life.finish(books, task, answer)
  local doing = task.doing
  task.doing = nil
  if doing.at_once then
    expect(answer == doing.at_once and books.now == doing.since,
      "task %s of %s got %q at %d ms, and not %q at once", task.id, task.state.key, answer,
      books.now, doing.at_once)
  end
  return doing
end

return life
