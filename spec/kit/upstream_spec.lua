-- Requests of an app to other servers: a spec reaches no network, and stands in for the servers.

local kit = require "spec.support.kit"
local test = require "lunesse.test"

local SCRIPT = [[
local lunesse = require "lunesse"
local server, http = lunesse.server(), lunesse.http
local api = http.client { base = "https://api.example.com/v1", connect_timeout = 5,
  first_byte_timeout = 20, idle_timeout = 10 }

local function told(page, why, code)
  return page and page.status .. " " .. page:text() or why .. " " .. code
end
server:get("/get", { on_leave = "cancel" }, function(request, response)
  local client = request.query.public and http.public or http
  response:send(told(client.get(request.query.url)))
end)
server:post("/post", { on_leave = "cancel" }, function(request, response)
  response:send(told(api:post("/things", { json = request:json(), query = { a = "b c" } })))
end)
server:get("/api", { on_leave = "cancel" }, function(request, response)
  response:send(told(api:get("/x")))
end)
server:get("/unix", function(_, response)
  response:send(told(http.client { unix = "/run/a.sock" }:get("http://localhost/x")))
end)
server:get("/events", function(request, response)
  local up <close> = api:get("/feed", { stream = true })
  for event in up:events() do response.sse:send(event) end
  response.sse:close()
end)
]]

describe("an app's request to another server", function()
  local app

  before_each(function()
    app = test.load { ["script.lua"] = SCRIPT }
  end)
  after_each(test.stop)

  local function ask(url, more)
    return app:get("/get", { query = { url = url, public = more } }):text()
  end

  it("reaches no network, and says so", function()
    app:upstream("other.example", function(_, reply) reply:send("x") end)
    assert.equal("127.0.0.1:3000: a spec reaches no network, and no app:upstream stands in " ..
      "for this host ENOTFOUND", ask("http://127.0.0.1:3000/"))
  end)

  it("is answered by who stands in for the server", function()
    local upstream = app:upstream("api.example.com", function(request, reply)
      reply:status(201):header("X-One", 1):json { got = request:json(), path = request.path }
    end)
    local text = app:post("/post", { json = { hello = { "world" } } }):text()
    assert.same({ got = { hello = { "world" } }, path = "/v1/things" },
      test.json.decode(text:match("^201 (.*)$")))
    local request = upstream.requests[1]
    assert.equal("POST", request.method)
    assert.equal("/v1/things?a=b%20c", request.target)
    assert.same({ a = "b c" }, request.query)
    assert.equal("api.example.com", request.headers.Host)
    assert.equal("application/json", request.headers["content-type"])
    assert.is_false(request.left)
  end)

  it("goes to the host that it names, with whatever port and scheme", function()
    app:upstream("one.example", function(request, reply)
      reply:send("one " .. request.headers.host)
    end)
    app:upstream("127.0.0.1", function(_, reply) reply:send("address") end)
    app:upstream("::1", function(_, reply) reply:send("six") end)
    assert.equal("200 one one.example", ask("http://one.example/"))
    assert.equal("200 one ONE.example:8080", ask("http://ONE.example:8080/"))
    assert.equal("200 one one.example", ask("https://one.example"))
    assert.equal("200 address", ask("http://127.0.0.1:1/"))
    assert.equal("200 six", ask("https://[::1]/"))
  end)

  it("of a client of a Unix socket goes to the host of its URL", function()
    assert.matches("^localhost:80 at unix:/run/a.sock: a spec reaches no network",
      app:get("/unix"):text())
    app:upstream("localhost", function(request, reply) reply:send("here " .. request.path) end)
    assert.equal("200 here /x", app:get("/unix"):text())
  end)

  it("is refused by http.public where the address is not public", function()
    app:upstream("127.0.0.1", function(_, reply) reply:send("private") end)
    app:upstream("8.8.8.8", function(_, reply) reply:send("public") end)
    app:upstream("name.example", function(_, reply)
      reply:status(302):header("Location", "http://127.1/"):send()
    end)
    assert.matches(" EPRIVATE$", ask("http://127.0.0.1/", true))
    assert.matches(" EPRIVATE$", ask("http://localhost/", true))
    assert.matches(" EPRIVATE$", ask("http://name.example/", true))
    assert.equal("200 public", ask("http://8.8.8.8/", true))
    assert.equal("200 private", ask("http://name.example/"))
  end)

  it("fails as the spec says", function()
    for _, code in ipairs {
      "ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "ENOTFOUND", "EAI_AGAIN", "ECERT", "ETLS",
    } do
      app:upstream("down.example", code)
      assert.matches("^down%.example:80: .* " .. code .. "$", ask("http://down.example/"))
    end
    app:upstream("down.example", function(_, reply) reply:reset() end)
    assert.equal("down.example:80: the server closed the connection without an answer ECONNRESET",
      ask("http://down.example/"))
    local upstream = app:upstream("DOWN.example", function(_, reply)
      reply:write("some"):reset()
    end)
    assert.equal("down.example:80: the server closed the connection in the middle of its answer " ..
      "ECONNRESET", ask("http://down.example/"))
    assert.equal(1, #upstream.requests)
    assert.is_false(upstream.requests[1].left)
  end)

  it("waits in the app's time, and no longer than its timeouts", function()
    local upstream = app:upstream("api.example.com", function(_, reply) reply:hang() end)
    local answer = app:send("GET", "/api")
    app:advance(19.9)
    assert.is_nil(answer.status)
    assert.is_false(upstream.requests[1].left)
    app:advance(0.2)
    assert.equal("api.example.com:443: no answer within 20 s ETIMEDOUT", answer:text())
    assert.is_true(upstream.requests[1].left)
    app:upstream("api.example.com", function(_, reply)
      reply:sleep(19):write("one"):sleep(9):write("two"):sleep(11):write("three")
    end)
    answer = app:send("GET", "/api")
    app:advance(37)
    assert.is_nil(answer.status)
    app:advance(2)
    assert.equal("api.example.com:443: nothing more of the answer came for 10 s ETIMEDOUT",
      answer:text())
  end)

  it("ends with its reader, which the server sees", function()
    local goes_on = false
    local upstream = app:upstream("api.example.com", function(_, reply)
      reply:event("one", { a = 1 }):sleep(5)
      goes_on = true
    end)
    local stream = app:stream("/events")
    assert.event(stream, "one", { a = 1 })
    assert.is_false(upstream.requests[1].left)
    stream:leave()
    app:turn()
    assert.is_true(upstream.requests[1].left)
    app:advance(10)
    assert.is_false(goes_on)
  end)

  it("gets an event stream in pieces", function()
    app:upstream("api.example.com", function(_, reply)
      reply:event { event = "a", data = "1\n2", id = "7" }
      reply:sleep(3)
      reply:write("data: ")
      reply:sleep(3)
      reply:write("three\n\n"):finish()
    end)
    local stream = app:stream("/events")
    assert.next_event(stream, { event = "a", data = "1\n2", id = "7" })
    assert.quiet(stream, 5.9)
    app:advance(0.1)
    assert.next_event(stream, "message", "three")
    assert.ended(stream, "complete")
  end)

  it("has its body held back by a slow reader, and whoever answers with it", function()
    local sent = 0
    local upstream = app:upstream("api.example.com", function(_, reply)
      for _ = 1, 30 do
        reply:event("big", ("x"):rep(100 * 1000))
        sent = sent + 1
      end
    end)
    local stream = app:stream("/events")
    assert.equal(30, sent)
    assert.ended(stream, "complete")
    sent = 0
    stream = app:stream("/events", { window = 0 })
    local before = sent
    assert.is_true(before < 30)
    app:advance(1)
    assert.equal(before, sent)
    stream:resume()
    assert.equal(30, sent)
    assert.ended(stream, "complete")
    assert.is_false(upstream.requests[2].left)
  end)

  it("may be answered with what the app itself says", function()
    app:upstream("inner.example", function(_, reply) reply:sleep(1):send("inner") end)
    app:upstream("outer.example", function(request, reply)
      assert.equal("/a+b c", request.path)
      assert.same({ ["d e"] = "f+" }, request.query)
      reply:send("outer " .. ask("http://inner.example/"))
    end)
    assert.equal("200 outer 200 inner", ask("http://outer.example/a+b%20c?d+e=f%2B"))
  end)

  it("that has no body is answered without one", function()
    app:upstream("api.example.com", function(request, reply)
      assert.equal("GET", request.method)
      reply:status(204)
    end)
    assert.equal("204 ", app:get("/api"):text())
  end)

  it("has a wrong answer raise at the line of the spec", function()
    kit.ask()
    app:upstream("api.example.com", function() error("oh no") end)
    local ok, why = pcall(app.get, app, "/api")
    assert.is_false(ok)
    assert.matches("upstream_spec.lua:%d+: oh no$", why)
    for complaint, what in pairs {
      ["reply:status: a number from 200 to 599 expected"] = function(r) r:status(100) end,
      ["reply:header: the head of the answer is sent"] = function(r)
        r:write("a"):header("a", "b")
      end,
      ["reply:write: the answer is over"] = function(r) r:send("a") r:write("b") end,
      ["reply:event: there is no option 'name'"] = function(r) r:event { name = "x" } end,
      ["use a colon: reply:send(...)"] = function(r) r.send("x") end,
      ["reply:sleep: seconds expected, got x"] = function(r) r:sleep("x") end,
    } do
      app:upstream("api.example.com", function(_, reply) what(reply) end)
      ok, why = pcall(app.get, app, "/api")
      assert.is_false(ok)
      assert.matches("upstream_spec.lua:%d+: ", why)
      assert.matches(complaint, why, 1, true)
    end
  end)
end)

describe("app:upstream", function()
  after_each(test.stop)

  it("takes a host, and a function or a code", function()
    local app = test.load { ["a.lua"] = "" }
    for complaint, arguments in pairs {
      ["app:upstream: a host: string expected, got nil"] = {},
      ["a host such as 'api.example.com' expected, without scheme, port and path, got 'a:80'"] =
        { "a:80", print },
      ["a host such as 'api.example.com' expected, without scheme, port and path, got 'http://a'"] =
        { "http://a", print },
      ["app:upstream: a function or a code: function string expected, got nil"] = { "a" },
      ["app:upstream: a code: there is no 'EX'"] = { "a", "EX" },
    } do
      local ok, why = pcall(app.upstream, app, table.unpack(arguments))
      assert.is_false(ok)
      assert.matches(complaint, why, 1, true)
    end
  end)

  it("sees the end of the app", function()
    local app = test.load({ ["a.lua"] = [[
      local lunesse = require "lunesse"
      lunesse.after(1, function() lunesse.http.get("http://a.example/") end)
    ]] }, { workers = 2 })
    local upstream = app:upstream("a.example", function(_, reply) reply:hang() end)
    app:advance(1)
    assert.is_false(upstream.requests[1].left)
    app:stop()
    assert.is_true(upstream.requests[1].left)
  end)
end)
