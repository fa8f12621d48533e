-- How the end of a stream looks to its reader: complete only where a script has closed it or its
-- channel, and cut in every other case, so that no client takes a part of an answer for all of it.

local support = require "spec.sse.support"
local wire = require "spec.support.wire"

local start = support.start_inside

local STREAM = { Accept = "text/event-stream" }

local ROUTES = [[
local how = {
  close = function(sse) sse:close() end,
  raise = function() error("on purpose") end,
  loop = function() while true do end end,
  memory = function() local t = {} for i = 1, 1e9 do t[i] = { i } end end,
}
local room = lunesse.channel("room")
server:get("/closed-channel", function(_, response)
  response:on("close", function(reason) mark("close", reason) end)
  response.sse:subscribe(room)
  response.sse:send("x")
  room:close()
end)
server:get("/pieces", function(_, response)
  response:on("close", function(reason) mark("close", reason) end)
  for _ = 1, 60 do response:write(("x"):rep(10000)) end
  response:write("x")
  error("on purpose")
end)
server:get("/closed-then-raise", function(_, response)
  response.sse:send(("x"):rep(900000))
  response.sse:close()
  error("on purpose")
end)
server:get("/many/:how", function(request, response)
  for _ = 1, 60 do response.sse:send(("x"):rep(10000)) end
  response.sse:send("last")
  how[request.params.how](response.sse)
end)
server:get("/:how", function(request, response)
  response:on("close", function(reason) mark("close", reason) end)
  response.sse:send("x")
  how[request.params.how](response.sse)
end)
]]

local LIMITS = { args = { "--limit", "run_timeout=0.1", "--limit", "lua_bytes=16777216" } }

---curl's exit code for `target`, and what it printed.
local function curl(server, target, options)
  local command = "curl -s -N -m 5 %s -H 'Accept: text/event-stream' '%s'; echo \"=$?\""
  local pipe = assert(io.popen(command:format(options or "", server.url .. target)))
  local text = pipe:read("a")
  pipe:close()
  local body, code = text:match("^(.*)=(%d+)\n$")
  return tonumber(code), body
end

describe("a stream that is complete", function()
  it("ends with the last chunk, when the script or its channel was closed", function()
    local server = start(ROUTES, LIMITS)
    for _, target in ipairs { "/close", "/closed-channel" } do
      local stream = server:stream(target)
      assert.equal("done", stream:finish())
      assert.equal("x", stream:event().data)
      stream:close()
    end
    support.await_marks(server, { "close finished", "close finished" })
  end)

  it("is so for curl", function()
    local server = support.start(ROUTES, LIMITS)
    assert.equal(0, (curl(server, "/close")))
    assert.equal(0, (curl(server, "/close", "--http1.0")))
  end)

  it("stays so when its handler raises afterwards, before all of it is out", function()
    local server = start(ROUTES)
    local client = server:connect { receive_buffer = 4096 }
    client:send(wire.request { target = "/closed-then-raise", headers = STREAM })
    local response = client:response("GET", 5)
    assert.equal(900000, select(2, response.body:gsub("x", "")))
    client:close()
    assert.matches("reason=finished", support.await_access_line(server, "/closed-then-raise"))
  end)
end)

describe("a stream that failed", function()
  for _, how in ipairs { "raise", "loop", "memory" } do
    it("is cut behind what was sent: " .. how, function()
      local server = start(ROUTES, LIMITS)
      local stream = server:stream("/" .. how)
      assert.equal("x", stream:event().data)
      assert.equal("closed", stream:finish())
      stream:close()
      support.await_marks(server, { "close failed" })
      assert.matches("reason=failed", support.await_access_line(server, "/" .. how))
    end)
  end

  it("says 18 to curl, which has all that was sent", function()
    local server = support.start(ROUTES)
    local code, body = curl(server, "/raise")
    assert.same({ 18, ":\n\ndata: x\n\n" }, { code, body })
  end)

  it("is cut only when a slow reader has all of it", function()
    local server = start(ROUTES)
    local client = server:connect { receive_buffer = 4096 }
    client:send(wire.request { target = "/many/raise", headers = STREAM })
    local bytes, why = client:receive_slowly(20000, 5)
    client:close()
    assert.matches("data: last\n\n\r\n$", bytes)
    assert.equal("closed", why)
  end)

  it("is reset without chunks, as the end of the connection would be a complete end", function()
    local server = start(ROUTES)
    for _, case in ipairs { { "/raise", "data: x\n\n$" }, { "/many/raise", "data: last\n\n$" } } do
      local client = server:connect()
      client:send(wire.request { target = case[1], headers = STREAM, version = "1.0" })
      local bytes, why = client:receive_all(2)
      client:close()
      assert.matches(case[2], bytes)
      assert.equal("reset", why)
    end
  end)

  it("says 56 to curl without chunks", function()
    local code, body = curl(support.start(ROUTES), "/many/raise", "--http1.0")
    assert.equal(56, code)
    assert.matches("data: last\n\n$", body)
  end)
end)

describe("a plain response in pieces whose handler raises", function()
  it("is cut when a slow reader has all that was written", function()
    local server = start(ROUTES)
    local client = server:connect { receive_buffer = 4096 }
    client:send(wire.request { target = "/pieces" })
    local bytes, why = client:receive_slowly(20000, 5)
    client:close()
    assert.matches("\r\n1\r\nx\r\n$", bytes)
    assert.equal(600001, select(2, bytes:match("\r\n\r\n(.*)"):gsub("x", "")))
    assert.equal("closed", why)
    support.await_marks(server, { "close failed" })
  end)

  it("is reset without chunks", function()
    local server = start(ROUTES)
    local client = server:connect()
    client:send(wire.request { target = "/pieces", version = "1.0" })
    local bytes, why = client:receive_all(2)
    client:close()
    assert.equal(600001, #bytes:match("\r\n\r\n(.*)"))
    assert.equal("reset", why)
  end)
end)
