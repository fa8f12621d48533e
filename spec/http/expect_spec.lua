-- Expect: 100-continue (RFC 9110, section 10.1.1).

local support = require "spec.http.support"

local head, post = support.head, support.post

local SCRIPT = support.ECHO .. [[
server:post("/small", { body_bytes = 4 }, echo)
server:get("/page", function(request, response)
  return response:send("page")
end)
]]

local server

local function get_server()
  return server
end

---Sends a head and holds that nothing but one 100 comes, then sends the body.
local function continue(bytes, body)
  local client = server:connect()
  client:send(bytes)
  assert.equal("HTTP/1.1 100 Continue\r\n\r\n", client:receive(25))
  assert.is_true(client:is_silent())
  client:send(body .. support.NEXT)
  local said, response = support.taken(client)
  assert.equal(0, #response.interim)
  support.next(client)
  client:close()
  return said
end

describe("Expect: 100-continue", function()
  setup(function()
    server = support.start(SCRIPT)
  end)

  teardown(function()
    support.stop(server)
  end)

  for what, fields in pairs {
    ["a sized body"] = { "Expect: 100-continue", "Content-Length: 2" },
    ["any case"] = { "eXPECT: 100-CONTINUE", "Content-Length: 2" },
    ["tabs around it"] = { "Expect:\t100-continue\t", "Content-Length: 2" },
    ["empty elements around it"] = { "Expect: , 100-continue ,", "Content-Length: 2" },
    ["it said twice"] = { "Expect: 100-continue, 100-continue", "Content-Length: 2" },
    ["it said on two lines"] = { "Expect: 100-continue", "Expect: 100-continue",
      "Content-Length: 2" },
  } do
    it("is answered with one 100 for " .. what, function()
      assert.equal("hi", continue(post(table.unpack(fields)), "hi").body)
    end)
  end

  it("is answered with one 100 for a chunked body", function()
    assert.equal("hi", continue(post("Expect: 100-continue", "Transfer-Encoding: chunked"),
      "2\r\nhi\r\n0\r\n\r\n").body)
  end)

  it("is answered with one 100 when the head comes byte by byte", function()
    local client = server:connect()
    client:send_bytewise(post("Expect: 100-continue", "Content-Length: 2"))
    assert.equal("HTTP/1.1 100 Continue\r\n\r\n", client:receive(25))
    client:send_bytewise("hi")
    assert.equal("hi", support.taken(client).body)
    client:close()
  end)

  it("is answered with 100 for each of two requests", function()
    local client = server:connect()
    for _ = 1, 2 do
      client:send(post("Expect: 100-continue", "Content-Length: 2"))
      assert.equal("HTTP/1.1 100 Continue\r\n\r\n", client:receive(25))
      client:send("hi")
      assert.equal("hi", support.taken(client).body)
    end
    client:close()
  end)

  it("gets its 100 behind the answer to the request before it", function()
    local client = server:connect()
    client:send(support.NEXT .. post("Expect: 100-continue", "Content-Length: 2"))
    support.next(client)
    assert.equal("HTTP/1.1 100 Continue\r\n\r\n", client:receive(25))
    client:send("hi")
    assert.equal("hi", support.taken(client).body)
    client:close()
  end)

  it("gets no 100 when the body has begun", function()
    for _, body in ipairs { "h", "hi" } do
      local client = server:connect()
      client:send(post("Expect: 100-continue", "Content-Length: 2") .. body)
      client:send(("hi"):sub(#body + 1))
      local said, response = support.taken(client)
      assert.equal("hi", said.body)
      assert.equal(0, #response.interim)
      client:close()
    end
  end)

  it("gets no 100 without a body", function()
    for _, fields in ipairs { {}, { "Content-Length: 0" } } do
      local client = server:connect()
      client:send(post("Expect: 100-continue", table.unpack(fields)) .. support.NEXT)
      local _, response = support.taken(client)
      assert.equal(0, #response.interim)
      support.next(client)
      client:close()
    end
  end)

  it("gets no 100 in HTTP/1.0, where it means nothing", function()
    local client = server:connect()
    client:send(head("POST /echo HTTP/1.0", "Expect: 100-continue", "Content-Length: 2"))
    assert.is_true(client:is_silent())
    client:send("hi")
    local said, response = support.taken(client)
    assert.equal("hi", said.body)
    assert.equal(0, #response.interim)
    client:close()
  end)

  it("of an unknown kind is ignored in HTTP/1.0", function()
    local client = server:connect()
    client:send(head("POST /echo HTTP/1.0", "Expect: x", "Content-Length: 2") .. "hi")
    assert.equal("hi", support.taken(client).body)
    client:close()
  end)

  ---Holds that the answer comes at once, without 100 and without the body.
  local function at_once(what, status, bytes)
    it(("gets %d and no 100 for %s"):format(status, what), function()
      local client = server:connect()
      client:send(bytes)
      local response = support.refused(client, status, "POST")
      assert.equal(0, #response.interim)
      client:close()
    end)
  end

  local EXPECT = "Expect: 100-continue"
  at_once("a path that is not there", 404,
    head("POST /none HTTP/1.1", "Host: a", EXPECT, "Content-Length: 2"))
  at_once("a method that the path does not take", 405,
    head("POST /page HTTP/1.1", "Host: a", EXPECT, "Content-Length: 2"))
  at_once("a chunked body to a path that is not there", 404,
    head("POST /none HTTP/1.1", "Host: a", EXPECT, "Transfer-Encoding: chunked"))
  at_once("a body that is too large", 413, post(EXPECT, "Content-Length: 9999999"))
  at_once("a body that is too large for the route", 413,
    head("POST /small HTTP/1.1", "Host: a", EXPECT, "Content-Length: 5"))
  at_once("a malformed length", 400, post(EXPECT, "Content-Length: x"))
  at_once("both lengths", 400, post(EXPECT, "Content-Length: 2", "Transfer-Encoding: chunked"))
  at_once("an unknown coding", 501, post(EXPECT, "Transfer-Encoding: gzip, chunked"))
  at_once("an unknown method", 501,
    head("BREW /echo HTTP/1.1", "Host: a", EXPECT, "Content-Length: 2"))

  support.refuses(it, get_server, {
    { "an unknown expectation", post("Expect: x", "Content-Length: 2"), status = 417, behind = "" },
    { "an unknown expectation with its body", post("Expect: x", "Content-Length: 2") .. "hi",
      status = 417 },
    { "an unknown expectation without a body", support.get "Expect: x", status = 417 },
    { "200-ok", support.get "Expect: 200-ok", status = 417 },
    { "100-continued", support.get "Expect: 100-continued", status = 417 },
    { "100", support.get "Expect: 100", status = 417 },
    { "an unknown one behind 100-continue", post("Expect: 100-continue, x", "Content-Length: 2"),
      status = 417, behind = "" },
    { "an unknown one on a line before", post("Expect: x", "Expect: 100-continue",
      "Content-Length: 2"), status = 417, behind = "" },
    { "an unknown one on a line behind", post("Expect: 100-continue", "Expect: x",
      "Content-Length: 2"), status = 417, behind = "" },
  })

  it("is left alone when the peer closes in place of sending the body", function()
    local client = server:connect()
    client:send(head("POST /smuggled HTTP/1.1", "Host: a", EXPECT, "Content-Length: 2"))
    assert.equal("HTTP/1.1 100 Continue\r\n\r\n", client:receive(25))
    client:finish_sending()
    support.refused(client, 400)
    client:close()
  end)

  support.runs_nothing_smuggled(it, get_server)
end)
