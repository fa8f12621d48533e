-- What a body may cost: who reads one at all, how slowly it may come, and how much all of them hold
-- together.

local support = require "spec.http.support"
local Server = require "spec.support.server"

local head = support.head

local SCRIPT = [[
local lunesse = require "lunesse"
local server = lunesse.server { limits = LIMITS }
local function size(request, response) response:send(tostring(#request:text())) end
server:post("/take", size)
server:get("/page", size)
server:get("/wanted", { body_bytes = 1000 }, size)
server:any("/any", size)
server:post("/wait", function(request, response)
  local text = request:text()
  lunesse.sleep(1000)
  response:send(tostring(#text))
end)
server:get("/text", function(_, response) response:send(tostring(#("x"):rep(5000000))) end)
server:get("/next", function(_, response) response:send("next") end)
server:get("/stream", function(_, response)
  response.sse:send("one")
  lunesse.sleep(1000)
  response.sse:send("two")
  response.sse:close()
end)
server:not_found(size)
]]

local function start(limits, options)
  options = options or {}
  options.limits = limits
  return support.start(SCRIPT, options)
end

---A head that announces `size` bytes.
local function announce(method, target, size, ...)
  return head(method .. " " .. target .. " HTTP/1.1", "Host: a", "Content-Length: " .. size, ...)
end

local server

local function sends(bytes)
  local client = server:connect()
  client:send(bytes)
  return client
end

local function take(body)
  return server:request({ method = "POST", target = "/take", body = body }).body
end

local function close(clients)
  for _, client in ipairs(clients) do
    client:close()
  end
end

describe("a body that nobody wants", function()
  teardown(function()
    support.stop(server)
  end)

  setup(function()
    server = start "{}"
  end)

  for what, case in pairs {
    ["of a path that no route has"] = { "POST", "/nowhere", 404 },
    ["of a GET"] = { "GET", "/page", 200 },
    ["of a method that the path does not have"] = { "PUT", "/page", 405 },
    ["of an OPTIONS"] = { "OPTIONS", "/page", 204 },
  } do
    it(what .. " is not waited for, and the next request is found behind it", function()
      local client = sends(announce(case[1], case[2], 60000) .. ("x"):rep(100))
      local response = client:response(case[1])
      assert.equal(case[3], response.status)
      assert.is_nil(response.headers["connection"])
      client:send(("x"):rep(30000))
      client:flush()
      client:send(("x"):rep(29900) .. support.NEXT)
      support.next(client)
      client:close()
    end)

    it(what .. ", when it is long, ends the connection after the answer", function()
      local client = sends(announce(case[1], case[2], 900000) .. ("x"):rep(100))
      local response = client:response(case[1])
      assert.equal(case[3], response.status)
      assert.equal("close", response.headers["connection"])
      client:send(("x"):rep(899900) .. support.NEXT)
      support.ended(client)
      client:close()
    end)
  end

  it("is not kept: a handler finds it empty", function()
    for _, target in ipairs { "/page", "/nowhere" } do
      local client = sends(announce("GET", target, 2) .. "hi" .. support.NEXT)
      assert.equal("0", client:response().body)
      support.next(client)
      client:close()
    end
  end)

  it("is read where a GET route says that it takes one, and by routes for any method", function()
    local client = sends(announce("GET", "/wanted", 2) .. "hi" ..
      announce("GET", "/any", 3) .. "hey")
    assert.equal("2", client:response().body)
    assert.equal("3", client:response().body)
    client:close()
  end)

  it("in chunks is read to its end while it is short", function()
    local chunked = head("POST /nowhere HTTP/1.1", "Host: a", "Transfer-Encoding: chunked")
    local client = sends(chunked .. "5\r\nhello\r\n0\r\n\r\n" .. support.NEXT)
    assert.equal(404, client:response().status)
    support.next(client)
    client:close()
    client = sends(chunked .. ("1000\r\n" .. ("x"):rep(4096) .. "\r\n"):rep(20))
    assert.equal("close", client:response().headers["connection"])
    support.ended(client)
    client:close()
    support.refused(sends(chunked .. "x\r\n"), 400)
  end)

  it("may come while an event stream is open", function()
    local client = sends(announce("GET", "/stream", 50000) .. ("x"):rep(100))
    assert.truthy(client:receive_until("data: one\n\n\r\n"))
    client:send(("x"):rep(40000))
    client:flush()
    client:send(("x"):rep(9900) .. support.NEXT)
    assert.is_true(client:is_silent()) -- the next request waits for the stream
    client:close()
  end)

  it("costs no memory, of however many peers", function()
    local clients, process = {}, start("{}", { process = true })
    local before = process:memory()
    for i = 1, 60 do
      clients[i] = process:connect()
      clients[i]:send(announce(i % 2 == 0 and "POST" or "GET", "/nowhere", 1000000))
      clients[i]:send(("x"):rep(900000))
      assert.equal(404, clients[i]:response().status)
    end
    assert.is_true(process:memory() - before < 20 * 1024 * 1024)
    close(clients)
    support.stop(process)
  end)
end)

describe("a body that drips", function()
  it("is refused when it makes less than body_rate after body_timeout", function()
    server = start("{ body_timeout = 10, body_rate = 10, body_bytes = 100000 }", { clock = true })
    local slow = sends(announce("POST", "/take", 1000))
    local chunked = sends(head("POST /take HTTP/1.1", "Host: a", "Transfer-Encoding: chunked"))
    local quick = sends(announce("POST", "/take", 1000))
    for _ = 1, 5 do
      slow:send("x")
      chunked:send("0")
      quick:send(("x"):rep(100))
      for _, client in ipairs { slow, chunked, quick } do
        client:flush()
      end
      server:advance(4)
    end
    support.refused(slow, 408)
    support.refused(chunked, 408)
    quick:send(("x"):rep(500))
    assert.equal("1000", quick:response().body)
    close { slow, chunked, quick }
    support.stop(server)
  end)

  it("is waited for with a body_rate of 0", function()
    server = start("{ body_timeout = 10, body_rate = 0 }", { clock = true })
    local client = sends(announce("POST", "/take", 20))
    for _ = 1, 20 do
      client:flush()
      server:advance(9)
      client:send("x")
    end
    assert.equal("20", client:response().body)
    client:close()
    support.stop(server)
  end)
end)

describe("all bodies of a worker together", function()
  after_each(function()
    support.stop(server)
  end)

  it("hold no more than body_total_bytes, and the largest meet it first", function()
    server = start("{ body_total_bytes = 2000000 }", { workers = 1 })
    local halves, refused = {}, 0
    for i = 1, 10 do
      halves[i] = sends(announce("POST", "/take", 900000))
      halves[i]:send(("x"):rep(400000))
      halves[i]:flush()
    end
    for _, client in ipairs(halves) do
      if not client:is_silent() then
        local response = support.refused(client, 503)
        assert.matches("too many bodies at once", response.body, 1, true)
        refused = refused + 1
      end
    end
    assert.equal(6, refused) -- the fifth would leave less free than it takes itself
    for _ = 1, 20 do
      local small = sends(announce("POST", "/take", 5000) .. ("x"):rep(5000))
      assert.equal("5000", small:response().body)
      small:close()
    end
    support.refused(sends(announce("POST", "/take", 900000) .. ("x"):rep(500000)), 503)
    close(halves)
    eventually(function()
      local client = sends(announce("POST", "/take", 900000) .. ("x"):rep(900000))
      local body = client:response().body
      client:close()
      return body == "900000"
    end)
  end)

  it("are counted while their requests are answered, and not as memory of the scripts", function()
    server = start("{ body_total_bytes = 60000000, lua_bytes = 12000000 }", {
      workers = 1, clock = true,
    })
    local waiting = {}
    for i = 1, 30 do
      waiting[i] = sends(announce("POST", "/wait", 1000000) .. ("x"):rep(1000000))
      waiting[i]:flush()
    end
    assert.equal("5000000", server:request({ target = "/text" }).body)
    assert.equal("2", take "hi")
    server:advance(1001)
    for _, client in ipairs(waiting) do
      assert.equal("1000000", client:response().body)
    end
    close(waiting)
    for _ = 1, 40 do -- they are the scripts' garbage now, and go
      assert.equal("5000000", server:request({ target = "/text" }).body)
    end
  end)

  it("leave room for small ones while large ones are answered", function()
    server = start("{ body_total_bytes = 4000000 }", { workers = 1, clock = true })
    local waiting = {}
    for i = 1, 3 do
      waiting[i] = sends(announce("POST", "/wait", 1000000) .. ("x"):rep(1000000))
      waiting[i]:flush()
    end
    support.refused(sends(announce("POST", "/take", 1000000) .. ("x"):rep(900000)), 503)
    assert.equal("2", take "hi")
    server:advance(1001)
    for _, client in ipairs(waiting) do
      assert.equal("1000000", client:response().body)
    end
    close(waiting)
    local client = sends(announce("POST", "/take", 1000000) .. ("x"):rep(1000000))
    assert.equal("1000000", client:response().body)
    client:close()
  end)
end)

describe("where there is no memory for a body", function()
  it("it is answered with 503, and the server goes on", function()
    if Server.is_sanitized() then
      return pending("a sanitizer's own memory is beyond any ulimit")
    end
    local limits = "{ body_total_bytes = 1000000000, body_bytes = 100000000 }"
    server = start(limits, { process = true, workers = 1,
      wrap = Server.under "ulimit -v 300000" })
    local clients, refused = {}, 0
    for i = 1, 5 do
      clients[i] = sends(announce("POST", "/take", 100000000))
      for _ = 1, 70 do
        clients[i]:send(("x"):rep(1000000))
      end
    end
    for _, client in ipairs(clients) do
      client:flush()
      if not client:is_silent() then
        local response = support.refused(client, 503)
        assert.matches("there is no memory for the body", response.body, 1, true)
        refused = refused + 1
      end
    end
    assert.is_true(refused > 0)
    close(clients)
    eventually(function()
      return take "hi" == "2"
    end)
    support.stop(server)
  end)
end)
