-- scripts/publish.lua: what other programs POST, the readers of a channel are sent.

local cjson = require "cjson"
local Server = require "spec.support.server"
local Process = require "spec.support.process"

local SCRIPT = Process.read_file("scripts/publish.lua")
local TOKEN = "correct-horse-battery-staple"

local function start(token, args)
  return Server.start({ ["publish.lua"] = SCRIPT }, {
    env = { LUNESSE_PUBLISH_TOKEN = token or TOKEN }, args = args,
  })
end

---Publishes `body`. Fields: `target`, `authorization` (false for none), `type` (false for none).
local function publish(server, body, fields)
  fields = fields or {}
  local headers = {}
  if fields.authorization ~= false then
    headers["Authorization"] = fields.authorization or "Bearer " .. TOKEN
  end
  if fields.type ~= false then
    headers["Content-Type"] = fields.type or "text/plain"
  end
  local response = server:request {
    method = "POST", target = fields.target or "/channels/news", headers = headers, body = body,
  }
  local is_json = response.headers["content-type"] == "application/json"
  return response, is_json and cjson.decode(response.body) or {}
end

local function listen(server, last_event_id)
  return server:stream("/channels/news", { last_event_id = last_event_id })
end

describe("publishing", function()
  it("answers 201 with the id under which the readers get the event", function()
    local server = start()
    local one, other = listen(server), listen(server)
    local response, answer = publish(server, "full moon tonight")
    assert.equal(201, response.status)
    local event = one:event()
    assert.same({ "message", "full moon tonight", answer.id },
      { event.type, event.data, event.id })
    assert.same(event, other:event())
  end)

  it("gives the event the name that the query has", function()
    local server = start()
    local stream = listen(server)
    publish(server, "x", { target = "/channels/news?event=head.line:2_a-B" })
    assert.equal("head.line:2_a-B", stream:event().type)
  end)

  it("passes JSON on as it stands", function()
    local server = start()
    local stream = listen(server)
    for _, body in ipairs {
      '{"title": "full moon", "b":1,"a":[]}', "[]", "{}", "null", "false", '"text"', "0.10",
      '{"n":12345678901234567890123}', '{\n  "pretty": true\n}', '{"data":"x","event":"y"}',
    } do
      local response = publish(server, body, { type = "application/json" })
      assert.equal(201, response.status, response.body)
      assert.equal(body, stream:event().data)
    end
  end)

  it("passes text on as it stands, also when it has no characters, or looks like JSON", function()
    local server = start()
    local stream = listen(server)
    for _, body in ipairs { "", "one\ntwo\n\nthree", "data: x", "{", "月が綺麗ですね", " " } do
      local response = publish(server, body, { type = 'Text/Plain; charset="UTF-8"' })
      assert.equal(201, response.status, response.body)
      assert.equal(body, stream:event().data)
    end
  end)

  it("reaches a reader that was away", function()
    local server = start()
    local stream = listen(server)
    publish(server, "one")
    local id = stream:event().id
    stream:close()
    publish(server, "two")
    publish(server, "three")
    stream = listen(server, id)
    assert.equal("two", stream:event().data)
    assert.equal("three", stream:event().data)
    assert.is_true(stream:is_silent())
  end)

  it("reaches the readers of that channel alone, and those that come later not at all", function()
    local server = start()
    local stream = server:stream("/channels/weather")
    publish(server, "to the news")
    publish(server, "to the weather", { target = "/channels/weather" })
    assert.equal("to the weather", stream:event().data)
    local late = server:stream("/channels/weather")
    publish(server, "late", { target = "/channels/weather" })
    assert.equal("late", late:event().data)
  end)
end)

describe("the token", function()
  it("is asked for with 401 and the scheme", function()
    local server = start()
    for _, authorization in ipairs { false, "", "Basic " .. TOKEN, TOKEN, "Bearer", "Bearer ",
      "Bearer a b" } do
      local response, answer = publish(server, "x", { authorization = authorization })
      assert.equal(401, response.status, tostring(authorization))
      assert.equal('Bearer realm="channels"', response.headers["www-authenticate"])
      assert.equal("publishing takes a token: Authorization: Bearer", answer.error)
    end
  end)

  it("is refused with 401 unless it is the right one, all of it and no more", function()
    local server = start()
    local stream = listen(server)
    stream:comment() -- which comes with the head
    for _, token in ipairs { "x", TOKEN:sub(1, -2), TOKEN .. "x", TOKEN .. TOKEN, TOKEN:upper(),
      "x" .. TOKEN:sub(2), TOKEN:sub(1, -2) .. "x", ("x"):rep(8000) } do
      local response, answer = publish(server, "x", { authorization = "Bearer " .. token })
      assert.equal(401, response.status)
      assert.equal('Bearer realm="channels", error="invalid_token"',
        response.headers["www-authenticate"])
      assert.equal("this is not the token", answer.error)
    end
    assert.is_true(stream:is_silent())
  end)

  it("is taken whatever the case of the scheme", function()
    local server = start()
    for _, scheme in ipairs { "bearer ", "BEARER ", "Bearer  " } do
      assert.equal(201, (publish(server, "x", { authorization = scheme .. TOKEN })).status)
    end
  end)

  it("is asked for before anything else is judged", function()
    local response = publish(start(), "{", {
      authorization = false, type = "application/xml", target = "/channels/NEWS?event=a+b",
    })
    assert.equal(401, response.status)
  end)

  it("is never in the log, whether right or wrong", function()
    local server = start(nil, { "--log-level", "debug" })
    assert.equal(201, (publish(server, "x")).status)
    assert.equal(401, (publish(server, "x", { authorization = "Bearer wrong-horse" })).status)
    assert.equal(400, (publish(server, "{", { type = "application/json" })).status)
    eventually(function()
      return #server:log_lines("target=/channels/news") == 3
    end)
    assert.same({}, server:log_lines(TOKEN))
    assert.same({}, server:log_lines("wrong-horse"))
  end)

  it("has to be there: without one publishing answers 503 and how to mend it", function()
    local server = start("") -- as if it was not set
    for _, authorization in ipairs { false, "Bearer " .. TOKEN, "Bearer " } do
      local response, answer = publish(server, "x", { authorization = authorization })
      assert.equal(503, response.status)
      assert.matches("LUNESSE_PUBLISH_TOKEN", answer.error)
    end
    assert.equal(200, listen(server).head.status) -- reading goes on
  end)
end)

describe("what cannot be published", function()
  local server

  setup(function()
    server = Server.start({ ["publish.lua"] = SCRIPT }, {
      env = { LUNESSE_PUBLISH_TOKEN = TOKEN }, shared = true,
    })
  end)

  teardown(function()
    server:stop()
  end)

  it("is refused with 415 when it is neither JSON nor text in UTF-8", function()
    for _, type in ipairs { false, "", "application/x-www-form-urlencoded", "text/html",
      "application/xml", "text/plain; charset=iso-8859-1", "application/jsonx" } do
      local response, answer = publish(server, "x", { type = type })
      assert.equal(415, response.status, tostring(type))
      assert.equal(("the data is application/json or text/plain, in UTF-8; its Content-Type " ..
        "says '%s'"):format(type or ""), answer.error)
    end
  end)

  it("is refused with 400 when it is not the JSON that it says", function()
    for _, body in ipairs { "", "{", "{'a': 1}", "full moon", '{"a":1}}', "nan" } do
      local response, answer = publish(server, body, { type = "application/json" })
      assert.equal(400, response.status, body)
      assert.matches("^the body is not JSON: ", answer.error)
    end
  end)

  it("is refused with 400 when it is not UTF-8", function()
    for _, type in ipairs { "text/plain", "application/json" } do
      local response, answer = publish(server, '"\xff"', { type = type })
      assert.equal(400, response.status)
      assert.equal("the body is not UTF-8", answer.error)
    end
  end)

  it("is refused with 400 when the event cannot be called that", function()
    for _, event in ipairs { "", "a%0Ab", "a%00b", "a+b", "%C3%BC", ("x"):rep(65) } do
      local response, answer = publish(server, "x", { target = "/channels/news?event=" .. event })
      assert.equal(400, response.status, event)
      assert.matches("^an event's name is ", answer.error)
    end
  end)

  it("is refused with 400 when the channel cannot be called that", function()
    for _, name in ipairs { "News", "a.b", "a%2Fb", "a%20b", "%C3%BC", ("x"):rep(65) } do
      local response, answer = publish(server, "x", { target = "/channels/" .. name })
      assert.equal(400, response.status, name)
      assert.equal("a channel's name is 1 to 64 of a-z, 0-9 and -", answer.error)
      assert.equal(400, server:request { target = "/channels/" .. name }.status)
    end
    assert.equal(201, (publish(server, "x", { target = "/channels/" .. ("x"):rep(64) })).status)
  end)

  it("is refused with 413 over 64 KiB", function()
    assert.equal(201, (publish(server, ("x"):rep(64 * 1024))).status)
    assert.equal(413, (publish(server, ("x"):rep(64 * 1024 + 1))).status)
  end)

  it("is refused with 405 by another method, and with 400 to read without a stream", function()
    local response = server:request { method = "PUT", target = "/channels/news", body = "x" }
    assert.equal(405, response.status)
    response = server:request {
      target = "/channels/news", headers = { ["Accept"] = "application/json" },
    }
    assert.equal(400, response.status)
    assert.equal("this route speaks text/event-stream", cjson.decode(response.body).error)
  end)
end)
