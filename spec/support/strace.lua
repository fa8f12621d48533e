-- What the server asks of the kernel, as strace sees it.

local clock = require "spec.support.clock"
local Process = require "spec.support.process"

local strace = {}

---The system calls of the server during `work`, one a line; nil where strace is not there or may
---not attach. `calls` are their names, with commas between them; a socket is shown with both of its
---ends. What comes after `last`, a text that the server writes at the end of `work`, is left out:
---nothing is counted before it is over.
---@param server table
---@param calls string
---@param last string
---@param work fun()
---@return string?
function strace.during(server, calls, last, work)
  if Process.run { "strace", "-V" } ~= 0 then
    return nil
  end
  local tracer = Process.start(
    { "strace", "-f", "-yy", "-s", "500", "-e", "trace=" .. calls, "-p", tostring(server.pid) },
    { env = { LC_ALL = "C" } })
  clock.eventually(function()
    return tracer:stderr():find("attached", 1, true) or tracer:has_ended()
  end, 5)
  if tracer:has_ended() then
    return nil
  end
  work()
  local traced = clock.eventually(function()
    return tracer:stderr():match("^(.*\n)[^\n]*" .. last)
  end, 5)
  tracer:signal("INT")
  tracer:wait(5)
  return traced
end

return strace
