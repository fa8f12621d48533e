-- lunesse.shared: values that outlive the scripts, as a script sees them.

local apps = require "spec.support.app"
local clock = require "spec.support.clock"
local hub = require "spec.hub.support"
local reload = require "spec.reload.support"
local Process = require "spec.support.process"
local InnerServer = require "spec.support.inner_server"

local run = hub.run

local FULL = "nil the shared stores have as many bytes as the limit allows ENOMEM"

---Loads the script anew and waits until it answers.
local function reload_same(server)
  local count = reload.count(server, "reloaded")
  server.process:signal("HUP")
  clock.eventually(function()
    return reload.count(server, "reloaded") > count
  end)
end

describe("a shared store", function()
  local server

  setup(function()
    server = hub.start_inside(nil, { shared = true })
    run(server, "shared = lunesse.shared")
  end)

  teardown(function()
    server:stop()
  end)

  ---What `code`, in which `s` is an empty store, returns.
  local function with_store(code)
    return run(server, "local s = shared('x') " ..
      "for _, k in ipairs(s:keys(1e6)) do s:delete(k) end " .. code)
  end

  it("gives back strings, integers, floats and booleans as they were", function()
    for _, value in ipairs {
      "'text'", "''", "'\\0a\\0'", "'\\xff\\xfe'", "0", "-1", "math.maxinteger",
      "math.mininteger", "1.0", "0.1", "-1e300", "1/0", "true", "false", "'1'",
    } do
      assert.equal("true true true true", with_store(([[
        local value = %s
        local set = s:set("key", value)
        local seen = s:get("key")
        return set, seen == value, math.type(seen) == math.type(value), type(seen) == type(value)
      ]]):format(value)), value)
    end
    assert.equal("true", with_store "s:set('key', 0/0) return s:get('key') ~= s:get('key')")
  end)

  it("has nil under a key that was never set, or was deleted", function()
    assert.equal("nil", with_store "return s:get('key')")
    assert.equal("true true false nil", with_store [[
      return s:set("key", false), s:delete("key"), s:delete("key"), s:get("key")]])
  end)

  it("takes any bytes as a key, NUL included, up to 1024", function()
    assert.equal("1 2 3 4 nil", with_store [[
      s:set("a", 1) s:set("a\0", 2) s:set("a\0b", 3) s:set(("\xff"):rep(1024), 4)
      return s:get("a"), s:get("a\0"), s:get("a\0b"), s:get(("\xff"):rep(1024)), s:get("\0")]])
  end)

  it("takes a large value, and gives all of it back", function()
    assert.equal("true true 20000000", with_store [[
      local large = ("0123456789"):rep(2000000)
      return s:set("large", large), s:get("large") == large, #s:get("large")]])
  end)

  it("replaces a value by one of another type", function()
    assert.equal("text 5 true 0.5 text", with_store [[
      local seen = {}
      for i, value in ipairs { "text", 5, true, 0.5, "text" } do
        s:set("key", value)
        seen[i] = tostring(s:get("key"))
      end
      return table.unpack(seen)]])
  end)

  it("adds a key once", function()
    assert.equal("true", with_store "return s:add('key', 'one')")
    assert.equal("nil exists EEXIST", run(server, "return shared('x'):add('key', 'two')"))
    assert.equal("one", run(server, "return shared('x'):get('key')"))
    assert.equal("nil exists EEXIST", with_store [[
      s:add("key", false)
      return s:add("key", true)]])
  end)

  it("replaces what is still what it was, and nothing else", function()
    assert.equal("true b nil changed ESTALE b", with_store [[
      s:set("key", "a")
      local done, now = s:replace("key", "a", "b"), s:get("key")
      local nothing, why, code = s:replace("key", "a", "c")
      return done, now, nothing, why, code, s:get("key")]])
    for _, pair in ipairs { { "1", "1.0" }, { "1.5", "1.5" }, { "true", "true" }, { "''", "''" },
      { "2.0^53", "1 << 53" }, { "math.mininteger", "-2.0^63" },
      { "('x'):rep(99)", "('x'):rep(99)" } } do
      assert.equal("true new", with_store(([[
        s:set("key", %s)
        return s:replace("key", %s, "new"), s:get("key")]]):format(pair[1], pair[2])))
    end
    for _, pair in ipairs { { "1", "'1'" }, { "1", "2" }, { "'a'", "'b'" }, { "'a'", "'aa'" },
      { "true", "false" }, { "0", "false" }, { "0/0", "0/0" }, { "math.maxinteger", "2.0^63" },
      { "(1 << 53) + 1", "2.0^53" }, { "1", "nil" } } do
      assert.equal("nil changed ESTALE true", with_store(([[
        s:set("key", %s)
        local was = s:get("key")
        local done, why, code = s:replace("key", %s, "new")
        local is = s:get("key")
        return done, why, code, is == was or is ~= is]]):format(pair[1], pair[2])))
    end
  end)

  it("replaces nothing, and by nothing, when that is said", function()
    assert.equal("true 1 true nil true nil", with_store [[
      local made, one = s:replace("key", nil, 1), s:get("key")
      local gone, nothing = s:replace("key", 1, nil), s:get("key")
      return made, one, gone, nothing, s:replace("key", nil, nil), s:get("key")]])
    assert.equal("nil changed ESTALE 0", with_store [[
      local done, why, code = s:replace("key", "a", nil)
      return done, why, code, s.count]])
  end)

  it("raises for a replace that lacks its new value, or has one that cannot be", function()
    for code, message in pairs {
      ["s:replace('k', 1)"] = "bad argument #3 to 'replace' %(the new value, or nil, expected%)",
      ["s:replace('k', {}, 1)"] = "a table cannot be shared",
      ["s:replace('k', 1, print)"] = "string, number or boolean expected, got function",
      ["s:replace('', 1, 2)"] = "a key is not empty",
      ["s:replace('k', 1, 2, { tll = 1 })"] = "unknown option 'tll'",
    } do
      assert.matches(message, with_store(
        ("return select(2, pcall(function() %s end))"):format(code)))
    end
    assert.equal(FULL, with_store "s:set('k', 1) return s:replace('k', 1, ('x'):rep(1 << 26))")
  end)

  it("counts with integers that stay integers, and with floats", function()
    assert.equal("1 2 7 -3 integer", with_store [[
      local last = s:incr("n", nil) + s:incr("n", 5) - s:get("n")
      return last, s:incr("n", -5) + 1, s:incr("n", 6), s:incr("n", -10), math.type(s:get("n"))]])
    assert.equal("11 1.5 2.5 float 3.0", with_store [[
      return s:incr("a", 1, { init = 10 }), s:incr("b", 1, { init = 0.5 }), s:incr("b"),
        math.type(s:get("b")), s:incr("b", 0.5, { init = 100 })]])
  end)

  it("answers a sum that is beyond the numbers, and keeps what was there", function()
    local over = "nil the sum is beyond the numbers ERANGE"
    assert.equal(over, with_store "s:set('n', math.maxinteger) return s:incr('n')")
    assert.equal("9223372036854775807", run(server, "return shared('x'):get('n')"))
    assert.equal(over, with_store "return s:incr('n', -2, { init = math.mininteger + 1 })")
    assert.equal("nil", run(server, "return shared('x'):get('n')"))
    assert.equal(over, with_store "s:set('n', 1e308) return s:incr('n', 1e308)")
    assert.equal(over, with_store "s:set('n', 0/0) return s:incr('n')")
    assert.equal("9223372036854775807", with_store [[
      s:set("n", math.maxinteger - 1)
      return s:incr("n")]])
  end)

  it("answers an incr of what is no number, and keeps it", function()
    for _, value in ipairs { "'1'", "''", "true", "false" } do
      assert.equal("nil the value is not a number EINVAL",
        with_store(("s:set('n', %s) return s:incr('n')"):format(value)))
      assert.equal("true", run(server, ("return shared('x'):get('n') == %s"):format(value)))
    end
  end)

  it("lists its keys, the oldest first, a thousand or as many as asked for", function()
    assert.equal("0", with_store "return #s:keys()")
    assert.equal("c a b 3", with_store [[
      s:set("c", 1) s:set("a", 1) s:set("b", 1) s:set("c", 2)
      return table.concat(s:keys(), " "), s.count]])
    assert.equal("1000 2 3000 3000 k1 k3000 3000", with_store [[
      for i = 1, 3000 do s:set("k" .. i, i) end
      local all = s:keys(math.maxinteger)
      return #s:keys(), #s:keys(2), #s:keys(3000), #all, all[1], all[3000], s.count]])
  end)

  it("can be changed while its keys are walked along", function()
    assert.equal("0 100", with_store [[
      for i = 1, 100 do s:set("k" .. i, i) end
      local count = 0
      for _, key in ipairs(s:keys()) do
        if s:delete(key) then count = count + 1 end
      end
      return s.count, count]])
  end)

  it("is used by a finalizer that runs while one of its values is pushed", function()
    assert.equal("true", with_store(([[
      local text = ("x"):rep(5000)
      for i = 1, 50 do s:set("k" .. i, text .. i) end
      local function trap()
        setmetatable({}, { __gc = function()
          if s.count > 0 then assert(s:get("k7") == text .. 7 and #s:keys() == 50) trap() end
        end })
      end
      trap()
      for _ = 1, ROUNDS do
        for i, key in ipairs(s:keys()) do assert(s:get(key) == text .. i and key == "k" .. i) end
      end
      s:delete("k7")
      for i = 1, 50 do s:delete("k" .. i) end
      return s.count == 0]]):gsub("ROUNDS", apps.fewer(200))))
  end)

  it("is the same handle under the same name, and another under another", function()
    assert.equal("true false a", run(server, [[
      return shared("a") == shared("a"), shared("a") == shared("b"), shared("a").name]]))
    assert.equal("nil 1", run(server, [[
      shared("a"):set("key", 1)
      return shared("b"):get("key"), shared("a"):get("key")]]))
  end)

  it("has any name of 1 to 255 bytes", function()
    for _, name in ipairs { "'a'", "'a b'", "'月'", "'\\0'", "('x'):rep(255)" } do
      assert.equal("true", run(server, ("return shared(%s).name == %s"):format(name, name)))
    end
  end)

  it("is a Shared, with no field that could be set or that does not exist", function()
    assert.matches("^Shared: 0x%x+$", run(server, "return shared('a')"))
    assert.equal("nil", run(server, "return shared('a').none"))
    assert.equal("do:1: Shared has no settable field 'count'",
      run(server, "shared('a').count = 5"))
  end)

  it("refuses a wrong name, at the caller's line", function()
    local wrong = {
      ["''"] = "a store's name is not empty",
      ["('x'):rep(256)"] = "a store's name has at most 255 bytes",
      ["5"] = "string expected, got number", ["nil"] = "string expected, got nil",
      [""] = "string expected, got no value", ["{}"] = "string expected, got table",
    }
    for name, why in pairs(wrong) do
      assert.equal(("do:2: bad argument #1 to 'shared' (%s)"):format(why),
        run(server, "\nreturn lunesse.shared(" .. name .. ")"))
    end
    assert.equal("do:1: bad argument #2 to 'shared' (unknown option 'ttl')",
      run(server, "return lunesse.shared('a', { ttl = 5 })"))
  end)

  it("refuses a wrong key, at the caller's line", function()
    local wrong = {
      ["''"] = "a key is not empty", ["('x'):rep(1025)"] = "a key has at most 1024 bytes",
      ["5"] = "string expected, got number", ["nil"] = "string expected, got nil",
      ["true"] = "string expected, got boolean", ["{}"] = "string expected, got table",
    }
    for key, why in pairs(wrong) do
      for _, method in ipairs { "get", "set", "add", "incr", "delete" } do
        assert.equal(("do:2: bad argument #1 to '%s' (%s)"):format(method, why),
          run(server, "local s = shared('a')\nreturn s:%s(%s, 1)", method, key))
      end
    end
  end)

  it("refuses a value that cannot be shared, and says what to do with a table", function()
    local wrong = {
      ["{}"] = "a table cannot be shared: encode it with lunesse.json.encode",
      ["nil"] = "nil is no value: 'delete' takes a key away",
      ["print"] = "string, number or boolean expected, got function",
      ["coroutine.create(print)"] = "string, number or boolean expected, got thread",
      ["lunesse.json.null"] = "string, number or boolean expected, got light userdata",
      ["lunesse.channel('a')"] = "string, number or boolean expected, got Channel",
    }
    for value, why in pairs(wrong) do
      for _, method in ipairs { "set", "add" } do
        assert.equal(("do:2: bad argument #2 to '%s' (%s)"):format(method, why),
          run(server, "local s = shared('a')\nreturn s:%s('wrong', %s)", method, value))
      end
    end
    assert.matches("^do:1: .*string, number or boolean expected, got no value",
      run(server, "shared('a'):set('wrong')"))
    assert.equal("nil", run(server, "return shared('a'):get('wrong')"))
  end)

  it("refuses a wrong step, count or option, at the caller's line", function()
    local finite = "a finite number expected"
    local ttl, above = "ttl: seconds between 0 and 1e9 expected", "ttl: seconds above 0 expected"
    local cases = {
      { "incr('wrong', '1')", 2, "number expected, got string" },
      { "incr('wrong', {})", 2, "number expected, got table" },
      { "incr('wrong', 0/0)", 2, finite }, { "incr('wrong', math.huge)", 2, finite },
      { "incr('wrong', 1, { init = '1' })", 3, "init: " .. finite },
      { "incr('wrong', 1, { init = -1/0 })", 3, "init: " .. finite },
      { "incr('wrong', 1, { size = 1 })", 3, "unknown option 'size'" },
      { "set('wrong', 1, { init = 1 })", 3, "unknown option 'init'" },
      { "set('wrong', 1, 5)", 3, "table expected, got number" },
      { "keys(0)", 1, "a number above 0 expected" }, { "keys(-1)", 1, "a number above 0 expected" },
      { "keys('a')", 1, "number expected, got string" },
      { "keys(1.5)", 1, "number has no integer representation" },
    }
    for value, why in pairs {
      ["0"] = above, ["-1"] = ttl, ["'1'"] = ttl, ["true"] = ttl, ["0/0"] = ttl, ["2e9"] = ttl,
    } do
      for _, call in ipairs { "set('wrong', 1", "add('wrong', 1", "incr('wrong', 1" } do
        cases[#cases + 1] = { ("%s, { ttl = %s })"):format(call, value), 3, why }
      end
    end
    for _, case in ipairs(cases) do
      local call, index, why = table.unpack(case)
      assert.equal(("do:2: bad argument #%d to '%s' (%s)"):format(index, call:match("%a+"), why),
        run(server, "local s = shared('a')\nreturn s:" .. call), call)
    end
    assert.equal("nil", run(server, "return shared('a'):get('wrong')"))
  end)
end)

describe("a value with a ttl", function()
  local server

  before_each(function()
    server = hub.start_inside("env.s = lunesse.shared('s')", { clock = true })
  end)

  it("is there until its time is over, and never after", function()
    run(server, "s:set('a', 1, { ttl = 10 }) s:add('b', 'text', { ttl = 20 }) s:set('c', 3)")
    server:advance(9.9)
    assert.equal("1 text 3 3", run(server, "return s:get('a'), s:get('b'), s:get('c'), s.count"))
    server:advance(0.1)
    assert.equal("nil text 3 b c", run(server, [[
      return s:get("a"), s:get("b"), s:get("c"), table.concat(s:keys(), " ")]]))
    server:advance(10)
    assert.equal("nil false true 4 2", run(server, [[
      return s:get("b"), s:delete("a"), s:add("b", 4), s:get("b"), s.count]]))
  end)

  it("gets a new time, or none, when it is replaced", function()
    run(server, "s:set('a', 1) s:set('b', 1, { ttl = 10 })")
    run(server, "s:replace('a', 1, 2, { ttl = 10 }) s:replace('b', 1, 2)")
    server:advance(10)
    assert.equal("nil 2 true", run(server, "return s:get('a'), s:get('b'), s:replace('a', nil, 1)"))
  end)

  it("gets a new time, or none, when it is set again", function()
    run(server, "s:set('a', 1, { ttl = 10 }) s:set('b', 1, { ttl = 10 })")
    server:advance(5)
    run(server, "s:set('a', 2, { ttl = 10 }) s:set('b', 2)")
    server:advance(9)
    assert.equal("2 2", run(server, "return s:get('a'), s:get('b')"))
    server:advance(1)
    assert.equal("nil 2", run(server, "return s:get('a'), s:get('b')"))
  end)

  it("keeps its time while it is counted, so that a window ends", function()
    local count = "return s:incr('n', 1, { ttl = 60 })"
    assert.equal("1", run(server, count))
    server:advance(59)
    assert.equal("2", run(server, count))
    server:advance(1)
    assert.equal("1", run(server, count))
    run(server, "s:set('stays', 5)")
    assert.equal("6", run(server, "return s:incr('stays', 1, { ttl = 1 })"))
    server:advance(2)
    assert.equal("6", run(server, "return s:get('stays')"))
  end)

  it("expires as well when it is one of very many that nobody looks at", function()
    run(server, "for i = 1, 5000 do s:set('k' .. i, i, { ttl = (i % 10 + 1) * 60 }) end")
    for minutes = 1, 10 do
      server:advance(60)
      assert.equal(tostring(5000 - 500 * minutes), run(server, "return s.count"))
    end
  end)

  it("may last longer than anybody waits", function()
    run(server, "s:set('a', 1, { ttl = 1e9 }) s:set('b', 1, { ttl = 0.001 })")
    server:advance(100000)
    assert.equal("1 nil", run(server, "return s:get('a'), s:get('b')"))
  end)
end)

describe("shared_bytes", function()
  it("is the limit of all stores together, and nothing is thrown away for it", function()
    local server = hub.start_inside("env.s, env.t = lunesse.shared('s'), lunesse.shared('t')",
      { args = { "--limit", "shared_bytes=100000" } })
    local count = tonumber(run(server, [[
      local n = 0
      while s:set("key" .. n, "some text") do n = n + 1 end
      return n]]))
    assert.is_true(count > 300 and count < 1000, count)
    for _, call in ipairs { "t:set('a', 1)", "t:add('a', 1)", "t:incr('a')", "s:set('new', 1)",
      "s:set('key0', ('x'):rep(1000))" } do
      assert.equal(FULL, run(server, "return " .. call))
    end
    assert.equal("some text " .. count .. " 0",
      run(server, "return s:get('key0'), s.count, t.count"))
    assert.equal("true true", run(server, "return s:set('key0', 'SOME TEXT'), s:set('key1', 1)"))
    assert.equal("2", run(server, "return s:incr('key1')"))
    assert.equal("true", run(server, [[
      for i = 0, 9 do s:delete("key" .. i) end
      return t:set("a", 1)]]))
  end)

  it("refuses at once what is larger than all of it", function()
    local server = hub.start_inside("env.s = lunesse.shared('s')",
      { args = { "--limit", "shared_bytes=1000" } })
    assert.equal(FULL, run(server, "return s:set('a', ('x'):rep(50000000))"))
    assert.equal(FULL, run(server, "return s:set('a', ('x'):rep(1000))"))
    assert.equal("true", run(server, "return s:set('a', ('x'):rep(400))"))
  end)

  it("counts nothing of what has expired", function()
    local server = hub.start_inside("env.s, env.t = lunesse.shared('s'), lunesse.shared('t')",
      { clock = true, args = { "--limit", "shared_bytes=1000000" } })
    run(server, "local n = 0 while s:set('key' .. n, 'text', { ttl = 5 }) do n = n + 1 end")
    assert.equal(FULL, run(server, "return t:set('a', ('x'):rep(900000))"))
    server:advance(5)
    assert.equal("true", run(server, "return t:set('a', ('x'):rep(900000))"))
  end)

  it("may be zero, and is set by a script as other limits are", function()
    local server = hub.start_inside [[
lunesse.server { limits = { shared_bytes = 0 } }
env.s = lunesse.shared("s")
]]
    assert.equal(FULL, run(server, "return s:set('a', 1)"))
    assert.equal("nil false 0", run(server, "return s:get('a'), s:delete('a'), s.count"))
  end)

  it("is what the memory of stores grows by at most, however often they are filled", function()
    if hub.keeps_freed_memory() then
      return pending("freed memory is kept")
    end
    local server = hub.start("env.s = lunesse.shared('s')",
      { args = { "--limit", "shared_bytes=30000000", "--limit", "run_timeout=20" } })
    local before = server:memory()
    for _ = 1, 3 do
      run(server, "n = 0 while s:set('key' .. n, 'text') do n = n + 1 end")
      assert.is_true(server:memory() - before < 36e6, server:memory() - before)
      run(server, "for i = 0, n - 1 do s:delete('key' .. i) end")
    end
    assert.equal("0", run(server, "return s.count"))
  end)
end)

describe("a shared value", function()
  it("survives reloads of the scripts, and is the new code's as well as the old's", function()
    local server = hub.start_inside("env.s = lunesse.shared('s') env.s:incr('loads')")
    run(server, "s:set('text', 'a\\0b') s:set('integer', 3) s:set('truth', true)")
    for loads = 2, 4 do
      reload_same(server)
      assert.equal("true 3 true " .. loads, run(server, [[
        return s:get("text") == "a\0b", s:get("integer"), s:get("truth"), s:get("loads")]]))
    end
  end)

  it("is seen at once by a handler of the old code that still runs", function()
    local server = hub.start_inside()
    run(server, [[
      lunesse.after(0, function()
        local s = lunesse.shared("s")
        s:set("waits", true)
        while not s:get("go") do lunesse.sleep(0.005) end
        s:set("went", true)
      end)]])
    clock.eventually(function()
      return run(server, "return lunesse.shared('s'):get('waits')") == "true"
    end)
    reload_same(server)
    run(server, "lunesse.shared('s'):set('go', true)")
    clock.eventually(function()
      return run(server, "return lunesse.shared('s'):get('went')") == "true"
    end)
  end)

  it("survives when no variable of a script holds its store", function()
    local server = hub.start_inside()
    run(server, "lunesse.shared('s'):set('key', 'kept')")
    run(server, "collectgarbage() collectgarbage()")
    reload_same(server)
    assert.equal("kept", run(server, "return lunesse.shared('s'):get('key')"))
  end)

  it("keeps its ttl over a reload", function()
    local server = hub.start_inside(nil, { clock = true })
    run(server, "lunesse.shared('s'):set('key', 1, { ttl = 10 })")
    server:advance(9)
    reload_same(server)
    assert.equal("1", run(server, "return lunesse.shared('s'):get('key')"))
    server:advance(1)
    assert.equal("nil", run(server, "return lunesse.shared('s'):get('key')"))
  end)

  it("stays when the new code does not load, with what that wrote before", function()
    local server = hub.start_inside("env.s = lunesse.shared('s')")
    run(server, "s:set('key', 'old')")
    reload.fail(server, "lunesse.shared('s'):set('tried', true)\nerror('no')\n")
    assert.equal("old true", run(server, "return s:get('key'), s:get('tried')"))
  end)

  it("can be left behind in stores of many names", function()
    local server = hub.start_inside()
    assert.equal("2000", run(server, [[
      for i = 1, 2000 do
        lunesse.shared("full" .. i):set("key", i)
        lunesse.shared("empty" .. i)
      end
      collectgarbage() collectgarbage()
      local sum = 0
      for i = 1, 2000 do sum = sum + lunesse.shared("full" .. i).count end
      return sum]]))
  end)

  it("is at hand in a close listener and in a finalizer, as long as there is Lua", function()
    local server = hub.start_inside [[
server:get("/", function(_, response)
  response:once("close", function() lunesse.shared("s"):incr("closed") end)
  response:send("x")
end)
local s = lunesse.shared("s")
setmetatable({}, { __gc = function() pcall(s.set, s, "key", 1) end })
env.kept.anchor = setmetatable({}, { __gc = function() pcall(s.get, s, "key") end })
]]
    server:request { target = "/" }
    clock.eventually(function()
      return run(server, "return lunesse.shared('s'):get('closed')") == "1"
    end)
  end)

  it("that the script's memory has no room for fails the handler, and is kept", function()
    local server = hub.start_inside("env.s = lunesse.shared('s')",
      { args = { "--limit", "lua_bytes=20000000" } })
    run(server, "s:set('large', ('x'):rep(3000000))")
    for _ = 1, 3 do
      assert.equal("not enough memory", run(server, [[
        local all = {}
        for i = 1, 10 do all[i] = s:get("large") end]]))
      run(server, "collectgarbage() collectgarbage()")
      assert.equal("3000000", run(server, "return #s:get('large')"))
    end
  end)

  it("is counted right by many requests at once", function()
    local server = hub.start_inside [[
server:get("/count", function(_, response)
  lunesse.sleep(0)
  response:send(tostring(lunesse.shared("s"):incr("n")))
end)
]]
    local clients, seen = {}, {}
    for i = 1, 50 do
      clients[i] = server:connect()
      clients[i]:send("GET /count HTTP/1.1\r\nHost: localhost\r\n\r\n")
    end
    for i = 1, 50 do
      seen[tonumber(clients[i]:response().body)] = true
      clients[i]:close()
    end
    assert.equal(50, #seen)
  end)
end)

describe("the example of docs/shared.md", function()
  it("counts visits over a reload, and five tries a minute", function()
    local script = assert(Process.read_file("docs/shared.md"):match("\n```lua\n(.-)```"))
    local server = InnerServer.start({ ["a.lua"] = script }, { clock = true })
    assert.equal('{"visits":1}', reload.get(server, "/"))
    reload_same(server)
    assert.equal('{"visits":2}', reload.get(server, "/"))
    local function try()
      return server:request({ method = "POST", target = "/login", body = "" }).status
    end
    for _ = 1, 5 do
      assert.equal(200, try())
    end
    assert.equal(429, try())
    server:advance(60)
    assert.equal(200, try())
  end)
end)
