-- Every bound of what a peer may send is met exactly: what reaches it is taken, one more is not.

local support = require "spec.http.support"
local wire = require "spec.support.wire"

local head = support.head

local SCRIPT = support.ECHO .. [[
server:post("/two", { body_bytes = 2 }, echo)
server:post("/more", { body_bytes = 5000 }, echo)
server:post("/none", { body_bytes = 0 }, echo)
server:get("/page", function(request, response)
  return response:send("page")
end)
]]

local LIMITS = "{ head_bytes = 1000, head_fields = 10, target_bytes = 200, body_bytes = 1000 }"

local server

local function get_server()
  return server
end

local function sends(bytes)
  local client = server:connect()
  client:send(bytes)
  return client
end

local function taken(bytes)
  local client = sends(bytes .. support.NEXT)
  local said = support.taken(client)
  support.next(client)
  client:close()
  return said
end

local function refused(status, bytes)
  local client = sends(bytes)
  local response = support.refused(client, status)
  client:close()
  return response
end

---A head of exactly `size` bytes.
local function head_of(size)
  local bare = #head("GET /echo HTTP/1.1", "Host: a", "X: ")
  return head("GET /echo HTTP/1.1", "Host: a", "X: " .. ("x"):rep(size - bare))
end

---A head of `count` fields.
local function fields(count)
  return head("GET /echo HTTP/1.1", "Host: a", ("X: 1\r\n"):rep(count - 2) .. "Y: 2")
end

---A target of exactly `size` bytes.
local function target_of(size)
  return head("GET /echo?" .. ("x"):rep(size - 6) .. " HTTP/1.1", "Host: a")
end

local function post(target, size, body)
  return head("POST " .. target .. " HTTP/1.1", "Host: a", "Content-Length: " .. size) ..
    (body or ("x"):rep(size))
end

describe("the limit", function()
  setup(function()
    server = support.start(SCRIPT, { limits = LIMITS })
  end)

  teardown(function()
    support.stop(server)
  end)

  support.takes(it, get_server, { { "a target of target_bytes", target_of(200) } })
  support.refuses(it, get_server, {
    { "a target of one byte more", target_of(201), status = 414 },
    { "a target that never ends", "GET /" .. ("x"):rep(300), status = 414, behind = "" },
    { "an absolute target that is too long",
      head("GET http://a/" .. ("x"):rep(200) .. " HTTP/1.1", "Host: a"), status = 414 },
  })

  it("head_bytes takes a head of its size and not one byte more", function()
    assert.truthy(taken(head_of(1000)))
    refused(431, head_of(1001))
    refused(431, head_of(5000))
    refused(431, head_of(100000))
  end)

  it("head_bytes counts empty lines before the head", function()
    assert.truthy(taken("\r\n" .. head_of(998)))
    refused(431, "\r\n" .. head_of(999))
  end)

  it("head_bytes is seen before the head ends", function()
    refused(431, head_of(2000):sub(1, 1001))
    refused(431, head("GET /echo HTTP/1.1", "Host: a", ("x"):rep(2000)))
    refused(431, head("GET /echo HTTP/1.1", "Host: a"):sub(1, -3) .. ("x"):rep(2000))
  end)

  it("head_bytes is per request, not per connection", function()
    local client = server:connect()
    client:send(head_of(1000):rep(20) .. support.NEXT)
    for _ = 1, 20 do
      support.taken(client)
    end
    support.next(client)
    client:close()
  end)

  it("head_fields takes so many fields and not one more", function()
    assert.truthy(taken(fields(10)))
    refused(431, fields(11))
    refused(431, fields(80))
  end)

  it("target_bytes speaks before head_bytes", function()
    refused(414, target_of(900))
    refused(414, target_of(5000))
    refused(414, target_of(100000))
  end)

  it("body_bytes takes a body of its size and not one byte more", function()
    assert.equal(1000, #taken(post("/echo", 1000)).body)
    refused(413, post("/echo", 1001))
  end)

  it("body_bytes refuses before the body has come", function()
    refused(413, post("/echo", 1001, ""))
    refused(413, post("/echo", 100000000, ""))
    refused(413, post("/echo", 18446744073709551615 // 1, ""):gsub("Length: %S+",
      "Length: 18446744073709551615"))
  end)

  it("body_bytes holds for chunks", function()
    local function chunked(target, ...)
      return head("POST " .. target .. " HTTP/1.1", "Host: a", "Transfer-Encoding: chunked") ..
        table.concat({ ... })
    end
    local function chunk(size)
      return ("%x\r\n%s\r\n"):format(size, ("x"):rep(size))
    end
    local last = "0\r\n\r\n"
    assert.equal(1000, #taken(chunked("/echo", chunk(1000), last)).body)
    assert.equal(1000, #taken(chunked("/echo", chunk(999), chunk(1), last)).body)
    refused(413, chunked("/echo", chunk(1001), last))
    refused(413, chunked("/echo", chunk(1000), chunk(1), last))
    refused(413, chunked("/echo", "3e9\r\n"))
    assert.equal("xx", taken(chunked("/two", chunk(2), last)).body)
    refused(413, chunked("/two", chunk(2), chunk(1), last))
    assert.equal(5000, #taken(chunked("/more", chunk(5000), last)).body)
  end)

  it("body_bytes of a route takes the place of the server's", function()
    assert.equal("xx", taken(post("/two", 2)).body)
    refused(413, post("/two", 3))
    assert.equal(5000, #taken(post("/more", 5000)).body)
    refused(413, post("/more", 5001))
    assert.equal("", taken(post("/none", 0)).body)
    refused(413, post("/none", 1))
  end)

  it("body_bytes holds for a request that no route takes", function()
    refused(413, post("/nowhere", 1001, ""))
    refused(413, post("/page", 1001, ""))
  end)

  support.runs_nothing_smuggled(it, get_server)
end)

describe("limits on the command line", function()
  teardown(function()
    support.stop(server)
  end)

  it("take the place of the script's", function()
    server = support.start(SCRIPT, { limits = LIMITS,
      args = { "--limit", "target_bytes=300", "--limit", "body_bytes=10" } })
    assert.truthy(taken(target_of(300)))
    refused(414, target_of(301))
    assert.equal(10, #taken(post("/echo", 10)).body)
    refused(413, post("/echo", 11))
    refused(431, head_of(1001))
  end)
end)

describe("a small head_bytes beside a large target_bytes", function()
  teardown(function()
    support.stop(server)
  end)

  it("still calls a long target by its name", function()
    server = support.start(SCRIPT, { limits = "{ head_bytes = 500 }" })
    refused(414, target_of(501))
    refused(414, target_of(4000))
    refused(431, head_of(501))
  end)
end)

describe("the default limits", function()
  setup(function()
    server = support.start(SCRIPT)
  end)

  teardown(function()
    support.stop(server)
  end)

  it("take a target of 8 KiB", function()
    assert.truthy(taken(target_of(8192)))
    refused(414, target_of(8193))
  end)

  it("take a head of 16 KiB", function()
    assert.truthy(taken(head_of(16384)))
    refused(431, head_of(16385))
  end)

  it("take a hundred fields", function()
    assert.truthy(taken(fields(100)))
    refused(431, fields(101))
  end)

  it("take a body of 1 MiB", function()
    assert.equal(1048576, #taken(post("/echo", 1048576)).body)
    refused(413, post("/echo", 1048577, ""))
  end)
end)

describe("an error answer", function()
  setup(function()
    server = support.start(SCRIPT, { limits = LIMITS })
  end)

  teardown(function()
    support.stop(server)
  end)

  ---Sends `bytes` whole, whatever is answered meanwhile, and only then reads.
  local function reads_late(bytes, status)
    local client = server:connect()
    assert.is_true(client:send(bytes))
    support.refused(client, status)
    client:close()
  end

  it("can be read after a whole body that nobody wanted", function()
    reads_late(post("/echo", 200000), 413)
    reads_late(post("/echo", 3000000), 413)
    reads_late(post("/echo", 30000000), 413)
  end)

  it("can be read after a chunked body that nobody wanted", function()
    local chunk = ("10000\r\n%s\r\n"):format(("x"):rep(65536))
    reads_late(head("POST /echo HTTP/1.1", "Host: a", "Transfer-Encoding: chunked") ..
      chunk:rep(100) .. "0\r\n\r\n", 413)
  end)

  it("can be read after a head without end", function()
    reads_late(head("GET /echo HTTP/1.1", "Host: a", "X: " .. ("x"):rep(5000000)), 431)
    reads_late("GET /" .. ("x"):rep(5000000), 414)
  end)

  it("can be read after megabytes of garbage", function()
    reads_late("\0" .. ("garbage"):rep(1000000), 400)
  end)

  it("can be read by one who goes on to send piece by piece", function()
    local client = server:connect()
    client:send(post("/echo", 1000000, ""))
    for _ = 1, 20 do
      assert.is_true(client:send(("x"):rep(10000)))
      client:flush()
    end
    support.refused(client, 413)
    client:close()
  end)

  it("ends the connection when the peer has closed as well", function()
    local process = support.start(SCRIPT, { process = true })
    local client = process:connect()
    client:send("nonsense\r\n\r\n")
    support.refused(client, 400)
    local before = process:descriptors()
    client:close()
    eventually(function()
      return process:descriptors() < before
    end, 1)
    support.stop(process)
  end)

  it("ends the connection of a peer that never closes", function()
    local process = support.start(SCRIPT, { process = true })
    local before, clients = process:descriptors(), {}
    for i = 1, 5 do
      clients[i] = process:connect()
      clients[i]:send("nonsense\r\n\r\n")
      support.refused(clients[i], 400)
    end
    eventually(function()
      return process:descriptors() <= before
    end, 5)
    for _, client in ipairs(clients) do
      client:close()
    end
    support.stop(process)
  end)

  it("says in words what was wrong, as text", function()
    local response = refused(400, "GET  / HTTP/1.1\r\n\r\n")
    assert.matches("^text/plain", response.headers["content-type"])
    assert.matches("^400", response.body)
  end)

  it("does not repeat what the peer sent", function()
    local response = refused(400, head("GET /<script> HTTP/1.1", "Host: a"))
    assert.is_nil(response.body:find("script"))
  end)

  it("reaches peers that all are refused at once", function()
    local clients = {}
    for i = 1, 200 do
      clients[i] = wire.connect(server)
      clients[i]:send("nonsense\r\n\r\n")
    end
    for _, client in ipairs(clients) do
      support.refused(client, 400)
      client:reset()
    end
  end)
end)
