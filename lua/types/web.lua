---@meta

---What web applications need around their handlers. docs/web.md has examples.
---@class lunesse.web
local web = {}

---Names the proxies whose word on a client is taken: `request.ip`, `.scheme` and `.host`, and the
---address in the access log, are then what they say in `Forwarded` or in `X-Forwarded-For`,
---`-Proto` and `-Host`. Each text is an address, a network, "unix", or "forwarded" or
---"x-forwarded": which of the two the proxies write. A request that has both is not believed
---unless one is named. Belongs to the script's top level; further calls add to it. `--trust-proxy`
---takes its place.
---
---```lua
---local server = lunesse.server()
---lunesse.web.trust_proxy { "10.0.0.0/8", "unix" }
---```
---@param list string | string[]
function web.trust_proxy(list) end

---What `web.cors` takes.
---@class (exact) lunesse.CorsOptions
---Who may read: origins such as "https://example.com"; or "*", for answers that are the same for
---everybody; or a function that is given the origin and the request.
---@field origins string[] | "*" | fun(origin: string, request: lunesse.Request): any
---@field credentials? boolean    cookies are sent too. Not with "*". Default false.
---@field methods? string[]       Default: those that the path has.
---Headers that a page may send, beside `Last-Event-ID`; "*" for whatever it asks for. Default
---`Authorization` and `Content-Type`.
---@field headers? string[] | "*"
---@field expose? string[]        headers that a page may read, beside `Last-Event-ID`
---@field max_age? number         seconds for which a preflight is kept. Default 600.
---@field private_network? boolean  pages of the internet may ask a private address. Default false.

---A middleware by which pages of other origins may read the answers, event streams too. It answers
---preflights, so it stands before what asks for a login, and in `server:use`, not at a route: a
---preflight is an OPTIONS request. A page that may not read still has its request answered, without
---the headers: `web.same_origin` refuses it.
---
---```lua
---server:use("/api", lunesse.web.cors { origins = { "https://app.example" }, credentials = true })
---```
---@param options lunesse.CorsOptions
---@return fun(request: lunesse.Request, response: lunesse.Response, next: fun()) middleware
function web.cors(options) end

---What `web.same_origin` takes.
---@class (exact) lunesse.SameOriginOptions
---@field origins? string[]    others that may send requests
---@field same_site? boolean   other hosts of the same site may, too. Default false.
---@field reads? boolean       GET and HEAD are judged as well, but for links. Default false.

---A middleware that answers 403 to what a page of another site sends: to every method but GET, HEAD
---and OPTIONS. It goes by `Sec-Fetch-Site`, or by `Origin` and the host, so forms need no token.
---
---```lua
---server:use(lunesse.web.same_origin())
---```
---@param options? lunesse.SameOriginOptions
---@return fun(request: lunesse.Request, response: lunesse.Response, next: fun()) middleware
function web.same_origin(options) end

---What `web.limit` takes; `requests` or `streams`, or both.
---@class (exact) lunesse.LimitOptions
---@field requests? integer   that a client may send in `window`
---@field window? number      seconds. Default 60.
---@field streams? integer    event streams that a client may have open at once
---Who a request is counted for; nil for nobody. Default: the address, of IPv6 its first 64 bits.
---@field key? fun(request: lunesse.Request): string?
---Names the limit in `RateLimit`. Limits of one name count together. Default "default", then
---"default-2".
---@field name? string

---A middleware that answers 429 with `Retry-After` to a client that asks for too much. The counts
---are those of all workers and outlive a reload. A request takes its part of the quota, which comes
---back evenly: of 60 a minute one a second. Answers have `RateLimit` and `RateLimit-Policy`.
---
---```lua
---server:use(lunesse.web.limit { requests = 100, window = 60, streams = 5 })
---```
---@param options lunesse.LimitOptions
---@return fun(request: lunesse.Request, response: lunesse.Response, next: fun()) middleware
function web.limit(options) end

---What `web.headers` takes. `false` leaves a header out.
---@class (exact) lunesse.HeadersOptions
---The Content-Security-Policy; `'nonce'` in it becomes the nonce of the request. By default scripts
---and styles come from the server itself or have the nonce, and there is no `<object>`.
---@field csp? string | false
---@field report_only? boolean       the policy is told, not enforced. Default false.
---@field frame_ancestors? string    who may show the page in a frame. Default "'none'".
---Seconds for which a browser asks by HTTPS alone; only in answers to who did. Default a year.
---@field hsts? integer | lunesse.HstsOptions | false
---@field referrer? string | false     Referrer-Policy. Default "strict-origin-when-cross-origin".
---@field permissions? string | false  Permissions-Policy. Default false.
---@field opener? string | false       Cross-Origin-Opener-Policy. Default "same-origin".
---@field resource? string | false     Cross-Origin-Resource-Policy. Default false.

---@class (exact) lunesse.HstsOptions
---@field max_age integer       seconds
---@field subdomains? boolean   for the names below this one, too
---@field preload? boolean

---A middleware that sets the headers by which a page is protected from others and from itself. A
---handler may set others in their place. `request.state.nonce` is the nonce for the page's own
---scripts and styles.
---
---```lua
---server:use(lunesse.web.headers { frame_ancestors = "'self'" })
---```
---@param options? lunesse.HeadersOptions
---@return fun(request: lunesse.Request, response: lunesse.Response, next: fun()) middleware
function web.headers(options) end

---@alias lunesse.BasicJudge fun(name: string, password: string, request: lunesse.Request): any

---What `web.basic` takes.
---@class (exact) lunesse.BasicOptions
---Names and passwords; or a function that is given both and the request, and returns who it is, or
---true, or nothing. It may wait, as `lunesse.crypto.password_verify` does.
---@field users table<string, string> | lunesse.BasicJudge
---@field realm? string  what the browser shows. Default "this server".

---A middleware that asks for a name and a password (RFC 7617). `request.state.user` is then the
---name, or what the function has returned. They come in clear text: use it behind TLS.
---
---```lua
---server:use("/admin", lunesse.web.basic { users = { ada = os.getenv("ADMIN") or "moonshine" } })
---```
---@param options lunesse.BasicOptions
---@return fun(request: lunesse.Request, response: lunesse.Response, next: fun()) middleware
function web.basic(options) end

---What `web.bearer` takes: `keys`, `secret` or `jwks`, or several of them.
---@class (exact) lunesse.BearerOptions
---A list of tokens; or whose each token is; or a function that is given the token and the request,
---and returns whose it is, or nothing.
---@field keys? string[] | table<string, any> | fun(token: string, request: lunesse.Request): any
---Signs tokens by HS256: at least 32 bytes that the issuer and this server know. Each of several
---may have signed.
---@field secret? string | string[]
---The public keys of those who sign tokens by RS256, ES256 or EdDSA (RFC 7517): a table, or a URL
---to fetch it from. It begins with https://, or with http:// for this machine itself.
---@field jwks? string | table
---Whom a signed token has to be for (`aud`): one of these. Without it, a token that is for somebody
---is refused.
---@field audience? string | string[]
---@field issuer? string | string[]  whom it has to be from (`iss`). Default anybody with a key.
---@field leeway? number  seconds by which other clocks may be wrong, up to 600. Default 5.
---@field realm? string  Default "this server".
---A name in the query that may have the token, too: an `EventSource` cannot send headers. The
---access log leaves the query out.
---@field query? string

---A middleware that asks for a token (RFC 6750): `Authorization: Bearer t0ken`.
---`request.state.user` is then whose it is, or `true`. Of a signed token (JWT) it is the claim
---`sub`, or `true`, and `request.state.claims` has all claims.
---
---```lua
---server:use("/api", lunesse.web.bearer { keys = { [os.getenv("API_KEY") or "t0ken"] = "ada" } })
---```
---@param options lunesse.BearerOptions
---@return fun(request: lunesse.Request, response: lunesse.Response, next: fun()) middleware
function web.bearer(options) end

---What `web.session` takes.
---@class (exact) lunesse.SessionOptions
---Signs the cookie. Of several keys the first one signs, and each may have signed.
---@field key string | string[]
---Where sessions are kept. Default `lunesse.shared("sessions")`.
---@field store? lunesse.Shared | lunesse.SessionStore
---@field ttl? integer      seconds without a request after which a session ends. Default 14 days.
---Seconds after which it ends however much it is used, counted from its beginning or from the last
---`renew`. Default: none.
---@field lifetime? integer
---@field cookie? string    its name. Default "session".
---@field path? string      Default "/".
---@field domain? string
---@field secure? boolean   the cookie goes over HTTPS alone. Default false.
---@field same_site? "strict" | "lax" | "none"  Default "lax".

---A place for sessions, such as a table of a database. Each function may wait. When it fails, it
---returns nil, a message and a code.
---@class (exact) lunesse.SessionStore
---The text under the id; nil alone when there is none.
---@field load fun(id: string): string?, string?, string?
---Given id, text, seconds and the text `before`, or nil for none: puts the text under the id for so
---many seconds, and returns true, if `before` is what is there; otherwise nil, a message and
---"ESTALE", and all stays as it is.
---@field save fun(id: string, text: string, seconds: number, before: string?): any, any, any
---Takes the text away, and returns whether it was there.
---@field remove fun(id: string): boolean?, string?, string?

---A middleware that finds the session of the browser, and puts it into `request.state.session`.
---The cookie has an id alone; what belongs to the session is in a shared store, so all workers have
---it and it outlives a reload. A session begins with the first value that is set.
---
---```lua
---server:use(lunesse.web.session { key = key, secure = true })
---server:get("/my/name", function(request, response)
---  response:send(request.state.session:get("user") or "nobody")
---end)
---```
---@param options lunesse.SessionOptions
---@return fun(request: lunesse.Request, response: lunesse.Response, next: fun()) middleware
function web.session(options) end

---The values that belong to one browser, in `request.state.session`. See `lunesse.web.session`.
---@class lunesse.Session
---@field id string?  names it in the store; nil while nothing is set
local Session = {}

---The value of this name, as it was when the request came or when the request last set one.
---@param name string
---@return any value
function Session:get(name) end

---Sets a value, or takes it away by nil. What other requests of the session set meanwhile stays.
---The first one sends the cookie, so it raises when the head is sent; so does what JSON cannot
---hold.
---@param name string
---@param value any
---@return true? ok
---@return string? err
---@return "ECLOSED" | "ENOMEM" | "EAGAIN" | string | nil code  ended; no room; too many at once
function Session:set(name, value) end

---Gives the session another id, and ends the old one's. Call it when somebody logs in: who knew the
---id before, or has planted it, then knows nothing.
---@return true? ok
---@return string? err
---@return "ENOMEM" | "ECLOSED" | string | nil code  the store is full; the session has ended
function Session:renew() end

---Ends the session, and takes the cookie away. It fails only with a store that does.
---@return true? ok
---@return string? err
---@return string? code
function Session:destroy() end

---Whether it is still there: for a handler that has waited, such as that of an event stream.
---@return boolean
function Session:is_alive() end
