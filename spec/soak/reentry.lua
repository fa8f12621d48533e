-- Scripts that do anything at every place where the engine calls them (spec/script/reentry_spec),
-- with seeds of this moment. What a seed has broken stands in the log with its number, and
-- LUNESSE_SEED replays it.
local Process = require "spec.support.process"

local SEEDS = tonumber(os.getenv("SOAK_SEEDS")) or 200
local SECONDS_EACH = 10

return function(workers, sheet)
  local first = os.time() % 1000000 * 1000 -- each second has its own
  local argv = { "lua5.4", "/usr/bin/busted", "spec/script/reentry_spec.lua" }
  local code, printed = Process.run(argv, {
    env = {
      LUNESSE_SEED = tostring(first),
      LUNESSE_SEEDS = tostring(SEEDS),
      LUNESSE_WORKERS = tostring(workers),
    },
    seconds = SEEDS * SECONDS_EACH,
  })
  local passed, failed = printed:match("\n(%d+) passed, (%d+) failed[^\n]*\n?$")
  sheet:show("seeds", "%d to %d", first, first + SEEDS - 1)
  sheet:show("seeds that nothing was said of", "%d", passed or 0)
  sheet:hold(tostring(SEEDS), tonumber(passed) == SEEDS and failed == "0" and code == 0)
  if code ~= 0 then
    sheet.complaint = printed
  end
end
