-- How many requests, and how many open streams, one client may have, over all workers. A shared
-- store has one number for each client: the time at which all that it has asked for is paid off, if
-- each request costs `window / requests` (the generic cell rate algorithm). So a quota comes back
-- bit by bit, there is no edge of a window at which twice as much passes, and the number goes by
-- itself when its time is over.
local core = require "lunesse.core"
local log = require "lunesse.log"
local options = require "lunesse.web.options"

local MICRO = 1000000
local WARN_SECONDS = 60
local BUSY_SECONDS = 10 -- after which a client with too many streams may look again
local STORE_BYTES = 8 * 2 ^ 20 | 0

local known = {
  requests = { kind = options.count },
  window = { kind = options.seconds, default = 60 },
  streams = { kind = options.count },
  key = { kind = options.fn },
  name = { kind = options.token },
}

local name_count = 0 -- of limits without a name

-- The client: its address, or of an address of IPv6 the network that one household has.
local function client_of(request)
  local ip = request.ip or "unknown"
  local four = ip:match("^::ffff:(%d+%.%d+%.%d+%.%d+)$")
  if four or not ip:find(":", 1, true) then
    return four or ip
  end
  local groups, behind = {}, {}
  local head, tail = ip:match("^(.-)::(.*)$")
  for group in (head or ip):gmatch("[^:]+") do
    groups[#groups + 1] = group
  end
  for group in (tail or ""):gmatch("[^:]+") do
    behind[#behind + 1] = group
  end
  for _ = #groups + #behind + 1, 8 do
    groups[#groups + 1] = "0"
  end
  table.move(behind, 1, #behind, #groups + 1, groups)
  return table.concat(groups, ":", 1, 4)
end

-- Whether what is answered may become an event stream: the client asks for one by name, or the
-- route streams whatever the client says.
local function is_stream(request, response)
  return response.sse ~= nil
    and (request:accepts("text/plain", "text/event-stream") == "text/event-stream"
      or request:accepts("text/event-stream") == nil)
end

local warned_at

-- A full store lets requests through: the limit is for those who ask too much, and must not stop
-- everybody when somebody has filled it with names.
local function warn(name)
  local now = core.clock()
  if not warned_at or now - warned_at >= WARN_SECONDS then
    warned_at = now
    log.warn("web.limit: the store is full, so requests pass uncounted", { limit = name })
  end
end

-- Takes one from the quota of `key`: how many are left and in how many seconds all are there again;
-- or false, in how many seconds there is one, and in how many all are there. Returns nothing when
-- it could not be counted.
local function take(store, key, cost, window)
  repeat
    local now = core.clock() * MICRO // 1 | 0
    local old = store:get(key)
    local paid = math.max(old or now, now)
    local owed = paid + cost - now
    if owed > window then
      return false, math.ceil((owed - window) / MICRO), math.ceil((paid - now) / MICRO)
    end
    local ok, _, code = store:replace(key, old, now + owed, { ttl = owed / MICRO })
    if ok then
      return (window - owed) // cost, 0, math.ceil(owed / MICRO)
    end
  until code ~= "ESTALE"
end

local function refuse(response, seconds, why)
  response:header("Retry-After", seconds)
  return response:status(429):send(("429: %s; try again in %d s\n"):format(why, seconds))
end

return function(given)
  local read = options.read("limit", given, known)
  if not read.requests and not read.streams then
    options.fail("web.limit: say how many requests, or how many streams")
  end
  if not read.name then
    name_count = name_count + 1
    read.name = name_count == 1 and "default" or "default-" .. name_count
  end
  local store = core.shared("lunesse.web.limit", { bytes = STORE_BYTES })
  local key_of = read.key or client_of
  local window = read.window * MICRO // 1 | 0
  local cost = read.requests and window // read.requests
  local policy = read.requests and ("\"%s\";q=%d;w=%d"):format(read.name, read.requests,
    math.ceil(read.window))
  if cost == 0 then
    options.fail("web.limit: so many requests in so short a window are no limit")
  end

  -- Returns whether the request is within its quota.
  local function has_quota(key, response)
    local left, wait, all = take(store, key, cost, window)
    response:add_header("RateLimit-Policy", policy)
    if left == nil then
      warn(read.name)
      return true
    end
    response:add_header("RateLimit", ("\"%s\";r=%d;t=%d"):format(read.name, left or 0, all))
    return left ~= false, wait
  end

  -- Counts the stream until it ends. Returns false when there are too many already.
  local function open(key, response)
    local count = store:incr(key, 1)
    if not count then
      warn(read.name)
      return true
    end
    local function close()
      if store:incr(key, -1) == 0 then
        store:replace(key, 0, nil)
      end
    end
    if count > read.streams then
      close()
      return false
    end
    response:once("close", close)
    return true
  end

  return function(request, response, next)
    local key = key_of(request)
    if key == nil then
      return next()
    end
    key = read.name .. " " .. tostring(key)
    if read.requests then
      local may_pass, wait = has_quota(key, response)
      if not may_pass then
        return refuse(response, wait, "too many requests")
      end
    end
    if read.streams and is_stream(request, response) and not open(key .. " open", response) then
      return refuse(response, BUSY_SECONDS, "too many open streams")
    end
    return next()
  end
end
