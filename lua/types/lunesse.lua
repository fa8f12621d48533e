---@meta lunesse

---The module that route scripts require. Durations are seconds, everywhere.
---
---```lua
---local lunesse = require "lunesse"
---local server = lunesse.server()
---
---server:get("/", function(request, response)
---  response:send("hello\n")
---end)
---```
---@class lunesse
---@field http lunesse.http    requests to other servers
---@field json lunesse.json  text to values and back
---@field crypto lunesse.crypto  digests, random bytes, passwords
---@field html lunesse.html  pages
---@field log lunesse.log    the server's log
---@field metric lunesse.metric  a script's own metrics
---@field web lunesse.web    what stands around handlers: proxies, CORS, limits
---@field version string     of the program, such as "0.1.0"
---@field worker integer     number of the worker that runs this script, from 1
local lunesse = {}

---The limits of the server, which docs/operations.md explains. Durations are in seconds, sizes in
---bytes.
---@class (exact) lunesse.Limits
---@field head_bytes? integer
---@field head_fields? integer
---@field target_bytes? integer
---@field body_bytes? integer
---@field head_timeout? number
---@field body_timeout? number
---@field body_rate? integer
---@field body_total_bytes? integer
---@field idle_timeout? number
---@field pipeline? integer
---@field connections? integer
---@field stream_high_bytes? integer
---@field stream_max_bytes? integer
---@field heartbeat? number
---@field peer_timeout? number
---@field stream_channels? integer
---@field channels? integer
---@field channel_total_bytes? integer
---@field channel_name_bytes? integer
---@field shared_bytes? integer
---@field run_timeout? number
---@field load_timeout? number
---@field lua_bytes? integer
---@field tasks? integer
---@field passwords? integer
---@field upstream_body_bytes? integer
---@field drain_delay? number
---@field drain_timeout? number

---What `lunesse.server` takes.
---@class (exact) lunesse.ServerOptions
---@field limits? lunesse.Limits
---Whether plain answers are compressed for clients that take it. Default true; a route may say
---otherwise.
---@field compress? boolean

---The server, of which there is one: every script, and every call, is given the same. Limits can be
---set while the scripts load, and `--limit` on the command line goes over them. A name that does
---not exist, or a value that cannot be, raises.
---
---```lua
---local server = lunesse.server {
---  limits = { body_bytes = 64 * 1024, heartbeat = 20 },
---}
---```
---@param options? lunesse.ServerOptions
---@return lunesse.Server
function lunesse.server(options) end

---The channel of this name: the one that is there, the same object each time, or a new one. Options
---hold for all who use it; those that are not named stay as they are. Where there are as many as
---the limit `channels` allows, or they hold `channel_total_bytes`, or the group has what it may, a
---new one is refused: nil, and why. A script that takes names from its peers looks at `err`.
---
---```lua
---local room = lunesse.channel("room", { history = 1000 })
---
---server:get("/room", function(request, response)
---  response.sse:subscribe(room)
---end)
---```
---@param name string  UTF-8 without controls, 1 to 255 bytes (the limit `channel_name_bytes`)
---@param options? lunesse.ChannelOptions
---@return lunesse.Channel channel
---@return string? err
---@return "E2BIG" | "ENOMEM" | nil code
function lunesse.channel(name, options) end

---Declares a group of channels, or changes its ceilings. Channels whose names come from peers are
---made in one, so that peers use up what the group may have and not what other scripts need. A
---server has at most 64 groups, and keeps them while it runs.
---
---```lua
---lunesse.channel_group("rooms", { channels = 1000, bytes = 16 * 1024 * 1024 })
---
---server:get("/rooms/:name", function(request, response)
---  local room, why = lunesse.channel("rooms/" .. request.params.name, { group = "rooms" })
---  if not room then
---    return response:status(503):send(why .. "\n")
---  end
---  response.sse:subscribe(room)
---end)
---```
---@param name string
---@param options lunesse.ChannelGroupOptions
---@return true ok
function lunesse.channel_group(name, options) end

---An event with fields that the arguments of `send` and `publish` have no place for, or that a
---helper returns. The fields are checked here, and copied: an id or a name with a line break, an
---unknown field, or data that JSON cannot hold, raises.
---
---```lua
---local again = lunesse.event { event = "pause", data = "back soon", retry = 30 }
---room:publish(again)
---```
---@param fields lunesse.EventFields
---@return lunesse.Event
function lunesse.event(fields) end

---Splits a text before the UTF-8 character that it ends within, if it does. Text that comes in
---pieces, such as the tokens of a language model or what a pipe gives, may be cut anywhere. Data
---that ends so raises in `send`, `try_send`, `publish` and `lunesse.event`, because each half would
---reach the page as U+FFFD. Bytes that are not UTF-8 whatever follows do become U+FFFD.
---
---```lua
---local text, rest = "", ""
---for token in tokens() do
---  text, rest = lunesse.whole(rest .. token)
---  if text ~= "" then
---    sse:send("token", text)
---  end
---end
---```
---@param text string | number
---@return string whole  everything but a character that is not complete
---@return string rest   its bytes, at most three; "" when there is none
function lunesse.whole(text) end

---What `lunesse.shared` takes.
---@class (exact) lunesse.SharedStoreOptions
---Bytes that the store may hold, about 150 for each value included, or no ceiling of its own beside
---`shared_bytes`. For keys that peers choose. A call without it leaves it as it is. Default false.
---@field bytes? integer | false

---The store of this name, whose values survive a reload and are seen by every worker: the same
---object each time. It goes when it is empty and no variable holds it.
---
---```lua
---local visits = lunesse.shared("visits")
---
---server:get("/", function(request, response)
---  response:json { visits = visits:incr("total") }
---end)
---```
---@param name string  1 to 255 bytes
---@param options? lunesse.SharedStoreOptions
---@return lunesse.Shared
function lunesse.shared(name, options) end

---What timers take.
---@class (exact) lunesse.TimerOptions
---Made while a request is handled, a timer stops with that request's event stream, unless it is
---detached. Default false.
---@field detached? boolean
---Made while the scripts load, a timer runs in the first worker and is stopped in the others,
---unless this is set. Default false.
---@field each_worker? boolean

---Calls `fn` once, `seconds` from now, in a coroutine of its own, so it may wait.
---
---```lua
---lunesse.after(30, function()
---  sse:send("closing", "thirty seconds are over")
---  sse:close()
---end)
---```
---@param seconds number  0 or more
---@param fn fun()
---@param options? lunesse.TimerOptions
---@return lunesse.Timer
function lunesse.after(seconds, fn, options) end

---Calls `fn` every `seconds`. The first call comes after one interval. It keeps its phase, however
---long `fn` takes, and never overlaps itself: a call that is due while the one before it still runs
---is left out.
---
---```lua
---local ticker = lunesse.every(5, function()
---  sse:send(os.date("!%T"))
---end)
---```
---@param seconds number  above 0
---@param fn fun()
---@param options? lunesse.TimerOptions
---@return lunesse.Timer
function lunesse.every(seconds, fn, options) end

---Waits, while everything else goes on: in handlers, timers, tasks and callbacks, and while a
---script loads. Inside a function that C calls back, such as the comparator of `table.sort`, it
---raises. In the handler of an event stream it does not return once the reader has
---left: the handler ends there, and its to-be-closed variables run.
---
---```lua
---for n = 10, 0, -1 do
---  sse:send("tick", n)
---  lunesse.sleep(1)
---end
---```
---@param seconds number  0 or more
function lunesse.sleep(seconds) end

---Runs `fn(...)` beside everything else, in a coroutine of its own, from the end of this turn on.
---The task is no part of the request that spawns it (see docs/tasks.md). An error that it raises
---while nobody waits for it is logged, with where it was spawned.
---
---```lua
---server:post("/orders", function(request, response)
---  local order = request:json()
---  lunesse.spawn(send_mail, order)
---  response:status(202):json { accepted = true }
---end)
---```
---@param fn function
---@param ... any     its arguments, at most 250
---@return lunesse.Task task
---@return string? err
---@return "E2BIG" | nil code  there are as many tasks as the limit `tasks` allows
function lunesse.spawn(fn, ...) end

---Runs functions at once, and returns the first result of each when all have returned. The first
---error cancels the others and is raised here, as it would be by a direct call. When the caller
---ends while it waits, because its reader has left or it is cancelled, they are cancelled too. In
---either case their to-be-closed variables have run before the caller goes on, or ends.
---
---```lua
---local user, orders = lunesse.all {
---  function() return find_user(id) end,
---  function() return list_orders(id) end,
---}
---```
---@param functions (fun(): any)[]
---@return any ...
function lunesse.all(functions) end

---A signal that is not set.
---
---```lua
---local is_stopped = lunesse.signal()
---server:post("/stop", function(request, response)
---  is_stopped:set()
---  response:send("stopped\n")
---end)
---```
---@return lunesse.Signal
function lunesse.signal() end

---Waits until a descriptor of another library can be read, or written, while everything else goes
---on. Several may wait for one descriptor. docs/libraries.md has the details, and the codes.
---
---```lua
---local peer = require("socket").tcp()
---peer:settimeout(0)
---peer:connect("127.0.0.1", 6379)
---local ready, why, code = lunesse.wait(peer, "w", 5)
---```
---@param fd integer | { getfd: fun(self): integer }  a descriptor, or an object that has one
---@param mode "r" | "w" | "rw"  what it is to be ready for; with "rw", for one of the two at least
---@param seconds? number  how long at most; 0 does not wait. Without, as long as it takes
---@return "r" | "w" | "rw" | nil ready  what it is ready for
---@return string? err
---@return string? code  such as "ETIMEDOUT"
function lunesse.wait(fd, mode, seconds) end

---What `lunesse.pool` takes.
---@class (exact) lunesse.PoolOptions
---The module whose functions are called, by the name that `require` takes.
---@field module string
---Threads at most, in each worker: 1 to 64. They are started when they are needed. Default 4.
---@field threads? integer
---Calls that may wait for a thread; one more returns nil, a text and "EAGAIN". Default 1000.
---@field queue? integer

---Runs the functions of a module in threads with a Lua state each: for what would hold up everybody
---and has no descriptor, such as SQLite or a heavy computation. `db.find(...)` of the result calls
---`find` of the module and waits for what it returns. Arguments and results are JSON values; what
---the function raises is raised here. Make one while the script loads, and keep it: it waits until
---the module is loaded, and raises when it cannot be. docs/libraries.md has the details.
---
---```lua
---local db = lunesse.pool { module = "lib.db", threads = 4 }
---local list, why, code = db.find("lobby")
---```
---@param options lunesse.PoolOptions
---@return table<string, fun(...): ...>
function lunesse.pool(options) end

---A pool of connections to a PostgreSQL database. It opens none before the first query. Make one
---while the script loads, and keep it. Raises when the URL cannot be read. docs/postgres.md has the
---details.
---
---```lua
---local db = lunesse.postgres { url = os.getenv("DATABASE_URL"), connections = 8 }
---```
---@param options? lunesse.DatabaseOptions
---@return lunesse.Database
function lunesse.postgres(options) end

---Loads the scripts anew when this turn ends, as SIGHUP does: the new code takes the place of this
---one if all of it loads, and otherwise the log says why not.
---
---```lua
---server:post("/reload", function(request, response)
---  lunesse.reload()
---  response:send("as soon as this is out\n")
---end)
---```
---@return true ok
function lunesse.reload() end

---The time of day: seconds since 1970 UTC, with a fraction. It may be set back.
---@return number seconds
function lunesse.now() end

---Seconds of a clock that only goes forward, from an arbitrary beginning: for measuring.
---
---```lua
---local start = lunesse.clock()
---work()
---lunesse.log.info("worked", { seconds = lunesse.clock() - start })
---```
---@return number seconds
function lunesse.clock() end

---Everything that the server and its scripts have counted, in all workers, by the metrics' names:
---what `--metrics` tells. A metric without labels is a number; one with a label is a table of
---numbers by the label's values; one with several is an array of tables that have the labels and
---`value`. In the place of a histogram's number there is `{ count =, sum = }`.
---
---```lua
---local stats = lunesse.stats()
---if stats.lunesse_streams > 1000 then lunesse.log.info("busy", stats.lunesse_limit_total) end
---```
---@return table<string, any> stats
function lunesse.stats() end

return lunesse
