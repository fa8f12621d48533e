-- A door for other programs: what they POST to a channel, its readers are sent. So an application
-- in any language can have live pages: they listen here, or at a route of another script that
-- subscribes to the channel (names here are of a-z, 0-9 and -), and the application publishes with
-- one request. In three terminals:
--
--   LUNESSE_PUBLISH_TOKEN=moonshine lunesse scripts/publish.lua
--
--   curl -N localhost:3000/channels/news
--   curl "localhost:3000/channels/news?event=headline" -H "Authorization: Bearer moonshine" \
--     -H "Content-Type: application/json" -d '{"title": "full moon tonight"}'
--
-- The body is the event's data as it stands, in UTF-8: JSON (which has to be JSON) or plain text.
-- Nothing is taken apart and put together again, so `[]` stays `[]`, and long numbers keep their
-- digits. Line ends become LF, as event streams have it. The event's name is in the query; without
-- one it is a `message`.
--
-- Publishing takes the token, a secret such as `openssl rand -hex 32` makes. Reading takes nothing:
-- put a middleware before /channels where not everybody may. Pages of other origins are refused.
-- What the channels that were made here may hold together is bounded, so that a program which
-- publishes to ever new names, or peers who read them, leave other scripts theirs.
local lunesse = require "lunesse"
local server = lunesse.server()

local TOKEN = os.getenv("LUNESSE_PUBLISH_TOKEN")
local NAME_MAX, EVENT_MAX = 64, 64 -- characters
local BODY_MAX = 64 * 1024 -- bytes

lunesse.channel_group("published", { channels = 10000, bytes = 64 * 1024 * 1024 })

-- Whether the token is the one that was `given`, in a time that depends on the length of `given`
-- alone: not on where the two differ, nor on how long the token is. This hides what one comparison
-- would tell. What the interpreter does around it, such as collecting garbage, has nothing to do
-- with the token, but is noise of its own; and a token that can be guessed is not helped by this.
local function is_token(given)
  local difference = #given ~ #TOKEN
  for i = 1, #given do
    difference = difference | given:byte(i) ~ TOKEN:byte((i - 1) % #TOKEN + 1)
  end
  return difference == 0
end

local function refuse(response, status, why)
  response:status(status):json { error = why }
end

-- Lets those pass that a page of this server sent, or no page at all, such as curl. A browser says
-- where a request comes from: in `Sec-Fetch-Site`, over HTTPS and to localhost, and in `Origin`. A
-- page of another origin could otherwise read or publish from the address of whoever has it open.
local function with_own_origin(request, response, next)
  local site, origin = request.headers["sec-fetch-site"], request.headers["origin"]
  local is_own = site == "same-origin" or site == "none"
  if not site then
    local host = (request.headers["host"] or ""):lower()
    is_own = not origin or origin:lower():match("^https?://(.*)$") == host
  end
  if not is_own then
    return refuse(response, 403, "this is for pages of this server")
  end
  return next()
end

-- Lets those pass that have the token. The others are answered.
local function with_token(request, response, next)
  if not TOKEN or TOKEN == "" then
    return refuse(response, 503, "publishing is off: start the server with a secret in its " ..
      "environment, LUNESSE_PUBLISH_TOKEN, and send it as Authorization: Bearer")
  end
  local scheme, given = (request.headers["authorization"] or ""):match("^(%a+) +(%S+)$")
  if not scheme or scheme:lower() ~= "bearer" then
    response:header("WWW-Authenticate", 'Bearer realm="channels"')
    return refuse(response, 401, "publishing takes a token: Authorization: Bearer")
  elseif not is_token(given) then
    response:header("WWW-Authenticate", 'Bearer realm="channels", error="invalid_token"')
    return refuse(response, 401, "this is not the token")
  end
  return next()
end

-- The channel of a request, by its name; nil when there can be no such channel, and it is answered.
-- It has the options that another script gave it, or the usual ones and a place in our group.
local function channel_of(request, response)
  local name = request.params.name
  if #name > NAME_MAX or not name:match("^[a-z0-9-]+$") then
    refuse(response, 400, ("a channel's name is 1 to %d of a-z, 0-9 and -"):format(NAME_MAX))
    return nil
  end
  local channel, why = lunesse.channel(name, { group = "published" })
  if not channel then
    refuse(response, 503, why)
  end
  return channel
end

-- The media type of the body in lower case, without parameters; nil when it is not in UTF-8.
local function type_of(request)
  local header = (request.headers["content-type"] or ""):lower()
  local charset = header:match(';%s*charset="?([^"%s;]*)')
  if charset and charset ~= "utf-8" and charset ~= "us-ascii" then
    return nil
  end
  return header:match("^[^;%s]*")
end

-- The event that a request asks for; nil, the status and why when it is none.
local function event_of(request)
  local mime, data, event = type_of(request), request:text(), request.query.event
  if mime ~= "application/json" and mime ~= "text/plain" then
    return nil, 415, ("the data is application/json or text/plain, in UTF-8; its Content-Type " ..
      "says '%s'"):format(request.headers["content-type"] or "")
  elseif event and (#event > EVENT_MAX or not event:match("^[%w._:-]+$")) then
    return nil, 400, ("an event's name is 1 to %d of a-z, A-Z, 0-9 and ._:-"):format(EVENT_MAX)
  elseif not utf8.len(data) then
    return nil, 400, "the body is not UTF-8"
  end
  if mime == "application/json" then
    local value, why = request:json()
    if value == nil then
      return nil, 400, "the body is not JSON: " .. why
    end
  end
  return lunesse.event { event = event, data = data }
end

local function publish(request, response)
  local event, status, why = event_of(request)
  if not event then
    return refuse(response, status, why)
  end
  local channel = channel_of(request, response)
  if not channel then
    return
  end
  local id
  id, why = channel:publish(event)
  if not id then
    return refuse(response, 503, why)
  end
  response:status(201):json { id = id }
end

server:post("/channels/:name", { body_bytes = BODY_MAX }, with_own_origin, with_token, publish)

server:get("/channels/:name", with_own_origin, function(request, response)
  local sse = response.sse
  if not sse then
    return refuse(response, 400, "this route speaks text/event-stream")
  end
  local channel = channel_of(request, response)
  if not channel then
    return
  end
  sse:open()
  sse:subscribe(channel) -- from here on, or from where the reader was (Last-Event-ID)
end)
