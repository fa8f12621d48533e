-- The log where standard error is a pipe that is not read for a while.

local posix = require "spec_posix"
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
