-- The program under a service manager: what it tells it (sd_notify), the sockets that it takes over
-- (sd_listen_fds), and the unit files.

local support = require "spec.sse.support"
local Server = require "spec.support.server"
local Process = require "spec.support.process"
local wire = require "spec.support.wire"
local posix = require "spec_posix"
local lfs = require "lfs"

local start, get = support.start, support.get

local ROUTES = [[
server:get("/plain", function(_, response) response:send("12345") end)
server:get("/held", function(_, response) response.sse:open() hold() end)
server:get("/environment", function(_, response)
  response:json {
    fds = os.getenv("LISTEN_FDS"), pid = os.getenv("LISTEN_PID"),
    names = os.getenv("LISTEN_FDNAMES"),
  }
end)
server:get("/child", function(_, response)
  local pipe = io.popen("ls /proc/self/fd")
  response:send((pipe:read("a"):gsub("\n", " ")))
  pipe:close()
end)
]]

local sockets = {}

---A new socket, closed at the end of the test; see `open_socket` in spec/support/posix.c.
local function open(kind, name)
  local socket, port = assert(posix.open_socket(kind, name))
  sockets[#sockets + 1] = socket
  return socket, port
end

local function folder()
  return Server.write {}
end

---The next message to a manager's socket, as a list of lines; nil when none comes.
local function told(socket)
  local message, why = posix.receive(socket, 4096, 2000)
  if not message then
    return nil, why
  end
  local lines = {}
  for line in message:gmatch("[^\n]+") do
    lines[#lines + 1] = line
  end
  return lines
end

describe("systemd:", function()
  after_each(function()
    while #sockets > 0 do
      posix.close(table.remove(sockets))
    end
  end)

  describe("a manager with a socket", function()
    for kind, name in pairs {
      ["a path"] = function() return folder() .. "/notify" end,
      ["an abstract name"] = function() return "@lunesse-spec" .. folder() end,
    } do
      it(("at %s is told that it is ready, where, and that it stops"):format(kind), function()
        local path = name()
        local socket = open("datagram", path)
        local server = start(ROUTES, { workers = 1, env = { NOTIFY_SOCKET = path } })
        assert.same({ "READY=1", "STATUS=serving on " .. server.url }, told(socket))
        assert.equal("12345", get(server, "/plain"))
        local stream = server:stream("/held")
        stream:comment()
        server:stop()
        assert.same({
          "STOPPING=1", "EXTEND_TIMEOUT_USEC=15000000", "STATUS=stopping; 1 connections",
        }, told(socket))
        assert.same({ nil, "timeout" }, { posix.receive(socket, 4096, 0) })
        stream:close()
      end)
    end

    it("is told when the scripts are loaded anew, when, and that they are, be they right or wrong",
      function()
        local path = folder() .. "/notify"
        local socket = open("datagram", path)
        local server = start(ROUTES, { env = { NOTIFY_SOCKET = path } })
        assert.equal("READY=1", told(socket)[1])
        for _, text in ipairs { support.script(ROUTES), "this is no Lua" } do
          Process.write_file(server.folder .. "/script.lua", text)
          server.process:signal("HUP")
          local lines = told(socket)
          assert.equal("RELOADING=1", lines[1])
          assert.matches("^MONOTONIC_USEC=%d+$", lines[2])
          assert.same({ "READY=1" }, told(socket))
        end
      end)

    it("is told how long the stop may take, drain_delay included", function()
      local path = folder() .. "/notify"
      local socket = open("datagram", path)
      local server = start(ROUTES, {
        env = { NOTIFY_SOCKET = path },
        args = { "--limit", "drain_delay=0.1", "--limit", "drain_timeout=30" },
      })
      told(socket)
      server:stop { seconds = 1 }
      assert.equal("EXTEND_TIMEOUT_USEC=35100000", told(socket)[2])
    end)

    it("is not told of a start that fails", function()
      local path = folder() .. "/notify"
      local socket = open("datagram", path)
      local _, port = open("listen", "")
      local script = Server.write { ["a.lua"] = support.script(ROUTES) } .. "/a.lua"
      local code = Server.run({ "--port", tostring(port), script }, {
        env = { NOTIFY_SOCKET = path },
      })
      assert.equal(1, code)
      assert.same({ nil, "timeout" }, { posix.receive(socket, 4096, 0) })
    end)

    it("that takes nothing keeps nobody waiting", function()
      local path = folder() .. "/notify"
      open("datagram", path)
      local filler = assert(require("socket.unix").dgram())
      filler:settimeout(0)
      assert(filler:connect(path))
      repeat until not filler:send("READY=0")
      local server = start(ROUTES, { env = { NOTIFY_SOCKET = path } })
      assert.equal("12345", get(server, "/plain"))
      server:stop()
      filler:close()
      assert.equal(2, #server:log_lines("warn the service manager was not told"))
    end)

    it("that does not answer, or is none, changes nothing but a warning in the log", function()
      for _, name in ipairs { "/nowhere/at/all", "relative", "vsock:2:1", ("/x"):rep(100), "@" } do
        local server = start(ROUTES, {
          env = { NOTIFY_SOCKET = name }, args = { "--log-level", "debug" },
        })
        assert.equal("12345", get(server, "/plain"))
        eventually(function()
          return #server:log_lines("warn the service manager was not told") == 1
        end)
        server:stop()
      end
      local server = start(ROUTES, { env = { NOTIFY_SOCKET = "" } })
      assert.equal("12345", get(server, "/plain"))
    end)
  end)

  describe("sockets that are passed", function()
    it("are served, TCP and Unix, instead of the scripts' addresses", function()
      local path = folder() .. "/passed.sock"
      local tcp, port = open("listen", "")
      local unix = open("listen", path)
      local server = start(ROUTES .. "server:listen(1)", { sockets = { tcp, unix } })
      assert.equal(port, server.port)
      eventually(function() -- it is another line than the one that `start` waits for
        return server:stdout():find("listening on unix:" .. path .. "\n", 1, true)
      end)
      assert.equal("12345", get(server, "/plain"))
      for _, where in ipairs { port, path } do
        local answer = wire.exchange(where, wire.request { target = "/plain" })[1]
        assert.equal("12345", answer.body)
      end
      server:stop()
      assert.equal("socket", lfs.attributes(path, "mode"), "its file is the manager's")
    end)

    it("may have an abstract name", function()
      local name = "@lunesse-spec" .. folder()
      local server = start(ROUTES, { sockets = { (open("listen", name)) } })
      assert.matches("listening on unix:" .. name .. "\n", server:stdout(), 1, true)
    end)

    it("keep those who connect during a restart waiting, and refuse nobody", function()
      local socket, port = open("listen", "")
      local server = start(ROUTES, { sockets = { socket } })
      assert.equal("12345", get(server, "/plain"))
      server:stop()
      local client = wire.connect(port)
      client:send(wire.request { target = "/plain" })
      assert.is_true(client:is_silent())
      start(ROUTES, { sockets = { socket } })
      assert.equal("12345", client:response().body)
      client:close()
    end)

    it("are no business of programs that a script starts", function()
      local server = start(ROUTES, {
        sockets = { (open("listen", "")) }, env = { LISTEN_FDNAMES = "web" },
      })
      assert.equal("{}", get(server, "/environment"))
      assert.equal("0 1 2 3 ", get(server, "/child"))
    end)

    it("give accepted connections the options that our own have", function()
      if Process.run { "strace", "-V" } ~= 0 then
        return pending("strace is not there")
      end
      local binary = os.getenv("LUNESSE_BIN") or
        (os.getenv("LUNESSE_BUILD") or "build/debug") .. "/lunesse"
      local script = Server.write { ["a.lua"] = [[
require("lunesse").server():get("/", print)
require("lunesse").after(0.2, function() os.execute("kill $PPID") end)
]] } .. "/a.lua"
      local socket = open("listen", "")
      -- LISTEN_PID is the pid of what is started first, which strace -D leaves to the program.
      local _, _, err = Process.run({ "strace", "-D", "-e", "trace=setsockopt", binary, "--limit",
        "peer_timeout=7", script }, {
        sockets = { socket }, env = { ASAN_OPTIONS = "detect_leaks=0" },
      })
      assert.matches("setsockopt(3, SOL_TCP, TCP_USER_TIMEOUT, [7000]", err, 1, true)
      assert.matches("setsockopt(3, SOL_TCP, TCP_NODELAY, [1]", err, 1, true)
    end)

    local function run(options, ...)
      local script = Server.write { ["a.lua"] = support.script(ROUTES) } .. "/a.lua"
      local args = table.pack(...)
      args[#args + 1] = script
      return Server.run(args, options)
    end

    it("and an address on the command line are a mistake", function()
      for _, words in ipairs { { "--port", "0" }, { "--host", "::1" }, { "--unix", "/tmp/x" } } do
        local code, out, err = run({ sockets = { (open("listen", "")) } }, table.unpack(words))
        assert.same({ 2, "", "lunesse: LISTEN_FDS passes sockets, and the command line names an " ..
          "address: leave out --host, --port and --unix\n" }, { code, out, err })
      end
    end)

    it("must be stream sockets that listen", function()
      for _, kind in ipairs { "bound", "datagram" } do
        local wrong = open(kind, "")
        local code, _, err = run { sockets = { (open("listen", "")), wrong } }
        assert.same({ 1, "lunesse: cannot listen on descriptor 4 of LISTEN_FDS: it is not a " ..
          "stream socket that listens\n" }, { code, err })
      end
      local many = {}
      for i = 1, 17 do
        many[i] = open("listen", "")
      end
      local code, _, err = run { sockets = many }
      assert.same({ 1, "lunesse: LISTEN_FDS '17': a number of sockets " ..
        "expected, at most 16; unset LISTEN_FDS to listen on addresses\n" }, { code, err })
    end)

    it("must be there, as many as are announced", function()
      local script = Server.write { ["a.lua"] = support.script(ROUTES) } .. "/a.lua"
      for _, case in ipairs {
        { "x", "LISTEN_FDS 'x': a number of sockets expected, at most 16" },
        { "-1", "LISTEN_FDS '-1': a number of sockets expected, at most 16" },
        { "17", "LISTEN_FDS '17': a number of sockets expected, at most 16" },
        { "2", "LISTEN_FDS '2': descriptor 3 is not open; they begin with descriptor 3" },
      } do
        local code, out, err = Server.run({ script }, {
          wrap = Server.under("export LISTEN_PID=$$ LISTEN_FDS=" .. case[1]),
        })
        assert.same({ 1, "" }, { code, out })
        assert.equal("lunesse: " .. case[2] .. "; unset LISTEN_FDS to listen on addresses\n", err)
      end
    end)

    it("that are announced to another process are none", function()
      local server = start(ROUTES, { env = { LISTEN_FDS = "1", LISTEN_PID = "1" } })
      assert.equal("12345", get(server, "/plain"))
      assert.equal("{}", get(server, "/environment"))
    end)
  end)

  it("the unit files are without fault", function()
    if Process.run { "systemd-analyze", "--version" } ~= 0 then
      return pending("systemd-analyze is not there")
    end
    local units = folder()
    for _, name in ipairs { "lunesse.service", "lunesse.socket" } do
      local text = Process.read_file("dist/" .. name)
      text = text:gsub("/usr/local/bin/lunesse", "/bin/true")
      Process.write_file(units .. "/" .. name, text)
    end
    local code, _, err = Process.run { "systemd-analyze", "verify", "--man=no",
      units .. "/lunesse.service", units .. "/lunesse.socket" }
    assert.same({ 0, "" }, { code, err })
  end)
end)
