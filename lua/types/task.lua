---@meta

---A task, made by `lunesse.spawn`: a function that runs beside everything else. It is no part of
---the request that spawned it, and goes on when that has its answer or its reader has left.
---@class lunesse.Task
---@field active boolean  it has not ended
local Task = {}

---Waits until the task has ended, and returns `true` and what its function returned. Several may
---wait for one task, also after its end. Where the task has no results there is nil, what was
---raised, and `"ERAISED"`; or nil, a message, and `"ECANCELED"` when it was cancelled; or
---`"ETIMEDOUT"` when it has not ended in `seconds`, and then it goes on. A task that waits for
---itself raises, and so does one whose wait could never end, because the other waits for this one,
---by `wait` without an end or in `lunesse.all`.
---
---```lua
---local ok, total, code = lunesse.spawn(add_up, orders):wait(5)
---if not ok then
---  return response:status(503):send(tostring(total) .. "\n") -- code: why there is none
---end
---```
---@param seconds? number  how long at most; 0 does not wait. Without, as long as it takes
---@return true? ok
---@return any result      what the function returned; or what was raised, or a message
---@return any ...         further results; or `"ERAISED"`, `"ECANCELED"`, `"ETIMEDOUT"`
function Task:wait(seconds) end

---Ends the task where it waits, when this turn ends. Its to-be-closed variables run; one that has
---not begun does not begin. A task that cancels itself ends when it next waits, or returns.
---
---```lua
---local task = lunesse.spawn(answer, question)
---response:once("close", function()
---  task:cancel()
---end)
---```
---@return boolean was_active  false when it had ended, or was cancelled before
function Task:cancel() end
