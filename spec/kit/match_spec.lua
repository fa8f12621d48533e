-- Matchers of luassert, as in `assert.spy(s).was.called_with(match.is_string())`, in what the
-- assertions of the kit are given; and functions in their place.

local kit = require "spec.support.kit"
local test = require "lunesse.test"

local SCRIPT = [[
local lunesse = require "lunesse"
local server = lunesse.server()
local room = lunesse.channel("room")
room:publish("said", { n = 5, text = "hi", list = { 1, "a" } })
room:publish("word", "moon")
server:get("/", function(_, response)
  lunesse.log.warn("careful", { n = 5 })
  response.sse:subscribe(room, { since = "earliest" })
end)
server:get("/json", function(_, response)
  response:header("X-Colour", "red"):json { n = 5, text = "hi" }
end)
]]

---Whether `fn` raises this text.
local function complaint(fn, ...)
  local ok, why = pcall(fn, ...)
  assert.is_false(ok)
  return type(why) == "table" and why.message or why
end

describe("a matcher", function()
  local app, stream

  before_each(function()
    app = test.load { ["a.lua"] = SCRIPT }
    stream = not kit.is_unable() and app:stream("/")
  end)

  after_each(function()
    if stream then
      stream:leave()
    end
    test.stop()
  end)

  it("stands for a field of an event's data, however deep", function()
    assert.event(stream, "said", {
      n = match.is_number(), text = match.is_string(), list = { match._, match.is_not_nil() },
    })
    assert.no.event(stream, "said")
  end)

  it("is not met by another value, or by none", function()
    for what, data in pairs {
      ["its data.n is 5, and not \"match.string\""] = { n = match.is_string() },
      ["its data.list[1] is 1, and not \"match.string\""] = { list = { match.is_string(), "a" } },
      ["its data.other is not there"] = { other = match.is_string() },
      ["its data.text is \"hi\", and not \"match.not_string\""] = { text = match.is_not_string() },
    } do
      local text = complaint(assert.event, app:stream("/"):leave(), "said", data)
      assert.truthy(text:find(what, 1, true), text)
    end
    local text = complaint(assert.event, stream, "said", { n = match.is_string() })
    assert.matches('an event "said" with the data {"n":"match.string"} did not come', text, 1, true)
  end)

  it("stands for the whole of the data: its text, or what it is as JSON", function()
    assert.event(stream, "said", match.is_table())
    assert.event(stream, "word", match.is_string())
    assert.event(app:stream("/"):leave(), "said", match.has_match("^{"))
    assert.no.event(app:stream("/"):leave(), "said", match.is_not_table())
    assert.event(app:stream("/"):leave(), "word", match.is_not_table())
    assert.no.event(app:stream("/"):leave(), "word", match.is_number())
  end)

  it("stands for the name and the id of an event", function()
    local said = assert.next_event(stream, match._, { n = 5 })
    assert.next_event(stream, { event = match.has_match("^w"), id = match.is_not_equal(said.id) })
    assert.truthy(complaint(assert.event, app:stream("/"):leave(), match.is_nil()):find(
      'an event called "match.nil" did not come', 1, true))
  end)

  it("stands for fields of what was published, logged and answered", function()
    assert.published("room", { n = match.is_number(), text = "hi" })
    assert.published("room", { event = match.is_string(), data = match.is_table() })
    assert.published("room", match.has_match("mo+n"))
    assert.published("room", "said", match.is_table())
    assert.no.published("room", { n = match.is_string() })
    assert.logged { message = "careful", fields = { n = match.is_number() } }
    assert.no.logged { message = "careful", fields = { n = match.is_string() } }
    app:get("/json"):expect {
      json = { n = match.is_number() }, text = match.is_string(),
      headers = { ["X-Colour"] = match.has_match("^r"), ["X-Other"] = match.is_nil() },
    }
    assert.truthy(complaint(function()
      app:get("/json"):expect { headers = { ["X-Colour"] = match.is_nil() } }
    end):find('X-Colour is "red", and not "match.nil"', 1, true))
  end)

  it("may be a function, which is asked", function()
    assert.event(stream, "said", { n = function(n) return n > 4 end })
    assert.matches("its data.n is 5, and not \"what the function wants\"",
      complaint(assert.event, app:stream("/"):leave(), "said", { n = function() end }), 1, true)
  end)
end)
