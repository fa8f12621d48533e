-- Every input that a fuzzer was given or has found runs again here, with any compiler: a folder
-- spec/fuzz/corpus/<name> for the program fuzz_<name>, and no program without a folder.

local lfs = require "lfs"
local Process = require "spec.support.process"

local FILES_A_RUN = 200
local CORPUS = lfs.currentdir() .. "/spec/fuzz/corpus"

local build = os.getenv("LUNESSE_BUILD") or lfs.currentdir() .. "/build/debug"

local function names_in(folder)
  local names = {}
  if lfs.attributes(folder, "mode") == "directory" then
    for name in lfs.dir(folder) do
      if not name:find("^%.") then
        names[#names + 1] = name
      end
    end
  end
  table.sort(names)
  return names
end

describe("the corpus of", function()
  for _, source in ipairs(names_in("spec/fuzz")) do
    local name = source:match("^fuzz_(.+)%.c$")
    if name then
      it(name .. " runs clean", function()
        local seeds = names_in(CORPUS .. "/" .. name)
        assert(#seeds >= 3, "fewer than three seeds in spec/fuzz/corpus/" .. name)
        for first = 1, #seeds, FILES_A_RUN do
          local argv = { build .. "/fuzz_" .. name }
          for i = first, math.min(first + FILES_A_RUN - 1, #seeds) do
            argv[#argv + 1] = ("%s/%s/%s"):format(CORPUS, name, seeds[i])
          end
          local code, out, err, why = Process.run(argv, { seconds = 60 })
          assert(code == 0, ("%s\n%s%s"):format(why, out, err))
        end
      end)
    end
  end

  it("each folder has its fuzz target", function()
    for _, name in ipairs(names_in(CORPUS)) do
      local source = ("spec/fuzz/fuzz_%s.c"):format(name)
      assert(lfs.attributes(source, "mode") == "file", source .. " is missing")
    end
  end)
end)
