-- luacov counts the lines of a Lua state by a hook. The scripts of an app run in states of their
-- own, whose hook is the guard's, so the engine counts their lines, and what it has counted is put
-- into luacov's data when the app stops.

local coverage = {}

local function runner()
  local luacov = package.loaded["luacov.runner"]
  return type(luacov) == "table" and luacov.initialized and luacov or nil
end

---Whether luacov counts lines in this process.
function coverage.is_on()
  return runner() ~= nil
end

---Adds counted lines: by file and line. luacov's own settings say which files count.
function coverage.add(files)
  local luacov = runner()
  for name, counts in pairs(files) do
    if luacov and luacov.file_included(name) then
      local file = luacov.data[name] or { max = 0, max_hits = 0 }
      luacov.data[name] = file
      for line, count in pairs(counts) do
        file[line] = (file[line] or 0) + count
        file.max = math.max(file.max, line)
        file.max_hits = math.max(file.max_hits, file[line])
      end
    end
  end
end

return coverage
