-- Readers who leave while their request waits for another server, in each phase of that request:
-- after how many milliseconds the other server sees its connection closed.
local clock = require "spec.support.clock"
local phases = require "spec.upstream.phases"
local soak = require "spec.soak.support"
local Server = require "spec.support.server"
local support = require "spec.upstream.support"

local READERS = 100 -- in each phase
local MOST_MS = 50

local function milliseconds_to_close(server, phase)
  local upstream, url = phases.listen(phase)
  local client = phases.begin(server, "/get", url)
  local await_end = phase.bring(upstream)
  local began = clock.wall()
  client:reset()
  await_end()
  local passed = (clock.wall() - began) * 1000
  support.close_all()
  return passed
end

return function(workers, sheet)
  local server = Server.start(support.RELAY, { workers = workers })
  for name, phase in pairs(phases.all) do
    local all, longest = {}, 0
    for i = 1, READERS do
      all[i] = milliseconds_to_close(server, phase)
      longest = math.max(longest, all[i])
    end
    sheet:show(name .. ": ms from leaving to the upstream's close, median", "%.1f",
      soak.median(all))
    sheet:show(name .. ": longest", "%.1f", longest)
    sheet:hold("< " .. MOST_MS, longest < MOST_MS)
  end
  sheet:stop(server)
end
