-- app:log and assert.logged: what scripts log and what goes wrong; and what a failure shows.

local test = require "lunesse.test"

local SCRIPT = [[
local lunesse = require "lunesse"
local server = lunesse.server()
server:get("/wrong", function() error("oh no: 7%") end)
server:get("/said", function(_, response)
  lunesse.log.warn("it rains", {
    mm = 5, cold = true, place = "7", wind = { north = 2.5 },
  })
  response:send("said")
end)
server:get("/bytes", function(_, response) response:send("\0\1\255 \27[31m red \u{FFFF}") end)
]]

describe("what an app logs", function()
  local app

  before_each(function()
    app = test.load { ["a.lua"] = SCRIPT }
  end)

  after_each(function()
    test.stop()
  end)

  ---What `fn` raises.
  local function complaint(fn, ...)
    local ok, why = pcall(fn, ...)
    assert.is_false(ok)
    return type(why) == "table" and tostring(why.message) or tostring(why)
  end

  it("is found by the text of an error, wherever that stands", function()
    app:get("/wrong"):expect(500)
    assert.logged "oh no: 7%"
    assert.logged "^a.lua:3: oh no"
    assert.logged { level = "error", message = "oh no" }
    assert.logged { fields = { route = "/wrong", error = "oh no" } }
    assert.logged { fields = { error = function(text) return #text > 10 end } }
    assert.no.logged "oh yes"
    assert.no.logged { level = "warn", message = "oh no" }
    assert.no.logged { fields = { route = "/wro" } } -- of other fields the whole value
  end)

  it("has numbers and booleans as the script has them", function()
    app:get("/said"):expect(200)
    assert.same({ mm = 5, cold = true, place = "7", wind = '{"north":2.5}' },
      app:log("it rains")[1].fields)
  end)

  it("is shown with its fields when a record is missing", function()
    app:get("/said"):expect(200)
    assert.matches('warn it rains cold=true mm=5 place=7 wind={"north":2%.5}',
      complaint(assert.logged, "it snows"))
  end)

  it("can be asked for after the end", function()
    app:get("/said"):expect(200)
    app:stop()
    assert.logged { message = "it rains", fields = { mm = 5 } }
  end)

  it("is asked for by a text that is a pattern, or the line of the spec is named", function()
    assert.matches("logged_spec.lua:%d+: app:log: %[x is no text and no pattern",
      complaint(assert.logged, "[x"))
    assert.matches("fields: a table expected, got number",
      complaint(assert.logged, { fields = 7 }))
  end)

  it("and what came are shown as text, whatever bytes they have", function()
    local why = complaint(function()
      app:get("/bytes"):expect(201)
    end)
    assert.matches("\\x00\\x01\\xFF \\x1B[31m red \\xEF\\xBF\\xBF", why, 1, true)
    assert.truthy(utf8.len(why))
    assert.is_nil(why:find("[\0-\8\11-\31]"))
  end)
end)
