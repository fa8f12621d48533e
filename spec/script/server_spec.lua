-- The server object: routes and their patterns, groups, middlewares, hooks, and what is refused
-- while the scripts load and after.

local support = require "spec.sse.support"
local apps = require "spec.support.app"
local Server = require "spec.support.server"
local wire = require "spec.support.wire"

local start, get = apps.start, apps.get

---Loads a script that must not load: what a start would say.
local function refused(script)
  local ok, why = pcall(apps.load, { ["bad.lua"] = support.script(script) })
  assert.is_false(ok, script)
  return (tostring(why.message):gsub("^.-app%.lua:%d+: ", ""))
end

describe("a module", function()
  local SAY = "response:send(require('parts.word') .. require('whole'))"
  local FILES = {
    ["main.lua"] = support.script("server:get('/', function(_, response) " .. SAY .. " end)"),
    ["parts/word.lua"] = "return 'moon'", ["whole/init.lua"] = "return 'rise'",
  }

  it("is looked for in the scripts' folder, wherever the program was started", function()
    assert.equal("moonrise", get(apps.load(FILES), "/"))
  end)

  it("is looked for beside a script that is named alone", function()
    local folder = Server.write(FILES)
    assert.equal("moonrise", get(apps.load(folder .. "/main.lua"), "/"))
  end)
end)

describe("a route", function()
  it("is found by method and path, literal before parameter before the rest", function()
    local app = start [[
local function say(what)
  return function(request, response)
    local params = {}
    for name, value in pairs(request.params) do params[#params + 1] = name .. "=" .. value end
    table.sort(params)
    response:send(what .. " " .. table.concat(params, ","))
  end
end
server:get("/", say("root"))
server:get("/a", say("a"))
server:get("/a/:x", say("param"))
server:get("/a/b", say("b"))
server:get("/a/:x/c/:y", say("two"))
server:get("/f/*rest", say("rest"))
server:get("/f/known", say("known"))
server:post("/a", say("post"))
server:any("/any", say("any"))
server:get("/any", say("get any"))
]]
    for target, expected in pairs {
      ["/"] = "root ", ["/a"] = "a ", ["/a/b"] = "b ", ["/a/z"] = "param x=z",
      ["/a/1/c/2"] = "two x=1,y=2", ["/f/x/y/z"] = "rest rest=x/y/z", ["/f/known"] = "known ",
      ["/a/%C3%A9%20x"] = "param x=é x", ["/a?x=1"] = "a ", ["/any"] = "get any ",
      ["/a/a%2Fb"] = "param x=a/b",
    } do
      assert.equal(expected, get(app, target), target)
    end
    app:request("POST", "/a"):expect { text = "post " }
    app:request("PUT", "/any"):expect { text = "any " }
    app:get("/nothing"):expect(404)
    app:get("/a/"):expect(404)
  end)

  it("can be of every method, and HEAD comes from GET", function()
    local app = start [[
for _, method in ipairs { "get", "post", "put", "patch", "delete", "options", "head" } do
  server[method](server, "/" .. method, function(request, response)
    response:send(request.method)
  end)
end
]]
    for _, method in ipairs { "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS" } do
      app:request(method, "/" .. method:lower()):expect { text = method }
    end
    local head = app:request("HEAD", "/get")
    assert.equal(200, head.status)
    assert.equal("4", head.headers["content-length"])
    app:request("HEAD", "/head"):expect(200)
    app:request("HEAD", "/none"):expect(404)
    app:get("/post"):expect(405)
  end)

  it("that has another method answers 405 with Allow, and OPTIONS with Allow", function()
    local app = start [[
server:get("/a", function(_, response) response:send("x") end)
server:post("/a", function(_, response) response:send("x") end)
]]
    local response = app:request("DELETE", "/a")
    assert.equal(405, response.status)
    local allowed = {}
    for name in response.headers["allow"]:gmatch("%a+") do
      allowed[#allowed + 1] = name
    end
    table.sort(allowed)
    assert.same({ "GET", "HEAD", "OPTIONS", "POST" }, allowed)
    local options = app:request("OPTIONS", "/a")
    assert.equal(204, options.status)
    assert.equal(response.headers["allow"], options.headers["allow"])
  end)

  it("may take several functions: middlewares, then the handler", function()
    local app = start [[
server:get("/", function(_, _, next) mark("one") next() mark("three") end,
  function(_, response) mark("two") response:send("x") end)
]]
    assert.equal("x", get(app, "/"))
    apps.expect_marks(app, { "one", "two", "three" })
  end)

  it("declared twice is an error with both places", function()
    local err = refused [[

server:get("/a", print)
server:post("/a", print)
server:get("/a", print)]]
    assert.matches("bad.lua:4: the route GET /a is already declared at .*bad.lua:2", err)
    assert.equal(1, select(2, err:gsub("already declared", "")), err)
  end)

  it("is the same whatever its parameters are called", function()
    assert.matches("bad.lua:2: the route GET /a/:y is already declared at .*bad.lua:1",
      refused 'server:get("/a/:x", print)\nserver:get("/a/:y", print)')
  end)

  it("with a bad pattern, option or handler is an error with its place", function()
    for script, expected in pairs {
      ['server:get("a", print)'] = "bad.lua:1: bad pattern 'a'",
      ['server:get("/*rest/a", print)'] = "bad.lua:1: bad pattern",
      ['server:get("/:", print)'] = "bad.lua:1: bad pattern",
      ['server:get(5, print)'] = "bad.lua:1: a pattern is a string",
      ['server:get("/")'] = "bad.lua:1: GET / needs a handler function",
      ['server:get("/", "x")'] = "bad.lua:1: GET /: functions expected, got string",
      ['server:get("/", print, nil)'] = "bad.lua:1: GET /: functions expected, got nil",
      ['server:get("/", { on_leav = "x" }, print)'] = "bad.lua:1: unknown route option " ..
        "'on_leav'; there are body, body_bytes, compress, heartbeat, on_leave, raw_path, sse",
      ['server:get("/", { on_leave = "run" }, print)'] = "bad.lua:1: on_leave is",
      ['server:get("/", { body_bytes = -1 }, print)'] = "bad.lua:1: body_bytes is",
      ['server:get("/", { heartbeat = "x" }, print)'] = "bad.lua:1: heartbeat is",
      ['server:get("/", { heartbeat = 0 }, print)'] = "bad.lua:1: heartbeat is",
      ['server:use(5)'] = "bad.lua:1: use: functions expected, got number",
      ['server:use("x", print)'] = "bad.lua:1: a prefix begins with a slash",
      ['server:use("/x")'] = "bad.lua:1: use needs a handler function",
      ['server:route(5)'] = "bad.lua:1: a prefix begins with a slash",
      ['server:on_error(5)'] = "bad.lua:1: on_error takes a function",
      ['server:on_error(print) server:on_error(print)'] = "bad.lua:1: on_error is already set",
      ['server:not_found()'] = "bad.lua:1: not_found takes a function",
      ['server:listen("x")'] = "bad.lua:1: listen takes a port",
      ['server:listen(70000)'] = "bad.lua:1: a port is between 0 and 65535",
      ['server:get("/", { heartbeat = 1e300 }, print)'] = "bad.lua:1: heartbeat is seconds",
      ['server:get("/", { heartbeat = 0/0 }, print)'] = "bad.lua:1: heartbeat is seconds",
      ['server:get("/", { heartbeat = true }, print)'] = "bad.lua:1: heartbeat is seconds",
      ['server:get("/", { body_bytes = 1.0 }, print)'] = "bad.lua:1: body_bytes is a whole number",
      ['server.get("/", print)'] = "bad.lua:1: get is called with a colon: server:get(...)",
      ['server.use(print)'] = "bad.lua:1: use is called with a colon: server:use(...)",
      ['server.any("/", print)'] = "bad.lua:1: any is called with a colon",
      ['server.route("/x")'] = "bad.lua:1: route is called with a colon",
      ['server:route("/x").post({}, print)'] = "bad.lua:1: post is called with a colon",
      ['server.on_error(print)'] = "bad.lua:1: on_error is called with a colon",
      ['server.not_found(print)'] = "bad.lua:1: not_found is called with a colon",
      ['server.on_reload("end")'] = "bad.lua:1: on_reload is called with a colon",
      ['server.listen(3000)'] = "bad.lua:1: listen is called with a colon",
      ['server:listen { unix = "" }'] = "bad.lua:1: unix is the path of a socket",
      ['server:listen { unix = ("x"):rep(108) }'] = "bad.lua:1: unix is the path of a socket",
      ['server:listen { unix = "a\\0b" }'] = "bad.lua:1: unix is the path of a socket",
      ['server:listen { unix = 5 }'] = "bad.lua:1: unix is the path of a socket",
      ['server:listen { unix = false }'] = "bad.lua:1: unix is the path of a socket",
      ['server:listen { unix = "x", mode = "668" }'] = "bad.lua:1: mode is octal digits",
      ['server:listen { unix = "x", mode = "066" }'] = "bad.lua:1: mode is octal digits",
      ['server:listen { unix = "x", mode = tonumber("660", 8) }'] = "bad.lua:1: mode is octal",
      ['server:listen { unix = "x", mode = 660.0 }'] = "bad.lua:1: mode is octal digits",
      ['server:listen { unix = "x", mode = true }'] = "bad.lua:1: mode is octal digits",
      ['server:listen { unix = "x", mode = false }'] = "bad.lua:1: mode is octal digits",
      ['server:listen { port = 1, mode = 660 }'] = "bad.lua:1: mode is for a Unix socket",
      ['for mode = 660, 661 do server:listen { unix = "x", mode = mode } end'] =
        "bad.lua:1: x was declared with another mode before",
      ['server:listen { unix = "x", port = 1 }'] = "bad.lua:1: listen takes a Unix socket or",
      ['server:listen { unix = "x", host = "::1" }'] = "bad.lua:1: listen takes a Unix socket or",
      ['server:listen { host = 5, port = 1 }'] = "bad.lua:1: host is an IPv4 or IPv6 address",
      ['server:listen { host = "", port = 1 }'] = "bad.lua:1: host is an IPv4 or IPv6 address",
      ['server:listen { host = "::1" }'] = "bad.lua:1: listen takes a port",
      ['for port = 1, 17 do server:listen(port) end'] = "bad.lua:1: at most 16 addresses",
      ['lunesse.server(1)'] = "bad.lua:1: lunesse.server takes a table of options, got number",
      ['lunesse.server { limits = 1 }'] = "bad.lua:1: limits is a table, got number",
      ['lunesse.server { limits = false }'] = "bad.lua:1: limits is a table, got boolean",
      ['lunesse.server { limits = { [true] = 1 } }'] = "bad.lua:1: there is no limit 'true'",
      ['lunesse.reload()'] = "bad.lua:1: reload is for later: the scripts are being loaded",
      ['server:listen { prot = 1 }'] = "bad.lua:1: unknown listen option 'prot'; " ..
        "there are host, mode, port, proxy_protocol, unix",
      ['lunesse.server { limit = {} }'] = "bad.lua:1: unknown server option 'limit'; " ..
        "there are compress, limits",
      ['lunesse.server { limits = { bytes = 1 } }'] = "bad.lua:1: there is no limit 'bytes'; " ..
        "there are head_bytes, head_fields,",
      ['lunesse.server { limits = { body_bytes = "x" } }'] = "bad.lua:1: bad value for the limit",
      ['lunesse.server { limits = { body_bytes = 1.5 } }'] = "bad.lua:1: bad value for the limit",
    } do
      local err = refused(script)
      assert.is_truthy(err:find(expected, 1, true), script .. "\n" .. err)
    end
  end)

  it("cannot be added once the scripts are loaded: that raises, at the caller's line", function()
    local app = start [[
server:get("/", function(_, response)
  local said = {}
  local function try(fn) said[#said + 1] = select(2, pcall(fn)) end
  try(function() server:get("/late", print) end)
  try(function() server:any("/late", print) end)
  try(function() server:use(print) end)
  try(function() server:on_error(print) end)
  try(function() server:not_found(print) end)
  try(function() server:listen(1) end)
  try(function() server:route("/x"):post("/", print) end)
  try(function() lunesse.server { limits = { body_bytes = 1 } } end)
  response:send(table.concat(said, "\n"))
end)
]]
    local line = 4
    for said in get(app, "/"):gmatch("[^\n]+") do
      assert.matches(("script.lua:%d: .*belongs to the script's top level"):format(line), said)
      line = line + 1
    end
    assert.equal(12, line)
    app:get("/late"):expect(404)
  end)
end)

describe("lunesse.server", function()
  it("is one server, whoever asks", function()
    local app = start [[
assert(server == lunesse.server() and server == lunesse.server {})
server:get("/", function(_, response) response:send(tostring(lunesse.server() == server)) end)
]]
    assert.equal("true", get(app, "/"))
  end)

  it("sets limits, which the command line overrides", function()
    local script = [[
lunesse.server { limits = { body_bytes = 3 } }
server:post("/", function(request, response) response:send(request:text()) end)
server:post("/more", { body_bytes = 6 }, function(request, response)
  response:send(request:text())
end)
]]
    local app = start(script)
    for target, bytes in pairs { ["/"] = 3, ["/more"] = 6 } do
      app:post(target, { body = ("x"):rep(bytes) }):expect(200)
      app:post(target, { body = ("x"):rep(bytes + 1) }):expect(413)
    end
    app = start(script, { limits = { body_bytes = 4 } })
    app:post("/", { body = "abcd" }):expect(200)
    app:post("/", { body = "abcde" }):expect(413)
  end)
end)

describe("a group", function()
  it("has its prefix, and groups inside it, and middlewares of its own", function()
    local app = start [[
local api = server:route("/api/")
api:use(function(_, response, next) response:header("X-Api", "1") next() end)
api:get("/a", function(_, response) response:send("a") end)
local inner = api:route("/:room")
inner:use("/admin", function(_, response) response:status(403):send("no") end)
inner:get("/say", function(request, response) response:send(request.params.room) end)
inner:get("/admin/x", function(_, response) response:send("secret") end)
inner:get("/administrator", function(_, response) response:send("fine") end)
server:get("/a", function(_, response) response:send("outside") end)
server:get("/apiary", function(_, response) response:send("bees") end)
]]
    local response = app:get("/api/a")
    assert.same({ "a", "1" }, { response:text(), response.headers["x-api"] })
    response = app:get("/api/green/say")
    assert.same({ "green", "1" }, { response:text(), response.headers["x-api"] })
    app:get("/api/green/admin/x"):expect(403)
    assert.equal("fine", get(app, "/api/green/administrator"))
    for _, target in ipairs { "/a", "/apiary" } do
      assert.is_nil(app:get(target).headers["x-api"])
    end
  end)
end)

describe("a middleware", function()
  it("runs in the order of its declaration, around the handler, wherever the route stands",
    function()
      local server = support.start [[
server:get("/", function(_, response) mark("handler") response:send("x") end)
server:use(function(_, response, next)
  mark("first in")
  next()
  mark("first out", tostring(response.completed), response:status())
end)
server:use("/", function(_, _, next) mark("second in") next() mark("second out") end)
server:use(function(_, _, next) mark("third in") return next() end,
  function(_, _, next) mark("fourth in") return next() end)
]]
      assert.equal("x", support.get(server, "/"))
      support.await_marks(server, { "first in", "second in", "third in", "fourth in", "handler",
        "second out", "first out true 200" })
    end)

  it("may answer instead of the handler", function()
    local app = start [[
server:use("/secret", function(request, response, next)
  if request.headers.authorization ~= "yes" then
    return response:status(401):send("who are you?")
  end
  next()
end)
server:get("/secret", function(_, response) mark("handler") response:send("42") end)
]]
    local response = app:get("/secret")
    assert.same({ 401, "who are you?" }, { response.status, response:text() })
    app:get("/secret", { headers = { Authorization = "yes" } }):expect { text = "42" }
    apps.expect_marks(app, { "handler" })
  end)

  it("may wait, before and after, also around a stream", function()
    local server = support.start [[
server:use(function(_, _, next)
  lunesse.sleep(0.01)
  next()
  mark("after")
end)
server:get("/", function(_, response)
  response.sse:send("x")
  lunesse.sleep(0.01)
  response.sse:close()
end)
]]
    assert.equal(support.chunks(":\n\n", "data: x\n\n"), (support.stream_bytes(server, "/")))
    support.await_marks(server, { "after" })
  end)

  it("that neither answers nor goes on leaves a 500, and so does one that raises", function()
    local app = start [[
server:use("/lost", function() end)
server:use("/bad", function() error("in the middle") end)
server:get("/lost", print)
server:get("/bad", print)
]]
    app:get("/lost"):expect(500)
    app:get("/bad"):expect(500)
    assert.matches("^script.lua:2: in the middle", apps.script_errors(app)[2])
  end)

  it("sees errors of the handler pass, and may catch them", function()
    local app = start [[
server:use(function(_, response, next)
  local ok, problem = pcall(next)
  if not ok then response:status(418):send(problem) end
end)
server:get("/", function() lunesse.sleep(0.001) error("teapot", 0) end)
]]
    local response = app:get("/")
    assert.same({ 418, "teapot" }, { response.status, response:text() })
  end)

  it("runs for 404, 405 and OPTIONS as well", function()
    local server = support.start([[
server:use(function(request, response, next)
  response:header("X-Middle", "1")
  next()
  mark(request.method, request.path, response:status())
end)
server:use("/sub", function(_, response, next) response:header("X-Sub", "1") next() end)
server:get("/here", function(_, response) response:send("x") end)
]], { workers = 1 })
    local missing = server:request { target = "/nothing" }
    assert.same({ 404, "1" }, { missing.status, missing.headers["x-middle"] })
    assert.is_nil(missing.headers["x-sub"])
    assert.equal("1", server:request({ target = "/sub/x" }).headers["x-sub"])
    local wrong = server:request { method = "DELETE", target = "/here" }
    assert.same({ 405, "1" }, { wrong.status, wrong.headers["x-middle"] })
    local options = server:request { method = "OPTIONS", target = "/here" }
    assert.same({ 204, "1" }, { options.status, options.headers["x-middle"] })
    assert.is_truthy(options.headers["allow"])
    support.await_marks(server, { "GET /nothing 404", "GET /sub/x 404", "DELETE /here 405",
      "OPTIONS /here 204" })
  end)

  it("may answer a preflight itself", function()
    local app = start [[
server:use(function(request, response, next)
  response:header("Access-Control-Allow-Origin", "*")
  if request.method == "OPTIONS" then return response:status(204):send() end
  next()
end)
server:get("/", function(_, response) response:send("x") end)
]]
    local options = app:options("/")
    assert.same({ 204, "*" }, { options.status, options.headers["access-control-allow-origin"] })
    assert.equal("*", app:get("/").headers["access-control-allow-origin"])
  end)
end)

describe("not_found", function()
  it("answers what no route takes, with its status set", function()
    local app = start [[
server:not_found(function(request, response)
  response:send(response:status() .. " nothing at " .. request.path)
end)
server:get("/here", function(_, response) response:send("x") end)
]]
    local response = app:get("/a%20b?c")
    assert.same({ 404, "404 nothing at /a%20b" }, { response.status, response:text() })
    app:request("POST", "/here"):expect(405)
  end)

  it("leaves a plain 500 when it raises or forgets", function()
    local app = start [[
server:not_found(function(request)
  if request.path == "/raise" then error("not even this") end
end)
]]
    app:get("/raise"):expect(500)
    app:get("/forget"):expect(500)
  end)
end)

describe("on_error", function()
  it("shapes the answer to a failed handler, without a traceback in the message", function()
    local app = start [[
server:on_error(function(message, request, response)
  response:status(503):json { error = message, path = request.path }
end)
server:get("/:what", function(request, response)
  response:header("X-Before", "1"):status(201)
  if request.params.what == "wait" then lunesse.sleep(0.001) end
  error("on purpose")
end)
]]
    for _, target in ipairs { "/now", "/wait" } do
      local response = app:get(target)
      assert.equal(503, response.status)
      assert.matches("script.lua:7: on purpose", response:text())
      assert.not_matches("traceback", response:text())
      assert.is_nil(response.headers["x-before"])
    end
  end)

  it("leaves a plain 500 when it raises, waits and raises, or forgets", function()
    local app = start [[
server:on_error(function(_, request, _)
  if request.path == "/wait" then lunesse.sleep(0.001) end
  if request.path ~= "/forget" then error("again") end
end)
server:get("/:what", function() error("first") end)
]]
    for _, target in ipairs { "/now", "/wait", "/forget" } do
      local response = app:get(target)
      assert.equal(500, response.status)
      assert.equal("500: the handler failed; the server's log says why\n", response:text())
    end
  end)

  it("is not asked when the head is out", function()
    local app = start [[
server:on_error(function(_, _, response) mark("asked") response:send("x") end)
server:get("/", function(_, response) response:write("x") error("late") end)
]]
    app:get("/"):expect { ended = "cut", text = "x" }
    apps.expect_marks(app, {})
  end)
end)

describe("a pipelined connection", function()
  it("is answered in order, however long the handlers take", function()
    local server = support.start [[
server:get("/:seconds", function(request, response)
  lunesse.sleep(tonumber(request.params.seconds))
  response:send(request.params.seconds)
end)
]]
    local client = server:connect()
    client:send(wire.request { target = "/0.05" } .. wire.request { target = "/0" } ..
      wire.request { target = "/0.01" })
    for _, expected in ipairs { "0.05", "0", "0.01" } do
      assert.equal(expected, client:response().body)
    end
    client:close()
  end)
end)
