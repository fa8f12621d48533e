-- The judges are judged: the parsers that decide over the program must accept what the standards
-- allow, refuse what they forbid, and not care how the bytes were cut.

local lfs = require "lfs"
local http = require "lunesse.test.http"
local sse = require "spec.support.sse"
local wire = require "spec.support.wire"
local clock = require "spec.support.clock"
local InnerServer = require "spec.support.inner_server"
local Process = require "spec.support.process"

local DATE = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"

local function answer(head, body)
  return "HTTP/1.1 " .. head:gsub("\n", "\r\n") .. DATE .. "\r\n" .. (body or "")
end

local function events_of(text)
  local list = {}
  for i, event in ipairs(sse.parse(text)) do
    list[i] = ("%s|%s|%s"):format(event.type, event.data, event.id)
  end
  return list
end

describe("the event-stream parser", function()
  it("takes the standard's examples", function()
    assert.same({ "message|YHOO\n+2\n10|" }, events_of("data: YHOO\ndata: +2\ndata: 10\n\n"))
    assert.same({ "message|first event|1", "message|second event|", "message| third event|" },
      events_of(": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\n" ..
        "data:  third event\n\n"))
    assert.same({ "message||", "message|\n|" }, events_of("data\n\ndata\ndata\n\ndata:"))
    assert.same({ "message|test|", "message|test|" }, events_of("data:test\n\ndata: test\n\n"))
  end)

  it("takes CR, LF and CRLF as line ends, mixed", function()
    assert.same({ "a|1\n2|" }, events_of("event: a\rdata: 1\r\ndata: 2\n\r"))
    assert.same({ "message|1|", "message|2|" }, events_of("data: 1\r\n\r\ndata: 2\r\r"))
  end)

  it("drops one byte order mark at the start and only there", function()
    assert.same({ "message|1|" }, events_of("\xEF\xBB\xBFdata: 1\n\n"))
    assert.same({}, events_of("\xEF\xBB\xBF\xEF\xBB\xBFdata: 1\n\n"))
    assert.same({ "message|1|" }, events_of("data: 1\n\n\xEF\xBB\xBFdata: 2\n\n"))
  end)

  it("does not dispatch without data, and forgets the type then", function()
    assert.same({ "message|1|" }, events_of("event: lost\n\ndata: 1\n\n"))
  end)

  it("does not dispatch an event that is cut off", function()
    assert.same({}, events_of("data: 1\n"))
    assert.same({}, events_of("data: 1"))
  end)

  it("keeps the last event id until another comes, also from an event without data", function()
    assert.same({ "message|1|7", "message|2|7", "message|3|9" },
      events_of("id: 7\ndata: 1\n\ndata: 2\n\nid: 9\n\ndata: 3\n\n"))
  end)

  it("empties the last event id with an empty one, and ignores one with NUL", function()
    assert.same({ "message|1|7", "message|2|7", "message|3|" },
      events_of("id: 7\ndata: 1\n\nid: 8\0\ndata: 2\n\nid\ndata: 3\n\n"))
  end)

  it("does not make an id the last one before the empty line", function()
    local _, parser = sse.parse("id: 7\ndata: 1\n")
    assert.equal("", parser.last_event_id)
  end)

  it("takes retry from digits alone", function()
    local function retry_of(text)
      return select(2, sse.parse(text)).retry_ms
    end
    assert.equal(1500, retry_of("retry: 1500\n"))
    assert.equal(7, retry_of("retry:7\nretry: 9x\nretry: -1\nretry: 1.5\nretry:  3\nretry:\n"))
  end)

  it("counts comments and unknown fields, which change nothing", function()
    local events, parser = sse.parse(":\n: hi\ndata: 1\nDATA: 2\n data: 3\n\n")
    assert.same({ "", " hi" }, parser.comments)
    assert.same({ "DATA", " data" }, parser.unknown)
    assert.equal("1", events[1].data)
  end)

  it("removes one space behind the colon, not two, and no tab", function()
    assert.same({ "message| 1|", "message|\t1|" }, events_of("data:  1\n\ndata:\t1\n\n"))
  end)

  it("says whether the lines were UTF-8", function()
    assert.is_true(select(2, sse.parse("data: \u{1F319}\n\n")).is_utf8)
    assert.is_false(select(2, sse.parse("data: \xff\n\n")).is_utf8)
    assert.is_false(select(2, sse.parse("data: \xed\xa0\x80\n\n")).is_utf8)
  end)

  it("gives the same events for every cut of the input", function()
    local text = "\xEF\xBB\xBF: c\r\nid: 1\r\nevent: e\rdata: \u{1F319}\r\n\r\n" ..
      "data\n\ndata: x\r\rretry: 5\n"
    local whole = sse.parse(text)
    assert.equal(3, #whole)
    for first = 1, #text - 1 do
      for second = first, #text - 1 do
        local parser = sse.parser()
        parser:feed(text:sub(1, first))
        parser:feed(text:sub(first + 1, second))
        parser:feed(text:sub(second + 1))
        assert.same(whole, parser.events)
        assert.equal(5, parser.retry_ms)
      end
    end
  end)
end)

describe("the chunk decoder", function()
  it("gives the same chunks for every cut of the input", function()
    local text = "3\r\nabc\r\n0A\r\n0123456789\r\n0\r\n\r\n"
    text = text:gsub("0\r\n\r\n$", "")
    for first = 0, #text do
      local chunked = sse.chunked()
      chunked:feed(text:sub(1, first))
      chunked:feed(text:sub(first + 1))
      assert.same({ "abc", "0123456789" }, chunked.chunks)
      assert.is_false(chunked.is_done)
    end
  end)

  it("knows the last chunk", function()
    local chunked = sse.chunked()
    chunked:feed("1\r\na\r\n0\r\n\r")
    assert.is_false(chunked.is_done)
    chunked:feed("\n")
    assert.is_true(chunked.is_done)
  end)

  it("refuses what is no chunk", function()
    for _, text in ipairs {
      "g\r\n", "3;x=1\r\nabc\r\n", "3\nabc\n", "3\r\nabcd\r\n", "3\r\nabc\n", " 3\r\nabc\r\n",
      "0\r\n\r\nx", "-1\r\n", "\r\n", "0\r\nTrailer: 1\r\n\r\n",
    } do
      assert.has_error(function()
        sse.chunked():feed(text)
      end, nil, text)
    end
  end)
end)

describe("the stream reader", function()
  local function stream_of(body)
    local parts = { body }
    local client = {
      deadline = wire.Client.deadline, left = wire.Client.left,
      receive_some = function()
        local part = table.remove(parts)
        return part, not part and "closed" or nil
      end,
    }
    return sse.stream(client, { headers = { ["transfer-encoding"] = "chunked" } })
  end

  local function chunk(text)
    return ("%x\r\n%s\r\n"):format(#text, text)
  end

  it("sees that each event is one chunk", function()
    local stream = stream_of(chunk(":\n") .. chunk("data: 1\n\n") .. chunk("id: 2\ndata: 2\n\n"))
    assert.same({ true, true }, { stream:event().is_chunk, stream:event().is_chunk })
  end)

  it("sees that it is not", function()
    assert.is_false(stream_of(chunk("data: 1\n\ndata: 2\n\n")):event().is_chunk)
    assert.is_false(stream_of(chunk("data: 1\n") .. chunk("\n")):event().is_chunk)
    assert.is_false(stream_of(chunk("data: 1\n\ndata:")):event().is_chunk)
  end)

  it("tells a proper end from a cut", function()
    assert.equal("done", stream_of(chunk("data: 1\n\n") .. "0\r\n\r\n"):finish())
    assert.equal("closed", stream_of(chunk("data: 1\n\n")):finish())
  end)
end)

describe("the response parser", function()
  it("reads status, fields and a sized body", function()
    local response = http.responses(answer("200 OK\nContent-Length: 3\nX-A: 1\nx-a: 2\n", "abc"))[1]
    assert.equal(200, response.status)
    assert.equal("OK", response.reason)
    assert.equal("1, 2", response.headers["x-a"])
    assert.equal("abc", response.body)
    assert.equal("length", response.framing)
  end)

  it("reads chunks, their trailers, and what ends with the connection", function()
    local response = http.responses(
      answer("200 OK\nTransfer-Encoding: chunked\n", "2\r\nab\r\n1\r\nc\r\n0\r\nX-T: 1\r\n\r\n"))[1]
    assert.equal("abc", response.body)
    assert.same({ "ab", "c" }, response.chunks)
    assert.same({ { "X-T", "1" } }, response.trailers)
    assert.equal("rest", http.responses(answer("200 OK\nConnection: close\n", "rest"))[1].body)
  end)

  it("reads answers in order, with HEAD, 204, 304 and interim ones", function()
    local bytes = "HTTP/1.1 100 Continue\r\n\r\n" .. answer("200 OK\nContent-Length: 9\n") ..
      answer("204 No Content\n") .. answer("304 Not Modified\nContent-Length: 5\n") ..
      answer("200 OK\nContent-Length: 1\n", "x")
    local responses = http.responses(bytes, { "HEAD", "GET", "GET", "GET" })
    assert.equal(4, #responses)
    assert.equal(100, responses[1].interim[1].status)
    assert.same({ "", "", "", "x" },
      { responses[1].body, responses[2].body, responses[3].body, responses[4].body })
  end)

  it("gives the same answer for every cut: nothing, until it is complete", function()
    local bytes = "HTTP/1.1 100 Continue\r\n\r\n" ..
      answer("200 OK\nTransfer-Encoding: chunked\n", "2\r\nab\r\n0\r\n\r\n")
    for stop = 0, #bytes - 1 do
      assert.is_nil(http.parse(bytes:sub(1, stop), 1, "GET", false))
    end
    assert.equal("ab", http.parse(bytes, 1, "GET", false).body)
  end)

  it("refuses malformed heads", function()
    for _, head in ipairs {
      "HTTP/1.0 200 OK\r\n" .. DATE, "HTTP/1.1 200\r\n" .. DATE, "HTTP/1.1  200 OK\r\n" .. DATE,
      "http/1.1 200 OK\r\n" .. DATE, "HTTP/1.1 20 OK\r\n" .. DATE, "HTTP/1.1 600 No\r\n" .. DATE,
      "HTTP/1.1 200 O\0K\r\n" .. DATE,
    } do
      assert.has_error(function()
        http.responses(head .. "\r\n")
      end, nil, head)
    end
  end)

  it("refuses malformed and contradictory fields", function()
    for _, fields in ipairs {
      "X : 1\n", ": 1\n", "X\n", "X: 1\n folded\n", "X: a\0b\n", "X: a\rb\n", "X(: 1\n",
      "Content-Length: 0\nContent-Length: 0\n", "Content-Length: 0, 0\n", "Content-Length: -1\n",
      "Content-Length: +0\n", "Content-Length: 0x0\n", "Content-Length:\n",
      "Content-Length: 0\nTransfer-Encoding: chunked\n", "Transfer-Encoding: gzip, chunked\n",
      "Content-Length: 0\nContent-Type: a/b\nContent-Type: a/b\n",
      "Content-Length: 0\nDate: today\n",
    } do
      assert.has_error(function()
        http.responses(answer("200 OK\n" .. fields))
      end, nil, fields)
    end
  end)

  it("refuses an answer without Date, 204 with a length, and 405 without Allow", function()
    for _, bytes in ipairs {
      "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", answer("204 No Content\nContent-Length: 0\n"),
      answer("405 Method Not Allowed\nContent-Length: 0\n"),
    } do
      assert.has_error(function()
        http.responses(bytes)
      end, nil, bytes)
    end
  end)

  it("refuses bad chunks, a body that is cut off, and bytes that nobody asked for", function()
    local chunked = "200 OK\nTransfer-Encoding: chunked\n"
    for _, bytes in ipairs {
      answer(chunked, "1;a=b\r\na\r\n0\r\n\r\n"), answer(chunked, "1\r\nab\r\n0\r\n\r\n"),
      answer(chunked, "1\r\na\r\n0\r\n"), answer(chunked, "1\na\n0\n\n"),
      answer(chunked, "1\r\na\r\n"),
      answer("200 OK\nContent-Length: 3\n", "ab"), answer("200 OK\nContent-Length: 3\n", "abcd"),
      answer("200 OK\nContent-Length: 0\n") .. answer("200 OK\nContent-Length: 0\n"), "",
    } do
      assert.has_error(function()
        http.responses(bytes)
      end, nil, bytes)
    end
  end)

  it("expects nothing after an answer that closes", function()
    local close = answer("400 Bad Request\nContent-Length: 0\nConnection: close\n")
    assert.equal(1, #http.responses(close, { "GET", "GET" }))
    assert.has_error(function()
      http.responses(close .. close, { "GET", "GET" })
    end)
  end)
end)

describe("the request writer", function()
  it("adds Host and the length, unless told otherwise", function()
    assert.equal("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", wire.request {})
    assert.equal("POST /a HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi",
      wire.request { method = "POST", target = "/a", version = "1.0", host = false, body = "hi" })
    assert.equal("GET / HTTP/1.1\r\nHost: b\r\nA: 1\r\nA: 2\r\n\r\n",
      wire.request { headers = { { "Host", "b" }, { "A", "1" }, { "A", "2" } } })
  end)
end)

describe("eventually", function()
  it("returns what the function answers as soon as that is true", function()
    local count = 0
    assert.equal(3, eventually(function()
      count = count + 1
      return count == 3 and count
    end))
  end)

  it("raises what was raised last, or that nothing came", function()
    assert.has_error(function()
      clock.eventually(function()
        error("not yet", 0)
      end, 0.01)
    end, "not yet")
    assert.has_error(function()
      clock.eventually(function()
        return false
      end, 0.01)
    end)
  end)
end)

-- Where a build is watched these ask a process, which does the same.
describe("a server that is in the test kit where it can be", function()
  local SCRIPT = [[
local lunesse = require "lunesse"
local server = lunesse.server()
server:get("/later", function(_, response)
  lunesse.sleep(0.1)
  response:send("later")
end)
server:get("/much_later", function(_, response)
  lunesse.sleep(100)
  response:send("much later")
end)
server:get("/large", function(_, response) response:send(("x"):rep(900000)) end)
server:get("/log", function(_, response)
  lunesse.log.warn("said", { word = "two words", number = 7 })
  response:send("logged")
end)
]]
  local LATER = wire.request { target = "/later" }

  it("has a time that stands still until the spec moves it", function()
    local server = InnerServer.start(SCRIPT, { clock = true, workers = 1 })
    local client = server:connect()
    client:send(wire.request { target = "/much_later" })
    assert.is_true(client:is_silent(0.01))
    server:advance(50)
    assert.is_true(client:is_silent(0.01))
    server:advance(51)
    assert.equal("much later", client:response().body)
    client:close()
  end)

  it("has a time that goes on while the spec waits, where it does not move it", function()
    local server = InnerServer.start(SCRIPT)
    local client = server:connect()
    client:send(LATER)
    assert.is_true(client:is_silent(0.01))
    assert.equal("later", client:response().body)
    client:send(LATER)
    assert.same({ nil, "timeout" }, { client:receive_some(0.02) })
    assert.equal("later", client:response().body)
    client:close()
  end)

  it("waits for a reader that takes a part, and has peers whose leaving it notices", function()
    local server = InnerServer.start(SCRIPT, { workers = 1 })
    local before = server:descriptors()
    local client = server:connect { receive_buffer = 4096 }
    client:send(wire.request { target = "/large" })
    assert.equal(1000, #client:receive(1000))
    assert.equal(before + 1, server:descriptors())
    client:close()
    eventually(function()
      return server:descriptors() == before
    end)
    client = server:connect { receive_buffer = 4096 }
    client:send(wire.request { target = "/large" })
    assert.equal(900000, #client:response("GET").body)
    client:close()
  end)

  it("has a log of lines", function()
    local server = InnerServer.start(SCRIPT)
    assert.equal("logged", server:request({ target = "/log" }).body)
    local lines = server:log_lines(' warn said number=7 word="two words"')
    assert.equal(1, #lines)
  end)
end)

describe("a process of the kit", function()
  it("gives the exit code and both outputs", function()
    local code, out, err = Process.run({ "sh", "-c", "cat; echo $NAME >&2; exit 3" },
      { stdin = "in\n", env = { NAME = "value" } })
    assert.same({ 3, "in\n", "value\n" }, { code, out, err })
  end)

  it("tells a signal and a program that does not end", function()
    local process = Process.start { "sleep", "100" }
    assert.same({ nil, "timeout" }, { process:wait(0.01) })
    process:signal("TERM")
    assert.same({ n = 2, nil, "signal 15" }, table.pack(process:wait(5)))
    process:forget()
  end)

  it("leaves no file behind its test, whether the program has ended or not", function()
    local ended, going = Process.start { "echo", "x" }, Process.start { "sleep", "100" }
    ended:wait(5)
    Process.kill_all()
    assert.is_nil(lfs.attributes(ended.folder, "mode"))
    assert.is_nil(lfs.attributes(going.folder, "mode"))
    assert.is_true(going:has_ended())
    assert.equal("x\n", ended:stdout())
  end)

  it("says what each thread of a program does", function()
    local process = Process.start { "sleep", "100" }
    local line = "^thread " .. process.pid .. ": state %a, schedstat %d+ %d+ %d+"
    assert.matches(line, process:whereabouts())
    process:kill()
    assert.equal("no thread is left", process:whereabouts())
    process:forget()
  end)

  it("exits with 127 when there is no such program", function()
    assert.equal(127, (Process.run { "/nonexistent/program" }))
  end)
end)
