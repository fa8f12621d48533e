-- The request line: method SP request-target SP HTTP-version CRLF (RFC 9112, section 3), and what
-- may stand before it.

local support = require "spec.http.support"

local head = support.head

local server

---A message with this request line.
local function line(text)
  return head(text, "Host: a")
end

local function get_server()
  return server
end

local function visible_bytes_but(excluded)
  local bytes = {}
  for byte = 0x21, 0x7e do
    local char = string.char(byte)
    if not char:find(excluded) then
      bytes[#bytes + 1] = char
    end
  end
  return bytes
end

describe("the request line", function()
  setup(function()
    server = support.start()
  end)

  teardown(function()
    support.stop(server)
  end)

  support.takes(it, get_server, {
    { "a plain request", line "GET /echo HTTP/1.1", { method = "GET", target = "/echo" } },
    { "HTTP/1.0", head("GET /echo HTTP/1.0", "Host: a", "Connection: keep-alive"),
      { version = "1.0" } },
    { "one empty line before it", "\r\n" .. line "GET /echo HTTP/1.1", { path = "/echo" } },
    { "a few empty lines before it", ("\r\n"):rep(4) .. line "GET /echo HTTP/1.1" },
    { "an empty line behind a body, as old clients send it",
      support.post("Content-Length: 2") .. "hi\r\n", { body = "hi" } },
    { "the shortest target", line "GET / HTTP/1.1", { path = "/" } },
    { "an empty query", line "GET /echo? HTTP/1.1", { path = "/echo", target = "/echo?" } },
    { "a query with question marks and slashes", line "GET /echo?a=/?b HTTP/1.1",
      { query = { a = "/?b" } } },
    { "every unreserved and reserved byte of a path",
      line "GET /echo/-._~!$&'()*+,;=:@ HTTP/1.1", { path = "/echo/-._~!$&'()*+,;=:@" } },
    { "percent-encoded bytes in both cases", line "GET /echo/%c3%A9 HTTP/1.1",
      { params = { rest = "\xc3\xa9" }, path = "/echo/%C3%A9", target = "/echo/%c3%A9" } },
    { "dots as they stand, in what is not a segment of them", line "GET /echo/..a/.b/c. HTTP/1.1",
      { params = { rest = "..a/.b/c." } } },
    { "an empty segment", line "GET /echo//b HTTP/1.1", { params = { rest = "/b" } } },
  })

  support.refuses(it, get_server, {
    { "two spaces behind the method", line "GET  /echo HTTP/1.1" },
    { "two spaces behind the target", line "GET /echo  HTTP/1.1" },
    { "a space in front of the method", line " GET /echo HTTP/1.1" },
    { "a tab in front of the method", line "\tGET /echo HTTP/1.1" },
    { "a space at the end", line "GET /echo HTTP/1.1 " },
    { "a tab at the end", line "GET /echo HTTP/1.1\t" },
    { "a tab behind the method", line "GET\t/echo HTTP/1.1" },
    { "a tab behind the target", line "GET /echo\tHTTP/1.1" },
    { "a vertical tab behind the method", line "GET\v/echo HTTP/1.1" },
    { "a form feed behind the target", line "GET /echo\fHTTP/1.1" },
    { "a carriage return behind the method", line "GET\r/echo HTTP/1.1" },
    { "a space inside of the target", line "GET /ec ho HTTP/1.1" },
    { "a missing target", line "GET HTTP/1.1" },
    { "an empty target", line "GET  HTTP/1.1" },
    { "a missing version (HTTP/0.9)", line "GET /echo" },
    { "a missing version behind a space", line "GET /echo " },
    { "a method alone", line "GET" },
    { "a line of words", line "hello there world and more" },
    { "no method", line " /echo HTTP/1.1" },
    { "more behind the version", line "GET /echo HTTP/1.1 HTTP/1.1" },
    { "a bare LF at its end", "GET /echo HTTP/1.1\nHost: a\r\n\r\n" },
    { "a bare CR at its end", "GET /echo HTTP/1.1\rHost: a\r\n\r\n" },
    { "CR CR LF at its end", "GET /echo HTTP/1.1\r\r\nHost: a\r\n\r\n" },
    { "a bare LF before it", "\n" .. line "GET /echo HTTP/1.1" },
    { "a bare CR before it", "\r" .. line "GET /echo HTTP/1.1" },
    { "empty lines without end before it", ("\r\n"):rep(40) .. line "GET /echo HTTP/1.1" },
    { "a space in front of an empty line", " \r\n" .. line "GET /echo HTTP/1.1" },
    { "a field line before it", "Host: a\r\n" .. line "GET /echo HTTP/1.1" },
    { "the greeting of TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" },
    { "bytes that are no text", "\xff\xfe\xfd\x00\x01" },
    { "NUL at the front", "\0" .. line "GET /echo HTTP/1.1" },
  })

  describe("'s version", function()
    support.refuses(it, get_server, {
      { "HTTP/0.9", line "GET /echo HTTP/0.9", status = 505 },
      { "HTTP/1.2", line "GET /echo HTTP/1.2", status = 505 },
      { "HTTP/1.9", line "GET /echo HTTP/1.9", status = 505 },
      { "HTTP/2.0", line "GET /echo HTTP/2.0", status = 505 },
      { "HTTP/3.0", line "GET /echo HTTP/3.0", status = 505 },
      { "HTTP/9.9", line "GET /echo HTTP/9.9", status = 505 },
      { "HTTP/0.0", line "GET /echo HTTP/0.0", status = 505 },
      { "the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", status = 505 },
      { "http/1.1 in small letters", line "GET /echo http/1.1" },
      { "Http/1.1", line "GET /echo Http/1.1" },
      { "HTTP/1", line "GET /echo HTTP/1" },
      { "HTTP/2", line "GET /echo HTTP/2" },
      { "HTTP/1.", line "GET /echo HTTP/1." },
      { "HTTP/.1", line "GET /echo HTTP/.1" },
      { "HTTP/1.10", line "GET /echo HTTP/1.10" },
      { "HTTP/01.1", line "GET /echo HTTP/01.1" },
      { "HTTP/1.01", line "GET /echo HTTP/1.01" },
      { "HTTP/11.1", line "GET /echo HTTP/11.1" },
      { "HTTP/1,1", line "GET /echo HTTP/1,1" },
      { "HTTP/1.x", line "GET /echo HTTP/1.x" },
      { "HTTP/1. 1", line "GET /echo HTTP/1. 1" },
      { "HTTP /1.1", line "GET /echo HTTP /1.1" },
      { "HTTP/ 1.1", line "GET /echo HTTP/ 1.1" },
      { "HTTP1.1", line "GET /echo HTTP1.1" },
      { "HTTP\\1.1", line "GET /echo HTTP\\1.1" },
      { "HTTPS/1.1", line "GET /echo HTTPS/1.1" },
      { "HTP/1.1", line "GET /echo HTP/1.1" },
      { "ICY/1.1", line "GET /echo ICY/1.1" },
      { "RTSP/1.0", line "GET /echo RTSP/1.0" },
      { "HTTP/+1.1", line "GET /echo HTTP/+1.1" },
      { "HTTP/-1.1", line "GET /echo HTTP/-1.1" },
      { "HTTP/1.1 with NUL", line "GET /echo HTTP/1.1\0" },
    })
  end)

  describe("'s method", function()
    support.takes(it, get_server, {
      { "GET", line "GET /echo HTTP/1.1", { method = "GET" } },
      { "POST", line "POST /echo HTTP/1.1", { method = "POST" } },
      { "PUT", line "PUT /echo HTTP/1.1", { method = "PUT" } },
      { "PATCH", line "PATCH /echo HTTP/1.1", { method = "PATCH" } },
      { "DELETE", line "DELETE /echo HTTP/1.1", { method = "DELETE" } },
    })

    for _, method in ipairs {
      "get", "Get", "GETT", "GE", "G", "BREW", "FOOBAR", "X", "!#$%&'*+-.^_`|~09az", "*",
      "HTTP/1.1",
      "DESCRIBE", "SETUP", "PLAY", "PAUSE", "TEARDOWN", "ANNOUNCE", "RECORD", "FLUSH", "REDIRECT",
      "GET_PARAMETER", "SET_PARAMETER", ("A"):rep(200),
    } do
      if method:find("/") then
        it("refuses a method that is no token with 400", function()
          local client = server:connect()
          client:send(line(method .. " /echo HTTP/1.1"))
          support.refused(client, 400)
          client:close()
        end)
      else
        it(("answers 501 to the method %.24s"):format(method), function()
          support.each_way(server, line(method .. " /echo HTTP/1.1"), function(client)
            local response = client:response("GET")
            assert.equal(501, response.status)
          end)
        end)
      end
    end

    it("is 501 when it is longer than a head may be", function()
      local client = server:connect()
      client:send(("A"):rep(40000) .. " /echo HTTP/1.1\r\nHost: a\r\n\r\n")
      support.refused(client, 501)
      client:close()
    end)

    support.refuses(it, get_server, (function()
      local cases = {}
      for _, char in ipairs { '"', "(", ")", ",", "/", ":", ";", "<", "=", ">", "?", "@", "[", "\\",
        "]", "{", "}", "\0", "\1", "\v", "\x7f", "\x80", "\xff" } do
        cases[#cases + 1] = { ("%q inside of the method"):format(char),
          line("GE" .. char .. "T /echo HTTP/1.1") }
      end
      return cases
    end)())
  end)

  describe("'s target", function()
    support.refuses(it, get_server, {
      { "a fragment", line "GET /echo#part HTTP/1.1" },
      { "a fragment behind a query", line "GET /echo?a#part HTTP/1.1" },
      { "an empty fragment", line "GET /echo# HTTP/1.1" },
      { "a path without a slash", line "GET echo HTTP/1.1" },
      { "a query alone", line "GET ?a=1 HTTP/1.1" },
      { "a dot", line "GET . HTTP/1.1" },
      { "NUL in the path", line "GET /ec\0ho HTTP/1.1" },
      { "NUL in the query", line "GET /echo?a\0 HTTP/1.1" },
      { "an encoded NUL in the path", line "GET /echo/%00 HTTP/1.1" },
      { "a control byte", line "GET /echo\1 HTTP/1.1" },
      { "DEL", line "GET /echo\x7f HTTP/1.1" },
      { "raw UTF-8", line "GET /echo/\xc3\xa9 HTTP/1.1" },
      { "an overlong encoding", line "GET /echo/\xc0\xaf HTTP/1.1" },
      { "0xff", line "GET /\xff HTTP/1.1" },
      { "a quotation mark", line 'GET /echo/"a" HTTP/1.1' },
      { "angle brackets", line "GET /echo/<a> HTTP/1.1" },
      { "a backslash in the path", line "GET /echo\\a HTTP/1.1" },
      { "a percent sign alone", line "GET /echo/% HTTP/1.1" },
      { "a percent sign and one digit", line "GET /echo/%4 HTTP/1.1" },
      { "a percent sign and letters", line "GET /echo/%zz HTTP/1.1" },
      { "a percent sign and a bad second digit", line "GET /echo/%4g HTTP/1.1" },
      { "two percent signs", line "GET /echo/%%41 HTTP/1.1" },
      { "%u0041", line "GET /echo/%u0041 HTTP/1.1" },
      { "a bad percent sign in the query", line "GET /echo?a=%zz HTTP/1.1" },
      { "a percent sign at the end of the query", line "GET /echo?a=% HTTP/1.1" },
    })

    for _, char in ipairs(visible_bytes_but "[\"<>#%%\\?]") do
      it(("may have %s in its path"):format(char), function()
        local client = server:connect()
        client:send(line("GET /echo/a" .. char .. "b HTTP/1.1"))
        assert.equal("/echo/a" .. char .. "b", support.taken(client).path)
        client:close()
      end)
    end
  end)

  describe("in absolute form", function()
    support.takes(it, get_server, {
      { "a path", line "GET http://a/echo HTTP/1.1", { path = "/echo",
        target = "http://a/echo" } },
      { "a query", line "GET http://a/echo?x=1 HTTP/1.1", { path = "/echo", query = { x = "1" } } },
      { "no path", line "GET http://a HTTP/1.1", { path = "/" } },
      { "a query and no path", line "GET http://a?x=1 HTTP/1.1",
        { path = "/", query = { x = "1" } } },
      { "a port", line "GET http://a:8080/echo HTTP/1.1", { path = "/echo" } },
      { "an empty port", line "GET http://a:/echo HTTP/1.1", { path = "/echo" } },
      { "an address of IPv4", line "GET http://127.0.0.1/echo HTTP/1.1", { path = "/echo" } },
      { "an address of IPv6", line "GET http://[::1]:80/echo HTTP/1.1", { path = "/echo" } },
      { "a scheme in capitals", line "GET HTTP://a/echo HTTP/1.1", { path = "/echo" } },
      { "a host other than Host's, which it takes the place of",
        head("GET http://b:80/echo HTTP/1.1", "X: 1", "Host: a", "Y: 2"),
        { path = "/echo", headers = { host = "b:80", x = "1", y = "2" } } },
      { "HTTP/1.0 without Host", head("GET http://a/echo HTTP/1.0", "Connection: keep-alive"),
        { path = "/echo" } },
      { "OPTIONS", line "OPTIONS http://a/echo HTTP/1.1", { method = "OPTIONS" } },
    })

    support.refuses(it, get_server, {
      { "https over a plain connection", line "GET https://a/echo HTTP/1.1", status = 421 },
      { "HTTPS in capitals over a plain connection", line "GET HTTPS://a/echo HTTP/1.1",
        status = 421 },
      { "another scheme", line "GET ftp://a/echo HTTP/1.1" },
      { "file:///", line "GET file:///etc/passwd HTTP/1.1" },
      { "urn:", line "GET urn:a HTTP/1.1" },
      { "javascript:", line "GET javascript:alert(1) HTTP/1.1" },
      { "a scheme alone", line "GET http: HTTP/1.1" },
      { "one slash", line "GET http:/a HTTP/1.1" },
      { "no host", line "GET http:// HTTP/1.1" },
      { "an empty host with a path", line "GET http:///echo HTTP/1.1" },
      { "an empty host with a port", line "GET http://:80/echo HTTP/1.1" },
      { "an empty host with a query", line "GET http://?a HTTP/1.1" },
      { "user information", line "GET http://me@a/echo HTTP/1.1" },
      { "user information with a password", line "GET http://me:secret@a/echo HTTP/1.1" },
      { "empty user information", line "GET http://@a/echo HTTP/1.1" },
      { "a bad port", line "GET http://a:b/echo HTTP/1.1" },
      { "a port beyond 65535", line "GET http://a:65536/echo HTTP/1.1" },
      { "a bad address of IPv6", line "GET http://[::g]/echo HTTP/1.1" },
      { "an open bracket", line "GET http://[::1/echo HTTP/1.1" },
      { "a fragment", line "GET http://a/echo#b HTTP/1.1" },
      { "a fragment as a path", line "GET http://a#b HTTP/1.1" },
      { "a backslash in the host", line "GET http://a\\b/echo HTTP/1.1" },
      { "a bad percent sign", line "GET http://a/%zz HTTP/1.1" },
      { "HTTP/1.1 without Host", head "GET http://a/echo HTTP/1.1" },
      { "an invalid Host beside it", head("GET http://a/echo HTTP/1.1", "Host: a/b") },
      { "two Hosts beside it", head("GET http://a/echo HTTP/1.1", "Host: a", "Host: a") },
    })
  end)

  describe("in authority form", function()
    for _, text in ipairs { "a:443", "[::1]:443", "127.0.0.1:1" } do
      it("answers 501 to CONNECT " .. text .. " and does not become a tunnel", function()
        support.each_way(server, line("CONNECT " .. text .. " HTTP/1.1") .. support.SMUGGLED,
          function(client)
            support.refused(client, 501, "GET")
          end)
      end)
    end

    support.refuses(it, get_server, {
      { "CONNECT without a port", line "CONNECT a HTTP/1.1" },
      { "CONNECT with an empty port", line "CONNECT a: HTTP/1.1" },
      { "CONNECT with a bad port", line "CONNECT a:b HTTP/1.1" },
      { "CONNECT with a port beyond 65535", line "CONNECT a:70000 HTTP/1.1" },
      { "CONNECT with a path", line "CONNECT /echo HTTP/1.1" },
      { "CONNECT with an absolute target", line "CONNECT http://a/ HTTP/1.1" },
      { "CONNECT with an asterisk", line "CONNECT * HTTP/1.1" },
      { "CONNECT with user information", line "CONNECT me@a:443 HTTP/1.1" },
      { "GET with an authority", line "GET a:80 HTTP/1.1" },
      { "POST with an authority", line "POST a:80 HTTP/1.1" },
      { "OPTIONS with an authority", line "OPTIONS a:80 HTTP/1.1" },
    })
  end)

  describe("in asterisk form", function()
    it("lets OPTIONS ask the whole server", function()
      support.each_way(server, line "OPTIONS * HTTP/1.1" .. support.NEXT, function(client)
        local response = client:response("OPTIONS")
        assert.equal(204, response.status)
        assert.matches("GET", response.headers["allow"])
        support.next(client)
      end)
    end)

    support.refuses(it, get_server, {
      { "GET *", line "GET * HTTP/1.1" },
      { "POST *", line "POST * HTTP/1.1" },
      { "HEAD *", line "HEAD * HTTP/1.1", method = "HEAD" },
      { "OPTIONS **", line "OPTIONS ** HTTP/1.1" },
      { "OPTIONS *?a", line "OPTIONS *?a HTTP/1.1" },
      { "OPTIONS */", line "OPTIONS */ HTTP/1.1" },
    })
  end)

  support.runs_nothing_smuggled(it, get_server)
end)
