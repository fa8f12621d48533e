-- `server:headers { ... }`: what every answer has, also those that the server gives by itself; and
-- `server:hosts { ... }`: whom it answers.

local Client = require "spec.support.client"
local Server = require "spec.support.server"
local reload = require "spec.reload.support"
local support = require "spec.sse.support"

local DECLARED = [[
server:headers { ["Access-Control-Allow-Origin"] = "*", ["X-Served-By"] = 7 }
server:headers { ["Cache-Control"] = "no-store" }
server:get("/", function(_, response) response:send("moon") end)
server:get("/own", function(_, response)
  response:header("access-control-allow-origin", "https://example.com")
  response:send("moon")
end)
server:get("/fails", function() error("on purpose") end)
server:get("/events", function(_, response) response.sse:open() lunesse.sleep(1000000) end)
server:post("/small", { body_bytes = 1 }, function(_, response) response:send("") end)
]]

local function load_error(line)
  local _, _, err = Server.run { "--check", Server.write {
    ["a.lua"] = 'local server = require "lunesse".server()\n' .. line .. "\nserver:get('/', print)",
  } }
  return err
end

describe("headers that the server declares", function()
  local server

  setup(function()
    server = support.start_inside(DECLARED, { shared = true, args = {
      "--limit", "target_bytes=200", "--limit", "head_fields=5",
    } })
  end)

  teardown(function()
    server:stop()
  end)

  local function expect(response, status)
    assert.equal(status, response.status)
    assert.equal("*", response.headers["access-control-allow-origin"])
    assert.equal("7", response.headers["x-served-by"])
  end

  it("are on a script's answers, and on those that the server gives by itself", function()
    expect(server:request {}, 200)
    expect(server:request { method = "HEAD" }, 200)
    expect(server:request { method = "OPTIONS" }, 204)
    expect(server:request { method = "POST", body = "" }, 405)
    expect(server:request { target = "/nowhere" }, 404)
    expect(server:request { target = "/a/../b" }, 400)
    expect(server:request { target = "/fails" }, 500)
    expect(server:request { method = "POST", target = "/small", body = "xx" }, 413)
    expect(server:request { target = "/" .. ("x"):rep(300) }, 414)
    expect(server:request { headers = { A = "1", B = "2", C = "3", D = "4", E = "5" } }, 431)
    local client = server:connect()
    client:send("GET / HTTP/1.1\r\nbad field\r\n\r\n")
    expect(client:response("GET"), 400)
    client:close()
  end)

  it("give way to what a script sets itself", function()
    local response = server:request { target = "/own" }
    assert.equal("https://example.com", response.headers["access-control-allow-origin"])
    assert.equal("7", response.headers["x-served-by"])
  end)

  it("are on an event stream, behind its own", function()
    local stream = server:stream("/events")
    assert.equal("*", stream.head.headers["access-control-allow-origin"])
    assert.equal("no-cache, no-transform", stream.head.headers["cache-control"])
    stream:close()
  end)

  it("are on the refusals of a full server", function()
    local full = support.start_inside(DECLARED, { args = { "--limit", "connections=1" } })
    local first = full:stream("/events")
    first:comment()
    expect(full:request {}, 503)
    local refused = full:stream("/events")
    assert.equal("*", refused.head.headers["access-control-allow-origin"])
    refused:close()
    first:close()
  end)

  it("let a page of another origin come back to a server that was full", function()
    local full = support.start(DECLARED, { args = { "--limit", "connections=1" } })
    local other = support.start(DECLARED)
    local first = full:stream("/events")
    first:comment()
    local browsed = Client.browse(other.url .. "/", ([[
      const source = new EventSource('%s/events')
      return await new Promise((resolve) => {
        source.onerror = () => resolve(source.readyState)
      })
    ]]):format(full.url))
    assert.equal(0, browsed) -- connecting again, not closed
    first:close()
  end)

  it("are renewed by a reload", function()
    local reloaded = support.start_inside(DECLARED)
    expect(reloaded:request {}, 200)
    reload.reload(reloaded,
      'server:headers { A = "b" } server:get("/", function(_, r) r:send("") end)')
    local response = reloaded:request {}
    assert.equal("b", response.headers["a"])
    assert.is_nil(response.headers["x-served-by"])
  end)

  it("are checked where they are declared", function()
    for line, message in pairs {
      ['server:headers { ["bad name"] = "x" }'] = "a.lua:2: bad name: a header name is letters",
      ['server:headers { Name = "a\\nb" }'] = "a.lua:2: Name: a header value has no control",
      ['server:headers { Date = "now" }'] = "a.lua:2: Date: this header is set by the server",
      ['server:headers { ["content-type"] = "x" }'] = "belongs to the answer that it describes",
      ['server:headers { Name = {} }'] = "a.lua:2: headers takes a table of names and values",
      ['server:headers("Name")'] = "a.lua:2: headers takes a table of names and values, got string",
    } do
      assert.matches(message, load_error(line), 1, true)
    end
  end)
end)

describe("hosts that the server declares", function()
  local server

  setup(function()
    server = support.start_inside([[
server:hosts { "example.com", "[::1]", "other.org:8080", "127.0.0.1" }
server:any("/", function(_, response) response:send("moon") end)
]], { shared = true, args = { "--ready-path", "/ready" } })
  end)

  teardown(function()
    server:stop()
  end)

  local function status_for(host, fields)
    fields = fields or {}
    fields.host = host
    return server:request(fields).status
  end

  it("are answered, blind to case, with any port unless one is named", function()
    for _, host in ipairs { "example.com", "EXAMPLE.com:81", "example.com:", "[::1]", "[::1]:3000",
      "other.org:8080", "127.0.0.1", "127.0.0.1:8080" } do
      assert.equal(200, status_for(host), host)
    end
  end)

  it("are the only ones: others get 421, before a body is read", function()
    for _, host in ipairs { "evil.example.com", "example.com.evil.org", "xexample.com", "[::2]",
      "other.org", "other.org:80", "localhost" } do
      assert.equal(421, status_for(host), host)
    end
    local client = server:connect()
    client:send("POST / HTTP/1.1\r\nHost: evil.org\r\nContent-Length: 900000\r\n\r\n")
    assert.equal(421, client:response("POST").status)
    client:close()
  end)

  it("are those of the target when it is absolute", function()
    local target = "http://example.com/"
    assert.equal(200, status_for("evil.org", { target = target }))
    assert.equal(421, status_for("example.com", { target = "http://evil.org/" }))
  end)

  it("are not asked of HTTP/1.0 without Host, nor on the ready path", function()
    local client = server:connect()
    client:send("GET / HTTP/1.0\r\n\r\n")
    assert.equal(200, client:response("GET").status)
    client:close()
    assert.equal(200, status_for("10.0.0.1", { target = "/ready" }))
  end)

  it("are checked where they are declared", function()
    for line, message in pairs {
      ["server:hosts {}"] = "a.lua:2: hosts takes a list of names",
      ["server:hosts('example.com')"] = "a.lua:2: hosts takes a list of names",
      ["server:hosts { 'http://example.com' }"] = "a.lua:2: 'http://example.com' is not a host",
      ["server:hosts { 7 }"] = "a.lua:2: a host is a string, got number",
    } do
      assert.matches(message, load_error(line), 1, true)
    end
  end)
end)

describe("a header that an event stream has by itself", function()
  it("raises when the script has set it, before anything is sent", function()
    for name, value in pairs { ["Content-Type"] = "text/html", ["Cache-Control"] = "max-age=5",
      ["X-Accel-Buffering"] = "yes", ["Content-Encoding"] = "gzip",
    } do
      local server = support.start_inside(([[
server:get("/", function(_, response)
  response:header("%s", "%s")
  response.sse:send("x")
end)
]]):format(name, value))
      assert.equal(500, server:request({}).status, name)
      assert.matches("script.lua:3: the header " .. name .. " was set, and an event stream has its",
        server:log(), 1, true)
      server:stop()
    end
  end)

  it("is kept when it is the type with its charset", function()
    local server = support.start_inside [[
server:get("/", function(_, response)
  response:type("text/event-stream; charset=utf-8")
  response.sse:send("x")
  response.sse:close()
end)
]]
    local bytes = support.raw(server, { headers = { Connection = "close" } })
    local head = support.split_head(bytes)
    assert.equal("text/event-stream; charset=utf-8", head.headers["content-type"])
    assert.equal(1, select(2, bytes:gsub("[Cc]ontent%-[Tt]ype:", "")))
  end)
end)
