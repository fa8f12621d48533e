---@meta

---Requests to other servers, from handlers, timers and tasks. A request waits as `lunesse.sleep`
---does: other requests are served meanwhile, and it ends with the task that waits for it.
---@class lunesse.http
---@field public lunesse.HttpPublic  the same functions, which reach no private address
local http = {}

---What `http.client` takes.
---@class (exact) lunesse.HttpClientOptions
---What the paths of its requests stand below, such as "https://api.example.com/v1". A client with
---a base speaks to that server alone.
---@field base? string
---Headers of each of its requests.
---@field headers? lunesse.HttpHeaders
---Seconds until a connection stands: from the call, with the wait for a free connection, the name
---and TLS. Default 10.
---@field connect_timeout? number
---Seconds from there to the end of the answer's head. Default 60.
---@field first_byte_timeout? number
---Seconds of silence inside the answer's body. Default 60.
---@field idle_timeout? number
---Bytes of an answer's body at most; a longer one fails with "EMSGSIZE". Default: the limit
---`upstream_body_bytes`.
---@field body_bytes? integer
---The file of certificates (PEM) that it trusts, instead of those of the system.
---@field ca? string
---The file (PEM) of the certificate by which it shows its servers who it is.
---@field certificate? string
---The file (PEM) of that certificate's key, without a password. Default: the file `certificate`.
---@field key? string
---The proxy that all of its requests go through, such as "http://proxy.example.com:3128". By
---default there is none, whatever the environment says.
---@field proxy? string
---The Unix socket that all of its requests go to, whatever host their URLs name.
---@field unix? string
---Requests at a time in one worker; more wait. Default 64.
---@field connections? integer
---Redirects that are followed at most; 0: a redirect is the answer. Default 10.
---@field redirects? integer

---Names to a value, a list of values, or false: without the client's header of this name.
---@alias lunesse.HttpHeaders table<string, string | number | false | (string | number)[]>

---Names to a value, or a list of values.
---@alias lunesse.HttpPairs table<string, string | number | boolean | (string | number | boolean)[]>

---What a request takes. It has one of `json`, `form` and `body`, or none.
---@class (exact) lunesse.HttpRequestOptions
---The body, a value as `lunesse.json.encode` takes it, and the type `application/json`.
---@field json? any
---The body, as a form of a page has it.
---@field form? lunesse.HttpPairs
---The body, as it is.
---@field body? string
---Go before those of the client.
---@field headers? lunesse.HttpHeaders
---Is added to the URL.
---@field query? lunesse.HttpPairs
---The call returns when the head has come, and the body is read while it comes. The stream is
---closed when the task ends that opened it, if not before. Default false.
---@field stream? boolean
---The client's, for this request.
---@field connect_timeout? number
---@field first_byte_timeout? number
---@field idle_timeout? number
---@field body_bytes? integer
---@field redirects? integer

---What all requests can fail with; docs/http-client.md says what each means.
---@alias lunesse.HttpCode string

---A client: what its requests have in common, and the connections that they are sent over. Its
---connections are kept open for its next requests, and are no other client's.
---
---```lua
---local books = lunesse.http.client {
---  base = "https://api.example.com/v1",
---  headers = { authorization = "Bearer " .. token },
---}
---```
---@param options? lunesse.HttpClientOptions
---@return lunesse.HttpClient
function http.client(options) end

---Asks as `client:get` does, with a client that all scripts of a worker share. So do the others.
---
---```lua
---local page, why, code = lunesse.http.get("https://example.com/")
---```
---@param url string
---@param options? lunesse.HttpRequestOptions
---@return lunesse.HttpPage? page
---@return string? err
---@return lunesse.HttpCode? code
function http.get(url, options) end

---@param url string
---@param options? lunesse.HttpRequestOptions
---@return lunesse.HttpPage? page
---@return string? err
---@return lunesse.HttpCode? code
function http.post(url, options) end

---@param url string
---@param options? lunesse.HttpRequestOptions
---@return lunesse.HttpPage? page
---@return string? err
---@return lunesse.HttpCode? code
function http.put(url, options) end

---@param url string
---@param options? lunesse.HttpRequestOptions
---@return lunesse.HttpPage? page
---@return string? err
---@return lunesse.HttpCode? code
function http.patch(url, options) end

---@param url string
---@param options? lunesse.HttpRequestOptions
---@return lunesse.HttpPage? page
---@return string? err
---@return lunesse.HttpCode? code
function http.delete(url, options) end

---@param url string
---@param options? lunesse.HttpRequestOptions
---@return lunesse.HttpPage? page
---@return string? err
---@return lunesse.HttpCode? code
function http.head(url, options) end

---Asks with any method.
---@param method string  "PROPFIND"
---@param url string
---@param options? lunesse.HttpRequestOptions
---@return lunesse.HttpPage? page
---@return string? err
---@return lunesse.HttpCode? code
function http.request(method, url, options) end

---What an event source takes.
---@class (exact) lunesse.EventSourceOptions
---The id that the first connection asks to go on behind: the one that a loop gave before.
---@field last_event_id? string
---Go before those of the client.
---@field headers? lunesse.HttpHeaders
---Is added to the URL.
---@field query? lunesse.HttpPairs
---The client's, for each connection. Silence of `idle_timeout` counts as a lost connection.
---@field connect_timeout? number
---@field first_byte_timeout? number
---@field idle_timeout? number
---Of one event at most.
---@field body_bytes? integer
---@field redirects? integer

---The events of another server's event stream, for a loop, without their ids, so that a channel
---takes them as they are; the second value is the id to keep. A connection that ends or is lost is
---followed by another one, which asks for what comes behind the last id. The loop ends when the
---server answers 204, or anything that is no event stream: then the log says why, and so do the
---iterator's values behind nil.
---
---```lua
---lunesse.after(0, function() -- in one worker
---  for event, id in lunesse.http.event_source("https://example.com/feed") do
---    lunesse.channel("news"):publish(event)
---  end
---end)
---```
---@param url string
---@param options? lunesse.EventSourceOptions
---@return fun(): lunesse.Event?, string?, lunesse.HttpCode? next_event
function http.event_source(url, options) end

---`http.public`: the functions of `http`, for URLs that strangers have given. They connect to
---public addresses alone, and fail with "EPRIVATE" otherwise, also behind a redirect.
---
---```lua
---local page, why, code = lunesse.http.public.get(request.query.url or "")
---```
---@class lunesse.HttpPublic
local HttpPublic = {}

---A client whose requests reach no private address.
---@param options? lunesse.HttpClientOptions
---@return lunesse.HttpClient
function HttpPublic.client(options) end

---@param url string
---@param options? lunesse.HttpRequestOptions
---@return lunesse.HttpPage? page
---@return string? err
---@return lunesse.HttpCode? code
function HttpPublic.get(url, options) end

---@param url string
---@param options? lunesse.HttpRequestOptions
---@return lunesse.HttpPage? page
---@return string? err
---@return lunesse.HttpCode? code
function HttpPublic.post(url, options) end

---@param url string
---@param options? lunesse.HttpRequestOptions
---@return lunesse.HttpPage? page
---@return string? err
---@return lunesse.HttpCode? code
function HttpPublic.put(url, options) end

---@param url string
---@param options? lunesse.HttpRequestOptions
---@return lunesse.HttpPage? page
---@return string? err
---@return lunesse.HttpCode? code
function HttpPublic.patch(url, options) end

---@param url string
---@param options? lunesse.HttpRequestOptions
---@return lunesse.HttpPage? page
---@return string? err
---@return lunesse.HttpCode? code
function HttpPublic.delete(url, options) end

---@param url string
---@param options? lunesse.HttpRequestOptions
---@return lunesse.HttpPage? page
---@return string? err
---@return lunesse.HttpCode? code
function HttpPublic.head(url, options) end

---@param method string  "PROPFIND"
---@param url string
---@param options? lunesse.HttpRequestOptions
---@return lunesse.HttpPage? page
---@return string? err
---@return lunesse.HttpCode? code
function HttpPublic.request(method, url, options) end

---@param url string
---@param options? lunesse.EventSourceOptions
---@return fun(): lunesse.Event?, string?, lunesse.HttpCode? next_event
function HttpPublic.event_source(url, options) end

---Made by `http.client`.
---@class lunesse.HttpClient
local HttpClient = {}

---Sends GET, and waits for the whole answer. An answer of any status is a page; nil and why is for
---requests that got none.
---
---```lua
---local page, why, code = books:get("/new", { query = { limit = 10 } })
---if not page then
---  return response:status(code == "ETIMEDOUT" and 504 or 502):send(why .. "\n")
---end
---```
---@param url string  a path, or a whole URL
---@param options? lunesse.HttpRequestOptions
---@return lunesse.HttpPage? page
---@return string? err
---@return lunesse.HttpCode? code
function HttpClient:get(url, options) end

---```lua
---local page, why = books:post("/orders", { json = { title = "Solaris" } })
---```
---@param url string
---@param options? lunesse.HttpRequestOptions
---@return lunesse.HttpPage? page
---@return string? err
---@return lunesse.HttpCode? code
function HttpClient:post(url, options) end

---@param url string
---@param options? lunesse.HttpRequestOptions
---@return lunesse.HttpPage? page
---@return string? err
---@return lunesse.HttpCode? code
function HttpClient:put(url, options) end

---@param url string
---@param options? lunesse.HttpRequestOptions
---@return lunesse.HttpPage? page
---@return string? err
---@return lunesse.HttpCode? code
function HttpClient:patch(url, options) end

---@param url string
---@param options? lunesse.HttpRequestOptions
---@return lunesse.HttpPage? page
---@return string? err
---@return lunesse.HttpCode? code
function HttpClient:delete(url, options) end

---The answer has headers and no body.
---@param url string
---@param options? lunesse.HttpRequestOptions
---@return lunesse.HttpPage? page
---@return string? err
---@return lunesse.HttpCode? code
function HttpClient:head(url, options) end

---Asks with any method.
---@param method string  "PROPFIND"
---@param url string
---@param options? lunesse.HttpRequestOptions
---@return lunesse.HttpPage? page
---@return string? err
---@return lunesse.HttpCode? code
function HttpClient:request(method, url, options) end

---As `http.event_source`, with the headers and the bounds of the client.
---@param url string
---@param options? lunesse.EventSourceOptions
---@return fun(): lunesse.Event?, string?, lunesse.HttpCode? next_event
function HttpClient:event_source(url, options) end

---An answer.
---@class lunesse.HttpPage
---@field url string                      that it is of, behind all redirects
---@field status integer                  200
---@field headers table<string, string>   blind to case; repeated: joined by ", ", cookies by "\n"
local HttpPage = {}

---The body, unpacked if it came packed by gzip or brotli. Of a stream, what is left of it; that
---waits, and may fail.
---@return string? text
---@return string? err
---@return lunesse.HttpCode? code
function HttpPage:text() end

---The body as JSON, as `lunesse.json.decode` reads it.
---@return any value
---@return string? err
---@return "EJSON" | lunesse.HttpCode | nil code
function HttpPage:json() end

---The body in pieces, for a loop. A stream whose reader is slow is not read on meanwhile. A stream
---that is cut raises; one that the loop is left from is closed.
---
---```lua
---local page = books:get("/all")
---if page then
---  for chunk in page:chunks() do response:write(chunk) end
---end
---```
---@return fun(): string?
function HttpPage:chunks() end

---The events of a stream, for a loop, as `sse:send` takes them. They are read as the standard says;
---an id counts for all events behind it. The loop ends as that of `chunks`.
---
---```lua
---local up <close> = books:get("/changes", { stream = true })
---if up then
---  for event in up:events() do sse:send(event) end
---end
---```
---@return fun(): lunesse.Event?
function HttpPage:events() end

---Closes a stream, and with it the connection. So does a `<close>` variable that leaves its block.
function HttpPage:close() end
