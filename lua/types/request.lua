---@meta

---A request, complete with its body, unless its route streams that. It can be read for as long as
---the script holds it, also after the response has ended; a streamed body until then.
---@class lunesse.Request
---@field method string                   "GET"
---@field target string                   as it came: "/room/a?x=1"
---@field path string                     the target's path, percent-encoded where it has to be
---@field query table<string, string>     decoded; of a repeated name the last value
---@field params table<string, string>    what `:name` and `*rest` of the pattern stand for, decoded
---@field headers table<string, string>   blind to case; repeated: joined by ", ", Cookie by "; "
---@field cookies table<string, string>   by name; of a repeated name the first value
---The address of the peer, or "unix"; behind a proxy that is trusted (`lunesse.web.trust_proxy`),
---what it says of the client, which may be "unknown" or a name such as "_gazonk". It is nil when
---it is first asked for after the peer has left; so are `scheme` and `host`.
---@field ip string?
---@field scheme "http" | "https" | nil   what the client asked by, as a trusted proxy says
---@field host string?                    that the client asked for: "example.com:8080"
---@field id string                       names this request in the log
---@field http_version "1.0" | "1.1"
---@field state table                    empty at first: for middlewares to say what they found
---@field last_event_id string?           header Last-Event-ID, or the query's `last_event_id`,
---                                       or its `lastEventId`
local Request = {}

---The body as it came; empty when there was none. Raises on a route with `body = "stream"`.
---@return string
function Request:text() end

---What a streamed body may fail with.
---@alias lunesse.BodyCode
---| "EMSGSIZE"    # it is larger than the route takes
---| "ETIMEDOUT"   # it stalled for `body_timeout`, or came slower than `body_rate`
---| "ECONNRESET"  # the peer ended, or left, before it was complete
---| "EBADMSG"     # its chunks, or its parts, are malformed
---| "ETYPE"       # it is not multipart/form-data
---| "ENOBUFS"     # all bodies together are more than `body_total_bytes`
---| "ECLOSED"     # the server, or the response, has ended

---The body in pieces, for a loop. On a route with `body = "stream"` they come while the peer sends
---them, and a handler that does not ask for the next one holds the peer back. On any other route
---the body is one piece. A body that is not complete raises; a handler that lets that pass is
---answered for with the status that says why (413, 408, 400, 503).
---
---```lua
---for piece in request:chunks() do
---  size = size + #piece
---end
---```
---@return fun(): string? next_piece
function Request:chunks() end

---The next piece of a streamed body; nil and nothing else behind the last one. Waits for it.
---@return string? piece
---@return string? err
---@return lunesse.BodyCode? code
function Request:read() end

---The body as JSON, as `lunesse.json.decode` reads it. The type that the peer gives it is not
---looked at. JSON's null is `lunesse.json.null`. Other tasks run while a long body is read.
---
---```lua
---local said, why = request:json()
---if said == nil then
---  return response:status(400):send(why .. "\n")
---end
---```
---@return any value
---@return string? err
---@return "EJSON" | nil code
function Request:json() end

---What `request:multipart` takes.
---@class (exact) lunesse.MultipartOptions
---Most parts. Default 1000.
---@field parts? integer
---Most bytes that are read of a part. Default: the bound of the body.
---@field part_bytes? integer
---Most bytes of a part's header fields. Default 16 KiB.
---@field head_bytes? integer

---The parts of a body of the type multipart/form-data, for a loop: the fields and files of a form,
---in the order in which they come. What the loop does not read of a part is passed over. On a route
---with `body = "stream"` they are read while they come. It raises as `request:chunks` does, and
---for a body that is no such form (415), is malformed (400), or breaks a bound (413).
---
---```lua
---for part in request:multipart() do
---  lunesse.log.info("part", { name = part.name, text = part:text() })
---end
---```
---@param options? lunesse.MultipartOptions
---@return fun(): lunesse.Part? next_part
function Request:multipart(options) end

---A part of a form, made by `request:multipart`. It can be read until the loop goes on.
---@class lunesse.Part
---@field name string                     of the field
---The last part of the path that the peer gives a file; nil for what is no file. It is what the
---peer says, and no name for a file of the server.
---@field filename string?
---@field type string                     its Content-Type; without one "text/plain"
---@field headers table<string, string>   blind to case
local Part = {}

---All of the part, or what is left of it. A larger one is `nil, why, "EMSGSIZE"`.
---@param bytes_max? integer  default 1 MiB
---@return string? text
---@return string? err
---@return lunesse.BodyCode? code
function Part:text(bytes_max) end

---The part in pieces, for a loop, which raises as `request:chunks` does.
---@return fun(): string? next_piece
function Part:chunks() end

---The next piece; nil and nothing else behind the last one.
---@return string? piece
---@return string? err
---@return lunesse.BodyCode? code
function Part:read() end

---Writes the part to a file, while it comes and on another thread: neither a turn of the worker nor
---its memory has much of it. The file is there, under its name, only when it is whole; whatever
---goes wrong, nothing is left. Returns how many bytes it has.
---
---```lua
---for part in request:multipart() do
---  local size, why, code = part:save("photos/" .. part.name:gsub("%W", "_"))
---end
---```
---@param path string  a relative one lies beside the script of the route
---@param options? lunesse.SaveOptions
---@return integer? bytes
---@return string? err
---@return lunesse.SaveCode | lunesse.BodyCode | nil code
function Part:save(path, options) end

---What `part:save` takes.
---@class (exact) lunesse.SaveOptions
---Whether a file of that name is replaced. Default false: it is left, and the code is "EEXIST".
---@field replace? boolean

---What saving a part may fail with, besides what reading it may.
---@alias lunesse.SaveCode
---| "EEXIST"      # there is a file of this name already
---| "ENOENT"      # there is no such folder
---| "EACCES"      # the server may not write there
---| "ENOSPC"      # the disk is full
---| "EFBIG"       # the system allows no file that large
---| "EMFILE"      # too many files are open
---| "EAGAIN"      # the system starts no thread
---| "EIO"         # what else the system says

---The fields of a body of the type application/x-www-form-urlencoded; of a repeated name the last
---value.
---
---```lua
---local form, why = request:form()
---local name = form and form.name
---```
---@return table<string, string>? fields
---@return string? err
---@return "ETYPE" | nil code
function Request:form() end

---All values of a name in the query, in their order; an empty table when there is none.
---
---```lua
----- /search?tag=sea&tag=moon
---for _, tag in ipairs(request:query_values("tag")) do
---  search(tag)
---end
---```
---@param name string
---@return string[]
function Request:query_values(name) end

---Which of these media types the client likes best, by its Accept header; of equals the first. nil
---when it takes none of them. Without the header it takes all.
---
---```lua
---if request:accepts("text/html", "application/json") == "application/json" then
---  return response:json(report)
---end
---```
---@param ... string  media types such as "text/html"
---@return string? type
function Request:accepts(...) end

---The value of a cookie that `response:cookie` has signed, or npm's `cookie-signature`, or Express.
---Each of several keys may have signed it, so a new key is put in front of the list, and the old
---one goes when its cookies have expired.
---
---```lua
---local user = request:signed_cookie("user", { key, "the old key" })
---```
---@param name string
---@param key string | string[]
---@return string? value
---@return string? err
---@return "ENOENT" | "EBADMSG" | nil code  it is not there, or none of the keys has signed it
function Request:signed_cookie(name, key) end
