-- The chunked coding (RFC 9112, section 7.1): sizes, extensions, trailers, and the bounds of what
-- may stand around the data.

local support = require "spec.http.support"

local post = support.post

local server

local function get_server()
  return server
end

---A request whose chunked body is these bytes.
local function chunks(bytes)
  return post("Transfer-Encoding: chunked") .. bytes
end

---One chunk "hi" whose size line goes on with `extension`, and the last chunk.
local function extended(extension)
  return chunks("2" .. extension .. "\r\nhi\r\n0\r\n\r\n")
end

---A chunked body with this trailer section.
local function trailers(lines)
  return chunks("2\r\nhi\r\n0\r\n" .. lines .. "\r\n")
end

describe("a chunked body", function()
  setup(function()
    server = support.start(nil, { limits = "{ body_bytes = 100000 }" })
  end)

  teardown(function()
    support.stop(server)
  end)

  support.takes(it, get_server, {
    { "no data", chunks "0\r\n\r\n", { body = "" } },
    { "one chunk", chunks "2\r\nhi\r\n0\r\n\r\n", { body = "hi" } },
    { "several chunks", chunks "2\r\nhi\r\n1\r\n \r\n5\r\nthere\r\n0\r\n\r\n",
      { body = "hi there" } },
    { "small hexadecimal letters", chunks "a\r\n0123456789\r\n0\r\n\r\n", { body = "0123456789" } },
    { "capital hexadecimal letters", chunks "A\r\n0123456789\r\n0\r\n\r\n",
      { body = "0123456789" } },
    { "two digits", chunks "1B\r\nabcdefghijklmnopqrstuvwxyz.\r\n0\r\n\r\n",
      { body = "abcdefghijklmnopqrstuvwxyz." } },
    { "leading zeros", chunks "0002\r\nhi\r\n0\r\n\r\n", { body = "hi" } },
    { "many leading zeros", chunks("000000000000000000002\r\nhi\r\n0\r\n\r\n"), { body = "hi" } },
    { "zeros as the last chunk", chunks "2\r\nhi\r\n000\r\n\r\n", { body = "hi" } },
    { "line ends as data", chunks "4\r\n\r\n\r\n\r\n0\r\n\r\n", { body = "\r\n\r\n" } },
    { "a last chunk as data", chunks "5\r\n0\r\n\r\n\r\n0\r\n\r\n", { body = "0\r\n\r\n" } },
    { "NUL as data", chunks "1\r\n\0\r\n0\r\n\r\n", { body = "\0" } },
  })

  describe("with an extension", function()
    support.takes(it, get_server, {
      { "a name", extended ";a", { body = "hi" } },
      { "a name and a value", extended ";a=b", { body = "hi" } },
      { "a quoted value", extended ';a="b"', { body = "hi" } },
      { "an empty quoted value", extended ';a=""', { body = "hi" } },
      { "a quoted value with separators", extended ';a="b; c=d, e"', { body = "hi" } },
      { "a quoted value with escapes", extended [[;a="\"\\b"]], { body = "hi" } },
      { "a quoted value with a tab", extended ';a="b\tc"', { body = "hi" } },
      { "a quoted value with obs-text", extended ';a="\xc3\xa9"', { body = "hi" } },
      { "several of them", extended ';a=b;c;d="e"', { body = "hi" } },
      { "white space before the semicolon", extended " ;a=b", { body = "hi" } },
      { "a tab before the semicolon", extended "\t;a=b", { body = "hi" } },
      { "white space behind the semicolon", extended "; \ta=b", { body = "hi" } },
      { "white space around the equals sign", extended ";a \t= \tb", { body = "hi" } },
      { "white space everywhere", extended ' ; a = "b" ; c = d', { body = "hi" } },
      { "one at the last chunk", chunks "2\r\nhi\r\n0;a=b\r\n\r\n", { body = "hi" } },
      { "every byte of a token", extended ";!#$%&'*+-.^_`|~09azAZ=!#$%&'*+-.^_`|~09azAZ",
        { body = "hi" } },
    })

    support.refuses(it, get_server, {
      { "a semicolon without a name", extended ";" },
      { "two semicolons", extended ";;a" },
      { "a semicolon at the end", extended ";a;" },
      { "an equals sign without a name", extended ";=b" },
      { "an equals sign without a value", extended ";a=" },
      { "two equals signs", extended ";a==b" },
      { "a value without a semicolon", extended "=b" },
      { "a name without a semicolon", extended " a" },
      { "a comma", extended ",a=b" },
      { "a space in a name", extended ";a b" },
      { "a space in a value", extended ";a=b c" },
      { "a space at the end", extended " " },
      { "a tab at the end", extended "\t" },
      { "a space at the end of a name", extended ";a " },
      { "an open quote", extended ';a="b' },
      { "a quote in a token", extended ';a=b"c"' },
      { "text behind a quote", extended ';a="b"c' },
      { "an escape before the line's end", extended [[;a="b\]] },
      { "CRLF inside of quotes", extended ';a="\r\n"' },
      { "CRLF that ends a quoted value early", extended ';a="b\r\nhi\r\n0\r\n\r\n"' },
      { "an escaped CR", extended ';a="\\\r"' },
      { "an escaped LF", extended ';a="\\\n"' },
      { "NUL inside of quotes", extended ';a="\0"' },
      { "DEL inside of quotes", extended ';a="\x7f"' },
      { "a control byte inside of quotes", extended ';a="\1"' },
      { "NUL in a name", extended ";a\0b" },
      { "obs-text in a name", extended ";\xc3\xa9" },
      { "a bare LF in a name", extended ";a\nb" },
      { "a bare CR in a name", extended ";a\rb" },
      { "a bare LF at the end", chunks "2;a\nhi\r\n0\r\n\r\n" },
      { "a bare CR at the end", chunks "2;a\rhi\r\n0\r\n\r\n" },
      { "a bare LF behind a semicolon", chunks "2;\nhi\r\n0\r\n\r\n" },
      { "a bare LF at the last chunk", chunks "2\r\nhi\r\n0;a\n\r\n" },
    })
  end)

  describe("'s framing", function()
    support.refuses(it, get_server, {
      { "an empty size", chunks "\r\nhi\r\n0\r\n\r\n" },
      { "an extension without a size", chunks ";a=b\r\nhi\r\n0\r\n\r\n" },
      { "a minus sign", chunks "-2\r\nhi\r\n0\r\n\r\n" },
      { "a plus sign", chunks "+2\r\nhi\r\n0\r\n\r\n" },
      { "minus zero", chunks "2\r\nhi\r\n-0\r\n\r\n" },
      { "0x2", chunks "0x2\r\nhi\r\n0\r\n\r\n" },
      { "0X2", chunks "0X2\r\nhi\r\n0\r\n\r\n" },
      { "x2", chunks "x2\r\nhi\r\n0\r\n\r\n" },
      { "2h", chunks "2h\r\nhi\r\n0\r\n\r\n" },
      { "a letter beyond f", chunks "g\r\nhi\r\n0\r\n\r\n" },
      { "an underscore", chunks "0_2\r\nhi\r\n0\r\n\r\n" },
      { "a decimal point", chunks "2.0\r\nhi\r\n0\r\n\r\n" },
      { "a space before the size", chunks " 2\r\nhi\r\n0\r\n\r\n" },
      { "a tab before the size", chunks "\t2\r\nhi\r\n0\r\n\r\n" },
      { "a space inside of the size", chunks "0 2\r\nhi\r\n0\r\n\r\n" },
      { "a space behind the size", chunks "2 \r\nhi\r\n0\r\n\r\n" },
      { "a space behind the last size", chunks "2\r\nhi\r\n0 \r\n\r\n" },
      { "NUL behind the size", chunks "2\0\r\nhi\r\n0\r\n\r\n" },
      { "quotes around the size", chunks '"2"\r\nhi\r\n0\r\n\r\n' },
      { "a full-width digit", chunks "\xef\xbc\x92\r\nhi\r\n0\r\n\r\n" },
      { "a bare LF behind the size", chunks "2\nhi\r\n0\r\n\r\n" },
      { "a bare CR behind the size", chunks "2\rhi\r\n0\r\n\r\n" },
      { "CR CR LF behind the size", chunks "2\r\r\nhi\r\n0\r\n\r\n" },
      { "a bare LF behind the data", chunks "2\r\nhi\n0\r\n\r\n" },
      { "a bare CR behind the data", chunks "2\r\nhi\r0\r\n\r\n" },
      { "nothing behind the data", chunks "2\r\nhi0\r\n\r\n" },
      { "a space behind the data", chunks "2\r\nhi \r\n0\r\n\r\n" },
      { "more data than the size says", chunks "2\r\nhix\r\n0\r\n\r\n" },
      { "less data than the size says", chunks "4\r\nhi\r\n0\r\n\r\n" },
      { "two bytes in place of the CRLF", chunks "2\r\nhiXX0\r\n\r\n" },
      { "an empty line between chunks", chunks "2\r\nhi\r\n\r\n0\r\n\r\n" },
      { "a bare LF behind the last chunk", chunks "2\r\nhi\r\n0\n\r\n" },
      { "a bare LF at the very end", chunks "2\r\nhi\r\n0\r\n\n" },
      { "LF throughout", chunks "2\nhi\n0\n\n" },
      { "text without framing", chunks "hi there\r\n\r\n" },
      { "2^64", chunks "10000000000000000\r\nhi\r\n0\r\n\r\n", status = { 400, 413 } },
      { "2^64 + 2", chunks "10000000000000002\r\nhi\r\n0\r\n\r\n", status = { 400, 413 } },
      { "2^64 - 1", chunks "ffffffffffffffff\r\nhi\r\n0\r\n\r\n", status = { 400, 413 } },
      { "2^63", chunks "8000000000000000\r\nhi\r\n0\r\n\r\n", status = { 400, 413 } },
      { "2^32 + 2", chunks "100000002\r\nhi\r\n0\r\n\r\n", status = 413 },
      { "a size of forty digits", chunks(("f"):rep(40) .. "\r\nhi\r\n0\r\n\r\n"),
        status = { 400, 413 } },
      { "one byte more than body_bytes in one chunk", chunks "186a1\r\nhi", status = 413 },
    })

    it("is not believed when the peer closes before the last chunk", function()
      for _, body in ipairs { "", "2", "2\r\n", "2\r\nh", "2\r\nhi", "2\r\nhi\r\n", "2\r\nhi\r\n0",
        "2\r\nhi\r\n0\r\n", "2\r\nhi\r\n0\r\nX: 1\r\n" } do
        local client = server:connect()
        client:send(support.head("POST /smuggled HTTP/1.1", "Host: a",
          "Transfer-Encoding: chunked") .. body)
        client:finish_sending()
        support.refused(client, 400)
        client:close()
      end
    end)
  end)

  describe("with trailers", function()
    support.takes(it, get_server, {
      { "one field", trailers "X: 1\r\n", { body = "hi" } },
      { "several fields", trailers "X: 1\r\nY: 2\r\nZ:\r\n", { body = "hi" } },
      { "obs-text", trailers "X: \xc3\xa9\r\n", { body = "hi" } },
      { "tabs around the value", trailers "X:\t1\t\r\n", { body = "hi" } },
    })

    it("does not let them become fields of the head", function()
      support.each_way(server, trailers("X: 1\r\nHost: b\r\nContent-Length: 9\r\n" ..
        "Transfer-Encoding: gzip\r\nConnection: close\r\nExpect: x\r\nCookie: a=b\r\n" ..
        "Authorization: c\r\n") .. support.NEXT, function(client)
          local said = support.taken(client)
          assert(said.body == "hi" and said.headers.host == "a")
          for _, name in ipairs { "x", "content-length", "connection", "authorization" } do
            assert(said.headers[name] == nil, name)
          end
          support.next(client)
        end)
    end)

    support.refuses(it, get_server, {
      { "a space before the colon", trailers "X : 1\r\n" },
      { "an empty name", trailers ": 1\r\n" },
      { "no colon", trailers "X\r\n" },
      { "a folded line", trailers "X: 1\r\n 2\r\n" },
      { "an indented first line", trailers " X: 1\r\n" },
      { "a bare LF", trailers "X: 1\n" },
      { "a bare CR", trailers "X: 1\rY: 2\r\n" },
      { "NUL", trailers "X: a\0b\r\n" },
      { "a control byte", trailers "X: a\1b\r\n" },
      { "obs-text in a name", trailers "\xc3\xa9: 1\r\n" },
      { "a request line", trailers "GET /smuggled HTTP/1.1\r\n" },
    })
  end)

  describe("'s bounds", function()
    local function first_status(bytes)
      local client = server:connect()
      client:send(bytes)
      local response = support.refused(client, { 400, 413, 431 })
      client:close()
      return response.status
    end

    it("hold the total of the extensions", function()
      assert.equal(400, first_status(chunks("2;" .. ("a"):rep(200000) .. "\r\nhi\r\n0\r\n\r\n")))
      local small = ("1;" .. ("a"):rep(1000) .. "\r\nx\r\n"):rep(200)
      assert.equal(400, first_status(chunks(small .. "0\r\n\r\n")))
    end)

    it("hold the zeros before a size", function()
      assert.equal(400, first_status(chunks(("0"):rep(200000) .. "2\r\nhi\r\n0\r\n\r\n")))
    end)

    it("hold the bytes of the trailers", function()
      assert.equal(431, first_status(trailers("X: " .. ("a"):rep(200000) .. "\r\n")))
      assert.equal(431, first_status(trailers(("X: " .. ("a"):rep(1000) .. "\r\n"):rep(50))))
    end)

    it("hold the number of the trailers", function()
      assert.equal(431, first_status(trailers(("X: 1\r\n"):rep(101))))
      local client = server:connect()
      client:send(trailers(("X: 1\r\n"):rep(100)) .. support.NEXT)
      assert.equal("hi", support.taken(client).body)
      support.next(client)
      client:close()
    end)

    it("leave room for a body of many small chunks", function()
      local client = server:connect()
      client:send(chunks(("1\r\nx\r\n"):rep(20000) .. "0\r\n\r\n") .. support.NEXT)
      assert.equal(("x"):rep(20000), support.taken(client).body)
      support.next(client)
      client:close()
    end)

    it("take a body of exactly body_bytes and no more", function()
      local data = ("x"):rep(50000)
      local half = ("c350\r\n%s\r\n"):format(data)
      local client = server:connect()
      client:send(chunks(half .. half .. "0\r\n\r\n") .. support.NEXT)
      assert.equal(100000, #support.taken(client).body)
      support.next(client)
      client:close()
      assert.equal(413, first_status(chunks(half .. half .. "1\r\nx\r\n0\r\n\r\n")))
    end)

    it("refuse a chunk that is too large before it has come", function()
      local client = server:connect()
      client:send(chunks "ffffff\r\n")
      support.refused(client, 413)
      client:close()
    end)
  end)

  support.runs_nothing_smuggled(it, get_server)
end)
