-- The question whether somebody listens on a Unix socket waited for ever when that somebody was too
-- busy to accept, so the second server hung instead of saying that the address is in use.

local posix = require "spec_posix"
local unix = require "socket.unix"
local Server = require "spec.support.server"

describe("a Unix socket whose server is too busy to accept", function()
  it("is in use", function()
    local folder = assert(posix.make_folder())
    local path = folder .. "/busy.sock"
    local busy = assert(unix.stream())
    assert(busy:bind(path))
    assert(busy:listen(0))
    local waiting = {}
    for i = 1, 3 do -- fills the backlog
      waiting[i] = assert(unix.stream())
      waiting[i]:settimeout(0.05)
      waiting[i]:connect(path)
    end
    local script = Server.write { ["a.lua"] = [[require("lunesse").server()]] }
    local code, _, err = Server.run({ "--unix", path, script }, { seconds = 5 })
    assert.equal(1, code)
    assert(err:find("Address already in use", 1, true), err)
    busy:close()
    os.remove(path)
    os.remove(folder)
  end)
end)
