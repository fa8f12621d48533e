-- Who may use the chat and the channels of other programs: pages of the same origin, and whatever
-- is no page; and how much of them one peer can use up.

local cjson = require "cjson"
local Client = require "spec.support.client"
local Server = require "spec.support.server"
local Process = require "spec.support.process"
local wire = require "spec.support.wire"

local TOKEN = "correct-horse-battery-staple"
local MESSAGE = cjson.encode { name = "Ada", text = "good evening" }

local function start(options)
  options = options or {}
  options.env = { LUNESSE_PUBLISH_TOKEN = TOKEN }
  local files = { ["more.lua"] = options.more }
  for _, name in ipairs { "chat.lua", "chat.html", "publish.lua" } do
    files[name] = Process.read_file("scripts/" .. name)
  end
  return Server.start(files, options)
end

local function post(server, headers, target)
  headers = headers or {}
  headers["Authorization"] = "Bearer " .. TOKEN
  headers["Content-Type"] = "application/json"
  return server:request {
    method = "POST", target = target or "/chat/sea", headers = headers, body = MESSAGE,
  }
end

---Asks for the stream, and returns the status.
local function status_of(server, target, headers)
  headers["Accept"] = "text/event-stream"
  local client = server:connect()
  client:send(wire.request { target = target, headers = headers })
  local head = client:head()
  client:close()
  return head.status
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
  local server

  setup(function()
    server = start { shared = true }
  end)

  teardown(function()
    server:stop()
  end)

  local function headers_of(case)
    local headers = {}
    for name, value in pairs(case[1]) do
      headers[name] = value:gsub("HOST", server.url:match("//(.*)$"), 1)
    end
    headers["Host"] = server.url:match("//(.*)$")
    return headers
  end

  it("that changes something is refused from a page of another origin", function()
    for i, case in ipairs(CASES) do
      for _, target in ipairs { "/chat/sea", "/channels/news" } do
        local response = post(server, headers_of(case), target)
        assert.equal(case[2] and 201 or 403, response.status, i .. " " .. target)
        if not case[2] then
          assert.equal("this is for pages of this server", cjson.decode(response.body).error)
        end
      end
    end
  end)

  it("that opens a stream is, too, and no page is refused that somebody follows a link to",
    function()
      for i, case in ipairs(CASES) do
        for _, target in ipairs { "/chat/sea/events", "/channels/news" } do
          local status = status_of(server, target, headers_of(case))
          assert.equal(case[2] and 200 or 403, status, i .. " " .. target)
        end
        for _, target in ipairs { "/chat", "/chat/sea" } do
          local status = server:request { target = target, headers = headers_of(case) }.status
          assert.is_true(status == 200 or status == 303 or status == 302, target .. " " .. status)
        end
      end
    end)

  it("is refused in a browser whose page comes from another port, and not from its own", function()
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
  -- Rooms of the chat by number; the other script's channels go on.
  local OTHER = [[
    local lunesse = require "lunesse"
    local server = lunesse.server()
    server:get("/other/:name", function(request, response)
      local room, why = lunesse.channel(request.params.name)
      response:send(room and room:publish("x") or why)
    end)
  ]]

  it("is the last one that a proxy on this machine forwards", function()
    local server = start { workers = 1, clock = true }
    local function status_from(list, room)
      return post(server, { ["X-Forwarded-For"] = list }, "/chat/" .. room).status
    end
    for n = 1, 100 do
      assert.equal(201, status_from("192.0.2." .. n .. ", 198.51.100.1", "room-" .. n))
    end
    assert.equal(429, status_from("198.51.100.2, 198.51.100.1", "room-101"))
    assert.equal(201, status_from("198.51.100.1, 198.51.100.2", "room-101"))
  end)

  it("opens a hundred rooms of the chat in an hour, and goes on in those", function()
    local server = start { workers = 1, clock = true, more = OTHER }
    for n = 1, 100 do
      assert.equal(201, post(server, {}, "/chat/room-" .. n).status)
    end
    local response = post(server, {}, "/chat/room-101")
    assert.equal(429, response.status)
    assert.equal("your address has opened 100 rooms in an hour",
      cjson.decode(response.body).error)
    assert.equal(429, status_of(server, "/chat/room-102/events", {}))
    assert.equal(201, post(server, {}, "/chat/room-1").status)
    local _, status = Process.run { "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}",
      "--interface", "127.0.0.2", server.url .. "/chat/room-101", "-d", MESSAGE }
    assert.equal("201", status)
    assert.equal(200, status_of(server, "/chat/room-100/events", {}))
    assert.matches("%-1$", server:request { target = "/other/free" }.body)
    server:advance(3601)
    assert.equal(201, post(server, {}, "/chat/room-102").status)
  end)

  it("opens none by what is refused, and the same room once, however often", function()
    local server = start { workers = 1 }
    for n = 1, 150 do
      local headers = { Origin = "http://evil.example" }
      assert.equal(403, post(server, headers, "/chat/room-" .. n).status)
      assert.equal(400, server:request { method = "POST", target = "/chat/room-" .. n,
        body = "{}" }.status)
      assert.equal(200, status_of(server, "/chat/empty/events", {}))
    end
    for n = 1, 99 do
      assert.equal(201, post(server, {}, "/chat/room-" .. n).status)
    end
    assert.equal(429, post(server, {}, "/chat/room-100").status)
  end)
end)

describe("a peer", function()
  it("is an IPv4 address, or the first half of an IPv6 address", function()
    local text = Process.read_file("scripts/chat.lua")
    local part_of = load(text:match("local function (part_of.-\nend)\n")
      :gsub("^part_of", "return function"))()
    for ip, expected in pairs {
      ["192.0.2.7"] = "192.0.2.7", ["::ffff:192.0.2.7"] = "::ffff:192.0.2.7", unix = "unix",
      ["2001:db8:1:2:3:4:5:6"] = "2001:db8:1:2", ["2001:db8:1:2::9"] = "2001:db8:1:2",
      ["2001:db8::1:2:3:9"] = "2001:db8", ["fe80::1"] = "fe80", ["::1"] = "",
    } do
      assert.equal(expected, part_of(ip), ip)
    end
  end)
end)

describe("all rooms and channels of peers", function()
  it("hold what their groups may, and other scripts have the rest", function()
    local chat = Process.read_file("scripts/chat.lua")
    local publish = Process.read_file("scripts/publish.lua")
    local function lower(text, count)
      local lowered, times = text:gsub("channels = 10000", "channels = " .. count)
      assert.equal(1, times)
      return lowered
    end
    local server = Server.start({
      ["chat.lua"] = lower(chat, 10), ["publish.lua"] = lower(publish, 10),
      ["chat.html"] = "", ["other.lua"] = [[
        local lunesse = require "lunesse"
        lunesse.server():get("/other", function(_, response)
          response:send((lunesse.channel("other"):publish("x")))
        end)
      ]],
    }, { workers = 1, env = { LUNESSE_PUBLISH_TOKEN = TOKEN } })
    for n = 1, 10 do
      assert.equal(201, post(server, {}, "/chat/room-" .. n).status)
      assert.equal(201, post(server, {}, "/channels/name-" .. n).status)
    end
    for _, target in ipairs { "/chat/room-11", "/channels/name-11" } do
      local response = post(server, {}, target)
      assert.equal(503, response.status)
      assert.equal("the group has as many channels as it may", cjson.decode(response.body).error)
    end
    assert.equal(503, status_of(server, "/channels/name-12", {}))
    assert.matches("%-1$", server:request { target = "/other" }.body)
  end)
end)
