-- scripts/publish.lua, in the test kit: what other programs POST, the readers of a channel are
-- sent.

local test = require "lunesse.test"

local TOKEN = "correct-horse-battery-staple"

local app

local function start(token, options)
  options = options or {}
  options.env = { LUNESSE_PUBLISH_TOKEN = token or TOKEN }
  app = test.load("scripts/publish.lua", options)
end

before_each(function()
  start()
end)

after_each(function()
  test.stop()
  assert.no.logged { level = "error" }
end)

---Publishes `body`. Fields: `path`, `authorization` (false for none), `type` (false for none).
local function publish(body, fields)
  fields = fields or {}
  local authorization, type = fields.authorization, fields.type
  return app:post(fields.path or "/channels/news", { body = body, headers = {
    ["Authorization"] = authorization == nil and "Bearer " .. TOKEN or authorization,
    ["Content-Type"] = type == nil and "text/plain" or type,
  } })
end

local function refused(status, why, answer)
  answer:expect { status = status, headers = { ["Content-Type"] = "application/json" } }
  assert.matches(why, answer:json().error)
end

local function listen(name)
  return app:stream("/channels/" .. (name or "news")):expect(200)
end

describe("publishing", function()
  it("answers 201 with the id under which the readers get the event", function()
    local one, other = listen(), listen()
    local id = publish("full moon tonight"):expect(201):json().id
    for _, stream in ipairs { one, other } do
      assert.next_event(stream, { event = "message", data = "full moon tonight", id = id })
    end
  end)

  it("gives the event the name that the query has", function()
    local stream = listen()
    publish("x", { path = "/channels/news?event=head.line:2_a-B" })
    assert.next_event(stream, "head.line:2_a-B", "x")
  end)

  it("passes JSON on as it stands", function()
    local stream = listen()
    for _, body in ipairs {
      '{"title": "full moon", "b":1,"a":[]}', "[]", "{}", "null", "false", '"text"', "0.10",
      '{"n":12345678901234567890123}', '{\n  "pretty": true\n}', '{"data":"x","event":"y"}',
    } do
      publish(body, { type = "application/json" }):expect(201)
      assert.next_event(stream, "message", body)
    end
  end)

  it("passes text on as it stands, also when it has no characters, or looks like JSON", function()
    local stream = listen()
    for _, body in ipairs { "", "one\ntwo\n\nthree", "data: x", "{", "月が綺麗ですね", " " } do
      publish(body, { type = 'Text/Plain; charset="UTF-8"' }):expect(201)
      if body:find("^[ -~]*$") then
        publish(body, { type = "text/plain;charset=us-ascii" }):expect(201)
        assert.next_event(stream, "message", body)
      end
      assert.next_event(stream, "message", body)
    end
  end)

  it("reaches a reader that was away", function()
    local stream = listen()
    publish("one")
    assert.next_event(stream, "message", "one")
    stream:leave()
    publish("two")
    publish("three")
    stream = stream:reconnect()
    assert.next_event(stream, "message", "two")
    assert.next_event(stream, "message", "three")
    assert.quiet(stream)
  end)

  it("reaches the readers of that channel alone, and those that come later not at all", function()
    local stream = listen("weather")
    publish("to the news")
    publish("to the weather", { path = "/channels/weather" })
    assert.next_event(stream, "message", "to the weather")
    local late = listen("weather")
    publish("late", { path = "/channels/weather" })
    assert.next_event(late, "message", "late")
  end)
end)

describe("the token", function()
  it("is asked for with 401 and the scheme", function()
    for _, authorization in ipairs { false, "", "Basic " .. TOKEN, TOKEN, "Bearer", "Bearer ",
      "Bearer a b" } do
      local answer = publish("x", { authorization = authorization })
      refused(401, "^publishing takes a token: Authorization: Bearer$", answer)
      answer:expect { headers = { ["WWW-Authenticate"] = 'Bearer realm="channels"' } }
    end
  end)

  it("is refused with 401 unless it is the right one, all of it and no more", function()
    local stream = listen()
    for _, token in ipairs { "x", TOKEN:sub(1, -2), TOKEN .. "x", TOKEN .. TOKEN, TOKEN:upper(),
      "x" .. TOKEN:sub(2), TOKEN:sub(1, -2) .. "x", ("x"):rep(8000) } do
      local answer = publish("x", { authorization = "Bearer " .. token })
      refused(401, "^this is not the token$", answer)
      answer:expect {
        headers = { ["WWW-Authenticate"] = 'Bearer realm="channels", error="invalid_token"' },
      }
    end
    assert.quiet(stream)
  end)

  it("does not help a page of another origin, of which no channel is read either", function()
    for site, status in pairs { ["cross-site"] = 403, ["same-site"] = 403, ["same-origin"] = 201,
      none = 201 } do
      local headers = { ["Sec-Fetch-Site"] = site, ["Authorization"] = "Bearer " .. TOKEN,
        ["Content-Type"] = "text/plain" }
      local answer = app:post("/channels/news", { headers = headers, body = "x" }):expect(status)
      if status == 403 then
        answer:expect { json = { error = "this is for pages of this server" } }
      end
      app:stream("/channels/news", { headers = headers }):expect(status == 201 and 200 or 403)
    end
    for origin, status in pairs { ["http://localhost"] = 200, ["http://evil.example"] = 403 } do
      app:stream("/channels/news", { headers = { Origin = origin } }):expect(status)
    end
  end)

  it("is taken whatever the case of the scheme", function()
    for _, scheme in ipairs { "bearer ", "BEARER ", "Bearer  " } do
      publish("x", { authorization = scheme .. TOKEN }):expect(201)
    end
  end)

  it("is asked for before anything else is judged", function()
    publish("{", {
      authorization = false, type = "application/xml", path = "/channels/NEWS?event=a+b",
    }):expect(401)
  end)

  it("is never in the log, whether right or wrong", function()
    app:stop()
    start(nil, { arguments = { "--log-level", "debug" } })
    publish("x"):expect(201)
    publish("x", { authorization = "Bearer wrong-horse" }):expect(401)
    publish("{", { type = "application/json" }):expect(400)
    assert.equal(3, #app:log { fields = { target = "/channels/news" } })
    for _, record in ipairs(app:log()) do
      local text = record.message
      for name, value in pairs(record.fields) do
        text = ("%s %s=%s"):format(text, name, value)
      end
      assert.is_nil(text:find(TOKEN, 1, true) or text:find("wrong-horse", 1, true))
    end
  end)

  it("has to be there: without one publishing answers 503 and how to mend it", function()
    app:stop()
    start("") -- as if it was not set
    for _, authorization in ipairs { false, "Bearer " .. TOKEN, "Bearer " } do
      refused(503, "^publishing is off: start the server with a secret in its environment, " ..
        "LUNESSE_PUBLISH_TOKEN, and send it as Authorization: Bearer$",
        publish("x", { authorization = authorization }))
    end
    listen() -- reading goes on
  end)
end)

describe("what cannot be published", function()
  it("is refused with 415 when it is neither JSON nor text in UTF-8", function()
    for _, type in ipairs { false, "", "application/x-www-form-urlencoded", "text/html",
      "application/xml", "text/plain; charset=iso-8859-1", "application/jsonx" } do
      publish("x", { type = type }):expect { status = 415, json = { error =
        ("the data is application/json or text/plain, in UTF-8; its Content-Type says '%s'"):format(
          type or "") } }
    end
  end)

  it("is refused with 400 when it is not the JSON that it says", function()
    for _, body in ipairs { "", "{", "{'a': 1}", "full moon", '{"a":1}}', "nan" } do
      refused(400, "^the body is not JSON: ", publish(body, { type = "application/json" }))
    end
    refused(400, "^the body is not JSON: expected a value at line 1, column 6$",
      publish('{"a":}', { type = "application/json" }))
  end)

  it("is refused with 400 when it is not UTF-8", function()
    for _, type in ipairs { "text/plain", "application/json" } do
      refused(400, "^the body is not UTF%-8$", publish('"\xff"', { type = type }))
    end
  end)

  it("is refused with 400 when the event cannot be called that", function()
    for _, event in ipairs { "", "a%0Ab", "a%00b", "a+b", "%C3%BC", ("x"):rep(65) } do
      local path = "/channels/news?event=" .. event
      refused(400, "^an event's name is 1 to 64 of a%-z, A%-Z, 0%-9 and %._:%-$",
        publish("x", { path = path }))
    end
    publish("x", { path = "/channels/news?event=" .. ("x"):rep(64) }):expect(201)
  end)

  it("is refused with 400 when the channel cannot be called that", function()
    for _, name in ipairs { "News", "a.b", "a%2Fb", "a%20b", "%C3%BC", ("x"):rep(65) } do
      local path = "/channels/" .. name
      refused(400, "^a channel's name is 1 to 64 of a%-z, 0%-9 and %-$",
        publish("x", { path = path }))
      app:get(path):expect(400)
    end
    publish("x", { path = "/channels/" .. ("x"):rep(64) }):expect(201)
  end)

  it("is refused with 503 where the channel, or one more of them, cannot have it", function()
    app:stop()
    local file <close> = assert(io.open("scripts/publish.lua"))
    app = test.load({
      ["publish.lua"] = file:read("a"):gsub("channels = 10000", "channels = 1"),
      ["other.lua"] = [[
        local done = require("lunesse").channel("done")
        done:publish("the last")
        done:finish()
      ]],
    }, { env = { LUNESSE_PUBLISH_TOKEN = TOKEN } })
    publish("x"):expect(201)
    refused(503, "^the group has as many channels as it may$",
      publish("x", { path = "/channels/more" }))
    app:stream("/channels/more"):expect(503)
    refused(503, "^finished$", publish("x", { path = "/channels/done" }))
  end)

  it("is refused with 413 over 64 KiB", function()
    publish(("x"):rep(64 * 1024)):expect(201)
    publish(("x"):rep(64 * 1024 + 1)):expect(413)
  end)

  it("is refused with 405 by another method, and with 400 to read without a stream", function()
    app:put("/channels/news", { body = "x" }):expect(405)
    app:get("/channels/news", { accept = "application/json" }):expect {
      status = 400, json = { error = "this route speaks text/event-stream" },
    }
  end)
end)
