-- The assertions of the kit. Each is a function that answers whether something holds, with what the
-- assertion returns, or else with the words of the complaint. `asserts.plain` raises by itself, for
-- any test runner; `asserts.register` gives them to luassert, which busted has as `assert`, so that
-- `assert.no.event(stream, "said")` works as well.

local App = require "lunesse.test.app"
local Answer = require "lunesse.test.answer"
local Stream = require "lunesse.test.stream"
local blame = require "lunesse.test.blame"
local match = require "lunesse.test.match"
local show = require "lunesse.test.show"

local asserts = { plain = {} }

local shown = match.shown
local checks = {}
local latest -- the app that was loaded last; false when none could be

---Tells which app is meant where an assertion names none.
function asserts.on_load(app)
  latest = app
end

local function check_stream(stream, name)
  if getmetatable(stream) ~= Stream then
    local what = getmetatable(stream) == Answer and
      ("the answer to %s %s, which is no event stream"):format(stream.method, stream.path) or
      type(stream)
    blame.misuse("assert.%s: a stream (of app:stream) expected, got %s", name, what)
  end
end

---A load has begun. While it has not succeeded, and none before it has, nothing was logged.
function asserts.on_begin()
  latest = latest or false
end

---Raises when an assertion was given more than it looks at.
local function no_more(name, extra)
  if extra ~= nil then
    blame.misuse("assert.%s: no argument is expected behind these, and %s came", name,
      type(extra) == "string" and show.quoted(extra) or tostring(extra))
  end
end

---The app that is meant, and the arguments behind it.
local function take_app(name, first, ...)
  if getmetatable(first) == App then
    return first, ...
  elseif latest == false and name == "logged" then
    return nil, first, ...
  elseif not latest or (latest.is_stopped and name ~= "logged") then
    blame.misuse("assert.%s: no app is loaded", name)
  end
  return latest, first, ...
end

local EVENT_FIELDS = { event = true, data = true, id = true }

local function check_text(value, types, what)
  if not match.is_asked(value) then
    blame.check_type(value, types, what)
  end
end

---What an assertion wants of an event: a table with `event`, `data` and `id`. `name` may be such a
---table itself.
local function take_wanted(call, name, data)
  if type(name) ~= "table" or match.is_asked(name) then
    check_text(name, "string or nil", ("assert.%s: the name of an event"):format(call))
    return { event = name, data = data }
  end
  blame.check_options(name, EVENT_FIELDS, "assert." .. call)
  check_text(name.event, "string or nil", ("assert.%s: event"):format(call))
  check_text(name.id, "string or number or nil", ("assert.%s: id"):format(call))
  no_more(call, data)
  return name
end

local function text_of(wanted)
  return match.is_asked(wanted) and shown(wanted) or tostring(wanted)
end

---What is wanted of an event, in words.
local function in_words(wanted)
  local data, text = wanted.data, "an event"
  if wanted.event then
    text = text .. (match.is_asked(wanted.event) and " called %s" or ' "%s"'):format(
      text_of(wanted.event))
  end
  if data ~= nil then
    text = text .. " with the data " .. (type(data) == "string" and show.line(data) or shown(data))
  end
  if wanted.id then
    text = text .. (data == nil and " with the id " or " and the id ") .. text_of(wanted.id)
  end
  return text
end

---Whether the event is as wanted; false, and why it is not.
local function is_wanted(event, wanted)
  if wanted.event and not match.text(wanted.event, event.event) then
    return false, ('its name is "%s"'):format(event.event)
  end
  local is_it, why = match.data(wanted.data, event.data, "its data")
  if is_it and wanted.id and not match.text(wanted.id, event.id) then
    return false, ("its id is %s, and not %s"):format(event.id or "not there", text_of(wanted.id))
  end
  return is_it, why
end

---Why the event did not come: what came of that name, or else that it may come with time.
local function no_event(stream, wanted)
  local text = in_words(wanted) .. " did not come"
  for _, event in ipairs(stream:_unseen("event")) do
    if not wanted.event or match.text(wanted.event, event.event) then
      local _, why = is_wanted(event, wanted)
      return ('%s; one called "%s" did: %s'):format(text, event.event, why)
    end
  end
  return stream.ended and text or
    text .. " (the app's time stands still: app:advance(seconds) moves it)"
end

---The event has come, or comes without time: others before it are passed over.
function checks.event(is_negated, stream, name, data, ...)
  check_stream(stream, "event")
  local wanted = take_wanted("event", name, data)
  no_more("event", ...)
  stream.app:turn()
  local seen = stream._seen
  local event = stream:_find("event", function(event)
    return is_wanted(event, wanted)
  end)
  if event then
    stream._seen = is_negated and seen or stream._seen
    return true, event, in_words(wanted) .. " came\n" .. show.stream(stream)
  end
  return false, nil, no_event(stream, wanted) .. "\n" .. show.stream(stream)
end

---The very next event is this one.
function checks.next_event(is_negated, stream, name, data, ...)
  check_stream(stream, "next_event")
  local wanted = take_wanted("next_event", name, data)
  no_more("next_event", ...)
  stream.app:turn()
  local event = stream:_unseen("event")[1]
  if not event then
    return false, nil, no_event(stream, wanted) .. "\n" .. show.stream(stream)
  elseif is_wanted(event, wanted) then
    if not is_negated then
      stream:_find("event")
    end
    return true, event, "the next event is " .. in_words(wanted) .. "\n" .. show.stream(stream)
  end
  local id = wanted.id and " and " .. (event.id and "the id " .. event.id or "no id") or ""
  return false, nil, ('the next event is "%s" with the data %s%s, and not %s\n'):format(
    event.event, show.line(event.data), id, in_words(wanted)) .. show.stream(stream)
end

---No event is there that no assertion has looked at; with `seconds`, none comes in that time
---either.
function checks.quiet(_, stream, seconds, ...)
  check_stream(stream, "quiet")
  blame.check_type(seconds, "number or nil", "assert.quiet: seconds")
  no_more("quiet", ...)
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
  return false, nil, text:format(#events, events[1].event, show.line(events[1].data)) ..
    show.stream(stream)
end

---A comment, such as a heartbeat, has come since the last assertion. The one with which a stream is
---opened does not count.
function checks.comment(is_negated, stream, text, ...)
  check_stream(stream, "comment")
  blame.check_type(text, "string or nil", "assert.comment: the text of a comment")
  no_more("comment", ...)
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
function checks.ended(_, answer, how, ...)
  if type(answer) ~= "table" or not answer.app then
    blame.misuse("assert.ended: a stream or an answer expected, got %s", type(answer))
  end
  blame.check_word(how, Answer.ENDS, "assert.ended")
  no_more("ended", ...)
  answer.app:turn()
  local text = how and ("not " .. how) or "not over"
  if answer.ended and (how == nil or answer.ended == how) then
    return true, answer, ("it is over (%s)\n"):format(answer.ended) .. show.stream(answer)
  end
  return false, nil, ("it is %s, but %s\n"):format(text, answer.ended or "goes on") ..
    show.stream(answer)
end

---Whether a published event has these fields: a text is its data; of a table `event`, `data` and
---`id` are the event's, and all others are fields of its data as JSON. Data may have such fields,
---too.
local function has_fields(event, fields)
  local others = {}
  if type(fields) ~= "table" or match.is_asked(fields) then
    return (match.data(fields, event.data, "the data"))
  end
  for name, value in pairs(fields) do
    if not EVENT_FIELDS[name] then
      others[name] = value
    end
  end
  local is_it = (fields.event == nil or match.text(fields.event, event.event)) and
    (fields.id == nil or match.text(fields.id, event.id)) and
    match.data(fields.data, event.data, "the data") and
    (next(others) == nil or match.data(others, event.data, "the data"))
  return is_it or (match.data(fields, event.data, "the data"))
end

---The channel has the event in its history.
function checks.published(_, ...)
  local app, name, fields, data, extra = take_app("published", ...)
  no_more("published", extra)
  if data ~= nil then -- the name of the event, and its data, as in assert.event
    check_text(fields, "string", "assert.published: the name of an event")
    fields = { event = fields, data = data }
  end
  if type(name) ~= "string" then
    blame.misuse("assert.published: the name of a channel expected, got %s", type(name))
  end
  local channel = app:channel(name)
  local lines = {}
  for i, event in ipairs(channel and channel.events or {}) do
    if has_fields(event, fields) then
      return true, event, ("%s was published on \"%s\""):format(shown(fields), name)
    end
    lines[i] = ("    %s  %s  %s"):format(event.id, event.event or "message",
      show.line(event.data))
  end
  local has = not channel and "is not there" or #lines == 0 and "has nothing" or "has:"
  return false, nil, ("%s was not published on \"%s\", which %s\n%s\n%s"):format(
    shown(fields), name, has, table.concat(lines, "\n"), show.errors(app))
end

---The app has logged such a record; see `app:log` for what `filter` can be.
function checks.logged(_, ...)
  local app, filter, extra = take_app("logged", ...)
  no_more("logged", extra)
  if not app then
    return false, nil, "nothing was logged: the scripts could not be loaded"
  end
  local record = app:log(filter)[1]
  return record ~= nil, record, ("%s: the log has\n%s"):format(
    record and "it was logged" or "nothing like it was logged", show.records(app))
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
      rawset(state, "failure_message", blame.printable(message))
      arguments.n = 0 -- the message says it all
      return holds, { value, n = 1 }
    end)
  end
end

return asserts
