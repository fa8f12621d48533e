-- The promises of channels and of tasks under everything that can happen to them at once: spec/sim
-- plays whole servers, of one worker or several, with their clients from a seed. What fails prints
-- the seed and the step that show it again.

local lfs = require "lfs"
local clock = require "spec.support.clock"
local kit = require "spec.support.kit"
local Process = require "spec.support.process"

local STEPS = math.floor(500000 / clock.slow)
local TASK_STEPS = math.floor(50000 / clock.slow)
local SECONDS = 60

local binary = (os.getenv("LUNESSE_BUILD") or lfs.currentdir() .. "/build/debug") .. "/sim"

local function run(argv, env)
  local code, out, err, why = Process.run(argv, { env = env, seconds = SECONDS })
  assert(code == 0, ("%s\n%s%s"):format(why, out, err))
end

local function simulate(seed)
  run { binary, "--seed", tostring(seed), "--steps", tostring(STEPS) }
end

local function simulate_tasks(seed)
  local env = kit.environment()
  if not env then
    return pending("this compiler has its sanitizer in programs alone")
  end
  run({ "lua5.4", "spec/sim/tasks.lua", "--seed", tostring(seed), "--steps", tostring(TASK_STEPS) },
    env)
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

describe("a task, whatever happens,", function()
  it("observes what it should, at its moment and in its turn, and is never lost", function()
    simulate_tasks(1)
  end)

  local seed = os.time()
  it(("does so in a world that nobody has seen before (seed %d)"):format(seed), function()
    simulate_tasks(seed)
  end)
end)
