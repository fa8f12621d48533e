---@meta

---The server's log, on standard error: one line a record, with the fields behind the text.
---`--log-level` says which levels are written, `--log-format json` makes each record a JSON object.
---There numbers and booleans are what they are, and tables are objects and arrays; in the text log
---a table is shown as the JSON that it would be. What JSON cannot hold is shown as `tostring` does.
---
---```lua
---lunesse.log.info("room opened", { room = name, readers = 3 })
----- 2001-02-03T04:05:06.789Z info room opened readers=3 room=sea
---```
---@class lunesse.log
local log = {}

---Writes a record that matters while one looks for a fault. Not written by default.
---@param text string | number
---@param fields? table<string, any>  at most 32, not called time, level or text
function log.debug(text, fields) end

---Writes a record of what usually happens.
---@param text string | number
---@param fields? table<string, any>  at most 32, not called time, level or text
function log.info(text, fields) end

---Writes a record of what should not have happened, but was dealt with.
---@param text string | number
---@param fields? table<string, any>  at most 32, not called time, level or text
function log.warn(text, fields) end

---Writes a record of what went wrong.
---@param text string | number
---@param fields? table<string, any>  at most 32, not called time, level or text
function log.error(text, fields) end
