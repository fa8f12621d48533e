-- lunesse.web.session: what belongs to one browser, in a store that outlives the scripts.

local apps = require "spec.support.app"
local kit = require "spec.support.kit"
local support = require "spec.sse.support"
local test = require "lunesse.test"

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

describe("a session with a lifetime", function()
  local function start_with(options)
    kit.ask() -- in a process some seconds would pass by themselves
    return test.load { ["script.lua"] = apps.script("local KEYS " ..
      SCRIPT:gsub("ttl = 1000", options, 1)) }
  end

  after_each(test.stop)

  it("ends however much it is used", function()
    local app = start_with "ttl = 1000, lifetime = 1500"
    local ada = app:client()
    ask(ada, "/set/user/ada")
    app:advance(900)
    local answer = ada:get("/get/user")
    assert.equal("ada", answer:text())
    assert.matches("Max%-Age=600", answer.headers["set-cookie"])
    app:advance(599)
    assert.equal("true", ask(ada, "/set/a/1"))
    app:advance(2)
    assert.equal("nil", ask(ada, "/get/user"))
    assert.equal("0", ask(app, "/count"))
  end)

  it("begins anew with renew", function()
    local app = start_with "ttl = 1000, lifetime = 1500"
    local ada = app:client()
    ask(ada, "/set/user/ada")
    app:advance(900)
    assert.equal("true", ask(ada, "/renew"))
    app:advance(900)
    assert.equal("ada", ask(ada, "/get/user"))
  end)

  it("ends by a lifetime that later code has made shorter", function()
    local app = start_with "ttl = 1000"
    local ada = app:client()
    ask(ada, "/set/user/ada")
    app:advance(500)
    local script = "local KEYS " .. SCRIPT:gsub("ttl = 1000", "lifetime = 400", 1)
    assert(app:reload { ["script.lua"] = support.script(script) })
    assert.equal("nil", ask(ada, "/get/user"))
  end)
end)

describe("a session in a store of the script's own", function()
  -- A store whose functions wait, as a database's do. With `broken` set, it fails.
  local STORE = [[
local kept, broken = {}, false
local function failed() return nil, "the database is gone", "EIO" end
local store = {
  load = function(id)
    lunesse.sleep(0.01)
    if broken then return failed() end
    return kept[id] and kept[id].text
  end,
  save = function(id, text, seconds, before)
    lunesse.sleep(0.01)
    if broken then return failed() end
    if (kept[id] and kept[id].text) ~= before then return nil, "another was first", "ESTALE" end
    kept[id] = { text = text, seconds = seconds }
    return true
  end,
  remove = function(id)
    lunesse.sleep(0.01)
    if broken then return failed() end
    local was_there = kept[id] ~= nil
    kept[id] = nil
    return was_there
  end,
}
server:get("/break/:how", function(request, response)
  broken = request.params.how == "on"
  response:send("done")
end)
server:get("/stored", function(_, response)
  local count, seconds = 0, nil
  for _, it in pairs(kept) do count, seconds = count + 1, it.seconds end
  response:send(count .. " " .. tostring(seconds))
end)
server:get("/spoil", function(_, response)
  for _, it in pairs(kept) do it.text = '{"values":7}' end
  response:send("done")
end)
]]

  local function start_own()
    kit.ask() -- the store is one worker's, and the spec counts its hundredths of seconds
    return test.load { ["script.lua"] = apps.script(STORE .. "local KEYS " ..
      SCRIPT:gsub('store = lunesse.shared%("s"%)', "store = store", 1)) }
  end

  after_each(test.stop)

  it("is loaded, saved and removed", function()
    local app = start_own()
    local ada = app:client()
    assert.equal("true", ask(ada, "/set/user/ada"))
    assert.equal("1 1000", ask(app, "/stored"))
    assert.equal("ada", ask(ada, "/get/user"))
    assert.equal("true", ask(ada, "/renew"))
    assert.equal("1 1000", ask(app, "/stored"))
    assert.equal("ada", ask(ada, "/get/user"))
    assert.equal("nil", ask(ada, "/destroy"))
    assert.equal("0 nil", ask(app, "/stored"))
  end)

  it("keeps what several requests set at once", function()
    local app = start_own()
    local ada = app:client()
    ask(ada, "/set/a/0")
    local sent = {}
    for i = 1, 5 do sent[i] = ada:send("GET", ("/set/v%d/%d"):format(i, i)) end
    app:advance(10)
    for i = 1, 5 do
      assert.equal("true", sent[i]:text())
      assert.equal(tostring(i), ask(ada, "/get/v" .. i))
    end
  end)

  it("does not live on under a new id when another request destroys it meanwhile", function()
    local app = start_own()
    local ada = app:client()
    ask(ada, "/set/user/ada")
    local renewal = ada:send("GET", "/renew") -- loads twice, and removes 0.03 s from now
    app:advance(0.005)
    local destruction = ada:send("GET", "/destroy") -- removes 0.02 s from now
    app:advance(1)
    assert.equal("nil", destruction:text())
    assert.equal("nil the session has ended ECLOSED", renewal:text())
    assert.equal("0 nil", ask(app, "/stored"))
  end)

  it("says when the store fails, and lets nobody in meanwhile", function()
    local app = start_own()
    local ada = app:client()
    ask(ada, "/set/user/ada")
    ask(app, "/break/on")
    local answer = ada:get("/get/user")
    assert.same({ 503, "503: the sessions cannot be read\n" }, { answer.status, answer:text() })
    assert.equal("nil the database is gone EIO", ask(app, "/set/user/bob"))
    assert.is_nil(app:get("/set/user/bob").headers["set-cookie"])
    assert.equal("nil", ask(app, "/get/user")) -- who has no cookie needs no store
    ask(app, "/break/off")
    assert.equal("ada", ask(ada, "/get/user"))
  end)

  it("is empty when what is stored is no record", function()
    local app = start_own()
    local ada = app:client()
    ask(ada, "/set/user/ada")
    ask(app, "/spoil")
    assert.equal("nil", ask(ada, "/get/user"))
  end)
end)

describe("web.session", function()
  it("raises at the script's line for what it does not know", function()
    local app = apps.start [[
local said = {}
local bad = { 7, {}, { key = "" }, { key = "a", ttl = 0 }, { key = "a", max = 1 },
  { key = "a", store = { load = print } } }
for _, options in ipairs(bad) do
  said[#said + 1] = select(2, pcall(function() return (lunesse.web.session(options)) end))
end
server:get("/", function(_, response) response:send(table.concat(said, "\n")) end)
]]
    local lines = {}
    for line in app:get("/"):text():gmatch("[^\n]+") do lines[#lines + 1] = line end
    for i, message in ipairs {
      "web.session takes a table of options, got number", "web.session needs a key",
      "web.session: key is a string that is not", "web.session: ttl is a whole number above 0",
      "web.session: unknown option 'max'; there are cookie, domain, key, lifetime, path,",
      "web.session: store is a shared store, or a table of the functions load, save and remove",
    } do
      assert.truthy(lines[i]:find("script.lua:5: " .. message, 1, true), lines[i])
    end
  end)
end)
