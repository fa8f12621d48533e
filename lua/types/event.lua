---@meta

---What `lunesse.event` takes: at least one of these.
---@class (exact) lunesse.EventFields
---A reader that comes back says the last one it saw. Not for a channel, nor for a stream that
---follows one: their ids are the channel's.
---@field id? string | number
---@field event? string | number  the event's name; without one a reader calls it "message"
---@field data? any               a table as JSON; without data a reader tells the page nothing
---@field retry? number           seconds that a reader waits before it comes back

---An event with its fields, made by `lunesse.event`. `sse:send` and `channel:publish` take it in
---the place of their arguments, as often as they are given it. It never changes.
---@class lunesse.Event
---@field id string?     as it was given
---@field event string?  as it was given
---@field data string?   as it is sent: what was a table is JSON
---@field retry number?  seconds
local Event = {}
