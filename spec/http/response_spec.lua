-- What the server says: heads that no script can break, framing that is always right, and the
-- fields that are its own (RFC 9110, sections 6.6.1, 8.6; RFC 9112, sections 4 to 7).

local support = require "spec.http.support"
local wire = require "spec.support.wire"

local head = support.head

local SCRIPT = support.ECHO .. [==[
local function attempt(response, fn)
  local ok, why = pcall(fn)
  if response.headers_sent then
    return response:finish()
  end
  return response:send(ok and "done" or "raised: " .. tostring(why))
end

server:post("/try/:what", function(request, response)
  local value = request:text()
  return attempt(response, ({
    value = function() response:header("X-Value", value) end,
    name = function() response:header(value, "x") end,
    reserved = function() response:header(value, "1") end,
    type = function() response:type(value) end,
    cookie_name = function() response:cookie(value, "x") end,
    cookie_value = function() response:cookie("x", value) end,
    cookie_path = function() response:cookie("x", "y", { path = value }) end,
    cookie_domain = function() response:cookie("x", "y", { domain = value }) end,
    cookie_site = function() response:cookie("x", "y", { same_site = value }) end,
    redirect = function() response:redirect(value) end,
    status = function() response:status(value) end,
    head_status = function() response:write_head(value) end,
    head_value = function() response:write_head(200, { ["X-Value"] = value }) end,
    head_name = function() response:write_head(200, { [value] = "x" }) end,
    head_list = function() response:write_head(200, { ["X-Value"] = { "a", value } }) end,
  })[request.params.what])
end)

server:get("/two", function(request, response)
  response:header("X-A", "1")
  response:header("x-a", "2")
  return response:send("two")
end)

server:get("/by_hand", function(request, response)
  response:write_head(200, { ["Content-Type"] = "text/plain" })
  response:write("one")
  response:write("")
  response:write("two")
  return response:finish("three")
end)
server:get("/empty_pieces", function(request, response)
  response:write_head(200)
  for _ = 1, 10 do
    response:write("")
  end
  return response:finish("")
end)
server:get("/finish_only", function(request, response)
  return response:finish("whole")
end)
server:get("/write_only", function(request, response)
  response:write("piece")
  return response:finish()
end)
server:get("/looks_like_the_end", function(request, response)
  response:write_head(200)
  response:write("0\r\n\r\n")
  response:write("HTTP/1.1 200 OK\r\n\r\n")
  return response:finish()
end)
server:get("/waits", function(request, response)
  response:write_head(200)
  response:write("first")
  lunesse.sleep(5)
  return response:finish("last")
end)
server:get("/dies", function(request, response)
  response:write_head(200)
  response:write("first")
  error("on purpose")
end)
server:get("/twice", function(request, response)
  response:send("first")
  pcall(response.send, response, "second")
  pcall(response.write, response, "third")
  pcall(response.finish, response, "fourth")
end)
server:get("/empty", function(request, response)
  return response:send()
end)
server:get("/large", function(request, response)
  return response:send(("x"):rep(3000000))
end)
server:get("/bytes", function(request, response)
  return response:send("\0\r\n\255")
end)
server:get("/raises", function()
  error("on purpose")
end)
]==]

local server

local function ask(target, ...)
  local client = server:connect()
  client:send(head("GET " .. target .. " HTTP/1.1", "Host: a", ...) .. support.NEXT)
  local response = client:response()
  support.next(client)
  client:close()
  return response
end

local function ask_1_0(target, method, ...)
  local client = server:connect()
  client:send(head((method or "GET") .. " " .. target .. " HTTP/1.0", ...))
  local response = client:response(method)
  return response, client
end

describe("a response", function()
  setup(function()
    server = support.start(SCRIPT, { clock = true })
  end)

  teardown(function()
    support.stop(server)
  end)

  it("has one Date that is now", function()
    for _, target in ipairs { "/echo", "/none", "/raises", "/by_hand", "/empty" } do
      local date = ask(target).headers["date"]
      local day, month_day, month, year, hour, minute, second =
        date:match("^(%a%a%a), (%d%d) (%a%a%a) (%d%d%d%d) (%d%d):(%d%d):(%d%d) GMT$")
      assert.is_truthy(("Mon Tue Wed Thu Fri Sat Sun"):find(day, 1, true))
      local months = "JanFebMarAprMayJunJulAugSepOctNovDec"
      local time = os.time { year = year, month = (months:find(month, 1, true) + 2) // 3,
        day = month_day, hour = hour, min = minute, sec = second }
      assert.is_true(math.abs(time - os.time(os.date("!*t") --[[@as osdateparam]])) <= 2)
    end
  end)

  it("has a Date when the request was refused", function()
    local client = server:connect()
    client:send("nonsense\r\n\r\n")
    assert.is_truthy(support.refused(client, 400).headers["date"])
    client:close()
  end)

  it("has Content-Length and no coding when it is sent whole", function()
    for target, body in pairs { ["/empty"] = "", ["/bytes"] = "\0\r\n\xff",
      ["/finish_only"] = "whole", ["/large"] = ("x"):rep(3000000) } do
      local response = ask(target)
      assert.equal("length", response.framing)
      assert.is_nil(response.headers["transfer-encoding"])
      assert.is_true(response.body == body)
    end
  end)

  it("is chunked when it is written by hand, one piece a chunk", function()
    local response = ask "/by_hand"
    assert.is_nil(response.headers["content-length"])
    assert.same({ "one", "two", "three" }, response.chunks)
  end)

  it("is not ended by an empty piece", function()
    assert.equal("", ask("/empty_pieces").body)
    assert.equal("onetwothree", ask("/by_hand").body)
  end)

  it("begins with the first piece when no head was written", function()
    assert.equal("piece", ask("/write_only").body)
  end)

  it("keeps content that looks like framing", function()
    assert.equal("0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", ask("/looks_like_the_end").body)
  end)

  it("leaves with its head and first piece at once", function()
    local client = server:connect()
    client:send(head("GET /waits HTTP/1.1", "Host: a"))
    assert.equal("chunked", client:head().headers["transfer-encoding"])
    assert.equal("5\r\nfirst\r\n", client:receive(10))
    assert.is_true(client:is_silent())
    server:advance(5.1)
    assert.equal("4\r\nlast\r\n0\r\n\r\n", client:receive(14))
    client:close()
  end)

  it("that fails in the middle is cut, not ended", function()
    local client = server:connect()
    client:send(head("GET /dies HTTP/1.1", "Host: a") .. support.SMUGGLED)
    client:head()
    local rest = client:receive_all()
    assert.equal("5\r\nfirst\r\n", rest)
    client:close()
  end)

  it("is sent once, whatever the script does", function()
    assert.equal("first", ask("/twice").body)
  end)

  it("that the script failed to give is 500, without its reason", function()
    local response = ask "/raises"
    assert.equal(500, response.status)
    assert.is_nil(response.body:find("purpose"))
  end)

  it("has a field once, however it is spelt", function()
    assert.equal("2", ask("/two").headers["x-a"])
  end)

  it("is of HTTP/1.1 and its head is complete", function()
    local response = ask "/echo"
    assert.matches("^HTTP/1.1 200 OK\r\n", response.head)
    assert.equal("application/json", response.headers["content-type"])
  end)

  describe("in HTTP/1.0", function()
    it("has Content-Length and closes", function()
      local response, client = ask_1_0 "/echo"
      assert.equal("length", response.framing)
      assert.equal("close", response.headers["connection"])
      support.ended(client)
      client:close()
    end)

    it("is never chunked: it ends with the connection", function()
      for _, connection in ipairs { "close", "keep-alive" } do
        local response, client = ask_1_0("/by_hand", "GET", "Connection: " .. connection)
        assert.equal("close", response.framing)
        assert.equal("close", response.headers["connection"])
        assert.equal("onetwothree", response.body)
        support.ended(client)
        client:close()
      end
    end)

    it("has no interim answers", function()
      local client = server:connect()
      client:send(head("POST /echo HTTP/1.0", "Expect: 100-continue", "Content-Length: 2"))
      assert.is_true(client:is_silent())
      client:send("hi")
      assert.same({}, client:response("POST").interim)
      client:close()
    end)

    it("is refused with a length as well", function()
      local client = server:connect()
      client:send(head("GET /echo HTTP/1.0", "X : 1"))
      support.refused(client, 400)
      client:close()
    end)
  end)

  describe("cannot be split", function()
    local function try(what, value)
      local client = server:connect()
      client:send(head("POST /try/" .. what .. " HTTP/1.1", "Host: a",
        "Content-Length: " .. #value) .. value .. support.NEXT)
      local response = client:response("POST")
      support.next(client)
      client:close()
      return response
    end

    local SPLITS = {
      ["CRLF"] = "x\r\nSet-Cookie: a=b", ["CRLF CRLF"] = "x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
      ["LF"] = "x\nSet-Cookie: a=b", ["CR"] = "x\rSet-Cookie: a=b", ["NUL"] = "x\0y",
      ["CRLF at the end"] = "x\r\n", ["CRLF at the front"] = "\r\nx", ["a fold"] = "x\r\n y",
      ["LF at the end"] = "x\n", ["a control byte"] = "x\1y", ["DEL"] = "x\x7fy",
    }
    for _, what in ipairs { "value", "name", "type", "cookie_name", "cookie_value", "cookie_path",
      "cookie_domain", "cookie_site", "redirect", "status", "head_status", "head_value",
      "head_name", "head_list" } do
      it("through " .. what:gsub("_", " of "), function()
        for kind, value in pairs(SPLITS) do
          local response = try(what, value)
          assert.is_nil(response.headers["set-cookie"], kind)
          assert.matches("^raised: ", response.body, 1, nil, kind)
        end
      end)
    end

    it("by a cookie's separators", function()
      for _, what in ipairs { "cookie_name", "cookie_value", "cookie_path", "cookie_domain" } do
        assert.matches("^raised: ", try(what, "a; HttpOnly").body)
      end
    end)

    it("by a name that is no token", function()
      for _, name in ipairs { "", " ", "a b", "a:", "a\tb", "\xc3\xa9", "(a)", "a," } do
        assert.matches("^raised: ", try("name", name).body)
        assert.matches("^raised: ", try("head_name", name).body)
      end
    end)

    it("by the fields that frame it", function()
      for _, name in ipairs { "Content-Length", "content-length", "Transfer-Encoding", "Connection",
        "CONNECTION", "Date", "Keep-Alive", "Trailer", "Upgrade" } do
        assert.matches("^raised: ", try("reserved", name).body)
        assert.matches("^raised: ", try("head_name", name).body)
      end
    end)

    it("by a status that is no number", function()
      for _, status in ipairs { "200 OK", "abc", "2e2x", "", "99", "1000", "200.5" } do
        assert.matches("^raised: ", try("status", status).body)
        assert.matches("^raised: ", try("head_status", status).body)
      end
    end)

    it("though obs-text and tabs may stand in a value", function()
      assert.equal("\xc3\xa9\t\xff", try("value", "\xc3\xa9\t\xff").headers["x-value"])
    end)
  end)

  describe("to a peer", function()
    it("that reads byte by byte is whole", function()
      local client = wire.connect(server, { receive_buffer = 2048 })
      client:send(head("GET /by_hand HTTP/1.1", "Host: a", "Connection: close"))
      local bytes, how = client:receive_slowly(1)
      assert.equal("closed", how)
      assert.equal("onetwothree", wire.responses(bytes)[1].body)
      client:close()
    end)

    it("that reads a large one in small pieces is whole", function()
      local client = wire.connect(server, { receive_buffer = 4096 })
      client:send(head("GET /large HTTP/1.1", "Host: a", "Connection: close"))
      local bytes, how = client:receive_slowly(3000, 20)
      assert.equal("closed", how)
      assert.equal(3000000, #wire.responses(bytes)[1].body)
      client:close()
    end)

    it("that goes away in the middle harms nobody", function()
      for _ = 1, 20 do
        local client = wire.connect(server, { receive_buffer = 2048 })
        client:send(head("GET /large HTTP/1.1", "Host: a"))
        client:receive(1)
        client:reset()
      end
      assert.equal("next", server:request { target = "/next" }.body)
    end)

    it("that goes away before its answer harms nobody", function()
      for _, target in ipairs { "/waits", "/echo", "/by_hand" } do
        local client = server:connect()
        client:send(head("GET " .. target .. " HTTP/1.1", "Host: a"))
        client:reset()
      end
      assert.equal("next", server:request { target = "/next" }.body)
    end)
  end)

  support.runs_nothing_smuggled(it, function()
    return server
  end)
end)
