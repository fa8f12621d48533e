-- db:listen: notifications of a real server become events, and whoever may have missed one is told.

local clock = require "spec.support.clock"
local Postgres = require "spec.support.postgres"
local reload = require "spec.reload.support"
local hub = require "spec.hub.support"
local sse = require "spec.support.sse"
local wire = require "spec.support.wire"
local upstream = require "spec.upstream.support"
local support = require "spec.postgres.support"

local SCRIPT = [[
local notes = lunesse.channel("notes")
local listener = db:listen("Notes of \"all\"", notes, %s)
server:get("/notes", function(_, response) response.sse:subscribe(notes) end)
server:get("/cursor", function(_, response) response:send(notes:cursor()) end)
server:get("/close", function(_, response) response:send(told(listener:close())) end)
server:get("/finish", function(_, response) response:send(told(notes:finish())) end)
]]

local LISTENERS = "query = 'listen \"Notes of \"\"all\"\"\"'"

describe("db:listen", function()
  local database

  setup(function() database = Postgres.start() end)
  teardown(function() database:stop() end)
  after_each(upstream.close_all)

  local function listening()
    return database:sessions(LISTENERS)
  end

  local function await_listening(count)
    clock.eventually(function() return listening() == count end, 30)
  end

  local function start(map, options)
    return support.start(database.url, SCRIPT:format(map or "nil"), options)
  end

  local function open(server, last_event_id)
    local client = server:connect()
    client:send(wire.request { target = "/notes", headers = {
      Accept = "text/event-stream", ["Last-Event-ID"] = last_event_id } })
    local stream = sse.stream(client, client:head())
    if not last_event_id then
      stream:comment()
    end
    return stream
  end

  local function notify(payload)
    assert.equal("", database:ask(([[select pg_notify('Notes of "all"', '%s')]]):format(payload)))
  end

  local function expect_reset(stream)
    local notice = hub.notice(stream:event())
    assert.same({ "reset", "epoch" }, { notice.type, notice.reason })
  end

  it("makes an event of each notification, in order, for the readers of all workers", function()
    local server = start()
    await_listening(1)
    local streams = {}
    for i = 1, 6 do
      streams[i] = open(server)
    end
    database:ask([[do $$ begin
      for i in 1..3000 loop perform pg_notify('Notes of "all"', i::text); end loop; end $$]])
    notify("übrig")
    for _, stream in ipairs(streams) do
      for i = 1, 3000 do
        assert.equal(tostring(i), stream:event().data)
      end
      assert.equal("übrig", stream:event().data)
      stream:close()
    end
    assert.equal(1, listening())
  end)

  it("publishes what `map` makes of it, and nothing of nil", function()
    local server = start [[function(payload)
      lunesse.sleep(0)
      if payload == "nothing" then return nil end
      return "note", { text = payload }
    end]]
    await_listening(1)
    local stream = open(server)
    notify "nothing"
    notify "a"
    local event = stream:event()
    assert.same({ "note", '{"text":"a"}' }, { event.type, event.data })
    stream:close()
  end)

  it("tells each reader `reset` after the server was killed, and goes on", function()
    local server = start()
    await_listening(1)
    local streams = {}
    for i = 1, 4 do
      streams[i] = open(server)
    end
    notify "before"
    for _, stream in ipairs(streams) do
      assert.equal("before", stream:event().data)
    end
    local old = server:request { target = "/cursor" }.body
    database:end_server "KILL"
    database:start_server()
    await_listening(1)
    for _, stream in ipairs(streams) do
      expect_reset(stream)
    end
    local late = open(server, old)
    expect_reset(late)
    streams[#streams + 1] = late
    notify "after"
    for _, stream in ipairs(streams) do
      assert.equal("after", stream:event().data)
      stream:close()
    end
  end)

  it("does the same when its session is ended, and tries until the server is there", function()
    local server = start()
    await_listening(1)
    local stream = open(server)
    database:ask("select pg_terminate_backend(pid) from pg_stat_activity where " .. LISTENERS)
    expect_reset(stream)
    database:end_server "INT"
    clock.eventually(function()
      return server:log():find("not listened to for now.*Connection refused.*next_in.*next_in")
    end)
    database:start_server()
    expect_reset(stream)
    notify "here"
    assert.equal("here", stream:event().data)
    stream:close()
  end)

  it("tells the readers when a notification cannot become an event", function()
    local server = start [[function(payload)
      if payload == "bad" then error("no note") end
      return payload == "worse" and print or payload
    end]]
    await_listening(1)
    local stream = open(server)
    for _, payload in ipairs { "bad", "worse" } do
      notify(payload)
      expect_reset(stream)
      notify "good"
      assert.equal("good", stream:event().data)
    end
    assert.matches("became no event.*no note", server:log())
    stream:close()
  end)

  it("ends with its code: after a reload the new one listens alone, and readers know", function()
    local server = start()
    await_listening(1)
    local stream = open(server)
    reload.reload(server)
    expect_reset(stream)
    await_listening(1)
    notify "once"
    notify "twice"
    assert.equal("once", stream:event().data)
    assert.equal("twice", stream:event().data)
    stream:close()
  end)

  it("ends by close, and with its channel", function()
    local server = start(nil, { workers = 1 })
    await_listening(1)
    assert.equal("true", server:request { target = "/close" }.body)
    assert.equal("true", server:request { target = "/close" }.body)
    await_listening(0)
    server = start(nil, { workers = 1 })
    await_listening(1)
    assert.equal("true", server:request { target = "/finish" }.body)
    notify "too late"
    await_listening(0)
  end)

  it("holds up no server that ends", function()
    local server = start()
    await_listening(1)
    local stream = open(server)
    server:stop()
    await_listening(0)
    stream:close()
  end)

  it("takes a name, a channel and a function, while the scripts load", function()
    local answer = support.run(database.url, [[
      local room = lunesse.channel("room")
      local list = {}
      for _, arguments in ipairs {
        { nil, room }, { "", room }, { ("x"):rep(64), room }, { "a\0b", room }, { "a", {} },
        { "a", room, "f" }, { "a", room },
      } do
        list[#list + 1] = select(2, pcall(db.listen, db, table.unpack(arguments, 1, 3)))
      end
      list[#list + 1] = select(2, pcall(db.listen, "a"))
      return (table.concat(list, "\n"):gsub("[^\n]-:%d+: ", ""))]])
    assert.equal([[
listen takes the name of a channel of PostgreSQL, a string of 1 to 63 bytes, got nil
listen takes the name of a channel of PostgreSQL, a string of 1 to 63 bytes, got 0 bytes
listen takes the name of a channel of PostgreSQL, a string of 1 to 63 bytes, got 64 bytes
listen takes the name of a channel of PostgreSQL, a string of 1 to 63 bytes, got 3 bytes
listen takes a channel of lunesse.channel, got table
listen takes a function that makes events, got string
listen belongs to the script's top level: it lasts as long as the script's code
listen is called with a colon: db:listen(...)]], answer)
  end)
end)
