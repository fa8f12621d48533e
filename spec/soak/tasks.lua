-- The promise of tasks (spec/sim/tasks.lua) for a million steps, with seeds of this moment. What is
-- broken is printed with the seed that shows it again.
local kit = require "spec.support.kit"
local Process = require "spec.support.process"

local STEPS = tonumber(os.getenv("SOAK_STEPS")) or 1000000
local STEPS_A_SECOND = 500 -- of the slowest build on a busy machine

return function(_, sheet)
  local seed = os.time()
  local argv = {
    "lua5.4", "spec/sim/tasks.lua", "--seed", tostring(seed), "--steps", tostring(STEPS),
  }
  local code, printed = Process.run(argv, {
    env = assert(kit.environment(), "this compiler has its sanitizer in programs alone"),
    seconds = 60 + STEPS // STEPS_A_SECOND,
  })
  sheet:show("the first seed", "%d", seed)
  sheet:show("steps without a broken promise", "%d", code == 0 and STEPS or 0)
  sheet:hold(tostring(STEPS), code == 0)
  if code ~= 0 then
    sheet.complaint = printed
  end
end
