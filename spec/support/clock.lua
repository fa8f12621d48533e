-- Time in the specs. Nothing here waits for a fixed while: what waits looks for a condition until a
-- deadline, and deadlines are stretched by LUNESSE_SLOW (sanitizers 4, valgrind 20).
--
-- `clock.now` counts the time that the machine gave: what the specs and the programs under test
-- spent waiting for a processor is left out, as far as the kernel tells it (schedstat). So a
-- machine that is busy with something else is not taken for a program that is slow. A tenth of all
-- time counts in any case, so that every deadline comes.

local lfs = require "lfs"
local system = require "system"

local clock = { slow = tonumber(os.getenv("LUNESSE_SLOW")) or 1 }

local POLL_SECONDS = 0.001
local SHARE_MIN = 0.1

-- By pid of a program under test, and by thread: seconds that it had waited at the last look.
local watched = {}
local given, own_delay, looked_at

---Monotonic seconds of the machine.
clock.wall = system.monotime

---Seconds that a thread has waited for a processor; nil when it is gone, or the kernel is silent.
local function delay_of(path)
  local file = io.open(path .. "/schedstat")
  local delay = file and (file:read("a") or ""):match("^%d+ (%d+)")
  if file then
    file:close()
  end
  return delay and tonumber(delay) / 1e9
end

---The longest that one of a program's threads has waited since the last look.
local function newly_lost_by(pid, threads)
  local folder = ("/proc/%d/task"):format(pid)
  local longest = 0
  if not lfs.attributes(folder, "mode") then
    return 0
  end
  for name in lfs.dir(folder) do
    local delay = name:find("^%d") and delay_of(folder .. "/" .. name)
    if delay then
      longest = math.max(longest, delay - (threads[name] or 0))
      threads[name] = delay
    end
  end
  return longest
end

---What was waited for since the last look, by the specs and by the program that waited longest.
local function newly_lost()
  local delay = delay_of("/proc/self") or own_delay
  local own, others = delay - own_delay, 0
  own_delay = delay
  for pid, threads in pairs(watched) do
    others = math.max(others, newly_lost_by(pid, threads))
  end
  return own + others
end

---The program's waiting counts from now on, until `clock.unwatch`.
function clock.watch(pid)
  watched[pid] = {}
end

function clock.unwatch(pid)
  watched[pid] = nil
end

---Seconds that the machine gave, from an arbitrary beginning.
function clock.now()
  local wall = clock.wall()
  if not given then
    given, own_delay, looked_at = wall, delay_of("/proc/self") or 0, wall
  end
  local passed = wall - looked_at
  if passed >= POLL_SECONDS then
    looked_at = wall
    given = given + math.max(passed - newly_lost(), passed * SHARE_MIN)
  end
  return given
end

---The moment `seconds` from now, stretched.
function clock.deadline(seconds)
  return clock.now() + seconds * clock.slow
end

---Lets time pass for what has a time of its own, between two looks at a condition. True when there
---is something like that; see spec/support/inner_server.lua.
function clock.at_pause()
  return false
end

---A pause between two looks at a condition; never a wait for time.
function clock.pause()
  if not clock.at_pause() or next(watched) then
    system.sleep(POLL_SECONDS)
  end
end

---See `eventually` in spec/helper.lua.
function clock.eventually(fn, seconds)
  local deadline = clock.deadline(seconds or 2)
  while true do
    local answers = table.pack(pcall(fn))
    if answers[1] and answers[2] then
      return table.unpack(answers, 2, answers.n)
    end
    if clock.now() >= deadline then
      if not answers[1] then
        error(answers[2], 0)
      end
      error(("did not become true within %g s"):format((seconds or 2) * clock.slow), 3)
    end
    clock.pause()
  end
end

return clock
