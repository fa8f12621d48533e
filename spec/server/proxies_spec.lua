-- Debian's nginx, HAProxy and Apache in front of the program, each with the block of
-- docs/proxies.md: events pass at once, who leaves is left, what was cut stays cut.

local support = require "spec.sse.support"
local wire = require "spec.support.wire"
local Pages = require "spec.support.pages"
local Proxy = require "spec.support.proxy"
local Process = require "spec.support.process"
local Server = require "spec.support.server"

local ROUTES = [[
local room = lunesse.channel("room")
server:get("/room", function(request, response)
  response.sse:subscribe(room)
  response:on("close", function(reason) mark("close", reason) end)
end)
server:post("/room", function(request, response)
  room:publish(request:text())
  response:send("")
end)
server:get("/whole", function(_, response)
  response.sse:send("all of it")
  response.sse:close()
end)
server:get("/half", function(_, response)
  response.sse:send("half of it")
  lunesse.sleep(0.05)
  error("on purpose")
end)
server:get("/who", function(request, response)
  response:send(("%s %s %s"):format(request.ip, request.scheme, request.host))
end)
server:get("/address", function(request, response)
  response:send(request.headers["x-forwarded-for"] or "none")
end)
]]

-- Seconds after which each proxy gives up a silent server, as lines for its configuration.
local SHORT_TIMEOUT = {
  nginx = "proxy_read_timeout 1s;",
  HAProxy = "    timeout server 1s",
  Apache = "ProxyTimeout 1",
}

-- How long a spec waits for a reader's leaving to be seen. Apache sees it when it writes.
local HEARTBEAT = { nginx = 15, HAProxy = 15, Apache = 0.2 }

for _, name in ipairs(Proxy.names) do
  describe("Behind " .. name, function()
    local server, proxy

    setup(function()
      server = support.start(ROUTES, { shared = true, args = {
        "--limit", "heartbeat=" .. HEARTBEAT[name], "--limit", "drain_timeout=0",
        "--trust-proxy", "127.0.0.1",
      } })
      proxy = Proxy.start(name, server)
    end)

    teardown(function()
      proxy:stop()
      server:stop()
    end)

    local function open(target)
      local client = wire.connect(proxy.port)
      client:send(wire.request { target = target, headers = { Accept = "text/event-stream" } })
      return client
    end

    local function curl(target)
      return Process.run { "curl", "-sN", "--max-time", "5", proxy.url .. target }
    end

    it("each event passes before the next is published", function()
      local reader = open("/room")
      assert(reader:receive_until(":\n\n"))
      eventually(function()
        server:request { method = "POST", target = "/room", body = "begin" }
        return reader:receive_until("data: begin\n\n", 0.2)
      end)
      for n = 1, 20 do
        server:request { method = "POST", target = "/room", body = "event " .. n }
        assert.truthy(reader:receive_until(("data: event %d\n\n"):format(n)))
      end
      reader:close()
    end)

    it("a reader that leaves is left", function()
      local reader = open("/room")
      assert(reader:receive_until(":\n\n"))
      local before = #support.marks(server)
      reader:close()
      eventually(function()
        return support.marks(server)[before + 1] == "close left"
      end)
    end)

    it("what was complete is complete, and what was cut is cut", function()
      local code, out = curl("/whole")
      assert.equal(0, code)
      assert.truthy(out:find("data: all of it\n\n", 1, true))
      code, out = curl("/half")
      assert.equal(18, code)
      assert.truthy(out:find("data: half of it\n\n", 1, true))
    end)

    it("the script sees the address of the reader", function()
      assert.same("127.0.0.1", select(2, curl("/address")))
    end)

    it("a trusted proxy says who the client is, whatever the client says", function()
      local _, out = Process.run { "curl", "-s", "--max-time", "5", "--interface", "127.0.0.3",
        "-H", "X-Forwarded-For: 8.8.8.8, 127.0.0.1", "-H", "Forwarded: for=8.8.8.8;proto=https",
        "-H", "X-Forwarded-Proto: https", "-H", "X-Forwarded-Host: evil", proxy.url .. "/who" }
      assert.equal("127.0.0.3 http 127.0.0.1:" .. proxy.port, out)
    end)

    it("a quiet stream outlives the proxy's patience by its heartbeats", function()
      local quiet = support.start(ROUTES, { args = { "--limit", "heartbeat=0.25" } })
      local impatient = Proxy.start(name, quiet, SHORT_TIMEOUT[name])
      local client = wire.connect(impatient.port)
      client:send(wire.request { target = "/room", headers = { Accept = "text/event-stream" } })
      local heartbeats = 0
      while heartbeats < 8 and client:receive_until(":\n\n") do -- two seconds of silence
        heartbeats = heartbeats + 1
      end
      client:close()
      impatient:stop()
      assert.equal(8, heartbeats)
    end)
  end)
end

describe("Behind nginx with its location for static files", function()
  it("a file and a part of it come from nginx, everything else from the server", function()
    local server = support.start(ROUTES)
    local static = Pages.block("docs/proxies.md", "nginx", "location /files/").text
    local proxy = Proxy.start("nginx", server, (static:gsub("/var/www", "www")))
    assert(Process.run { "mkdir", "-p", proxy.folder .. "/www/files" } == 0)
    Process.write_file(proxy.folder .. "/www/files/word", "harbour")
    local function curl(...)
      local _, out = Process.run { "curl", "-s", "--max-time", "5", ... }
      return out
    end
    assert.equal("harbour", curl(proxy.url .. "/files/word"))
    assert.equal("arb", curl("-r", "1-3", proxy.url .. "/files/word"))
    assert.equal("127.0.0.1", curl(proxy.url .. "/address"))
    proxy:stop()
  end)
end)

describe("Behind nginx with logins of its own", function()
  it("a script is told who is logged in, and no client can say so itself", function()
    local service = support.start [[
      server:get("/oauth2/auth", function(request, response)
        if request.cookies.session ~= "moonshine" then
          return response:status(401):send("")
        end
        response:header("X-Auth-Request-User", "ada"):status(202):send("")
      end)
    ]]
    local server = support.start [[
      server:any("/*rest", function(request, response)
        response:send(request.headers["x-forwarded-user"] or "nobody")
      end)
    ]]
    local proxy = Proxy.start("logins", server, nil, service)
    local function status_and_body(target, ...)
      local _, out = Process.run { "curl", "-s", "--max-time", "5", "-w", " %{http_code}",
        "-H", "X-Forwarded-User: root", proxy.url .. target, ... }
      return out
    end
    assert.equal("ada 200", status_and_body("/my/news", "-b", "session=moonshine"))
    assert.equal("ada 200", status_and_body("/my/news", "-b", "session=moonshine", "-d", "text"))
    assert.matches(" 401$", status_and_body("/my/news", "-b", "session=sunshine"))
    assert.equal("nobody 200", status_and_body("/news", "-b", "session=moonshine"))
    assert.matches(" 404$", status_and_body("/oauth2/auth")) -- it is internal
    proxy:stop()
  end)
end)

describe("A server on a Unix socket", function()
  for _, name in ipairs(Proxy.names) do
    it("is reached by " .. name, function()
      local folder = Server.write {}
      local path = folder .. "/socket"
      assert(Process.run { "chmod", "755", folder } == 0) -- Apache serves as another user
      support.start(ROUTES, { args = { "--unix", path, "--unix-mode", "666" } })
      local proxy = Proxy.start(name, { port = path })
      local _, out = Process.run { "curl", "-s", "--max-time", "5", proxy.url .. "/address" }
      assert.equal("127.0.0.1", out)
      proxy:stop()
    end)
  end
end)

local CURL = { "curl", "-s", "--max-time", "5" }

local function curl(...)
  local words = { table.unpack(CURL) }
  for _, word in ipairs { ... } do
    words[#words + 1] = word
  end
  local _, out = Process.run(words)
  return out
end

---Holds `proxy` to sending a stream by HTTPS and HTTP/2, event by event, and to saying that it was
---asked by HTTPS.
local function expect_stream(proxy, server)
  local url = proxy.url:gsub("^http:", "https:")
  assert.matches("^127.0.0.1 https ", curl("-k", url .. "/who"))
  local reader = Process.start { "curl", "-skNi", "--http2", url .. "/room" }
  for _, data in ipairs { "one", "two" } do
    eventually(function()
      return reader:stdout():find(":\n\n", 1, true)
    end)
    server:request { method = "POST", target = "/room", body = data }
    eventually(function()
      return reader:stdout():find("data: " .. data .. "\n\n", 1, true)
    end)
  end
  assert.matches("^HTTP/2 200", reader:stdout())
  reader:kill()
end

local TRUSTING = { args = { "--trust-proxy", "127.0.0.1" } }

describe("Behind nginx with TLS", function()
  it("plain HTTP is sent to HTTPS, and a stream comes by HTTP/2", function()
    local server = support.start(ROUTES, TRUSTING)
    local proxy = Proxy.start("TLS", server)
    local out = curl("-I", "--unix-socket", proxy.folder .. "/plain", "http://example.com/room?a=b")
    assert.matches("^HTTP/1.1 301 ", out)
    assert.matches("\nLocation: https://example.com/room%?a=b\r\n", out)
    expect_stream(proxy, server)
    proxy:stop()
  end)
end)

describe("Behind HAProxy with TLS", function()
  it("plain HTTP is sent to HTTPS, but for the authority, and a stream comes by HTTP/2", function()
    local server = support.start(ROUTES, TRUSTING)
    local certbot = support.start [[
      server:get("/.well-known/acme-challenge/*rest", function(request, response)
        response:send("proof of " .. request.params.rest)
      end)
    ]]
    local proxy = Proxy.start("HAProxy TLS", server, nil, certbot)
    local plain = proxy.folder .. "/plain"
    local out = curl("-I", "--unix-socket", plain, "http://example.com/room?a=b")
    assert.matches("^HTTP/1.1 301 ", out)
    assert.matches("\nlocation: https://example.com/room%?a=b\r\n", out)
    assert.equal("proof of t0ken", curl("--unix-socket", plain,
      "http://example.com/.well-known/acme-challenge/t0ken"))
    expect_stream(proxy, server)
    proxy:stop()
  end)
end)

describe("Behind Apache with TLS", function()
  it("plain HTTP is sent to HTTPS, and a stream comes by HTTP/2", function()
    local server = support.start(ROUTES, TRUSTING)
    local proxy = Proxy.start("Apache TLS", server)
    local plain = Process.read_file(proxy.folder .. "/plain")
    local out = curl("-I", "http://127.0.0.1:" .. plain .. "/room?a=b")
    assert.matches("^HTTP/1.1 301 ", out)
    assert.matches("\nLocation: https://example.com/room%?a=b\r\n", out)
    expect_stream(proxy, server)
    proxy:stop()
  end)
end)

describe("Several servers", function()
  local PUBLISH = Process.read_file("scripts/publish.lua")

  local function start()
    return Server.start({ ["publish.lua"] = PUBLISH }, {
      env = { LUNESSE_PUBLISH_TOKEN = "moonshine" },
    })
  end

  local function publish(url)
    return curl(url, "-H", "Authorization: Bearer moonshine", "-H", "Content-Type: text/plain",
      "-d", "full moon")
  end

  ---How many events the channel of a server has.
  local function count(server, channel)
    local reader = server:connect()
    reader:send(wire.request {
      target = "/channels/" .. channel, headers = { Accept = "text/event-stream" },
    })
    assert(reader:receive_until("id: "))
    local id = assert(reader:receive_until("\n"))
    reader:close()
    return tonumber(id:match("-(%d+)\n"))
  end

  it("behind nginx have each path for themselves, for readers and publishers alike", function()
    local one, two = start(), start()
    local proxy = Proxy.start("several", one, nil, two)
    local counts = { [0] = 0, 0 }
    for n = 1, 20 do
      publish(proxy.url .. "/channels/room-" .. n)
      publish(proxy.url .. "/channels/room-" .. n .. "?event=said")
      local at_one, at_two = count(one, "room-" .. n), count(two, "room-" .. n)
      assert.same({ 0, 2 }, { math.min(at_one, at_two), math.max(at_one, at_two) })
      counts[at_one // 2] = counts[at_one // 2] + 1
    end
    assert.is_true(counts[0] > 0 and counts[1] > 0)
    proxy:stop()
  end)

  it("know a login of their own store when nginx chooses them by address", function()
    local login = Pages.block("docs/howto.md", "lua", "USERS =").text
    local one, two = Server.start { ["login.lua"] = login }, Server.start { ["login.lua"] = login }
    local key = Process.read_file("docs/proxies.md"):match("`(hash $remote_addr [^`]+)`")
    local proxy = Proxy.start("several", one, function(config)
      return (config:gsub("hash $uri[^\n]*", key))
    end, two)
    local jar = proxy.folder .. "/jar"
    assert.equal("hello ada\n",
      curl("-c", jar, "-d", "name=ada&password=moonshine", proxy.url .. "/login"))
    for n = 1, 10 do
      assert.equal("you are ada\n", curl("-b", jar, proxy.url .. "/my/name?n=" .. n))
    end
    proxy:stop()
  end)

  it("each get what one command publishes", function()
    local one, two = start(), start()
    local command = Pages.block("docs/operations.md", "sh", "{10.0.0.1").text
      :gsub("{10.0.0.1,10.0.0.2}:3000", ("127.0.0.1:{%d,%d}"):format(one.port, two.port))
    assert.equal(0, (Process.run({ "sh", "-c", command }, {
      env = { LUNESSE_PUBLISH_TOKEN = "moonshine" },
    })))
    assert.same({ 1, 1 }, { count(one, "news"), count(two, "news") })
  end)
end)
