-- A function of `lunesse.all` waited for the task that had called `all`, and that one waited in
-- `all` for the function: both waited for ever, and `task:wait` raised nothing, although it
-- promises to. It followed the waits of tasks for tasks, and what `all` waits for was none of them.
-- The simulator of tasks (spec/sim/tasks.lua) found it: a task that nobody could end was left.

local tasks = require "spec.script.tasks"

local says = tasks.says

local DEADLOCK = "deadlock: the task that this one waits for waits for this one"

describe("a wait that could never end because of `lunesse.all`", function()
  it("raises in a function that waits for the caller", function()
    says("nil script.lua:4: " .. DEADLOCK .. " ERAISED", [[local caller
      caller = lunesse.spawn(function()
        lunesse.all { function() lunesse.sleep(0.01) end, function() return caller:wait() end }
      end)
      return told(caller:wait())]])
  end)

  it("raises by way of others, and through `all` in `all`", function()
    says("nil script.lua:5: " .. DEADLOCK .. " ERAISED", [[local caller, other
      other = lunesse.spawn(function()
        lunesse.sleep(0.01)
        local ok, why = caller:wait()
        error(why, 0)
      end)
      caller = lunesse.spawn(function()
        lunesse.all { function()
          lunesse.all { function()
            local ok, why = other:wait()
            error(why, 0)
          end }
        end }
      end)
      return told(caller:wait())]])
  end)

  it("is none if it has an end, or if the caller does not wait for all of them", function()
    says("true nil the task has not ended in time ETIMEDOUT", [[local caller
      caller = lunesse.spawn(function()
        return (lunesse.all { function() return told(caller:wait(0.01)) end })
      end)
      return told(caller:wait())]])
    says("true true 1", [[local one, two
      one = lunesse.spawn(function() lunesse.sleep(0.01) return 1 end)
      two = lunesse.spawn(function()
        return (lunesse.all { function() return told(one:wait()) end, function() one:wait() end })
      end)
      return told(two:wait())]])
  end)
end)
