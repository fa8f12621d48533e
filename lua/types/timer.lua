---@meta

---A timer, made by `lunesse.after` and `lunesse.every`. One that is made while a request is handled
---stops when that request's event stream closes; after a plain response it runs on by itself.
---@class lunesse.Timer
---@field active boolean  it will call its function again
local Timer = {}

---Stops the timer. A call that has begun runs to its end.
---
---```lua
---local ticker = lunesse.every(1, tick)
---lunesse.after(10, function()
---  ticker:stop()
---end)
---```
---@return boolean was_active  false when it had fired or stopped before
function Timer:stop() end
