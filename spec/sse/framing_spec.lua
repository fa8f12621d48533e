-- What `send`, `comment` and `retry` put on the wire, literally, and what they refuse.

local support = require "spec.sse.support"
local sse = require "spec.support.sse"
local wire = require "spec.support.wire"

local start = support.start_inside

-- Each route is a list of expressions that are run on an open stream; their results are marked.
local HELPERS = [[
local function stream(path, fn)
  server:get(path, function(_, response)
    fn(response.sse)
    response.sse:close()
  end)
end
]]

---Runs `text` with `sse` in scope on a stream of its own; returns the texts of the chunks after the
---first comment, the events, and what was marked.
local function chunks_of(text)
  local server = start(HELPERS .. ("stream('/', function(sse)\n%s\nend)"):format(text))
  local stream = server:stream("/")
  assert.equal("done", stream:finish())
  stream:close()
  local chunks = stream.chunked.chunks
  assert.equal(":\n\n", table.remove(chunks, 1))
  assert.equal(support.chunks(":\n\n", table.unpack(chunks)), stream:bytes())
  eventually(function()
    return support.access_line(server, "/")
  end)
  return chunks, stream.parser.events, support.marks(server)
end

describe("send", function()
  it("takes data; event and data; id, event and data: by their number", function()
    assert.same({
      "data: hello\n\n", "event: tick\ndata: 5\n\n", "id: 7\nevent: tick\ndata: 5\n\n",
    }, (chunks_of [[sse:send("hello") sse:send("tick", "5") sse:send("7", "tick", "5")]]))
  end)

  it("takes numbers, true and false as data, and numbers as id", function()
    assert.same({
      "data: 0\n\n", "data: 1.5\n\n", "data: false\n\n", "data: true\n\n",
      "event: n\ndata: 0\n\n", "event: n\ndata: false\n\n", "id: 0\nevent: n\ndata: 0\n\n",
      "data: -9223372036854775808\n\n",
    }, (chunks_of [[
      sse:send(0) sse:send(1.5) sse:send(false) sse:send(true)
      sse:send("n", 0) sse:send("n", false) sse:send(0, "n", 0) sse:send(math.mininteger)
    ]]))
  end)

  it("sends empty strings: they are data, event names and ids like others", function()
    local chunks, events = chunks_of [[
      sse:send("") sse:send("ev", "") sse:send("", "") sse:send("", "", "") sse:send("1", "", "x")
    ]]
    assert.same({
      "data: \n\n", "event: ev\ndata: \n\n", "event: \ndata: \n\n", "id: \nevent: \ndata: \n\n",
      "id: 1\nevent: \ndata: x\n\n",
    }, chunks)
    assert.equal(5, #events)
    assert.same({ "", "message" }, { events[1].data, events[1].type })
    assert.same({ "", "ev" }, { events[2].data, events[2].type })
  end)

  it("sends a table as JSON, in every place where data stands", function()
    assert.same({
      'data: {"a":1}\n\n', 'data: [1,2,3]\n\n', 'event: e\ndata: {"data":1}\n\n',
      'id: 1\nevent: e\ndata: ["x"]\n\n', 'data: {"a":{"b":null}}\n\n', "data: null\n\n",
      "data: {}\n\n",
    }, (chunks_of [[
      sse:send({ a = 1 }) sse:send({ 1, 2, 3 }) sse:send("e", { data = 1 })
      sse:send(1, "e", { "x" }) sse:send { a = { b = lunesse.json.null } }
      sse:send(lunesse.json.null) sse:send({})
    ]]))
  end)

  it("keeps the line breaks of JSON escaped, so that data stays one line", function()
    assert.same({ 'data: {"a":"x\\r\\ny"}\n\n' },
      (chunks_of [[sse:send { a = "x\r\ny" }]]))
  end)

  it("takes an event with fields, in the order id, event, retry, data", function()
    local chunks = chunks_of [[
      local event = lunesse.event
      sse:send(event { id = "1", event = "e", data = "d", retry = 2 })
      sse:send(event { data = "d" }) sse:send(event { data = false })
      sse:send(event { data = "" }) sse:send(event { id = 5, data = 0 })
      sse:send(event { event = "e", data = "d" })
    ]]
    assert.same({
      "id: 1\nevent: e\nretry: 2000\ndata: d\n\n", "data: d\n\n", "data: false\n\n", "data: \n\n",
      "id: 5\ndata: 0\n\n", "event: e\ndata: d\n\n",
    }, chunks)
  end)

  it("takes fields without data: an id to remember, a retry", function()
    local chunks, events = chunks_of [[
      sse:send(lunesse.event { id = "9" }) sse:send(lunesse.event { retry = 0.25 }) sse:send("x")
    ]]
    assert.same({ "id: 9\n\n", "retry: 250\n\n", "data: x\n\n" }, chunks)
    assert.same({ { type = "message", data = "x", id = "9", is_chunk = true } }, events)
  end)

  it("ends the retry line, so that the next field is not lost", function()
    local _, events = chunks_of [[
      sse:send(lunesse.event { retry = 1, data = "x" }) sse:retry(3) sse:send("y")
    ]]
    assert.same({ "x", "y" }, { events[1].data, events[2].data })
  end)

  it("makes each CR, LF and CRLF in data a line of its own", function()
    local chunks, events = chunks_of [[
      sse:send("a\nb") sse:send("a\rb") sse:send("a\r\nb") sse:send("\n") sse:send("a\n")
      sse:send("\na") sse:send("a\n\nb") sse:send("a\r\r\nb\n\rc") sse:send("e", "x\ny")
    ]]
    assert.same({
      "data: a\ndata: b\n\n", "data: a\ndata: b\n\n", "data: a\ndata: b\n\n", "data: \ndata: \n\n",
      "data: a\ndata: \n\n", "data: \ndata: a\n\n", "data: a\ndata: \ndata: b\n\n",
      "data: a\ndata: \ndata: b\ndata: \ndata: c\n\n", "event: e\ndata: x\ndata: y\n\n",
    }, chunks)
    assert.equal("a\n\nb\n\nc", events[8].data)
    assert.equal(9, #events)
  end)

  it("does not let data forge fields or events", function()
    local chunks, events = chunks_of [[
      sse:send("x\n\nevent: evil\ndata: y\n\n") sse:send("x\rid: 666\r\rdata: z")
      sse:send(": not a comment") sse:send("retry: 1") sse:send(" leading space")
    ]]
    assert.equal(5, #events)
    for _, event in ipairs(events) do
      assert.equal("message", event.type)
      assert.equal("", event.id)
    end
    assert.equal("x\n\nevent: evil\ndata: y\n\n", events[1].data)
    assert.equal(" leading space", events[5].data)
    assert.equal("data:  leading space\n\n", chunks[5])
  end)

  it("keeps NUL in data", function()
    local chunks, events = chunks_of [[sse:send("a\0b")]]
    assert.equal("data: a\0b\n\n", chunks[1])
    assert.equal("a\0b", events[1].data)
  end)

  it("raises for CR, LF and NUL in id and event, and sends nothing of it", function()
    local chunks, _, marks = chunks_of [[
      for _, bad in ipairs { "a\nb", "a\rb", "a\r\nb", "a\0b", "\n", "a\n" } do
        for _, arguments in ipairs {
          { bad, "d" }, { bad, "e", "d" }, { "1", bad, "d" },
        } do
          local ok, message = pcall(sse.send, sse, table.unpack(arguments))
          mark(tostring(ok), message:match("no line break and no NUL") or message)
        end
      end
      sse:send("fine")
    ]]
    assert.same({ "data: fine\n\n" }, chunks)
    assert.equal(18, #marks)
    for _, mark in ipairs(marks) do
      assert.equal("false no line break and no NUL", mark)
    end
  end)

  it("says which argument is wrong", function()
    local _, _, marks = chunks_of [[
      mark(select(2, pcall(function() sse:send("a\nb", "d") end)))
      mark(select(2, pcall(function() sse:send("1", "a\nb", "d") end)))
      mark(select(2, pcall(function() sse:send("a\nb", "e", "d") end)))
      mark(select(2, pcall(function() sse:send() end)))
      mark(select(2, pcall(function() sse:send(1, 2, 3, 4) end)))
      mark(select(2, pcall(function() sse:send(nil) end)))
      mark(select(2, pcall(function() sse:send(print) end)))
      mark(select(2, pcall(function() sse:send({}, "x") end)))
      mark(select(2, pcall(function() sse:send("e", nil) end)))
    ]]
    assert.matches("script.lua:%d+: bad argument #1 to 'send' %(an event name", marks[1])
    assert.matches("script.lua:%d+: bad argument #2 to 'send' %(an event name", marks[2])
    assert.matches("script.lua:%d+: bad argument #1 to 'send' %(an event id", marks[3])
    assert.matches("script.lua:%d+: bad argument #1 to 'send' %(data; event, data;", marks[4])
    assert.matches("script.lua:%d+: bad argument #4 to 'send'", marks[5])
    assert.matches("script.lua:%d+: bad argument #1 to 'send' %(string expected, got nil", marks[6])
    assert.matches("script.lua:%d+: bad argument #1 to 'send' %(string expected, got fun", marks[7])
    assert.matches("script.lua:%d+: bad argument #1 to 'send' %(string expected, got tab", marks[8])
    assert.matches("script.lua:%d+: bad argument #2 to 'send' %(string expected, got nil", marks[9])
  end)

  it("sends a single table as data, whatever fields it has", function()
    local chunks = chunks_of [[
      local payloads = { '{"event":"reset"}', '{"id":7}', '{"retry":86400}', '{"data":"x"}',
        '{"color":"red","data":"d"}', '{"event":["x"]}', '{"retry":"soon"}' }
      for _, payload in ipairs(payloads) do sse:send(lunesse.json.decode(payload)) end
    ]]
    assert.same({
      'data: {"event":"reset"}\n\n', 'data: {"id":7}\n\n', 'data: {"retry":86400}\n\n',
      'data: {"data":"x"}\n\n', 'data: {"color":"red","data":"d"}\n\n',
      'data: {"event":["x"]}\n\n', 'data: {"retry":"soon"}\n\n',
    }, chunks)
  end)

  it("raises for data that JSON cannot hold, at the caller's line", function()
    local chunks, _, marks = chunks_of [[
      local loop = {} loop.loop = loop
      mark(select(2, pcall(function() sse:send({ 0/0 }) end)))
      mark(select(2, pcall(function() sse:send("e", loop) end)))
      mark(select(2, pcall(function() lunesse.event { data = { print } } end)))
    ]]
    assert.same({}, chunks)
    for _, mark in ipairs(marks) do
      assert.matches("^[^\n]*script.lua:%d+: ", mark)
    end
    assert.equal(3, #marks)
  end)

  it("replaces invalid UTF-8 by U+FFFD in data, event, id and comments", function()
    local chunks, _, marks = chunks_of [[
      sse:send("a\xffb") sse:send("\xc3 ") sse:send("\xed\xa0\x80") sse:send("\xf4\x90\x80\x80")
      sse:send("\xe2\x82 ") sse:send("\xc0\x80") sse:send("\u{1F319}")
      sse:send("i\xff", "e\xff", "d") sse:comment("c\xff") sse:send("x\xff\ny\xfe")
    ]]
    local stream = table.concat(chunks)
    assert.is_truthy(utf8.len(stream))
    local R = "\u{FFFD}"
    assert.equal("data: a" .. R .. "b\n\n", chunks[1])
    assert.equal("data: " .. R .. " \n\n", chunks[2])
    assert.equal("data: " .. R:rep(3) .. "\n\n", chunks[3])
    assert.equal("data: " .. R:rep(4) .. "\n\n", chunks[4])
    assert.equal("data: " .. R .. " \n\n", chunks[5])
    assert.equal("data: " .. R:rep(2) .. "\n\n", chunks[6])
    assert.equal("data: \u{1F319}\n\n", chunks[7])
    assert.equal(("id: i%s\nevent: e%s\ndata: d\n\n"):format(R, R), chunks[8])
    assert.equal((": c%s\n\n"):format(R), chunks[9])
    assert.equal(("data: x%s\ndata: y%s\n\n"):format(R, R), chunks[10])
    assert.same({}, marks)
  end)

  it("answers true while the stream is open", function()
    local _, _, marks = chunks_of [[
      mark(tostring(sse:send("x")), tostring(sse:comment("x")), tostring(sse:retry(1)))
      mark(select("#", sse:send("x")))
    ]]
    assert.same({ "true true true", "1" }, marks)
  end)

  it("gives exactly n events for n calls, whatever the data", function()
    local _, events = chunks_of [[
      math.randomseed(7)
      local alphabet = { "\r", "\n", "\r\n", ":", " ", "data", "id: 1", "\0", "x", "\u{FEFF}", "" }
      for n = 1, 300 do
        local parts = {}
        for i = 1, math.random(0, 8) do parts[i] = alphabet[math.random(#alphabet)] end
        sse:send(tostring(n), "e", table.concat(parts))
      end
    ]]
    assert.equal(300, #events)
    for n, event in ipairs(events) do
      assert.equal(tostring(n), event.id)
      assert.equal("e", event.type)
      assert.is_true(event.is_chunk)
    end
  end)

  it("sends huge events whole, up to stream_max_bytes, and refuses larger ones alone", function()
    local server = start(HELPERS .. [[
stream("/", function(sse)
  local function say(ok, why, code) mark(tostring(ok), tostring(why), tostring(code)) end
  say(sse:send(("x"):rep(1000000)))
  say(sse:send(("x"):rep(2000000)))
  say(sse:send("after"))
  say(sse:comment(("x"):rep(2000000)))
  say(sse:send(lunesse.event { id = ("x"):rep(2000000), data = "" }))
  say(sse:send(("x"):rep(2000000), ""))
end)
]])
    local stream = server:stream("/")
    assert.equal("done", stream:finish(5))
    stream:close()
    local events = stream.parser.events
    assert.equal(("x"):rep(1000000), events[1].data)
    assert.equal("after", events[2].data)
    assert.equal(2, #events)
    local refused = "nil the event is larger than stream_max_bytes EMSGSIZE"
    support.await_marks(server,
      { "true nil nil", refused, "true nil nil", refused, refused, refused })
  end)
end)

describe("comment", function()
  it("is one line a line of its text and an empty line, in one chunk", function()
    local chunks, events = chunks_of [[
      sse:comment("x") sse:comment("") sse:comment("a\nb") sse:comment("a\r\nb\rc")
      sse:comment("\n\ndata: evil\n\n") sse:comment(5)
    ]]
    assert.same({
      ": x\n\n", ":\n\n", ": a\n: b\n\n", ": a\n: b\n: c\n\n",
      ": \n: \n: data: evil\n: \n: \n\n", ": 5\n\n",
    }, chunks)
    assert.same({}, events)
  end)

  it("takes no event with it for a reader that splits the stream at empty lines", function()
    local chunks = chunks_of [[
      sse:send("one") sse:comment("x") sse:send("two") sse:comment("a\nb") sse:send("three")
    ]]
    local seen = {}
    for block in (":\n\n" .. table.concat(chunks)):gmatch("(.-)\n\n") do
      seen[#seen + 1] = block:match("^data: (.*)$")
    end
    assert.same({ "one", "two", "three" }, seen)
  end)

  it("raises for what is no text", function()
    local _, _, marks = chunks_of [[
      mark(tostring(pcall(sse.comment, sse)))
      mark(tostring(pcall(sse.comment, sse, {})))
      mark(tostring(pcall(sse.comment, sse, nil)))
    ]]
    assert.same({ "false", "false", "false" }, marks)
  end)
end)

describe("retry", function()
  it("is in whole milliseconds on the wire and in seconds in the script", function()
    assert.same({ "retry: 0\n\n", "retry: 1\n\n", "retry: 1500\n\n", "retry: 60000\n\n" },
      (chunks_of [[sse:retry(0) sse:retry(0.001) sse:retry(1.5) sse:retry(60)]]))
  end)

  it("raises for what is no duration", function()
    local _, _, marks = chunks_of [[
      for _, bad in ipairs { "x", -1, 0/0, 1/0, {}, true } do
        mark(tostring((pcall(sse.retry, sse, bad))))
      end
      mark(tostring((pcall(sse.retry, sse))))
    ]]
    assert.same({ "false", "false", "false", "false", "false", "false", "false" },
      marks)
  end)
end)

describe("each event", function()
  it("is one chunk of its own, complete when it leaves", function()
    local server = start([[
server:get("/", function(_, response)
  for n = 1, 5 do
    response.sse:send(n, "tick", "line\nline")
    lunesse.sleep(1)
  end
  hold()
end)
]], { clock = true }) -- so that the next event waits until this one has been read
    local client = server:connect()
    client:send(wire.request { headers = { Accept = "text/event-stream" } })
    client:head()
    assert.equal(support.chunk(":\n\n"), (client:receive(#support.chunk(":\n\n"))))
    for n = 1, 5 do
      -- All of it, with the line end behind the chunk, is here before the next one is sent.
      local expected = support.chunk(("id: %d\nevent: tick\ndata: line\ndata: line\n\n"):format(n))
      assert.equal(expected, (client:receive(#expected)))
      assert.equal("", client.buffer)
      server:advance(1)
    end
    client:close()
  end)

  it("is the same text for HTTP/1.0, without chunks", function()
    local server = start [[
server:get("/", function(_, response)
  response.sse:send("1", "e", "a\nb")
  response.sse:comment("c")
  response.sse:close()
end)
]]
    local stream = server:stream("/", { version = "1.0" })
    assert.equal("closed", stream:finish())
    assert.equal(":\n\nid: 1\nevent: e\ndata: a\ndata: b\n\n: c\n\n", stream:bytes())
    assert.equal("a\nb", stream:event().data)
    stream:close()
  end)

  it("arrives whole at a reader that takes one byte at a time", function()
    local server = start [[
server:get("/", function(_, response)
  for n = 1, 20 do response.sse:send(n, "e", "x\ny\u{1F319}") end
  response.sse:close()
end)
]]
    local client = server:connect()
    client:send(wire.request { headers = { Accept = "text/event-stream", Connection = "close" } })
    local bytes = client:receive_slowly(1)
    client:close()
    local _, body = support.split_head(bytes)
    local chunked, parser = sse.chunked(), sse.parser()
    for at = 1, #body do
      for _, chunk in ipairs(chunked:feed(body:sub(at, at))) do
        parser:feed(chunk)
      end
    end
    assert.is_true(chunked.is_done)
    assert.equal(20, #parser.events)
    assert.same({ type = "e", data = "x\ny\u{1F319}", id = "20" }, parser.events[20])
  end)
end)
