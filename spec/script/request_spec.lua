-- What a handler can learn of the request.

local support = require "spec.sse.support"
local wire = require "spec.support.wire"
local cjson = require "cjson"

local start = support.start_inside

---The JSON answer to a request.
local function ask(server, fields)
  local response = server:request(fields)
  assert.equal(200, response.status, response.body)
  return cjson.decode(response.body)
end

describe("request", function()
  local server

  setup(function()
    server = start([[
server:any("/echo/:a/*b", function(request, response)
  response:json {
    method = request.method, target = request.target, path = request.path,
    query = request.query, params = request.params, headers = request.headers,
    cookies = request.cookies, ip = request.ip, id = request.id,
    version = request.http_version, text = request:text(),
    last_event_id = request.last_event_id,
  }
end)
server:get("/values", function(request, response)
  response:json { last = request.query.x or "none", all = request:query_values("x"),
    count = #request:query_values("x"), none = #request:query_values("nothing") }
end)
server:get("/headers", function(request, response)
  local h = request.headers
  response:json { h["x-one"] or "nil", h["X-One"] or "nil", h["X-ONE"] or "nil",
    h["x-many"] or "nil", h.host, tostring(h.missing), tostring(h[1]), rawget(h, "x-one") or "nil" }
end)
server:get("/cookies", function(request, response) response:json(request.cookies) end)
server:post("/json", function(request, response)
  local value, why, code = request:json()
  response:json { value = value, why = why, code = code }
end)
server:post("/form", function(request, response)
  local value, why, code = request:form()
  response:json { value = value, why = why, code = code }
end)
server:get("/accepts", function(request, response)
  response:json { tostring(request:accepts("text/html", "text/event-stream")),
    tostring(request:accepts("application/json", "text/html")), tostring(request:accepts()) }
end)
server:get("/same", function(request, response)
  response:json { request.query == request.query, request.headers == request.headers,
    request.id == request.id, tostring(request):match("^Request: 0x") ~= nil }
end)
server:get("/wrong", function(request, response)
  response:json {
    tostring(pcall(function() request.method = "x" end)),
    tostring(pcall(request.text)), tostring(pcall(request.text, response)),
    tostring(pcall(request.query_values, request)), tostring(pcall(request.accepts, request, {})),
    tostring(request.nothing),
  }
end)
server:get("/wait", function(request, response)
  local query = request.query
  lunesse.sleep(0.01)
  response:json { query.a, request.query.b, request.headers["X-A"], request.path, request:text(),
    request.method, request.target }
end)
]], { shared = true })
  end)

  teardown(function()
    server:stop()
  end)

  it("has method, target, path, params and version", function()
    local said = ask(server, { method = "PUT", target = "/echo/1%2F2/x/%20y?q=1", body = "hello" })
    assert.equal("PUT", said.method)
    assert.equal("/echo/1%2F2/x/%20y?q=1", said.target)
    assert.equal("/echo/1%2F2/x/%20y", said.path)
    assert.same({ a = "1/2", b = "x/ y" }, said.params)
    assert.equal("1.1", said.version)
    assert.equal("hello", said.text)
    assert.equal("127.0.0.1", said.ip)
    assert.equal("1.0", ask(server, { target = "/echo/a/b", version = "1.0" }).version)
  end)

  it("has an id of its own, which the access log has too", function()
    local one, two = ask(server, { target = "/echo/a/b" }), ask(server, { target = "/echo/a/b" })
    assert.are_not.equal(one.id, two.id)
    eventually(function()
      return #server:log_lines("id=" .. two.id) == 1
    end)
  end)

  it("decodes the query, takes the last of a repeated name, and lists them all", function()
    local said = ask(server, { target = "/echo/a/b?x=1&y=a+b%26c&z&=v&x=2&%C3%A9=%00" })
    assert.same({ x = "2", y = "a b&c", z = "", [""] = "v", ["é"] = "\0" }, said.query)
    assert.same({ last = "3", all = { "1", "2", "3" }, count = 3, none = 0 },
      ask(server, { target = "/values?x=1&y=9&x=2&%78=3" }))
    assert.equal("none", ask(server, { target = "/values" }).last)
    assert.equal("", ask(server, { target = "/values?x=" }).last)
  end)

  it("has headers by any case, with repeated fields joined", function()
    assert.same({ "1", "1", "1", "a, b", "localhost", "nil", "nil", "1" }, ask(server, {
      target = "/headers",
      headers = { { "X-ONE", "1" }, { "X-Many", "a" }, { "x-many", "b" } },
    }))
  end)

  it("joins Cookie fields with a semicolon, as HTTP/2 clients send them", function()
    local said = ask(server, { target = "/echo/1/x", method = "PUT", body = "x", headers = {
      { "Cookie", "a=1" }, { "X-Other", "1" }, { "cookie", "b=2; c=3" }, { "x-other", "2" },
      { "COOKIE", "d=4" },
    } })
    assert.equal("a=1; b=2; c=3; d=4", said.headers.cookie)
    assert.equal("1, 2", said.headers["x-other"])
    assert.same({ a = "1", b = "2", c = "3", d = "4" }, said.cookies)
  end)

  it("has cookies: the first of a name, without quotes, whatever surrounds them", function()
    local function cookies(...)
      local headers = {}
      for i, line in ipairs { ... } do
        headers[i] = { "Cookie", line }
      end
      return ask(server, { target = "/cookies", headers = headers })
    end
    assert.same({ a = "1", b = "x=y", c = "q" }, cookies('a=1; b=x=y;c="q"; a=2'))
    assert.same({ a = "1", b = "2" }, cookies("a=1", "b=2; nonsense; ;"))
    assert.same({ a = "1", b = "2", c = "3", d = "4" }, cookies("a=1", "b=2; c=3", "d=4", "a=5"))
    assert.same({}, cookies())
  end)

  it("has the body as text: empty, sized, chunked, with NUL", function()
    assert.equal("", ask(server, { target = "/echo/a/b" }).text)
    assert.equal("a\0b", ask(server, { method = "POST", target = "/echo/a/b", body = "a\0b" }).text)
    local client = server:connect()
    client:send(wire.request {
      method = "POST", target = "/echo/a/b", headers = { ["Transfer-Encoding"] = "chunked" },
    } .. "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    assert.equal("abcde", cjson.decode(client:response().body).text)
    client:close()
  end)

  it("has a table for what middlewares say of it, its own", function()
    local other = start [[
server:use(function(request, _, next)
  request.state.count = (request.state.count or 0) + 1
  next()
end)
server:get("/", function(request, response)
  local ok, why = pcall(function() request.state = {} end)
  lunesse.after(0, function()
    response:send(("%d %s %s"):format(request.state.count, ok, why:match("Request.*")))
  end)
end)
]]
    for _ = 1, 2 do
      assert.equal("1 false Request has no settable field 'state'", support.get(other, "/"))
    end
  end)

  it("has the body as JSON, or nil, a message and EJSON", function()
    local function json(body)
      return ask(server, { method = "POST", target = "/json", body = body })
    end
    assert.same({ value = { a = { 1, 2, { b = cjson.null } } } }, json('{"a":[1,2,{"b":null}]}'))
    for _, body in ipairs { "", "{", "nonsense", "[1,]", '{"a":1}x', "\xff", "'a'", "{a:1}",
      ("["):rep(500) .. ("]"):rep(500) } do
      local said = json(body)
      assert.is_nil(said.value, body)
      assert.equal("EJSON", said.code, body)
      assert.is_string(said.why)
    end
  end)

  it("has the body as a form, or nil, a message and ETYPE", function()
    local function form(body, type)
      return ask(server, { method = "POST", target = "/form", body = body,
        headers = { ["Content-Type"] = type } })
    end
    local TYPE = "application/x-www-form-urlencoded"
    assert.same({ value = { a = "2", b = "x y&z", c = "", ["é"] = "ü" } },
      form("a=1&b=x+y%26z&c&a=2&%C3%A9=%C3%BC", TYPE))
    assert.same({ value = { a = "1" } },
      form("a=1", "Application/X-WWW-Form-Urlencoded; charset=utf-8"))
    assert.same({ value = { a = "%zz%" } }, form("a=%zz%", TYPE))
    assert.same({ value = {} }, form("", TYPE))
    assert.equal("ETYPE", form("a=1", "text/plain").code)
    assert.equal("ETYPE", form("a=1", nil).code)
  end)

  it("picks what the client likes best", function()
    local function accepts(accept)
      return ask(server, { target = "/accepts", headers = { Accept = accept } })
    end
    assert.same({ "text/html", "application/json", "nil" }, accepts(nil))
    assert.same({ "text/event-stream", "text/html", "nil" },
      accepts("text/event-stream, text/html;q=0.5, application/json;q=0.1"))
    assert.same({ "nil", "application/json", "nil" }, accepts("application/json"))
    assert.same({ "text/event-stream", "nil", "nil" }, accepts("text/*;q=0.5, text/html;q=0"))
  end)

  it("gives the same tables each time, and its name as text", function()
    assert.same({ true, true, true, true }, ask(server, { target = "/same" }))
  end)

  it("cannot be written to, and its methods want a request", function()
    assert.same({ "false", "false", "false", "false", "false", "nil" },
      ask(server, { target = "/wrong" }))
  end)

  it("stays whole while the handler waits and others come", function()
    local clients = {}
    for i = 1, 20 do
      clients[i] = server:connect()
      clients[i]:send(wire.request {
        target = ("/wait?a=%d&b=x%d"):format(i, i), headers = { ["X-A"] = "h" .. i },
      })
    end
    for i = 1, 20 do
      assert.same({ tostring(i), "x" .. i, "h" .. i, "/wait", "", "GET",
        ("/wait?a=%d&b=x%d"):format(i, i) }, cjson.decode(clients[i]:response().body))
      clients[i]:close()
    end
  end)

  it("can be read after the peer has left", function()
    local late = start [[
server:post("/:name", function(request, response)
  local has_left
  response:on("close", function() has_left = true end)
  mark("started")
  while not has_left do lunesse.sleep(0.001) end
  mark(request.method, request.path, request.params.name, request.query.q, request:text(),
    request.headers["x-a"], request.id ~= nil and "id", tostring(request.ip))
end)
]]
    local client = late:connect()
    client:send(wire.request {
      method = "POST", target = "/n?q=1", body = "body", headers = { ["X-A"] = "a" },
    })
    support.await_marks(late, { "started" })
    client:reset()
    support.await_marks(late, { "started", "POST /n n 1 body a id nil" })
  end)
end)
