-- A run of `lunesse test --watch` tells, in a file that the two processes share, what it is made
-- of: which files are specs, and which files each of them has used. Each line is a word and the
-- rest behind a tab:
--
--     folder PATH          a folder in which new files may come
--     spec NAME PATH       a spec as busted names it, and where it is
--     file NAME PATH       a file that the spec of this name has used
--
-- Before the run the file holds the names of the specs that are to run, one a line; none for all.

local follow = {}

local LOADER = "busted.modules.test_file_loader"
local OPTION = "--followed"

local report -- the open file; nil: nobody follows
local current -- the name of the spec that runs
local abspath

local function tell(...)
  report:write(table.concat({ ... }, "\t"), "\n")
  report:flush() -- a spec may end the process
end

local function tell_file(path)
  tell("file", current, abspath(path))
end

---Lua files that were required, by the host's own search. Those of packages are nobody's to edit.
local function tell_modules()
  for name in pairs(package.loaded) do
    local path = package.searchpath(name, package.path)
    if path and not path:find("^/usr/") then
      tell_file(path)
    end
  end
end

---Has busted run `only` these specs, if there are any, and tell which there are.
local function wrap_loader(only)
  local new_loader = require(LOADER)
  package.loaded[LOADER] = function(busted, ...)
    local load_files, load_file, find_files = new_loader(busted, ...)
    busted.subscribe({ "file", "start" }, function(file)
      current = file.name
      return nil, true
    end)
    busted.subscribe({ "file", "end" }, function()
      tell_modules()
      return nil, true
    end)
    return function(roots, patterns, options)
      for _, root in ipairs(roots) do
        tell("folder", abspath(root))
      end
      for _, name in ipairs(find_files(roots, patterns, options)) do
        tell("spec", name, abspath(name))
      end
      return load_files(#only > 0 and only or roots, patterns, options)
    end, load_file, find_files
  end
end

---Begins to tell, if the words of the command line say so; takes these out of it.
function follow.begin(words)
  if words[1] ~= OPTION then
    return
  end
  table.remove(words, 1)
  local path = table.remove(words, 1)
  local only = {}
  for name in io.lines(path) do
    only[#only + 1] = name
  end
  abspath = require("pl.path").abspath
  report = assert(io.open(path, "w"))
  wrap_loader(only)
end

---The spec that runs loads scripts from a file or a folder.
function follow.scripts(path)
  if report and current and require("pl.path").isdir(path) then
    tell("folder", abspath(path))
  elseif report and current then
    tell_file(path)
  end
end

---What an app of the spec that runs has loaded until now.
function follow.app(core)
  if report and current then
    for _, path in ipairs(core:sources()) do
      tell_file(path)
    end
  end
end

return follow
