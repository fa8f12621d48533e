-- Methods and statuses that the server owes by itself: HEAD, OPTIONS, 404, 405, 501, and the
-- statuses that have no content (RFC 9110, sections 9, 10.2.1, 15).

local support = require "spec.http.support"

local head = support.head

local SCRIPT = support.ECHO .. [[
server:get("/page", function(request, response)
  return response:header("X-Page", "1"):type("text/html"):send("<p>hello")
end)
server:get("/json", function(request, response)
  return response:json { a = 1 }
end)
server:get("/by_hand", function(request, response)
  response:write_head(200, { ["Content-Type"] = "text/plain" })
  response:write("one")
  response:write("")
  response:write("two")
  return response:finish("three")
end)
server:get("/events", function(request, response)
  local sse = response.sse
  if not sse then
    return response:status(406):send("events only")
  end
  sse:send("hello")
  sse:close()
end)
server:get("/raises", function()
  error("on purpose")
end)
server:get("/status/:code", function(request, response)
  return response:status(tonumber(request.params.code)):send(request.query.body)
end)
server:get("/begun/:code", function(request, response)
  response:write_head(tonumber(request.params.code))
  response:write("content")
  return response:finish()
end)
server:post("/form", echo)
server:put("/form", echo)
server:options("/own", function(request, response)
  return response:header("Allow", "GET"):send("mine")
end)
server:get("/own", echo)
server:head("/headed", function(request, response)
  return response:header("X-Headed", "1"):send()
end)
server:get("/headed", function(request, response)
  return response:send("body")
end)
]]

local server

local function ask(method, target, ...)
  return head(method .. " " .. target .. " HTTP/1.1", "Host: a", ...)
end

---Answers to each request of `list` ({ method, target }) on one connection.
local function answers(list)
  local client, responses = server:connect(), {}
  for i, one in ipairs(list) do
    client:send(ask(one[1], one[2]))
    responses[i] = client:response(one[1])
  end
  client:send(support.NEXT)
  support.next(client)
  client:close()
  return table.unpack(responses)
end

local function sorted(list)
  local words = {}
  for word in list:gmatch "[^, ]+" do
    words[#words + 1] = word
  end
  table.sort(words)
  return table.concat(words, " ")
end

describe("HEAD", function()
  setup(function()
    server = support.start(SCRIPT)
  end)

  teardown(function()
    support.stop(server)
  end)

  for _, target in ipairs { "/page", "/json", "/echo", "/none", "/raises", "/status/404?body=x",
    "/status/500?body=x", "/status/301", "/status/204", "/status/304?body=x", "/status/205?body=x",
    "/by_hand" } do
    it("has the fields of GET and no content on " .. target, function()
      local get, headed = answers { { "GET", target }, { "HEAD", target } }
      assert.equal(get.status, headed.status)
      get.headers.date, headed.headers.date = nil, nil
      if target == "/echo" then
        get.headers["content-length"], headed.headers["content-length"] = nil, nil
      end
      assert.same(get.headers, headed.headers)
    end)
  end

  it("has Content-Length as GET has it", function()
    local headed = answers { { "HEAD", "/page" } }
    assert.equal("8", headed.headers["content-length"])
    assert.equal("1", headed.headers["x-page"])
  end)

  it("has no content on 405, and has its fields", function()
    local post, headed = answers { { "DELETE", "/form" }, { "HEAD", "/form" } }
    assert.equal(405, headed.status)
    assert.equal(post.headers["allow"], headed.headers["allow"])
    assert.equal(post.headers["content-length"], headed.headers["content-length"])
  end)

  it("does not start an event stream", function()
    local client = server:connect()
    client:send(ask("HEAD", "/events", "Accept: text/event-stream"))
    local response = client:response("HEAD")
    assert.is_true(response.status == 200 or response.status == 406)
    client:send(support.NEXT)
    support.next(client)
    client:close()
  end)

  it("may have a route of its own", function()
    local headed = answers { { "HEAD", "/headed" } }
    assert.equal("1", headed.headers["x-headed"])
  end)

  it("does not reach a route for another method", function()
    assert.equal(405, answers { { "HEAD", "/form" } }.status)
  end)

  it("is answered without content in HTTP/1.0", function()
    for _, target in ipairs { "/page", "/by_hand" } do
      local client = server:connect()
      client:send(head("HEAD " .. target .. " HTTP/1.0"))
      local response = client:response("HEAD")
      assert.is_nil(response.headers["transfer-encoding"])
      support.ended(client)
      client:close()
    end
  end)

  for what, bytes in pairs {
    ["a bad field"] = ask("HEAD", "/page", "X : 1"),
    ["no Host"] = head "HEAD /page HTTP/1.1",
    ["two Hosts"] = ask("HEAD", "/page", "Host: b"),
    ["a bad target"] = ask("HEAD", "/%zz"),
    ["a bad length"] = ask("HEAD", "/page", "Content-Length: x"),
    ["both lengths"] = ask("HEAD", "/page", "Content-Length: 1", "Transfer-Encoding: chunked"),
    ["a bad chunk"] = ask("HEAD", "/page", "Transfer-Encoding: chunked") .. "x\r\n",
    ["a version that is not spoken"] = head("HEAD /page HTTP/2.0", "Host: a"),
    ["a body that is too large"] = ask("HEAD", "/page", "Content-Length: 99999999"),
    ["a head that is too large"] = ask("HEAD", "/page", "X: " .. ("x"):rep(20000)),
    ["a target that is too long"] = ask("HEAD", "/" .. ("x"):rep(9000)),
    ["an unknown expectation"] = ask("HEAD", "/page", "Expect: x"),
    ["an empty line before a bad field"] = "\r\n" .. ask("HEAD", "/page", "X : 1"),
  } do
    it("is refused without content for " .. what, function()
      local client = server:connect()
      client:send(bytes)
      local response = client:response("HEAD")
      assert.is_true(response.status >= 400)
      assert.equal("close", response.headers["connection"])
      support.ended(client)
      client:close()
    end)
  end
end)

describe("OPTIONS", function()
  setup(function()
    server = support.start(SCRIPT)
  end)

  teardown(function()
    support.stop(server)
  end)

  it("says in Allow what a path takes", function()
    local page, form = answers { { "OPTIONS", "/page" }, { "OPTIONS", "/form" } }
    assert.equal(204, page.status)
    assert.equal("GET HEAD OPTIONS", sorted(page.headers["allow"]))
    assert.equal(204, form.status)
    assert.equal("OPTIONS POST PUT", sorted(form.headers["allow"]))
  end)

  it("may have a route of its own", function()
    local own = answers { { "OPTIONS", "/own" } }
    assert.equal("mine", own.body)
  end)

  it("is 404 for a path that is not there", function()
    assert.equal(404, answers { { "OPTIONS", "/none" } }.status)
  end)

  it("with a body leaves the connection where it should be", function()
    local client = server:connect()
    client:send(ask("OPTIONS", "*", "Content-Length: 2") .. "hi" .. support.NEXT)
    assert.equal(204, client:response("OPTIONS").status)
    support.next(client)
    client:close()
  end)

  it("with Max-Forwards is answered by the last in the row", function()
    local client = server:connect()
    client:send(ask("OPTIONS", "/page", "Max-Forwards: 0"))
    assert.equal(204, client:response("OPTIONS").status)
    client:close()
  end)
end)

describe("a request that no route takes", function()
  setup(function()
    server = support.start(SCRIPT)
  end)

  teardown(function()
    support.stop(server)
  end)

  it("gets 404 for its path", function()
    local response = answers { { "GET", "/none" } }
    assert.equal(404, response.status)
    assert.is_truthy(response.headers["content-length"])
  end)

  for _, method in ipairs { "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND" } do
    it("gets 405 with Allow for " .. method, function()
      local response = answers { { method, "/page" } }
      assert.equal(405, response.status)
      assert.equal("GET HEAD OPTIONS", sorted(response.headers["allow"]))
    end)
  end

  it("is not answered to TRACE with what it said", function()
    local client = server:connect()
    client:send(ask("TRACE", "/page", "Cookie: secret"))
    assert.is_nil(client:response("TRACE").body:find("secret"))
    client:close()
  end)

  it("has its body read, so that the next request is found", function()
    for _, target in ipairs { "/none", "/page" } do
      for _, body in ipairs {
        ask("POST", target, "Content-Length: " .. #support.SMUGGLED) .. support.SMUGGLED,
        ask("POST", target, "Transfer-Encoding: chunked") ..
          ("%x\r\n%s\r\n0\r\n\r\n"):format(#support.SMUGGLED, support.SMUGGLED),
      } do
        local client = server:connect()
        client:send(body .. support.NEXT)
        assert.is_true(client:response("POST").status >= 404)
        support.next(client)
        client:close()
      end
    end
  end)

  it("gets 501 for a method that nobody implements, whatever the path", function()
    for _, target in ipairs { "/page", "/none" } do
      local client = server:connect()
      client:send(ask("BREW", target))
      assert.equal(501, client:response().status)
      client:close()
    end
  end)

  support.runs_nothing_smuggled(it, function()
    return server
  end)
end)

describe("a status", function()
  setup(function()
    server = support.start(SCRIPT)
  end)

  teardown(function()
    support.stop(server)
  end)

  for _, path in ipairs { "/status/204?body=content", "/begun/204", "/status/204" } do
    it("of 204 has neither content nor length on " .. path, function()
      local response = answers { { "GET", path } }
      assert.equal(204, response.status)
      assert.equal("", response.body)
      assert.is_nil(response.headers["content-length"])
      assert.is_nil(response.headers["transfer-encoding"])
    end)
  end

  for _, path in ipairs { "/status/304?body=content", "/begun/304", "/status/304" } do
    it("of 304 has no content, nor a length that is wrong, on " .. path, function()
      local response = answers { { "GET", path } }
      assert.equal(304, response.status)
      assert.is_true(response.headers["content-length"] ~= "0")
      assert.is_nil(response.headers["transfer-encoding"])
    end)
  end

  for _, path in ipairs { "/status/205?body=content", "/begun/205", "/status/205" } do
    it("of 205 has no content and says so on " .. path, function()
      local response = answers { { "GET", path } }
      assert.equal(205, response.status)
      assert.equal("", response.body)
      assert.is_true(response.framing == "length" or response.framing == "chunked")
    end)
  end

  for _, code in ipairs { 200, 201, 202, 203, 206, 299, 300, 301, 302, 307, 308, 400, 401, 403, 409,
    410, 418, 422, 429, 451, 500, 501, 503, 599 } do
    it(("of %d is sent with its content"):format(code), function()
      local response = answers { { "GET", ("/status/%d?body=content"):format(code) } }
      assert.equal(code, response.status)
      assert.equal("content", response.body)
    end)
  end

  for _, code in ipairs { 0, 100, 101, 103, 199, 600, 999, 1000, -200 } do
    it(("of %d cannot be sent by a script"):format(code), function()
      assert.equal(500, answers { { "GET", ("/status/%d"):format(code) } }.status)
    end)
  end

  it("without content says that its length is 0", function()
    for _, code in ipairs { 200, 404, 301 } do
      local response = answers { { "GET", ("/status/%d"):format(code) } }
      assert.equal("0", response.headers["content-length"])
    end
  end)
end)
