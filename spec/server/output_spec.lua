-- What scripts print: it leaves once a turn, and nobody waits for whoever reads it.

local lfs = require "lfs"
local posix = require "spec_posix"
local Server = require "spec.support.server"
local Process = require "spec.support.process"
local support = require "spec.sse.support"
local wire = require "spec.support.wire"

local PRINTED = [[
print()
print("a", 1, nil, true, 2.0)
print(setmetatable({}, { __tostring = function() io.write("[in] ") return "an object" end }))
assert(io.write("b", 1, "\n") == io.stdout)
assert(io.stdout:write("c", "\n"):write("d\n") == io.stdout)
io.output():write("e\n")
assert(io.stdout:flush() and io.flush())
assert(not pcall(print, setmetatable({}, { __tostring = function() return {} end })))
assert(select(2, io.stdout:close()) == "cannot close standard file")
local name = os.tmpname()
io.output(name)
io.write("in a file")
io.close()
io.output(io.stdout)
io.write(io.open(name):read("a"), "\n")
os.remove(name)
print(("x"):rep(100000))
]]
local EXPECTED = "\na\t1\tnil\ttrue\t2.0\n[in] an object\nb1\nc\nd\ne\nin a file\n" ..
  ("x"):rep(100000) .. "\n"

-- As much as a pipe takes, many times over.
local FLOOD = [[
local line = ("x"):rep(1000)
server:get("/print", function(_, response)
  for _ = 1, 200 do print(line) end
  response:send("printed")
end)
server:get("/write", function(_, response)
  for _ = 1, 200 do io.write(line, "\n") io.stdout:write(line, "\n"):flush() end
  response:send("printed")
end)
server:get("/error", function(_, response)
  for _ = 1, 200 do io.stderr:write(line, "\n") end
  response:send("printed")
end)
server:get("/plain", function(_, response) response:send("plain") end)
]]

---A server on the Unix socket `path` whose standard output or error (`stream`, 1 or 2) is the pipe
---`pipe`; the other one is kept.
local function start(script, folder, stream, words)
  local file = folder .. "/a.lua"
  Process.write_file(file, support.script(script))
  local redirect = ('exec "$@" %d>%s'):format(stream, folder .. "/pipe")
  local command = { "sh", "-c", redirect, "sh", Server.binary(), "--unix", folder .. "/l.sock" }
  table.move(words or {}, 1, #(words or {}), #command + 1, command)
  command[#command + 1] = file
  return Process.start(command)
end

local function ask(folder, target)
  local client = wire.connect { unix = folder .. "/l.sock" }
  client:send(wire.request { target = target })
  local body = client:response().body
  client:close()
  return body
end

describe("what a script prints", function()
  it("is what Lua's own functions print, in their order", function()
    local server = support.start(PRINTED, { workers = 1 })
    eventually(function()
      return server:stdout():find("listening on", 1, true)
    end)
    assert.equal(EXPECTED, server:stdout():sub(1, #EXPECTED))
  end)

  it("leaves at the end of the turn", function()
    local server = support.start([[
server:get("/", function(_, response)
  print("at once")
  response:send("x")
  hold()
end)
]], { workers = 1 })
    server:request {}
    eventually(function()
      return server:stdout():find("at once\n", 1, true)
    end)
  end)

  it("is there to its last byte with --check, however slowly it is read", function()
    local folder = Server.write { ["a.lua"] = support.script [[
for _ = 1, 3000 do print(("x"):rep(999)) end
server:get("/", print)
]] }
    local line = ('"%s" --check "%s" | { read first; sleep 0.1; cat; } | wc -c'):format(
      Server.binary(), folder .. "/a.lua")
    local code, out = Process.run({ "sh", "-c", line }, { seconds = 10 })
    assert.equal(0, code)
    local rest = tonumber(out) - 2999 * 1000
    assert.is_true(rest > 0 and rest < 200, out) -- the route
  end)
end)

describe("standard output that nobody reads", function()
  local folder, pipe

  before_each(function()
    folder = Server.write {}
    pipe = assert(posix.open_pipe(folder .. "/pipe"))
  end)

  after_each(function()
    posix.close(pipe)
  end)

  local function await(server)
    eventually(function()
      assert(not server:has_ended(), server:stderr())
      return lfs.attributes(folder .. "/l.sock", "mode") == "socket" and ask(folder, "/plain")
    end, 5)
  end

  for _, target in ipairs { "/print", "/write" } do
    it("holds nobody up, at " .. target .. ", and the log counts what was lost", function()
      local server = start(FLOOD, folder, 1, { "--workers=2" })
      await(server)
      for _ = 1, 10 do
        assert.equal("printed", ask(folder, target))
        assert.equal("plain", ask(folder, "/plain"))
      end
      eventually(function()
        return server:stderr():find(
          "warn output lost: standard output is not being read bytes=%d+\n")
      end)
      server:signal "TERM"
      assert.equal(0, server:wait(2))
      server:forget()
    end)
  end

  it("gets what waited for it when it is read again", function()
    local server = start(FLOOD, folder, 1)
    await(server)
    assert.equal("printed", ask(folder, "/print"))
    local text = ""
    eventually(function()
      text = text .. (posix.receive(pipe, 65536, 0) or "")
      ask(folder, "/plain")
      return select(2, text:gsub(("x"):rep(1000) .. "\n", "")) == 200
    end)
    assert.is_nil(server:stderr():find("lost", 1, true))
    server:signal "TERM"
    assert.equal(0, server:wait(2))
    server:forget()
  end)

  it("does not keep a server from starting whose scripts print much", function()
    local server = start(FLOOD .. 'for _ = 1, 500 do print(("y"):rep(999)) end', folder, 1)
    await(server)
    server:signal "TERM"
    assert.equal(0, server:wait(2))
    server:forget()
  end)

  it("and standard error hold up nobody who writes to it by himself", function()
    local server = start(FLOOD, folder, 2)
    await(server)
    for _ = 1, 50 do
      assert.equal("printed", ask(folder, "/error"))
    end
    server:signal "TERM"
    assert.equal(0, server:wait(2))
    server:forget()
  end)
end)
