-- A second SIGTERM that came while the server was already closing its signal handles met the
-- default action, which the system's handlers give back one by one: the server ended by the signal
-- instead of with exit code 0. Every system call that changes an action is stretched here, so that
-- a signal falls between any two of them.

local Process = require "spec.support.process"
local Server = require "spec.support.server"
local clock = require "spec.support.clock"

describe("a signal that comes while the server closes what it had open", function()
  for _, name in ipairs { "TERM", "INT", "HUP" } do
    it("SIG" .. name .. " does not end it another way", function()
      if Process.run { "strace", "-V" } ~= 0 then
        return pending("strace is not there")
      end
      if Server.holds_signals_back() then
        return pending("ThreadSanitizer holds signals back, and the second one ends what is late")
      end
      local server = Server.start([[require("lunesse").server()]], {
        env = { ASAN_OPTIONS = "detect_leaks=0" }, -- LeakSanitizer cannot work under strace
        wrap = {
          "strace", "-D", "-f", "-o", "/dev/null", "-e", "trace=rt_sigaction",
          "-e", "inject=rt_sigaction:delay_exit=30000",
        },
      })
      server.process:signal("TERM")
      eventually(function()
        return #server:log_lines("info stopping") == 1
      end)
      local deadline = clock.deadline(5)
      while not server.process:has_ended() and clock.now() < deadline do
        server.process:signal(name)
        clock.pause()
      end
      assert.same({ 0, "exit 0" }, { server.process.code, server.process.why })
      server:kill()
    end)
  end
end)
