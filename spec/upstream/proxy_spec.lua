-- Clients that have a proxy.

local socket = require "socket"
local clock = require "spec.support.clock"
local Process = require "spec.support.process"
local Server = require "spec.support.server"
local support = require "spec.upstream.support"

describe("a client with proxy", function()
  local proxy

  before_each(function()
    proxy = support.listen()
  end)
  after_each(support.close_all)

  local function start(url, options, where, wrap)
    return Server.start(support.RELAY .. ([[
      local api = http.client { proxy = %q, %s }
      server:get("/ask", { on_leave = "cancel" }, function(request, response)
        response:send(told(api:get(%q, { headers = { authorization = "secret" } })))
      end)
    ]]):format(where or proxy.url, options or "", url), {
      env = { no_proxy = "*", NO_PROXY = "*" }, wrap = wrap,
    })
  end

  local function begin(server)
    local client = server:connect()
    client:send("GET /ask HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return client
  end

  it("has it ask servers whose names it alone knows", function()
    local client = begin(start "http://inner.test/a?b=c")
    local conn = proxy:accept()
    local head = conn:request()
    assert.matches("^GET http://inner%.test/a%?b=c HTTP/1%.1\r\nHost: inner%.test\r\n", head)
    conn:answer("inner")
    assert.equal("200 inner", client:response().body)
  end)

  it("may name it", function()
    if Process.run { "unshare", "-m", "true" } ~= 0 then
      pending("it takes root")
    end
    local folder = Server.write { hosts = "127.0.0.1 proxy.test\n" }
    local wrap = { "unshare", "-m", "sh", "-c",
      ("mount --bind %s/hosts /etc/hosts; exec \"$@\""):format(folder), "sh" }
    local client = begin(start("http://inner.test/", nil, "http://proxy.test:" .. proxy.port, wrap))
    local conn = proxy:accept()
    conn:request()
    conn:answer("by name")
    assert.equal("200 by name", client:response().body)
  end)

  it("has it make a tunnel for TLS, and tells it nothing else", function()
    local folder = Server.write {
      page = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nsafe",
    }
    local key, cert = folder .. "/key.pem", folder .. "/cert.pem"
    assert.equal(0, (Process.run { "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
      "-keyout", key, "-out", cert, "-subj", "/CN=inner.test", "-days", "2",
      "-addext", "subjectAltName=DNS:inner.test" }))
    local port = support.closed_port()
    local openssl <close> = setmetatable({ process = Process.start({
      "openssl", "s_server", "-HTTP", "-accept", tostring(port), "-key", key, "-cert", cert,
    }, { cwd = folder }) }, { __close = function(self) self.process:kill() end })
    local far
    clock.eventually(function()
      far = socket.tcp4()
      return openssl.process and far:connect("127.0.0.1", port)
    end)
    far:settimeout(0)
    local client = begin(start("https://inner.test/page", ("ca = %q"):format(cert)))
    local conn = proxy:accept()
    local head = conn:request()
    assert.matches("^CONNECT inner%.test:443 HTTP/1%.1\r\n", head)
    assert.is_nil(head:find("secret", 1, true))
    conn:send("HTTP/1.1 200 Here you are\r\n\r\n")
    clock.eventually(function() -- carries bytes to and fro, until the answer is there
      local is_open = conn:_fill()
      far:send(conn.buffer)
      conn.buffer = ""
      local bytes, _, part = far:receive(65536)
      conn:send(bytes or part or "")
      return not is_open or select(2, far:receive(0)) == "closed"
    end)
    far:close()
    assert.equal("200 safe", client:response().body)
  end)

  it("says when it refuses, and when it cannot be reached", function()
    local client = begin(start "https://inner.test/")
    local conn = proxy:accept()
    conn:request()
    conn:send("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")
    assert.matches("^nil inner.test:443 by " .. proxy.url .. ": .*403 EPROXY$",
      client:response().body)
    local closed = "http://127.0.0.1:" .. support.closed_port()
    assert.matches("^nil inner.test:80 by " .. closed .. ": .* ECONNREFUSED$",
      begin(start("http://inner.test/", nil, closed)):response().body)
  end)

  it("ends with its reader while the proxy connects", function()
    local client = begin(start "https://inner.test/")
    local conn = proxy:accept()
    conn:request()
    client:close()
    conn:await_close()
  end)

  it("names a proxy as it has to be named, and is none of http.public", function()
    local is = "proxy is a URL with a port and without a user"
    for options, complaint in pairs {
      ["http.client { proxy = 'proxy:3128' }"] = is,
      ["http.client { proxy = 'http://a' }"] = is,
      ["http.client { proxy = 'http://b:c@a:1' }"] = is,
      ["http.client { proxy = 'http://a:1', unix = '/b' }"] = "http.client: either unix or proxy",
      ["http.public.client { proxy = 'http://a:1' }"] =
        "http.public.client: proxy leads around the look at addresses",
    } do
      local path = Server.write { ["a.lua"] = "local http = require('lunesse').http\n" .. options }
      local code, _, stderr = Server.run { "--check", path .. "/a.lua" }
      assert.equal(1, code)
      assert.matches(complaint, stderr, 1, true)
      assert.matches("a.lua:2: ", stderr, 1, true)
    end
  end)
end)
