-- A listener whose connections begin with a PROXY header: the client that a balancer names, and
-- what is no header.

local support = require "spec.sse.support"
local http = require "spec.http.support"
local proxied = require "spec.http.proxied"
local Process = require "spec.support.process"
local Proxy = require "spec.support.proxy"
local Server = require "spec.support.server"
local wire = require "spec.support.wire"

local SCRIPT, V1, V2, FOUR = proxied.SCRIPT, proxied.V1, proxied.V2, proxied.FOUR

local GET_IP = "GET /ip HTTP/1.1\r\nHost: x\r\n\r\n"

local function start(options)
  options = options or {}
  options.args = options.args or {}
  table.insert(options.args, "--proxy-protocol")
  return Server.start(support.script(SCRIPT), options)
end

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
      ["its PROXY header is longer than head_bytes"] =
        proxied.binary(1, 0x11, FOUR .. ("x"):rep(20000)),
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
