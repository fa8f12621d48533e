-- A limit that is met is counted, and said in the log: which one, and at what number.

local support = require "spec.sse.support"
local wire = require "spec.support.wire"

local ROUTES = [[
local small = lunesse.channel("small", { bytes = 100 })
server:post("/body", function(request, response) response:send(request:text()) end)
server:get("/own", function(_, response)
  local _, _, code = response.sse:send(("x"):rep(3000))
  response.sse:send(code)
  hold()
end)
server:get("/publish", function(_, response)
  response:send((select(3, small:publish(("x"):rep(200)))))
end)
server:get("/channels", function(_, response)
  for i = 1, 20 do
    local _, _, code = lunesse.channel("c" .. i, { history = 0 })
    if code then return response:send(code) end
  end
end)
server:get("/subscribe", function(_, response)
  local sse = response.sse
  sse:subscribe(small)
  local _, _, code = sse:subscribe(lunesse.channel("other"))
  sse:send(code)
  sse:close()
end)
server:get("/shared", function(_, response)
  response:send((select(3, lunesse.shared("s"):set("k", ("x"):rep(5000)))))
end)
server:get("/run", function() while true do end end)
server:get("/memory", function() local t = {} while true do t[#t + 1] = ("x"):rep(#t) end end)
]]

---Starts a server with the limit `name` at `value`.
local function start(name, value, options)
  options = options or {}
  options.workers = 1
  options.args = { "--metrics", "/metrics", "--limit", ("%s=%s"):format(name, value) }
  return support.start(ROUTES, options)
end

local function count(server, name)
  local text = server:request { target = "/metrics" }.body
  return tonumber(text:match('\nlunesse_limit_total{limit="' .. name .. '"} (%d+)'))
end

---Meets the limit `name` twice by `meet`, and judges what is counted and said.
local function judge(name, value, shown, meet, options)
  local server = start(name == "channel_bytes" and "channels" or name, value, options)
  assert.equal(0, count(server, name))
  meet(server)
  meet(server)
  eventually(function() return count(server, name) >= 2 end)
  local lines = server:log_lines("warn a limit is met limit=" .. name .. " at=" .. shown)
  assert.equal(1, #lines, server:log())
  return server
end

local function answers(code, target)
  return function(server)
    assert.equal(code, support.get(server, target))
  end
end

describe("a limit that is met", function()
  for _, case in ipairs {
    { "channel_bytes", 10, "100", answers("EMSGSIZE", "/publish") },
    { "channels", 4, "4", answers("E2BIG", "/channels") },
    { "shared_bytes", 1000, "1000", answers("ENOMEM", "/shared") },
    { "run_timeout", 0.1, "0.100", function(server)
      assert.equal(500, server:request { target = "/run" }.status)
    end },
    { "lua_bytes", 8 * 1024 * 1024, "8388608", function(server)
      assert.equal(500, server:request { target = "/memory" }.status)
    end },
    { "body_bytes", 10, "10", function(server)
      local answer = server:request { method = "POST", target = "/body", body = ("x"):rep(11) }
      assert.equal(413, answer.status)
    end },
    { "target_bytes", 20, "20", function(server)
      assert.equal(414, server:request { target = "/" .. ("x"):rep(30) }.status)
    end },
    { "head_bytes", 300, "300", function(server)
      local answer = server:request { target = "/", headers = { ["X-Long"] = ("x"):rep(300) } }
      assert.equal(431, answer.status)
    end },
    { "head_timeout", 0.1, "0.100", function(server)
      local client = server:connect()
      client:send("GET / HT")
      assert.equal(408, client:response().status)
      client:close()
    end },
    { "body_timeout", 0.1, "0.100", function(server)
      local client = server:connect()
      client:send("POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nx")
      assert.equal(408, client:response().status)
      client:close()
    end },
    { "body_total_bytes", 10, "10", function(server)
      local answer = server:request { method = "POST", target = "/body", body = ("x"):rep(11) }
      assert.equal(503, answer.status)
    end },
    { "stream_channels", 1, "1", function(server)
      assert.matches("data: E2BIG", support.stream_bytes(server, "/subscribe"))
    end },
    { "stream_max_bytes", 2000, "2000", function(server)
      local reader = server:stream("/own")
      assert.equal("EMSGSIZE", reader:event().data)
      reader:close()
    end },
  } do
    it("is counted each time and said once: " .. case[1], function()
      judge(case[1], case[2], case[3], case[4])
    end)
  end

  it("is counted and said for connections, and those who are too many are told", function()
    local server = start("connections", 2)
    local held = { server:connect(), server:connect() }
    for _, client in ipairs(held) do
      client:send(wire.request { target = "/metrics" })
      assert.equal(200, client:response().status)
    end
    for _ = 1, 2 do
      assert.equal(503, server:request { target = "/publish" }.status)
    end
    held[1]:close()
    eventually(function() return count(server, "connections") >= 2 end)
    assert.equal(1, #server:log_lines("warn a limit is met limit=connections at=2"))
  end)
end)
