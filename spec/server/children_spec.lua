-- Commands that scripts have started: what becomes of them when the server ends.

local support = require "spec.sse.support"
local posix = require "spec_posix"
local Process = require "spec.support.process"
local Server = require "spec.support.server"

describe("a command of a script, when the server ends,", function()
  local folder

  -- Starts a server whose script runs `starts`. The command %s waits until somebody writes into the
  -- pipe "go", and then leaves the file "done".
  local function start(starts)
    local command = ("read line <%s/go; echo >%s/done"):format(folder, folder)
    return support.start(starts:format(command) .. [[
server:get("/", function(_, response) response:send("hello\n") end)
]], { workers = 1 })
  end

  local function is_done()
    return io.open(folder .. "/done") ~= nil
  end

  -- Lets the command go on. It has the pipe open for reading, or this would wait.
  local function let_go_on()
    Process.write_file(folder .. "/go", "on\n")
  end

  before_each(function()
    folder = assert(posix.make_folder())
    assert(os.execute("mkfifo " .. folder .. "/go"))
  end)

  after_each(function()
    Process.remove_folder(folder)
  end)

  it("is waited for where io.popen has started it", function()
    local server = start "PIPE = io.popen('%s')\n"
    server.process:signal "TERM"
    eventually(function() return #server:log_lines(" info stopping ") == 1 end)
    assert.is_false(is_done())
    let_go_on()
    assert.equal(0, (server.process:wait(5)))
    assert.is_true(is_done())
  end)

  it("is left by a second signal where io.popen has started it", function()
    if Server.holds_signals_back() then
      return pending("ThreadSanitizer holds signals back from a thread that is stuck")
    end
    local server = start "PIPE = io.popen('%s')\n"
    server.process:signal "TERM"
    eventually(function() return #server:log_lines(" info stopping ") == 1 end)
    server.process:signal "TERM"
    local _, why = server.process:wait(5)
    assert.equal("signal 15", why)
    server:kill()
    let_go_on()
    eventually(is_done)
  end)

  it("stays where it has an `&`", function()
    local server = start "os.execute('(%s) &')\n"
    server:stop()
    assert.is_false(is_done())
    let_go_on()
    eventually(is_done)
  end)
end)
