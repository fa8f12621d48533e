-- What `lunesse test` adds to busted's command line: a help that is no error, and a sentence on
-- what to do when there are no specs. It stays in its own Lua where `.busted` names another one.

local LOADER = "busted.modules.test_file_loader"

local command = {}

local function has_word(words, wanted)
  for _, word in ipairs(words) do
    if word == wanted then
      return true
    end
  end
  return false
end

---Prints what busted takes; busted itself counts it as an error.
local function print_help(words)
  local cli = require "busted.modules.cli" {}
  cli:set_name("lunesse test")
  local _, text = cli:parse(words)
  print((tostring(text):gsub("^lunesse test: error: ", ""):gsub("; re%-run with .*$", "")))
end

---Ends the run with a sentence on what to do.
local function refuse(format, ...)
  io.stderr:write("lunesse test: ", format:format(...), "\n")
  os.exit(1, true)
end

local function check_roots(roots, find_files, ...)
  for _, root in ipairs(roots) do
    if not require("lfs").attributes(root) then
      refuse("there is no %s here. `lunesse new NAME` makes a project with a spec; in a project " ..
        "go to its root; `lunesse test spec/x_spec.lua` runs one file", root)
    end
  end
  if #find_files(roots, ...) == 0 then
    refuse("there is no spec in %s: specs are files such as spec/x_spec.lua",
      table.concat(roots, ", "))
  end
end

---Prepares busted for the words of the command line. Returns whether that was all.
function command.begin(words)
  if has_word(words, "--help") then
    print_help(words)
    return true
  end
  table.insert(words, 1, "--ignore-lua")
  local new_loader = require(LOADER)
  package.loaded[LOADER] = function(...)
    local load_files, load_file, find_files = new_loader(...)
    return function(roots, ...)
      check_roots(roots, find_files, ...)
      return load_files(roots, ...)
    end, load_file, find_files
  end
  return false
end

return command
