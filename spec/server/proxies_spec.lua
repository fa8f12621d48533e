-- Debian's nginx, HAProxy and Apache in front of the program, each with the block of
-- docs/proxies.md: events pass at once, who leaves is left, what was cut stays cut.

local support = require "spec.sse.support"
local wire = require "spec.support.wire"
local Pages = require "spec.support.pages"
local Proxy = require "spec.support.proxy"
local Process = require "spec.support.process"

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

describe("Behind nginx with TLS", function()
  it("plain HTTP is sent to HTTPS", function()
    local proxy = Proxy.start("TLS", support.start(ROUTES))
    local _, out = Process.run { "curl", "-sI", "--unix-socket", proxy.folder .. "/plain",
      "http://example.com/room?a=b" }
    assert.matches("^HTTP/1.1 301 ", out)
    assert.matches("\nLocation: https://example.com/room%?a=b\r\n", out)
    proxy:stop()
  end)

  it("a stream comes by HTTPS and HTTP/2, event by event", function()
    local server = support.start(ROUTES)
    local proxy = Proxy.start("TLS", server)
    local url = proxy.url:gsub("^http:", "https:")
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
    proxy:stop()
  end)
end)
