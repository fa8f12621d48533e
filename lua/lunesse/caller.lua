-- Raises a script's mistake at the script's line, also where C or the engine's own Lua stands
-- between the script and the place that finds the mistake.
local getinfo = debug.getinfo

local caller = {}

-- Returns the level of the nearest function of a script, as `error` counts levels in the function
-- that calls this.
function caller.level()
  local level = 2
  local info = getinfo(level, "S")
  while info and (info.what == "C" or info.source:find("^=lunesse")) do
    level = level + 1
    info = getinfo(level, "S")
  end
  return level - 1
end

-- Calls a function of the C half that does not wait. An error is raised again at the script's line,
-- without the number and the name that the argument has in the inner call.
function caller.call(fn, ...)
  local results = table.pack(pcall(fn, ...))
  if not results[1] then
    local message = results[2]
    error(message:match("^bad argument #%d+ to '.-' %((.*)%)$") or message, caller.level())
  end
  return table.unpack(results, 2, results.n)
end

return caller
