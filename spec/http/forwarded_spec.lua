-- What trusted proxies say of a client: its address, and the scheme and the host that it asked for.

local apps = require "spec.support.app"
local support = require "spec.sse.support"
local kit = require "spec.support.kit"
local Server = require "spec.support.server"
local wire = require "spec.support.wire"
local test = require "lunesse.test"
local cjson = require "cjson"

local WHO = [[
local function who(request)
  return { ip = request.ip, scheme = request.scheme, host = request.host or lunesse.json.null }
end
server:get("/who", function(request, response) response:json(who(request)) end)
server:get("/events", function(request, response)
  response.sse:send("hello")
  lunesse.sleep(1)
  response.sse:close()
end)
server:get("/late", function(request, response)
  response:once("close", function()
    mark(tostring(request.ip), tostring(request.scheme), tostring(request.host))
  end)
  response:send("")
end)
server:get("/asked", function(request, response)
  local early = who(request)
  response:once("close", function() mark(request.ip, request.scheme, request.host, early.ip) end)
  response:send("")
end)
]]

local FORWARDED = {
  ["X-Forwarded-For"] = "8.8.8.8, 203.0.113.7, 10.0.0.3",
  ["X-Forwarded-Proto"] = "https", ["X-Forwarded-Host"] = "example.com:8443",
}

-- The same from a proxy that is the only one on the way.
local ONE = { ["X-Forwarded-For"] = "8.8.8.8, 203.0.113.7" }

local CLIENT = { ip = "203.0.113.7", scheme = "https", host = "example.com:8443" }

---An app that trusts the proxies of `list`, by its script.
local function trusting(list)
  return apps.start(('lunesse.web.trust_proxy(%s)\n'):format(list) .. WHO)
end

local function who(app, peer, headers)
  return app:get("/who", { peer = peer, headers = headers }):json()
end

describe("without a word of proxies", function()
  it("a request comes from its peer, whatever its fields say", function()
    local app = apps.start(WHO)
    local headers = { Forwarded = "for=192.0.2.1;proto=https;host=evil", Host = "here:80",
      ["X-Forwarded-For"] = "192.0.2.1", ["X-Forwarded-Proto"] = "https",
      ["X-Forwarded-Host"] = "evil" }
    local answer = app:get("/who", { headers = headers }):json()
    assert.same({ ip = "127.0.0.1", scheme = "http", host = "here:80" }, answer)
  end)

  it("the host is that of an absolute target, or Host, or none", function()
    local server = support.start(WHO)
    local function host(...)
      local client = wire.connect(server)
      client:send(table.concat({ ... }, "\r\n") .. "\r\n\r\n")
      local body = cjson.decode(client:response().body)
      client:close()
      return body.host
    end
    assert.equal("a.b", host("GET http://a.b/who HTTP/1.1", "Host: c.d"))
    assert.equal("c.d:1", host("GET /who HTTP/1.1", "Host: c.d:1"))
    assert.equal(cjson.null, host("GET /who HTTP/1.0"))
  end)
end)

describe("a trusted proxy", function()
  it("is believed, and who is none is not", function()
    kit.ask()
    local app = trusting '{ "10.0.0.0/8", "2001:db8::/32" }'
    assert.same(CLIENT, who(app, "10.9.8.7", FORWARDED))
    assert.same(CLIENT, who(app, "2001:db8::1", FORWARDED))
    assert.same(CLIENT, who(app, "::ffff:10.9.8.7", FORWARDED))
    for _, peer in ipairs { "11.0.0.1", "2001:db9::1", "127.0.0.1", "unix" } do
      local said = who(app, peer, FORWARDED)
      assert.same({ peer, "http" }, { said.ip, said.scheme })
    end
  end)

  it("on a Unix socket is believed by the word unix", function()
    kit.ask()
    local app = trusting '"unix"'
    local said = who(app, "unix", { ["X-Forwarded-For"] = "203.0.113.7" })
    assert.equal("203.0.113.7", said.ip)
    assert.equal("127.0.0.1", who(app, "127.0.0.1", FORWARDED).ip)
  end)

  it("that says nothing of a client is the client: it asks for itself", function()
    local app = trusting '"127.0.0.1"'
    assert.same({ "127.0.0.1", "http" }, { who(app).ip, who(app).scheme })
  end)

  it("may write Forwarded", function()
    local app = trusting '"127.0.0.1"'
    assert.same({ ip = "2001:db8::17", scheme = "https", host = "a.b" }, who(app, nil, {
      Forwarded = 'for=8.8.8.8;host=evil, for="[2001:db8::17]:4711";proto=https;host=a.b' }))
    assert.equal("_gazonk", who(app, nil, { Forwarded = "for=_gazonk" }).ip)
  end)

  it("that writes one kind of fields while the client sends the other, is asked for its kind",
    function()
      local both = { Forwarded = "for=192.0.2.1", ["X-Forwarded-For"] = "203.0.113.7" }
      assert.equal("unknown", who(trusting '"127.0.0.1"', nil, both).ip)
      assert.equal("192.0.2.1", who(trusting '"127.0.0.1,forwarded"', nil, both).ip)
      assert.equal("203.0.113.7", who(trusting '{ "127.0.0.1", "x-forwarded" }', nil, both).ip)
    end)

  it("is the one of the command line, where that names one", function()
    kit.ask()
    local app = apps.start('lunesse.web.trust_proxy "10.0.0.0/8"\n' .. WHO,
      { args = { "--trust-proxy", "192.0.2.9" } })
    assert.equal("203.0.113.7", who(app, "192.0.2.9", ONE).ip)
    assert.equal("10.0.0.1", who(app, "10.0.0.1", ONE).ip)
  end)

  it("is another one after a reload", function()
    kit.ask()
    local app = apps.start('lunesse.web.trust_proxy "10.0.0.1"\n' .. WHO)
    assert.equal("203.0.113.7", who(app, "10.0.0.1", ONE).ip)
    assert(app:reload { ["script.lua"] = support.script(WHO) })
    assert.equal("10.0.0.1", who(app, "10.0.0.1", ONE).ip)
  end)

  it("is believed of the hosts that the server answers for", function()
    local app = apps.start('lunesse.web.trust_proxy "127.0.0.1"\nserver:hosts { "a.b" }\n' .. WHO)
    local headers = { Host = "inner:3000", ["X-Forwarded-Host"] = "a.b" }
    assert.equal("a.b", who(app, nil, headers).host)
    headers["X-Forwarded-Host"] = "evil"
    assert.equal(421, app:get("/who", { headers = headers }).status)
    assert.equal(421, app:get("/who", { headers = { Host = "inner" } }).status)
  end)

  it("is asked once: what was read stays when the peer has left, and later there is nothing",
    function()
      local app = trusting '"127.0.0.1,10.0.0.0/8"'
      app:get("/late", { headers = FORWARDED })
      app:get("/asked", { headers = FORWARDED })
      apps.expect_marks(app, { "nil nil nil",
        "203.0.113.7 https example.com:8443 203.0.113.7" })
    end)
end)

describe("the access log", function()
  it("has the client's address, also of a stream whose request is forgotten", function()
    local server = Server.start(support.script(WHO), {
      args = { "--trust-proxy", "127.0.0.0/8,10.0.0.0/8,unix" }, clock = true,
    })
    server:request { target = "/who", headers = FORWARDED }
    eventually(function() return #server:log_lines(" ip=203.0.113.7 ") == 1 end)
    local client = wire.connect(server)
    client:send(wire.request { target = "/events",
      headers = { Accept = "text/event-stream", ["X-Forwarded-For"] = "2001:db8::7" } })
    assert(client:receive_until("data: hello\n\n"))
    server:advance(1)
    client:close()
    eventually(function()
      local line = server:log_lines(" ip=2001:db8::7 ")[1]
      return line and line:find(" stream method=GET target=/events ", 1, true)
    end)
  end)
end)

describe("a list of proxies", function()
  local function refusal(list)
    local ok, why = pcall(test.load, { ["a.lua"] =
      'require("lunesse").web.trust_proxy(' .. list .. ')' })
    assert.is_false(ok)
    return tostring(why):match("a%.lua:1: ([^\n]*)") or tostring(why)
  end

  it("that is wrong is refused while the scripts load", function()
    kit.ask()
    assert.equal("trust_proxy: '10.0.0.1/8': it has bits behind its prefix: name the network's " ..
      "own address, such as 10.0.0.0/8", refusal '"10.0.0.1/8"')
    assert.equal("trust_proxy: 'all': an address, a network such as 10.0.0.0/8, unix, forwarded " ..
      "or x-forwarded expected", refusal '{ "10.0.0.0/8", "all" }')
    assert.equal("trust_proxy takes a list of addresses, networks and words such as " ..
      "{ \"10.0.0.0/8\", \"unix\" }", refusal "5")
    assert.matches("names no proxy", refusal "{}")
    assert.matches("names no proxy", refusal '"forwarded"')
    assert.matches("name one of them", refusal '"unix,forwarded,x-forwarded"')
    assert.matches("there may be 64 networks", refusal '("10.0.0.0/8,"):rep(65)')
  end)

  it("belongs to the script's top level", function()
    local app = apps.start [[
      server:get("/", function(_, response)
        response:send(tostring(select(2, pcall(lunesse.web.trust_proxy, "unix"))))
      end)
    ]]
    assert.matches("only while the scripts load", app:get("/"):text())
  end)
end)
