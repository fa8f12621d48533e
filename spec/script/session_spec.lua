-- lunesse.web.session: what belongs to one browser, in a store that outlives the scripts.

local apps = require "spec.support.app"
local support = require "spec.sse.support"

local SCRIPT = [[
server:use(lunesse.web.session { key = KEYS or "moon", ttl = 1000, store = lunesse.shared("s") })
local function result(response, ...)
  local list = table.pack(...)
  for i = 1, list.n do list[i] = tostring(list[i]) end
  response:send(table.concat(list, " "))
end
server:get("/get/:name", function(request, response)
  result(response, request.state.session:get(request.params.name))
end)
server:get("/set/:name/:value", function(request, response)
  result(response, request.state.session:set(request.params.name, request.params.value))
end)
server:get("/forget/:name", function(request, response)
  result(response, request.state.session:set(request.params.name, nil))
end)
server:get("/renew", function(request, response)
  result(response, request.state.session:renew())
end)
server:get("/destroy", function(request, response)
  request.state.session:destroy()
  result(response, request.state.session.id)
end)
server:get("/count", function(_, response) result(response, lunesse.shared("s").count) end)
server:get("/late", function(request, response)
  response:write("x")
  local _, why = pcall(function() request.state.session:set("a", 1) end)
  response:finish(why)
end)
server:get("/slow", function(request, response)
  local session = request.state.session
  lunesse.sleep(10)
  result(response, session:is_alive(), session:set("slow", "1"))
end)
]]

local function start(keys)
  return apps.start((keys and "local KEYS = " .. keys .. " " or "local KEYS ") .. SCRIPT)
end

local function ask(client, path)
  return client:get(path):text()
end

describe("a session", function()
  it("is the browser's that has its cookie, and nobody else's", function()
    local app = start()
    local ada, bob = app:client(), app:client()
    assert.equal("true", ask(ada, "/set/user/ada"))
    assert.equal("true", ask(bob, "/set/user/bob"))
    assert.equal("ada", ask(ada, "/get/user"))
    assert.equal("bob", ask(bob, "/get/user"))
    assert.equal("nil", ask(app:client(), "/get/user"))
    local _, cookie = ada:cookie("session")
    assert.same({ true, "Lax", "/" }, { cookie.is_http_only, cookie.same_site, cookie.path })
  end)

  it("takes neither a cookie nor a place in the store before something is set", function()
    local app = start()
    local answer = app:get("/get/user")
    assert.is_nil(answer.headers["set-cookie"])
    assert.is_nil(app:get("/forget/user").headers["set-cookie"])
    assert.equal("0", ask(app, "/count"))
  end)

  it("outlives a reload, and each request of it sees what others have set", function()
    local app = start()
    local ada = app:client()
    ask(ada, "/set/a/1")
    local slow = ada:send("GET", "/slow")
    ask(ada, "/set/b/2")
    app:advance(10)
    assert.equal("true true", slow:text())
    assert(app:reload { ["script.lua"] = support.script("local KEYS " .. SCRIPT) })
    assert.equal("1 2 1", ("%s %s %s"):format(ask(ada, "/get/a"), ask(ada, "/get/b"),
      ask(ada, "/get/slow")))
    assert.equal("true", ask(ada, "/forget/b"))
    assert.equal("nil", ask(ada, "/get/b"))
  end)

  it("has another id after renew, and the old one opens nothing", function()
    local app = start()
    local ada = app:client()
    local old = ada:get("/set/user/ada").headers["set-cookie"]:match("^[^;]+")
    assert.equal("true", ask(ada, "/renew"))
    assert.equal("ada", ask(ada, "/get/user"))
    assert.equal("nil", app:get("/get/user", { headers = { Cookie = old } }):text())
    assert.equal("1", ask(app, "/count"))
  end)

  it("is gone after destroy, also for a request that is still at work", function()
    local app = start()
    local ada = app:client()
    local old = ada:get("/set/user/ada").headers["set-cookie"]:match("^[^;]+")
    local slow = ada:send("GET", "/slow")
    local answer = ada:get("/destroy")
    assert.equal("nil", answer:text())
    assert.matches("Max%-Age=0", answer.headers["set-cookie"])
    assert.is_nil((ada:cookie("session")))
    app:advance(10)
    assert.equal("false nil the session has ended ECLOSED", slow:text())
    assert.equal("nil", app:get("/get/user", { headers = { Cookie = old } }):text())
  end)

  it("ends when it is not used for its ttl, and lives on when it is", function()
    local app = start()
    local ada = app:client()
    ask(ada, "/set/user/ada")
    app:advance(400)
    assert.is_nil(ada:get("/get/user").headers["set-cookie"]) -- the first half: nothing is renewed
    for _ = 1, 4 do
      app:advance(550)
      local answer = ada:get("/get/user")
      assert.equal("ada", answer:text())
      assert.matches("Max%-Age=1000", answer.headers["set-cookie"])
    end
    app:advance(1001)
    assert.equal("nil", ask(ada, "/get/user"))
    assert.equal("0", ask(app, "/count"))
  end)

  it("is signed anew when the first key is another", function()
    local app = start('"old"')
    local ada = app:client()
    ask(ada, "/set/user/ada")
    assert(app:reload {
      ["script.lua"] = support.script('local KEYS = { "new", "old" } ' .. SCRIPT),
    })
    assert.matches("^session=", ada:get("/get/user").headers["set-cookie"])
    assert(app:reload { ["script.lua"] = support.script('local KEYS = "new" ' .. SCRIPT) })
    assert.equal("ada", ask(ada, "/get/user"))
  end)

  it("is none when the cookie was made up, or signed for something else", function()
    local app = start()
    for _, cookie in ipairs { "session=", "session=x", "session=AAAAAAAAAAAAAAAAAAAAAAAA.x" } do
      assert.equal("nil", app:get("/get/user", { headers = { Cookie = cookie } }):text())
    end
  end)

  it("cannot begin when the head is sent", function()
    assert.matches("script.lua:%d+: the session's cookie comes too late", ask(start(), "/late"))
  end)

  it("says that the store is full, and gives no cookie", function()
    local app = apps.start([[
local store = lunesse.shared("full", { bytes = 1 })
server:use(lunesse.web.session { key = "moon", store = store })
server:get("/", function(request, response)
  local _, _, code = request.state.session:set("a", 1)
  response:send(code)
end)
]])
    local answer = app:get("/")
    assert.equal("ENOMEM", answer:text())
    assert.is_nil(answer.headers["set-cookie"])
  end)
end)

describe("web.session", function()
  it("raises at the script's line for what it does not know", function()
    local app = apps.start [[
local said = {}
for _, options in ipairs { 7, {}, { key = "" }, { key = "a", ttl = 0 }, { key = "a", max = 1 } } do
  said[#said + 1] = select(2, pcall(function() return (lunesse.web.session(options)) end))
end
server:get("/", function(_, response) response:send(table.concat(said, "\n")) end)
]]
    local lines = {}
    for line in app:get("/"):text():gmatch("[^\n]+") do lines[#lines + 1] = line end
    for i, message in ipairs {
      "web.session takes a table of options, got number", "web.session needs a key",
      "web.session: key is a string that is not", "web.session: ttl is a whole number above 0",
      "web.session: unknown option 'max'; there are cookie, domain, key, path,",
    } do
      assert.truthy(lines[i]:find("script.lua:3: " .. message, 1, true), lines[i])
    end
  end)
end)
