-- `make soak`: what has to hold while the server runs for long. Prints a table for each scenario,
-- and ends with 1 when a promise was broken.
--
--   SOAK=reload         only this scenario: reload, edit, drain, leave, reentry,
--                       tasks or soak
--   SOAK_WORKERS=2      with so many workers; otherwise with one and with two; reentry with one and
--                       with three, soak with three; tasks does not ask
--   SOAK_SECONDS=600    of the load of `soak`
--   SOAK_SEEDS=200      of `reentry`
--   SOAK_STEPS=1000000  of `tasks`
--   LUNESSE_BUILD, LUNESSE_SLOW    another build, such as one with sanitizers
--
-- A scenario is a function of the number of workers and a sheet, which it fills.
local support = require "spec.soak.support"
local bench = require "spec.bench.bench"
local Process = require "spec.support.process"
local Server = require "spec.support.server"

local SCENARIOS = {
  { name = "reload", workers = { 1, 2 } },
  { name = "edit", workers = { 1, 2 } },
  { name = "drain", workers = { 1, 2 } },
  { name = "leave", workers = { 1 } },
  { name = "reentry", workers = { 1, 3 } },
  { name = "tasks", workers = { 2 } },
  { name = "soak", workers = { 3 } },
}
local ONLY = os.getenv("SOAK")
local WORKERS = math.tointeger(tonumber(os.getenv("SOAK_WORKERS")))

---Plays a scenario and returns how many promises it broke. One that cannot be played breaks one.
local function play(name, workers)
  local sheet = support.sheet(name, workers)
  io.stderr:write(sheet.title, " ...\n")
  local ok, complaint = xpcall(require("spec.soak." .. name), debug.traceback, workers, sheet)
  if not ok then
    sheet.broken_count = sheet.broken_count + 1
    sheet.complaint = complaint
    print(Server.recent_logs())
  end
  Process.kill_all()
  Server.kill_shared()
  sheet:print()
  return sheet.broken_count
end

io.stdout:setvbuf("line")
print(bench.machine() .. "\n")
local played_count, broken_count = 0, 0
for _, scenario in ipairs(SCENARIOS) do
  if not ONLY or ONLY == scenario.name then
    for _, workers in ipairs(WORKERS and { WORKERS } or scenario.workers) do
      played_count = played_count + 1
      broken_count = broken_count + play(scenario.name, workers)
    end
  end
end
assert(played_count > 0, "no scenario is called " .. tostring(ONLY))
print(("%d promises broken"):format(broken_count))
os.exit(broken_count == 0)
