-- The clients of the test kit, over an engine that plays bytes: what they send, and how they read
-- what comes.

local fake = require "spec.kit.fake"

---An app that answers each request with `bytes` and remembers what it received.
local function app_that_says(bytes)
  return fake.app(function(conn)
    conn:say(bytes)
  end)
end

---What the app received on its only connection.
local function received(core, number)
  return core.connections[number or 1]:received()
end

describe("a request of the kit", function()
  it("is these bytes", function()
    local app, core = app_that_says(fake.text("200 OK", "hi"))
    app:get("/a")
    assert.equal("GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n", received(core))
    app:post("/b", { json = { b = 1, a = { app and 1 } } })
    assert.equal("POST /b HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" ..
      'Content-Length: 15\r\n\r\n{"a":[1],"b":1}', received(core, 2))
    app:put("/c", { form = { q = "a b&c", n = { 1, 2 } }, query = { x = "ü" } })
    assert.equal("PUT /c?x=%C3%BC HTTP/1.1\r\nHost: localhost\r\n" ..
      "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 19\r\n\r\n" ..
      "n=1&n=2&q=a%20b%26c", received(core, 3))
    app:post("/d")
    assert.matches("Content%-Length: 0\r\n\r\n$", received(core, 4))
  end)

  it("has the headers that it is given, which take the place of the usual ones", function()
    local app, core = app_that_says(fake.text("200 OK", ""))
    app:get("/", { headers = { host = "example.com", ["X-N"] = 7, ["X-List"] = { "a", "b" } } })
    assert.equal("GET / HTTP/1.1\r\nX-List: a\r\nX-List: b\r\nX-N: 7\r\nhost: example.com\r\n\r\n",
      received(core))
    app:stream("/", { headers = { Accept = false } })
    assert.equal("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", received(core, 2))
  end)

  it("has a method of any name, and a path that may be a URL", function()
    local app, core = app_that_says(fake.text("200 OK", ""))
    app:request("purge", "http://localhost:3000/x?y#z")
    assert.matches("^PURGE /x%?y HTTP/1.1\r\n", received(core))
    app:options("*")
    assert.matches("^OPTIONS %* HTTP/1.1\r\n", received(core, 2))
  end)

  it("is sent in pieces, each in a turn of its own", function()
    local reads = {}
    local app = fake.app(function(conn)
      reads[#reads + 1] = conn.sent[#conn.sent]
      if #reads == 3 then
        conn:say(fake.text("200 OK", ""))
      end
    end)
    app:post("/", { body = { "one", "two", "three" } }):expect(200)
    assert.matches("\r\n\r\none$", reads[1])
    assert.matches("Content%-Length: 11\r\n", reads[1])
    assert.same({ "two", "three" }, { reads[2], reads[3] })
  end)

  it("is sent by a slow peer, so many bytes in a turn", function()
    local app, core = fake.app(function(conn, bytes)
      if bytes:sub(-4) == "\r\n\r\n" then
        conn:say(fake.text("200 OK", ""))
      end
    end)
    app:get("/", { slow = 10 }):expect(200)
    assert.equal(10, #core.connections[1].sent[1])
    assert.equal(4, #core.connections[1].sent)
  end)

  it("is sent in time, and as chunks", function()
    local app, core = fake.app(function(conn, bytes)
      if bytes:sub(-5) == "0\r\n\r\n" then
        conn:say(fake.text("200 OK", ""))
      end
    end)
    app:post("/", { body = { "ab", "c" }, every = 2, chunked = true }):expect(200)
    assert.equal(4, core:now() - app.began)
    assert.matches("\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n$", received(core))
  end)

  it("is refused when it makes no sense, at the line that makes it", function()
    local app = app_that_says("")
    local line = debug.getinfo(1, "l").currentline + 2
    local _, complaint = pcall(function()
      app:get("/", { jsn = {} })
    end)
    assert.matches("client_spec%.lua:" .. line .. ": GET /: there is no option 'jsn'; there " ..
      "are: .*json, ", complaint)
    assert.error_matches(function()
      app:post("/", { json = {}, body = "" })
    end, "a request has one body")
    assert.error_matches(function()
      app:get("x")
    end, 'the path "x" does not begin with /')
    assert.error_matches(function()
      app:post("/", { json = print })
    end, "json: a function has no JSON")
  end)
end)

describe("an answer of the kit", function()
  it("has status, headers in any case, text, json and chunks", function()
    local app = app_that_says(fake.answer("201 Created\nX-A: 1\nX-a: 2\n" ..
      "Transfer-Encoding: chunked\n") .. fake.chunk('{"a":') .. fake.chunk("[1,null]}") ..
      "0\r\n\r\n")
    local answer = app:get("/"):expect(201)
    assert.equal("1, 2", answer.headers["X-A"])
    assert.equal("1, 2", answer.headers["x-a"])
    assert.equal("complete", answer.ended)
    assert.same({ '{"a":', "[1,null]}" }, answer.chunks)
    assert.equal('{"a":[1,null]}', answer:text())
    assert.equal(1, answer:json().a[1])
    answer:expect { status = 201, json = { a = { 1, require("lunesse.test.json").null } },
      headers = { ["x-A"] = "1, 2", ["x-b"] = false }, matches = "null", ended = "complete" }
  end)

  it("of HEAD, 204 and 304 has no body", function()
    for _, head in ipairs { "200 OK\nContent-Length: 9\n", "204 No Content\n",
      "304 Not Modified\nContent-Length: 5\n" } do
      local app = app_that_says(fake.answer(head))
      local answer = app:head("/")
      assert.equal("", answer:text())
      assert.equal("complete", answer.ended)
    end
  end)

  it("has the interim ones before it", function()
    local app = app_that_says("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" ..
      fake.text("200 OK", "x"))
    assert.equal("x", app:get("/").interim[1].headers["link"])
  end)

  it("says that it is complete, cut or reset", function()
    for how, case in pairs {
      complete = { fake.answer("200 OK\n"), "closed" },
      cut = { fake.answer("200 OK\nContent-Length: 9\n", "half"), "closed" },
      reset = { fake.answer("200 OK\nContent-Length: 9\n", "half"), "reset" },
    } do
      local app = fake.app(function(conn)
        conn:say(case[1])
        conn:close(case[2])
      end)
      assert.equal(how, app:get("/").ended)
    end
    local app = fake.app(function(conn)
      conn:close()
    end)
    local answer = app:get("/")
    assert.same({ "cut" }, { answer.ended, answer.status })
    assert.error_matches(function()
      answer:expect(200)
    end, "GET / has no answer yet")
  end)

  it("is waited for in the app's time", function()
    local app, core = fake.app(function(conn, _, core)
      core:at(5, function()
        conn:say(fake.text("200 OK", "late"))
      end)
    end)
    assert.equal("late", app:get("/"):text())
    assert.equal(5, core:now() - app.began)
    local answer = app:send("GET", "/")
    assert.is_nil(answer.status)
    app:advance(4)
    assert.is_nil(answer.ended)
    app:advance(1)
    assert.equal("late", answer:expect(200):text())
    assert.error_matches(function()
      app:get("/", { seconds = 1 })
    end, "GET / has no complete answer: it is not over after 1 s of the app's time")
  end)

  it("can be left, and its request can be half closed", function()
    local app, core = fake.app(function(conn)
      conn:say(fake.answer("200 OK\nContent-Length: 9\n", "half"))
    end)
    local answer = app:send("GET", "/"):leave()
    assert.same({ "left", "half" }, { answer.ended, answer:text() })
    assert.is_true(core.connections[1].is_left)
    app:send("GET", "/"):finish()
    assert.is_true(core.connections[2].is_finished)
  end)

  it("that is another raises with the answer and the log's errors", function()
    local app, core = app_that_says(fake.text("500 Internal Server Error", "oh no",
      "Content-Type: text/plain\n"))
    core.records = { { time = core.time + 1, level = "error", message = "handler failed",
      fields = { route = "/x", id = "7", error = "a.lua:7: boom", tries = 2, by = "x" } } }
    assert.error_matches(function()
      app:get("/x"):expect(200)
    end, "GET /x: the status is 500, and not 200\n" ..
      "  GET /x, of worker 1: 500 text/plain, complete\n" ..
      "    oh no\n  the app's log has errors:\n    %+1%.000 s handler failed " ..
      "by=x error=a.lua:7: boom id=7 route=/x tries=2")
    for _, expected in ipairs { { text = "oh" }, { json = {} }, { headers = { ["x-y"] = 1 } },
      { headers = { ["content-type"] = false } }, { matches = "^no" }, { ended = "cut" } } do
      assert.has_error(function()
        app:get("/x"):expect(expected)
      end)
    end
  end)

  it("that is malformed is an error of the server", function()
    local app = app_that_says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert.error_matches(function()
      app:get("/")
    end, "malformed response: no Date")
  end)
end)

describe("a client of the kit", function()
  it("keeps its connection, which others do not", function()
    local app, core = app_that_says(fake.text("200 OK", ""))
    local client = app:client { headers = { ["X-Who"] = "Ada" } }
    client:get("/a")
    client:get("/b")
    assert.equal(1, #core.connections)
    assert.matches("GET /a .-\r\nX%-Who: Ada\r\n\r\nGET /b .-\r\nX%-Who: Ada\r\n", received(core))
    app:get("/")
    app:get("/")
    assert.equal(3, #core.connections)
    assert.is_true(core.connections[2].is_finished)
  end)

  it("opens another when the server has closed, or the first one is busy", function()
    local app, core = fake.app(function(conn, bytes)
      if bytes:find("^GET /close") then
        conn:say(fake.text("200 OK", "", "Connection: close\n"))
        conn:close()
      elseif bytes:find("^GET /stream") then
        conn:say(fake.stream())
      else
        conn:say(fake.text("200 OK", ""))
      end
    end)
    local client = app:client {}
    client:get("/close")
    client:stream("/stream")
    client:get("/a")
    client:get("/a")
    assert.equal(3, #core.connections)
  end)

  it("sends back the cookies that it was given", function()
    local app, core = fake.app(function(conn)
      conn:say(fake.text("200 OK", "", "Set-Cookie: id=7; Path=/; HttpOnly\n" ..
        "Set-Cookie: theme=dark; Max-Age=10\n"))
    end)
    local client = app:client()
    client:get("/a/b")
    client:get("/a/c")
    assert.matches("Cookie: theme=dark; id=7\r\n", received(core))
    assert.equal("7", (client:cookie("id")))
    assert.is_true(select(2, client:cookie("id")).is_http_only)
    app:get("/")
    app:get("/")
    assert.not_matches("Cookie", received(core, 2))
  end)
end)
