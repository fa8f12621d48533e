---@meta lunesse.test

---The test kit: `require "lunesse.test"` in a spec, not in a script. It runs scripts in the spec's
---own process, with the whole engine but without sockets, in a time that the spec moves. With
---busted, or whatever has luassert, the assertions are those of `assert` as well.
---
---```lua
---local test = require "lunesse.test"
---
---local app = test.load("scripts/")
---app:get("/"):expect(200)
---app:stop()
---```
---@class lunesse.test
---@field assert lunesse.TestAssert  the assertions, as plain functions
---@field json lunesse.json          text to values and back
---@field null lightuserdata         what JSON calls null
local test = {}

---@class (exact) lunesse.TestLoadOptions
---Workers, each with a Lua state of its own, whose turns come one after the other. Default 1.
---@field workers? integer
---Limits by name, as `--limit` sets them. Durations are in seconds, sizes in bytes.
---@field limits? table<string, string | number>
---More of the command line, such as `{ "--log-level", "debug" }`.
---@field arguments? string[]
---@field args? string[]  the same
---The Unix time that the app's clock shows first. Default: the beginning of 2030.
---@field time? number
---Variables that `os.getenv` answers in the app.
---@field env? table<string, string>

---Loads scripts. Raises what the log of a start would say when they cannot be loaded. While a main
---chunk sleeps or waits for time, the app's time goes on, so its clock is later then.
---@param scripts string | table<string, string>  a file, a folder, or texts by file name
---@param options? lunesse.TestLoadOptions
---@return lunesse.TestApp app
function test.load(scripts, options) end

---Stops every app that was loaded and still runs, as `app:stop` does. It suits `after_each`: it
---does nothing when the load has failed. Raises what the first of them raises.
function test.stop() end

---@class (exact) lunesse.TestRequestOptions
---Header fields by name. A list of values repeats a field, and `false` leaves one out.
---@field headers? table<string, string | number | false | string[]>
---@field json? any                        the body, as JSON
---@field form? table<string, any>         the body, as a form
---The body as it is, or pieces of it, each sent in a turn of its own.
---@field body? string | string[]
---@field query? table<string, any> | string  added to the path
---@field accept? string                   the field `Accept`
---@field last_event_id? string            the field `Last-Event-ID`
---@field cookies? table<string, string>   sent beside those that the client keeps
---@field chunked? boolean                 the body is sent as chunks
---@field every? number                    seconds between the pieces of the body
---@field slow? integer                    bytes that the peer sends in one turn
---Bytes of the answer's body that the peer takes, until `stream:window` or `:resume`.
---@field window? integer
---@field worker? integer                  where the connection goes; else to the workers in turn
---@field peer? string                     the peer's address, or "unix". Default "127.0.0.1".
---Bytes that the connection begins with, which comes to a listener with `proxy_protocol`.
---@field proxy_header? string
---@field version? string                  of HTTP. Default "1.1".
---Seconds of the app's time that a complete answer may take. Default 60.
---@field seconds? number
---@field method? string                   of `stream`. Default GET, and POST with a body.
---Asks for an event stream, as `stream` does, and returns it while it goes on.
---@field stream? boolean

---What sends requests: an app, which keeps nothing of them, or a client, which keeps cookies.
---`get` and the like return a complete answer; the app's time goes on where that has to wait. An
---answer that is an event stream has all that one of `stream` has.
---@class lunesse.TestClient
local Client = {}

---@param path string
---@param options? lunesse.TestRequestOptions
---@return lunesse.TestAnswer answer
function Client:get(path, options) end

---@param path string
---@param options? lunesse.TestRequestOptions
---@return lunesse.TestAnswer answer
function Client:post(path, options) end

---@param path string
---@param options? lunesse.TestRequestOptions
---@return lunesse.TestAnswer answer
function Client:put(path, options) end

---@param path string
---@param options? lunesse.TestRequestOptions
---@return lunesse.TestAnswer answer
function Client:patch(path, options) end

---@param path string
---@param options? lunesse.TestRequestOptions
---@return lunesse.TestAnswer answer
function Client:delete(path, options) end

---@param path string
---@param options? lunesse.TestRequestOptions
---@return lunesse.TestAnswer answer
function Client:head(path, options) end

---@param path string
---@param options? lunesse.TestRequestOptions
---@return lunesse.TestAnswer answer
function Client:options(path, options) end

---A request of any method.
---@param method string
---@param path string
---@param options? lunesse.TestRequestOptions
---@return lunesse.TestAnswer answer
function Client:request(method, path, options) end

---Begins a request and does not wait for the end of its answer.
---@param method string
---@param path string
---@param options? lunesse.TestRequestOptions
---@return lunesse.TestAnswer answer
function Client:send(method, path, options) end

---Opens an event stream, with POST where the options have a body or name that method. What is no
---stream, such as a 404, is returned all the same: see `status`.
---@param path string
---@param options? lunesse.TestRequestOptions
---@return lunesse.TestStream stream
function Client:stream(path, options) end

---A cookie that the client keeps. Not of an app.
---@param name string
---@return string? value
---@return table? cookie  `path`, `expires`, `is_secure`, `is_http_only`, `same_site`
function Client:cookie(name) end

---@class (exact) lunesse.TestClientOptions
---Sent with each request.
---@field headers? table<string, string | number | string[]>
---False: it keeps none. A table: those that it has.
---@field cookies? boolean | table<string, string>
---@field worker? integer  where its connections go

---A record of the log.
---@class lunesse.TestRecord
---@field time number    Unix time of the app
---@field level "debug" | "info" | "warn" | "error"
---@field message string
---@field fields table<string, any>

---@class (exact) lunesse.TestLogFilter
---The records of this level.
---@field level? "debug" | "info" | "warn" | "error"
---@field message? string               those with this text, or pattern, in the message
---@field fields? table<string, any>    those that have these fields

---A channel as it is now.
---@class lunesse.TestChannel
---@field first integer      number of the oldest event that is kept
---@field last integer       number of the newest
---@field readers integer    streams that follow it
---@field finished boolean
---@field history { id: string, event: string?, data: string }[]  the events that it keeps
---@field events table       the same

---The program under test. What it can do without time it has done when a call returns: each ends
---with turns until nothing is ready.
---@class lunesse.TestApp : lunesse.TestClient
local App = {}

---A client of the app, with cookies and a connection of its own.
---@param options? lunesse.TestClientOptions
---@return lunesse.TestClient client
function App:client(options) end

---Moves the app's time: timers, sleeps, heartbeats, ttl and limits, each at its moment.
---@param seconds number
---@return lunesse.TestApp app
function App:advance(seconds) end

---Moves the app's time until `fn` answers something true, and returns that. Raises when it does
---not.
---@param fn fun(): any
---@param seconds? number  at most; default 60
---@return any answer
function App:run_until(fn, seconds) end

---Lets everything happen that can happen without time. Other calls do this by themselves.
---@return boolean has_moved
function App:turn() end

---@return number now  Unix time of the app
function App:now() end

---What the app has logged since it was loaded, or what of it the filter wants: a text (or pattern)
---in the message or in the field `error`, or a table. Of a field the table has its value, or a
---function of it; of the field `error` such a text.
---@param filter? string | lunesse.TestLogFilter
---@return lunesse.TestRecord[] records
function App:log(filter) end

---@param name string
---@return lunesse.TestChannel? channel  nil when there is none of this name
function App:channel(name) end

---Loads the scripts again, as SIGHUP does, or others. What was loaded goes on when they cannot be.
---While a main chunk sleeps or waits for time, the app's time goes on: until all have run, or
---`load_timeout` is over. `app:signal("HUP")` begins a reload and does not wait for it.
---@param scripts? string | table<string, string>
---@return true? ok
---@return string? err
function App:reload(scripts) end

---@param name "TERM" | "INT" | "HUP"
---@return lunesse.TestApp app
function App:signal(name) end

---Lets something fail from now on: "memory" is refused to scripts until `false` ends it. Each run
---of a handler, timer or task fails then, and so does a reload. The next run of a script is struck
---by "run_timeout".
---@param what "memory" | "run_timeout"
---@param is_on? boolean  default true
---@return lunesse.TestApp app
function App:fail(what, is_on) end

---Stands in for another server: `handler` answers what the app's `lunesse.http` asks of this host,
---on all ports, with TLS or without. A code in its place is how connections to the host fail. The
---last call for a host counts.
---
---```lua
---local model = app:upstream("api.example.com", function(request, reply)
---  reply:event { data = { text = "Hello" } }
---  reply:sleep(2):event { data = { text = " there" } }
---end)
---```
---@param host string  a name or an address, without scheme and port
---@param handler lunesse.TestUpstreamHandler | lunesse.TestUpstreamCode
---@return lunesse.TestUpstream upstream
function App:upstream(host, handler) end

---Ends the app in order, as SIGTERM does, in its own time. Raises when something was left behind,
---and names it: a request or a stream that goes on, by its path; a task that a handler has
---spawned, and a repeating timer that it has set up, by the line of the script. May be called
---again.
---@return true ok
function App:stop() end

---@alias lunesse.TestUpstreamCode
---| "ECONNREFUSED" | "EHOSTUNREACH" | "ENETUNREACH" | "ENOTFOUND" | "EAI_AGAIN" | "ECERT" | "ETLS"

---Runs once for each request, and may wait by `reply:sleep`. It goes no further when the app
---leaves. Its end ends the answer, its error is the error of the spec's call.
---@alias lunesse.TestUpstreamHandler
---| fun(request: lunesse.TestUpstreamRequest, reply: lunesse.TestReply)

---Who stands in for a server.
---@class lunesse.TestUpstream
---@field host string                              in lower case
---@field requests lunesse.TestUpstreamRequest[]   that have come so far

---A request of the app to another server.
---@class lunesse.TestUpstreamRequest
---@field method string                  "POST"
---@field target string                  as it came, with its query
---@field path string
---@field query table<string, string>
---@field headers table<string, string>  by name, in any case
---@field body string
---@field left boolean                   the app closed the connection before the answer was over
local UpstreamRequest = {}

---@return any value  the body as JSON; raises when it is none
function UpstreamRequest:json() end

---The answer to a request of the app. What comes first of `send`, `json`, `write` and `event` sends
---the head.
---@class lunesse.TestReply
local Reply = {}

---@param number integer  200 unless this is called
---@return lunesse.TestReply reply
function Reply:status(number) end

---@param name string
---@param value string | number
---@return lunesse.TestReply reply
function Reply:header(name, value) end

---Answers with a whole body, and with its length.
---@param body? string
function Reply:send(body) end

---Answers with JSON.
---@param value any
function Reply:json(value) end

---Sends a piece of the body. Waits while the app does not read.
---@param piece string
---@return lunesse.TestReply reply
function Reply:write(piece) end

---Sends an event of an event stream, as `write` does. A table in the place of data is sent as JSON.
---@param name? string | { event: string?, data: any, id: any, retry: integer? }
---@param data? any
---@return lunesse.TestReply reply
function Reply:event(name, data) end

---Waits, in the app's time.
---@param seconds number
---@return lunesse.TestReply reply
function Reply:sleep(seconds) end

---Sends nothing more, and keeps the connection open until the app leaves. Does not return.
function Reply:hang() end

---Ends the answer, as the end of the function does.
function Reply:finish() end

---Closes the connection, before the answer or in the middle of it.
function Reply:reset() end

---@class (exact) lunesse.TestExpected
---@field status? integer
---@field headers? table<string, string | number | false>  false: it is not there
---@field text? string
---@field matches? string  a pattern that the text matches
---Compared with the body as JSON: the fields that are given.
---@field json? any
---@field ended? "complete" | "cut" | "reset" | "left"

---@class lunesse.TestAnswer
---@field status integer?  nil until the head has come
---@field headers table<string, string>  by name, in any case
---@field fields { [1]: string, [2]: string }[]  the header fields, as they came
---@field chunks string[]  the pieces of the body, as they came
---@field body string      the body so far
---@field worker integer   that serves it
---How it ended: "complete", "cut" (closed in the middle), "reset", "left" by its own peer; nil
---while it goes on.
---@field ended string?
local Answer = {}

---@return string text  the body so far
function Answer:text() end

---@return any value  the body as JSON; raises when it is none
function Answer:json() end

---Raises unless the answer is as expected. Returns it.
---@param expected integer | lunesse.TestExpected  a status, or more
---@return lunesse.TestAnswer answer
function Answer:expect(expected) end

---Waits, in the app's time, until the answer is over; raises when it is not.
---@param seconds? number  at most; default 60
---@return lunesse.TestAnswer answer
function Answer:wait(seconds) end

---The peer goes, with a reset.
---@return lunesse.TestAnswer answer
function Answer:leave() end

---The peer closes its sending side, and goes on to read.
---@return lunesse.TestAnswer answer
function Answer:finish() end

---Sends more of a body whose length the request's headers say.
---@param bytes string
---@return lunesse.TestAnswer answer
function Answer:send(bytes) end

---An event as its reader has it.
---@class lunesse.TestEvent
---@field event string  its name; "message" where it has none
---@field data string
---@field id string?    the last event id of that moment
local Event = {}

---@return any value  the data as JSON; nil when it is none
---@return string? err
function Event:json() end

---@class (exact) lunesse.TestReconnectOptions
---@field last_event_id? string  instead of the reader's own
---@field after? number          seconds to wait, instead of what it was told
---@field headers? table<string, string | number | false>
---@field worker? integer
---@field window? integer

---@class lunesse.TestStream : lunesse.TestAnswer
---@field events lunesse.TestEvent[]
---@field comments string[]
---@field retry number?  seconds
---@field id string?     the last event id
---@field raw string     the body so far, as it came
local Stream = {}

---The next event that nobody has looked at.
---@return lunesse.TestEvent? event
---@return string? err  how the stream ended, or that nothing came
function Stream:next() end

---@return lunesse.TestStream stream
function Stream:leave() end

---The reader takes nothing more, until `resume`.
---@return lunesse.TestStream stream
function Stream:pause() end

---@return lunesse.TestStream stream
function Stream:resume() end

---The reader takes so many more bytes from now on.
---@param bytes? integer  all, when nil
---@return lunesse.TestStream stream
function Stream:window(bytes) end

---The reader comes back as a browser does: it leaves if it has to, waits the `retry` that it was
---told (3 s else) in the app's time, and sends the last id that it has. What the new stream is
---told, the old one has as well, as one reader has it all. A browser does not come back after an
---answer that is no stream, such as 204: then a second call raises.
---@param options? lunesse.TestReconnectOptions
---@return lunesse.TestStream stream
function Stream:reconnect(options) end

---What is wanted of an event: the fields that are given.
---@class (exact) lunesse.TestWanted
---@field event? string
---@field data? any  a text, a table, or a function of the text and the JSON
---@field id? string | integer

---Assertions. They go through a stream in order: what one has looked at, or passed over, the next
---one does not see. With luassert they are those of `assert`, and can be turned round, as in
---`assert.no.event(stream, "said")`.
---@class lunesse.TestAssert
local Assert = {}

---An event has come, or comes without time; others before it are passed over. A table as data is
---compared with the event's data as JSON: the fields that are given. Each of them, the data, the
---name and the id may be a matcher of luassert, or a function of the value. A table in the place of
---the name has `event`, `data` and `id`, and nothing stands behind it.
---@param stream lunesse.TestStream
---@param name? string | lunesse.TestWanted
---@param data? any  a text, a table, or a function of the text and the JSON
---@return lunesse.TestEvent event
function Assert.event(stream, name, data) end

---The very next event is this one.
---@param stream lunesse.TestStream
---@param name? string | lunesse.TestWanted  as with `event`
---@param data? any
---@return lunesse.TestEvent event
function Assert.next_event(stream, name, data) end

---No event has come; none comes in so many seconds either.
---@param stream lunesse.TestStream
---@param seconds? number
---@return lunesse.TestStream stream
function Assert.quiet(stream, seconds) end

---A comment has come, such as a heartbeat. The one that opens a stream does not count.
---@param stream lunesse.TestStream
---@param text? string
---@return string comment
function Assert.comment(stream, text) end

---The stream, or the answer, is over.
---@param answer lunesse.TestAnswer
---@param how? "complete" | "cut" | "reset" | "left"
---@return lunesse.TestAnswer answer
function Assert.ended(answer, how) end

---A channel's history has an event with these fields: `event`, `data` and `id` are the event's, all
---others are fields of its data as JSON. Or with this name and this data. An app in front of the
---name says which; else it is the one that was loaded last.
---@param name string
---@param fields? any  or the event's name
---@param data? any
---@return table event
---@overload fun(app: lunesse.TestApp, name: string, fields: any): table
function Assert.published(name, fields, data) end

---The log has a record that the filter wants.
---@param filter? string | lunesse.TestLogFilter
---@return lunesse.TestRecord record
---@overload fun(app: lunesse.TestApp, filter: any): lunesse.TestRecord
function Assert.logged(filter) end
