-- A long text of JSON does not hold up anybody else: it is read and written in slices, wherever the
-- script can wait.

local support = require "spec.sse.support"
local clock = require "spec.support.clock"

local start, get, await_marks = support.start, support.get, support.await_marks

---A handler's answer to a request.
local function say(script, options)
  return get(start(("server:get('/', function(request, response)\n%s\nend)"):format(script),
    options), "/")
end

-- A text that takes many slices, and its value.
local LONG = [[
local json = lunesse.json
local item = '{"id":12345,"name":"somebody","score":1.25,"tags":["a","b"]}'
local text = "[" .. (item .. ","):rep(60000) .. item .. "]"
]]

describe("a long text of JSON", function()
  it("lets others run while it is decoded, and while it is encoded", function()
    local server = start(LONG .. [[
server:get("/", function(_, response)
  local turns, is_over = 0, false
  lunesse.after(0, function()
    while not is_over do lunesse.sleep(0) turns = turns + 1 end
  end)
  local value = json.decode(text)
  local decoded = turns
  local again = json.encode(value)
  local encoded = turns - decoded
  is_over = true
  mark(tostring(decoded >= 3), tostring(encoded >= 3), #value, tostring(#again == #text))
  response:send("x")
end)
]], { workers = 1 })
    get(server, "/", { seconds = 20 })
    await_marks(server, { "true true 60001 true" })
  end)

  it("lets others run while it is sent and published, and is refused as any large event", function()
    local server = start(LONG .. [[
local room = lunesse.channel("room", { bytes = 100000000 })
server:get("/", function(_, response)
  local turns, value = 0, json.decode(text)
  lunesse.every(0.0001, function() turns = turns + 1 end)
  local before = turns
  local id = room:publish("rows", value)
  local published, now = turns - before, turns
  local ok, why, code = response.sse:send(value)
  mark(tostring(published >= 3), tostring(turns - now >= 3), type(id), tostring(ok), code)
  response.sse:send("rows", { 1, {} })
end)
]], { workers = 1, args = { "--limit", "channel_total_bytes=100000000" } })
    local stream = server:stream("/")
    await_marks(server, { "true true string nil EMSGSIZE" }, 20)
    assert.equal("[1,{}]", stream:event().data)
    stream:close()
  end)

  it("is logged at once: nobody runs before the next line of the script", function()
    assert.equal("0", say(LONG .. [[
      local turns, value = 0, json.decode(text)
      lunesse.every(0.001, function() turns = turns + 1 end)
      lunesse.log.info("rows", { rows = value })
      response:send(turns)
    ]], { args = { "--limit", "run_timeout=60" } }))
  end)

  it("waits for its turn, and a short one does not", function()
    local server = start(LONG .. [[
local order = {}
for i = 1, 4 do
  lunesse.after(0, function() json.decode(text) order[#order + 1] = "long" end)
end
lunesse.after(0, function() json.decode(item) order[#order + 1] = "short" end)
server:get("/", function(_, response)
  while #order < 5 do lunesse.sleep(0.001) end
  response:send(table.concat(order, " "))
end)
]], { workers = 1 })
    assert.equal("short long long long long", get(server, "/", { seconds = 20 }))
  end)

  it("runs through where nothing can wait", function()
    assert.equal("60001 60001 true", say(LONG .. [[
      local in_callback, in_finalizer
      text:sub(1, 1):gsub(".", function() in_callback = #json.decode(text) end)
      do
        local _ <close> = setmetatable({}, { __close = function()
          in_finalizer = #json.decode(text)
        end })
      end
      local is_sorted = pcall(table.sort, { 2, 1 }, function(a, b)
        return #json.encode(json.decode(text)) > 0 and a < b
      end)
      response:send(in_callback .. " " .. in_finalizer .. " " .. tostring(is_sorted))
    ]], { args = { "--limit", "run_timeout=60" } }))
  end)

  it("goes on inside a coroutine of the script, under pcall and in a middleware", function()
    local server = start(LONG .. [[
server:use(function(request, _, next) request:json() return next() end)
server:post("/", { body_bytes = 8000000 }, function(request, response)
  local count = coroutine.wrap(function()
    local ok, value = pcall(request.json, request)
    coroutine.yield(ok and #value)
  end)()
  response:json(json.decode(text))
  mark(count)
end)
server:get("/", function(_, response) response:send(text) end)
]], { workers = 1 })
    local body = get(server, "/", { seconds = 20 })
    local response = server:request { method = "POST", target = "/", body = body, seconds = 20 }
    assert.equal(200, response.status)
    assert.equal("application/json", response.headers["content-type"])
    assert.is_true(body == response.body) -- four megabytes are no message
    await_marks(server, { "60001" })
  end)

  it("takes longer than run_timeout, of which each slice has the whole", function()
    assert.equal("60001", say(LONG .. [[
      response:send(#json.decode(json.encode(json.decode(text))))
    ]], { args = { "--limit", "run_timeout=" .. 0.05 * clock.slow } }))
  end)

  it("ends where it waits when its reader leaves", function()
    local server = start(LONG .. [[
server:get("/stream", function(_, response)
  response.sse:open()
  local _ <close> = setmetatable({}, { __close = function() mark("closed") end })
  while true do
    local value = json.decode(text)
    json.encode(value)
  end
end)
]], { workers = 1 })
    local stream = server:stream("/stream")
    stream:close()
    await_marks(server, { "closed" }, 20)
  end)

  it("fails alone when memory runs out in the middle", function()
    local server = start(LONG .. [[
server:get("/", function(_, response) response:send(#json.decode(text)) end)
server:get("/encode", function(_, response)
  local list = {}
  for i = 1, 20 do list[i] = text end
  response:json(list)
end)
server:get("/ok", function(_, response) response:json {} end)
]], { workers = 1, args = { "--limit", "lua_bytes=12000000" } })
    assert.equal(500, server:request { target = "/", seconds = 20 }.status)
    assert.equal(500, server:request { target = "/encode", seconds = 20 }.status)
    assert.equal("{}", get(server, "/ok"))
    assert.truthy(#server:log_lines("not enough memory") == 2)
  end)

  it("may be changed while it is written: what is gone is left out, or is a mistake", function()
    assert.equal("true false", say(LONG .. [[
      local map, list = {}, json.decode(text)
      for i = 1, 200000 do map["key" .. i] = i end
      lunesse.after(0, function()
        for i = 1, 200000, 2 do map["key" .. i] = nil end
        for i = 1, #list do list[i] = nil end
      end)
      local ok = pcall(json.encode, map)
      local list_ok = pcall(json.encode, { list, list, list })
      response:send(tostring(type(ok) == "boolean") .. " " .. tostring(#list > 0))
      assert(type(list_ok) == "boolean")
    ]], { args = { "--limit", "run_timeout=10" } }))
  end)
end)
