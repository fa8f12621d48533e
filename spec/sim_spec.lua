-- The promise of channels under everything that can happen to a stream at once: spec/sim plays
-- whole servers, of one worker or several, with their clients from a seed. What fails prints the
-- seed and the step that show it again.

local lfs = require "lfs"
local clock = require "spec.support.clock"
local Process = require "spec.support.process"

local STEPS = math.floor(500000 / clock.slow)
local SECONDS = 60

local binary = (os.getenv("LUNESSE_BUILD") or lfs.currentdir() .. "/build/debug") .. "/sim"

local function simulate(seed)
  local code, out, err, why = Process.run(
    { binary, "--seed", tostring(seed), "--steps", tostring(STEPS) }, { seconds = SECONDS })
  assert(code == 0, ("%s\n%s%s"):format(why, out, err))
end

describe("a reader of channels, whatever happens,", function()
  it("receives each event once and in order, or is told what it missed", function()
    simulate(1)
  end)

  local seed = os.time()
  it(("does so in a world that nobody has seen before (seed %d)"):format(seed), function()
    simulate(seed)
  end)
end)
