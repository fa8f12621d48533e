-- `lunesse.all`: functions that run at once, over tasks and a signal.
local caller = require "lunesse.caller"
local core = require "lunesse.core"

local tasks = {}

local Children = {}

-- Whoever waits for the children may end while they run: because one of them has failed, or because
-- the reader of its stream has left.
function Children:__close()
  for i = 1, self.count do
    self[i]:cancel()
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

-- Returns the first result of a child that has ended. Raises what the child raised.
local function result_of(child)
  local ok, result = child:wait(0)
  if not ok then
    error(result, 0)
  end
  return result
end

-- lunesse.all { f, g } -> the first result of each
function tasks.all(functions)
  check(functions)
  core.check_wait("all")
  local ended <const> = core.signal()
  local children <close> = setmetatable({ count = 0 }, Children)
  for i, fn in ipairs(functions) do
    local child, why = core.spawn(fn)
    if not child then
      error(why, caller.level())
    end
    core.tell_end(child, ended)
    children[i], children.count = child, i
  end
  local results, is_done, left = {}, {}, children.count
  while left > 0 do
    ended:wait()
    ended:clear()
    for i = 1, children.count do
      if not is_done[i] and not children[i].active then
        results[i], is_done[i], left = result_of(children[i]), true, left - 1
      end
    end
  end
  return table.unpack(results, 1, children.count)
end

return tasks
