-- The field lines of a head: name ":" OWS value OWS CRLF (RFC 9112, section 5), and the one field
-- that every request has, Host (section 3.2).

local support = require "spec.http.support"

local head, get = support.head, support.get

local server

local function get_server()
  return server
end

---A request whose Host has this value.
local function host(value)
  return head("GET /echo HTTP/1.1", "Host:" .. value)
end

local function printable(char)
  return ("0x%02x"):format(char:byte())
end

describe("a field line", function()
  setup(function()
    server = support.start()
  end)

  teardown(function()
    support.stop(server)
  end)

  support.takes(it, get_server, {
    { "no space behind the colon", get "X:1", { headers = { x = "1" } } },
    { "white space around the value", get "X: \t 1 \t ", { headers = { x = "1" } } },
    { "white space inside of the value", get "X: 1 \t 2", { headers = { x = "1 \t 2" } } },
    { "an empty value", get("X:", "Y: 1"), { headers = { x = "", y = "1" } } },
    { "a value of white space", get("X: \t \t", "Y: 1"), { headers = { x = "", y = "1" } } },
    { "empty values in a row", get("X:", "Y:", "Z:", "A: 1"),
      { headers = { x = "", y = "", z = "", a = "1" } } },
    { "names in any case", get("X-aBc: 1"), { headers = { ["x-abc"] = "1" } } },
    { "every byte of a token in a name", get "!#$%&'*+-.^_`|~09azAZ: 1",
      { headers = { ["!#$%&'*+-.^_`|~09azaz"] = "1" } } },
    { "a name of one byte", get "a: 1", { headers = { a = "1" } } },
    { "a repeated field as a list", get("X: 1", "Y: 0", "x: 2"), { headers = { x = "1, 2" } } },
    { "obs-text in a value", get "X: \xc3\xa9\x80\xff", { headers = { x = "\xc3\xa9\x80\xff" } } },
    { "every visible byte in a value",
      get [[X: !"#$%&'()*+,-./09:;<=>?@AZ[\]^_`az{|}~]],
      { headers = { x = [[!"#$%&'()*+,-./09:;<=>?@AZ[\]^_`az{|}~]] } } },
    { "colons in a value", get "X: a: b:: c", { headers = { x = "a: b:: c" } } },
    { "a value that looks like a head", get "X: GET / HTTP/1.1",
      { headers = { x = "GET / HTTP/1.1" } } },
    { "a long value", get("X: " .. ("y"):rep(300)), { headers = { x = ("y"):rep(300) } } },
    { "a body behind empty values", support.post("X:", "Content-Length: 2", "Y:") .. "hi",
      { body = "hi" } },
    { "a tab before Host's value", head("GET /echo HTTP/1.1", "Host:\ta"),
      { headers = { host = "a" } } },
    { "a tab behind Host's value", head("GET /echo HTTP/1.1", "Host: a\t"),
      { headers = { host = "a" } } },
    { "a tab before Content-Length's value", support.post "Content-Length:\t2" .. "hi",
      { body = "hi" } },
    { "a tab behind Content-Length's value", support.post "Content-Length: 2\t" .. "hi",
      { body = "hi" } },
    { "spaces and tabs around Content-Length's value",
      support.post "Content-Length: \t 2 \t " .. "hi", { body = "hi" } },
    { "a tab before Transfer-Encoding's value",
      support.post "Transfer-Encoding:\tchunked" .. "2\r\nhi\r\n0\r\n\r\n", { body = "hi" } },
    { "a tab behind Transfer-Encoding's value",
      support.post "Transfer-Encoding: chunked\t" .. "2\r\nhi\r\n0\r\n\r\n", { body = "hi" } },
    { "tabs alone around Transfer-Encoding's value",
      support.post "Transfer-Encoding:\t\tchunked\t \t" .. "2\r\nhi\r\n0\r\n\r\n",
      { body = "hi" } },
    { "a tab before Expect's value with the body at hand",
      support.post("Expect:\t100-continue", "Content-Length: 2") .. "hi", { body = "hi" } },
  })

  support.refuses(it, get_server, {
    { "a space before the colon", get "X : 1" },
    { "a tab before the colon", get "X\t: 1" },
    { "a space before Host's colon", head("GET /echo HTTP/1.1", "Host : a") },
    { "a space before Content-Length's colon", support.post "Content-Length : 2" .. "hi" },
    { "a space before Transfer-Encoding's colon",
      support.post "Transfer-Encoding : chunked" .. "0\r\n\r\n" },
    { "a tab before Transfer-Encoding's colon",
      support.post "Transfer-Encoding\t: chunked" .. "0\r\n\r\n" },
    { "a folded line", get("X: 1", " 2") },
    { "a line folded with a tab", get("X: 1", "\t2") },
    { "a folded line without text", get("X: 1", " ", "Y: 2") },
    { "a folded Content-Length", support.post("Content-Length:", " 2") .. "hi" },
    { "a folded Transfer-Encoding", support.post("Transfer-Encoding:", " chunked") .. "0\r\n\r\n" },
    { "a folded Host", head("GET /echo HTTP/1.1", "Host:", " a") },
    { "a field folded onto Host", head("GET /echo HTTP/1.1", "Host: a", " b") },
    { "an indented first field", head("GET /echo HTTP/1.1", " Host: a") },
    { "a first field behind a tab", head("GET /echo HTTP/1.1", "\tHost: a") },
    { "an indented line before Host", head("GET /echo HTTP/1.1", " X: 1", "Host: a") },
    { "a line without a colon", get "X" },
    { "a line of words without a colon", get "no colon here" },
    { "an empty name", get ": 1" },
    { "an empty name and value", get ":" },
    { "a space as a name", get " : 1" },
    { "a space inside of a name", get "X Y: 1" },
    { "a second request line", get "GET /smuggled HTTP/1.1" },
    { "a bare LF behind a value", "GET /echo HTTP/1.1\r\nHost: a\r\nX: 1\nY: 2\r\n\r\n" },
    { "a bare LF behind Host", "GET /echo HTTP/1.1\r\nHost: a\n\r\n" },
    { "a bare LF as the empty line", "GET /echo HTTP/1.1\r\nHost: a\r\n\n" },
    { "LF alone throughout", "GET /echo HTTP/1.1\nHost: a\n\n" },
    { "CR alone throughout", "GET /echo HTTP/1.1\rHost: a\r\r" },
    { "a bare CR inside of a value", get "X: 1\r2" },
    { "a bare CR at the front of a value", get "X:\r1" },
    { "a bare CR inside of a name", get "X\rY: 1" },
    { "a bare CR before the empty line", "GET /echo HTTP/1.1\r\nHost: a\r\n\r\r\n" },
    { "CR CR LF behind a value", "GET /echo HTTP/1.1\r\nHost: a\r\r\n\r\n" },
    { "LF CR behind a value", "GET /echo HTTP/1.1\r\nHost: a\n\r\n\r\n" },
    { "a bare CR and a field behind it", get "X: 1\rContent-Length: 5" },
    { "a bare LF and a field behind it", get "X: 1\nContent-Length: 5" },
    { "NUL in a value", get "X: a\0b" },
    { "NUL at the end of a value", get "X: a\0" },
    { "NUL in a name", get "X\0: a" },
    { "NUL as a name", get "\0: a" },
    { "obs-text in a name", get "X\xc3\xa9: a" },
    { "0xff in a name", get "\xff: a" },
    { "DEL in a name", get "X\x7f: a" },
    { "DEL in a value", get "X: a\x7fb" },
  })

  for byte = 1, 0x1f do
    local char = string.char(byte)
    if not char:find "[\t\r\n]" then
      it(("refuses the control byte %s in a value"):format(printable(char)), function()
        local client = server:connect()
        client:send(get("X: a" .. char .. "b") .. support.SMUGGLED)
        support.refused(client, 400)
        client:close()
      end)
    end
  end

  for char in ('"(),/;<=>?@[\\]{}'):gmatch "." do
    it(("refuses %s in a name"):format(char), function()
      local client = server:connect()
      client:send(get("X" .. char .. "Y: 1") .. support.SMUGGLED)
      support.refused(client, 400)
      client:close()
    end)
  end

  describe("Host", function()
    support.takes(it, get_server, {
      { "a name", host " example.com", { headers = { host = "example.com" } } },
      { "a name without a space", host "a" },
      { "a name in capitals", host " EXAMPLE.COM" },
      { "a name with a dot at its end", host " example.com." },
      { "a name with underscore and hyphen", host " a_b-c" },
      { "a name with percent-encoded bytes", host " a%20b" },
      { "a port", host " a:8080" },
      { "an empty port", host " a:" },
      { "port 0", host " a:0" },
      { "port 65535", host " a:65535" },
      { "an address of IPv4", host " 127.0.0.1:80" },
      { "an address of IPv6", host " [::1]" },
      { "an address of IPv6 and a port", host " [2001:db8::1]:8080" },
      { "a mapped address", host " [::ffff:127.0.0.1]" },
      { "a future address", host " [v1.a:b]" },
      { "its name in capitals", head("GET /echo HTTP/1.1", "HOST: a") },
      { "it at the end of the head", head("GET /echo HTTP/1.1", "X: 1", "Host: a") },
      { "none in HTTP/1.0", head("GET /echo HTTP/1.0", "Connection: keep-alive"),
        { version = "1.0" } },
    })

    support.refuses(it, get_server, {
      { "none in HTTP/1.1", head "GET /echo HTTP/1.1" },
      { "none beside other fields", head("GET /echo HTTP/1.1", "X: a", "Hosts: a", "Hos: a") },
      { "an empty one", host "" },
      { "one of white space", host " \t " },
      { "an empty one in HTTP/1.0", head("GET /echo HTTP/1.0", "Host:") },
      { "two of them", head("GET /echo HTTP/1.1", "Host: a", "Host: b") },
      { "two of them that are equal", head("GET /echo HTTP/1.1", "Host: a", "Host: a") },
      { "two of them, one empty", head("GET /echo HTTP/1.1", "Host: a", "Host:") },
      { "two of them in different case", head("GET /echo HTTP/1.1", "host: a", "HOST: a") },
      { "two of them with fields between",
        head("GET /echo HTTP/1.1", "Host: a", "X: 1", "Host: a") },
      { "two of them in HTTP/1.0", head("GET /echo HTTP/1.0", "Host: a", "Host: b") },
      { "a list", host " a, b" },
      { "a list without a space", host " a,b" },
      { "a comma at the end", host " a," },
      { "a space inside", host " a b" },
      { "a tab inside", host " a\tb" },
      { "a path", host " a/b" },
      { "a slash", host " a/" },
      { "a query", host " a?b" },
      { "a fragment", host " a#b" },
      { "user information", host " me@a" },
      { "user information and a password", host " me:secret@a" },
      { "a scheme", host " http://a" },
      { "a backslash", host " a\\b" },
      { "a quoted name", host ' "a"' },
      { "angle brackets", host " <a>" },
      { "a caret", host " a^b" },
      { "a bar", host " a|b" },
      { "braces", host " {a}" },
      { "raw UTF-8", host " \xc3\xa9" },
      { "a bad percent sign", host " a%zz" },
      { "a percent sign at the end", host " a%" },
      { "an encoded NUL", host " a%00" },
      { "letters as a port", host " a:b" },
      { "a port with a sign", host " a:+80" },
      { "a negative port", host " a:-80" },
      { "a port with a space", host " a: 80" },
      { "a port beyond 65535", host " a:65536" },
      { "a port beyond 64 bits", host " a:99999999999999999999999" },
      { "two ports", host " a:80:80" },
      { "a port alone", host " :80" },
      { "IPv6 without brackets", host " ::1" },
      { "an open bracket", host " [::1" },
      { "a closed bracket", host " ::1]" },
      { "empty brackets", host " []" },
      { "text behind the bracket", host " [::1]a" },
      { "a bad address", host " [::g]" },
      { "too many groups", host " [1:2:3:4:5:6:7:8:9]" },
      { "a zone", host " [fe80::1%25eth0]" },
      { "IPv4 in brackets", host " [127.0.0.1]" },
    })
  end)

  support.runs_nothing_smuggled(it, get_server)
end)
