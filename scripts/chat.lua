-- Rooms to talk in: whoever comes sees what was said before, and how many are there; whoever lost
-- the connection is given exactly what was missed. The page at /chat is the file chat.html. It uses
-- these two routes, and so can curl:
--
--   curl -N localhost:3000/chat/lobby/events
--   curl localhost:3000/chat/lobby -d '{"name": "Ada", "text": "good evening"}'
--
-- A room's stream has the events `said` {"name", "text", "at"}, `presence` (how many readers there
-- are; every fifteen seconds at least) and the engine's `reset`: what follows it is all there is.
-- Rooms are kept in memory, and anybody may take any name: whoever wants more puts a middleware
-- before /chat. Pages of other origins are refused. What peers can use up is bounded: all rooms
-- together, and the rooms that one address opens in an hour. Behind a proxy all have the proxy's
-- address: there `address_of` has to read what the proxy says (X-Forwarded-For).
local lunesse = require "lunesse"
local server = lunesse.server()

-- What a room remembers: so many messages, bytes and seconds.
local ROOM = { history = 500, bytes = 256 * 1024, ttl = 24 * 3600, group = "chat" }

-- Presence has a channel of its own, so that coming and going takes no place in a room's history.
-- Whoever comes is told the number anyway, so what was missed of it has another name than `reset`.
local PRESENCE = { history = 100, reset_event = "recounted", group = "chat" }

-- The names of rooms come from peers. What all rooms may hold together, with two channels each, is
-- a group's; what other scripts need is not touched. And how many rooms that nobody else has opened
-- one address may open in so many seconds.
lunesse.channel_group("chat", { channels = 10000, bytes = 64 * 1024 * 1024 })
local OPENED_MAX, OPENED_SECONDS = 100, 3600
local opened = lunesse.shared("chat/opened", { bytes = 8 * 1024 * 1024 })

local ROOM_MAX, NAME_MAX, TEXT_MAX, KEY_MAX = 32, 32, 2000, 64 -- characters

-- How soon a room is told that readers came or left. A crowd that comes at once is one event, and a
-- reader that is back within three seconds was never away.
local JOIN_SECONDS, LEAVE_SECONDS = 0.2, 3

-- How often a room with readers says that it is there, where nobody speaks. A browser tells its
-- page nothing of the engine's own heartbeats; a page that misses two of these connects anew.
local BEAT_SECONDS = 15

-- A script is given its own path, so it finds what lies beside it from wherever it was started.
local path = ...
local file = assert(io.open((path:gsub("%.lua$", ".html")), "rb"))
local page = file:read("a")
file:close()

-- The page loads and asks nothing but this server, and cannot make HTML of what people write: the
-- browser itself refuses `innerHTML` and its like.
local POLICY = table.concat({
  "default-src 'none'", "connect-src 'self'", "img-src data:", "style-src 'unsafe-inline'",
  "script-src 'unsafe-inline'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
  "require-trusted-types-for 'script'", "trusted-types 'none'",
}, "; ")

local function refuse(response, why, status)
  return response:status(status or 400):json { error = why }
end

-- Lets those pass that a page of this server sent, or no page at all, such as curl. A browser says
-- where a request comes from: in `Sec-Fetch-Site`, over HTTPS and to localhost, and in `Origin`. A
-- page of another origin could otherwise speak from the address of whoever has it open.
local function with_own_origin(request, response, next)
  local site, origin = request.headers["sec-fetch-site"], request.headers["origin"]
  local is_own = site == "same-origin" or site == "none"
  if not site then
    local host = (request.headers["host"] or ""):lower()
    is_own = not origin or origin:lower():match("^https?://(.*)$") == host
  end
  if not is_own then
    return refuse(response, "this is for pages of this server", 403)
  end
  return next()
end

-- What one peer has to itself: an IPv4 address, or the half of an IPv6 address that a provider
-- gives to one customer.
local function part_of(ip)
  if not ip:find(":") or ip:find("%.") then
    return ip
  end
  local parts = {}
  for part in (ip:match("^(.-)::") or ip):gmatch("%x+") do
    parts[#parts + 1] = #parts < 4 and part or nil
  end
  return table.concat(parts, ":")
end

-- What is counted as one peer. A proxy on this machine adds the address of its peer as the last of
-- a list; the peer may have written the others.
local function address_of(request)
  local is_proxy = request.ip == "unix" or request.ip == "127.0.0.1"
  local list = is_proxy and request.headers["x-forwarded-for"]
  return part_of(list and list:match("[^, ]+$") or request.ip)
end

-- Whether the peer may use the room: one that somebody reads, or has said something in, or one more
-- of its own. Those it has opened count for an hour. Where the store is full of others, it is the
-- group's ceiling that counts.
local function may_open(request, room)
  if room.subscribers > 0 or not room:cursor():match("%-0$") then
    return true
  end
  local address = address_of(request)
  local key = address .. " " .. room.name
  if opened:get(key) then
    return true
  elseif (opened:get(address) or 0) >= OPENED_MAX then
    return false
  end
  opened:set(key, true, { ttl = OPENED_SECONDS })
  opened:incr(address, 1, { ttl = OPENED_SECONDS })
  return true
end

local function is_room(request, response)
  local name = request.params.room
  if #name > ROOM_MAX or not name:match("^[a-z0-9-]+$") then
    refuse(response, ("a room's name is 1 to %d of a-z, 0-9 and -"):format(ROOM_MAX))
    return false
  end
  return true
end

-- The channel of what is said in a request's room; nil when there can be no such room, or no more
-- of them, and the request is answered.
local function room_of(request, response)
  if not is_room(request, response) then
    return nil
  end
  local room, why = lunesse.channel("chat/" .. request.params.room, ROOM)
  if not room then
    refuse(response, why, 503)
    return nil
  elseif not may_open(request, room) then
    refuse(response, ("your address has opened %d rooms in an hour"):format(OPENED_MAX), 429)
    return nil
  end
  return room
end

local due = {} -- by room: when its presence is told next, and the timer for it

-- The number that a room was told last, by whichever worker: its readers are spread over all of
-- them, and what one has told the others need not say again.
local told = lunesse.shared("chat/presence")

local function tell_presence(room, presence, seconds)
  local at, waiting = lunesse.clock() + seconds, due[room.name]
  if waiting and waiting.at <= at then
    return
  elseif waiting then
    waiting.timer:stop()
  end
  -- Detached: the stream for which this was asked may be over by then, or is already.
  due[room.name] = { at = at, timer = lunesse.after(seconds, function()
    due[room.name] = nil
    local count = room.subscribers
    if count == 0 then
      told:delete(room.name)
    elseif told:get(room.name) ~= count then
      told:set(room.name, count)
      presence:publish("presence", count)
    end
  end, { detached = true }) }
end

local here = {} -- by room: its channels, and how many of its readers this worker has
local beats = lunesse.shared("chat/beats") -- by room: that a worker has said so lately

lunesse.every(BEAT_SECONDS, function()
  for name, it in pairs(here) do
    -- Of several workers that have readers of a room, one speaks.
    if beats:add(name, true, { ttl = BEAT_SECONDS - 1 }) then
      it.presence:publish("presence", it.room.subscribers)
    end
  end
end, { each_worker = true })

local function arrive(room, presence)
  local it = here[room.name] or { room = room, presence = presence, count = 0 }
  it.count = it.count + 1
  here[room.name] = it
end

local function leave(room)
  local it = here[room.name]
  it.count = it.count - 1
  if it.count == 0 then
    here[room.name] = nil
  end
end

-- A field of a message, without the space around it; or nil and what is wrong with it. Two simple
-- patterns take time by the length of the text. One for both ends would take its square.
local function check_field(what, value, max, controls)
  if type(value) ~= "string" then
    return nil, what .. " is not a string"
  end
  local text = (value:match("%S.*") or ""):match(".*%S") or ""
  local length = utf8.len(text) -- what came as JSON is UTF-8
  if length == 0 then
    return nil, what .. " is empty"
  elseif length > max then
    return nil, ("%s is longer than %d characters"):format(what, max)
  elseif text:find(controls) then
    return nil, what .. " has control characters"
  end
  return text
end

-- A message as it is published, or nil and what is wrong with what came.
local function check_message(value)
  if type(value) ~= "table" then
    return nil, 'a body like {"name": "Ada", "text": "good evening"} expected'
  end
  local name, text, key, why
  name, why = check_field("name", value.name, NAME_MAX, "%c")
  if name then
    text, why = check_field("text", value.text, TEXT_MAX, "[^%C\t\n]")
  end
  if text and value.key ~= nil then
    key, why = check_field("key", value.key, KEY_MAX, "[^%w-]")
  end
  if why then
    return nil, why
  end
  return { name = name, text = text, key = key, at = lunesse.now() // 1 | 0 }
end

server:get("/chat", function(request, response)
  response:type("text/html; charset=utf-8")
  response:header("Cache-Control", "no-cache")
  response:header("Content-Security-Policy", POLICY)
  response:header("X-Content-Type-Options", "nosniff")
  response:send(page)
end)

-- What a person types who has seen the address of a room's stream.
server:get("/chat/:room", function(request, response)
  if is_room(request, response) then
    response:redirect("/chat?room=" .. request.params.room)
  end
end)

server:get("/chat/:room/events", with_own_origin, function(request, response)
  local sse = response.sse
  if not sse then
    return refuse(response, "this route speaks text/event-stream")
  end
  local room = room_of(request, response)
  if not room then
    return
  end
  local presence, why = lunesse.channel(room.name .. "/presence", PRESENCE)
  if not presence then
    return refuse(response, why, 503)
  end

  sse:open { retry = 1 }
  sse:subscribe(room, { since = "earliest" })
  sse:subscribe(presence)
  sse:send("presence", room.subscribers)
  told:delete(room.name) -- this reader was told another number than the rest
  tell_presence(room, presence, JOIN_SECONDS)
  arrive(room, presence)

  -- The handler ends here, and the stream stays open: from now on it is all the engine's work.
  response:once("close", function()
    leave(room)
    tell_presence(room, presence, LEAVE_SECONDS)
  end)
end)

-- A body may also have a `key`: the page makes one for each message, and knows by it which messages
-- are its own, and which it has seen when it had to send one again.
local function say(request, response)
  if not is_room(request, response) then
    return
  end
  local value, why = request:json()
  if value == nil then
    return refuse(response, "the body is not JSON: " .. why)
  end
  local message
  message, why = check_message(value)
  if not message then
    return refuse(response, why)
  end
  local room = room_of(request, response)
  if not room then
    return
  end
  local id
  id, why = room:publish("said", message)
  if not id then
    return response:status(503):json { error = why }
  end
  response:status(201):json { id = id }
end

server:post("/chat/:room", { body_bytes = 32 * 1024 }, with_own_origin, say)
