-- The tests of a C program in the build's folder: it lists them, and runs the one that is named to
-- it (spec/unit/unit.h).

local Process = require "spec.support.process"
local lfs = require "lfs"

local c_tests = {}

local function path_of(program)
  return (os.getenv("LUNESSE_BUILD") or lfs.currentdir() .. "/build/debug") .. "/" .. program
end

---The names of its tests, for a `for`. A program without tests is an error.
function c_tests.names(program)
  local code, list = Process.run { path_of(program), "--list" }
  assert(code == 0 and list:find("%S"), program .. " lists no tests")
  return list:gmatch("[^\n]+")
end

---Runs the test `name`. `options` are those of `Process.run`.
function c_tests.run(program, name, options)
  local code, out, err, why = Process.run({ path_of(program), name }, options)
  assert(code == 0, ("%s\n%s%s"):format(why, out, err))
end

return c_tests
