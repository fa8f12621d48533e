-- The C unit tests, one busted test each: the binary lists them, and runs those named to it.

local Process = require "spec.support.process"
local lfs = require "lfs"

local binary = (os.getenv("LUNESSE_BUILD") or lfs.currentdir() .. "/build/debug") .. "/unit"

describe("unit", function()
  local code, list = Process.run { binary, "--list" }

  it("lists its tests", function()
    assert.equal(0, code)
    assert.is_truthy(list:find("%S"))
  end)

  for name in list:gmatch("[^\n]+") do
    it((name:gsub("_", " ")), function()
      local result, out, err, why = Process.run { binary, name }
      assert(result == 0, ("%s\n%s%s"):format(why, out, err))
    end)
  end
end)
