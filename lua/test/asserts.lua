-- The assertions of the kit. Each is a function that answers whether something holds, with what the
-- assertion returns, or else with the words of the complaint. `asserts.plain` raises by itself, for
-- any test runner; `asserts.register` gives them to luassert, which busted has as `assert`, so that
-- `assert.no.event(stream, "said")` works as well.

local App = require "lunesse.test.app"
local Stream = require "lunesse.test.stream"
local blame = require "lunesse.test.blame"
local json = require "lunesse.test.json"
local match = require "lunesse.test.match"
local show = require "lunesse.test.show"

local asserts = { plain = {} }

local checks = {}
local latest -- the app that was loaded last

---Tells which app is meant where an assertion names none.
function asserts.on_load(app)
  latest = app
end

local function check_stream(stream, name)
  if getmetatable(stream) ~= Stream then
    blame.misuse("assert.%s: a stream (of app:stream) expected, got %s", name, type(stream))
  end
end

---The app that is meant, and the arguments behind it.
local function take_app(name, first, ...)
  if getmetatable(first) == App then
    return first, ...
  elseif not latest or latest.is_stopped then
    blame.misuse("assert.%s: no app is loaded", name)
  end
  return latest, first, ...
end

local function shown(value)
  local ok, text = pcall(json.encode, value)
  return ok and text or tostring(value)
end

---What is wanted of an event, in words.
local function wanted_event(name, data, id)
  return (name and ("an event \"%s\""):format(name) or "an event") ..
    (data ~= nil and " with the data " .. (type(data) == "string" and data or shown(data)) or "") ..
    (id and " and the id " .. id or "")
end

---What is wanted as a function of an event, and in words. `name` may be a table with `event`,
---`data` and `id`.
local function event_wanted(name, data)
  local id
  if type(name) == "table" then
    name, data, id = name.event, name.data, name.id
  end
  local is_it = Stream._matcher(name, data)
  return function(event)
    return is_it(event) and (id == nil or event.id == tostring(id))
  end, wanted_event(name, data, id), name, data
end

---Why the event did not come: what others came, and whether it may still come with time.
local function no_event(stream, wanted, name, data)
  local text = wanted .. " did not come"
  for _, event in ipairs(stream:_unseen("event")) do
    if event.event == name then
      local _, why = match.data(data, event.data, "its data")
      text = text .. ("; one called \"%s\" did: %s"):format(name, why or "with another id")
      break
    end
  end
  local seconds = not stream.ended and stream.app:_next()
  if seconds then
    text = text .. (" (something is due in %g s: app:advance)"):format(seconds)
  end
  return text
end

---The event has come, or comes without time: others before it are passed over.
function checks.event(is_negated, stream, name, data)
  check_stream(stream, "event")
  stream.app:turn()
  local is_it, wanted, wanted_name, wanted_data = event_wanted(name, data)
  local seen = stream._seen
  local event = stream:_find("event", is_it)
  if event then
    stream._seen = is_negated and seen or stream._seen
    return true, event, wanted .. " came\n" .. show.stream(stream)
  end
  return false, nil, no_event(stream, wanted, wanted_name, wanted_data) .. "\n" ..
    show.stream(stream)
end

---The very next event is this one.
function checks.next_event(is_negated, stream, name, data)
  check_stream(stream, "next_event")
  stream.app:turn()
  local is_it, wanted, wanted_name, wanted_data = event_wanted(name, data)
  local event = stream:_unseen("event")[1]
  if event and is_it(event) then
    if not is_negated then
      stream:_find("event")
    end
    return true, event, "the next event is " .. wanted .. "\n" .. show.stream(stream)
  end
  local text = event and ("the next event is \"%s\" with the data %s, and not %s"):format(
    event.event, event.data, wanted) or no_event(stream, wanted, wanted_name, wanted_data)
  return false, nil, text .. "\n" .. show.stream(stream)
end

---No event is there that no assertion has looked at; with `seconds`, none comes in that time
---either.
function checks.quiet(_, stream, seconds)
  check_stream(stream, "quiet")
  if seconds then
    stream.app:advance(seconds)
  else
    stream.app:turn()
  end
  local events = stream:_unseen("event")
  if #events == 0 then
    stream._seen = #stream._items
    return true, stream, "no event came\n" .. show.stream(stream)
  end
  local text = "%d events came that were not expected, first \"%s\" with the data %s\n"
  return false, nil, text:format(#events, events[1].event, events[1].data) .. show.stream(stream)
end

---A comment, such as a heartbeat, has come since the last assertion. The one with which a stream is
---opened does not count.
function checks.comment(is_negated, stream, text)
  check_stream(stream, "comment")
  stream.app:turn()
  local seen = stream._seen
  local comment = stream:_find("comment", function(comment)
    return text == nil or comment == text
  end)
  stream._seen = is_negated and seen or stream._seen
  if comment then
    return true, comment, "a comment came\n" .. show.stream(stream)
  end
  return false, nil, ("no comment%s came\n"):format(text and ' "' .. text .. '"' or "") ..
    show.stream(stream)
end

---The answer is over, in this way.
function checks.ended(_, answer, how)
  if type(answer) ~= "table" or not answer.app then
    blame.misuse("assert.ended: a stream or an answer expected, got %s", type(answer))
  end
  answer.app:turn()
  local text = how and ("not " .. how) or "not over"
  if answer.ended and (how == nil or answer.ended == how) then
    return true, answer, ("it is over (%s)\n"):format(answer.ended) .. show.stream(answer)
  end
  return false, nil, ("it is %s, but %s\n"):format(text, answer.ended or "goes on") ..
    show.stream(answer)
end

local EVENT_FIELDS = { event = true, data = true, id = true }

local function is_event(fields)
  for name in pairs(fields) do
    if not EVENT_FIELDS[name] then
      return false
    end
  end
  return next(fields) ~= nil
end

---Whether a published event has these fields: a text is its data; a table is the event's `event`,
---`data` and `id`, or else the fields of its data as JSON.
local function has_fields(event, fields)
  if type(fields) == "table" and is_event(fields) and
    (fields.event == nil or fields.event == event.event) and
    (fields.id == nil or tostring(fields.id) == event.id) and
    match.data(fields.data, event.data, "the data") then
    return true
  end
  return (match.data(fields, event.data, "the data"))
end

---The channel has the event in its history.
function checks.published(_, ...)
  local app, name, fields = take_app("published", ...)
  if type(name) ~= "string" then
    blame.misuse("assert.published: the name of a channel expected, got %s", type(name))
  end
  local channel = app:channel(name)
  local lines = {}
  for i, event in ipairs(channel and channel.events or {}) do
    if has_fields(event, fields) then
      return true, event, ("%s was published on \"%s\""):format(shown(fields), name)
    end
    lines[i] = ("    %s  %s  %s"):format(event.id, event.event or "message", event.data)
  end
  local has = not channel and "is not there" or #lines == 0 and "has nothing" or "has:"
  return false, nil, ("%s was not published on \"%s\", which %s\n%s\n%s"):format(
    shown(fields), name, has, table.concat(lines, "\n"), show.errors(app))
end

---The app has logged such a record; see `app:log` for what `filter` can be.
function checks.logged(_, ...)
  local app, filter = take_app("logged", ...)
  local record = app:log(filter)[1]
  local lines = {}
  for i, each in ipairs(app:log()) do
    lines[i] = ("    %s %s %s"):format(show.time(app, each.time or app.began), each.level,
      each.message)
  end
  return record ~= nil, record, ("%s: the log has\n%s"):format(
    record and "it was logged" or "nothing like it was logged", table.concat(lines, "\n"))
end

for name, check in pairs(checks) do
  asserts.plain[name] = function(...)
    local holds, value, message = check(false, ...)
    if not holds then
      blame.fail(message)
    end
    return value
  end
end

---Gives the assertions to luassert, if that can be found.
function asserts.register()
  local is_there, luassert = pcall(require, "luassert")
  if not is_there then
    return
  end
  for name, check in pairs(checks) do
    luassert:register("assertion", name, function(state, arguments)
      local holds, value, message = check(not state.mod, table.unpack(arguments, 1, arguments.n))
      rawset(state, "failure_message", message)
      arguments.n = 0 -- the message says it all
      return holds, { value, n = 1 }
    end)
  end
end

return asserts
