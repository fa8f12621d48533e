-- Connections that are shared, wait, are left, are lost, and end: what becomes of them, and what
-- the server sees of it.

local clock = require "spec.support.clock"
local Postgres = require "spec.support.postgres"
local upstream = require "spec.upstream.support"
local support = require "spec.postgres.support"

local SCRIPT = [[
server:get("/sleep", { on_leave = "cancel" }, function(_, response)
  response:send(told(db:query("select pg_sleep(1000)")))
end)
server:get("/one", function(_, response)
  local rows, why, code = db:query("select 1 as a")
  response:send(rows and tostring(rows[1].a) or told(nil, why, code))
end)
server:get("/pid", function(_, response)
  response:send(tostring(db:query("select pg_backend_pid() as pid")[1].pid))
end)
]]

describe("a pool of connections", function()
  local database

  setup(function() database = Postgres.start() end)
  teardown(function() database:stop() end)
  after_each(upstream.close_all)

  local function start(pool, options)
    options = options or {}
    options.pool, options.workers = pool, 1
    return support.start(options.url or database.url, SCRIPT, options)
  end

  -- Waits until so many queries of the server run.
  local function await_running(count)
    clock.eventually(function()
      return database:sessions("state = 'active' and query like '%pg_sleep%'") == count
    end, 5)
  end

  it("opens none before the first query, and lends one again and again", function()
    local server = start()
    assert.equal(0, database:sessions())
    local pid = server:request { target = "/pid" }.body
    for _ = 1, 5 do
      assert.equal(pid, server:request { target = "/pid" }.body)
    end
    assert.equal(1, database:sessions())
  end)

  it("has no more than it may have, and queries wait in order", function()
    local server = support.start(database.url, [[
      local running, most = 0, 0
      server:get("/", function(_, response)
        local order = {}
        local tasks = {}
        for i = 1, 20 do
          tasks[i] = function()
            db:query("select 1")
            order[#order + 1] = i
          end
        end
        lunesse.all(tasks)
        local rows = db:query("select count(*) as n from pg_stat_activity" ..
          " where application_name = 'lunesse'")
        response:send(rows[1].n .. " " .. #order)
      end)
    ]], { pool = "connections = 3", workers = 1 })
    assert.equal("3 20", server:request { target = "/" }.body)
  end)

  it("refuses a query when as many wait as may", function()
    local server = start("connections = 1, queue = 2")
    local clients = {}
    clients[1] = support.begin(server, "/sleep")
    await_running(1)
    for i = 2, 3 do
      clients[i] = support.begin(server, "/sleep")
      assert.is_true(clients[i]:is_silent())
    end
    assert.equal("nil 2 queries wait for a connection already EAGAIN",
      server:request { target = "/one" }.body)
    for i = 3, 1, -1 do
      clients[i]:reset()
    end
    await_running(0)
    assert.equal("1", server:request { target = "/one" }.body)
  end)

  it("cancels the query of a reader that has left, and goes on with a new connection", function()
    local server = start("connections = 1")
    local client = support.begin(server, "/sleep")
    await_running(1)
    client:reset()
    await_running(0)
    assert.equal("1", server:request { target = "/one" }.body)
    clock.eventually(function() return database:sessions() == 1 end)
  end)

  it("gives the connection of who has left to who waits", function()
    local server = start("connections = 1")
    local left = support.begin(server, "/sleep")
    await_running(1)
    local waiting = support.begin(server, "/sleep")
    local last = support.begin(server, "/one")
    assert.is_true(last:is_silent())
    waiting:reset()
    left:reset()
    assert.equal("1", last:response().body)
  end)

  it("cancels what runs when the server ends, which it does at once", function()
    local server = start()
    local clients = {}
    for i = 1, 3 do
      clients[i] = support.begin(server, "/sleep")
    end
    await_running(3)
    server.process:signal("TERM")
    for _, client in ipairs(clients) do
      client:reset()
    end
    server:stop()
    await_running(0)
    clock.eventually(function() return database:sessions() == 0 end)
  end)

  it("notices a connection that its server has closed, and opens another", function()
    local server = start()
    local pid = server:request { target = "/pid" }.body
    assert.equal("t", database:ask("select pg_terminate_backend(" .. pid .. ")"))
    clock.eventually(function() return database:sessions() == 0 end)
    assert.not_equal(pid, server:request { target = "/pid" }.body)
    assert.equal("1", server:request { target = "/one" }.body)
  end)

  it("tells a query whose session ends what the server says, or that it is lost", function()
    local server = start()
    local client = support.begin(server, "/sleep")
    await_running(1)
    database:ask("select pg_terminate_backend(pid) from pg_stat_activity" ..
      " where query like '%pg_sleep%' and application_name = 'lunesse'")
    assert.equal("nil terminating connection due to administrator command 57P01",
      client:response().body)
    assert.equal("1", server:request { target = "/one" }.body)
  end)

  it("outlives its server's end by SIGKILL, and the start after it", function()
    local server = start()
    local client = support.begin(server, "/sleep")
    await_running(1)
    database:end_server("KILL")
    assert.matches("^nil .+ 57P02$", client:response().body:gsub(" 08006$", " 57P02"))
    assert.matches("^nil .*Connection refused.* 08001$", server:request { target = "/one" }.body)
    database:start_server()
    assert.equal("1", server:request { target = "/one" }.body)
  end)

  it("does not wait longer than connect_timeout for a server that says nothing", function()
    local silent = upstream.listen()
    local server = start("connect_timeout = 5", { clock = true,
      url = ("postgres://postgres@127.0.0.1:%d/x"):format(silent.port) })
    local client = support.begin(server, "/one")
    local conn = silent:accept()
    conn:await_bytes()
    server:advance(4)
    assert.is_true(client:is_silent())
    server:advance(2)
    assert.equal("nil PostgreSQL did not let the connection in within connect_timeout ETIMEDOUT",
      client:response().body)
    conn:await_close()
  end)

  it("lets go of a connection that is still being opened", function()
    local silent = upstream.listen()
    local url = ("postgres://postgres@127.0.0.1:%d/x"):format(silent.port)
    local server = start("connections = 1", { url = url })
    local client = support.begin(server, "/sleep")
    local conn = silent:accept()
    conn:await_bytes()
    client:reset()
    conn:await_close()
    assert.equal("hello", server:request { target = "/hello" }.body)
  end)

  it("says why it cannot connect", function()
    local port = upstream.closed_port()
    for url, why in pairs {
      ["postgres://127.0.0.1:" .. port] = "Connection refused.* 08001$",
      ["postgres://no-such-host.invalid/x"] = " ENOTFOUND$",
      ["postgres://nobody-there@127.0.0.1:" .. database.port .. "/postgres"] =
        'role "nobody%-there" does not exist 08001$',
      ["postgres:///x?host=/nonexistent"] = "No such file or directory.* 08001$",
    } do
      local said = start(nil, { url = url }):request { target = "/one" }.body
      said = said:gsub(" EAI_AGAIN$", " ENOTFOUND") -- what a machine without a resolver says
      assert.matches("^nil .*" .. why, said)
    end
  end)

  it("keeps its connections for the code that a reload has not ended yet, and no longer", function()
    local server = start()
    local client = support.begin(server, "/sleep")
    await_running(1)
    server:request { target = "/one" }
    server.process:signal("HUP")
    clock.eventually(function() return #server:log_lines("reloaded") > 0 end)
    client:reset()
    clock.eventually(function() return database:sessions() == 0 end)
    assert.equal("1", server:request { target = "/one" }.body)
  end)
end)
