-- Two functions of one `lunesse.all` failed in the same turn, and `all` raised the error of the one
-- that stands first in its list. It promises the first error: the other may be what that one led
-- to. `all` looked through its functions once both had ended. The simulator of tasks
-- (spec/sim/tasks.lua) found it.

local tasks = require "spec.script.tasks"

describe("lunesse.all, when several of its functions fail in one turn,", function()
  it("raises the error that came first", function()
    tasks.says("false first", [[local one, other = lunesse.signal(), lunesse.signal()
      lunesse.after(0.01, function() other:set() one:set() end)
      return told(pcall(lunesse.all, {
        function() one:wait() error("second", 0) end,
        function() other:wait() error("first", 0) end,
      }))]])
  end)

  it("does so behind one that has returned in that turn", function()
    tasks.says("false first", [[local go = lunesse.signal()
      lunesse.after(0.01, function() go:set() end)
      return told(pcall(lunesse.all, {
        function() go:wait() return 1 end,
        function() go:wait() error("first", 0) end,
        function() go:wait() error("second", 0) end,
      }))]])
  end)
end)
