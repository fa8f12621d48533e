-- A PROXY header in front of a request, in the test kit: which client it names, and for how long it
-- is waited for.

local apps = require "spec.support.app"
local kit = require "spec.support.kit"
local proxied = require "spec.http.proxied"

local SCRIPT, V1, V2 = proxied.SCRIPT, proxied.V1, proxied.V2
local FOUR, SIX, binary = proxied.FOUR, proxied.SIX, proxied.binary

local function start(before)
  kit.ask()
  return apps.start((before or "") .. SCRIPT)
end

local function ip_of(app, header, peer)
  return app:get("/ip", { proxy_header = header, peer = peer }):text()
end

describe("a PROXY header", function()
  it("names the client", function()
    local app = start()
    assert.equal("192.0.2.1", ip_of(app, V1))
    assert.equal("192.0.2.1", ip_of(app, V2))
    assert.equal("2001:db8::7", ip_of(app, "PROXY TCP6 2001:db8::7 ::1 1 2\r\n"))
    assert.equal("2001:db8::7", ip_of(app, binary(1, 0x21, SIX)))
    assert.equal("192.0.2.7", ip_of(app, "PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n"))
    assert.equal("unix", ip_of(app, binary(1, 0x31, ("\0"):rep(216))))
  end)

  it("that names none leaves the peer", function()
    local app = start()
    for _, header in ipairs { "PROXY UNKNOWN\r\n", "PROXY UNKNOWN ? ?\r\n", binary(0, 0, ""),
      binary(0, 0x11, FOUR), binary(1, 0, ""), binary(1, 0, "\4\0\1x") } do
      assert.equal("10.0.0.9", ip_of(app, header, "10.0.0.9"))
    end
  end)

  it("may have more behind the addresses", function()
    local app = start()
    local tlvs = "\1\0\2h2" .. "\4" .. string.pack(">s2", ("x"):rep(8000))
    assert.equal("192.0.2.1", ip_of(app, binary(1, 0x11, FOUR .. tlvs)))
  end)

  it("is read however slowly it comes, and so is the request behind it", function()
    local app = start()
    for _, header in ipairs { V1, V2 } do
      assert.equal("192.0.2.1", app:get("/ip", { proxy_header = header, slow = 1 }):text())
    end
  end)

  it("and trusted proxies go together: the header names a proxy, which names the client", function()
    local trusting = start 'lunesse.web.trust_proxy "192.0.2.0/24"\n'
    local headers = { ["X-Forwarded-For"] = "203.0.113.7" }
    local answer = trusting:get("/ip", { proxy_header = V1, headers = headers })
    assert.equal("203.0.113.7", answer:text())
    answer = trusting:get("/ip", { peer = "192.0.2.1", headers = headers,
      proxy_header = "PROXY TCP4 198.51.100.1 10.0.0.1 1 2\r\n" })
    assert.equal("198.51.100.1", answer:text())
  end)
end)

describe("a PROXY header that does not come", function()
  it("is waited for as long as a head, and said to be late if it had begun", function()
    local app = start()
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
    local app = start()
    local conn = app.core:connect { proxied = true }
    conn:send "PROXY"
    app:turn()
    app:stop()
    assert.equal("closed", conn:state())
  end)
end)
