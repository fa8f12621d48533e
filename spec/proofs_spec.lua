-- The rooms for what comes are ready: spec/proofs uses the engine as later parts of the product
-- will, without changing it. Listed and run as the unit tests are.

local Process = require "spec.support.process"
local clock = require "spec.support.clock"
local lfs = require "lfs"

local SECONDS = 30

local binary = (os.getenv("LUNESSE_BUILD") or lfs.currentdir() .. "/build/debug") .. "/proofs"

describe("proof", function()
  local code, list = Process.run { binary, "--list" }

  it("lists its tests", function()
    assert.equal(0, code)
    assert.is_truthy(list:find("%S"))
  end)

  for name in list:gmatch("[^\n]+") do
    it((name:gsub("_", " ")), function()
      local result, out, err, why = Process.run({ binary, name },
        { seconds = SECONDS * clock.slow })
      assert(result == 0, ("%s\n%s%s"):format(why, out, err))
    end)
  end
end)
