-- Time in the specs. Nothing here waits for a fixed while: what waits looks for a condition until a
-- deadline, and deadlines are stretched by LUNESSE_SLOW (sanitizers 4, valgrind 20).

local system = require "system"

local clock = { slow = tonumber(os.getenv("LUNESSE_SLOW")) or 1 }

local POLL_SECONDS = 0.001

---Monotonic seconds.
clock.now = system.monotime

---The moment `seconds` from now, stretched.
function clock.deadline(seconds)
  return clock.now() + seconds * clock.slow
end

---A pause between two looks at a condition; never a wait for time.
function clock.pause()
  system.sleep(POLL_SECONDS)
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
