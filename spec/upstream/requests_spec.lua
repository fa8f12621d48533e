-- What a script can ask of another server, and what it gets.

local clock = require "spec.support.clock"
local Process = require "spec.support.process"
local Server = require "spec.support.server"
local support = require "spec.upstream.support"

local function start(text, options)
  return Server.start(support.RELAY .. (text or ""), options)
end

-- Sends GET `target` to the server; the answer is read by `said`.
local function begin(server, target)
  local client = server:connect()
  client:send(("GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n"):format(target))
  return client
end

local function said(client)
  return client:response().body
end

local function encoded(text)
  return (text:gsub("[^%w]", function(c) return ("%%%02X"):format(c:byte()) end))
end

-- Runs `text` in a handler with `up`, the URL of `upstream`, and returns a client that waits for
-- what it returns.
local function ask(text, upstream, options)
  local server = start(([[
    server:get("/", function(request, response)
      local up = request.query.up
      response:send(told((function() %s end)()))
    end)
  ]]):gsub("%%s", (text:gsub("%%", "%%%%"))), options)
  return begin(server, "/?up=" .. encoded(upstream.url)), server
end

describe("lunesse.http", function()
  after_each(support.close_all)

  it("gets a page: status, headers blind to case, and text", function()
    local upstream = support.listen()
    local client = ask([[
      local page = http.get(up .. "/a?b=c")
      return { status = page.status, text = function()
        return table.concat({ page.headers["X-One"], page.headers["x-two"],
          tostring(page.headers["x-three"]), page.headers["set-cookie"]:gsub("\n", "+"),
          page:text() }, "|") end }]], upstream)
    local conn = upstream:accept()
    assert.matches("^GET /a%?b=c HTTP/1%.1\r\nHost: 127%.0%.0%.1:%d+\r\n", (conn:request()))
    conn:send("HTTP/1.1 203 Fine\r\nx-One: 1\r\nX-TWO: 2\r\nx-two: 3\r\nSet-Cookie: a=1\r\n" ..
      "Set-Cookie: b=2\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n" ..
      "X-Three: 3\r\n\r\n")
    assert.equal("203 1|2, 3|nil|a=1+b=2|abcde", said(client))
  end)

  it("says who it is, and nothing that the machine or its user have set", function()
    local upstream = support.listen()
    local client = ask([[return http.get(up)]], upstream, {
      env = { http_proxy = "http://127.0.0.1:9", ALL_PROXY = "http://127.0.0.1:9" },
    })
    local conn = upstream:accept()
    local head = conn:request()
    assert.matches("\r\nUser%-Agent: lunesse/%d+%.%d+%.%d+\r\n", head)
    assert.matches("\r\nAccept: %*/%*\r\n", head)
    conn:answer("ok")
    assert.equal("200 ok", said(client))
  end)

  it("sends bodies: JSON, forms and bytes, with their types", function()
    local upstream = support.listen()
    local client = ask([[
      local api = http.client { base = up }
      api:post("/j", { json = { a = { 1, 2 } } })
      api:put("/f", { form = { a = "1 2", b = { "x&y", true } } })
      api:patch("/b", { body = "a\0b" })
      api:post("/e")
      return api:request("PROPFIND", "x",
        { body = "", headers = { ["content-type"] = "text/xml" } })
    ]], upstream)
    local conn = upstream:accept()
    local function expect(line, body, type)
      local head, got = conn:request()
      assert.equal(line, head:match("^[^\r]+"))
      assert.equal(body, got)
      assert.equal(type, head:match("\r\n[Cc]ontent%-[Tt]ype: ([^\r]+)"))
      assert.equal(tostring(#body), head:match("\r\nContent%-Length: ([^\r]+)"))
      assert.is_nil(head:find("Expect", 1, true))
      conn:answer("x")
    end
    expect("POST /j HTTP/1.1", '{"a":[1,2]}', "application/json")
    expect("PUT /f HTTP/1.1", "a=1%202&b=x%26y&b=true", "application/x-www-form-urlencoded")
    expect("PATCH /b HTTP/1.1", "a\0b", nil)
    expect("POST /e HTTP/1.1", "", nil)
    expect("PROPFIND /x HTTP/1.1", "", "text/xml")
    assert.equal("200 x", said(client))
  end)

  it("sends large bodies whole", function()
    local upstream = support.listen()
    local client = ask([[return http.post(up, { body = ("0123456789"):rep(300000) })]], upstream)
    local conn = upstream:accept()
    local _, body = conn:request()
    assert.is_true(body == ("0123456789"):rep(300000))
    conn:answer("taken")
    assert.equal("200 taken", said(client))
  end)

  it("has the client's headers, and the request's in their place", function()
    local upstream = support.listen()
    local client = ask([[
      local api = http.client { base = up .. "/v1/", headers = { Authorization = "Bearer K",
        ["x-one"] = 1, ["x-gone"] = "here" } }
      return api:get("/things", { query = { q = "a b", n = { 1, 2 } },
        headers = { ["X-One"] = { "a", "b" }, ["X-Gone"] = false, ["X-Empty"] = "", Host = "h" } })
    ]], upstream)
    local conn = upstream:accept()
    local head = conn:request()
    assert.matches("^GET /v1/things%?n=1&n=2&q=a%%20b HTTP/1.1\r\n", head)
    assert.matches("\r\nAuthorization: Bearer K\r\n", head)
    assert.matches("\r\nX%-One: a\r\nX%-One: b\r\n", head)
    assert.matches("\r\nX%-Empty:\r\n", head)
    assert.matches("\r\nHost: h\r\n", head)
    assert.is_nil(head:lower():find("x-gone", 1, true))
    conn:answer("")
    assert.equal("200 ", said(client))
  end)

  it("keeps connections of a client for its next requests, and for no other client", function()
    local upstream = support.listen()
    local client = ask([[
      local one, other = http.client { base = up }, http.client { base = up }
      one:get("/1") one:get("/2")
      return other:get("/3")
    ]], upstream)
    local conn = upstream:accept()
    for _, path in ipairs { "/1", "/2" } do
      assert.matches("^GET " .. path, (conn:request()))
      conn:answer("x")
    end
    local second = upstream:accept()
    assert.matches("^GET /3", (second:request()))
    second:answer("third")
    assert.equal("200 third", said(client))
  end)

  it("reads JSON, and says what is wrong with it", function()
    local upstream = support.listen()
    local client = ask([[
      local api = http.client { base = up }
      local data = api:get("/"):json()
      local none, why, code = api:get("/"):json()
      return { status = data.a[2], text = function() return tostring(none) .. code end }
    ]], upstream)
    local conn = upstream:accept()
    conn:request()
    conn:answer('{"a":[1,2]}')
    conn:request()
    conn:answer('{"a":')
    assert.equal("2 nilEJSON", said(client))
  end)

  it("gives the body to a loop", function()
    local upstream = support.listen()
    local client = ask([[
      local api, list = http.client { base = up }, {}
      for chunk in api:get("/"):chunks() do list[#list + 1] = chunk end
      for chunk in api:get("/"):chunks() do list[#list + 1] = chunk end
      return { status = #list, text = function() return list[1] end }
    ]], upstream)
    local conn = upstream:accept()
    conn:request()
    conn:answer("abc")
    conn:request()
    conn:answer("")
    assert.equal("1 abc", said(client))
  end)

  it("asks HEAD, and takes answers without a body", function()
    local upstream = support.listen()
    local client = ask([[
      local api = http.client { base = up }
      local head = api:head("/h")
      return { status = api:delete("/d").status, text = function()
        return head.status .. head.headers["content-length"] .. head:text() end }
    ]], upstream)
    local conn = upstream:accept()
    assert.matches("^HEAD /h ", (conn:request()))
    conn:send("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n")
    assert.matches("^DELETE /d ", (conn:request()))
    conn:send("HTTP/1.1 204 No Content\r\n\r\n")
    assert.equal("204 2007", said(client))
  end)

  it("passes over interim answers, and reads a body that ends with the connection", function()
    local upstream = support.listen()
    local client = ask([[return http.get(up)]], upstream)
    local conn = upstream:accept()
    conn:request()
    conn:send("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nA: b\r\n\r\nto the ")
    conn:send("end")
    conn:close()
    assert.equal("200 to the end", said(client))
  end)

  it("unpacks gzip and brotli", function()
    local upstream = support.listen()
    local client = ask([[
      local api = http.client { base = up }
      return { status = api:get("/"):text(), text = function() return api:get("/"):text() end }
    ]], upstream)
    local conn = upstream:accept()
    assert.matches("\r\nAccept%-Encoding: [^\r]*gzip[^\r]*br", (conn:request()))
    local packed = "\31\139\8\0\0\0\0\0\0\3\203\72\205\201\201\7\0\134\166\16\54\5\0\0\0"
    conn:answer(packed, "Content-Encoding: gzip\r\n")
    conn:request()
    conn:answer("\11\2\128hello\3", "Content-Encoding: br\r\n")
    assert.equal("hello hello", said(client))
  end)

  it("reads an answer in whatever pieces it comes", function()
    local upstream = support.listen()
    local answer = "HTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n" ..
      "3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"
    local server = start(nil, { workers = 1 }) -- each has connections of its own
    local conn
    for at = 1, #answer - 1, 3 do
      local client = begin(server, "/get?url=" .. encoded(upstream.url))
      conn = conn or upstream:accept()
      conn:request()
      conn:send(answer:sub(1, at))
      conn:send(answer:sub(at + 1))
      assert.equal("200 abcdef", said(client))
    end
  end)

  it("makes as many requests at a time as the client has connections", function()
    local upstream = support.listen()
    local client = ask([[
      local api = http.client { base = up, connections = 2 }
      local function get(path) return function() return api:get(path):text() end end
      local a, b, c, d = lunesse.all { get "/1", get "/2", get "/3", get "/4" }
      return { status = a .. b .. c, text = function() return d end }
    ]], upstream)
    local one, two = upstream:accept(), upstream:accept()
    one:request()
    two:request()
    assert.is_nil(upstream:try_accept(0.05))
    one:answer("a")
    assert.matches("^GET /3", (one:request()))
    two:answer("b")
    assert.matches("^GET /4", (two:request()))
    one:answer("c")
    two:answer("d")
    assert.equal("abc d", said(client))
  end)

  it("asks by name, by IPv6, and by a name that nobody has", function()
    local upstream = support.listen()
    local server = start()
    for _, host in ipairs { "localhost", "127.0.0.1" } do
      local client = begin(server, "/get?url=" .. encoded(("http://%s:%d/"):format(host,
        upstream.port)))
      local conn = upstream:accept()
      assert.matches("\r\nHost: " .. host:gsub("%.", "%%.") .. ":", (conn:request()))
      conn:answer(host, "Connection: close\r\n")
      assert.equal("200 " .. host, said(client))
    end
    assert.matches("^nil nobody%.invalid:80: .+ E%u+", said(begin(server,
      "/get?url=" .. encoded("http://nobody.invalid/"))))
  end)

  it("says what failed, whom it asked, and by which code", function()
    local upstream, port = support.listen(), support.closed_port()
    local server = start()
    local function get(url)
      return said(begin(server, "/get?url=" .. encoded(url)))
    end
    assert.equal(("nil 127.0.0.1:%d: Connection refused ECONNREFUSED"):format(port),
      get(("http://127.0.0.1:%d/"):format(port)))
    for _, url in ipairs { "ftp://example.com/", "http://", "http://a b/", "http://a:0/", "x" } do
      assert.matches("EINVAL$", get(url), url)
    end
    assert.matches("has a user name in it.*EINVAL$", get("http://me:secret@127.0.0.1/"))
    local client = begin(server, "/get?url=" .. encoded(upstream.url))
    upstream:accept():close()
    assert.equal(("nil 127.0.0.1:%d: the server closed the connection without an answer " ..
      "ECONNRESET"):format(upstream.port), said(client))
  end)

  it("takes no broken answer for a whole one", function()
    local upstream = support.listen()
    local server = start()
    for answer, complaint in pairs {
      ["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc"] =
        "in the middle of its answer ECONNRESET$",
      ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc"] = "ECONNRESET$",
      ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"] = "E%u+$",
      ["HTTP/1.1 200 OK\r\nA: b"] = "E%u+$",
      ["HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\nabc"] = "EPROTO$",
      ["hello\r\n\r\n"] = "EPROTO$",
      ["HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc"] = "EPROTO$",
      ["HTTP/1.1 200 OK\r\nX: " .. ("x"):rep(70000) .. "\r\n\r\n"] = "larger than 64 KiB EPROTO$",
    } do
      local client = begin(server, "/get?url=" .. encoded(upstream.url))
      local conn = upstream:accept()
      conn:request()
      conn:send(answer)
      conn:close()
      assert.matches(complaint, said(client), answer:sub(1, 60))
    end
  end)

  it("bounds the body by body_bytes, of the request, the client or the server", function()
    local upstream = support.listen()
    local client = ask([[
      local api = http.client { base = up, body_bytes = 4 }
      local one, why, code = api:get("/")
      local other = api:get("/", { body_bytes = 5 })
      return { status = tostring(one) .. why .. code, text = other.text, _body = other._body }
    ]], upstream)
    for _ = 1, 2 do
      local conn = upstream:accept()
      conn:request()
      conn:answer("12345", "Connection: close\r\n")
    end
    assert.equal(("nil127.0.0.1:%d: the body of the answer is larger than body_bytesEMSGSIZE 12345")
      :format(upstream.port), said(client))
    local server = start(nil, { args = { "--limit", "upstream_body_bytes=3" } })
    local peer = begin(server, "/get?url=" .. encoded(upstream.url))
    local conn = upstream:accept()
    conn:request()
    conn:answer("1234")
    assert.matches("EMSGSIZE$", said(peer))
    assert.equal(1, #server:log_lines("limit=upstream_body_bytes"))
  end)

  it("sends a request again that a dead connection has lost, if it may be repeated", function()
    local upstream = support.listen()
    local client, server = ask([[
      local api = http.client { base = up }
      api:get("/1")
      local page = api:get("/2")
      local none, why, code = api:post("/3", { body = "once" })
      return { status = page:text() .. tostring(none) .. code, text = function() return "" end }
    ]], upstream)
    local conn = upstream:accept()
    conn:request()
    conn:answer("one")
    conn:request()
    conn:close() -- has taken the request, and says nothing
    conn = upstream:accept()
    assert.matches("^GET /2", (conn:request()))
    conn:answer("two")
    assert.matches("^POST /3", (conn:request()))
    conn:close()
    local again = upstream:try_accept(0.1)
    if again then
      again:await_close()
      assert.equal("", again.buffer)
    end
    assert.equal("twonilECONNRESET ", said(client))
    assert.truthy(server)
  end)

  it("raises a script's mistakes at the script's line", function()
    local MISTAKES = {
      { [[http.get(1)]], "a URL is a string, got number" },
      { [[http.get("http://x", 1)]], "a request takes a table of options, got number" },
      { [[http.get("http://x", { jsn = 1 })]], "a request: unknown option 'jsn'" },
      { [[http.get("http://x", { body = 1 })]], "a request: body is a string" },
      { [[http.post("http://x", { body = "", json = 1 })]],
        "a request has one of json, form and body" },
      { [[http.post("http://x", { json = print })]], "function" },
      { [[http.get("http://x", { headers = { ["a b"] = 1 } })]], "a header name is letters" },
      { [[http.get("http://x", { headers = { a = "x\r\ny" } })]], "the header 'a': a string" },
      { [[http.get("http://x", { headers = { ["Content-Length"] = 1 } })]],
        "the header 'Content%-Length' is set by the client itself" },
      { [[http.get("http://x", { query = { a = {} , b = print } })]], "query: names with strings" },
      { [[http.get("http://x", { idle_timeout = -1 })]], "a request: idle_timeout is seconds" },
      { [[http.request("A B", "http://x")]], "a method is a word" },
      { [[http.client { bse = 1 }]], "http.client: unknown option 'bse'" },
      { [[http.client { base = "/x" }]], "http.client: base is a URL" },
      { [[http.client { connections = 0 }]], "http.client: connections is a whole number" },
      { [[http.client().get("http://x")]], "get is called with a colon: client:get" },
    }
    local text = {}
    for i, mistake in ipairs(MISTAKES) do
      text[i] = ("server:get('/%d', function(_, response)\n%s\nend)\n"):format(i, mistake[1])
    end
    local server = Server.start({ ["script.lua"] = support.RELAY:gsub("\n", " ") .. "\n" ..
      table.concat(text) })
    for i, mistake in ipairs(MISTAKES) do
      assert.equal(500, server:request { target = "/" .. i }.status)
      local line = server:log_lines("script error")[i]
      assert.matches(("script.lua:%d: .*%s"):format(3 * i, mistake[2]), line)
    end
  end)

  it("refuses a URL of another server than the client's", function()
    local upstream = support.listen()
    local client = ask([[
      local api = http.client { base = up, headers = { authorization = "secret" } }
      local page, why, code = api:get("http://127.0.0.1:9/")
      return { status = code, text = function() return api:get(up .. "/same"):text() end }
    ]], upstream)
    local conn = upstream:accept()
    assert.matches("^GET /same ", (conn:request()))
    conn:answer("same")
    assert.equal("EINVAL same", said(client))
  end)

  it("does not take a certificate that it cannot trust", function()
    local folder = Server.write {}
    local key, cert = folder .. "/key.pem", folder .. "/cert.pem"
    assert.equal(0, (Process.run { "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
      "-keyout", key, "-out", cert, "-subj", "/CN=localhost", "-days", "2" }))
    local port = support.closed_port()
    local process = Process.start {
      "openssl", "s_server", "-www", "-accept", tostring(port), "-key", key, "-cert", cert,
    }
    local server = start()
    clock.eventually(function()
      local url = ("https://localhost:%d/"):format(port)
      local text = said(begin(server, "/get?url=" .. encoded(url)))
      return not text:find("ECONNREFUSED") and assert.matches("certificate.* ECERT$", text)
    end)
    process:kill()
  end)
end)

describe("the wait for an answer", function()
  after_each(support.close_all)

  it("is refused where nothing can wait", function()
    local server = start [[
      server:get("/", function(_, response)
        table.sort({ 1, 2 }, function() http.get("http://127.0.0.1:1/") end)
      end)
    ]]
    assert.equal(500, server:request { target = "/" }.status)
    assert.matches("can only wait inside a handler", server:log_lines("script error")[1])
  end)

  it("leaves others alone", function()
    local upstream = support.listen()
    local server = start [[server:get("/", function(_, response) response:send("here") end)]]
    local client = begin(server, "/get?url=" .. encoded(upstream.url))
    local conn = upstream:accept()
    conn:request()
    assert.equal("here", server:request { target = "/" }.body)
    conn:answer("late")
    assert.equal("200 late", said(client))
  end)
end)
