-- A request ends with whoever waits for it, and in time: in each of its phases, and the other
-- server sees it at once. At once is within one turn of the loop: the server waits for nothing
-- between hearing that its reader has left and closing the socket. The seconds of it depend on the
-- machine, and are measured by `make soak SOAK=leave`.

local clock = require "spec.support.clock"
local Process = require "spec.support.process"
local Server = require "spec.support.server"
local strace = require "spec.support.strace"
local phases = require "spec.upstream.phases"
local support = require "spec.upstream.support"

local SCRIPT = support.RELAY .. [[
local api = http.client { connect_timeout = 5, first_byte_timeout = 7, idle_timeout = 9 }
server:get("/api", { on_leave = "cancel" }, function(request, response)
  response:send(told(api:get(request.query.url)))
end)
local task
server:get("/begin", function(request, response)
  task = lunesse.spawn(function() api:get(request.query.url) end)
  response:send("begun")
end)
server:get("/cancel", function(_, response)
  task:cancel()
  response:send("cancelled")
end)
local found
server:get("/found", function(request, response)
  found = http.client { connect_timeout = 20 }
  response:send(told(found:get(request.query.url)))
end)
server:get("/hello", function(_, response) response:send("hello") end)
]]

local function start(options)
  options = options or {}
  options.workers = 1
  return Server.start(SCRIPT, options)
end

describe("a request that waits for the", function()
  after_each(support.close_all)

  for name, phase in pairs(phases.all) do
    it(name .. " ends in the turn that hears of its reader's leaving", function()
      local server = start()
      local upstream, url = phases.listen(phase)
      local client = phases.begin(server, "/get", url)
      local await_end = phase.bring(upstream)
      local calls = strace.during(server, "epoll_wait,epoll_pwait,recvfrom,recvmsg,read,close",
        "GET /hello", function()
          client:reset() -- of a peer that closes in order, the server first asks whether it is gone
          await_end()
          assert.equal("hello", server:request { target = "/hello" }.body)
        end)
      if not calls then
        return pending("strace is not there, or may not attach")
      end
      local turn = calls:match("ECONNRESET.-epoll_p?wait")
      assert.truthy(turn, calls)
      assert.matches(("%%f[%%a]close%%(%%d+<[^>]*%%->127%%.0%%.0%%.1:%d%%f[%%D]"):format(
        upstream.port), turn)
    end)

    it(name .. " ends with its task", function()
      local upstream, url = phases.listen(phase)
      local server = start()
      assert.equal("begun", server:request { target = phases.target("/begin", url) }.body)
      local await_end = phase.bring(upstream)
      assert.equal("cancelled", server:request { target = "/cancel" }.body)
      await_end()
    end)

    it(name .. " ends with the server", function()
      local upstream, url = phases.listen(phase)
      local server = start { args = { "--limit", "drain_timeout=0.1" } }
      phases.begin(server, "/get", url)
      phase.bring(upstream)
      server:stop { seconds = 2 }
    end)
  end
end)

describe("the time for", function()
  after_each(support.close_all)

  local TIMES = {
    connect = { seconds = 5, why = "no connection within 5 s" },
    TLS = { seconds = 5, why = "no connection within 5 s" },
    ["first byte"] = { seconds = 7, why = "no answer within 7 s" },
    head = { seconds = 7, why = "no answer within 7 s" },
    body = { seconds = 9, why = "nothing more of the answer came for 9 s" },
  }

  for name, time in pairs(TIMES) do
    it(name .. " is bounded, by the clock that specs move", function()
      local upstream, url = phases.listen(phases.all[name])
      local server = start { clock = true }
      local client = phases.begin(server, "/api", url)
      local await_end = phases.all[name].bring(upstream)
      server:advance(time.seconds - 1)
      assert.is_true(client:is_silent())
      server:advance(1)
      assert.equal(("nil 127.0.0.1:%d: %s ETIMEDOUT"):format(upstream.port, time.why),
        client:response().body)
      await_end()
    end)
  end

  it("the next piece of a body begins anew with each piece", function()
    local upstream = support.listen()
    local server = start { clock = true }
    local client = phases.begin(server, "/api", upstream.url)
    local conn = upstream:accept()
    conn:request()
    conn:send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n")
    for byte in ("abc"):gmatch(".") do
      server:advance(6)
      conn:send(byte)
      assert.is_true(client:is_silent() or byte == "c")
    end
    assert.equal("200 abc", client:response().body)
  end)

  it("a free connection is bounded", function()
    local upstream = support.listen()
    local server = Server.start(support.RELAY .. [[
      local api = http.client { connections = 1, connect_timeout = 5, first_byte_timeout = 60 }
      server:get("/api", function(request, response)
        response:send(told(api:get(request.query.url)))
      end)
    ]], { clock = true, workers = 1 })
    local first = phases.begin(server, "/api", upstream.url)
    local conn = upstream:accept()
    conn:request()
    local second = phases.begin(server, "/api", upstream.url)
    assert.is_true(second:is_silent())
    server:advance(5)
    assert.matches("all connections of this client were in use for 5 s ETIMEDOUT$",
      second:response().body)
    conn:answer("first")
    assert.equal("200 first", first:response().body)
  end)
end)

describe("a host with several addresses", function()
  after_each(support.close_all)

  it("is tried at the next one when the first refuses late", function()
    local upstream = support.listen { host = "127.0.0.2" }
    local first = { host = "127.0.0.1", port = upstream.port } -- as the system sorts them
    local silent = phases.full_upstream(first)
    local folder = Server.write { hosts = "127.0.0.2 two.test\n127.0.0.1 two.test\n" }
    if Process.run { "unshare", "-m", "true" } ~= 0 then
      pending("it takes root")
    end
    local server = start { wrap = { "unshare", "-m", "sh", "-c",
      ("mount --bind %s/hosts /etc/hosts; exec \"$@\""):format(folder), "sh" } }
    local client = phases.begin(server, "/found", ("http://two.test:%d/"):format(upstream.port))
    clock.eventually(function() return phases.count_of(upstream.port, 2) > 1 end)
    silent:close()
    local conn = upstream:accept()
    conn:request()
    conn:answer("found")
    assert.equal("200 found", client:response().body)
  end)
end)

describe("a name server that never answers", function()
  local deaf, wrap
  before_each(function() deaf, wrap = support.deaf_names() end)
  after_each(function()
    if deaf then
      deaf:close()
    end
    support.close_all()
  end)

  local function start_or_skip(options)
    if not deaf or Process.run { "unshare", "-m", "true" } ~= 0 then
      pending("it takes root, and port 53 of a network of its own")
    end
    options = options or {}
    options.wrap = wrap
    return start(options)
  end

  it("holds up nobody else, and nobody who leaves", function()
    local server = start_or_skip()
    local upstream = support.listen()
    local clients = {}
    for i = 1, 40 do
      clients[i] = phases.begin(server, "/get", ("http://a%d.example.com/"):format(i))
    end
    deaf:settimeout(5)
    assert.truthy(deaf:receive()) -- it was asked
    local client = phases.begin(server, "/get", upstream.url)
    local conn = upstream:accept()
    conn:request()
    conn:answer("x")
    assert.equal("200 x", client:response().body)
    for i = 1, 40 do
      clients[i]:reset()
    end
    assert.equal("hello", server:request { target = "/hello" }.body)
  end)

  it("is not waited for when the time is up, nor at the server's end", function()
    local server = start_or_skip { clock = true }
    local client = phases.begin(server, "/api", "http://a.example.com/")
    deaf:settimeout(5)
    assert.truthy(deaf:receive())
    server:advance(5)
    assert.equal("nil a.example.com:80: the name was not looked up within 5 s ETIMEDOUT",
      client:response().body)
  end)
end)
