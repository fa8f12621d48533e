-- The kit as authors have it: by plain busted, in a folder of theirs, with nothing of this
-- repository but the module.

local kit = require "spec.support.kit"
local Process = require "spec.support.process"
local Server = require "spec.support.server"

local ROOM = [[
local lunesse = require "lunesse"
local server = lunesse.server()
server:post("/room/:name", function(request, response)
  lunesse.channel(request.params.name):publish("said", request:json())
  response:status(201):send("")
end)
server:get("/room/:name", function(request, response)
  response.sse:subscribe(lunesse.channel(request.params.name))
end)
]]

local SPEC = [[
local test = require "lunesse.test"

describe("a room", function()
]] .. "  local app\n  before_each(function() app = test.load(\"scripts/\") end)   " ..
  "-- routes, no port, virtual time; { workers = 2 } too\n" ..
  "  after_each(function() app:stop() end)                     " ..
  "-- drains, in no time; fails when something was left behind\n" .. [[

  it("resumes without a gap", function()
    local a = app:stream("/room/sea")
    app:post("/room/sea", { json = { text = "hi" } }):expect(201)
    local said = assert.event(a, "said", { text = "hi" })   -- runs turns until it is there
    a:leave()
    app:post("/room/sea", { json = { text = "again" } })
    local b = app:stream("/room/sea", { last_event_id = said.id })
    assert.event(b, "said", { text = "again" })
    assert.quiet(b)
    app:advance(15); assert.comment(b)                      -- a heartbeat, no waiting
  end)
end)
]]

local FAILING = [[
local test = require "lunesse.test"

describe("a room", function()
  it("fails", function()
    local app = test.load("scripts/room.lua")
    local stream = app:stream("/room/sea")
    app:post("/room/sea", { json = { text = "hi" } })
    assert.event(stream, "said", { text = "ho" })
  end)

  it("makes no sense", function()
    test.load("scripts/room.lua"):gett("/")
  end)

  it("does not load", function()
    test.load { ["a.lua"] = "local x = = 1" }
  end)
end)
]]

---Runs a spec by plain busted in a folder with the room: exit code, and what it printed.
local function run(spec, ...)
  local folder = Server.write { ["scripts/room.lua"] = ROOM, ["spec/room_spec.lua"] = spec }
  local code, out, err = Process.run({ "lua5.4", "/usr/bin/busted", "--cpath=" .. kit.path, ... }, {
    cwd = folder, seconds = 30, env = kit.environment() or kit.pending(kit.REASON),
  })
  return code, out .. err
end

describe("plain busted", function()
  it("runs a spec of an author's", function()
    local code, out = run(SPEC)
    assert.equal(0, code, out)
    assert.matches("1 success", out)
  end)

  it("says what failed, where, and the stream as it arrived", function()
    local code, out = run(FAILING)
    assert.not_equal(0, code, out)
    assert.matches("0 successes / 2 failures / 1 error /", out)
    assert.matches('spec/room_spec.lua:8: an event "said" with the data {"text":"ho"} did not ' ..
      'come; one called "said" did: its data.text is "hi", and not "ho"[^\n]*\n', out)
    assert.matches(' +%+0.000 s  data: {"text":"hi"}\n', out)
    assert.matches("spec/room_spec.lua:16: [^\n]*a.lua:1: unexpected symbol near '='", out)
  end)

  it("reports in its formats", function()
    for format, pattern in pairs {
      TAP = "ok 1 %- a room resumes without a gap", json = '"successes":%[%{',
      junit = "<testcase [^>]*name='a room resumes without a gap'",
    } do
      local code, out = run(SPEC, "-o", format)
      assert.equal(0, code, out)
      assert.matches(pattern, out)
    end
  end)

  it("runs a hundred such tests", function()
    local many = SPEC:gsub('  it%("resumes', '  for _ = 1, 100 do it("resumes'):gsub(
      "  end%)\nend%)\n$", "  end) end\nend)\n")
    local code, out = run(many)
    assert.equal(0, code, out)
    assert.matches("100 successes / 0 failures", out)
  end)
end)
