---@meta

---What a listener of a response can wait for. `close` comes exactly once, at the end, with the
---reason: "finished" (all of it is out), "left" (the peer), "slow" (it did not read), "failed" (the
---handler), "timeout" (the peer took nothing, or did not answer the kernel, for `peer_timeout`),
---"shutdown" (of the server), "reload" (new scripts ended it) or "refused". An event stream is
---complete for its reader only with "finished". `finish` and `abort` come just before it: all of it
---went out, or not. `drain`: what a waiting sender waited for. `error`: a handler, timer or
---callback of this request raised; with the message.
---@alias lunesse.ResponseEvent "close" | "abort" | "finish" | "drain" | "error"

---A response, for one request. The engine writes what frames it: Content-Length, Transfer-Encoding,
---Connection and Date are not for scripts to set. After the peer has left every method is safe:
---those that send return `nil, "closed", "ECLOSED"`, the others do nothing.
---@class lunesse.Response
---@field headers_sent boolean  the head is out, and can no longer be changed
---@field completed boolean     the answer is complete, or over
---The event stream; nil for HEAD and where Accept has no event stream.
---@field sse lunesse.Sse?
local Response = {}

---Sets the status, or without an argument returns it. It is 200 at first. Raises once the head is
---out.
---
---```lua
---response:status(404):send("no such room\n")
---```
---@param code integer  200 to 599
---@return lunesse.Response self
---@overload fun(self: lunesse.Response): integer
function Response:status(code) end

---Sets a header in place of those of the same name, or without a value returns it. A name or value
---that cannot stand in a head raises, and so do the names that the engine writes.
---
---```lua
---response:header("Cache-Control", "max-age=60")
---```
---@param name string
---@param value string | number
---@return lunesse.Response self
---@overload fun(self: lunesse.Response, name: string): string?
function Response:header(name, value) end

---Adds a header beside those of the same name.
---
---```lua
---response:add_header("Link", "</style.css>; rel=preload")
---```
---@param name string
---@param value string | number
---@return lunesse.Response self
function Response:add_header(name, value) end

---Sets the header Content-Type.
---
---```lua
---response:type("text/html; charset=utf-8"):send(page)
---```
---@param mime string
---@return lunesse.Response self
function Response:type(mime) end

---What a cookie may be given.
---@class (exact) lunesse.CookieOptions
---@field path? string
---@field domain? string
---@field max_age? integer                       seconds
---@field expires? number                        seconds since 1970 UTC
---@field secure? boolean                        default false
---@field http_only? boolean                     default false
---@field same_site? "strict" | "lax" | "none"
---@field sign? string | string[]                a key, or several of which the first one signs

---Sets a cookie. A name or value that RFC 6265 does not allow raises: encode it before.
---
---With `sign` the value may have any bytes, and whoever has the cookie cannot change it unnoticed:
---`request:signed_cookie` gives it back. It is signed, not hidden, and its name is not signed: use
---one key for one cookie, or begin the value with what it is for.
---
---```lua
---response:cookie("user", name, { path = "/", http_only = true, same_site = "lax", sign = key })
---```
---@param name string
---@param value string | number
---@param options? lunesse.CookieOptions
---@return lunesse.Response self
function Response:cookie(name, value, options) end

---Answers with this body. The type is text/plain in UTF-8 unless one is set. A second answer
---raises.
---
---```lua
---response:send("hello\n")
---```
---@param body? string | number  default empty
---@return true? ok
---@return string? err
---@return "ECLOSED" | nil code
function Response:send(body) end

---Answers with a value as JSON, as `lunesse.json.encode` writes it. The type is application/json
---unless one is set. What JSON cannot hold raises. Other tasks run while a large value is written.
---
---```lua
---response:status(201):json { id = 7 }
---```
---@param value any
---@return true? ok
---@return string? err
---@return "ECLOSED" | nil code
function Response:json(value) end

---What `response:file` is told of a file.
---@class (exact) lunesse.FileOptions
---The folder that the file is in: neither the path nor a link leads out of it, and nothing in it
---whose name begins with a dot is sent, so the path may come from a peer. Relative to the script
---of the route. Default: none, and any path is opened.
---@field root? string
---The name under which a browser keeps the file, instead of showing it. UTF-8, up to 255 bytes.
---@field download? string
---Seconds for which a client may keep the file without asking again; with 0 it asks each time.
---Default: what the header Cache-Control of the response says.
---@field cache? integer
---Whether `path.br` or `path.gz` is sent in its place to a client that takes it. Default false.
---@field precompressed? boolean

---Answers with a file: with its type, `ETag` and `Last-Modified`, for conditions, ranges and HEAD.
---Waits until the file is open; a large one is then sent on without the handler. Without such a
---file the answer is 404, and this returns `nil`. A relative path is beside the route's script.
---
---```lua
---response:file("2026/may.csv", { root = "reports", download = "May.csv" })
---```
---@param path string
---@param options? lunesse.FileOptions
---@return true? ok
---@return string? err
---@return "ECLOSED" | "ENOENT" | "EISDIR" | "EMFILE" | "EAGAIN" | "EIO" | nil code
function Response:file(path, options) end

---Answers with a redirection.
---
---```lua
---response:redirect("/room/sea", 303)
---```
---@param url string
---@param status? integer  300 to 399, default 302
---@return true? ok
---@return string? err
---@return "ECLOSED" | nil code
function Response:redirect(url, status) end

---Sends the head of a response whose body follows with `write`. A header value may be an array: one
---header each.
---
---```lua
---response:write_head(200, { ["Content-Type"] = "text/plain" })
---response:write("one\n")
---response:finish("two\n")
---```
---@param status integer                                       200 to 599
---@param headers? table<string, string | number | string[]>  beside those that are set
---@return lunesse.Response self
function Response:write_head(status, headers) end

---Sends a piece of the body, as one chunk; the head before it if that is not out. Waits while the
---peer is slow. A handler of a plain response runs on when the peer has left, so it should look at
---what this returns.
---@param chunk string | number
---@return true? ok
---@return string? err
---@return "ECLOSED" | "EMSGSIZE" | nil code
function Response:write(chunk) end

---Ends the body, after one more piece if there is one. Without a head before it, it is `send`
---without a type.
---@param chunk? string | number
---@return true? ok
---@return string? err
---@return "ECLOSED" | "EMSGSIZE" | nil code
function Response:finish(chunk) end

---Calls `fn` whenever the event comes, in a coroutine of its own. After the end, a listener of
---`close` is called at once.
---@param event lunesse.ResponseEvent
---@param fn fun(detail: string)  the reason for `close`, the message for `error`, otherwise ""
---@return lunesse.Response self
function Response:on(event, fn) end

---Calls `fn` the next time the event comes, and then no more.
---
---```lua
---response:once("close", function(reason)
---  reader_count = reader_count - 1
---end)
---```
---@param event lunesse.ResponseEvent
---@param fn fun(detail: string)  the reason for `close`, the message for `error`, otherwise ""
---@return lunesse.Response self
function Response:once(event, fn) end

---Takes a listener away. Does nothing when it was not there.
---@param event lunesse.ResponseEvent
---@param fn function
---@return lunesse.Response self
function Response:off(event, fn) end
