-- What becomes of a request that its handler did not answer, or could not: who may answer it later,
-- and for how long, and which headers the 500 has.

local support = require "spec.sse.support"

local start, get = support.start, support.get

local PLAIN = "500: the handler failed; the server's log says why\n"

describe("the headers that middlewares set", function()
  local SCRIPT = [[
server:use(function(request, response, next)
  response:header("X-Request-Id", request.id):header("Access-Control-Allow-Origin", "*")
  response:header("Vary", "Origin"):type("application/json"):header("Cache-Control", "max-age=60")
  next()
  response:header("X-After", "1")
end)
server:use("/refused", function(_, response) response:header("X-Second", "2") error("no") end)
local function handler(_, response)
  response:status(201):header("X-Handler", "1")
  response:header("Vary", "Accept"):add_header("Vary", "Cookie")
  error("handler")
end
server:get("/", handler)
server:get("/own", function(_, response, next) response:header("X-Own", "1") next() end, handler)
server:get("/refused", handler)
server:get("/none", function() end)
]]

  local function fields(headers)
    return { headers["x-request-id"] ~= nil, headers["access-control-allow-origin"], headers.vary,
      headers["content-type"], headers["x-own"], headers["x-second"], headers["x-handler"],
      headers["x-after"] }
  end

  it("are on the response that on_error is given, as the handler found them", function()
    local server = start(SCRIPT .. [[
server:on_error(function(message, request, response)
  response:json { why = message:match(": (.*)$"), status = response:status() }
end)
]])
    for target, expected in pairs {
      ["/"] = { true, "*", "Origin", "application/json" },
      ["/own"] = { true, "*", "Origin", "application/json", "1" },
      ["/refused"] = { true, "*", "Origin", "application/json", nil, "2" },
    } do
      local response = server:request { target = target }
      assert.same(expected, fields(response.headers), target)
      assert.equal('{"status":500,"why":"' .. (target == "/refused" and "no" or "handler") .. '"}',
        response.body)
    end
  end)

  it("are on the plain 500 too, but for those that describe the content", function()
    for _, hook in ipairs { "", [[
server:on_error(function(_, _, response) response:header("X-Handler", "1") error("again") end)
]] } do
      local server = start(SCRIPT .. hook)
      for target, expected in pairs {
        ["/"] = { true, "*", "Origin", "text/plain; charset=utf-8" },
        ["/own"] = { true, "*", "Origin", "text/plain; charset=utf-8", "1" },
        ["/none"] = { true, "*", "Origin", "text/plain; charset=utf-8" },
      } do
        local response = server:request { target = target }
        assert.same(expected, fields(response.headers), target)
        assert.is_nil(response.headers["cache-control"])
        assert.same({ 500, PLAIN }, { response.status, response.body })
      end
    end
  end)

  it("are none where there is no middleware: what the handler prepared is gone", function()
    local server = start [[
server:get("/", function(_, response) response:status(201):header("X-Handler", "1") error("x") end)
server:on_error(function(_, _, response)
  response:send(tostring(response:header("X-Handler")) .. response:status())
end)
]]
    assert.equal("nil500", get(server, "/"))
  end)
end)

describe("a handler that returns without an answer", function()
  it("leaves a 500, and the log says so", function()
    local server = start [[
server:get("/now", function() end)
server:get("/later", function() lunesse.sleep(0.001) end)
server:get("/head", function(_, response) response:status(201):header("X", "1") end)
]]
    for _, target in ipairs { "/now", "/later", "/head" } do
      local response = server:request { target = target }
      assert.same({ 500, PLAIN }, { response.status, response.body })
    end
    assert.equal(3, #server:log_lines("the handler returned without an answer"))
  end)

  it("is told what was missing, also when its last timer is gone", function()
    local server = start([[
local timer
server:get("/fires", function() lunesse.after(0, function() end) end)
server:get("/stopped", function() timer = lunesse.after(1000, hold) mark("waits") end)
server:get("/stop", function(_, response) timer:stop() response:send("x") end)
]], { workers = 1 })
    assert.equal(500, server:request { target = "/fires" }.status)
    local client = server:connect()
    client:send("GET /stopped HTTP/1.1\r\nHost: localhost\r\n\r\n")
    support.await_marks(server, { "waits" })
    assert.is_true(client:is_silent())
    get(server, "/stop")
    assert.equal(500, client:response().status)
    client:close()
    assert.equal(2, #server:log_lines("nothing of the request waits that could give one: " ..
      "no task, no timer, no listener of the response"))
  end)

  it("may be answered by whoever holds it while a timer, a task or a listener waits", function()
    local server = start([[
local held
local function give(response, timer) held = { response = response, timer = timer } mark("held") end
server:get("/timer", function(_, response)
  give(response, lunesse.after(1000, function() response:send("too late") end))
end)
server:get("/task", function(_, response) give(response) hold() end)
server:get("/listener", function(_, response)
  response:on("close", function() end)
  give(response)
end)
server:get("/answer", function(_, response)
  if held.timer then held.timer:stop() end
  held.response:send("from elsewhere")
  response:send("done")
end)
]], { workers = 1 })
    for i, target in ipairs { "/timer", "/task", "/listener" } do
      local client = server:connect()
      client:send("GET " .. target .. " HTTP/1.1\r\nHost: localhost\r\n\r\n")
      eventually(function() return #support.marks(server) == i end)
      assert.is_true(client:is_silent())
      assert.equal("done", get(server, "/answer"))
      assert.equal("from elsewhere", client:response().body)
      client:close()
    end
    assert.equal(0, #server:log_lines("without an answer"))
  end)

  it("is fine while a timer of its own may still answer", function()
    local server = start [[
server:get("/", function(_, response)
  lunesse.after(0.01, function() response:send("later") end)
end)
]]
    assert.equal("later", get(server, "/"))
  end)
end)
