-- Requests over TLS: to `openssl s_server`, with a certificate that the client trusts.

local clock = require "spec.support.clock"
local Process = require "spec.support.process"
local Server = require "spec.support.server"
local support = require "spec.upstream.support"

describe("a request over TLS", function()
  local folder, key, cert, openssl, port

  before_each(function()
    folder = Server.write { -- s_server has one connection at a time
      page = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nsafe",
      plain = "HTTP/1.1 302 Go\r\nConnection: close\r\nLocation: http://127.0.0.1:9/x\r\n\r\n",
      here = "HTTP/1.1 302 Go\r\nConnection: close\r\nLocation: page\r\n\r\n",
    }
    key, cert = folder .. "/key.pem", folder .. "/cert.pem"
    assert.equal(0, (Process.run { "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
      "-keyout", key, "-out", cert, "-subj", "/CN=localhost", "-days", "2",
      "-addext", "subjectAltName=DNS:localhost" }))
    port = support.closed_port()
    openssl = Process.start({
      "openssl", "s_server", "-HTTP", "-accept", tostring(port), "-key", key, "-cert", cert,
    }, { cwd = folder })
  end)

  after_each(function()
    openssl:kill()
    support.close_all()
  end)

  local function asks(url, ca, more)
    local server = Server.start(support.RELAY .. ([[
      local api = http.client { ca = %q, %s }
      server:get("/", function(_, response) response:send(told(api:get(%q))) end)
    ]]):format(ca or cert, more or "", url:format(port)))
    local said
    clock.eventually(function()
      said = server:request { target = "/" }.body
      return not said:find("ECONNREFUSED", 1, true)
    end)
    return said
  end

  it("trusts the file of its client, and the name of the certificate has to be right", function()
    assert.equal("200 safe", asks "https://localhost:%d/page")
    assert.matches("ECERT$", asks "https://127.0.0.1:%d/page")
  end)

  it("follows redirects to https, and none from https to http", function()
    assert.equal("200 safe", asks "https://localhost:%d/here")
    assert.matches("the redirect leads from https to http://127.0.0.1:9 EREDIRECT$",
      asks "https://localhost:%d/plain")
  end)

  it("shows the certificate of its client to a server that asks for one", function()
    openssl:kill()
    local both = Process.read_file(key) .. Process.read_file(cert)
    Process.write_file(folder .. "/both.pem", both)
    Process.write_file(folder .. "/no.pem", "nothing")
    openssl = Process.start({
      "openssl", "s_server", "-HTTP", "-accept", tostring(port), "-key", key, "-cert", cert,
      "-Verify", "1", "-verify_return_error", "-CAfile", cert,
    }, { cwd = folder })
    local url = "https://localhost:%d/page"
    assert.equal("200 safe", asks(url, cert, ("certificate = %q, key = %q"):format(cert, key)))
    assert.equal("200 safe", asks(url, cert, ("certificate = %q"):format(folder .. "/both.pem")))
    assert.matches(" E%u+$", asks(url))
    assert.matches(" ETLS$", asks(url, cert, ("certificate = %q"):format(folder .. "/no.pem")))
  end)

  it("raises for a file that cannot be read", function()
    for options, complaint in pairs {
      ['ca = "/does/not/exist"'] = "ca: /does/not/exist: No such file",
      ['certificate = "/does/not/exist"'] = "certificate: /does/not/exist: No such file",
      ['certificate = "/dev/null", key = "/does/not/exist"'] = "key: /does/not/exist: No such file",
      ['key = "/dev/null"'] = "key is of a certificate, and there is none",
      ['key = 1'] = "key is the path of a file with a private key",
    } do
      local path = Server.write {
        ["a.lua"] = ('require("lunesse").http.client { %s }'):format(options),
      } .. "/a.lua"
      local code, _, stderr = Server.run { "--check", path }
      assert.equal(1, code)
      assert.matches("a.lua:1: http.client: " .. complaint, stderr, 1, true)
    end
  end)
end)
