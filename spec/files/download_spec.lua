-- Large files over real sockets: what the kernel sends, to readers that are slow, leave, or stay
-- while the server ends.

local Server = require "spec.support.server"
local Process = require "spec.support.process"
local clock = require "spec.support.clock"
local wire = require "spec.support.wire"
local support = require "spec.files.support"

local SIZE = 4 * 1024 * 1024
local MORE_THAN_KERNEL = 64 * 1024 * 1024 -- than the buffers of a socket hold

local SCRIPT = [[
local lunesse = require "lunesse"
local server = lunesse.server()
server:static("/", %q)
server:get("/-/hello", function(_, response) return response:send("hello") end)
]]

describe("a download", function()
  local server, root, content

  setup(function()
    content = support.bytes(SIZE)
  end)

  before_each(function()
    root = support.tree { ["large.bin"] = content }
  end)

  after_each(function()
    support.remove_all()
  end)

  local function start(options)
    server = Server.start(SCRIPT:format(root), options)
  end

  ---Begins to download `path` and reads its head.
  local function begin(path, options)
    local client = server:connect(options)
    client:send(wire.request { target = path or "/large.bin" })
    local head = client:head()
    assert.equal(200, head.status)
    return client, head
  end

  ---A file of `size` bytes that takes no place on the disk.
  local function make_sparse(name, size)
    local file = assert(io.open(root .. "/" .. name, "wb"))
    assert(file:seek("set", size - 1))
    file:write("x")
    file:close()
  end

  local function is_answering()
    return server:request { target = "/-/hello" }.body == "hello"
  end

  it("is whole, and the connection goes on", function()
    start()
    local client = server:connect()
    client:send(wire.request { target = "/large.bin" } .. wire.request { target = "/-/hello" })
    local response = client:response("GET", 20)
    assert.is_true(response.body == content)
    assert.equal("hello", client:response().body)
    client:send(wire.request { target = "/large.bin", headers = { Range = "bytes=1000-3000000" } })
    response = client:response("GET", 20)
    assert.equal(206, response.status)
    assert.is_true(response.body == content:sub(1001, 3000001))
  end)

  it("is whole over a Unix socket, for HTTP/1.0, and for a peer that sends no more", function()
    local path = root .. "/socket"
    start { args = { "--unix", path } }
    local client = server:connect()
    client:send("GET /large.bin HTTP/1.0\r\n\r\n")
    client:finish_sending()
    local bytes, how = client:receive_all(20)
    assert.equal("closed", how)
    assert.is_true(bytes:sub(-SIZE) == content)
    assert.truthy(bytes:find("\r\nContent%-Length: " .. SIZE .. "\r\n"))
  end)

  it("is given to the kernel without being read", function()
    if Server.is_sanitized() or os.getenv("LUNESSE_WRAP") then
      return -- what the kernel is asked for is the same there, and strace cannot watch it
    end
    local trace = root .. "/trace"
    start { wrap = { "strace", "-D", "-f", "-qq", "-e", "trace=sendfile,pread64", "-o", trace } }
    assert.is_true(server:request { target = "/large.bin", seconds = 20 }.body == content)
    server:stop { seconds = 5 }
    local calls = Process.read_file(trace)
    assert.truthy(calls:find("sendfile"))
    assert.is_nil(calls:find("pread64%(.-, 65536, "))
  end)

  it("takes no memory of the server, however slow the readers are", function()
    make_sparse("huge.bin", MORE_THAN_KERNEL)
    start()
    begin("/large.bin"):close()
    assert.is_true(is_answering())
    local before = server:memory()
    local clients = {}
    for i = 1, 20 do
      clients[i] = begin("/huge.bin", { receive_buffer = 4096 })
      clients[i]:receive(1000)
    end
    assert.is_true(is_answering())
    local each = (server:memory() - before) / #clients
    assert.is_true(each < 32 * 1024 * (Server.is_sanitized() and 8 or 1), each)
    for _, client in ipairs(clients) do
      client:close()
    end
  end)

  it("holds nothing once its reader has left", function()
    make_sparse("huge.bin", MORE_THAN_KERNEL)
    start()
    assert.is_true(is_answering())
    local before = server:descriptors()
    for i = 1, 30 do
      local client = begin("/huge.bin", { receive_buffer = 4096 })
      client[i % 2 == 0 and "reset" or "close"](client)
    end
    eventually(function()
      return server:descriptors() <= before
    end)
  end)

  it("is cut when the file becomes shorter", function()
    make_sparse("huge.bin", MORE_THAN_KERNEL)
    start()
    local client = begin("/huge.bin", { receive_buffer = 4096 })
    client:receive(1000)
    make_sparse("huge.bin", 1000)
    local bytes, how = client:receive_all(20)
    assert.is_true(how == "closed" or how == "reset", how)
    assert.is_true(#bytes < MORE_THAN_KERNEL - 1000)
    assert.is_true(is_answering())
    assert.equal(1, #server:log_lines("/huge.bin"))
    assert.truthy(server:log_lines("/huge.bin")[1]:find("failed", 1, true))
  end)

  it("goes on when its file is removed", function()
    start()
    local client = begin("/large.bin", { receive_buffer = 65536 })
    os.remove(root .. "/large.bin")
    assert.is_true(client:receive(SIZE, 20) == content)
    assert.equal(404, server:request { target = "/large.bin" }.status)
  end)

  it("goes on while newer code takes the place of the script", function()
    start()
    local client = begin("/large.bin", { receive_buffer = 65536 })
    for i = 1, 2 do
      server.process:signal("HUP")
      eventually(function()
        return #server:log_lines("reloaded") == i
      end)
    end
    assert.is_true(client:receive(SIZE, 20) == content)
  end)

  it("ends before the server does", function()
    start()
    local client = begin("/large.bin", { receive_buffer = 65536 })
    server.process:signal("TERM")
    assert.is_true(client:receive(SIZE, 20) == content)
    server:stop()
  end)

  it("ends when its reader takes nothing for too long", function()
    make_sparse("huge.bin", MORE_THAN_KERNEL)
    start { clock = true }
    local client = begin("/huge.bin", { receive_buffer = 4096 })
    client:receive(1000)
    eventually(function()
      server:advance(61)
      return server:log_lines("/huge.bin")[1]
    end)
    assert.truthy(server:log_lines("/huge.bin")[1]:find("timeout", 1, true))
    assert.equal("reset", select(2, client:receive_all(20)))
  end)

  it("holds up nobody", function()
    make_sparse("huge.bin", MORE_THAN_KERNEL)
    start()
    local clients = {}
    for i = 1, 8 do
      clients[i] = begin("/huge.bin")
    end
    local from = clock.now()
    for _ = 1, 10 do
      assert.is_true(is_answering())
    end
    assert.is_true(clock.now() - from < 2 * clock.slow)
    for _, client in ipairs(clients) do
      client:close()
    end
  end)
end)
