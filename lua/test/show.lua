-- What a failed expectation prints: the answer, or the stream as it arrived, each line with the
-- app's time since the app was loaded; and what the app has logged of errors.

local blame = require "lunesse.test.blame"

local show = {}

local LINES_MAX = 60
local BODY_MAX = 2000
local ERRORS_MAX = 5

---A text on one line, for a sentence: line ends are shown as \n and \r.
function show.line(text)
  return (tostring(text):gsub("\r", "\\r"):gsub("\n", "\\n"))
end

---A text in quotes, on one line.
function show.quoted(text)
  return (("%q"):format(text):gsub("\\\n", "\\n"):gsub("\\13", "\\r"))
end

---A moment as seconds since the app was loaded.
function show.time(app, at)
  return ("%+.3f s"):format(at - app.began)
end

local function tail(lines, max)
  if #lines <= max then
    return table.concat(lines, "\n")
  end
  return ("    ... %d lines before\n"):format(#lines - max) ..
    table.concat(lines, "\n", #lines - max + 1)
end

local function record_line(app, record, message)
  local line = ("    %s %s"):format(show.time(app, record.time or app.began), message)
  for _, name in ipairs(blame.sorted_names(record.fields or {})) do
    local value = tostring(record.fields[name]):gsub("\n", "\n      ")
    line = line .. (" %s=%s"):format(name, value)
  end
  return line
end

---All that the app has logged, a record a line.
function show.records(app)
  local lines = {}
  for i, record in ipairs(app:log()) do
    lines[i] = record_line(app, record, record.level .. " " .. record.message)
  end
  return table.concat(lines, "\n")
end

---The errors that the app has logged, the last of them.
function show.errors(app)
  local lines = {}
  for i, record in ipairs(app:log { level = "error" }) do
    lines[i] = record_line(app, record, record.message)
  end
  return #lines > 0 and "  the app's log has errors:\n" .. tail(lines, ERRORS_MAX) .. "\n" or ""
end

local function head(answer)
  local kind = answer.headers and answer.headers["content-type"] or "no type"
  return ("  %s %s, of worker %s: %s, %s\n"):format(answer.method, answer.path, answer.worker,
    answer.status and ("%d %s"):format(answer.status, kind) or "no answer yet",
    answer.ended or "not over")
end

---An answer: its head and the beginning of its body.
function show.answer(answer)
  local body = answer.body
  local shown = body:sub(1, BODY_MAX):gsub("[^\n]+", "    %0")
  return head(answer) .. (body ~= "" and shown .. "\n" or "") .. show.errors(answer.app)
end

---The lines of a stream's body, each with the moment at which it began to arrive.
local function lines_of(stream)
  local lines, arrivals, index, passed = {}, stream._arrivals, 0, 0
  for start, line, ending in stream.raw:gmatch("()([^\n]*)(\n?)") do
    while passed < start and arrivals[index + 1] do
      index = index + 1
      passed = passed + #arrivals[index].bytes
    end
    if line ~= "" or ending ~= "" then
      lines[#lines + 1] = ("  %14s  %s%s"):format(show.time(stream.app, arrivals[index].at), line,
        ending == "" and " (the line goes on)" or "")
    end
  end
  return lines
end

---A stream: every line of its body as it arrived, with the time.
function show.stream(stream)
  if not stream.is_stream then
    return show.answer(stream)
  end
  local lines = lines_of(stream)
  return head(stream) .. (lines[1] and tail(lines, LINES_MAX) or "    nothing has come") .. "\n" ..
    show.errors(stream.app)
end

return show
