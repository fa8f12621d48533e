-- The log where standard error is a pipe that is not read for a while.

local posix = require "spec_posix"
local cjson = require "cjson"
local hub = require "spec.hub.support"
local Server = require "spec.support.server"

describe("the log of several workers, in a pipe that is full", function()
  local pipe

  after_each(function()
    posix.close(pipe)
  end)

  it("goes on when it is read, though who wrote a record by half has no more to say", function()
    local path = Server.write {} .. "/log"
    pipe = assert(posix.open_pipe(path))
    local server = hub.start(nil, { workers = 2, stderr = path })
    local first, second = hub.connect(server, 1), hub.connect(server, 2)
    hub.run(second, [[
      local fields = {}
      for i = 1, 8 do fields["f" .. i] = ("x"):rep(16000) end -- together twice what a pipe takes
      lunesse.log.warn("long", fields)]])
    hub.run(first, "lunesse.log.warn('short')")
    local log = ""
    eventually(function()
      log = log .. (posix.receive(pipe, 65536, 0) or "")
      hub.run(first, "lunesse.log.warn('later')")
      return log:find("later\n", 1, true)
    end)
    local texts = {}
    for line in log:gmatch("([^\n]*)\n") do
      local text, fields = line:match("^%d%d%d%d%-[%d%-T:.]+Z warn (%a+)(.*)$")
      if text then
        texts[#texts + 1] = text
        assert.equal(text == "long" and 8 * #(" f1=" .. ("x"):rep(16000)) or 0, #fields)
      else
        assert.matches("^%d%d%d%d%-[%d%-T:.]+Z info request ", line)
      end
    end
    assert.equal("long short later", table.concat(texts, " ", 1, 3))
    server:stop()
  end)
end)

describe("the log of a text", function()
  -- What a terminal obeys, or what shows a line in another order than it has.
  local UNSEEN = {
    { "\u{80}", "0080" }, { "\u{9b}", "009b" }, { "\u{9f}", "009f" }, { "\u{61c}", "061c" },
    { "\u{200e}", "200e" }, { "\u{200f}", "200f" }, { "\u{2028}", "2028" },
    { "\u{202a}", "202a" }, { "\u{202e}", "202e" }, { "\u{2066}", "2066" },
    { "\u{2069}", "2069" },
  }
  -- Their neighbours, and what people write with.
  local SEEN = { "\u{a0}", "\u{61b}", "\u{200d}", "\u{2027}", "\u{202f}", "\u{2065}", "\u{206a}",
    "ü" }

  for format, value in pairs { text = 'v="%s"', json = '"v":"%s"' } do
    it("escapes C1 controls and what turns the direction, as " .. format, function()
      local script = {}
      for _, pair in ipairs(UNSEEN) do
        script[#script + 1] = ("lunesse.log.info('x%s', { v = 'a%sb%s' })")
          :format(pair[1], pair[1], pair[1])
      end
      for _, char in ipairs(SEEN) do
        script[#script + 1] = ("lunesse.log.info('x', { v = '%s' })"):format(char)
      end
      script = 'local lunesse = require "lunesse"\nlunesse.server()\n' .. table.concat(script, "\n")
      local server = Server.start(script, { workers = 1, args = { "--log-format", format } })
      local log = server:log()
      for _, pair in ipairs(UNSEEN) do
        assert.falsy(log:find(pair[1], 1, true))
        assert.truthy(log:find(('"x\\u%s"'):format(pair[2]), 1, true))
        local shown = ("a\\u%sb\\u%s"):format(pair[2], pair[2])
        assert.truthy(log:find(value:format(shown), 1, true), shown)
      end
      for _, char in ipairs(SEEN) do
        assert.truthy(log:find(value:format(char), 1, true), char)
      end
    end)
  end
end)

describe("the fields of a script's record", function()
  local FIELDS = [[
local lunesse = require "lunesse"
lunesse.server()
local circle = {}
circle.circle = circle
lunesse.log.info("fields", {
  n = 3, big = math.maxinteger, f = 0.5, yes = true, no = false, s = "3", inf = 1 / 0,
  nan = 0 / 0, negated = -(0 / 0),
  list = { 1, "two", { three = true } }, object = { a = { b = "c" } }, null = lunesse.json.null,
  circle = circle, fn = print, said = setmetatable({}, { __tostring = function() return "me" end }),
  long = { ("x"):rep(20000) }, hidden = { "\u{202e}\u{9b}\127ü" },
})
]]

  local function record(format)
    local server = Server.start(FIELDS, { workers = 1, args = { "--log-format", format } })
    return server:log():match("[^\n]*fields[^\n]*")
  end

  it("stay numbers, booleans, arrays and objects in the JSON log", function()
    local line = record "json"
    local fields = cjson.decode(line)
    assert.truthy(line:find('"n":3,', 1, true))
    assert.truthy(line:find('"big":9223372036854775807,', 1, true))
    assert.same({ 0.5, true, false, "3", "inf", "nan", "nan" }, { fields.f, fields.yes, fields.no,
      fields.s, fields.inf, fields.nan, fields.negated })
    assert.same({ 1, "two", { three = true } }, fields.list)
    assert.same({ a = { b = "c" } }, fields.object)
    assert.equal(cjson.null, fields.null)
    assert.matches("^table: 0x", fields.circle)
    assert.matches("^function: ", fields.fn)
    assert.equal("me", fields.said)
    assert.equal('["' .. ("x"):rep(16 * 1024 - 2), fields.long) -- clipped, so it is a text
    assert.truthy(line:find('["\\u202e\\u009b\\u007fü"]', 1, true))
    assert.equal("\u{202e}\u{9b}\127ü", fields.hidden[1])
  end)

  it("are shown as that JSON in the text log", function()
    local line = record "text"
    for _, field in ipairs { "n=3", "f=0.5", "yes=true", "no=false", "s=3", "inf=inf", "nan=nan",
      "negated=nan", "null=null",
      "said=me", [==[list="[1,\"two\",{\"three\":true}]"]==],
      [==[object="{\"a\":{\"b\":\"c\"}}"]==] } do
      assert.truthy((line .. " "):find(" " .. field .. " ", 1, true), field .. " in " .. line)
    end
  end)
end)

describe("a mistake that keeps the program from serving", function()
  local HELLO = 'local lunesse = require "lunesse"\nlunesse.server()\n'

  for _, case in ipairs {
    { "an option", 2, { "--nothing" }, "^%-%-nothing: no such option" },
    { "an option's value", 2, { "--port", "x" }, "^%-%-port 'x': a number" },
    { "an option without its value", 2, { "--port" }, "a value expected", after = true },
    { "a switch with a value", 2, { "--dev=yes" }, "^%-%-dev=yes: no value expected" },
    { "a letter", 2, { "-p" }, "^%-p: no such option" },
    { "a limit", 2, { "--limit", "x=1" }, "^%-%-limit x: no such limit; there are head_bytes," },
    { "two addresses", 2, { "--unix", "/tmp/x", "--port", "1" }, "leave out" },
    { "no script", 2, {}, "^name a script", script = false },
    { "a script that is not there", 1, {}, "^cannot read ", script = "/nowhere/none.lua" },
    { "a script's error", 1, {}, "%.lua:3: oops$", text = 'error("oops")' },
    { "an address that is not ours", 1, { "--host", "192.0.2.1" }, "^cannot listen on 192.0.2.1" },
    { "passed sockets", 1, {}, "^LISTEN_FDS 'x'",
      wrap = Server.under 'export LISTEN_FDS=x LISTEN_PID=$$' },
  } do
    it("is one JSON record with --log-format json: " .. case[1], function()
      local script = case.script or
        Server.write { ["a.lua"] = HELLO .. (case.text or "") } .. "/a.lua"
      for _, place in ipairs { "before", "after" } do
        local words = { table.unpack(case[3]) }
        table.insert(words, place == "before" and 1 or #words + 1, "--log-format=json")
        if case.after then -- takes what follows for its value
          words = { "--log-format=json", script, "--port" }
        elseif case.script ~= false then
          words[#words + 1] = script
        end
        local code, out, err = Server.run(words, { wrap = case.wrap })
        assert.same({ case[2], "" }, { code, out }, err)
        local record = cjson.decode(err)
        assert.equal("error", record.level)
        assert.matches(case[4], record.text)
        assert.equal(1, select(2, err:gsub("\n", "")))
      end
    end)
  end
end)
