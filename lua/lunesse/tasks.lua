-- `lunesse.all`: functions that run at once, each as a task that its caller joins.
local caller = require "lunesse.caller"
local core = require "lunesse.core"

local tasks = {}

local Children = {}

-- Memory may run out before they are joined. They have not begun then.
function Children:__close()
  for _, child in ipairs(self) do
    child:cancel()
  end
end

local function check(functions)
  if type(functions) ~= "table" then
    error("all takes a list of functions, got " .. type(functions), caller.level())
  end
  local count = 0
  for key, fn in pairs(functions) do
    count = count + 1
    if math.type(key) ~= "integer" or key < 1 or type(fn) ~= "function" then
      error("all takes a list of functions, and nothing else in its table", caller.level())
    end
  end
  if count ~= #functions then
    error("all takes a list of functions without gaps", caller.level())
  end
end

-- lunesse.all { f, g } -> the first result of each
function tasks.all(functions)
  check(functions)
  core.check_wait("all")
  local has_room, lack = core.check_room(#functions)
  if not has_room then
    error(lack, caller.level())
  end
  local children <close> = setmetatable({}, Children)
  for i, fn in ipairs(functions) do
    children[i] = core.spawn(fn)
  end
  local cause = core.join(children)
  if cause then
    error(select(2, children[cause]:wait(0)), 0)
  end
  local results = {}
  for i, child in ipairs(children) do
    results[i] = select(2, child:wait(0))
  end
  return table.unpack(results, 1, #children)
end

return tasks
