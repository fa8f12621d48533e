-- What a task says, and what the books make of it: `on.VERB(books, task, rest)`.

local Channels = require "spec.sim.tasks.channels"
local expect = require "spec.sim.tasks.expect"
local life = require "spec.sim.tasks.life"

local TOO_LATE = "true,nil,the task has not ended in time,ETIMEDOUT"
local DEADLOCK_SELF = "deadlock: this task waits for itself"
local DEADLOCK = "deadlock: the task that this one waits for waits for this one"

local verbs = {}
local on = {}
verbs.on = on

function on.begins(books, task, kind)
  expect(not task.began, "task %s of %s begins twice", task.id, task.state.key)
  expect(not task.cancelled, "task %s of %s begins, and was cancelled", task.id, task.state.key)
  expect(task.born == books.now, "task %s of %s begins %d ms late", task.id, task.state.key,
    books.now - task.born)
  task.began, task.kind = true, kind
end

function on.opens(_, task, number)
  task.closables[#task.closables + 1] = { number = number }
end

function on.closing(_, task, number)
  local top = task.closables[#task.closables]
  expect(top and top.number == number and not top.is_closing,
    "task %s of %s closes its variable %s out of turn", task.id, task.state.key, number)
  top.is_closing = true
end

function on.closed(books, task, number)
  local top = table.remove(task.closables)
  expect(top and top.number == number and top.is_closing,
    "task %s of %s has closed its variable %s twice", task.id, task.state.key, number)
  if #task.closables > 0 then
    return
  end
  task.is_gone = true
  if task.is_unwinding then
    if task.closing_error then
      books:expect_log("a closing variable failed", task.closing_error)
    end
    return
  end
  expect(task.returns, "task %s of %s has ended and did not return", task.id, task.state.key)
  if task.cancelled then
    return life.end_task(books, task, life.CANCELLED, "cancelled")
  end
  local text = { "true", "true" }
  for i = 1, task.returns do
    text[#text + 1] = task.id + i - 1
  end
  task.result = task.returns > 0 and tostring(task.id) or "nil"
  life.end_task(books, task, table.concat(text, ","))
end

function on.returns(_, task, count)
  task.returns = tonumber(count)
end

local function is_watched(books, task)
  for _, waiter in ipairs(task.waiters) do
    if not life.is_late(books, waiter.doing) then
      return true
    end
  end
  return task.join ~= nil and not task.cancelled -- its caller gets the error
end

function on.guards(_, task)
  task.guards[#task.guards + 1] = #task.closables
end

function on.guarded(_, task)
  table.remove(task.guards)
end

---An error that nothing in the task catches ends it. In a variable that closes because the task has
---ended, it ends that variable.
function on.throws(books, task, id)
  local what, height = "boom " .. id, task.guards[#task.guards]
  for i = #task.closables, (height or 0) + 1, -1 do
    if task.closables[i].is_closing then
      table.remove(task.closables, i)
    end
  end
  if height then
    return
  elseif task.is_unwinding then
    task.closing_error = what
    return
  elseif not is_watched(books, task) then
    books:expect_log("script error", what)
  end
  task.is_unwinding, task.returns = true, nil
  life.end_task(books, task, ("true,nil,%s,ERAISED"):format(what), what)
end

function on.sleeps(books, task, ms)
  life.begin(books, task, "sleeps", ms, task.is_unwinding and "raised" or nil)
end

function on.slept(books, task, answer)
  local doing = life.finish(books, task, answer)
  if doing.is_parked then
    expect(answer == "ok" and books.now == doing.deadline,
      "task %s of %s slept until %d ms, and not until %d ms", task.id, task.state.key, books.now,
      doing.deadline)
  end
end

---Whether a task waits for `wanted` without an end, directly or by way of others.
local function waits_on(task, wanted)
  local join = task.doing and task.doing.join
  if task == wanted or task.waits_for and waits_on(task.waits_for, wanted) then
    return true
  end
  for _, child in ipairs(join and not task.cancelled and join.children or {}) do
    if waits_on(child, wanted) then
      return true
    end
  end
  return false
end

---What `wait` raises because it would never end; nil when it may.
local function deadlock(task, target, ms)
  if not task.is_counted then
    return nil
  elseif target == task then
    return DEADLOCK_SELF
  end
  return ms == "-" and waits_on(target, task) and DEADLOCK or nil
end

local function find(task, id)
  local found = task.state.tasks[id]
  return expect(found, "task %s of %s knows a task %s that is none", task.id, task.state.key, id)
end

function on.waits(books, task, rest)
  local id, ms = rest:match("^(%S+) (%S+)$")
  local target = find(task, id)
  local at_once
  if target.ended then
    at_once = target.text
  elseif ms == "0" then
    at_once = TOO_LATE
  elseif task.is_unwinding then
    at_once = "raised"
  else
    at_once = deadlock(task, target, ms)
  end
  local doing = life.begin(books, task, "waits", ms, at_once)
  doing.target, doing.may_be_at_once = target, target.is_pending
  if not at_once then
    doing.list = target.waiters
    target.waiters[#target.waiters + 1] = task
    task.waits_for = ms == "-" and task.is_counted and target or nil
  end
end

local function wait_answer(text)
  local raised = text:match("^false,(.*)$")
  if raised then
    return raised:match("deadlock: .*$") or raised:find("can only wait", 1, true) and "raised" or
      raised
  end
  return text
end

function on.waited(books, task, rest)
  local text = wait_answer(rest:match("^%S+ (.*)$"))
  local target = task.doing.target
  life.leave_wait(task)
  if target.is_pending and text == life.CANCELLED then
    task.doing = nil
    return
  end
  local doing = life.finish(books, task, text)
  if doing.at_once then
    return
  end
  local is_right = text == TOO_LATE and not target.ended and books.now == doing.deadline
  if target.ended then
    is_right = text == target.text and target.is_gone and
      (target.ended == books.now or doing.deadline == books.now)
  end
  expect(is_right, "task %s of %s waited for task %s from %d ms until %s ms, and got %q at %d ms",
    task.id, task.state.key, target.id, doing.since, doing.deadline or "any", text, books.now)
end

function on.cancelled(books, task, rest)
  local id, was_active = rest:match("^(%S+) (%S+)$")
  local target = find(task, id)
  local was_cancelled = task.cancelled
  local is_first = life.cancel(books, target)
  if target.is_forced and not target.ended then -- the engine has not come to it
    is_first, target.is_forced = true, false
  end
  task.cancels_itself = task.cancels_itself or task.cancelled and not was_cancelled
  expect(target.is_pending and target.state.is_forced or was_active == tostring(is_first),
    "cancelling task %s of %s answers %s", id, task.state.key, was_active)
end

function on.looked(_, task, rest)
  local id, is_active = rest:match("^(%S+) (%S+)$")
  local target = find(task, id)
  expect(target.is_pending or is_active == tostring(not target.ended),
    "task %s of %s is active: %s", id, task.state.key, is_active)
end

function on.spawned(books, task, rest)
  local state, id, code = task.state, rest:match("^(%S+) (%S+)$")
  local sure = state.count - state.pending_count
  if code ~= "ok" then
    expect(code == "E2BIG" and state.count >= books.limit,
      "%s cannot spawn: %s, with %d tasks of %d", state.key, code, state.count, books.limit)
    return
  end
  expect(sure < books.limit, "%s spawns with %d tasks of %d", state.key, sure, books.limit)
  local made = life.add_task(books, state, id, "task")
  if state.is_forced then
    life.cancel(books, made)
  end
end

local function signal_of(state, number)
  local signal = state.signals[number] or { waiters = {}, is_set = false }
  state.signals[number] = signal
  return signal
end

function on.set(books, task, rest)
  local number, value = rest:match("^(%S+) (%S+)$")
  local signal = signal_of(task.state, number)
  local waiters = signal.waiters
  signal.is_set, signal.value, signal.waiters = true, value, {}
  life.wake_all(books, waiters, value)
end

function on.cleared(_, task, rest)
  local number, was_set = rest:match("^(%S+) (%S+)$")
  local signal = signal_of(task.state, number)
  expect(was_set == tostring(signal.is_set), "clearing the signal %s of %s answers %s", number,
    task.state.key, was_set)
  signal.is_set, signal.value = false, nil
end

function on.awaits(books, task, rest)
  local number, ms = rest:match("^(%S+) (%S+)$")
  local signal = signal_of(task.state, number)
  local at_once = signal.is_set and signal.value or ms == "0" and "ETIMEDOUT" or
    task.is_unwinding and "raised" or nil
  local doing = life.begin(books, task, "awaits", ms, at_once)
  if not at_once then
    doing.list = signal.waiters
    signal.waiters[#signal.waiters + 1] = task
  end
end

function on.awaited(books, task, rest)
  local answer = rest:match("^%S+ (.*)$")
  life.leave_wait(task)
  local doing = life.finish(books, task, answer)
  if doing.is_parked then
    local right, moment = doing.value or "ETIMEDOUT", doing.woken or doing.deadline
    expect(answer == right and books.now == moment,
      "task %s of %s awaited a signal and got %q at %d ms, and not %q at %s ms", task.id,
      task.state.key, answer, books.now, right, moment or "any")
  end
end

---The functions of `all` are counted when the next thing is said: only then it is known whether the
---limit was in the way.
function on.joins(books, task, rest)
  local doing = life.begin(books, task, "joins", "-")
  doing.ids, doing.may_be_at_once = {}, true
  for id in rest:gmatch("[^,]+") do
    doing.ids[#doing.ids + 1] = id
  end
  task.state.joining = task
end

---The functions of an `all` are tasks from now on.
function verbs.begin_join(books, state, answer)
  local task = state.joining
  local doing, count = task.doing, #task.doing.ids
  state.joining = nil
  if answer and answer:find("can only wait", 1, true) and task.is_unwinding then
    doing.at_once = answer
    return
  end
  local sure = state.count - state.pending_count
  if answer and answer:find("as many tasks as the limit", 1, true) then
    expect(state.count + count > books.limit, "%s cannot spawn %d tasks with %d of %d", state.key,
      count, state.count, books.limit)
    doing.at_once = answer
    return
  end
  expect(sure + count <= books.limit, "%s spawns %d tasks with %d of %d", state.key, count, sure,
    books.limit)
  local join = { caller = task, children = {}, left = count }
  for i, id in ipairs(doing.ids) do
    local child = life.add_task(books, state, id, "child")
    child.join, join.children[i] = join, child
  end
  doing.join, doing.may_be_at_once = join, false
end

function on.joined(books, task, answer)
  local doing = life.finish(books, task, answer)
  local join = doing.join
  if not join then
    return
  end
  life.check_over(books, join)
  local right, moment = { "true" }, join.last
  if join.failed then
    right = { "false", join.failed.failure }
  else
    for i, child in ipairs(join.children) do
      right[i + 1] = child.result
    end
  end
  local text = table.concat(right, ",")
  expect(answer == text and books.now == moment,
    "all of task %s of %s returns %q at %d ms, and not %q at %d ms", task.id, task.state.key,
    answer, books.now, text, moment)
end

function on.serves(books, task)
  life.begin(books, task, "serves", "-").may_be_at_once = true
end

function on.loaded(_, task)
  task.state.is_loaded = true
end

function on.published(books, _, rest)
  books.channels:publish(books.now, rest:match("^(%S+) (%S+) (%S+)$"))
end

function on.finished(books, _, name)
  books.channels:finish(books.now, name)
end

function on.reads(books, task, rest)
  local name, after, ms, max = rest:match("^(%S+) (%S+) (%S+) (%S+)$")
  local doing = life.begin(books, task, "reads", ms)
  doing.may_be_at_once = true
  doing.place = books.channels:place(books.now, name, after, tonumber(max))
  doing.cannot_wait = task.is_unwinding and ms ~= "0"
end

function on.read(books, task, rest)
  local doing = life.finish(books, task, rest)
  if not doing.cannot_wait then
    Channels.read(books.now, books.end_ms, doing, rest:match("^%S+ (%S+) (%S+) ?(.*)$"))
  end
end

function on.loops(books, task, rest)
  local doing = life.begin(books, task, "loops", "-")
  doing.may_be_at_once = true
  doing.place = books.channels:place(books.now, rest:match("^(%S+) (%S+)$"))
end

function on.met(books, task, rest)
  Channels.meet(books.now, task.doing.place, rest:match("^%S+ (.*)$"))
end

function on.looped(books, task, rest)
  local doing, how = life.finish(books, task, rest), rest:match("^%S+ (.*)$")
  expect(how ~= "raised" or task.is_unwinding, "the loop of task %s of %s raises", task.id,
    task.state.key)
  if how == "over" then
    Channels.check_over(doing.place)
  end
end

return verbs
