---@meta

---What `set`, `add` and `replace` take.
---@class (exact) lunesse.SharedOptions
---Seconds, above 0, after which the value is gone. Without it the value stays.
---@field ttl? number

---What `incr` takes.
---@class (exact) lunesse.SharedIncrOptions
---The number that is added to when none is there. Default 0.
---@field init? number
---Seconds, above 0, after which a number that begins with this call is gone. One that is there
---keeps its time.
---@field ttl? number

---Values under keys that do not belong to the scripts: they survive a reload, and every worker sees
---them. Made by `lunesse.shared`. They are in memory, and end with the program. All stores together
---hold at most `shared_bytes`, and one with a ceiling (`lunesse.shared(name, { bytes = n })`) at
---most that; what does not fit is refused with ENOMEM, and nothing is thrown away for it.
---
---A key is a string of 1 to 1024 bytes. A value is a string of any bytes, an integer, a float or a
---boolean. A table, `nil` or anything else raises: `lunesse.json.encode` makes a string of a table.
---Each method is one step that no other worker comes between.
---@class lunesse.Shared
---@field name string    as it was given to `lunesse.shared`
---@field count integer  how many values it has now
local Shared = {}

---The value under the key.
---
---```lua
---local theme = settings:get("theme") or "dark"
---```
---@param key string
---@return string | number | boolean | nil value  nil when there is none, or its time is over
function Shared:get(key) end

---Puts the value under the key, in the place of what was there. That one's `ttl` is gone too.
---
---```lua
---settings:set("theme", "dark")
---sessions:set(token, lunesse.json.encode(user), { ttl = 3600 })
---```
---@param key string
---@param value string | number | boolean
---@param options? lunesse.SharedOptions
---@return true? ok
---@return string? err
---@return "ENOMEM" | nil code  there is no room for it, or the system has no memory
function Shared:set(key, value, options) end

---Puts the value under the key if nothing is there. Of several who try, one gets `true`.
---
---```lua
---if jobs:add("daily report", true, { ttl = 3600 }) then
---  send_report()
---end
---```
---@param key string
---@param value string | number | boolean
---@param options? lunesse.SharedOptions
---@return true? ok
---@return string? err
---@return "EEXIST" | "ENOMEM" | nil code
function Shared:add(key, value, options) end

---Puts a new value in the place of the old one, if that is still there: if nobody has changed it
---since it was got. `nil` as the old value stands for no value, as the new one for taking it away.
---Equal is what Lua's `==` says. The old value's `ttl` is gone too.
---
---```lua
---repeat
---  local old = scores:get(name)
---until scores:replace(name, old, math.max(old or 0, points))
---```
---@param key string
---@param old string | number | boolean | nil
---@param new string | number | boolean | nil
---@param options? lunesse.SharedOptions
---@return true? ok
---@return string? err
---@return "ESTALE" | "ENOMEM" | nil code  ESTALE: something else is there
function Shared:replace(key, old, new, options) end

---Adds to the number under the key, and returns the sum. An integer stays one until a float is
---added. A sum that is beyond the integers, or beyond the finite floats, is refused.
---
---```lua
---local total = visits:incr("total")
---local tries = logins:incr(request.ip, 1, { ttl = 60 }) -- a minute, from the first one on
---```
---@param key string
---@param by? number  finite. Default 1
---@param options? lunesse.SharedIncrOptions
---@return number? sum
---@return string? err
---@return "EINVAL" | "ERANGE" | "ENOMEM" | nil code  EINVAL: what is there is not a number
function Shared:incr(key, by, options) end

---Takes the key away.
---
---```lua
---sessions:delete(token)
---```
---@param key string
---@return boolean was_there
function Shared:delete(key) end

---The keys that have a value, those that are there longest first. What others add or delete
---meanwhile may be among them. Where the system has no memory for so many, the answer is nil, and
---why.
---
---```lua
---for _, name in ipairs(online:keys()) do
---  sse:send("online", name)
---end
---```
---@param max? integer  how many at most, above 0. Default 1000
---@return string[] keys
---@return string? err
---@return "ENOMEM" | nil code
function Shared:keys(max) end
