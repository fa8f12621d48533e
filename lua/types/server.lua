---@meta

---Answers a request. What it returns is ignored.
---@alias lunesse.Handler fun(request: lunesse.Request, response: lunesse.Response)

---Stands before handlers. `next()` runs what comes after it and returns when that has run; without
---it the matter ends here.
---@alias lunesse.Middleware fun(request: lunesse.Request, response: lunesse.Response, next: fun())

---What a route takes, in a table between its pattern and its handler.
---@class (exact) lunesse.RouteOptions
---When the reader of an event stream leaves, before its first byte or after, "cancel" (default)
---ends the handler where it waits; "detach" lets it run to its end. A plain answer's handler runs
---to its end, unless the route says "cancel" in so many words.
---@field on_leave? "cancel" | "detach"
---Largest request body in bytes. Default: the limit of that name; a route for GET, HEAD or OPTIONS
---takes no body without this option or the next, and `request:text()` is then empty.
---@field body_bytes? integer
---With "stream" the handler starts when the head of a request is there, and reads the body while it
---comes, by `request:chunks()`.
---@field body? "stream"
---Whether plain answers (`send`, `json`) of this route are compressed for clients that take it:
---text and JSON from 1 KiB on. Default: what `lunesse.server` was told, and true without that.
---@field compress? boolean
---With true, `request.params` has what `:name` and `*rest` stand for as it came, still
---percent-encoded, and the route takes every path that its pattern matches. Without, values are
---decoded, and 400 answers a path with a `.` or `..` segment, encoded or not, and one with an
---encoded slash in its `*rest`.
---@field raw_path? boolean
---With "always", `response.sse` is there whatever the request's Accept says, but for HEAD: clients
---of language models ask for streams with `Accept: application/json`.
---@field sse? "always"
---Seconds of silence before a heartbeat, or none. Default: the limit of that name.
---@field heartbeat? number | false

---What `server:static` is told of a folder.
---@class (exact) lunesse.StaticOptions
---The file of a folder, or none. Default "index.html".
---@field index? string | false
---Seconds for which a client may keep a file without asking again. Default 0: it asks each time,
---and 304 answers what it has.
---@field cache? integer
---A file in the folder that answers where there is none, unless the path's last part has a dot.
---@field fallback? string
---Whether `name.br` or `name.gz` beside a file is sent to a client that takes it. Default false.
---@field precompressed? boolean

---What stands behind a route's pattern.
---@alias lunesse.RoutePart lunesse.RouteOptions | lunesse.Middleware | lunesse.Handler

---Routes under one prefix. `server:route(prefix)` makes one, and the server itself is one whose
---prefix is empty. Everything here belongs to the script's top level: once the scripts are loaded
---it raises.
---
---A pattern begins with a slash. It is made of literal segments, `:name` for one segment and a
---final `*rest` for all that is left; the values are in `request.params`. A literal wins over
---`:name`, and that over `*rest`.
---HEAD is answered from GET, OPTIONS and 405 by the list of what there is. Two equal routes raise,
---and the message names both places.
---@class lunesse.Group
local Group = {}

---Answers GET requests, and HEAD requests with the same head.
---
---```lua
---server:get("/greet/:name", function(request, response)
---  response:send("hello " .. request.params.name .. "\n")
---end)
---```
---@param pattern string      such as "/room/:name"
---@param ... lunesse.RoutePart  options (may be left out), middlewares, and last the handler
---@return lunesse.Group self
function Group:get(pattern, ...) end

---Answers POST requests.
---
---```lua
---server:post("/echo", { body_bytes = 1024 }, function(request, response)
---  response:send(request:text())
---end)
---```
---@param pattern string      such as "/room/:name"
---@param ... lunesse.RoutePart  options (may be left out), middlewares, and last the handler
---@return lunesse.Group self
function Group:post(pattern, ...) end

---Answers PUT requests.
---@param pattern string      such as "/room/:name"
---@param ... lunesse.RoutePart  options (may be left out), middlewares, and last the handler
---@return lunesse.Group self
function Group:put(pattern, ...) end

---Answers PATCH requests.
---@param pattern string      such as "/room/:name"
---@param ... lunesse.RoutePart  options (may be left out), middlewares, and last the handler
---@return lunesse.Group self
function Group:patch(pattern, ...) end

---Answers DELETE requests.
---@param pattern string      such as "/room/:name"
---@param ... lunesse.RoutePart  options (may be left out), middlewares, and last the handler
---@return lunesse.Group self
function Group:delete(pattern, ...) end

---Answers HEAD requests in place of the GET route of the same pattern.
---@param pattern string      such as "/room/:name"
---@param ... lunesse.RoutePart  options (may be left out), middlewares, and last the handler
---@return lunesse.Group self
function Group:head(pattern, ...) end

---Answers OPTIONS requests in place of the automatic answer with `Allow`.
---@param pattern string      such as "/room/:name"
---@param ... lunesse.RoutePart  options (may be left out), middlewares, and last the handler
---@return lunesse.Group self
function Group:options(pattern, ...) end

---Answers requests of any method for which the pattern has no route of its own.
---@param pattern string      such as "/room/:name"
---@param ... lunesse.RoutePart  options (may be left out), middlewares, and last the handler
---@return lunesse.Group self
function Group:any(pattern, ...) end

---Answers GET and HEAD below `prefix` with the files of a folder, which is beside the script when
---it is relative. Links that lead out of it, and names that begin with a dot, are not there. More
---exact routes go before it.
---
---```lua
---server:static("/", "public", { cache = 3600, fallback = "index.html" })
---```
---@param prefix string  such as "/assets", or "/"
---@param folder string
---@param options? lunesse.StaticOptions
---@return lunesse.Group self
function Group:static(prefix, folder, options) end

---Puts middlewares before every route of this group, wherever in the scripts those are declared;
---with a prefix, before those under it. They run in the order in which they were given, also for
---requests that no route takes.
---
---```lua
---server:use("/admin", function(request, response, next)
---  if request.cookies.key == os.getenv("ADMIN_KEY") then return next() end
---  response:status(403):send("not for you\n")
---end)
---```
---A prefix such as "/admin" (may be left out), then middlewares.
---@param ... string | lunesse.Middleware
---@return lunesse.Group self
function Group:use(...) end

---A group of routes under a prefix.
---
---```lua
---local api = server:route("/api")
---api:get("/time", function(_, response)
---  response:json { now = lunesse.now() }
---end)
---```
---@param prefix string  such as "/api"
---@return lunesse.Group
function Group:route(prefix) end

---The server: what `lunesse.server()` returns. What it has from a group returns the server, so that
---`server:get("/", handler):listen(3000)` is right.
---@class lunesse.Server : lunesse.Group
---Answers GET requests, and HEAD requests with the same head.
---@field get fun(self: lunesse.Server, pattern: string, ...: lunesse.RoutePart): lunesse.Server
---Answers POST requests.
---@field post fun(self: lunesse.Server, pattern: string, ...: lunesse.RoutePart): lunesse.Server
---Answers PUT requests.
---@field put fun(self: lunesse.Server, pattern: string, ...: lunesse.RoutePart): lunesse.Server
---Answers PATCH requests.
---@field patch fun(self: lunesse.Server, pattern: string, ...: lunesse.RoutePart): lunesse.Server
---Answers DELETE requests.
---@field delete fun(self: lunesse.Server, pattern: string, ...: lunesse.RoutePart): lunesse.Server
---Answers HEAD requests in place of the GET route of the same pattern.
---@field head fun(self: lunesse.Server, pattern: string, ...: lunesse.RoutePart): lunesse.Server
---Answers OPTIONS requests in place of the automatic answer with `Allow`.
---@field options fun(self: lunesse.Server, pattern: string, ...: lunesse.RoutePart): lunesse.Server
---Answers requests of any method for which the pattern has no route of its own.
---@field any fun(self: lunesse.Server, pattern: string, ...: lunesse.RoutePart): lunesse.Server
---Puts middlewares before every route, or before those under a prefix.
---@field use fun(self: lunesse.Server, ...: string | lunesse.Middleware): lunesse.Server
local Server = {}

---Answers in the place of a handler that raised before its head was out. Without it, or when it
---raises too, the answer is a plain 500. `raised` is what was raised, a table as it is and a text
---without traceback; the log has all of it either way, and shows a table as JSON. The response has
---status 500 and the headers that middlewares set before the handler began; those that the handler
---set are gone.
---
---```lua
---server:on_error(function(raised, request, response)
---  local status = type(raised) == "table" and raised.status or 500
---  response:status(status):json { error = "sorry", id = request.id }
---end)
---```
---@param fn fun(raised: any, request: lunesse.Request, response: lunesse.Response)
---@return lunesse.Server self
function Server:on_error(fn) end

---Answers requests for paths that no route has. The status is already 404.
---
---```lua
---server:not_found(function(request, response)
---  response:send("there is no " .. request.path .. "\n")
---end)
---```
---@param fn lunesse.Handler
---@return lunesse.Server self
function Server:not_found(fn) end

---Declares headers of every answer, those that the server gives by itself included: 404, 413, 503,
---the refusal of a stream by a full server. A header that the script sets on an answer takes the
---place of the declared one, and an event stream keeps its own. Raises for Content-Type,
---Content-Encoding and what is the engine's.
---
---```lua
---server:headers { ["Access-Control-Allow-Origin"] = "*" }
---```
---@param headers table<string, string | number>
---@return lunesse.Server self
function Server:headers(headers) end

---Declares the hosts that the server answers for. A request whose Host is none of them gets 421
---before any handler, so a page of a stranger's whose name leads to this address reads nothing.
---Case does not count, nor the port unless the declared host has one. The ready path is answered
---for every host, and HTTP/1.0 without Host is answered.
---
---```lua
---server:hosts { "example.com", "localhost", "[::1]" }
---```
---@param hosts string[]
---@return lunesse.Server self
function Server:hosts(hosts) end

---What becomes of this code's streams when newer code takes its place: of those with a handler that
---runs, a timer or a listener. "keep", the default, lets them go on in this code; "end" ends them
---with a short `retry:`, so that they come back to the new one; a function is given them, in this
---code. Streams that only subscribe to channels go on by themselves, whatever is said here.
---
---```lua
---server:on_reload(function(streams)
---  for _, sse in ipairs(streams) do
---    sse:send("moved", "there is newer code")
---    sse:close()
---  end
---end)
---```
---With several workers the function runs in each, for the streams that are there.
---@param what "keep" | "end" | fun(streams: lunesse.Sse[])
---@return lunesse.Server self
function Server:on_reload(what) end

---Where to listen.
---@class (exact) lunesse.ListenAddress
---@field host? string   an IPv4 or IPv6 address or "localhost"; default "127.0.0.1"
---@field port? integer  0 picks a free one
---@field unix? string   path of a Unix socket, in place of host and port
---Each connection begins with a PROXY header, of version 1 or 2, by which a balancer names the
---client: `request.ip`. One without it is closed. Default false.
---@field proxy_protocol? boolean
---@field mode? string | integer  of the socket's file, as chmod writes it: "660" lets its group
---                               connect, too; default: what the umask leaves

---Declares an address; there may be several. The command line's --host, --port and --unix take
---their place. Without any, the server listens on 127.0.0.1 port 3000.
---
---```lua
---server:listen(3000)
---server:listen { host = "0.0.0.0", port = 8080 }
---server:listen { unix = "/run/lunesse.sock", mode = "660" }
---server:listen { host = "10.0.0.5", port = 8081, proxy_protocol = true }
---```
---@param where integer | lunesse.ListenAddress  a port, or an address
---@return lunesse.Server self
function Server:listen(where) end
