-- Where a message ends: Content-Length and Transfer-Encoding (RFC 9112, section 6), and every shape
-- in which the two have been used to make two recipients disagree.

local support = require "spec.http.support"

local head, post = support.head, support.post

local server

local function get_server()
  return server
end

local CHUNKS = "2\r\nhi\r\n0\r\n\r\n"

---A request with this Content-Length, and a body of two bytes.
local function length(value)
  return post("Content-Length:" .. value) .. "hi"
end

---A request with this Transfer-Encoding, and a chunked body.
local function coding(value)
  return post("Transfer-Encoding:" .. value) .. CHUNKS
end

describe("Content-Length", function()
  setup(function()
    server = support.start()
  end)

  teardown(function()
    support.stop(server)
  end)

  support.takes(it, get_server, {
    { "a body of its length", length " 2", { body = "hi" } },
    { "no space in front of it", length "2", { body = "hi" } },
    { "zero", post "Content-Length: 0", { body = "" } },
    { "leading zeros", length " 0002", { body = "hi" } },
    { "many leading zeros", length(" " .. ("0"):rep(60) .. "2"), { body = "hi" } },
    { "its name in any case", post "cOnTeNt-lEnGtH: 2" .. "hi", { body = "hi" } },
    { "a body that looks like a request", post("Content-Length: " .. #support.SMUGGLED) ..
      support.SMUGGLED, { body = support.SMUGGLED } },
    { "a body that looks like chunks", post("Content-Length: " .. #CHUNKS) .. CHUNKS,
      { body = CHUNKS } },
    { "a body of any bytes", post "Content-Length: 4" .. "\0\r\n\xff", { body = "\0\r\n\xff" } },
    { "a body of empty lines", post "Content-Length: 4" .. "\r\n\r\n", { body = "\r\n\r\n" } },
    { "a body with GET", support.get "Content-Length: 2" .. "hi", { method = "GET", body = "hi" } },
    { "a body with DELETE", head("DELETE /echo HTTP/1.1", "Host: a", "Content-Length: 2") .. "hi",
      { method = "DELETE", body = "hi" } },
    { "a body with OPTIONS", head("OPTIONS /echo HTTP/1.1", "Host: a", "Content-Length: 2") .. "hi",
      { method = "OPTIONS", body = "hi" } },
    { "no length and no coding, which is no body", post "X: 1", { body = "" } },
    { "a body in HTTP/1.0",
      head("POST /echo HTTP/1.0", "Connection: keep-alive", "Content-Length: 2") .. "hi",
      { body = "hi", version = "1.0" } },
  })

  it("takes a body with HEAD and answers without content", function()
    support.each_way(server, head("HEAD /echo HTTP/1.1", "Host: a", "Content-Length: 2") .. "hi" ..
      support.NEXT, function(client)
        assert(client:response("HEAD").status == 200)
        support.next(client)
      end)
  end)

  support.refuses(it, get_server, {
    { "an empty value", length "" },
    { "a value of white space", length " \t" },
    { "a plus sign", length " +2" },
    { "a minus sign", length " -2" },
    { "minus zero", length " -0" },
    { "hexadecimal digits", length " a" },
    { "0x2", length " 0x2" },
    { "0o2", length " 0o2" },
    { "0b10", length " 0b10" },
    { "a decimal point", length " 2.0" },
    { "an exponent", length " 2e0" },
    { "an underscore", length " 0_2" },
    { "an apostrophe", length " 0'2" },
    { "a space inside", length " 0 2" },
    { "a tab inside", length " 0\t2" },
    { "letters behind it", length " 2a" },
    { "a semicolon behind it", length " 2;" },
    { "a word", length " two" },
    { "quotes", length ' "2"' },
    { "parentheses", length " (2)" },
    { "NUL behind it", length " 2\0" },
    { "a vertical tab before it", length " \v2" },
    { "a form feed behind it", length " 2\f" },
    { "full-width digits", length " \xef\xbc\x92" },
    { "an Arabic digit", length " \xd9\xa2" },
    { "0xb2, which Latin-1 reads as a small 2", length " \xb2" },
    { "a list of different values", length " 2, 3" },
    { "a list of equal values", length " 2, 2" },
    { "a list without a space", length " 2,2" },
    { "a comma behind it", length " 2," },
    { "a comma before it", length " ,2" },
    { "two fields of different values", post("Content-Length: 2", "Content-Length: 3") .. "hi" },
    { "two fields of equal values", post("Content-Length: 2", "Content-Length: 2") .. "hi" },
    { "two fields of equal numbers", post("Content-Length: 2", "Content-Length: 02") .. "hi" },
    { "two fields, the second empty", post("Content-Length: 2", "Content-Length:") .. "hi" },
    { "two fields, the first empty", post("Content-Length:", "Content-Length: 2") .. "hi" },
    { "two fields in different case", post("Content-Length: 2", "content-length: 0") .. "hi" },
    { "two fields with others between",
      post("Content-Length: 2", "X: 1", "Y: 2", "Content-Length: 0") .. "hi" },
    { "a bad value with GET", support.get "Content-Length: x" },
    { "a bad value in HTTP/1.0", head("POST /echo HTTP/1.0", "Content-Length: x") },
    { "2^64", length " 18446744073709551616", status = { 400, 413 } },
    { "2^64 + 2", length " 18446744073709551618", status = { 400, 413 } },
    { "2^32 + 2", length " 4294967298", status = 413 },
    { "2^63", length " 9223372036854775808", status = 413 },
    { "2^64 - 1", length " 18446744073709551615", status = 413 },
    { "a number of a hundred digits", length(" " .. ("9"):rep(100)), status = { 400, 413 } },
  })

  it("is not believed when the peer closes before it: 400, and no handler runs", function()
    local client = server:connect()
    client:send(head("POST /smuggled HTTP/1.1", "Host: a", "Content-Length: 10") .. "hi")
    client:finish_sending()
    support.refused(client, 400)
    client:close()
  end)

  support.runs_nothing_smuggled(it, get_server)
end)

describe("Transfer-Encoding", function()
  setup(function()
    server = support.start()
  end)

  teardown(function()
    support.stop(server)
  end)

  support.takes(it, get_server, {
    { "chunked", coding " chunked", { body = "hi" } },
    { "chunked without a space", coding "chunked", { body = "hi" } },
    { "Chunked in any case", coding " cHuNkEd", { body = "hi" } },
    { "its name in any case", post "tRANSFER-eNCODING: chunked" .. CHUNKS, { body = "hi" } },
    { "a comma behind it", coding " chunked,", { body = "hi" } },
    { "a comma before it", coding " , chunked", { body = "hi" } },
    { "empty elements around it", coding " ,, ,chunked, ,\t,", { body = "hi" } },
    { "an empty field beside it",
      post("Transfer-Encoding:", "Transfer-Encoding: chunked") .. CHUNKS,
      { body = "hi" } },
    { "it with GET", support.get "Transfer-Encoding: chunked" .. CHUNKS,
      { method = "GET", body = "hi" } },
  })

  support.refuses(it, get_server, {
    { "Content-Length beside it",
      post("Content-Length: 12", "Transfer-Encoding: chunked") .. CHUNKS },
    { "it beside Content-Length",
      post("Transfer-Encoding: chunked", "Content-Length: 12") .. CHUNKS },
    { "Content-Length: 0 beside it",
      post("Content-Length: 0", "Transfer-Encoding: chunked") .. CHUNKS },
    { "a bad Content-Length beside it",
      post("Content-Length: x", "Transfer-Encoding: chunked") .. CHUNKS },
    { "two lengths beside it",
      post("Content-Length: 2", "Transfer-Encoding: chunked", "Content-Length: 2") .. CHUNKS },
    { "Content-Length beside an unknown coding",
      post("Content-Length: 2", "Transfer-Encoding: x") .. CHUNKS },
    { "Content-Length with GET beside it",
      support.get("Content-Length: 4", "Transfer-Encoding: chunked") .. CHUNKS },
    { "an empty value", coding "" },
    { "a value of white space", coding " \t " },
    { "commas alone", coding " , ," },
    { "identity", coding " identity" },
    { "identity and chunked", coding " identity, chunked", status = { 400, 501 } },
    { "chunked and identity", coding " chunked, identity" },
    { "gzip", coding " gzip" },
    { "gzip and chunked", coding " gzip, chunked", status = 501 },
    { "gzip and chunked on two lines",
      post("Transfer-Encoding: gzip", "Transfer-Encoding: chunked") .. CHUNKS, status = 501 },
    { "chunked and gzip", coding " chunked, gzip" },
    { "chunked and gzip on two lines",
      post("Transfer-Encoding: chunked", "Transfer-Encoding: gzip") .. CHUNKS },
    { "chunked twice", coding " chunked, chunked" },
    { "chunked twice on two lines",
      post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked") .. CHUNKS },
    { "chunked around gzip", coding " chunked, gzip, chunked" },
    { "an unknown coding", coding " x", status = { 400, 501 } },
    { "an unknown coding and chunked", coding " x, chunked", status = 501 },
    { "xchunked", coding " xchunked", status = { 400, 501 } },
    { "x-chunked", coding " x-chunked", status = { 400, 501 } },
    { "chunkedx", coding " chunkedx", status = { 400, 501 } },
    { "chunke", coding " chunke", status = { 400, 501 } },
    { "two words", coding " chunked x" },
    { "chunked chunked", coding " chunked chunked" },
    { "quotes", coding ' "chunked"' },
    { "single quotes", coding " 'chunked'", status = { 400, 501 } },
    { "a parameter", coding " chunked;q=1" },
    { "a parameter behind a space", coding " chunked ; a=b" },
    { "a semicolon", coding " chunked;" },
    { "a vertical tab before it", coding " \vchunked" },
    { "a vertical tab behind it", coding " chunked\v" },
    { "a form feed before it", coding " \fchunked" },
    { "NUL behind it", coding " chunked\0" },
    { "NUL before it", coding " \0chunked" },
    { "a no-break space before it", coding " \xa0chunked" },
    { "a no-break space in UTF-8", coding " \xc2\xa0chunked" },
    { "a K that only Unicode folds", coding " chun\xe2\x84\xaaed", status = { 400, 501 } },
    { "a bare CR before it", coding "\rchunked" },
    { "a bare LF before it", coding "\nchunked" },
    { "an underscore in the name", post("Transfer_Encoding: x", "Transfer-Encoding: gzip") },
    { "parentheses", coding " (chunked)" },
    { "brackets", coding " [chunked]" },
    { "a colon", coding ": chunked" },
    { "deflate and compress and chunked", coding " deflate, compress, chunked", status = 501 },
    { "HTTP/1.0", head("POST /echo HTTP/1.0", "Transfer-Encoding: chunked") .. CHUNKS },
    { "HTTP/1.0 that wants to stay",
      head("POST /echo HTTP/1.0", "Connection: keep-alive",
        "Transfer-Encoding: chunked") .. CHUNKS },
    { "HTTP/1.0 with a length",
      head("POST /echo HTTP/1.0", "Connection: keep-alive", "Content-Length: 12",
        "Transfer-Encoding: chunked") .. CHUNKS },
    { "identity in HTTP/1.0", head("POST /echo HTTP/1.0", "Transfer-Encoding: identity") },
  })

  it("is not read from a name that only resembles it", function()
    support.each_way(server, post("Transfer_Encoding: chunked", "X-Transfer-Encoding: chunked",
      "Content-Length: 2") .. "hi" .. support.NEXT, function(client)
        assert(support.taken(client).body == "hi")
        support.next(client)
      end)
  end)

  it("is not made a hop of by Connection", function()
    support.each_way(server, post("Connection: Transfer-Encoding, keep-alive",
      "Transfer-Encoding: chunked") .. CHUNKS .. support.NEXT, function(client)
        assert(support.taken(client).body == "hi")
        support.next(client)
      end)
  end)

  support.runs_nothing_smuggled(it, get_server)
end)
