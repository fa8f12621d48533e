-- The rooms for what comes are ready: spec/proofs uses the engine as later parts of the product
-- will, without changing it.

local c_tests = require "spec.support.c_tests"

describe("proof", function()
  for name in c_tests.names("proofs") do
    it((name:gsub("_", " ")), function()
      c_tests.run("proofs", name, { seconds = 30 })
    end)
  end
end)
