-- An event stream that answers a POST, as those of language models do, however it is asked for.

local test = require "lunesse.test"

local SCRIPT = [[
local lunesse = require "lunesse"
local server = lunesse.server()
local function answer(request, response)
  response.sse:send("word", { text = request:json().ask })
  lunesse.sleep(1)
  response.sse:send("done", "x")
  response.sse:close()
end
server:post("/ask", { sse = "always" }, answer)
server:post("/accept", answer)
server:post("/plain", function(_, response) response:status(400):send("no") end)
]]

local BODY = { ask = "moon" }

describe("a stream that answers a POST", function()
  local app

  before_each(function()
    app = test.load { ["a.lua"] = SCRIPT }
  end)

  after_each(function()
    test.stop()
  end)

  local function expect_stream(stream)
    assert.event(stream, "word", { text = "moon" })
    assert.quiet(stream)
    assert.is_nil(stream.ended)
    app:advance(1)
    assert.event(stream, "done", "x")
    assert.ended(stream, "complete")
  end

  it("is opened by app:stream with a method, or with a body", function()
    expect_stream(app:stream("/accept", { method = "post", json = BODY }))
    expect_stream(app:stream("/accept", { json = BODY }))
    expect_stream(app:stream("/accept", { body = '{"ask":"moon"}' }))
    expect_stream(app:stream("/ask", { json = BODY }))
  end)

  it("is opened by app:post with `stream`, as by all that sends", function()
    expect_stream(app:post("/accept", { json = BODY, stream = true }))
    expect_stream(app:request("POST", "/accept", { json = BODY, stream = true }))
    expect_stream(app:send("POST", "/accept", { json = BODY, stream = true }))
    expect_stream(app:client():post("/accept", { json = BODY, stream = true }))
  end)

  it("is one as soon as its head says so, though nobody asked for a stream", function()
    expect_stream(app:send("POST", "/ask", { json = BODY }))
    local whole = app:post("/ask", { json = BODY })
    assert.equal("complete", whole.ended)
    assert.same({ "word", "done" }, { whole.events[1].event, whole.events[2].event })
    assert.matches("data: x\n\n$", whole:text())
    assert.event(whole, "done")
  end)

  it("is asked for again by a reader that comes back", function()
    local stream = app:send("POST", "/ask", { json = BODY })
    local again = stream:reconnect()
    assert.equal("POST", again.method)
    expect_stream(again)
  end)

  it("is none where the answer is none: what is asked of one is refused", function()
    local stream = app:post("/plain", { stream = true })
    assert.equal(400, stream.status)
    assert.same({}, stream.events)
    local ok, why = pcall(assert.event, app:post("/plain"), "word")
    assert.is_false(ok)
    assert.matches("assert.event: a stream (of app:stream) expected, got the answer to POST " ..
      "/plain, which is no event stream", tostring(why), 1, true)
  end)
end)
