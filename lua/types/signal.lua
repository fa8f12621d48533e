---@meta

---A signal, made by `lunesse.signal`: tasks and handlers wait until another sets it. It is a
---variable of one worker's scripts; what all workers have to hear is published to a channel.
---@class lunesse.Signal
---@field is_set boolean
local Signal = {}

---Sets the signal, and wakes all who wait for it. It stays set, with this value, until `clear`.
---
---```lua
---local is_ready = lunesse.signal()
---lunesse.after(5, function()
---  is_ready:set("at last")
---end)
---```
---@param value? any  nil and false are values too; without any it is true
function Signal:set(value) end

---Waits until the signal is set, and returns its value: at once, when it is set already. The third
---value tells a time that is up from a value of nil.
---
---```lua
---local value, message, code = is_ready:wait(10)
---if code == "ETIMEDOUT" then
---  return response:status(504):send(message .. "\n")
---end
---```
---@param seconds? number  how long at most; 0 does not wait. Without, as long as it takes
---@return any value
---@return string? err
---@return "ETIMEDOUT" | nil code
function Signal:wait(seconds) end

---Clears the signal: whoever waits from now on waits until it is set again. Those that were woken
---before get the value that it had.
---@return boolean was_set
function Signal:clear() end
