---@meta

---What `open` takes.
---@class (exact) lunesse.StreamOptions
---Seconds that a reader waits before it comes back. Default: up to the reader.
---@field retry? number
---Seconds of silence before a comment keeps the connection awake, or none. Default: the route's, or
---else the limit of that name (15).
---@field heartbeat? number | false

---What `subscribe` takes.
---@class (exact) lunesse.SubscribeOptions
---Where a reader begins that brings no id, or one that cannot be resumed: after the event of this
---id; "earliest" for everything that the channel has; a number `-n` for the last n events, or as
---many as there are. Default: with what is published next.
---@field since? string | "earliest" | integer
---Name of an event that goes before those of the channel, and after a `reset`: its data and its id
---are the stream's place, also for a reader that is resumed. For readers that ignore an id without
---data (npm's `eventsource`, LaunchDarkly's), which would lose what is published while their
---connection is lost before the first event; and for pages that want to know when they follow.
---Default: an id without data for a newcomer, and nothing for others.
---@field greet? string

---An event stream, `response.sse`. Every method is safe after the stream has closed: it returns
---`nil, "closed", "ECLOSED"`. The first event, comment, retry or subscription opens the stream by
---itself.
---@class lunesse.Sse
---@field active boolean          open and not closing
---@field pending integer         bytes that wait to be sent, those of its channels included
---@field last_event_id string?   where the client was: as `request.last_event_id`
local Sse = {}

---Opens the stream: status 200, the head of an event stream and a first comment leave together, at
---the end of this turn. Headers that were set before stay. Content-Type, Cache-Control,
---X-Accel-Buffering and Content-Encoding are the engine's: to have set one raises, but for the type
---`text/event-stream; charset=utf-8`, which is kept. Raises when another answer has begun.
---
---```lua
---sse:open { retry = 2, heartbeat = 30 }
---```
---@param options? lunesse.StreamOptions
---@return true? ok
---@return string? err
---@return "EALREADY" | "ECLOSED" | nil code
function Sse:open(options) end

---Sends one event: `send(data)`, `send(event, data)`, `send(id, event, data)`, or one object that
---`lunesse.event` made. The number of arguments decides, so "", 0 and false are data. Line breaks
---in data are kept. A table is always data, sent as JSON, whatever fields it has. Data that ends
---within a UTF-8 character raises (see `lunesse.whole`). Waits while the peer is slow. Other
---tasks run while a large table is encoded.
---
---```lua
---sse:send("hello")
---sse:send("said", { name = "Ada", text = "hello" })
---sse:send(7, "said", "hello")
---sse:send(lunesse.event { id = 7, event = "said", data = "hello", retry = 2 })
---```
---@param id string | number     without line break and NUL
---@param event string | number  without line break and NUL
---@param data any               a string, number or boolean as it is, a table as JSON
---@return true? ok
---@return string? err
---@return "ECLOSED" | "EMSGSIZE" | nil code
---@overload fun(self: lunesse.Sse, event: string | number, data: any): true?, string?, string?
---@overload fun(self: lunesse.Sse, event: lunesse.Event): true?, string?, string?
---@overload fun(self: lunesse.Sse, data: any): true?, string?, string?
function Sse:send(id, event, data) end

---Sends one event as `send` does, but never waits. Where `send` would wait, because more than
---`stream_high_bytes` wait for this reader already, nothing is sent, and the answer is
---`nil, "full", "EAGAIN"`. For loops over many readers that each get something else: one that does
---not read holds up nobody. What all get alike is better published to a channel.
---
---```lua
---for sse in pairs(readers) do
---  sse:try_send("position", position_for(sse)) -- the next one tells a slow reader the same
---end
---```
---@param id string | number     without line break and NUL
---@param event string | number  without line break and NUL
---@param data any               a string, number or boolean as it is, a table as JSON
---@return true? ok
---@return string? err
---@return "EAGAIN" | "ECLOSED" | "EMSGSIZE" | nil code
---@overload fun(self: lunesse.Sse, event: string | number, data: any): true?, string?, string?
---@overload fun(self: lunesse.Sse, event: lunesse.Event): true?, string?, string?
---@overload fun(self: lunesse.Sse, data: any): true?, string?, string?
function Sse:try_send(id, event, data) end

---Sends a comment, which readers ignore. Waits while the peer is slow.
---@param text string | number  each line becomes a comment line
---@return true? ok
---@return string? err
---@return "ECLOSED" | "EMSGSIZE" | nil code
function Sse:comment(text) end

---Tells the reader how long to wait before it comes back, whenever the connection is lost.
---@param seconds number
---@return true? ok
---@return string? err
---@return "ECLOSED" | nil code
function Sse:retry(seconds) end

---Follows a channel: what was published after the reader's id (`last_event_id`), and then whatever
---is, without a gap and without a double. A reader without an id begins with what is published
---next, or at `since`. One whose id cannot be resumed gets one event `reset` that says why
---(`ChannelNotice`), and then begins so as well. The handler may return: the stream goes on.
---
---The ids of a stream that follows several channels name the place in each of them, with commas
---between. A channel that the id of a reader does not name is reset for it.
---
---```lua
---sse:subscribe(room)
---sse:subscribe(news, { since = -20, greet = "hello" })
---```
---@param channel lunesse.Channel
---@param options? lunesse.SubscribeOptions
---@return true? ok
---@return string? err
---@return "EALREADY" | "E2BIG" | "ECLOSED" | nil code
function Sse:subscribe(channel, options) end

---Stops to follow a channel, at once: what of it was not sent yet is not sent. Who subscribes to it
---again on the same stream is a newcomer: the id that the reader brought was for the first time.
---@param channel lunesse.Channel
---@return boolean was_subscribed
function Sse:unsubscribe(channel) end

---Ends the stream: what was sent still goes out, then the response is complete. An `EventSource`
---will connect again, unless the page closed it or the route answers 204. May be called again.
---
---```lua
---sse:send("done", "that was all") -- the page closes its EventSource here
---sse:close()
---```
---@return true ok
function Sse:close() end
