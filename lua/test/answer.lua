-- An answer, from the moment its request was sent: what has come of it, and how it ended. `status`
-- is nil until its head is there; `ended` is nil until it is over, and then "complete", "cut" (the
-- connection was closed in the middle), "reset", or "left" (by its own reader).

local blame = require "lunesse.test.blame"
local http = require "lunesse.test.http"
local json = require "lunesse.test.json"
local match = require "lunesse.test.match"
local show = require "lunesse.test.show"

local Answer = {}

-- The ways in which an answer is over.
Answer.ENDS = { complete = true, cut = true, reset = true, left = true }

local EXPECTED = {
  status = true, headers = true, text = true, json = true, ended = true, matches = true,
}

-- Fields that are made when somebody asks.
local made = {}

---The body so far.
function made.body(self)
  return table.concat(self.chunks)
end

---An `__index` for answers of a class: its methods, and the fields that are made.
function Answer._index(class, fields)
  return function(self, key)
    local make = fields[key]
    if make then
      return make(self)
    end
    return class[key]
  end
end

Answer.__index = Answer._index(Answer, made)
Answer.__name = "answer"

---The answer to a request that goes over `conn`.
function Answer.init(self, client, request, conn)
  self.app, self.client, self.request, self.conn = client.app, client, request, conn
  self.method, self.path = request.method, request.path
  self.worker = conn.core:worker()
  self.began = client.app.core:now()
  self.chunks = {}
  return self
end

function Answer.new(...)
  return Answer.init(setmetatable({}, Answer), ...)
end

function Answer:_on_head(response)
  self.status, self.reason = response.status, response.reason
  self.headers, self.fields = http.header_table(response.headers), response.fields
  self.interim = response.interim
  self.client:_on_head(self)
end

---Whether the head says that events follow.
function Answer:_is_event_stream()
  local kind = self.status == 200 and self.headers["content-type"] or ""
  return kind:lower():match("^[^; ]*") == "text/event-stream"
end

function Answer:_on_body(pieces)
  table.move(pieces, 1, #pieces, #self.chunks + 1, self.chunks)
end

function Answer:_on_end(how)
  self.ended = how
end

---The body so far, as text.
function Answer:text()
  return self.body
end

---The body as JSON; raises when it is none.
function Answer:json()
  local value, why = json.decode(self.body)
  if value == nil then
    blame.fail(("the body is %s\n%s"):format(why, show.answer(self)))
  end
  return value
end

---Waits, in the app's time and at most `seconds` (60), until the answer is over. Returns it; raises
---when it is not over by then.
function Answer:wait(seconds)
  self.app:_wait(function()
    return self.ended
  end, seconds, function(why)
    return ("%s %s has no complete answer: %s. `app:send` begins a request that is waited for " ..
      "later, `app:stream` one whose answer goes on, as does the option `stream = true`\n%s"):
      format(self.method, self.path, why, show.answer(self))
  end)
  return self
end

---The reader goes, in the middle of whatever comes.
function Answer:leave()
  if self.conn.is_open and not self.ended then
    self.conn:leave()
    self.app:turn()
  end
  return self
end

---The peer closes its sending side and goes on to read.
function Answer:finish()
  self.conn:finish()
  self.app:turn()
  return self
end

---Sends more of a body that was not sent whole.
function Answer:send(bytes)
  self.conn:send(bytes)
  self.app:turn()
  return self
end

---A header field, or a text, that is expected, in words.
local function wanted_text(value)
  return match.is_asked(value) and match.shown(value) or show.quoted(tostring(value))
end

local function check_headers(self, headers)
  for name, value in pairs(headers) do
    local actual = self.headers[name]
    if value ~= (actual or false) and not match.text(value, actual) then
      return false, ("%s is %s, and not %s"):format(name, actual and show.quoted(actual) or
        "not there", value and wanted_text(value) or "left out")
    end
  end
  return true
end

---Each of what can be expected, in the order in which a reader wants to know.
local CHECKS = {
  { "status", function(self, status)
    return self.status == status, ("the status is %s, and not %s"):format(self.status, status)
  end },
  { "headers", check_headers },
  { "text", function(self, text)
    return match.text(text, self.body), ("the text is %s, and not %s"):format(
      show.quoted(self.body), wanted_text(text))
  end },
  { "matches", function(self, pattern)
    return self.body:find(pattern) ~= nil, "the text does not match " .. show.quoted(pattern)
  end },
  { "json", function(self, value)
    return match.data(value, self.body, "the json")
  end },
  { "ended", function(self, how)
    return self.ended == how, ("it is %s, and not %s"):format(self.ended or "not over", how)
  end },
}

---Raises unless the answer is as expected: a status, or a table with `status`, `headers` (a value
---of `false`: not there), `text`, `matches` (a pattern), `json` (the fields that are given),
---`ended`. Returns the answer.
---@param expected integer | table
function Answer:expect(expected)
  if type(expected) ~= "table" then
    expected = { status = expected }
  end
  blame.check_options(expected, EXPECTED, "answer:expect")
  blame.check_type(expected.status, "number or nil", "answer:expect: a status")
  blame.check_word(expected.ended, Answer.ENDS, "answer:expect: ended")
  if not self.status then
    self.app:turn()
  end
  if not self.status then
    blame.fail(("%s %s has no answer yet\n%s"):format(self.method, self.path, show.answer(self)))
  end
  for _, check in ipairs(CHECKS) do
    if expected[check[1]] ~= nil then
      local ok, why = check[2](self, expected[check[1]])
      if not ok then
        blame.fail(("%s %s: %s\n%s"):format(self.method, self.path, why, show.answer(self)))
      end
    end
  end
  return self
end

return blame.guard(Answer)
