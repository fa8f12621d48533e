-- JSON, the log, and the clocks.

local support = require "spec.sse.support"
local cjson = require "cjson"
local Server = require "spec.support.server"
local wall = require("spec.support.clock").wall

local start, get, await_marks = support.start_inside, support.get, support.await_marks

---What a handler made of `text` answers.
local function say(text)
  return get(start(("server:get('/', function(request, response)\n%s\nend)"):format(text)), "/")
end

describe("lunesse.json", function()
  it("round-trips nested values, null, empty strings, NUL and every text", function()
    assert.equal("ok", say [[
      local json = lunesse.json
      local function same(a, b)
        if type(a) ~= "table" then assert(a == b, tostring(a) .. " ~= " .. tostring(b)) return end
        for k, v in pairs(a) do same(v, b[k]) end
        for k in pairs(b) do assert(a[k] ~= nil) end
      end
      for _, value in ipairs {
        { a = { b = { c = { 1, 2, { d = json.null } } } } }, { 1, { 2, { 3 } } },
        { json.null, 1, json.null }, { "" , "\0", "\n\r\t\"\\/", "é\u{1F319}\u{FFFF}" },
        { [""] = "" },
        { true, false }, { 0, -1, 0.5, 1e100, -1e-7, 99999999999999, -99999999999999, 3.25 },
        "text", 12, true, false, json.null,
      } do same(value, json.decode(json.encode(value))) end
      response:send("ok")
    ]])
  end)

  it("is literal: order of arrays, null, numbers without a fraction, escapes", function()
    assert.equal([==[[1,2.5,null,"a\"b\\c\n",false,{"x":{}}]]==], say [==[
      response:send(lunesse.json.encode {
        1, 2.5, lunesse.json.null, 'a"b\\c\n', false, { x = {} },
      })
    ]==])
    assert.equal("[3,3,-0.5,100000000000000000000]", say [[
      response:send(lunesse.json.encode { 3, 3.0, -0.5, 1e20 })
    ]])
  end)

  it("keeps every integer whole on both sides, and all digits of other numbers", function()
    assert.equal("[99999999999999,-99999999999999,0.1,3.141592653589793]", say [[
      response:send(lunesse.json.encode { 99999999999999, -99999999999999, 0.1, math.pi })
    ]])
    assert.equal("ok", say [[
      local json = lunesse.json
      for _, n in ipairs { 0, 3, -3, 10 ^ 14 | 0, (1 << 53) + 1, -(1 << 53) - 1, math.maxinteger,
        math.mininteger, 1234567890123456789 } do
        assert(json.encode(n) == ("%d"):format(n), json.encode(n))
        local back = json.decode(("%d"):format(n))
        assert(back == n and math.type(back) == "integer", tostring(back))
        local table = json.decode(json.encode { a = { n, json.null, "x" }, b = { c = n } })
        assert(table.a[1] == n and table.a[2] == json.null and table.b.c == n)
      end
      assert(math.type(json.decode("3.0")) == "integer")
      assert(math.type(json.decode("3.5")) == "float")
      response:send("ok")
    ]])
    assert.equal("data: 1234567890123456789\n\n", (function()
      local server = start [[
server:post("/", function(request, response)
  response.sse:send(request:json().id)
  response.sse:close()
end)
]]
      local stream = server:stream("/", { method = "POST", body = '{"id":1234567890123456789}' })
      stream:finish()
      stream:close()
      return stream.chunked.chunks[2]
    end)())
  end)

  it("answers nil, a message and EJSON for what is no JSON", function()
    assert.equal("ok", say [[
      for _, text in ipairs { "", " ", "{", "[1,", "nul", "'x'", "{a:1}", "[1] x", "\"", "01x",
        "[1,]", "{\"a\"}", ("["):rep(200) .. ("]"):rep(200), "[1]\0garbage", "[1]\0", "\"\0\"" } do
        local value, message, code = lunesse.json.decode(text)
        assert(value == nil and type(message) == "string" and code == "EJSON", text)
      end
      assert(lunesse.json.decode("null") == lunesse.json.null)
      assert(lunesse.json.decode("false") == false)
      response:send("ok")
    ]])
  end)

  it("raises for what JSON cannot hold, at the caller's line", function()
    local server = start [[
server:get("/", function(_, response)
  local loop = {} loop[1] = loop
  local thread = coroutine.create(print)
  for _, value in ipairs { { 0/0 }, { 1/0 }, { -1/0 }, { print }, loop, { [{}] = 1 }, thread } do
    local ok, message = pcall(function() lunesse.json.encode(value) end)
    mark(tostring(ok), message:match("script.lua:%d+: ") or message)
  end
  mark(tostring((pcall(lunesse.json.decode, 5))), tostring((pcall(lunesse.json.decode))))
  response:send("x")
end)
]]
    get(server, "/")
    local expected = {}
    for i = 1, 7 do
      expected[i] = "false script.lua:5: "
    end
    expected[8] = "false false"
    await_marks(server, expected)
  end)
end)

describe("lunesse.log", function()
  local NASTY = [[
lunesse.log.info("plain", { a = 1, b = "two words", c = true, d = "", e = "x=y" })
lunesse.log.warn("line\nbreak \"quoted\" \\ \0 \27 \127 \xff é",
  { t = "line\nbreak \"q\" \\ \0 \xff" })
lunesse.log.error("\n")
lunesse.log.info("")
lunesse.log.info("number", {
  n = 1.5, i = -3, t = setmetatable({}, { __tostring = function() return "obj\n" end }),
})
lunesse.log.debug("not shown")
lunesse.log.info("no fields", nil)
lunesse.log.info("2026-01-01T00:00:00.000Z error forged level=error")
server:get("/", function() end)
]]

  it("writes one line a record, whatever is logged", function()
    local server = support.start(NASTY, { workers = 1 })
    local log = server:log()
    local lines = {}
    for line in log:gmatch("([^\n]*)\n") do
      assert.matches("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ %a+ ", line)
      assert.not_matches("[%c\127]", line)
      assert.truthy(utf8.len(line))
      lines[#lines + 1] = line:gsub("^%S+ ", "")
    end
    assert.equal(7, #lines)
    assert.equal('info plain a=1 b="two words" c=true d="" e="x=y"', lines[1])
    assert.matches('^warn "line\\nbreak \\"quoted\\" \\\\ ', lines[2])
    assert.equal('error "\\n"', lines[3])
    assert.equal('info number i=-3 n=1.5 t="obj\\n"', lines[5])
    assert.equal("info no fields", lines[6])
  end)

  it("writes valid JSON with --log-format json", function()
    local server = support.start(NASTY .. [[
server:get("/a", function(_, response) response:send("x") end)
]], { workers = 1, args = { "--log-format", "json" } })
    server:request { target = "/a?x=%22\\" }
    eventually(function()
      return #server:log_lines('"text":"request"') == 1
    end)
    local records = {}
    for line in server:log():gmatch("([^\n]*)\n") do
      records[#records + 1] = cjson.decode(line)
    end
    assert.equal(8, #records)
    for _, record in ipairs(records) do
      assert.matches("^%d%d%d%d%-%d%d%-%d%dT.*Z$", record.time)
    end
    assert.same({ "info", "plain", "two words" },
      { records[1].level, records[1].text, records[1].b })
    assert.equal("warn", records[2].level)
    assert.matches('^line\nbreak "quoted" \\ \0 \27', records[2].text)
    local access = records[8]
    assert.same({ "request", "GET", 200, 1, "finished" },
      { access.text, access.method, access.status, access.bytes, access.reason })
  end)

  it("shows the levels from --log-level on, all of them with --dev, none with silent", function()
    local function levels(...)
      local server = support.start([[
for _, level in ipairs { "debug", "info", "warn", "error" } do lunesse.log[level]("said") end
]], { workers = 1, args = { ... } })
      local seen = {}
      for level in server:log():gmatch(" (%a+) said\n") do
        seen[#seen + 1] = level
      end
      return table.concat(seen, " ")
    end
    assert.equal("info warn error", levels())
    assert.equal("debug info warn error", levels("--log-level", "debug"))
    assert.equal("warn error", levels("--log-level=warn"))
    assert.equal("error", levels("--log-level", "error"))
    assert.equal("", levels("--log-level", "silent"))
    assert.equal("debug info warn error", levels("--dev"))
  end)

  it("raises for what it cannot write, at the caller's line", function()
    local server = support.start [[
server:get("/", function(_, response)
  local many = {}
  for i = 1, 40 do many["k" .. i] = i end
  for _, arguments in ipairs {
    {}, { {} }, { "x", 5 }, { "x", { [1] = "y" } }, { "x", { ["a b"] = 1 } },
    { "x", { ["a\n"] = 1 } }, { "x", { [""] = 1 } }, { "x", many },
    { "x", { level = "error" } }, { "x", { text = 1 } }, { "x", { time = 1 } },
  } do
    local ok, message = pcall(function() lunesse.log.info(table.unpack(arguments)) end)
    mark(tostring(ok), message and message:match("script.lua:%d+: "))
  end
  response:send("x")
end)
]]
    get(server, "/")
    local expected = {}
    for i = 1, 11 do
      expected[i] = "false script.lua:9: "
    end
    await_marks(server, expected)
  end)

  it("survives a flood without loss or torn lines", function()
    local server = support.start [[
server:get("/", function(_, response)
  for n = 1, 5000 do lunesse.log.info("flood", { n = n, pad = ("x"):rep(50) }) end
  response:send("x")
end)
]]
    get(server, "/")
    eventually(function()
      return #server:log_lines(" info flood n=") == 5000
    end)
    local n = 0
    for line in server:log():gmatch("([^\n]*)\n") do
      local number = line:match(" info flood n=(%d+) pad=x+$")
      if number then
        n = n + 1
        assert.equal(tostring(n), number)
      end
    end
  end)
end)

describe("lunesse", function()
  it("has the time, a clock that only goes forward, the version and the worker", function()
    local before = os.time()
    local server = start([[
server:get("/", function(_, response)
  local one = lunesse.clock()
  lunesse.sleep(0.02)
  local two = lunesse.clock()
  response:json { now = lunesse.now(), passed = two - one, version = lunesse.version,
    worker = lunesse.worker, advance = tostring(lunesse.advance) }
end)
]], { workers = 1 })
    local said = cjson.decode(get(server, "/"))
    assert.is_true(said.now >= before and said.now <= os.time() + 1)
    assert.is_true(said.passed >= 0.019 and said.passed < 1)
    assert.equal(1, said.worker)
    assert.equal("nil", said.advance)
    local _, version = Server.run { "--version" }
    assert.equal("lunesse " .. said.version .. "\n", version)
  end)

  it("has a clock that the test clock moves", function()
    local server = start([[
local began = lunesse.clock()
server:get("/", function(_, response) response:send(tostring(lunesse.clock() - began)) end)
]], { clock = true })
    server:advance(1000)
    local passed = tonumber(get(server, "/"))
    assert.is_true(passed >= 1000 and passed < 1010)
  end)

  it("has a test clock that runs as much slower as the program that is tested", function()
    local server = support.start([[
server:get("/", function(_, response)
  local began = lunesse.clock()
  lunesse.sleep(0.002)
  response:send(tostring(lunesse.clock() - began))
end)
]], { args = { "--test-clock=100" } })
    local began = wall()
    local passed = tonumber(get(server, "/"))
    local waited = wall() - began
    assert.is_true(waited >= 0.1, waited)
    assert.is_true(passed >= 0.001 and passed <= waited / 100, passed .. " of " .. waited)
    for _, times in ipairs { "0", "1025", "-1", "x", "" } do
      local code, _, err = Server.run { "--test-clock=" .. times, "." }
      assert.equal(2, code)
      assert.matches("--test-clock", err, 1, true)
    end
  end)
end)
