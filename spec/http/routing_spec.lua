-- From target to route: percent-encoding, parameters, and what is not touched on the way; fields
-- that ask for another protocol or another framing, which is not taken up.

local support = require "spec.http.support"

local head, get, post = support.head, support.get, support.post

local SCRIPT = support.ECHO .. [[
server:get("/caf\xc3\xa9", echo)
server:get("/a b", echo)
server:get("/files/:dir/:name", echo)
server:get("/tree/*path", echo)
server:get("/only", echo)
]]

local server

local function get_server()
  return server
end

local function line(target)
  return head("GET " .. target .. " HTTP/1.1", "Host: a")
end

describe("a route", function()
  setup(function()
    server = support.start(SCRIPT)
  end)

  teardown(function()
    support.stop(server)
  end)

  support.takes(it, get_server, {
    { "its path", line "/only" },
    { "its path with a byte encoded that need not be", line "/%6fnly" },
    { "its path encoded throughout", line "/%6F%6e%6C%79" },
    { "its path as UTF-8", line "/caf%C3%A9" },
    { "its path with a space", line "/a%20b" },
    { "a parameter, decoded", line "/item/a%20b%2Bc", { params = { name = "a b+c" } } },
    { "a plus sign in a parameter as it stands", line "/item/a+b", { params = { name = "a+b" } } },
    { "an encoded slash inside of a parameter", line "/item/a%2Fb", { params = { name = "a/b" } } },
    { "three dots for a parameter", line "/item/..%2e", { params = { name = "..." } } },
    { "an encoded percent sign, decoded once", line "/item/%2541", { params = { name = "%41" } } },
    { "an encoded question mark", line "/item/a%3Fb", { params = { name = "a?b" } } },
    { "an encoded hash", line "/item/a%23b", { params = { name = "a#b" } } },
    { "encoded line ends as data", line "/item/a%0d%0ab", { params = { name = "a\r\nb" } } },
    { "several parameters", line "/files/x/y", { params = { dir = "x", name = "y" } } },
    { "an encoded slash that does not divide", line "/files/x%2Fy/z",
      { params = { dir = "x/y", name = "z" } } },
    { "a rest", line "/tree/a/b/c", { params = { path = "a/b/c" } } },
    { "a query that repeats a name, of which the last counts", line "/only?a=1&a=2",
      { query = { a = "2" } } },
    { "a query, decoded", line "/only?a+b=c%20d%2B", { query = { ["a b"] = "c d+" } } },
    { "an encoded NUL in the query", line "/only?a=%00", { query = { a = "\0" } } },
    { "names without values", line "/only?a&b=&=c", { query = { a = "", b = "" } } },
    { "equals signs in a value", line "/only?a=b=c", { query = { a = "b=c" } } },
    { "a path in an absolute target", line "http://elsewhere/item/x?a=1",
      { path = "/item/x", params = { name = "x" }, query = { a = "1" } } },
  })

  for _, target in ipairs { "/Only", "/only/", "//only", "/only/.", "/./only", "/x/../only",
    "/only%2F", "/only%00x", "/onl", "/only;a=b", "/only,", "/item/", "/item", "/files/x",
    "/%2Fonly", "/tree" } do
    it("is not found at " .. target, function()
      local client = server:connect()
      client:send(line(target))
      local status = client:response().status
      local is_refused = target:find "%%00" or target:find "/%."
      assert.equal(is_refused and 400 or 404, status)
      client:close()
    end)
  end
end)

describe("a request that wishes for", function()
  setup(function()
    server = support.start(SCRIPT)
  end)

  teardown(function()
    support.stop(server)
  end)

  support.takes(it, get_server, {
    { "HTTP/2 without TLS", get("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c",
      "HTTP2-Settings: AAMAAABkAAQAAP__"), { method = "GET" } },
    { "a web socket", get("Connection: Upgrade", "Upgrade: websocket",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13") },
    { "a web socket in HTTP/1.0", head("GET /echo HTTP/1.0", "Connection: Upgrade, keep-alive",
      "Upgrade: websocket") },
    { "an unknown protocol", get("Connection: Upgrade", "Upgrade: x/1, y") },
    { "another protocol, without saying so in Connection", get "Upgrade: websocket" },
    { "another protocol with a body", post("Connection: Upgrade", "Upgrade: h2c",
      "Content-Length: 2") .. "hi", { body = "hi" } },
    { "another protocol with a chunked body", post("Connection: Upgrade", "Upgrade: h2c",
      "Transfer-Encoding: chunked") .. "2\r\nhi\r\n0\r\n\r\n", { body = "hi" } },
    { "TLS", head("OPTIONS /echo HTTP/1.1", "Host: a", "Upgrade: TLS/1.0", "Connection: Upgrade"),
      { method = "OPTIONS" } },
    { "trailers", get("Connection: TE", "TE: trailers") },
    { "codings", get("Connection: TE", "TE: gzip, deflate;q=0.5, trailers") },
    { "no coding at all", get("Connection: TE", "TE: chunked;q=0") },
    { "trailers that it announces", post("Trailer: X", "Transfer-Encoding: chunked") ..
      "2\r\nhi\r\n0\r\nX: 1\r\n\r\n", { body = "hi" } },
    { "trailers that it announces and does not send", post("Trailer: X",
      "Transfer-Encoding: chunked") .. "2\r\nhi\r\n0\r\n\r\n", { body = "hi" } },
    { "compressed answers", get "Accept-Encoding: gzip, br, *" },
    { "a range", get "Range: bytes=0-1" },
    { "a bad range", get "Range: bytes=9-1" },
    { "a condition on a date", get "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT" },
    { "Max-Forwards", get "Max-Forwards: 0" },
    { "other types", get "Accept: nonsense" },
  })

  it("an upgrade gets no 101 and no Upgrade", function()
    for _, protocol in ipairs { "h2c", "websocket", "TLS/1.0", "HTTP/2.0" } do
      local response = server:request { target = "/echo",
        headers = { Connection = "Upgrade", Upgrade = protocol } }
      assert.equal(200, response.status)
      assert.is_nil(response.headers["upgrade"])
    end
  end)
end)
