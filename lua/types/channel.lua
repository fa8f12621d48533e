---@meta

---What `lunesse.channel` takes. A later call for the same channel changes what it names, and no
---more.
---@class (exact) lunesse.ChannelOptions
---Events that it keeps for readers that come back, at most. Default 1000.
---@field history? integer
---Bytes of them, as they are on the wire, at most. Also the size of the largest event that can be
---published. Default 1 MiB.
---@field bytes? integer
---Seconds that it keeps an event at most, or for ever. Default 300.
---@field ttl? number | false
---What a reader meets that is so slow that it misses events. "resume" (default): its connection is
---reset; it comes back with its id and is told what it missed. "skip": it is told how many events
---it missed, in one event, and goes on with what is published next.
---@field on_lag? "resume" | "skip"
---The group that a new channel is made in (`lunesse.channel_group`), for names that peers choose.
---A channel that is there stays in its own, or in none.
---@field group? string
---The event that says that a reader's id could not be resumed. Default: the name "reset", and a
---`lunesse.ChannelNotice` as data.
---@field reset? lunesse.ChannelNoticeTexts
---The event that says what a slow reader missed. Default: the name "lagged", and the same data.
---@field lagged? lunesse.ChannelNoticeTexts
---Short for `reset = { event = ... }`.
---@field reset_event? string
---Short for `lagged = { event = ... }`.
---@field lagged_event? string

---The texts of an event that the engine makes, at most 4096 bytes.
---@class (exact) lunesse.ChannelNoticeTexts
---Its name, without line break and NUL. Without one the event has no name, so that a browser calls
---it "message".
---@field event? string
---Its data: a string, number or boolean as it is, a table as JSON. Default: what happened, as a
---`lunesse.ChannelNotice`.
---@field data? any

---What `lunesse.channel_group` takes. What a call does not name stays as it is.
---@class (exact) lunesse.ChannelGroupOptions
---How many channels the group may have, or no ceiling. Default false.
---@field channels? integer | false
---How many bytes they may hold together, history and about a kilobyte for each included, or no
---ceiling. Default false.
---@field bytes? integer | false

---The data of the events `reset` and `lagged`, as JSON: they tell a reader that what follows does
---not follow what it saw before.
---@class lunesse.ChannelNotice
---@field channel string  the channel's name
---"expired": what was missed is no longer kept. "epoch": the id is of another channel, or of one
---that has ended, or the channel has begun another life (`channel:reset`). "ahead": there is no
---such event. "malformed": it is no id. "slow": see `on_lag`.
---@field reason "expired" | "epoch" | "ahead" | "malformed" | "slow"
---@field from string?    the id that the reader came from, where the channel knows it
---@field to string       the id after which the reader goes on
---@field missed integer?  events between the two

---Where reading a channel begins: behind the newest event, unless one of the two says otherwise.
---@class (exact) lunesse.ChannelPlace
---The id of the last event that the reader had, such as the `cursor` of the call before. It counts
---before `since`.
---@field after? string
---Where a reader begins that has no id, or whose id leads nowhere: "earliest" for all that the
---channel keeps, -n for the newest n events, or the id of an event.
---@field since? string | integer

---What `channel:read` takes.
---@class (exact) lunesse.ChannelReadOptions: lunesse.ChannelPlace
---How many events at most. Default 100.
---@field max? integer
---Seconds to wait for the first event. Default 0.
---@field wait? number

---An event that was read from a channel, as a stream would show it.
---@class lunesse.ChannelEvent
---@field id string      of the event; of a reset, the place after which the reader goes on
---@field event string?  its name
---@field data string?   its data, with LF between lines; nil if it was published without
---@field retry number?  seconds that a reader of a stream is to wait before it reconnects
---Only in an event that tells of a lost place: why. See `lunesse.ChannelNotice`.
---@field reset "expired" | "epoch" | "ahead" | "malformed" | nil

---What many event streams follow: a log of events, with an end that is live. Made by
---`lunesse.channel`. It lives while a script holds it, while streams follow it, and while it has
---events; after that its name is free, and its ids mean nothing any more.
---
---Each event has an id, `epoch-sequence`. A reader that comes back says the last one that it saw,
---and gets exactly what it missed; where that cannot be, it gets one event `reset` and goes on as
---if it were new. The ids of a stream that follows several channels name the place in each of them,
---with commas between.
---@class lunesse.Channel
---@field name string          as it was given to `lunesse.channel`
---@field subscribers integer  streams, `events` loops and waiting `read`s that follow it now
---@field finished boolean     nothing more can be published: it was finished, or closed
local Channel = {}

---Publishes one event: `publish(data)`, `publish(event, data)`, or one object that `lunesse.event`
---made, without an id. A table is always data, so what a peer sent is never more than that. Every
---stream that follows the channel gets it at the end of this turn. Waits for that where very much
---is published at once, so that others get on. Where all channels hold `channel_total_bytes`, or
---those of its group what they may, the oldest events of this one that every worker has sent make
---room; if that is not enough, the event is refused with ENOMEM. So is an event for which the
---system has no memory; the channel then keeps what it has.
---
---```lua
---room:publish("hello")
---room:publish("said", { name = "Ada", text = "hello" })
---local id = room:publish(lunesse.event { event = "said", data = "hello", retry = 2 })
---```
---@param event string | number  without line break and NUL
---@param data any               a string, number or boolean as it is, a table as JSON
---@return string? id            the id that it got
---@return string? err
---@return "ECLOSED" | "EFINISHED" | "EMSGSIZE" | "ENOMEM" | nil code
---@overload fun(self: lunesse.Channel, event: lunesse.Event): string?, string?, string?
---@overload fun(self: lunesse.Channel, data: any): string?, string?, string?
function Channel:publish(event, data) end

---The id of the newest event, or of the place before the first. Put into a page as it is rendered,
---and back into the address of its `EventSource`, it loses nothing that happens in between.
---
---```lua
---response:json { messages = messages, url = "/room?last_event_id=" .. room:cursor() }
---```
---@return string id
function Channel:cursor() end

---Returns the events that follow a place, the oldest first: for a long poll, a bridge, a webhook.
---It needs no stream. With `wait` it waits for the first one, and returns an empty list when the
---time is up. The cursor is the place for the next call. `finished` is true once everything was
---returned and nothing can follow, because the channel was finished or closed.
---
---Where a stream would be sent `reset`, the list begins with that event, which then has the field
---`reset`. One call returns at most 256 KiB of text, but one event in any case. The list is an
---array in JSON, also when it is empty.
---
---```lua
---local events, cursor, finished = room:read {
---  after = request.query.after, since = "earliest", wait = 20 }
---response:json { events = events, cursor = cursor, finished = finished }
---```
---@param options? lunesse.ChannelReadOptions
---@return lunesse.ChannelEvent[]? events
---@return string cursor_or_err
---@return boolean | "ENOMEM" finished_or_code
function Channel:read(options) end

---For a loop over the events that follow a place, those that are kept and those that come. The loop
---waits, and ends when the channel is finished or closed. It follows the channel from this call on,
---until it is left in any way. If it is too slow for what the channel keeps, it is told by an event
---with the field `reset`, and goes on as `since` says. It can be used by one loop.
---
---```lua
---for event in room:events { since = "earliest" } do
---  lunesse.log.info("said", { id = event.id, data = event.data })
---  if event.event == "end" then break end
---end
---```
---@param options? lunesse.ChannelPlace
---@return fun(): lunesse.ChannelEvent?
---@return nil
---@return nil
---@return any closes  leaves the channel when the loop is left
function Channel:events(options) end

---Begins another life of the channel: its history goes, and ids of before lead nowhere. Each
---reader, also one that is there, is told so by the event `reset`, with the reason "epoch", and
---goes on with what is published next. For a channel that shows something of elsewhere, when some
---of that may have been missed.
---
---```lua
---local page = books:get("/news")
---if not page then
---  room:reset() -- what there was in the meantime is not known
---end
---```
---@return true? ok
---@return string? err
---@return "ECLOSED" | "EFINISHED" | nil code
function Channel:reset() end

---Says that the channel is complete: nothing more is published. Readers, those that come later
---too, get all that is kept; then a stream that follows no other channel ends as complete. The
---channel keeps its name, its history and its end for its `ttl`. After that it closes by itself,
---and the name can begin anew, with other ids. May be called again.
---
---```lua
---room:publish("word", "moon")
---room:finish()
---```
---@return true? ok
---@return string? err
---@return "ECLOSED" | nil code
function Channel:finish() end

---Ends the channel at once. Streams get what was published before, and those that follow no other
---channel end. Its name is free: `lunesse.channel` makes another, and nobody who comes later finds
---the history. May be called again.
---@return true ok
function Channel:close() end
