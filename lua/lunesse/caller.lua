-- A script's mistake is raised at the script's line, also where the engine's own half, or C, stands
-- between the script and the place that finds it.
local getinfo = debug.getinfo

local caller = {}

-- The level of the nearest function of a script, as `error` counts in the function that asks.
function caller.level()
  local level = 2
  local info = getinfo(level, "S")
  while info and (info.what == "C" or info.source:find("^=lunesse")) do
    level = level + 1
    info = getinfo(level, "S")
  end
  return level - 1
end

-- Calls a function of the C half that does not wait. What it raises is raised at the script's line,
-- without the number and name that the argument has in the inner call.
function caller.call(fn, ...)
  local results = table.pack(pcall(fn, ...))
  if not results[1] then
    local message = results[2]
    error(message:match("^bad argument #%d+ to '.-' %((.*)%)$") or message, caller.level())
  end
  return table.unpack(results, 2, results.n)
end

return caller
