-- `lunesse.shared(name, { bytes = n })`: a ceiling for one store, so that what peers put there
-- leaves the others their room.

local hub = require "spec.hub.support"

local run = hub.run

local FULL = "nil the store has as many bytes as it may ENOMEM"

local FILL = [[
env.fill = function(store)
  local n = 0
  repeat
    local ok, why, code = store:set("key" .. n, "some text")
    n = n + (ok and 1 or 0)
  until not ok or n == 100000
  return n
end
]]

describe("the ceiling of a store", function()
  local server

  before_each(function()
    server = hub.start_inside("env.s = lunesse.shared('s', { bytes = 10000 }) " ..
      "env.t = lunesse.shared('t') " .. FILL, { workers = 1, clock = true })
  end)

  it("refuses what is beyond it, and other stores go on", function()
    local count = tonumber(run(server, "return fill(s)"))
    assert.is_true(count > 20 and count < 100, count .. " values")
    for _, call in ipairs { "s:set('new', 1)", "s:add('new', 1)", "s:incr('new')",
      "s:replace('new', nil, 1)", "s:set('key0', ('x'):rep(1000))" } do
      assert.equal(FULL, run(server, "return " .. call), call)
    end
    assert.equal("true true 1", run(server,
      "return t:set('new', ('x'):rep(100000)), s:set('key0', 'SOME TEXT'), t:incr('n')"))
    assert.equal("true true", run(server, "return s:delete('key1'), s:set('new', 1)"))
  end)

  it("makes room of what has expired", function()
    run(server, "while s:set('x' .. s.count, 'some text', { ttl = 10 }) do end")
    assert.equal(FULL, run(server, "return s:set('new', 1)"))
    server:advance(11)
    assert.equal("true 1", run(server, "return s:set('new', 1), s.count"))
  end)

  it("is that of every handle and worker, and another call changes it or takes it away", function()
    local several = hub.start_inside(FILL, { workers = 3 })
    run(several, "kept.s = lunesse.shared('s', { bytes = 10000 })")
    local before = tonumber(run(several, "return fill(kept.s)"))
    local other = hub.connect(several, 2)
    run(other, "env_s = lunesse.shared('s')")
    assert.equal(FULL, run(other, "return env_s:set('new', 1)"))
    run(other, "lunesse.shared('s', { bytes = 20000 })")
    assert.is_true(tonumber(run(several, "return fill(kept.s)")) > before)
    run(other, "lunesse.shared('s', { bytes = 0 })")
    assert.equal(FULL, run(several, "return kept.s:set('new', 1)"))
    assert.equal("true", run(several, "return kept.s:set('key0', 'SOME TEXT')"))
    run(other, "lunesse.shared('s', { bytes = false })")
    assert.equal("true", run(several, "return kept.s:set('new', 1)"))
    other:close()
  end)

  it("is a whole number", function()
    for _, bad in ipairs { "-1", "1.5", "'x'", "true", "{}" } do
      assert.equal("do:1: bad argument #2 to 'shared' (bytes: a whole number, 0 or more, or " ..
        "false expected)", run(server, "lunesse.shared('s', { bytes = " .. bad .. " })"))
    end
    assert.equal("do:1: bad argument #2 to 'shared' (unknown option 'ttl')",
      run(server, "lunesse.shared('s', { ttl = 1 })"))
  end)
end)
