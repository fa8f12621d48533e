-- A listener whose connections begin with a PROXY header: the client that a balancer names, and
-- what is no header.

local apps = require "spec.support.app"
local support = require "spec.sse.support"
local http = require "spec.http.support"
local kit = require "spec.support.kit"
local Process = require "spec.support.process"
local Proxy = require "spec.support.proxy"
local Server = require "spec.support.server"
local wire = require "spec.support.wire"

local SCRIPT = [[
server:get("/ip", function(request, response) response:send(request.ip) end)
server:get("/events", function(request, response)
  response.sse:send(request.ip)
  lunesse.sleep(1000)
end)
server:post("/length", function(request, response) response:send(#request:text()) end)
]]

local SIGNATURE = "\r\n\r\n\0\r\nQUIT\n"
local FOUR = "\xc0\0\2\1\xc6\x33\x64\2\x30\x39\1\xbb" -- 192.0.2.1:12345 to 198.51.100.2:443
local SIX = "\x20\1\x0d\xb8" .. ("\0"):rep(11) .. "\7" .. ("\0"):rep(16) .. "\0\1\0\2"

---A header of version 2.
local function binary(command, family, addresses)
  return SIGNATURE .. string.pack(">BBs2", 0x20 | command, family, addresses)
end

local V1 = "PROXY TCP4 192.0.2.1 198.51.100.2 12345 443\r\n"
local V2 = binary(1, 0x11, FOUR)

local GET_IP = "GET /ip HTTP/1.1\r\nHost: x\r\n\r\n"

local function start(options)
  options = options or {}
  options.args = options.args or {}
  table.insert(options.args, "--proxy-protocol")
  return Server.start(support.script(SCRIPT), options)
end

local function ip_of(app, header, peer)
  return app:get("/ip", { proxy_header = header, peer = peer }):text()
end

describe("in the test kit a PROXY header", function()
  local app

  before_each(function()
    kit.ask()
    app = apps.start(SCRIPT)
  end)

  it("names the client", function()
    assert.equal("192.0.2.1", ip_of(app, V1))
    assert.equal("192.0.2.1", ip_of(app, V2))
    assert.equal("2001:db8::7", ip_of(app, "PROXY TCP6 2001:db8::7 ::1 1 2\r\n"))
    assert.equal("2001:db8::7", ip_of(app, binary(1, 0x21, SIX)))
    assert.equal("192.0.2.7", ip_of(app, "PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n"))
    assert.equal("unix", ip_of(app, binary(1, 0x31, ("\0"):rep(216))))
  end)

  it("that names none leaves the peer", function()
    for _, header in ipairs { "PROXY UNKNOWN\r\n", "PROXY UNKNOWN ? ?\r\n", binary(0, 0, ""),
      binary(0, 0x11, FOUR), binary(1, 0, ""), binary(1, 0, "\4\0\1x") } do
      assert.equal("10.0.0.9", ip_of(app, header, "10.0.0.9"))
    end
  end)

  it("may have more behind the addresses", function()
    local tlvs = "\1\0\2h2" .. "\4" .. string.pack(">s2", ("x"):rep(8000))
    assert.equal("192.0.2.1", ip_of(app, binary(1, 0x11, FOUR .. tlvs)))
  end)

  it("is read however slowly it comes, and so is the request behind it", function()
    for _, header in ipairs { V1, V2 } do
      assert.equal("192.0.2.1", app:get("/ip", { proxy_header = header, slow = 1 }):text())
    end
  end)

  it("and trusted proxies go together: the header names a proxy, which names the client", function()
    local trusting = apps.start('lunesse.web.trust_proxy "192.0.2.0/24"\n' .. SCRIPT)
    local headers = { ["X-Forwarded-For"] = "203.0.113.7" }
    local answer = trusting:get("/ip", { proxy_header = V1, headers = headers })
    assert.equal("203.0.113.7", answer:text())
    answer = trusting:get("/ip", { peer = "192.0.2.1", headers = headers,
      proxy_header = "PROXY TCP4 198.51.100.1 10.0.0.1 1 2\r\n" })
    assert.equal("198.51.100.1", answer:text())
  end)
end)

describe("a listener with --proxy-protocol", function()
  local server

  setup(function()
    server = start { shared = true }
  end)

  teardown(function()
    server:stop()
  end)

  it("reads the header in any cut", function()
    for _, header in ipairs { V1, V2, "PROXY UNKNOWN\r\n" } do
      local expected = header:find("UNKNOWN") and "127.0.0.1" or "192.0.2.1"
      wire.cut_everywhere(server, header .. GET_IP, function(client)
        assert.equal(expected, client:response().body)
      end)
    end
  end)

  it("reads it once: what follows is HTTP, kept alive and pipelined", function()
    local client = wire.connect(server)
    client:send(V2 .. GET_IP .. GET_IP)
    assert.equal("192.0.2.1", client:response().body)
    assert.equal("192.0.2.1", client:response().body)
    client:send(V2)
    assert.equal(400, client:response().status)
    client:close()
  end)

  it("gives a body that comes with it to the request, all of it", function()
    local client = wire.connect(server)
    local body = ("x"):rep(300000)
    client:send(V1 .. "POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n" .. body)
    assert.equal("300000", client:response().body)
    client:close()
  end)

  it("has streams", function()
    local client = wire.connect(server)
    client:send(V2 .. wire.request { target = "/events",
      headers = { Accept = "text/event-stream" } })
    assert(client:receive_until("data: 192.0.2.1\n\n"))
    client:close()
    eventually(function()
      local line = server:log_lines("target=/events")[1]
      return line and line:find(" ip=192.0.2.1 ", 1, true)
    end)
  end)

  it("closes a connection that begins otherwise, and says so", function()
    for what, bytes in pairs {
      ["it does not begin with a PROXY header"] = GET_IP,
      ["its PROXY header is malformed"] = "PROXY TCP4 1 2 3 4\r\n" .. GET_IP,
      ["its PROXY header is longer than head_bytes"] = binary(1, 0x11, FOUR .. ("x"):rep(20000)),
    } do
      local client = wire.connect(server)
      client:send(bytes)
      local rest, how = client:receive_all() -- a reset where it sends on
      assert.equal("", rest)
      assert.not_equal("timeout", how)
      client:close()
      eventually(function()
        return #server:log_lines("refused ip=127.0.0.1 error=\"" .. what) == 1
      end)
    end
  end)

  it("says when a header was cut off, and nothing of a connection that said nothing", function()
    local before = #server:log_lines("refused")
    local client = wire.connect(server)
    client:send(V2:sub(1, 20))
    client:finish_sending()
    http.ended(client)
    client:close()
    eventually(function() return #server:log_lines("it ended within its PROXY header") == 1 end)
    client = wire.connect(server)
    client:finish_sending()
    http.ended(client)
    client:close()
    assert.equal(before + 1, #server:log_lines("refused"))
  end)
end)

describe("a PROXY header that does not come", function()
  it("is waited for as long as a head, and said to be late if it had begun", function()
    kit.ask()
    local app = apps.start(SCRIPT)
    local begun, silent = app.core:connect { proxied = true }, app.core:connect { proxied = true }
    begun:send(V2:sub(1, 5))
    app:advance(9.9)
    assert.same({ "open", "open" }, { begun:state(), silent:state() })
    app:advance(0.2)
    assert.same({ "closed", "closed" }, { begun:state(), silent:state() })
    local records = app:log("proxy_protocol is refused")
    assert.equal(1, #records)
    assert.equal("its PROXY header was not complete within head_timeout", records[1].fields.error)
  end)

  it("holds up nothing: an app that ends closes who has not said it", function()
    kit.ask()
    local app = apps.start(SCRIPT)
    local conn = app.core:connect { proxied = true }
    conn:send "PROXY"
    app:turn()
    app:stop()
    assert.equal("closed", conn:state())
  end)
end)

describe("server:listen", function()
  it("speaks the PROXY protocol where it says so, and nowhere else", function()
    local folder = Server.write {}
    local script = ([[
server:listen { unix = "%s/proxied", proxy_protocol = true }
server:listen { unix = "%s/plain" }
]]):format(folder, folder) .. SCRIPT
    for _, workers in ipairs { 1, 2 } do
      local server = Server.start(support.script(script), { workers = workers, sockets = {} })
      local client = wire.connect { unix = folder .. "/proxied" }
      client:send(V1 .. GET_IP)
      assert.equal("192.0.2.1", client:response().body)
      client:close()
      client = wire.connect { unix = folder .. "/plain" }
      client:send(GET_IP)
      assert.equal("unix", client:response().body)
      client:send(V1)
      assert.equal(400, client:response().status)
      client:close()
      server:stop()
    end
  end)

  it("takes proxy_protocol as true or false, and one address once", function()
    local function refusal(text)
      local path = Server.write { ["a.lua"] = support.script(text) } .. "/a.lua"
      local code, _, err = Server.run { "--check", path }
      assert.equal(1, code)
      return err
    end
    assert.matches("proxy_protocol is true or false",
      refusal 'server:listen { port = 1, proxy_protocol = "yes" }')
    assert.matches("127.0.0.1 was declared with another proxy_protocol before",
      refusal 'server:listen(1) server:listen { port = 1, proxy_protocol = true }')
  end)
end)

describe("HAProxy", function()
  for _, word in ipairs { "send-proxy", "send-proxy-v2" } do
    it("is understood with " .. word .. ", for its checks too", function()
      local server = start()
      local proxy = Proxy.start("HAProxy", server, function(config)
        return (config:gsub("mode http", "mode tcp"):gsub("option %S+ [^\n]*\n", "")
          :gsub("(server lunesse %S+)", "%1 " .. word .. " check inter 100ms"))
      end)
      local _, out = Process.run { "curl", "-s", "--max-time", "5", "--interface", "127.0.0.3",
        proxy.url .. "/ip" }
      assert.equal("127.0.0.3", out)
      proxy:stop()
      assert.equal(0, #server:log_lines("refused"))
    end)
  end
end)
