-- A script's own metrics, and `lunesse.stats`.

local cjson = require "cjson"
local support = require "spec.sse.support"
local Server = require "spec.support.server"
local Process = require "spec.support.process"

local OWN = [[
local orders = lunesse.metric.counter("shop_orders_total", "Orders that were placed.", { "kind" })
local stock = lunesse.metric.gauge("shop_stock", "Things in stock.")
local parcel = lunesse.metric.histogram("shop_parcel_grams", "Parcels.", { "to", "by" }, { 1, 5 })
server:get("/order/:kind", function(request, response)
  orders:add(nil, request.params.kind)
  response:send("")
end)
server:get("/stock/:n", function(request, response)
  stock:set(tonumber(request.params.n))
  stock:add(-1)
  response:send("")
end)
server:get("/parcel/:kg", function(request, response)
  parcel:observe(tonumber(request.params.kg), "moon", "sea")
  response:send("")
end)
server:get("/stats", function(_, response) response:json(lunesse.stats()) end)
]]

local function metrics(server)
  return server:request { target = "/metrics" }.body
end

local function has(server, line)
  eventually(function() return metrics(server):find("\n" .. line .. "\n", 1, true) end)
end

local function start(options)
  options = options or {}
  options.args = { "--metrics", "/metrics" }
  return support.start(OWN .. (options.more or ""), options)
end

describe("lunesse.metric", function()
  it("is told beside the server's metrics, and promtool finds nothing", function()
    local server = start()
    for _ = 1, 3 do
      support.get(server, "/order/book")
    end
    support.get(server, "/order/a%22b%5C%0Ac") -- a quote, a backslash, a line break
    support.get(server, "/stock/10.5")
    for _, kg in ipairs { 0.5, 1, 3, 7 } do
      support.get(server, "/parcel/" .. kg)
    end
    has(server, 'shop_orders_total{kind="book"} 3')
    has(server, [[shop_orders_total{kind="a\"b\\\nc"} 1]])
    has(server, "# HELP shop_stock Things in stock.\n# TYPE shop_stock gauge\nshop_stock 9.5")
    has(server, 'shop_parcel_grams_bucket{to="moon",by="sea",le="1"} 2')
    has(server, 'shop_parcel_grams_bucket{to="moon",by="sea",le="5"} 3')
    has(server, 'shop_parcel_grams_bucket{to="moon",by="sea",le="+Inf"} 4')
    has(server, 'shop_parcel_grams_sum{to="moon",by="sea"} 11.5')
    has(server, 'shop_parcel_grams_count{to="moon",by="sea"} 4')
    local path = os.tmpname()
    Process.write_file(path, metrics(server))
    local code, out, err = Process.run { "sh", "-c", "promtool check metrics <" .. path }
    os.remove(path)
    assert.same({ 0, "" }, { code, out .. err })
  end)

  it("adds up what several workers have counted", function()
    local server = start { workers = 3 }
    for _ = 1, 60 do
      local client = server:connect() -- the kernel chooses a worker for each
      client:send("GET /order/book HTTP/1.1\r\nHost: x\r\n\r\n")
      assert.equal(200, client:response().status)
      client:close()
    end
    has(server, 'shop_orders_total{kind="book"} 60')
  end)

  it("outlives a reload, and refuses another metric of the same name", function()
    local folder = Server.write { ["a.lua"] = support.script(OWN) }
    local server = Server.start(nil, { path = folder, args = { "--metrics", "/metrics" } })
    support.get(server, "/order/book")
    server.process:signal("HUP")
    eventually(function() return #server:log_lines(" reloaded generation=2") == 1 end)
    support.get(server, "/order/book")
    has(server, 'shop_orders_total{kind="book"} 2')
    Process.write_file(folder .. "/a.lua", support.script [[
lunesse.metric.counter("shop_orders_total", "Orders.", { "sort" })]])
    server.process:signal("HUP")
    eventually(function() return #server:log_lines("there is another metric of this name") == 1 end)
  end)

  it("bounds what peers may choose", function()
    local server = start { workers = 1, more = [[
server:get("/flood", function(_, response)
  for i = 1, 1500 do orders:add(1, "kind " .. i) end
  orders:add(1, ("x"):rep(129))
  orders:add(1, "a\0b\xff")
  orders:add(1, "kind 1")
  response:send("")
end)]] }
    support.get(server, "/flood")
    has(server, 'shop_orders_total{kind="_OTHER"} 502') -- 500, the long one, the strange one
    has(server, 'shop_orders_total{kind="kind 1"} 2')
    has(server, 'lunesse_limit_total{limit="metric_series"} 502')
    assert.equal(1, #server:log_lines("a limit is met limit=metric_series at=1000"))
    support.get(server, "/order/a%00b%ff")
    assert.truthy(utf8.len(metrics(server)))
  end)

  it("raises at the script's line for what no metric can be", function()
    local server = start { more = [[
server:get("/wrong", function(_, response)
  local metric = lunesse.metric
  local said = {}
  for i, call in ipairs {
    function() metric.counter("orders", "Help.") end,
    function() metric.gauge("orders_total", "Help.") end,
    function() metric.counter("a-b_total", "Help.") end,
    function() metric.counter("1_total", "Help.") end,
    function() metric.counter("lunesse_x_total", "Help.") end,
    function() metric.counter("x_total", "") end,
    function() metric.histogram("x_bucket", "Help.") end,
    function() metric.gauge("x_count", "Help.") end,
    function() metric.gauge("x_sum", "Help.") end,
    function() metric.counter("x_total", "Help.", { "a", "b", "a" }) end,
    function() metric.counter("x_total", "Help.", { "le" }) end,
    function() metric.counter("x_total", "Help.", { "__a" }) end,
    function() metric.counter("x_total", "Help.", { "a-b" }) end,
    function() metric.counter("x_total", "Help.",
      { "a", "b", "c", "d", "e", "f", "g", "h", "i" }) end,
    function() metric.counter("x\0y_total", "Help.") end,
    function() metric.counter("x_total\0", "Help.") end,
    function() metric.counter("x_total", "Help\0.") end,
    function() metric.counter("x_total", "Help\xff.") end,
    function() metric.counter("x_total", "Help.", { "a\0" }) end,
    function() metric.histogram("x", "Help.", {}, { 2, 1 }) end,
    function() metric.histogram("x", "Help.", {}, {}) end,
    function() orders:add(-1, "x") end,
    function() orders:add(1) end,
    function() orders:add(1, "x", "y") end,
    function() orders:add(0 / 0, "x") end,
    function() orders:set(1, "x") end,
    function() orders:observe(1, "x") end,
    function() stock:observe(1) end,
    function() parcel:add(1, "x", "y") end,
    function() orders:add(1, {}) end,
  } do
    local ok, message = pcall(call)
    said[i] = tostring(ok) .. " " .. tostring(message:match("^[^ ]*script%.lua:%d+: ") ~= nil)
  end
  response:send(table.concat(said, "\n"))
end)]] }
    local body = support.get(server, "/wrong")
    assert.equal(("false true\n"):rep(29) .. "false true", body)
  end)
end)

describe("lunesse.stats", function()
  it("has the same numbers, as tables by label", function()
    local server = start { workers = 2 }
    support.get(server, "/order/book")
    support.get(server, "/parcel/3")
    support.get(server, "/none")
    local stats = eventually(function()
      local got = cjson.decode(support.get(server, "/stats"))
      return got.shop_orders_total.book == 1 and #got.shop_parcel_grams == 1
        and #got.http_server_request_duration_seconds >= 3 and got
    end)
    assert.equal(0, stats.lunesse_streams)
    assert.equal(0, stats.lunesse_streams_closed_total.left)
    assert.same({ to = "moon", by = "sea", value = { count = 1, sum = 3 } },
      stats.shop_parcel_grams[1])
    assert.truthy(stats.lunesse_run_seconds.count > 0)
    assert.equal(0, stats.lunesse_limit_total.connections)
    local found
    for _, entry in ipairs(stats.http_server_request_duration_seconds) do
      if entry.route == "_NONE" and entry.code == "404" then
        found = entry
      end
    end
    assert.equal(1, found.value.count)
  end)
end)
