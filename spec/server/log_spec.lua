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
