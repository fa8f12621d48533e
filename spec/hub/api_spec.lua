-- lunesse.channel and the methods of a channel, as a script sees them.

local hub = require "spec.hub.support"
local support = require "spec.sse.support"
local Server = require "spec.support.server"

local run = hub.run

describe("a channel", function()
  local server

  setup(function()
    server = hub.start_inside(nil, { shared = true })
  end)

  teardown(function()
    server:stop()
  end)

  it("is the same handle under the same name, for as long as somebody holds it", function()
    assert.equal("true false", run(server, [[
      return channel('a') == channel('a', { history = 5 }), channel('a') == channel('b')]]))
    assert.equal("1", run(server, [[
      local set = { [channel('a')] = true, [channel('a')] = true }
      local count = 0
      for _ in pairs(set) do count = count + 1 end
      return count]]))
  end)

  it("knows its name, which may be any UTF-8 without controls", function()
    local names = { "a", "a/b", "a b", "月", 'say "hi"\\', ("x"):rep(255), "-", "\u{a0}" }
    for _, name in ipairs(names) do
      assert.equal(name, run(server, "return channel(%q).name", name))
    end
  end)

  it("is a Channel, with no field that could be set or that does not exist", function()
    assert.matches("^Channel: 0x%x+$", run(server, "return channel('a')"))
    assert.equal("nil", run(server, "return channel('a').none"))
    assert.equal("do:1: Channel has no settable field 'name'",
      run(server, "channel('a').name = 'b'"))
    assert.equal("do:1: Channel has no settable field 'x'", run(server, "channel('a').x = 1"))
  end)

  it("refuses a wrong name, at the caller's line", function()
    local wrong = {
      ["''"] = "a channel's name is not empty",
      ["'a\\nb'"] = "a channel's name has no controls",
      ["'a\\0b'"] = "a channel's name has no controls",
      ["'a\\127b'"] = "a channel's name has no controls",
      ["'\\xff'"] = "a channel's name is UTF-8",
      ["'\\xc0\\x80'"] = "a channel's name is UTF-8",
      ["'\\xed\\xa0\\x80'"] = "a channel's name is UTF-8",
      ["('x'):rep(256)"] = "the name is longer than channel_name_bytes",
      ["5"] = "string expected, got number",
      ["nil"] = "string expected, got nil",
      [""] = "string expected, got no value",
      ["{}"] = "string expected, got table",
    }
    for name, why in pairs(wrong) do
      assert.equal(("do:2: bad argument #1 to 'channel' (%s)"):format(why),
        run(server, "\nreturn channel(" .. name .. ")"))
    end
  end)

  it("refuses wrong options, at the caller's line, and makes nothing then", function()
    local whole = "a whole number, 0 or more, expected"
    local seconds = "seconds between 0 and 1e9 expected"
    local event = "an event name without line break and NUL expected"
    local lag = '"resume" or "skip" expected'
    local wrong = {
      ["{ size = 5 }"] = "unknown option 'size'", ["{ 5 }"] = "unknown option '1'",
      ["5"] = "table expected, got number", ["'x'"] = "table expected, got string",
    }
    for option, cases in pairs {
      history = { whole, "-1", "1.5", "'5'", "true", "{}", "0/0", "1e300" },
      bytes = { whole, "-1", "0.5", "'1'", "false", "math.huge" },
      ttl = { seconds, "-1", "true", "'1'", "{}", "0/0", "2e9", "math.huge" },
      on_lag = { lag, "'drop'", "''", "true", "5", "{}" },
      reset_event = { event, "''", "5", "'a\\nb'", "'a\\rb'", "'a\\0b'", "false" },
      lagged_event = { event, "''", "{}", "'a\\nb'" },
    } do
      for i = 2, #cases do
        wrong[("{ %s = %s }"):format(option, cases[i])] = ("%s: %s"):format(option, cases[1])
      end
    end
    for options, why in pairs(wrong) do
      assert.equal(("do:3: bad argument #2 to 'channel' (%s)"):format(why),
        run(server, "\n\nreturn channel('wrong', " .. options .. ")"), options)
    end
  end)

  it("may be given whole numbers written with a fraction, and extremes", function()
    for _, options in ipairs {
      "{}", "nil", "{ history = 0, bytes = 0, ttl = 0 }", "{ ttl = false }",
      "{ history = 5.0, bytes = 1e6, ttl = 1e9 }", "{ history = math.maxinteger }",
      "{ bytes = math.maxinteger }", "{ ttl = 0.001 }",
    } do
      assert.matches("^Channel", run(server, "return channel('extreme', " .. options .. ")"))
    end
  end)

  it("has as many channels beside it as the limit allows, closed ones included", function()
    local limited = hub.start_inside(nil, { args = { "--limit", "channels=3" } })
    assert.equal("nil there are as many channels as the limit allows E2BIG", run(limited, [[
      for i = 1, 3 do kept[i] = channel("c" .. i) end
      return channel("c4")]]))
    assert.equal("true", run(limited, "return channel('c1') == kept[1]"))
    assert.equal("nil there are as many channels as the limit allows E2BIG", run(limited, [[
      kept[3]:close()
      return channel("c4")]]))
    assert.equal("c4", run(limited, [[
      kept[3] = nil
      collectgarbage() collectgarbage()
      return channel("c4").name]]))
  end)

  it("has a name as long as the limit allows", function()
    local limited = hub.start_inside(nil, { args = { "--limit", "channel_name_bytes=5" } })
    assert.equal("12345", run(limited, "return channel('12345').name"))
    assert.matches("longer than channel_name_bytes", run(limited, "return channel('123456')"))
  end)

  it("can be made while the scripts load, and published to", function()
    local loading = hub.start_inside [[
local room = lunesse.channel("room", { history = 3 })
for n = 1, 5 do room:publish(n) end
env.kept.room = room
]]
    local stream = hub.open(loading, "room", { since = "earliest" })
    assert.equal("3 4 5", hub.data(stream, 3))
    stream:close()
  end)

  it("that is wrong while the scripts load is a load error with its line", function()
    local folder = Server.write { ["a.lua"] = "\nrequire('lunesse').channel('')\n" }
    local code, _, stderr = Server.run { "--check", folder .. "/a.lua" }
    assert.equal(1, code)
    assert.matches("a.lua:2: bad argument #1 to 'channel' (a channel's name is not empty)",
      stderr, 1, true)
  end)
end)

describe("publish", function()
  local server

  setup(function()
    server = hub.start_inside(nil, { shared = true })
    hub.keep(server, "room", "{ bytes = 1000 }")
  end)

  teardown(function()
    server:stop()
  end)

  ---What a reader of the channel is sent for the call `room:publish(<arguments>)`.
  local function published(arguments)
    local stream = hub.open(server, "room")
    hub.await_subscribers(server, "room", 1)
    local opening = hub.opening(run(server, "return kept.room:cursor()"))
    local id = run(server, "return kept.room:publish(" .. arguments .. ")")
    assert.truthy(id:find("^%x+%-%d+$"), arguments .. ": " .. id)
    assert.equal(opening, stream.client:receive(#opening))
    local text = stream.client:receive_until("\n\n\r\n")
    stream:close()
    assert.truthy(text, arguments)
    hub.await_subscribers(server, "room", 0)
    local body = text:match("^%x+\r\n(.*)\r\n$")
    assert.equal("id: " .. id .. "\n", body:sub(1, #id + 5))
    return body:sub(#id + 6)
  end

  it("takes data; event and data; or an event with fields", function()
    local forms = {
      ["'hello'"] = "data: hello\n\n",
      ["'said', 'hello'"] = "event: said\ndata: hello\n\n",
      ["7, 8"] = "event: 7\ndata: 8\n\n",
      ["lunesse.event { data = 'x' }"] = "data: x\n\n",
      ["lunesse.event { event = 'said', data = 'x' }"] = "event: said\ndata: x\n\n",
      ["lunesse.event { event = 'said', data = 'x', retry = 2.5 }"] =
        "event: said\nretry: 2500\ndata: x\n\n",
      ["lunesse.event { event = 'said' }"] = "event: said\n\n",
      ["lunesse.event { retry = 1 }"] = "retry: 1000\n\n",
      ["lunesse.event { event = '', data = '' }"] = "event: \ndata: \n\n",
    }
    for arguments, expected in pairs(forms) do
      assert.equal(expected, published(arguments), arguments)
    end
  end)

  it("goes by the number of arguments, never by their truth", function()
    for arguments, expected in pairs {
      ["''"] = "data: \n\n", ["0"] = "data: 0\n\n", ["false"] = "data: false\n\n",
      ["true"] = "data: true\n\n", ["'e', ''"] = "event: e\ndata: \n\n",
      ["'e', false"] = "event: e\ndata: false\n\n", ["1.5"] = "data: 1.5\n\n",
    } do
      assert.equal(expected, published(arguments), arguments)
    end
  end)

  it("writes a table as JSON, whatever fields it has", function()
    for arguments, expected in pairs {
      ["{ 1, 2, 3 }"] = "data: [1,2,3]\n\n",
      ["{ name = 'Ada' }"] = 'data: {"name":"Ada"}\n\n',
      ["'said', { name = 'Ada' }"] = 'event: said\ndata: {"name":"Ada"}\n\n',
      ["'said', { data = 1 }"] = 'event: said\ndata: {"data":1}\n\n',
      ["{ event = 'reset' }"] = 'data: {"event":"reset"}\n\n',
      ["{ retry = 86400 }"] = 'data: {"retry":86400}\n\n',
      ["{ id = 7 }"] = 'data: {"id":7}\n\n',
      ["lunesse.event { data = { 'x' } }"] = 'data: ["x"]\n\n',
      ["lunesse.json.null"] = "data: null\n\n",
    } do
      assert.equal(expected, published(arguments), arguments)
    end
  end)

  it("splits data at line breaks, and mends what is not UTF-8", function()
    for arguments, expected in pairs {
      ["'a\\nb'"] = "data: a\ndata: b\n\n", ["'a\\r\\nb\\rc'"] = "data: a\ndata: b\ndata: c\n\n",
      ["'\\n'"] = "data: \ndata: \n\n", ["'\\xff'"] = "data: \u{fffd}\n\n",
      ["'data: x\\n\\nevent: y'"] = "data: data: x\ndata: \ndata: event: y\n\n",
    } do
      assert.equal(expected, published(arguments), arguments)
    end
  end)

  it("gives ids that rise by one, in one turn and over turns", function()
    local words = run(server, "local r = kept.room return r:publish(1), r:publish(2), r:cursor()")
    local first, second, cursor = words:match("^(%S+) (%S+) (%S+)$")
    assert.equal(hub.further(first, 1), second)
    assert.equal(second, cursor)
    assert.equal(hub.further(first, 2), hub.publish(server, "room", 3))
    assert.matches("^[1-9a-f]%x*%-[1-9]%d*$", first)
  end)

  it("refuses ids, wrong fields and wrong names, at the caller's line, and takes no number then",
    function()
      local before = run(server, "return kept.room:cursor()")
      local where = "do:2: bad argument #%d to 'publish' (%s)"
      for arguments, expected in pairs {
        [""] = { 1, "data; or event, data expected" },
        ["1, 2, 3"] = { 3, "data; or event, data expected" },
        ["lunesse.event { id = 7 }"] = { 1, "a channel's events get their ids from the engine" },
        ["'a\\nb', 'x'"] = { 1, "an event name has no line break and no NUL" },
        ["kept.room"] = { 1, "Event expected, got Channel" },
        ["lunesse.event { data = 'x' }, 1"] = { 1, "string expected, got Event" },
        ["'e', lunesse.event { data = 'x' }"] = { 2, "string expected, got Event" },
        ["nil"] = { 1, "string expected, got nil" },
        ["print"] = { 1, "string expected, got function" },
        ["'e', nil"] = { 2, "string expected, got nil" },
      } do
        assert.equal(where:format(table.unpack(expected)),
          run(server, "\nreturn kept.room:publish(" .. arguments .. ")"), arguments)
      end
      assert.equal(before, run(server, "return kept.room:cursor()"))
    end)

  it("refuses to be called on anything but a channel", function()
    assert.equal("do:1: bad argument #1 to 'publish' (Channel expected, got table)",
      run(server, "return kept.room.publish({}, 'x')"))
    assert.equal("do:1: bad argument #1 to 'publish' (Channel expected, got no value)",
      run(server, "return kept.room.publish()"))
  end)

  it("answers EMSGSIZE to an event larger than the channel's bytes, and takes no number then",
    function()
      local before = run(server, "return kept.room:cursor()")
      assert.equal("nil the event is larger than the channel's bytes EMSGSIZE",
        run(server, "return kept.room:publish(('x'):rep(1000))"))
      assert.equal(hub.further(before, 1), run(server, "return kept.room:publish(('x'):rep(900))"))
      assert.equal("nil the event is larger than the channel's bytes EMSGSIZE",
        run(server, "return channel('none', { bytes = 0 }):publish('')"))
    end)
end)

describe("the options of a channel", function()
  it("are changed by a later call, but only those that it names", function()
    local server = hub.start_inside()
    hub.keep(server, "room", "{ history = 5, on_lag = 'skip', reset_event = 'again' }")
    hub.publish_numbers(server, "room", 1, 20)
    hub.keep(server, "room", "{ bytes = 100000 }")
    hub.keep(server, "room", "{}")
    hub.keep(server, "room")
    local stream = hub.open(server, "room", { since = "earliest", last_event_id = "x" })
    assert.equal("again", stream:event().type)
    assert.equal(hub.numbers(16, 20), hub.data(stream, 5))
    stream:close()
    hub.keep(server, "room", "{ history = 2 }")
    stream = hub.open(server, "room", { since = "earliest", last_event_id = "x" })
    assert.equal("again", stream:event().type)
    assert.equal("19 20", hub.data(stream, 2))
    stream:close()
  end)

  it("are not touched by a call that is refused", function()
    local server = hub.start_inside()
    hub.keep(server, "room", "{ history = 5 }")
    assert.matches("bad argument", run(server, "channel('room', { history = 1, ttl = 'x' })"))
    hub.publish_numbers(server, "room", 1, 20)
    local stream = hub.open(server, "room", { since = "earliest" })
    assert.equal(hub.numbers(16, 20), hub.data(stream, 5))
    stream:close()
  end)
end)

describe("subscribers", function()
  it("counts the streams that are on the channel, as they come and leave", function()
    local server = hub.start_inside()
    hub.keep(server, "room")
    local streams = {}
    for i = 1, 5 do
      streams[i] = hub.open(server, "room,other")
      streams[i]:comment()
      assert.equal(i, hub.subscribers(server, "room"))
    end
    for i = 1, 5 do
      streams[i][i % 2 == 0 and "close" or "reset"](streams[i])
      hub.await_subscribers(server, "room", 5 - i)
    end
    assert.equal(0, hub.subscribers(server, "other"))
  end)
end)

describe("cursor", function()
  it("is the place before the first event, then the id of the newest", function()
    local server = hub.start_inside()
    hub.keep(server, "room")
    local before = run(server, "return kept.room:cursor()")
    assert.matches("^%x+%-0$", before)
    local id = hub.publish(server, "room", "x")
    assert.equal(hub.further(before, 1), id)
    assert.equal(id, run(server, "return kept.room:cursor()"))
  end)

  it("stays when the history goes", function()
    local server = hub.start_inside()
    hub.keep(server, "room", "{ history = 0 }")
    local id = hub.publish_numbers(server, "room", 1, 3)
    assert.equal(id, run(server, "return kept.room:cursor()"))
  end)
end)

describe("close", function()
  it("delivers what was published in the same turn, and then ends the readers properly", function()
    local server = hub.start_inside [[
server:get("/room", function(_, response)
  response:on("close", function(reason) mark("close", reason) end)
  response.sse:subscribe(env.kept.room)
end)
]]
    hub.keep(server, "room")
    local stream = server:stream("/room")
    stream:comment()
    local old = server:stream("/room", { version = "1.0" })
    assert.equal("true true", run(server, [[
      for n = 1, 3 do kept.room:publish(n) end
      return kept.room:close(), kept.room:close()]]))
    assert.equal("done", stream:finish())
    assert.equal("closed", old:finish())
    for _, reader in ipairs { stream, old } do
      assert.equal("1 2 3", hub.data(reader, 3))
      assert.equal(3, #reader.parser.events)
      reader:close()
    end
    hub.await_marks(server, { "close finished", "close finished" })
  end)

  it("makes every method answer that it is closed", function()
    local server = hub.start_inside [[
server:get("/late", function(_, response)
  local sse = response.sse
  mark(tostring((sse:subscribe(env.kept.room))), select(2, sse:subscribe(env.kept.room)),
    select(3, sse:subscribe(env.kept.room)), tostring(response.headers_sent))
  mark(tostring(sse:unsubscribe(env.kept.room)))
  response:send("plain")
end)
]]
    hub.keep(server, "room")
    hub.publish(server, "room", "x")
    assert.equal("nil closed ECLOSED",
      run(server, "kept.room:close() return kept.room:publish('x')"))
    assert.equal("0 room", run(server, "return kept.room.subscribers, kept.room.name"))
    assert.matches("%-1$", run(server, "return kept.room:cursor()"))
    local response = server:request { target = "/late", headers = { Accept = "text/event-stream" } }
    assert.equal("plain", response.body)
    hub.await_marks(server, { "nil closed ECLOSED false", "false" })
  end)

  it("lets a new channel of that name begin, empty and with another epoch", function()
    local server = hub.start_inside()
    hub.keep(server, "room", "{ history = 7 }")
    local id = hub.publish_numbers(server, "room", 1, 9)
    local epoch = hub.parts(id)
    run(server, "kept.old = kept.room kept.room:close()")
    assert.equal("false", run(server, "kept.room = channel('room') return kept.room == kept.old"))
    local new_epoch, number = hub.parts(hub.publish(server, "room", "new"))
    assert.not_equal(epoch, new_epoch)
    assert.equal(1, number)
    local stream = hub.open(server, "room", { since = "earliest", last_event_id = id })
    assert.equal("epoch", hub.notice(stream:event()).reason)
    assert.equal("new", hub.data(stream, 1))
    stream:close()
  end)

  it("ends a stream only with the last of its channels", function()
    local server = hub.start_inside()
    hub.keep(server, "a")
    hub.keep(server, "b")
    local stream = hub.open(server, "a,b")
    hub.await_subscribers(server, "b", 1)
    run(server, "kept.a:publish('one') kept.a:close()")
    assert.equal("one", hub.data(stream, 1))
    hub.meet_workers(server)
    run(server, "kept.b:publish('two')")
    assert.equal("two", hub.data(stream, 1))
    assert.matches("^%x+%-1$", stream.parser.last_event_id)
    run(server, "kept.b:publish('three') kept.b:close()")
    assert.equal("three", hub.data(stream, 1))
    assert.equal("done", stream:finish())
    stream:close()
  end)

  it("of a channel whose last events are many lets readers have them all", function()
    local server = hub.start_inside()
    for _, size in ipairs { 1000, 262144, 300000, 900000 } do
      hub.keep(server, "room")
      local stream = hub.open(server, "room")
      hub.await_subscribers(server, "room", 1)
      run(server, [[
        lunesse.after(0, function() kept.room:publish(('x'):rep(%d)) end)
        lunesse.after(0, function() kept.room:close() end)]], size)
      assert.equal("done", stream:finish())
      assert.equal(size, #stream:event().data)
      stream:close()
    end
  end)

  it("leaves nothing of a channel that was kept by nobody", function()
    local server = support.start [[
do lunesse.channel("room"):close() end
collectgarbage()
server:get("/", function(_, response) response:send("ok") end)
]]
    assert.equal("ok", support.get(server, "/"))
  end)
end)
