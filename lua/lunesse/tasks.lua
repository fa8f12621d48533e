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

-- Which of two children ended first. There may be only the second one.
local function first_of(one, other)
  if one and core.end_number(one) < core.end_number(other) then
    return one
  end
  return other
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
    local failed -- first, of those that have ended meanwhile
    for i = 1, children.count do
      if not is_done[i] and not children[i].active then
        local ok, result = children[i]:wait(0)
        results[i], is_done[i], left = result, true, left - 1
        if not ok then
          failed = first_of(failed, children[i])
        end
      end
    end
    if failed then
      error(select(2, failed:wait(0)), 0)
    end
  end
  return table.unpack(results, 1, children.count)
end

return tasks
