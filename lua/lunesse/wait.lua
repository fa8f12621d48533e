-- `lunesse.wait`: what a script says is checked here; the wait is the C half's (`core.wait_fd`).
local caller = require "lunesse.caller"
local core = require "lunesse.core"

local longest = 1e9 -- seconds

-- The descriptor's number: it is given, or an object of another library has it, such as a socket of
-- LuaSocket. Any other value raises.
local function number_of(fd)
  local number = type(fd) == "number" and math.tointeger(fd)
  if not number and (type(fd) == "userdata" or type(fd) == "table") and fd.getfd then
    number = math.tointeger(fd:getfd())
  end
  if not number then
    error("lunesse.wait: a descriptor, a whole number or an object with getfd(), expected",
      caller.level())
  end
  return number
end

return function(fd, mode, seconds)
  local number = number_of(fd)
  if mode ~= "r" and mode ~= "w" and mode ~= "rw" then
    error("lunesse.wait: 'r', 'w' or 'rw' expected", caller.level())
  elseif seconds ~= nil and not (type(seconds) == "number" and seconds >= 0
      and seconds <= longest) then
    error("lunesse.wait: seconds between 0 and 1e9 expected", caller.level())
  end
  return core.wait_fd(number, mode, seconds)
end
