-- Where the server listens, and what it says to connections beyond its bound.

local posix = require "spec_posix"
local support = require "spec.http.support"
local Server = require "spec.support.server"
local wire = require "spec.support.wire"
local socket = require "socket"

local head = support.head

local SCRIPT = support.ECHO:gsub("LIMITS", "{}") .. [[
server:get("/events", function(request, response)
  response.sse:send("hello")
  lunesse.sleep(1000)
end)
]]

describe("a Unix socket", function()
  it("speaks the same HTTP", function()
    local folder = assert(posix.make_folder())
    local path = folder .. "/socket"
    local server = Server.start(SCRIPT, { args = { "--unix", path } })
    local client = wire.connect(server)
    client:send(support.post "Content-Length: 2" .. "hi" .. support.NEXT)
    assert.equal("hi", support.taken(client).body)
    support.next(client)
    client:send("nonsense\r\n\r\n")
    support.refused(client, 400)
    client:close()
    client = wire.connect(server)
    client:send(support.NEXT)
    client:finish_sending()
    support.next(client)
    support.ended(client)
    client:close()
    server:stop()
    os.remove(path)
    os.remove(folder)
  end)
end)

describe("an address of IPv6", function()
  it("is spoken to as any other", function()
    local six = socket.tcp6 and socket.tcp6()
    if not six or not six:bind("::1", 0) then
      pending("this machine has no IPv6")
      return
    end
    six:close()
    local server = Server.start(SCRIPT, { args = { "--host", "::1", "--port", "0" } })
    assert.equal("[::1]", server.host)
    local peer = assert(socket.tcp6())
    assert(peer:connect("::1", server.port))
    peer:send(head("GET /next HTTP/1.1", ("Host: [::1]:%d"):format(server.port),
      "Connection: close"))
    local bytes = peer:receive("*a")
    assert.equal("next", wire.responses(bytes)[1].body)
    peer:close()
    eventually(function() return #server:log_lines(" ip=::1 ") == 1 end)
  end)
end)

describe("connections beyond the bound", function()
  local server, held

  ---Fills the server up to its bound with connections that it knows of.
  local function fill(count)
    held = {}
    for i = 1, count do
      held[i] = server:connect()
      held[i]:send(support.NEXT)
      support.next(held[i])
    end
  end

  before_each(function()
    server = Server.start(SCRIPT, { args = { "--limit", "connections=10" } })
    fill(10)
  end)

  after_each(function()
    for _, client in ipairs(held) do
      client:close()
    end
  end)

  local function ask(...)
    local client = server:connect()
    client:send(head("GET /next HTTP/1.1", "Host: a", ...) .. support.SMUGGLED)
    return client
  end

  it("get 503 with Retry-After for a plain request", function()
    for _, accept in ipairs { "*/*", "text/html", "application/json" } do
      local client = ask("Accept: " .. accept)
      local response = support.refused(client, 503)
      local seconds = tonumber(response.headers["retry-after"])
      assert.is_true(seconds >= 1 and seconds <= 60)
      client:close()
    end
  end)

  it("get 503 each when there are many at once", function()
    local clients = {}
    for i = 1, 20 do
      clients[i] = ask()
    end
    for _, client in ipairs(clients) do
      support.refused(client, 503)
      client:close()
    end
  end)

  it("get 503 without an Accept", function()
    local client = ask()
    support.refused(client, 503)
    client:close()
  end)

  it("get 503 without content for HEAD", function()
    local client = server:connect()
    client:send(head("HEAD /next HTTP/1.1", "Host: a"))
    support.refused(client, 503, "HEAD")
    client:close()
  end)

  it("get 503 for a request with a body", function()
    local client = server:connect()
    client:send(support.post "Content-Length: 2" .. "hi")
    support.refused(client, 503)
    client:close()
  end)

  it("get 503 and no 100 for a body that waits", function()
    local client = server:connect()
    client:send(support.post("Expect: 100-continue", "Content-Length: 2"))
    assert.same({}, support.refused(client, 503).interim)
    client:close()
  end)

  it("get 400 for a request that is malformed", function()
    local client = server:connect()
    client:send("nonsense\r\n\r\n")
    support.refused(client, 400)
    client:close()
  end)

  it("get a stream that ends and says when to come back, for an event stream", function()
    local client = ask "Accept: text/event-stream"
    local response = client:head()
    assert.equal(200, response.status)
    assert.equal("text/event-stream", response.headers["content-type"])
    assert.equal("close", response.headers["connection"])
    local rest, why = client:receive_all() -- without the last chunk: the stream is not complete
    local retry = tonumber(rest:match("^%x+\r\nretry: (%d+)\n\n\r\n$"))
    assert.is_true(retry >= 1000)
    assert.equal("closed", why)
    client:close()
  end)

  it("get that stream bare in HTTP/1.0", function()
    local client = server:connect()
    client:send(head("GET /events HTTP/1.0", "Accept: text/event-stream"))
    local response = client:response()
    assert.equal("close", response.framing)
    assert.matches("^retry: %d+\n\n$", response.body)
    client:close()
  end)

  it("are served again when others have left", function()
    for _, client in ipairs(held) do
      client:close()
    end
    eventually(function()
      return server:request { target = "/next" }.status == 200
    end)
  end)

  it("do not disturb those within it", function()
    for _ = 1, 5 do
      ask():close()
    end
    for _, client in ipairs(held) do
      client:send(support.NEXT)
      support.next(client)
    end
  end)

  it("by far are not answered, and cost nothing that stays", function()
    local before, clients = server:descriptors(), {}
    for _ = 1, 200 do
      local ok, client = pcall(server.connect, server) -- a reset may come before it returns
      clients[#clients + 1] = ok and client or nil
    end
    for _, client in ipairs(clients) do
      client:close()
    end
    eventually(function()
      return server:descriptors() <= before
    end, 5)
    held[1]:send(support.NEXT)
    support.next(held[1])
  end)
end)
