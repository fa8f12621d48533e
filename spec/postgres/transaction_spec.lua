-- `db:transaction`: what is done as a whole, or not at all.

local clock = require "spec.support.clock"
local Postgres = require "spec.support.postgres"
local support = require "spec.postgres.support"

describe("a transaction", function()
  local database

  setup(function() database = Postgres.start() end)
  teardown(function() database:stop() end)
  before_each(function()
    database:ask("drop table if exists kept; create table kept (a int primary key)")
  end)

  local function run(text)
    return (support.run(database.url, text, { pool = "connections = 1" }))
  end

  local function kept()
    return database:ask("select coalesce(string_agg(a::text, ',' order by a), '') from kept")
  end

  it("is committed when its function returns, and returns what that does", function()
    assert.equal("1 nil x true", run [[
      local one, none, x = db:transaction(function(tx)
        tx:query("insert into kept values (1)")
        tx:query("insert into kept values ($1)", 2)
        return 1, nil, "x"
      end)
      return one, none, x, (db:transaction(function() end))]])
    assert.equal("1,2", kept())
  end)

  it("is rolled back when its function returns nil and a message, or raises", function()
    assert.equal("nil no ENO|oops|1", run [[
      local first = told(db:transaction(function(tx)
        tx:query("insert into kept values (1)")
        return nil, "no", "ENO"
      end))
      local _, why = pcall(db.transaction, db, function(tx)
        tx:query("insert into kept values (2)")
        error("oops", 0)
      end)
      return first .. "|" .. why .. "|" .. db:query("select 1 as a")[1].a]])
    assert.equal("", kept())
  end)

  it("says so when the server has rolled back, because a query of it had failed", function()
    assert.equal("nil a query of the transaction failed, so nothing of it was done 25P02", run [[
      return db:transaction(function(tx)
        tx:query("insert into kept values (1)")
        tx:query("insert into kept values (1)")
        return "done"
      end)]])
    assert.equal("", kept())
  end)

  it("says why the server does not commit", function()
    database:ask("alter table kept add b int unique deferrable initially deferred")
    assert.matches('^nil duplicate key .* 23505$', run [[
      return db:transaction(function(tx)
        tx:query("insert into kept values (1, 1), (2, 1)")
      end)]])
    assert.equal("", kept())
  end)

  it("cannot be asked once it has ended, and answers one query at a time", function()
    assert.equal("nil the transaction has ended ECLOSED|" ..
      "nil another query of this transaction runs: a connection answers one at a time EBUSY", run [[
      local left
      db:transaction(function(tx) left = tx end)
      local busy
      db:transaction(function(tx)
        lunesse.all {
          function() tx:query("select pg_sleep(0.01)") end,
          function() busy = told(tx:query("select 1")) end,
        }
      end)
      return told(left:query("select 1")) .. "|" .. busy]])
  end)

  it("takes a function, and waits where something can wait", function()
    assert.equal("transaction takes a function, got nil|" ..
      "query is called with a colon: tx:query(...)", (run [[
      local _, why = pcall(function() db:transaction() end)
      local _, other = pcall(function() db:transaction(function(tx) tx.query("x") end) end)
      return why .. "|" .. other]]):gsub("[^:|]*script.lua:%d+: ", ""))
  end)

  it("is rolled back when its reader leaves, in a query and between two", function()
    local server = support.start(database.url, [[
      server:get("/query", { on_leave = "cancel" }, function()
        db:transaction(function(tx)
          tx:query("insert into kept values (1)")
          tx:query("select pg_sleep(1000)")
        end)
      end)
      server:get("/between", { on_leave = "cancel" }, function()
        db:transaction(function(tx)
          tx:query("insert into kept values (2)")
          lunesse.sleep(1000)
        end)
      end)
      server:get("/one", function(_, response)
        response:send(tostring(db:query("select count(*) as n from kept")[1].n))
      end)
    ]], { pool = "connections = 1", workers = 1 })
    for path, condition in pairs {
      ["/query"] = "state = 'active' and query like '%pg_sleep%'",
      ["/between"] = "state = 'idle in transaction' and query like 'insert%'",
    } do
      local client = support.begin(server, path)
      clock.eventually(function() return database:sessions(condition) == 1 end, 5)
      client:reset()
      clock.eventually(function() return database:sessions(condition) == 0 end, 5)
      assert.equal("0", server:request { target = "/one" }.body)
    end
  end)
end)
