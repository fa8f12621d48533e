---@meta

---JSON.
---@class lunesse.json
---@field null lightuserdata  stands for JSON's null, in both directions
local json = {}

---A value as JSON text. Raises for what JSON cannot hold: functions, NaN and infinity, tables with
---keys that are neither strings nor numbers. A table with the keys 1 to n is an array, any other an
---object; an empty one is an object.
---
---```lua
---lunesse.json.encode { 1, "two", lunesse.json.null } --> [1,"two",null]
---```
---@param value any
---@return string text
function json.encode(value) end

---The value of a JSON text. Objects and arrays become tables.
---
---```lua
---local value, why = lunesse.json.decode('{"a": [1, 2]}')
---```
---@param text string
---@return any value
---@return string? err
---@return "EJSON" | nil code
function json.decode(text) end
