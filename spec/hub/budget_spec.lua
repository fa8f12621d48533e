-- What all channels may hold together, and what a group of them may: a peer that chooses names
-- cannot use up what others need.

local hub = require "spec.hub.support"
local reload = require "spec.reload.support"

local run = hub.run

local FULL = "nil the channels hold as many bytes as they may ENOMEM"
local GROUP_FULL = "nil the group's channels hold as many bytes as they may ENOMEM"

-- `fill(prefix, options)` publishes a kilobyte to one new channel after the other until it is
-- refused; it returns how many there were, and the refusal.
local FILL = [[
env.fill = function(prefix, options)
  for n = 1, 100000 do
    local room, why, code = lunesse.channel(prefix .. n, options)
    if not room then return n - 1, nil, why, code end
    local id
    id, why, code = room:publish(("x"):rep(1000))
    if not id then return n - 1, nil, why, code end
    if n % 200 == 0 then lunesse.sleep(0) end
  end
end
]]

describe("channel_total_bytes", function()
  local function start(bytes, options)
    options = options or {}
    options.args = { "--limit", "channel_total_bytes=" .. bytes }
    return hub.start_inside(FILL, options)
  end

  it("refuses new channels and events beyond it, and leaves the others what they have", function()
    local server = start(1000000, { workers = 1 })
    hub.keep(server, "room")
    hub.publish_numbers(server, "room", 1, 5)
    local count, refusal = run(server, "return fill('x')"):match("^(%d+) (.*)$")
    assert.equal(FULL, refusal)
    assert.is_true(tonumber(count) > 300 and tonumber(count) < 900, count .. " channels")
    assert.equal(FULL, run(server, [[
      for n = 1, 100 do -- an event that was refused may have left room for a few
        local another, why, code = channel('another' .. n)
        if not another then return another, why, code end
        kept[n] = another
      end]]))
    local stream = hub.open(server, "room", { since = "earliest" })
    assert.equal("1 2 3 4 5", hub.data(stream, 5))
    stream:close()
  end)

  it("counts what is kept, not what was published: a channel's old events make room", function()
    local server = start(100000, { workers = 1 })
    hub.keep(server, "room")
    local stream = hub.open(server, "room")
    stream:comment()
    for n = 1, 300 do
      hub.publish(server, "room", ("%03d"):format(n) .. ("x"):rep(997))
      assert.equal(n, tonumber(stream:event().data:sub(1, 3)))
    end
    stream:close()
    stream = hub.open(server, "room", { since = "earliest" })
    local first = tonumber(stream:event().data:sub(1, 3))
    assert.is_true(first > 200 and first < 290, "the oldest is " .. first)
    stream:close()
  end)

  it("has room again when channels go", function()
    local server = start(1000000, { workers = 1, clock = true })
    run(server, "return fill('x', { ttl = 10 })")
    assert.equal(FULL, run(server, [[
      local room, why, code = channel('room')
      if not room then return room, why, code end
      return room:publish(('x'):rep(10000))]]))
    server:advance(20)
    eventually(function()
      return run(server, "collectgarbage() return channel('room'):publish(('x'):rep(10000))")
        :find("%-1$")
    end)
    local count = run(server, "return fill('y', { ttl = 10 })"):match("^%d+")
    assert.is_true(tonumber(count) > 300)
  end)

  it("counts for all workers together", function()
    local server = hub.start_inside(FILL, { workers = 3, args = {
      "--limit", "channel_total_bytes=1000000",
    } })
    local total = 0
    for worker = 1, 3 do
      local client = hub.connect(server, worker)
      total = total + tonumber(run(client, "return fill('w%d-')", worker):match("^%d+"))
      client:close()
    end
    assert.is_true(total > 300 and total < 900, total .. " channels")
  end)

  it("holds the program's memory", function()
    if hub.keeps_freed_memory() then
      return pending("needs the memory of a plain build")
    end
    local server = hub.start(FILL, {
      workers = 1, args = { "--limit", "channel_total_bytes=" .. 16 * 1024 * 1024 },
    })
    local before = server:memory()
    run(server, [[
      for n = 1, 30 do channel('big', { bytes = 2^25 | 0 }):publish(('x'):rep(1000000)) end]])
    run(server, "return fill('x')")
    assert.is_true(server:memory() - before < 60 * 1024 * 1024,
      "grew by " .. server:memory() - before)
  end)
end)

describe("a group of channels", function()
  local server

  before_each(function()
    server = hub.start_inside(FILL, { workers = 1 })
    run(server, "lunesse.channel_group('rooms', { channels = 10, bytes = 50000 })")
  end)

  it("has as many channels as it may, and others have theirs", function()
    assert.equal("10 nil the group has as many channels as it may E2BIG",
      run(server, "return fill('x', { group = 'rooms' })"))
    assert.equal("100000", run(server, [[
      for n = 1, 100 do kept[n] = channel("y" .. n) end return 100000]]))
    assert.matches("^Channel: ", run(server, "return channel('x1', { group = 'rooms' })"))
  end)

  it("has as many bytes as it may: history first goes from the channel that publishes", function()
    run(server, "kept.a = channel('a', { group = 'rooms' })")
    run(server, "for n = 1, 200 do kept.a:publish(('x'):rep(1000)) lunesse.sleep(0) end")
    local made = run(server, "return fill('b', { group = 'rooms' })")
    local count = made:match("^(%d+) " .. GROUP_FULL)
    assert.is_true(tonumber(count) < 10)
    assert.matches("%-201$", run(server, "return kept.a:publish('still here')"))
    assert.matches("%-1$", run(server, "return channel('other'):publish(('x'):rep(100000))"))
  end)

  it("has room for another when one of its channels goes", function()
    run(server, "for n = 1, 10 do kept[n] = channel('x' .. n, { group = 'rooms' }) end")
    assert.matches("E2BIG$", run(server, "return channel('y', { group = 'rooms' })"))
    run(server, "kept[3]:close() kept[3] = nil collectgarbage() collectgarbage()")
    eventually(function()
      return run(server, "return channel('y', { group = 'rooms' })"):find("^Channel")
    end)
  end)

  it("keeps the channels that were made in it, and takes none that were not", function()
    run(server, "lunesse.channel_group('few', { channels = 1 })")
    run(server, [[
      for n = 1, 5 do kept[n] = channel('x' .. n) channel('x' .. n, { group = 'few' }) end
      kept.y = channel('y', { group = 'few' })]])
    assert.matches("^Channel", run(server, "return kept.y"))
    assert.matches("E2BIG$", run(server, "return channel('z', { group = 'few' })"))
  end)

  it("has other ceilings by another call, which keeps what it does not name", function()
    run(server, "for n = 1, 10 do kept[n] = channel('x' .. n, { group = 'rooms' }) end")
    run(server, "lunesse.channel_group('rooms', { channels = 12 })")
    assert.equal("2 nil the group has as many channels as it may E2BIG",
      run(server, "return fill('y', { group = 'rooms' })"))
    run(server, "lunesse.channel_group('rooms', { channels = false })")
    assert.matches(GROUP_FULL .. "$", run(server, "return fill('z', { group = 'rooms' })"))
  end)

  it("has a name, ceilings that are numbers, and is declared first", function()
    local where = "do:2: bad argument #%d to '%s' (%s)"
    for code, expected in pairs {
      ["lunesse.channel_group()"] = { 1, "channel_group", "string expected, got no value" },
      ["lunesse.channel_group('')"] = { 1, "channel_group", "a group's name is not empty" },
      ["lunesse.channel_group('x')"] = { 2, "channel_group", "table expected, got no value" },
      ["lunesse.channel_group('x', { count = 1 })"] =
        { 2, "channel_group", "unknown option 'count'" },
      ["lunesse.channel_group('x', { channels = -1 })"] =
        { 2, "channel_group", "channels: a whole number, 0 or more, expected" },
      ["lunesse.channel_group('x', { bytes = 'many' })"] =
        { 2, "channel_group", "bytes: a whole number, 0 or more, expected" },
      ["channel('x', { group = 'unheard of' })"] = { 2, "channel",
        "group: a name that was given to lunesse.channel_group expected" },
      ["channel('x', { group = 5 })"] = { 2, "channel",
        "group: a name that was given to lunesse.channel_group expected" },
    } do
      assert.equal(where:format(table.unpack(expected)), run(server, "\n" .. code), code)
    end
    assert.equal("do:1: there are 64 groups of channels already",
      run(server, "for n = 1, 64 do lunesse.channel_group('g' .. n, {}) end"))
  end)
end)

describe("ceilings that a reload changes", function()
  local MAKE = [[
server:get("/make", function(_, response)
  local made = {}
  for n = 1, 20 do
    made[n] = lunesse.channel("x" .. n, { group = "rooms" })
    if not made[n] then return response:send(tostring(n - 1)) end
  end
end)
server:get("/publish", function(_, response)
  response:send(select(3, lunesse.channel("big"):publish(("x"):rep(5000))) or "fine")
end)
]]
  local function script(count, bytes)
    return ("lunesse.channel_group('rooms', { channels = %d }) "):format(count) ..
      ("lunesse.server { limits = { channel_total_bytes = %d } }\n"):format(bytes) .. MAKE
  end

  it("hold when all has loaded, and the old ones when it has not", function()
    local server = reload.start_inside(script(3, 100000))
    local function expect(count, publishing)
      eventually(function() -- the channels of the last request have gone
        return reload.get(server, "/make") == count
      end)
      assert.equal(publishing, reload.get(server, "/publish"))
    end
    expect("3", "fine")
    reload.fail(server, script(5, 3000) .. "error('on purpose')")
    expect("3", "fine")
    reload.reload(server, script(5, 1000))
    reload.reload(server, script(5, 50000))
    expect("5", "fine")
    reload.reload(server, script(2, 3000))
    assert.equal("ENOMEM", reload.get(server, "/publish"))
  end)
end)
