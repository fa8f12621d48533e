-- `lunesse.http.public`: requests to URLs of strangers, which reach no address that is not public.

local Process = require "spec.support.process"
local Server = require "spec.support.server"
local support = require "spec.upstream.support"

local PUBLIC = "93.184.216.34" -- of the loopback interface of a network of the server's own
local PORT = 8080

local SCRIPT = [[
local lunesse = require "lunesse"
local server = lunesse.server()
local http = lunesse.http
local clients = {
  shared = http.public,
  own = http.public.client { connect_timeout = 5 },
  usual = http,
}
server:get("/get", function(request, response)
  local client = clients[request.query.by or "shared"]
  local get = client.get
  local page, why, code
  if request.query.by == "own" then
    page, why, code = client:get(request.query.url)
  else
    page, why, code = get(request.query.url)
  end
  response:send(page and page.status .. " " .. page:text() or why .. " " .. code)
end)
server:get("/events", function(request, response)
  for _ in http.public.event_source(request.query.url) do end
  response:send("over")
end)
server:get("/ip", function(request, response)
  response:send(request.ip)
end)
server:get("/to", function(request, response)
  response:redirect(request.query.url, 302)
end)
]]

local REFUSED = ": this client asks public addresses alone, and the host has none EPRIVATE"

local function encoded(text)
  return (text:gsub("[^%w]", function(c) return ("%%%02X"):format(c:byte()) end))
end

local function get(server, url, by)
  return server:request {
    target = ("/get?by=%s&url=%s"):format(by or "shared", encoded(url)),
  }.body
end

describe("lunesse.http.public", function()
  after_each(support.close_all)

  it("refuses an address that is not public, however it is spelled", function()
    local server = Server.start(SCRIPT)
    local upstream = support.listen()
    for _, host in ipairs {
      "127.0.0.1", "127.1", "0x7f.1", "0x7f000001", "2130706433", "017700000001", "0177.0.0.1",
      "localhost", "LOCALHOST", "a.localhost", "[::1]", "[::ffff:127.0.0.1]",
      "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::1]", "0.0.0.0", "0",
      "[::]", "[fe80::1%25lo]", "%31%32%37.0.0.1", "①②⑦.0.0.1",
      "169.254.169.254", "10.0.0.1", "[fd00::1]", "224.0.0.1", "255.255.255.255",
    } do
      local said = get(server, ("http://%s:%d/"):format(host, upstream.port))
      assert(said:find(REFUSED, 1, true) or said:find("E%u+$") and host:find("[^%w.:%[%]]"),
        host .. ": " .. said)
    end
    assert.equal("127.0.0.1:" .. upstream.port .. REFUSED, get(server, upstream.url, "own"))
    assert.is_nil(upstream:try_accept(0))
  end)

  it("follows no event stream of such an address", function()
    local server = Server.start(SCRIPT)
    local upstream = support.listen()
    assert.equal("over", server:request { target = "/events?url=" .. encoded(upstream.url) }.body)
    assert.equal(1, #server:log_lines("event source ended"))
    assert.is_nil(upstream:try_accept(0))
  end)

  it("says which function was given a wrong option", function()
    local ok, why = pcall(Server.start, "local lunesse = require 'lunesse'\n" ..
      "lunesse.http.public.client { bass = 1 }")
    assert.is_false(ok)
    assert.matches("script.lua:2: http.public.client: unknown option 'bass'", why, 1, true)
  end)
end)

describe("lunesse.http.public, of a name", function()
  local server

  before_each(function()
    if Process.run { "unshare", "-mn", "true" } ~= 0 then
      pending("it takes root")
    end
    local folder = Server.write { hosts = table.concat({
      "127.0.0.1 private.test", "::1 private.test", "169.254.169.254 metadata.test",
      "127.0.0.1 mixed.test", "::1 mixed.test", PUBLIC .. " mixed.test",
      PUBLIC .. " public.test", "",
    }, "\n") }
    local line = ("mount --bind %s/hosts /etc/hosts; ip link set lo up; " ..
      "ip address add %s dev lo; exec \"$@\""):format(folder, PUBLIC)
    -- From here only the Unix socket can be reached.
    local places = ("server:listen { unix = %q }\nserver:listen { host = '0.0.0.0', port = %d }\n")
      :format(folder .. "/socket", PORT)
    server = Server.start(SCRIPT .. places, {
      sockets = {},
      wrap = { "unshare", "-mn", "sh", "-c", line, "sh" },
    })
    server.unix = folder .. "/socket"
  end)

  local function ask(host, path, by)
    return get(server, ("http://%s:%d%s"):format(host, PORT, path or "/ip"), by)
  end

  it("refuses one that has no public address", function()
    assert.equal("200 127.0.0.1", ask("private.test", "/ip", "usual"))
    assert.equal("private.test:8080" .. REFUSED, ask("private.test"))
    assert.equal("metadata.test:8080" .. REFUSED, ask("metadata.test"))
  end)

  it("asks a public address, also when the name has others beside it", function()
    assert.equal("200 " .. PUBLIC, ask(PUBLIC))
    assert.equal("200 " .. PUBLIC, ask("public.test"))
    assert.equal("200 " .. PUBLIC, ask("mixed.test"))
    assert.equal("200 " .. PUBLIC, ask("mixed.test", "/ip", "own"))
  end)

  it("judges the address of each redirect", function()
    local function redirect(url)
      return ask("public.test", "/to?url=" .. encoded(url))
    end
    assert.equal("200 " .. PUBLIC, redirect("http://mixed.test:8080/ip"))
    for _, host in ipairs { "127.0.0.1", "127.1", "private.test", "localhost" } do
      assert.matches(REFUSED, redirect(("http://%s:%d/ip"):format(host, PORT)), 1, true)
    end
  end)
end)
