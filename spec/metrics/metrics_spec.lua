-- What the server counts, and how it is told: `--metrics`.

local support = require "spec.sse.support"
local Server = require "spec.support.server"
local Process = require "spec.support.process"
local strace = require "spec.support.strace"
local wire = require "spec.support.wire"

local ROUTES = [[
server:get("/plain", function(_, response) response:send("12345") end)
server:any("/any/:id", function(_, response) response:send("any") end)
server:get("/fails", function() error("oops") end)
local room = lunesse.channel("room", { history = 4 })
server:get("/room", function(_, response) response.sse:subscribe(room) end)
server:post("/room", function(request, response)
  room:publish("said", request:text())
  response:send("")
end)
server:get("/own", function(_, response)
  response.sse:send("one")
  response.sse:send("two")
  response.sse:close()
end)
]]

local function start(options, routes)
  options = options or {}
  options.args = { "--metrics", "/metrics", table.unpack(options.args or {}) }
  return support.start(routes or ROUTES, options)
end

---The samples by name and labels, as they stand in the text; the text.
local function scrape(server)
  local answer = server:request { target = "/metrics" }
  assert.equal(200, answer.status)
  local samples = {}
  for line in answer.body:gmatch("[^\n]+") do
    local name, value = line:match("^([^#].-) ([^ ]+)$")
    if name then
      assert.is_nil(samples[name], name)
      samples[name] = tonumber(value)
    end
  end
  return samples, answer.body, answer
end

---Waits until the samples are as `wanted`: what a turn has counted is there after its answers.
local function await(server, wanted)
  local seen = {}
  local ok = pcall(eventually, function()
    local samples = scrape(server)
    for name in pairs(wanted) do
      seen[name] = samples[name]
    end
    for name, value in pairs(wanted) do
      if samples[name] ~= value then
        return false
      end
    end
    return true
  end)
  if not ok then
    assert.same(wanted, seen)
  end
end

---What promtool says of `text`: "" where it finds nothing.
local function promtool(text)
  local path = os.tmpname()
  Process.write_file(path, text)
  local code, out, err = Process.run { "sh", "-c", "promtool check metrics <" .. path }
  os.remove(path)
  return code, out .. err
end

local DURATION = "http_server_request_duration_seconds_count"

describe("--metrics", function()
  it("answers in Prometheus text, of which promtool finds nothing to say", function()
    local server = start()
    support.get(server, "/plain")
    support.stream_bytes(server, "/own")
    local _, text, answer = scrape(server)
    assert.equal("text/plain; version=0.0.4; charset=utf-8", answer.headers["content-type"])
    assert.equal("no-store", answer.headers["cache-control"])
    local code, said = promtool(text)
    assert.same({ 0, "" }, { code, said })
    code, said = promtool("# TYPE Bad counter\nBad 1\n") -- it does judge
    assert.not_equal("", said .. (code == 0 and "" or code))
  end)

  it("takes GET and HEAD only, before any route of the scripts, without a line at info", function()
    local server = start({}, ROUTES .. [[
server:any("/*rest", function(_, response) response:send("the script's") end)
]])
    local head = server:request { method = "HEAD", target = "/metrics" }
    assert.same({ 200, "" }, { head.status, head.body })
    local answer = server:request { method = "POST", target = "/metrics", body = "x" }
    assert.same({ 405, "GET, HEAD" }, { answer.status, answer.headers.allow })
    scrape(server)
    assert.equal("the script's", support.get(server, "/other"))
    eventually(function() return #server:log_lines("target=/other") == 1 end)
    assert.equal(0, #server:log_lines("target=/metrics"))
  end)

  it("has the metrics that the page in docs lists, with their types and labels", function()
    local server = start()
    support.get(server, "/plain")
    local listed, told = {}, {}
    for name, kind, labels in Process.read_file("docs/metrics.md")
      :gmatch("\n| `([%w_]+)` | (%a+) | ([^|]*)|") do
      listed[#listed + 1] = name .. " " .. kind .. " " .. labels:gsub("`", ""):gsub(" +$", "")
    end
    local types, labels = {}, {}
    local _, text = scrape(server)
    for line in text:gmatch("[^\n]+") do
      local name, kind = line:match("^# TYPE (%S+) (%S+)$")
      if name then
        types[#types + 1] = { name, kind }
      else
        local base, inner = line:match("^([%w_]+){(.*)} ")
        if base then
          local names = {}
          for label in inner:gmatch('([%a_]+)="') do
            names[#names + 1] = label ~= "le" and label or nil
          end
          labels[base:gsub("_bucket$", "")] = table.concat(names, " ")
        end
      end
    end
    for _, pair in ipairs(types) do
      told[#told + 1] = pair[1] .. " " .. pair[2] .. " " .. (labels[pair[1]] or "")
    end
    table.sort(listed)
    assert.same(listed, told) -- in the order of names
  end)

  it("counts requests by method, pattern and status, and nothing that a peer can choose", function()
    local server = start()
    support.get(server, "/plain")
    for i = 1, 20 do
      support.get(server, "/any/" .. i .. "?x=" .. i)
      support.get(server, "/none/" .. i)
      server:request { method = "BREW" .. i, target = "/any/1" }
      support.raw(server, { method = "X" .. i, target = "/plain" })
    end
    support.get(server, "/fails")
    local client = server:connect()
    client:send("nonsense\r\n\r\n")
    assert.equal(400, client:response().status)
    client:close()
    await(server, {
      [DURATION .. '{method="GET",route="/plain",code="200"}'] = 1,
      [DURATION .. '{method="GET",route="/any/:id",code="200"}'] = 20,
      [DURATION .. '{method="GET",route="_NONE",code="404"}'] = 20,
      [DURATION .. '{method="_OTHER",route="_NONE",code="400"}'] = 1,
      [DURATION .. '{method="GET",route="/fails",code="500"}'] = 1,
    })
    local _, text = scrape(server)
    assert.falsy(text:find("BREW", 1, true))
    assert.falsy(text:find("/none", 1, true))
    assert.truthy(text:find('method="_OTHER"', 1, true))
  end)

  for _, workers in ipairs { 1, 3 } do
    it(("counts streams and events, with %d workers"):format(workers), function()
      local server = start { workers = workers }
      local readers = {}
      for i = 1, 6 do
        readers[i] = server:stream("/room")
        readers[i]:comment()
      end
      await(server, { lunesse_streams = 6, lunesse_streams_opened_total = 6, lunesse_channels = 1 })
      for _ = 1, 2 do
        server:request { method = "POST", target = "/room", body = "x" }
      end
      for _, reader in ipairs(readers) do
        assert.equal("x", reader:event().data)
        assert.equal("x", reader:event().data)
      end
      support.stream_bytes(server, "/own")
      for i = 1, 4 do
        readers[i]:close()
      end
      await(server, {
        lunesse_streams = 2, lunesse_streams_opened_total = 7, lunesse_publish_total = 2,
        lunesse_events_sent_total = 6 * 2 + 2, lunesse_pending_bytes = 0,
        ['lunesse_streams_closed_total{reason="left"}'] = 4,
        ['lunesse_streams_closed_total{reason="finished"}'] = 1,
      })
      local samples = scrape(server)
      assert.truthy(samples.lunesse_event_bytes_total > 14 * #"data: x\n\n")
      assert.truthy(samples.lunesse_connections >= 2)
      for number = 1, workers do
        assert.truthy(samples[('lunesse_lua_bytes{worker="%d"}'):format(number)] > 10000)
      end
      assert.truthy(samples["lunesse_run_seconds_count"] >= 9)
      assert.truthy(samples["lunesse_loop_lag_seconds_count"] > 0)
      assert.truthy(samples.process_open_fds >= 5)
      assert.truthy(samples.process_resident_memory_bytes > 1e6)
      assert.near(os.time(), samples.process_start_time_seconds, 60)
    end)
  end

  it("counts what becomes of an id that a reader comes back with", function()
    local server = start()
    local reader = server:stream("/room")
    reader:comment()
    server:request { method = "POST", target = "/room", body = "x" }
    local id = reader:event().id
    reader:close()
    for _ = 1, 9 do
      server:request { method = "POST", target = "/room", body = "x" }
    end
    local ahead = id:gsub("%-.*", "-99")
    for _, last in ipairs { id:gsub("%-.*", "-8"), "nonsense", "123-4", id, ahead } do
      local again = server:stream("/room", { last_event_id = last })
      again:comment()
      again:close()
    end
    await(server, {
      ['lunesse_resume_total{outcome="resumed"}'] = 1,
      ['lunesse_resume_total{outcome="expired"}'] = 1,
      ['lunesse_resume_total{outcome="malformed"}'] = 1,
      ['lunesse_resume_total{outcome="epoch"}'] = 1,
      ['lunesse_resume_total{outcome="ahead"}'] = 1,
    })
  end)

  it("counts on through a reload, which it counts too", function()
    local folder = Server.write { ["a.lua"] = support.script(ROUTES) }
    local server = Server.start(nil, { path = folder, args = { "--metrics", "/metrics" } })
    support.get(server, "/plain")
    server.process:signal("HUP")
    eventually(function() return #server:log_lines(" reloaded generation=2") == 1 end)
    support.get(server, "/plain")
    Process.write_file(folder .. "/a.lua", "this is broken")
    server.process:signal("HUP")
    await(server, {
      [DURATION .. '{method="GET",route="/plain",code="200"}'] = 2,
      ['lunesse_reloads_total{ok="true"}'] = 1,
      ['lunesse_reloads_total{ok="false"}'] = 1,
    })
  end)

  it("makes 90 000 lines on another thread, and sends 64 KiB of them a turn", function()
    local server = start({ workers = 1, args = { "--log-level", "warn" } }, [[
for i = 1, 3000 do
  server:any(("/route/%d/:id"):format(i), function(_, response) response:send("") end)
end
server:get("/last", function(_, response) response:send("that was all") end)
]])
    local client = server:connect()
    for i = 1, 3000, 20 do
      for n = i, i + 19 do
        client:send(wire.request { target = ("/route/%d/x"):format(n) }
          .. wire.request { method = "PUT", target = ("/route/%d/x"):format(n) })
      end
      for _ = 1, 40 do
        assert.equal(200, client:response().status)
      end
    end
    client:close()
    local text
    local traced = strace.during(server, "openat,epoll_wait,epoll_pwait,sendto,sendmsg",
      "that was all", function()
        text = select(2, scrape(server))
        support.get(server, "/last")
      end)
    if not traced then
      return pending("strace is not there, or may not attach")
    end
    local lines = select(2, text:gsub("\n", "\n"))
    assert.truthy(lines > 90000, lines)
    local renderer = traced:match('%[pid +(%d+)%] openat%([^\n]*"/proc/self/stat"')
    assert.truthy(renderer) -- it looks there for the metrics of the process
    assert.not_equal(tostring(server.pid), renderer)
    local turns, in_turn, most, all = 0, 0, 0, 0
    for line in traced:gmatch("%[pid +" .. server.pid .. "%] ([^\n]*)") do
      local sent = line:find("send", 1, true) and tonumber(line:match("= (%d+)$"))
      if line:find("epoll_", 1, true) then
        turns, in_turn = turns + 1, 0
      elseif sent then
        in_turn, all = in_turn + sent, all + sent
        most = math.max(most, in_turn)
      end
    end
    assert.truthy(all > #text, all)
    assert.truthy(most <= 64 * 1024 + 100, most) -- with the chunk's framing
    assert.truthy(turns >= #text // (64 * 1024), turns)
  end)

  it("says later to the fifth who asks while four are being told", function()
    local server = start({ workers = 1 })
    local clients = {}
    for i = 1, 40 do
      clients[i] = server:connect()
    end
    local statuses = { [200] = 0, [503] = 0 }
    for _, client in ipairs(clients) do
      client:send(wire.request { target = "/metrics" })
    end
    for _, client in ipairs(clients) do
      local status = client:response(10).status
      statuses[status] = statuses[status] + 1
      client:close()
    end
    assert.equal(40, statuses[200] + statuses[503])
    assert.truthy(statuses[200] >= 4)
    scrape(server)
  end)

  it("frees what was put together for a peer that has left", function()
    local server = start({ workers = 1 })
    for _ = 1, 20 do
      local client = server:connect()
      client:send(wire.request { target = "/metrics" })
      client:reset()
    end
    eventually(function() return server:request { target = "/metrics" }.status == 200 end)
  end)
end)
