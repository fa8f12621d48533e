-- A port of 127.0.0.1 on which nobody listens now: for programs that cannot say which they took.
local socket = require "socket"

return function()
  local listening = assert(socket.bind("127.0.0.1", 0))
  local _, port = listening:getsockname()
  listening:close()
  return tonumber(port)
end
