-- Where descriptors are few: who is accepted is answered, scripts can open files, nothing spins.

local support = require "spec.sse.support"
local Server = require "spec.support.server"
local Process = require "spec.support.process"
local clock = require "spec.support.clock"
local wire = require "spec.support.wire"

local FEW = 256
local TICKS = 100 -- of /proc/PID/stat, in a second

local ROUTES = [[
server:get("/plain", function(_, response) response:send("12345") end)
server:get("/held", function(_, response) response.sse:open() hold() end)
server:get("/file", function(_, response)
  local file, why = io.open("/proc/self/limits")
  response:send(file and "opened" or why)
  if file then file:close() end
end)
]]

-- Takes all descriptors that there are, and for half a second each that becomes free.
local HOG = [[
local held = {}
local function take()
  local file = io.open("/dev/null")
  held[#held + 1] = file
  return file
end
server:get("/take", function(_, response)
  while take() do end
  lunesse.log.warn("all are taken")
  local start = lunesse.clock()
  while lunesse.clock() - start < 0.5 do take() end
  response:send("taken")
end)
server:get("/give", function(_, response)
  for _, file in ipairs(held) do file:close() end
  held = {}
  response:send("given")
end)
]]

local clients = {}

local function start(text, options)
  options.wrap = Server.under("ulimit -n " .. FEW)
  return support.start(ROUTES .. (text or ""), options)
end

local function connect(server)
  local client = server:connect()
  clients[#clients + 1] = client
  return client
end

---The status of a request for `target` on `client`; or how the connection ended.
local function ask(client, target, accept)
  client:send(wire.request { target = target, headers = { Accept = accept or "*/*" } })
  local head, why = client:receive_until("\r\n\r\n")
  return head and tonumber(head:match("^HTTP/1.1 (%d+)")) or why
end

---What the program has spent of the processors, in seconds.
local function cpu_seconds(server)
  local stat = Process.read_file(("/proc/%d/stat"):format(server.pid)):match("%) (.*)")
  local spent, number = 0, 2
  for word in stat:gmatch("%S+") do
    number = number + 1
    spent = spent + ((number == 14 or number == 15) and tonumber(word) or 0)
  end
  return spent / TICKS
end

---Holds that `server` has next to nothing to do for a while.
local function assert_rests(server)
  local seconds = 0.5
  local before, deadline = cpu_seconds(server), clock.now() + seconds
  repeat clock.pause() until clock.now() > deadline
  local share = (cpu_seconds(server) - before) / seconds
  assert.is_true(share < 0.2, ("a share of %.2f of a processor"):format(share))
end

describe("with few descriptors", function()
  after_each(function()
    while #clients > 0 do
      table.remove(clients):close()
    end
  end)

  for _, kind in ipairs { { "a port", "--port=0" }, { "a Unix socket", "--unix" } } do
    for _, workers in ipairs { 1, 3, 8 } do
      it(("everybody at %s of %d workers is answered, and files can be opened"):format(kind[1],
        workers), function()
        local args = { kind[2] }
        if kind[2] == "--unix" then
          args[2] = Server.write {} .. "/s.sock"
        end
        local server = start("", { workers = workers, args = args })
        local first = connect(server)
        local counts = { [200] = 0, [503] = 0 }
        for i = 1, 2 * FEW do
          local client = i % 2 == 0 and first or connect(server)
          local status = ask(client, i % 2 == 0 and "/file" or "/plain")
          counts[status] = (counts[status] or 0) + 1
          if i % 2 == 0 then
            assert.equal("opened", client:receive(6))
          elseif status == 503 then
            client:close()
          end
        end
        assert.same({ [200] = counts[200], [503] = 2 * FEW - counts[200] }, counts)
        assert.is_true(counts[200] - FEW > FEW / 2, counts[200] .. " answered with 200")
        assert.is_true(counts[503] > 0)
        for _ = 1, FEW do -- more than there are descriptors, and they say nothing
          pcall(connect, server)
        end
        assert_rests(server)
        assert.equal(200, ask(first, "/file"))
        assert.equal("opened", first:receive(6))
      end)
    end
  end

  for _, workers in ipairs { 1, 3 } do
    it(("%d workers that have none left rest, and serve when there are some again"):format(workers),
      function()
      local server = start(HOG, { workers = workers, args = { "--limit", "run_timeout=30" } })
      local hog = connect(server)
      hog:send(wire.request { target = "/take" })
      eventually(function()
        return #server:log_lines("all are taken") == 1
      end)
      for _ = 1, 150 do -- while it takes what others give up for a moment
        pcall(connect, server)
      end
      assert.equal(200, hog:response("GET", 10).status)
      for _ = 1, 50 do
        pcall(connect, server)
      end
      assert_rests(server)
      assert.equal(200, ask(hog, "/give"))
      for _ = 1, 20 do
        assert.equal(200, ask(connect(server), "/plain"))
      end
      assert_rests(server)
    end)
  end

  it("a limit that does not fit is lowered, and the log says so, once", function()
    local server = start("", { workers = 3, args = { "--limit", "connections=1000" } })
    local lines = server:log_lines("warn fewer connections than the limit says")
    assert.equal(1, #lines)
    assert.matches(" wanted=1000 connections=%d+ descriptors=256$", lines[1])
    local statuses = {}
    for i = 1, FEW do
      local client = connect(server)
      statuses[i] = ask(client, "/plain")
      if statuses[i] ~= 200 then
        client:close()
        break
      end
    end
    assert.equal(503, statuses[#statuses])
  end)

  it("too few of them are refused at the start, with what to do", function()
    local script = Server.write { ["a.lua"] = support.script(ROUTES) } .. "/a.lua"
    for _, workers in ipairs { 1, 3, 64 } do
      local code, out, err = Server.run({ "--workers=" .. workers, "--port=0", script }, {
        wrap = Server.under "ulimit -n 16",
      })
      assert.same({ 1, "" }, { code, out })
      assert.matches("^lunesse: 16 descriptors are too few for " .. workers .. " workers?: at " ..
        "least %d+ are needed; raise ulimit %-n, or LimitNOFILE= of the service[^\n]*\n$", err)
    end
  end)
end)
