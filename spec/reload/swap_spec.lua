-- New code in the place of old code: what the next request meets, and what goes on.

local cjson = require "cjson"
local lfs = require "lfs"
local support = require "spec.reload.support"
local InnerServer = require "spec.support.inner_server"
local Process = require "spec.support.process"
local wire = require "spec.support.wire"

local start, get, reload, says = support.start_inside, support.get, support.reload, support.says

describe("SIGHUP", function()
  it("brings the new code, and new routes, and takes old ones away", function()
    local server = start(says "old" ..
      'server:get("/gone", function(_, response) response:send("x") end)\n')
    assert.equal("old", get(server, "/"))
    reload(server, says "new" ..
      'server:get("/come", function(_, response) response:send("y") end)\n')
    assert.equal("new", get(server, "/"))
    assert.equal("y", get(server, "/come"))
    assert.equal(404, server:request({ target = "/gone" }).status)
  end)

  it("is reported in one line that says what changed", function()
    local server = start(says "old" .. [[
server:get("/gone", function() end)
server:get("/same", function(_, response) response:send("same") end)
]])
    reload(server, says "new" .. [[
server:get("/come", function() end)
server:get("/same", function(_, response) response:send("same") end)
]])
    local fields = support.report(server)
    assert.matches("^%d+%.%d+$", fields.ms)
    fields.ms = nil
    assert.same({
      generation = "2", scripts = "1", added = "1", changed = "1", removed = "1", kept = "0",
      ended = "0",
    }, fields)
    assert.equal(1, #server:log_lines("reloaded"))
  end)

  it("reads the folder anew: scripts come and go", function()
    local server = InnerServer.start { ["a.lua"] = support.script(says "a") }
    Process.write_file(server.folder .. "/b.lua",
      support.script 'server:get("/b", function(_, response) response:send("b") end)')
    reload(server)
    assert.equal("b", get(server, "/b"))
    os.remove(server.folder .. "/b.lua")
    reload(server)
    assert.equal(404, server:request({ target = "/b" }).status)
  end)

  it("loads modules anew", function()
    local server = InnerServer.start({ ["a.lua"] = support.script(says "none") })
    local module = server.folder .. "/inner/word.lua"
    assert(lfs.mkdir(server.folder .. "/inner"))
    Process.write_file(module, 'return "first"')
    local text = support.script [[
server:get("/", function(_, response) response:send(require "inner.word") end)
local _ = require "inner.word"
]]
    Process.write_file(server.folder .. "/a.lua", text)
    reload(server)
    assert.equal("first", get(server, "/"))
    Process.write_file(module, 'return "second"')
    reload(server)
    assert.equal("second", get(server, "/"))
  end)

  it("says that addresses need a restart, when they have changed", function()
    local server = start(says "old")
    reload(server, "server:listen(0)\n" .. says "new")
    assert.equal("new", get(server, "/")) -- where it was
    assert.equal(1, #server:log_lines(
      " warn listen has changed: start the program anew for the new addresses"))
    reload(server, "server:listen(0)\n" .. says "newer")
    assert.equal(1, #server:log_lines("listen has changed"))
    reload(server, "server:listen { host = '127.0.0.1', port = 1 }\n")
    assert.equal(2, #server:log_lines("listen has changed"))
  end)

  it("twice in a turn is one reload", function()
    local server = support.start([[
server:get("/busy", function(_, response)
  lunesse.log.warn("busy") -- which is written at once, and not at the turn's end
  local start = lunesse.clock()
  while lunesse.clock() - start < 0.3 do end
  response:send("done")
end)
]], { workers = 1 })
    local client = server:connect()
    client:send(wire.request { target = "/busy" })
    eventually(function() return #server:log_lines("warn busy") > 0 end)
    server.process:signal("HUP")
    server.process:signal("HUP")
    assert.equal("done", client:response().body)
    client:close()
    support.await_reloads(server, 1)
  end)

  it("while the server drains is nothing", function()
    local server = start [[
server:get("/slow", function(_, response)
  mark("slow")
  lunesse.sleep(0.2)
  response:send("done")
end)
]]
    local client = server:connect()
    client:send(wire.request { target = "/slow" })
    support.await_marks(server, { "slow" })
    server.process:signal("TERM")
    eventually(function()
      return #server:log_lines("info stopping") == 1
    end)
    support.replace(server, 'mark("loaded")')
    server.process:signal("HUP")
    assert.equal("done", client:response().body)
    server:stop()
    assert.same({ "slow" }, support.marks(server))
    assert.equal(0, support.count(server, "reloaded"))
    client:close()
  end)
end)

describe("lunesse.reload", function()
  it("returns true, and what called it goes on in the old code", function()
    local server = start [[
server:post("/reload", function(_, response)
  local answer = lunesse.reload()
  lunesse.sleep(0.02)
  response:json { answer = answer, old = true }
end)
]]
    support.replace(server, says "new")
    local response = server:request { method = "POST", target = "/reload", body = "" }
    assert.same({ answer = true, old = true }, cjson.decode(response.body))
    support.await_reloads(server, 1)
    assert.equal("new", get(server, "/"))
  end)

  it("works from a stream's handler, a timer and a close listener", function()
    local server = start [[
server:get("/handler", function(_, response)
  response.sse:send("before")
  lunesse.reload()
  lunesse.sleep(0.02)
  response.sse:send("after")
  response.sse:close()
end)
server:get("/timer", function(_, response)
  response.sse:send("before")
  lunesse.after(0, lunesse.reload)
  lunesse.after(0.05, function() response.sse:send("after") response.sse:close() end)
end)
server:get("/listener", function(_, response)
  response:on("close", function(reason) mark(reason) lunesse.reload() mark("asked") end)
  response.sse:send("before")
  response.sse:close()
end)
]]
    for i, target in ipairs { "/handler", "/timer" } do
      local stream = server:stream(target)
      assert.equal("before", stream:event().data)
      assert.equal("after", stream:event().data)
      assert.equal("done", stream:finish())
      support.await_reloads(server, i)
    end
    local stream = server:stream("/listener")
    assert.equal("done", stream:finish())
    support.await_reloads(server, 3)
    support.await_marks(server, { "finished", "asked" })
  end)

  it("many times in a turn, by many, is one reload", function()
    local server = start([[
server:post("/reload", function(_, response)
  for _ = 1, 100 do lunesse.reload() end
  response:send("asked")
end)
]], { workers = 1 })
    assert.equal(200, server:request({ method = "POST", target = "/reload", body = "" }).status)
    support.await_reloads(server, 1)
  end)

  it("raises while the scripts load", function()
    local server = start 'mark(select(2, pcall(lunesse.reload)))'
    assert.matches("^reload is for later: the scripts are being loaded", support.marks(server)[1])
  end)

  it("in a finalizer of code that ends is no reason for another", function()
    local server = start(
      "setmetatable({}, { __gc = function() pcall(lunesse.reload) mark('end') end })\n" ..
      says "word", { workers = 1 })
    reload(server, says "new")
    support.await_marks(server, { "end" })
    for _ = 1, 5 do
      assert.equal("new", get(server, "/"))
    end
    assert.equal(1, support.count(server, "reloaded"))
  end)
end)

describe("a request that is under way at a reload", function()
  it("is finished by the old code, when its handler waits", function()
    local server = start [[
server:get("/slow", function(_, response)
  mark("waits")
  lunesse.sleep(0.1)
  response:send("old")
end)
]]
    local client = server:connect()
    client:send(wire.request { target = "/slow" })
    support.await_marks(server, { "waits" })
    reload(server, [[
server:get("/slow", function(_, response) response:send("new") end)
]])
    client:send(wire.request { target = "/slow" })
    assert.equal("old", client:response().body)
    assert.equal("new", client:response().body)
    client:close()
  end)

  it("is answered by the new code, when its body is still coming", function()
    local server = start [[
server:post("/echo/:old", { body_bytes = 100 }, function(request, response)
  response:send("old " .. request:text())
end)
]]
    local client = server:connect()
    client:send("POST /echo/here HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
    client:flush()
    reload(server, [[
server:post("/echo/:new", function(request, response)
  response:send("new " .. request.params.new .. " " .. request:text())
end)
]])
    client:send("def")
    assert.equal("new here abcdef", client:response().body)
    client:close()
  end)

  it("gets a 404, when its body is still coming and its route has gone", function()
    local server = start [[
server:post("/echo", function(request, response) response:send(request:text()) end)
]]
    local client = server:connect()
    client:send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
    client:flush()
    reload(server, says "new")
    reload(server, says "newer")
    client:send("def")
    assert.equal(404, client:response().status)
    client:send(wire.request { target = "/" })
    assert.equal("newer", client:response().body)
    client:close()
  end)

  it("goes on with its timers and its listeners in the old code", function()
    local server = start([[
server:get("/", function(_, response)
  response:on("close", function(reason) mark("close", reason) end)
  lunesse.after(60, function() response:send("from a timer") end)
  mark("made")
end)
]], { clock = true })
    local client = server:connect()
    client:send(wire.request { target = "/" })
    support.await_marks(server, { "made" })
    reload(server, says "new")
    server:advance(60)
    assert.equal("from a timer", client:response().body)
    support.await_marks(server, { "made", "close finished" })
    client:close()
  end)
end)

describe("a kept-alive connection", function()
  it("goes on through a reload, with what it has pipelined", function()
    local server = start(says "0")
    local client = server:connect()
    for i = 1, 20 do
      client:send(wire.request { target = "/" })
      assert.equal(tostring(i - 1), client:response().body)
      reload(server, says(tostring(i)))
    end
    client:send(wire.request({ target = "/" }):rep(3))
    for _ = 1, 3 do
      assert.equal("20", client:response().body)
    end
    client:close()
  end)

  it("is answered throughout, whenever reloads come", function()
    local server = support.start(says "word")
    local client = server:connect()
    eventually(function()
      for _ = 1, 100 do
        server.process:signal("HUP")
        client:send(wire.request { target = "/" })
        assert.equal("word", client:response().body)
      end
      return support.count(server, "reloaded") > 10
    end)
    client:close()
  end)
end)
