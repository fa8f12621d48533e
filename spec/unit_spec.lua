-- The C unit tests, one busted test each.

local c_tests = require "spec.support.c_tests"

describe("unit", function()
  for name in c_tests.names("unit") do
    it((name:gsub("_", " ")), function()
      c_tests.run("unit", name)
    end)
  end
end)
