---@meta

---JSON, as RFC 8259 has it. What was decoded and is encoded again is the same value: an array stays
---an array, an integer stays whole, a number has the fewest digits that read back as itself. The
---same value is always the same text, as keys come in the order of their bytes.
---
---A long text is read and written in slices, between which other tasks run. A single string is
---read in one slice, however long it is. Where nothing can wait (while the scripts load, in a
---metamethod, a comparator, a closing variable) the whole text runs through.
---@class lunesse.json
---@field null lightuserdata  stands for JSON's null, in both directions
local json = {}

---A value as JSON text. A table with the keys 1 to n is an array, one with strings as keys an
---object; an empty one is an object, unless it was decoded as an array or made one by
---`json.array`. Tables are taken raw: no metamethod runs.
---
---Raises, with the path to it, for what JSON cannot hold: functions and other objects, NaN and
---infinity, a string that is not UTF-8, an array with holes, a table with both kinds of keys or
---with any other, and more than 128 levels.
---
---```lua
---lunesse.json.encode { 1, "two", lunesse.json.null } --> [1,"two",null]
---```
---@param value any
---@return string text
function json.encode(value) end

---The value of a JSON text. Objects and arrays become tables, and null `json.null`. A number
---without a fraction is an integer if 64 bits hold it, however it is spelt. A longer integer that
---would lose digits is a userdata that can be encoded, sent and compared; `tostring` gives its
---digits. Of a key that comes twice the last value counts. The message names the place: "expected a
---value at line 1, column 6".
---
---Besides what is no JSON, a text is refused that could not be given back: with a number like
---1e400, with a string that is not UTF-8 or holds half of a surrogate pair, or with more than 128
---levels.
---
---```lua
---local value, why = lunesse.json.decode('{"a": [1, 2]}')
---```
---@param text string
---@return any value
---@return string? err
---@return "EJSON" | nil code
function json.decode(text) end

---Makes a table an array, which it stays when it is empty. Raises when the table has a metatable.
---
---```lua
---lunesse.json.encode { names = lunesse.json.array() } --> {"names":[]}
---```
---@param table? table  default: a new one
---@return table table  the same one
function json.array(table) end
