-- One channel, read in two ways: as an event stream, and by long polls, for programs and networks
-- in which no answer may stay open. Both have the same events under the same ids.
--
--   curl -N -H "Accept: text/event-stream" localhost:3000/poll/news
--   curl "localhost:3000/poll/news?wait=20"                 # says {"events": [], "cursor": "C"}
--   curl "localhost:3000/poll/news?wait=20&after=C"         # waits until there is something
--   curl localhost:3000/poll/news -d '{"text": "full moon tonight"}'
--
-- A poll is answered as soon as there are events, and at last after `wait` seconds. Whoever asks
-- again with the cursor of the last answer misses nothing. Where the cursor leads nowhere, because
-- what followed it is no longer kept, the first event has a field `reset`, and behind it is all
-- that the channel has. Anybody may publish here: put a middleware before the route where that is
-- too much.
local lunesse = require "lunesse"
local server = lunesse.server()

local NAME_MAX, TEXT_MAX = 32, 2000 -- characters
local WAIT_MAX, EVENTS_MAX = 60, 100 -- seconds that a poll waits, events of one answer

lunesse.channel_group("poll", { channels = 1000 })

local function refuse(response, status, why)
  return response:status(status):json { error = why }
end

-- The channel of a request; nil when there can be none, and the request is answered.
local function topic_of(request, response)
  local name = request.params.name
  if #name > NAME_MAX or not name:match("^[a-z0-9-]+$") then
    refuse(response, 400, ("a name is 1 to %d of a-z, 0-9 and -"):format(NAME_MAX))
    return nil
  end
  local topic, why = lunesse.channel("poll/" .. name, { group = "poll" })
  if not topic then
    refuse(response, 503, why)
  end
  return topic
end

-- The event stream: what is kept, and then what comes.
local function stream(response, topic)
  response.sse:subscribe(topic, { since = "earliest" })
end

-- The long poll. It waits no longer than its client does, because its route says so.
local function poll(request, response, topic)
  local wait = tonumber(request.query.wait or 0)
  if not (wait and wait >= 0 and wait <= WAIT_MAX) then
    return refuse(response, 400, ("wait is 0 to %d seconds"):format(WAIT_MAX))
  end
  local events, cursor = topic:read {
    after = request.query.after, since = "earliest", max = EVENTS_MAX, wait = wait,
  }
  if not events then
    return refuse(response, 503, cursor)
  end
  response:header("Cache-Control", "no-store")
  response:json { events = events, cursor = cursor }
end

server:get("/poll/:name", { on_leave = "cancel" }, function(request, response)
  local topic = topic_of(request, response)
  local which = request:accepts("application/json", "text/event-stream")
  if topic and which == "text/event-stream" then
    stream(response, topic)
  elseif topic then
    poll(request, response, topic)
  end
end)

server:post("/poll/:name", { body_bytes = 16 * 1024 }, function(request, response)
  local topic = topic_of(request, response)
  if not topic then
    return
  end
  local message, why = request:json()
  local text = type(message) == "table" and message.text
  if message == nil then
    return refuse(response, 400, "the body is not JSON: " .. why)
  elseif type(text) ~= "string" or utf8.len(text) > TEXT_MAX then -- what came as JSON is UTF-8
    return refuse(response, 400, ('a body like {"text": "full moon"} expected, with at most %d ' ..
      "characters"):format(TEXT_MAX))
  end
  local id
  id, why = topic:publish("said", { text = text })
  if not id then
    return refuse(response, 503, why)
  end
  response:status(201):json { id = id }
end)
