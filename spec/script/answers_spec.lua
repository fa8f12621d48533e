-- What becomes of a request that its handler did not answer, or could not: who may answer it later,
-- and for how long, and which headers the 500 has.

local apps = require "spec.support.app"

local start, get = apps.start, apps.get

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
    local app = start(SCRIPT .. [[
server:on_error(function(message, request, response)
  response:json { why = message:match(": (.*)$"), status = response:status() }
end)
]])
    for target, expected in pairs {
      ["/"] = { true, "*", "Origin", "application/json" },
      ["/own"] = { true, "*", "Origin", "application/json", "1" },
      ["/refused"] = { true, "*", "Origin", "application/json", nil, "2" },
    } do
      local answer = app:get(target)
      assert.same(expected, fields(answer.headers), target)
      assert.equal('{"status":500,"why":"' .. (target == "/refused" and "no" or "handler") .. '"}',
        answer:text())
    end
  end)

  it("are on the plain 500 too, but for those that describe the content", function()
    for _, hook in ipairs { "", [[
server:on_error(function(_, _, response) response:header("X-Handler", "1") error("again") end)
]] } do
      local app = start(SCRIPT .. hook)
      for target, expected in pairs {
        ["/"] = { true, "*", "Origin", "text/plain; charset=utf-8" },
        ["/own"] = { true, "*", "Origin", "text/plain; charset=utf-8", "1" },
        ["/none"] = { true, "*", "Origin", "text/plain; charset=utf-8" },
      } do
        local answer = app:get(target):expect { status = 500, text = PLAIN }
        assert.same(expected, fields(answer.headers), target)
        assert.is_nil(answer.headers["cache-control"])
      end
    end
  end)

  it("are none where there is no middleware: what the handler prepared is gone", function()
    local app = start [[
server:get("/", function(_, response) response:status(201):header("X-Handler", "1") error("x") end)
server:on_error(function(_, _, response)
  response:send(tostring(response:header("X-Handler")) .. response:status())
end)
]]
    assert.equal("nil500", get(app, "/"))
  end)
end)

describe("a handler that returns without an answer", function()
  it("leaves a 500, and the log says so", function()
    local app = start [[
server:get("/now", function() end)
server:get("/later", function() lunesse.sleep(0.001) end)
server:get("/head", function(_, response) response:status(201):header("X", "1") end)
]]
    for _, target in ipairs { "/now", "/later", "/head" } do
      app:get(target):expect { status = 500, text = PLAIN }
    end
    local errors = apps.script_errors(app)
    assert.equal(3, #errors)
    assert.matches("the handler returned without an answer", errors[3])
  end)

  it("is told what was missing, also when its last timer is gone", function()
    local app = start([[
local timer
server:get("/fires", function() lunesse.after(0, function() end) end)
server:get("/stopped", function() timer = lunesse.after(1000, hold) mark("waits") end)
server:get("/stop", function(_, response) timer:stop() response:send("x") end)
]], { workers = 1 })
    app:get("/fires"):expect(500)
    local answer = app:send("GET", "/stopped")
    apps.expect_marks(app, { "waits" })
    assert.is_nil(answer.status)
    get(app, "/stop")
    answer:expect(500)
    for _, text in ipairs(apps.script_errors(app)) do
      assert.matches("nothing of the request waits that could give one: no task, no timer, " ..
        "no listener of the response", text)
    end
    assert.equal(2, #apps.script_errors(app))
  end)

  it("may be answered by whoever holds it while a timer, a task or a listener waits", function()
    local app = start([[
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
      local answer = app:send("GET", target)
      assert.equal(i, #apps.marks(app))
      assert.is_nil(answer.status)
      assert.equal("done", get(app, "/answer"))
      assert.equal("from elsewhere", answer:text())
      end
    assert.same({}, apps.script_errors(app))
  end)

  it("is fine while a timer of its own may still answer", function()
    local app = start [[
server:get("/", function(_, response)
  lunesse.after(0.01, function() response:send("later") end)
end)
]]
    assert.equal("later", get(app, "/"))
  end)
end)
