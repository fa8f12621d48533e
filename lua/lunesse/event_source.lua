-- `http.event_source`: the events of an event stream of another server, over as many connections
-- as it takes (WHATWG HTML, section 9.2). A connection that ends, is cut, or does not come about is
-- followed by another one, which says the last id that has come. Only the answers for which the
-- standard says so end the source, and failures that the next try would meet again.
--
-- Unlike in the standard's text, and as in every browser, the last id goes over to the next
-- connection, so an event without an id leaves it as it is.
local core = require "lunesse.core"
local log = require "lunesse.log"
local page = require "lunesse.page"

local Source = {}
Source.__index = Source

local first_wait <const> = 3 -- seconds, until the server says `retry`
local least_wait <const> = 0.1
local least_backoff <const> = 1
local longest_backoff <const> = 60
local longest_retry <const> = 10 ^ 9 -- milliseconds: eleven days

-- What the next try would meet again.
local is_final = {
  EINVAL = true, EREDIRECT = true, EMSGSIZE = true, ECERT = true, EACCES = true, ECLOSED = true,
  EPRIVATE = true,
}

-- How many seconds to wait before the next connection. Connections in a row that brought nothing
-- double the time. The part that is left to chance keeps clients apart that lost their connections
-- at the same time.
local function wait_of(self)
  local wait = math.max(self.retry, least_wait)
  if self.tries > 1 then
    local longest = math.max(longest_backoff, wait)
    wait = math.min(math.max(wait, least_backoff) * 2.0 ^ (self.tries - 1), longest)
  end
  return wait * (1 + math.random() / 2)
end

local function pause(self, why)
  self.tries = self.tries + 1
  local seconds = wait_of(self)
  if why then
    log.warn("event source lost its connection", { url = self.url, why = why,
      next_in = ("%.1f s"):format(seconds) })
  end
  core.sleep(seconds)
end

local function drop(self)
  if self.answer then
    self.answer:close()
  end
  self.answer = nil
end

-- Ends the loop. A 204 is the server's way to ask for that, and no failure.
local function stop(self, why, code)
  self:__close()
  if why and code ~= "ECLOSED" then
    log.warn("event source ended", { url = self.url, why = why })
  end
  return nil, why, code
end

-- Why an answer is not the stream that was asked for; nil when it is.
local function complaint_of(answer)
  local kind = (answer.headers["content-type"] or ""):match("^%s*([^;%s]*)")
  if answer.status ~= 200 then
    return ("%s: answered %d instead of an event stream"):format(answer.url, answer.status)
  elseif kind:lower() ~= "text/event-stream" then
    return ("%s: answered with the type '%s' instead of text/event-stream"):format(answer.url, kind)
  end
end

-- A block of the stream: the event that it is, or nil when it has no data.
local function take(self, fields)
  if fields.id then
    self.last_id = fields.id ~= "" and page.cleaned(fields.id) or nil
  end
  local digits = fields.retry and fields.retry:match("^0*(%d+)$")
  if digits then
    self.retry = math.min(tonumber(digits), longest_retry) / 1000
  end
  self.tries = 0
  return fields.data and page.event_of { event = fields.event, data = fields.data }
end

-- The next event of the connection; nil, why and a code when it has been lost.
local function next_of_connection(self)
  while true do
    local fields, why, code = core.http_event(self.answer._stream)
    local event = fields and take(self, fields)
    if event or not fields then
      return event, why, code
    end
  end
end

-- The next event and the id to keep.
local function next_event(self)
  while not self.is_over do
    local event, why, code
    if not self.answer then
      self.answer, why, code = self.ask(self.last_id)
      local complaint = self.answer and complaint_of(self.answer)
      if complaint then
        local is_asked_to = self.answer.status == 204
        return stop(self, not is_asked_to and complaint or nil, not is_asked_to and "EPROTO" or nil)
      end
    end
    if self.answer then
      event, why, code = next_of_connection(self)
    end
    if event then
      return event, self.last_id
    elseif is_final[code] then
      return stop(self, why, code)
    end
    drop(self)
    pause(self, why)
  end
  return nil
end

function Source:__close()
  drop(self)
  self.is_over = true
end

-- An iterator for a loop. `ask` opens a connection that says `last_id`, and returns its page, or
-- nil, why and a code.
return function(url, last_id, ask)
  local self = setmetatable({
    url = url, ask = ask, last_id = last_id, retry = first_wait, tries = 0,
  }, Source)
  return function()
    return next_event(self)
  end, nil, nil, self
end
