-- `lunesse.event`: what it takes, what it refuses, and that what it made never changes.

local apps = require "spec.support.app"

---Runs `text` in a handler, with `event` in scope; the lines that it gave to `mark`.
local function marks_of(text)
  local app = apps.start(([[
server:get("/", function(_, response)
  local event, marks = lunesse.event, {} local function mark(line) marks[#marks + 1] = line end
  %s
  response:send(table.concat(marks, "\n") .. "\n")
end)
]]):format(text))
  local marks = {}
  for line in apps.get(app, "/"):gmatch("(.-)\n") do
    marks[#marks + 1] = line
  end
  return marks
end

describe("lunesse.event", function()
  it("shows its fields as they are sent", function()
    assert.same({
      "7|said|hello|2.5", "nil|nil|[1,2]|nil", "nil|nil|false|nil", "nil|||nil", "x|nil|nil|nil",
      "nil|nil|nil|0.0", "nil|1|null|nil", "true",
    }, marks_of [[
      local function show(fields)
        local e = event(fields)
        mark(("%s|%s|%s|%s"):format(e.id, e.event, e.data, e.retry))
      end
      show { id = 7, event = "said", data = "hello", retry = 2.5 }
      show { data = { 1, 2 } } show { data = false } show { event = "", data = "" }
      show { id = "x" } show { retry = 0 } show { event = 1, data = lunesse.json.null }
      mark(tostring(tostring(event { id = 1 }):match("^Event: 0x") ~= nil))
    ]])
  end)

  it("raises at the caller's line for what is no event", function()
    local cases = {
      [""] = "(table expected, got no value)", ["'x'"] = "(table expected, got string)",
      ["{}"] = "(id, event, data or retry expected)",
      ["{ data = 1 }, 2"] = "#2 to 'event' (one table of fields expected)",
      ["{ data = 'd', color = 'red' }"] = "(unknown field 'color')",
      ["{ event = 'e', 'x' }"] = "(unknown field '1')",
      ["{ id = true }"] = "(id: a string expected)", ["{ id = {} }"] = "(id: a string expected)",
      ["{ event = false }"] = "(event: a string expected)",
      ["{ retry = 'soon' }"] = "(retry: seconds between 0 and 1e9 expected)",
      ["{ retry = -1 }"] = "(retry: seconds between 0 and 1e9 expected)",
      ["{ retry = 0/0 }"] = "(retry: seconds between 0 and 1e9 expected)",
      ["{ retry = math.huge }"] = "(retry: seconds between 0 and 1e9 expected)",
      ["{ data = print }"] = "(data: a string, number, boolean or table expected, got function)",
      ["{ data = event { id = 1 } }"] =
        "(data: a string, number, boolean or table expected, got Event)",
    }
    for _, bad in ipairs { "a\\nb", "a\\rb", "a\\r\\nb", "a\\0b", "\\n", "a\\n" } do
      cases["{ id = '" .. bad .. "' }"] = "(an event id has no line break and no NUL)"
      cases["{ event = '" .. bad .. "' }"] = "(an event name has no line break and no NUL)"
    end
    local calls, expectations = {}, {}
    for arguments, expected in pairs(cases) do
      calls[#calls + 1] = ("mark(select(2, pcall(function() event(%s) end)))"):format(arguments)
      expectations[#expectations + 1] = expected
    end
    for i, mark in ipairs(marks_of(table.concat(calls, "\n"))) do
      assert.matches("^[^\n]*script.lua:" .. i + 2 .. ": bad argument #%d to 'event' ", mark)
      assert.truthy(mark:find(expectations[i], 1, true), calls[i] .. ": " .. mark)
      calls[i] = nil
    end
    assert.same({}, calls)
  end)

  it("makes what nothing changes: not its fields, not the table it was made from", function()
    local marks = marks_of [[
      local fields = { event = "e", data = { n = 1 } }
      local made = event(fields)
      fields.event, fields.data.n = "other", 2
      mark(made.event .. made.data)
      mark(select(2, pcall(function() made.data = "x" end)))
      mark(tostring(made.other) .. " " .. tostring(getmetatable(made)))
    ]]
    assert.equal('e{"n":1}', marks[1])
    assert.matches("Event has no settable field 'data'$", marks[2])
    assert.equal("nil protected", marks[3])
  end)

  it("can be sent by many streams and channels, again and again, by helpers too", function()
    local app = apps.start [[
local function pong(n) return lunesse.event { event = "pong", data = n } end
local ping = lunesse.event { event = "ping", data = "" }
local room = lunesse.channel("room")
server:get("/", function(_, response)
  local sse = response.sse
  sse:send(ping) collectgarbage() sse:send(ping) sse:send(pong(1))
  sse:subscribe(room) room:publish(ping) room:publish(pong(2))
  room:close()
end)
]]
    local stream = app:stream("/")
    assert.ended(stream, "complete")
    local got = {}
    for i, event in ipairs(stream.events) do
      got[i] = event.type .. event.data
    end
    assert.same({ "ping", "ping", "pong1", "ping", "pong2" }, got)
  end)
end)
