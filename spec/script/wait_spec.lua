-- `lunesse.wait`: a handler or task waits for a descriptor, as it waits for everything else. The
-- descriptors are pipes, which the script opens by their paths, and sockets of LuaSocket. They are
-- the process's, so it is all one which worker waits for which.

local lfs = require "lfs"
local apps = require "spec.support.app"
local clock = require "spec.support.clock"
local posix = require "spec_posix"
local Process = require "spec.support.process"
local Server = require "spec.support.server"
local upstream = require "spec.upstream.support"

local SCRIPT = ([[
package.cpath = %q .. package.cpath
local lunesse = require "lunesse"
local posix = require "spec_posix"
local socket = require "socket"
local server = lunesse.server()
local function told(...)
  local list = table.pack(...)
  for i = 1, list.n do list[i] = tostring(list[i]) end
  return table.concat(list, " ")
end
local function wait(request)
  local query = request.query
  return told(lunesse.wait(tonumber(query.fd), query.mode or "r", tonumber(query.seconds)))
end
server:get("/open", function(request, response)
  response:send(tostring(posix.open_pipe(request.query.path)))
end)
server:get("/swap", function(request, response)
  posix.close(tonumber(request.query.fd))
  response:send(tostring(posix.open_pipe(request.query.path)))
end)
server:get("/wait", { on_leave = "cancel" }, function(request, response)
  response:send(wait(request))
end)
server:get("/stream", function(request, response)
  response.sse:send(wait(request))
end)
server:get("/hello", function(_, response) response:send("hello") end)
]]):format(package.searchpath("spec_posix", package.cpath):gsub("[^/]*$", "?.so;"))

local folder

-- Opens a pipe in the server, in the place of the descriptor `old` if one is given. The second
-- value is the pipe's file, for the spec to write to.
local function open_pipe(server, name, old)
  local path = folder .. "/" .. (name or "pipe")
  local target = old and "/swap?fd=" .. old .. "&path=" or "/open?path="
  local fd = server:request { target = target .. path }.body
  assert.truthy(tonumber(fd), fd)
  return fd, assert(io.open(path, "r+"))
end

local function begin_wait(server, query, path)
  local client = server:connect()
  client:send(("GET %s?%s HTTP/1.1\r\nHost: localhost\r\nAccept: %s\r\n\r\n"):format(
    path or "/wait", query, path and "text/event-stream" or "*/*"))
  return client
end

local function answer(client)
  return client:response().body
end

local function write(file)
  file:write("x")
  file:flush()
end

-- The server has `count` descriptors of the pipe: its own, and a copy for each that waits.
local function expect_copies(server, count, name)
  local path = folder .. "/" .. (name or "pipe")
  clock.eventually(function()
    local found = 0
    for number in lfs.dir(("/proc/%d/fd"):format(server.pid)) do
      local link = ("/proc/%d/fd/%s"):format(server.pid, number)
      found = found + (lfs.symlinkattributes(link, "target") == path and 1 or 0)
    end
    return found == count
  end)
end

describe("lunesse.wait", function()
  before_each(function() folder = posix.make_folder() end)
  after_each(function()
    upstream.close_all()
    Server.stop_all()
    Process.remove_folder(folder)
  end)

  it("waits until a descriptor can be read, while others are served", function()
    local server = Server.start(SCRIPT)
    local fd, file = open_pipe(server)
    local client = begin_wait(server, "fd=" .. fd)
    assert.equal("hello", server:request({ target = "/hello" }).body)
    assert.is_true(client:is_silent())
    write(file)
    assert.equal("r", answer(client))
    assert.equal("r", server:request({ target = "/wait?mode=r&fd=" .. fd }).body)
  end)

  it("says which of the two it is ready for", function()
    local server = Server.start(SCRIPT)
    local fd, file = open_pipe(server)
    local function says(mode)
      return server:request({ target = ("/wait?mode=%s&fd=%s"):format(mode, fd) }).body
    end
    assert.equal("w", says("w"))
    assert.equal("w", says("rw"))
    write(file)
    assert.equal("rw", says("rw"))
  end)

  it("returns ETIMEDOUT when the time is up, and with 0 seconds does not wait", function()
    local server = Server.start(SCRIPT, { clock = true })
    local fd, file = open_pipe(server)
    local late = "nil the descriptor was not ready in time ETIMEDOUT"
    local client = begin_wait(server, "seconds=60&fd=" .. fd)
    expect_copies(server, 2)
    server:advance(59)
    assert.is_true(client:is_silent())
    server:advance(1)
    assert.equal(late, answer(client))
    assert.equal(late, server:request({ target = "/wait?seconds=0&fd=" .. fd }).body)
    write(file)
    assert.equal("r", server:request({ target = "/wait?seconds=0&fd=" .. fd }).body)
    expect_copies(server, 1)
  end)

  it("refuses what is not open, and what the system cannot watch", function()
    local server = Server.start(SCRIPT)
    local function says(fd)
      return server:request({ target = "/wait?seconds=0&fd=" .. fd }).body
    end
    for _, fd in ipairs { "-1", "999", "2147483647", "2147483648", "-9223372036854775808" } do
      assert.equal("nil the descriptor is not open EBADF", says(fd))
    end
    assert.matches("^nil descriptor 1 is a file, a folder or another .* EPERM$", says(1))
  end)

  it("refuses the server's own sockets, whichever worker has them", function()
    local server = Server.start(SCRIPT .. [[
server:get("/own", function(_, response)
  local count = 0
  for fd = 0, 200 do
    local _, message, code = lunesse.wait(fd, "r", 0)
    if code == "EACCES" then
      assert(message == ("descriptor %d is the server's own"):format(fd))
      count = count + 1
    end
  end
  response:send(tostring(count))
end)
]])
    local clients = {}
    local function count_own()
      local client = server:connect()
      client:send("GET /own HTTP/1.1\r\nHost: localhost\r\n\r\n")
      local count = tonumber(answer(client))
      client:close()
      return count
    end
    local count = count_own()
    assert.equal(server.worker_count + 1, count) -- who listens, and the connection that asks
    for i = 1, 5 do
      clients[i] = server:connect()
      clients[i]:send("GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n")
      assert.equal("hello", answer(clients[i]))
    end
    clock.eventually(function() return count_own() == count + 5 end)
  end)

  it("wakes all who wait for one descriptor, each for what it waits for", function()
    local server = Server.start(SCRIPT)
    local fd, file = open_pipe(server)
    local one, two = begin_wait(server, "fd=" .. fd), begin_wait(server, "fd=" .. fd)
    assert.equal("w", server:request({ target = "/wait?mode=w&fd=" .. fd }).body)
    assert.is_true(one:is_silent())
    assert.is_true(two:is_silent())
    write(file)
    assert.equal("r", answer(one))
    assert.equal("r", answer(two))
  end)

  it("means the same file when its descriptor was closed and the number is another's", function()
    local server = Server.start(SCRIPT, { clock = true })
    local fd = open_pipe(server, "first")
    local client = begin_wait(server, "seconds=60&fd=" .. fd)
    expect_copies(server, 2, "first")
    local again, file = open_pipe(server, "second", fd)
    assert.equal(fd, again)
    write(file)
    assert.equal("r", server:request({ target = "/wait?fd=" .. again }).body)
    assert.is_true(client:is_silent())
    server:advance(60)
    assert.matches("ETIMEDOUT$", answer(client))
    expect_copies(server, 0, "first")
    expect_copies(server, 1, "second")
  end)

  it("ends with the reader, and when its task is cancelled", function()
    local server = Server.start(SCRIPT .. [[
server:get("/cancelled", function(request, response)
  local task = lunesse.spawn(lunesse.wait, tonumber(request.query.fd), "r")
  lunesse.sleep(0.001)
  task:cancel()
  response:send(told(task:wait()))
end)
]])
    local fd, file = open_pipe(server)
    local clients = {}
    for i = 1, 10 do
      clients[i] = begin_wait(server, "fd=" .. fd, i % 2 == 0 and "/stream" or nil)
    end
    expect_copies(server, 11)
    for _, client in ipairs(clients) do
      client:close()
    end
    expect_copies(server, 1)
    local body = server:request({ target = "/cancelled?fd=" .. fd }).body
    assert.matches("ECANCELED$", body)
    expect_copies(server, 1)
    write(file)
    assert.equal("r", server:request({ target = "/wait?fd=" .. fd }).body)
  end)

  -- A worker keeps three generations that have something to do: they have it only where one worker
  -- has all readers.
  it("goes on over a reload, and ends with the code that is too old", function()
    local server = Server.start(SCRIPT, { workers = 1 })
    local fd, file = open_pipe(server)
    local clients = {}
    for generation = 1, 4 do
      clients[generation] = begin_wait(server, "fd=" .. fd, "/stream")
      expect_copies(server, 1 + math.min(generation, 3))
      if generation < 4 then
        server.process:signal("HUP")
        clock.eventually(function()
          return #server:log_lines("info reloaded") == generation
        end)
      end
    end
    write(file)
    assert.truthy(clients[4]:receive_until("data: r\n\n"))
    assert.truthy(clients[3]:receive_until("data: r\n\n"))
  end)

  it("says when no descriptor is left to watch with", function()
    local server = Server.start(SCRIPT .. [[
server:get("/many", function(request, response)
  local fd, codes = tonumber(request.query.fd), {}
  local tasks = {}
  for i = 1, 300 do
    tasks[i] = lunesse.spawn(function()
      local _, message, code = lunesse.wait(fd, "r")
      codes[code] = message
    end)
  end
  lunesse.sleep(0.001)
  for _, task in ipairs(tasks) do task:cancel() end
  response:send(tostring(codes.EMFILE))
end)
]], { wrap = Server.under "ulimit -n 200" })
    local fd = open_pipe(server)
    assert.equal("too many files are open", server:request({ target = "/many?fd=" .. fd }).body)
    assert.equal("w", server:request({ target = "/wait?mode=w&fd=" .. fd }).body)
  end)

  it("takes an object with getfd, such as a socket of LuaSocket", function()
    local other = upstream.listen()
    local server = Server.start(SCRIPT .. [[
server:get("/ask", function(request, response)
  local peer = socket.tcp4()
  peer:settimeout(0)
  peer:connect("127.0.0.1", tonumber(request.query.port))
  local connected = lunesse.wait(peer, "w", 60)
  peer:send("question\r\n")
  local ready = lunesse.wait(peer, "r", 60)
  local line = peer:receive("*l")
  peer:close()
  response:send(told(connected, ready, line, select(3, lunesse.wait(peer, "r"))))
end)
]])
    local client = server:connect()
    client:send(("GET /ask?port=%d HTTP/1.1\r\nHost: localhost\r\n\r\n"):format(other.port))
    local conn = other:accept()
    conn:await_bytes()
    assert.is_true(client:is_silent())
    conn:send("answer\r\n")
    assert.equal("w r answer EBADF", answer(client))
  end)

  it("is ready for all when the other end has failed", function()
    local other = upstream.listen()
    local server = Server.start(SCRIPT .. [[
server:get("/refused", function(request, response)
  local peer = socket.tcp4()
  peer:settimeout(0)
  peer:connect("127.0.0.1", tonumber(request.query.port))
  response:send(told(lunesse.wait(peer, "rw", 60), peer:getoption("error")))
end)
]])
    other:close()
    assert.equal("rw connection refused",
      server:request({ target = "/refused?port=" .. other.port }).body:lower())
  end)
end)

describe("lunesse.wait in a script", function()
  after_each(apps.stop_all)

  it("raises for arguments that cannot be, with the line", function()
    local none = "a descriptor, a whole number or an object with getfd(), expected"
    for call, expected in pairs {
      ['lunesse.wait("x", "r")'] = none,
      ['lunesse.wait("3", "r")'] = none,
      ['lunesse.wait(1.5, "r")'] = none,
      ['lunesse.wait({}, "r")'] = none,
      ['lunesse.wait(0)'] = "'r', 'w' or 'rw' expected",
      ['lunesse.wait(0, "x")'] = "'r', 'w' or 'rw' expected",
      ['lunesse.wait(0, "r", -1)'] = "seconds between 0 and 1e9 expected",
      ['lunesse.wait(0, "r", 0/0)'] = "seconds between 0 and 1e9 expected",
      ['lunesse.wait(0, "r", "1")'] = "seconds between 0 and 1e9 expected",
    } do
      local app = apps.start(([[
server:get("/", function(_, response)
  response:send(select(2, pcall(function()
    %s
  end)))
end)]]):format(call))
      assert.equal("script.lua:3: lunesse.wait: " .. expected,
        (apps.get(app, "/"):gsub("^/[^ ]*/", "")))
    end
  end)

  it("raises where nothing can wait", function()
    local app = apps.start [[
server:get("/", function(_, response)
  response:send(select(2, pcall(table.sort, { 2, 1 }, function() lunesse.wait(0, "r") end)))
end)]]
    assert.matches("lunesse.wait can only wait inside a handler, timer, task or callback; not "
      .. "inside the C function 'table.sort'", apps.get(app, "/"), 1, true)
  end)

  it("is refused in the test kit, with what to do", function()
    if apps.is_watched() then
      return -- there the same script is a process, which waits
    end
    local app = apps.start [[
server:get("/", function(_, response)
  local ready, why, code = lunesse.wait(0, "r")
  response:send(tostring(ready) .. " " .. why .. " " .. code)
end)]]
    assert.equal("nil a spec waits for no descriptor: give the script a stand-in ENOTSUP",
      apps.get(app, "/"))
  end)
end)
