-- Plain answers and streaming by hand: every method, what it puts on the wire and what it refuses.

local support = require "spec.sse.support"
local wire = require "spec.support.wire"

local start, get = support.start_inside, support.get

---The answer of a handler made of `text`.
local function answer(text, request)
  local server = start(("server:any('/', function(request, response)\n%s\nend)"):format(text))
  local response = server:request(request or {})
  eventually(function()
    return support.access_line(server, "/")
  end)
  return response, server
end

describe("send", function()
  it("sends the whole answer, with its length, as plain text unless told otherwise", function()
    local response = answer 'response:send("höllo")'
    assert.same({ 200, "höllo", "text/plain; charset=utf-8", "6" }, { response.status,
      response.body, response.headers["content-type"], response.headers["content-length"] })
    response = answer 'response:type("text/html"):send("<p>")'
    assert.equal("text/html", response.headers["content-type"])
    response = answer 'response:header("content-type", "a/b"):send("x")'
    assert.equal("a/b", response.headers["content-type"])
  end)

  it("sends nothing for nil and an empty string, and no type then", function()
    for _, call in ipairs { "response:send()", "response:send(nil)", 'response:send("")' } do
      local response = answer(call)
      assert.same({ 200, "", "0" },
        { response.status, response.body, response.headers["content-length"] })
      assert.is_nil(response.headers["content-type"])
    end
  end)

  it("takes numbers, and bytes of every value", function()
    assert.equal("42", (answer "response:send(42)").body)
    local all = {}
    for byte = 0, 255 do
      all[#all + 1] = string.char(byte)
    end
    assert.equal(table.concat(all), (answer [[
      local all = {}
      for byte = 0, 255 do all[#all + 1] = string.char(byte) end
      response:send(table.concat(all))
    ]]).body)
  end)

  it("answers true, and raises the second time, at the caller's line", function()
    local response, server = answer [[
      mark(tostring(response:send("one")))
      for _, call in ipairs {
        function() response:send("two") end,
        function() response:json({}) end,
        function() response:redirect("/") end,
        function() response:status(404) end,
        function() response:header("X-A", "1") end,
        function() response:cookie("a", "b") end,
        function() response:type("a/b") end,
        function() response:write_head(200) end,
      } do
        local ok, message = pcall(call)
        mark(tostring(ok), message:match("script.lua:%d+: the %a+ is (already sent)$") or message)
      end
      mark(tostring(response:write("x")), select(2, response:write("x")))
      mark(tostring(response:finish("x")), tostring(response.completed))
    ]]
    assert.equal("one", response.body)
    support.await_marks(server, {
      "true", "false already sent", "false already sent", "false already sent",
      "false already sent", "false already sent", "false already sent", "false already sent",
      "false already sent", "nil closed ECLOSED", "nil true",
    })
  end)

  it("raises for tables, and says what to use", function()
    local _, server = answer [[
      mark(select(2, pcall(function() response:send({}) end)))
      mark(select(2, pcall(function() response:send(print) end)))
      response:send("x")
    ]]
    local marks = support.marks(server)
    assert.matches("script.lua:2: .*send tables with json", marks[1])
    assert.matches("script.lua:3: bad argument #1 to 'send'", marks[2])
  end)

  it("sends no body for 204 and 304, whatever is passed", function()
    for _, status in ipairs { 204, 304 } do
      local server = start(([[
server:get("/", function(_, response) response:status(%d):send("body") end)
server:get("/next", function(_, response) response:send("next") end)
]]):format(status))
      local client = server:connect()
      client:send(wire.request {} .. wire.request { target = "/next" })
      local response = client:response()
      assert.same({ status, "" }, { response.status, response.body })
      assert.equal("next", client:response().body)
      client:close()
    end
  end)
end)

describe("status, header and type", function()
  it("chain, and can be read", function()
    local response = answer [[
      assert(response:status() == 200 and response:header("X-A") == nil)
      local same = response:status(201):header("X-A", "1"):header("x-a", "2"):add_header("X-A", "3")
      assert(same == response and response:status() == 201 and response:header("x-A") == "2")
      assert(response:type("a/b") == response and response:header("Content-Type") == "a/b")
      response:send(tostring(response.headers_sent))
    ]]
    assert.same({ 201, "2, 3", "a/b", "false" }, { response.status, response.headers["x-a"],
      response.headers["content-type"], response.body })
  end)

  it("raise for what is no status, name or value", function()
    local _, server = answer [[
      for _, bad in ipairs { 99, 199, 600, 0, -1, 200.5, "x", {} } do
        mark(tostring((pcall(response.status, response, bad))))
      end
      for _, bad in ipairs { "", "a b", "a:", "é", "a\0", {}, true } do
        mark(tostring((pcall(response.header, response, bad, "1"))))
      end
      for _, bad in ipairs { " a", "a ", "\ta", "a\127", "\1", {}, true } do
        mark(tostring((pcall(response.header, response, "X-A", bad))))
      end
      response:header("X-Fine", "ü\t x"):header("X-Empty", ""):send("x")
    ]]
    local marks = support.marks(server)
    assert.equal(22, #marks)
    for i, mark in ipairs(marks) do
      assert.equal("false", mark, i)
    end
  end)

  it("take many headers, but not without bound", function()
    local response, server = answer [[
      for i = 1, 50 do response:header("X-" .. i, ("v"):rep(1000)) end
      mark(tostring((pcall(response.header, response, "X-Large", ("v"):rep(70000)))))
      response:send("x")
    ]]
    assert.equal(1000, #response.headers["x-50"])
    assert.same({ "false" }, support.marks(server))
  end)
end)

describe("json", function()
  it("sends JSON with its type, unless there is another", function()
    local response = answer 'response:json { a = { 1, "x", lunesse.json.null } }'
    assert.same({ '{"a":[1,"x",null]}', "application/json" },
      { response.body, response.headers["content-type"] })
    response = answer 'response:type("application/problem+json"):status(400):json { "x" }'
    assert.same({ 400, '["x"]', "application/problem+json" },
      { response.status, response.body, response.headers["content-type"] })
    assert.equal("null", (answer "response:json(lunesse.json.null)").body)
    assert.equal('"x"', (answer 'response:json("x")').body)
    assert.equal("false", (answer "response:json(false)").body)
  end)

  it("raises for what JSON cannot hold, at the caller's line, and the answer is a 500", function()
    local response, server = answer "response:json { 0/0 }"
    assert.equal(500, response.status)
    assert.equal(1, #server:log_lines('error="' .. server.folder .. "/script.lua:2: "))
  end)
end)

describe("redirect", function()
  it("is 302 with Location, or another status of its kind", function()
    local response = answer 'response:redirect("/there?x=1")'
    assert.same({ 302, "/there?x=1", "" },
      { response.status, response.headers["location"], response.body })
    assert.equal(308, (answer 'response:redirect("/x", 308)').status)
  end)

  it("raises for a status that is none, and for bytes that no header holds", function()
    local _, server = answer [[
      mark(select(2, pcall(function() response:redirect("/x", 200) end)))
      mark(select(2, pcall(function() response:redirect("/x\r\nX: 1") end)))
      mark(select(2, pcall(function() response:redirect() end)))
      response:send("x")
    ]]
    for i, mark in ipairs(support.marks(server)) do
      assert.matches(("script.lua:%d: "):format(i + 1), mark)
    end
  end)
end)

describe("cookie", function()
  it("is written with its options, in a fixed order, one field each", function()
    local response = answer [[
      response:cookie("a", "1"):cookie("b", "2", {
        path = "/x", domain = "example.org", max_age = 60, expires = 784111777, secure = true,
        http_only = true, same_site = "lax",
      }):cookie("c", 5, { secure = false, max_age = 0, same_site = "NONE" }):cookie("d", "")
        :cookie("e", "!#$%&'()*+-./:<=>?@[]^_`{|}~"):send("x")
    ]]
    local cookies = {}
    for _, field in ipairs(response.fields) do
      if field[1] == "Set-Cookie" then
        cookies[#cookies + 1] = field[2]
      end
    end
    assert.same({
      "a=1",
      "b=2; Path=/x; Domain=example.org; Max-Age=60; " ..
        "Expires=Sun, 06 Nov 1994 08:49:37 GMT; Secure; HttpOnly; SameSite=Lax",
      "c=5; Max-Age=0; SameSite=None", "d=", "e=!#$%&'()*+-./:<=>?@[]^_`{|}~",
    }, cookies)
  end)

  it("raises for names, values and options that a cookie cannot have", function()
    local _, server = answer [[
      for i, arguments in ipairs {
        { "", "x" }, { "a b", "x" }, { "a=b", "x" }, { 5, "x" }, { "a;", "x" }, { "a\n", "x" },
        { "a", "x;y" }, { "a", "x y" }, { "a", 'x"' }, { "a", "x,y" }, { "a", "x\\y" },
        { "a", "x\r\nX: 1" }, { "a", "é" }, { "a", "x", { path = "/;x" } },
        { "a", "x", { domain = "a\nb" } }, { "a", "x", { max_age = "60" } },
        { "a", "x", { max_age = 1.5 } }, { "a", "x", { expires = "now" } },
        { "a", "x", { same_site = "maybe" } }, { "a", "x", { httponly = true } },
      } do
        local ok, message = pcall(function() response:cookie(table.unpack(arguments)) end)
        mark(tostring(ok), message:match("script.lua:%d+") or message)
      end
      response:send("x")
    ]]
    local marks = support.marks(server)
    assert.equal(20, #marks)
    for i, mark in ipairs(marks) do
      assert.equal("false script.lua:10", mark, i)
    end
  end)

  it("names the options that a cookie has, for one that it has not", function()
    local response = answer [[
      local _, message = pcall(function() response:cookie("a", "b", { httponly = true }) end)
      response:send(message)
    ]]
    assert.matches("unknown cookie option 'httponly'; there are path, domain, .*same_site, sign$",
      response.body)
  end)
end)

describe("streaming by hand", function()
  it("is write_head, write and finish, in chunks", function()
    local response = answer [[
      response:header("X-Kept", "1")
      assert(response:write_head(201, { ["Content-Type"] = "text/csv", ["X-Many"] = { "a", "b" } })
        == response)
      assert(response.headers_sent and not response.completed)
      assert(response:write("one") == true)
      assert(response:write("") == true)
      lunesse.sleep(0.001)
      assert(response:write("two"))
      assert(response:finish("three") == true and response.completed)
    ]]
    assert.equal(201, response.status)
    assert.same({ "one", "two", "three" }, response.chunks)
    assert.same({ "text/csv", "a, b", "1" }, { response.headers["content-type"],
      response.headers["x-many"], response.headers["x-kept"] })
  end)

  it("sends the head by itself with the first write, and finish alone is a whole answer", function()
    local response = answer 'response:status(202):write("x") response:finish()'
    assert.same({ 202, { "x" } }, { response.status, response.chunks })
    response = answer 'response:finish("whole")'
    assert.same({ "whole", "length" }, { response.body, response.framing })
    response = answer "response:finish()"
    assert.same({ "", "length" }, { response.body, response.framing })
  end)

  it("ends with the connection in HTTP/1.0", function()
    local response = answer('response:write("a") response:write("b") response:finish("c")',
      { version = "1.0" })
    assert.equal("abc", response.body)
    assert.is_nil(response.headers["transfer-encoding"])
  end)

  it("raises for what cannot be a head, before anything is out", function()
    local response, server = answer [[
      for _, arguments in ipairs {
        { 99 }, { 200, 5 }, { 200, { [1] = "x" } }, { 200, { ["X-A"] = "a\nb" } },
        { 200, { ["Content-Length"] = "5" } }, { "x" }, { 200, { ["X-A"] = { "a", "b\r" } } },
        { 200, { ["X-A"] = {} , ["b c"] = "1" } },
      } do
        mark(tostring((pcall(response.write_head, response, table.unpack(arguments)))),
          tostring(response.headers_sent))
      end
      response:send("x")
    ]]
    assert.equal("x", response.body)
    local marks = support.marks(server)
    assert.equal(8, #marks)
    for _, mark in ipairs(marks) do
      assert.equal("false false", mark)
    end
  end)

  it("can be an event stream, as in Express", function()
    local server = start [[
server:get("/", function(_, response)
  response:write_head(200, { ["Content-Type"] = "text/event-stream" })
  for n = 1, 3 do response:write("data: " .. n .. "\n\n") end
  response:finish()
end)
]]
    local stream = server:stream("/")
    assert.equal("done", stream:finish())
    assert.equal("3", stream.parser.events[3].data)
    stream:close()
  end)

  it("is cut, not finished, when the handler raises", function()
    local server = start [[
server:get("/", function(_, response)
  response:on("close", function(reason) mark("close", reason) end)
  response:write("half")
  error("oh no")
end)
]]
    local bytes, why = support.raw(server, {})
    local _, body = support.split_head(bytes)
    assert.equal(support.chunk("half"), body)
    assert.equal("closed", why)
    support.await_marks(server, { "close failed" })
  end)

  it("is left open by a handler that returns, for others to finish", function()
    local server = start([[
local kept
server:get("/", function(_, response) response:write("one") kept = response end)
server:get("/other", function(_, response) kept:finish("two") response:send("done") end)
]], { workers = 1 })
    local client = server:connect()
    client:send(wire.request {})
    client:head()
    assert.equal("done", get(server, "/other"))
    assert.equal(support.chunks("one", "two"), (client:receive_until("0\r\n\r\n")))
    client:close()
  end)
end)

describe("events on the response", function()
  it("are close, abort, finish, drain and error, and no others", function()
    local _, server = answer [[
      for _, event in ipairs { "close", "abort", "finish", "drain", "error" } do
        assert(response:on(event, print) == response)
        assert(response:once(event, print) == response)
        assert(response:off(event, print) == response)
      end
      mark(tostring((pcall(response.on, response, "data", print))))
      mark(tostring((pcall(response.on, response, "close"))))
      mark(tostring((pcall(response.on, response, "close", {}))))
      response:send("x")
    ]]
    support.await_marks(server, { "false", "false", "false" })
  end)

  it("tell abort when the peer leaves, and error when the handler raises", function()
    local server = start [[
server:get("/error", function(_, response)
  response:on("error", function(message) mark("error", message:match("on purpose$")) end)
  error("on purpose")
end)
server:get("/abort", function(_, response)
  response:on("abort", function() mark("abort") end)
  response:on("finish", function() mark("finish") end)
  response:write("x")
  hold()
end)
]]
    assert.equal(500, server:request({ target = "/error" }).status)
    support.await_marks(server, { "error on purpose" })
    local client = server:connect()
    client:send(wire.request { target = "/abort" })
    client:head()
    client:reset()
    support.await_marks(server, { "error on purpose", "abort" })
  end)
end)

describe("every method after the peer has left", function()
  it("answers nil, 'closed', 'ECLOSED', or the response where it chains; never raises", function()
    local server = start [[
server:get("/", function(_, response)
  mark("started")
  response:once("close", function()
    local function say(name, ...) mark(name, tostring((...)), select(2, ...), select(3, ...)) end
    say("send", response:send("x"))
    say("json", response:json({}))
    say("redirect", response:redirect("/"))
    say("write", response:write("x"))
    say("finish", response:finish())
    mark(tostring(response:status(404):header("X-A", "1"):type("a/b"):add_header("b", "c")
      :cookie("a", "b"):write_head(200, {}) == response))
    mark(tostring(response.headers_sent), tostring(response.completed),
      select(2, response.sse:send("x")))
    mark(tostring(response:header("X-A")))
  end)
  hold()
end)
]]
    local client = server:connect()
    client:send(wire.request {})
    support.await_marks(server, { "started" })
    client:reset()
    support.await_marks(server, {
      "started", "send nil closed ECLOSED", "json nil closed ECLOSED",
      "redirect nil closed ECLOSED", "write nil closed ECLOSED", "finish nil closed ECLOSED",
      "true", "true true closed ECLOSED", "nil",
    })
  end)
end)
