-- Who may use the chat and the channels of other programs: pages of the same origin, and whatever
-- is no page; and how much of them one peer can use up. In the test kit, but for the browser.

local cjson = require "cjson"
local test = require "lunesse.test"
local Client = require "spec.support.client"
local Server = require "spec.support.server"
local Process = require "spec.support.process"

local TOKEN = "correct-horse-battery-staple"
local ENV = { LUNESSE_PUBLISH_TOKEN = TOKEN }
local MESSAGE = cjson.encode { name = "Ada", text = "good evening" }
local HOST = "chat.example:3000"

local app

---Loads the chat, the channels, and what else `files` has; `change` is made to each text.
local function start(files, change)
  files = files or {}
  for _, name in ipairs { "chat.lua", "chat.html", "publish.lua" } do
    local text = Process.read_file("scripts/" .. name)
    files[name] = change and change(text) or text
  end
  app = test.load(files, { env = ENV })
end

after_each(function()
  if app then
    app:stop()
  end
end)

---Says or publishes something; returns the answer.
local function post(headers, path, peer)
  local all = { ["Authorization"] = "Bearer " .. TOKEN, ["Content-Type"] = "application/json" }
  for name, value in pairs(headers or {}) do
    all[name] = value
  end
  return app:post(path or "/chat/sea", { headers = all, body = MESSAGE, peer = peer })
end

---Asks for the stream, and returns the status.
local function status_of(path, headers)
  return app:stream(path, { headers = headers }):leave().status
end

-- Headers and whether they are of a page of the server; `HOST` is its address.
local CASES = {
  { {}, true }, { { ["Sec-Fetch-Site"] = "none" }, true },
  { { Origin = "http://HOST" }, true }, { { Origin = "HTTPS://HOST" }, true },
  { { ["Sec-Fetch-Site"] = "same-origin", Origin = "http://HOST" }, true },
  { { ["Sec-Fetch-Site"] = "same-origin", Origin = "http://name.behind.a.proxy" }, true },
  { { ["Sec-Fetch-Site"] = "cross-site", Origin = "http://evil.example" }, false },
  { { ["Sec-Fetch-Site"] = "same-site", Origin = "http://HOST" }, false },
  { { ["Sec-Fetch-Site"] = "cross-site" }, false }, { { ["Sec-Fetch-Site"] = "" }, false },
  { { Origin = "http://evil.example" }, false }, { { Origin = "null" }, false },
  { { Origin = "http://localhost:1" }, false }, { { Origin = "HOST" }, false },
  { { Origin = "http://HOST.evil.example" }, false }, { { Origin = "" }, false },
}

describe("a request for the chat or a channel", function()
  local function headers_of(case)
    local headers = { Host = HOST }
    for name, value in pairs(case[1]) do
      headers[name] = value:gsub("HOST", HOST, 1)
    end
    return headers
  end

  it("that changes something is refused from a page of another origin", function()
    start()
    for i, case in ipairs(CASES) do
      for _, path in ipairs { "/chat/sea", "/channels/news" } do
        local answer = post(headers_of(case), path)
        assert.equal(case[2] and 201 or 403, answer.status, i .. " " .. path)
        if not case[2] then
          assert.equal("this is for pages of this server", answer:json().error)
        end
      end
    end
  end)

  it("that opens a stream is, too, and no page is refused that somebody follows a link to",
    function()
      start()
      for i, case in ipairs(CASES) do
        for _, path in ipairs { "/chat/sea/events", "/channels/news" } do
          assert.equal(case[2] and 200 or 403, status_of(path, headers_of(case)), i .. " " .. path)
        end
        for _, path in ipairs { "/chat", "/chat/sea" } do
          local status = app:get(path, { headers = headers_of(case) }).status
          assert.is_true(status == 200 or status == 303 or status == 302, path .. " " .. status)
        end
      end
    end)

  it("is refused in a browser whose page comes from another port, and not from its own", function()
    local server = Server.start(nil, { path = "scripts", env = ENV })
    local other = Server.start [[
      local server = require("lunesse").server()
      server:get("/", function(_, response) response:type("text/html"):send("<p>page</p>") end)
    ]]
    local code = ([[
      const post = await fetch('%s/chat/sea', { method: 'POST', body: %q, mode: 'MODE' })
      return post.status
    ]]):format(server.url, MESSAGE)
    assert.equal(201, Client.browse(server.url .. "/chat", (code:gsub("MODE", "same-origin"))))
    local before = #server:log_lines("status=403")
    Client.browse(other.url .. "/", (code:gsub("MODE", "no-cors")))
    eventually(function()
      return #server:log_lines("status=403") == before + 1
    end)
  end)
end)

describe("one address", function()
  it("is the last one that a proxy forwards through a Unix socket", function()
    local server = Server.start(nil, {
      path = "scripts", env = ENV, args = { "--unix", Server.write {} .. "/socket" },
    })
    local function status_from(address, room)
      return server:request({ method = "POST", target = "/chat/" .. room, body = MESSAGE,
        headers = { ["X-Forwarded-For"] = address } }).status
    end
    for n = 1, 100 do
      assert.equal(201, status_from("198.51.100.1", "room-" .. n))
    end
    assert.equal(429, status_from("198.51.100.1", "room-101"))
    assert.equal(201, status_from("198.51.100.2", "room-101"))
  end)

  it("is the last one that a proxy on this machine forwards", function()
    start()
    local function status_from(list, room)
      return post({ ["X-Forwarded-For"] = list }, "/chat/" .. room).status
    end
    for n = 1, 100 do
      assert.equal(201, status_from("192.0.2." .. n .. ", 198.51.100.1", "room-" .. n))
    end
    assert.equal(429, status_from("198.51.100.2, 198.51.100.1", "room-101"))
    assert.equal(201, status_from("198.51.100.1, 198.51.100.2", "room-101"))
  end)

  it("opens a hundred rooms of the chat in an hour, and goes on in those", function()
    -- Rooms of the chat by number; the other script's channels go on.
    start { ["other.lua"] = [[
      local lunesse = require "lunesse"
      lunesse.server():get("/other/:name", function(request, response)
        local room, why = lunesse.channel(request.params.name)
        response:send(room and room:publish("x") or why)
      end)
    ]] }
    for n = 1, 100 do
      post({}, "/chat/room-" .. n):expect(201)
    end
    post({}, "/chat/room-101"):expect {
      status = 429, json = { error = "your address has opened 100 rooms in an hour" },
    }
    assert.equal(429, status_of("/chat/room-102/events"))
    post({}, "/chat/room-1"):expect(201)
    post({}, "/chat/room-101", "127.0.0.2"):expect(201)
    assert.equal(200, status_of("/chat/room-100/events"))
    app:get("/other/free"):expect { matches = "%-1$" }
    app:advance(3590)
    post({}, "/chat/room-102"):expect(429)
    app:advance(11)
    post({}, "/chat/room-102"):expect(201)
  end)

  it("opens none by what is refused, and the same room once, however often", function()
    start()
    for n = 1, 150 do
      post({ Origin = "http://evil.example" }, "/chat/room-" .. n):expect(403)
      app:post("/chat/room-" .. n, { body = "{}" }):expect(400)
      assert.equal(200, status_of("/chat/empty/events"))
    end
    for n = 1, 99 do
      post({}, "/chat/room-" .. n):expect(201)
    end
    post({}, "/chat/room-100"):expect(429)
  end)
end)

describe("all rooms and channels of peers", function()
  it("hold what their groups may, and other scripts have the rest", function()
    start({ ["other.lua"] = [[
      local lunesse = require "lunesse"
      lunesse.server():get("/other", function(_, response)
        response:send((lunesse.channel("other"):publish("x")))
      end)
    ]] }, function(text)
      return (text:gsub("channels = 10000", "channels = 10"))
    end)
    for n = 1, 10 do
      post({}, "/chat/room-" .. n):expect(201)
      post({}, "/channels/name-" .. n):expect(201)
    end
    for _, path in ipairs { "/chat/room-11", "/channels/name-11" } do
      post({}, path):expect {
        status = 503, json = { error = "the group has as many channels as it may" },
      }
    end
    assert.equal(503, status_of("/channels/name-12"))
    app:get("/other"):expect { matches = "%-1$" }
  end)
end)
