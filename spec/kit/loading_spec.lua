-- Scripts that wait while they load: `test.load` and `app:reload` return when it is decided whether
-- they have loaded.

local kit = require "spec.support.kit"
local test = require "lunesse.test"

local START = 1893456000 -- 2030-01-01T00:00:00Z

local SERVES = [[
local lunesse = require "lunesse"
local text
lunesse.server():get("/", function(_, response) response:send(text) end)
]]

local FIRST = SERVES .. [[
text = "first"
lunesse.server():get("/events", function(_, response)
  response.sse:subscribe(lunesse.channel "news")
end)
]]

---A script that loads for so many seconds.
local function slow(seconds, text)
  return SERVES .. ("lunesse.sleep(%d)\ntext = %q\n"):format(seconds, text)
end

describe("a reload of scripts that wait", function()
  local app

  local function load(options)
    app = test.load({ ["a.lua"] = FIRST }, options)
    app:get("/"):expect { text = "first" }
  end

  after_each(test.stop)

  it("is over when they have slept, and time has gone on for all", function()
    load()
    local stream = app:stream("/events")
    assert.is_true((assert(app:reload { ["a.lua"] = slow(20, "second") })))
    app:get("/"):expect { text = "second" }
    assert.equal(START + 20, app:now())
    assert.comment(stream) -- a heartbeat, after 15 s
    stream:leave()
  end)

  it("takes no time when they wait for no time", function()
    load()
    assert(app:reload { ["a.lua"] = SERVES .. [[
      local signal = lunesse.signal()
      lunesse.spawn(function() signal:set("second") end)
      text = signal:wait()
      lunesse.all { function() lunesse.sleep(0) end, function() lunesse.sleep(0) end }
    ]] })
    app:get("/"):expect { text = "second" }
    assert.equal(START, app:now())
  end)

  it("says why when they fail afterwards, and the old ones serve on", function()
    load()
    local ok, why = app:reload { ["a.lua"] = slow(5, "second") .. "error('oh no')\n" }
    assert.is_nil(ok)
    assert.matches("a.lua:6: oh no", why, 1, true)
    assert.equal(START + 5, app:now())
    app:get("/"):expect { text = "first" }
    assert.is_true((app:reload { ["a.lua"] = slow(0, "third") }))
    app:get("/"):expect { text = "third" }
  end)

  it("fails after load_timeout", function()
    load { limits = { load_timeout = 8 } }
    local ok, why = app:reload { ["a.lua"] = slow(9, "second") }
    assert.is_nil(ok)
    assert.matches("a.lua:4: the scripts have not loaded within load_timeout (8 s)", why, 1, true)
    assert.equal(START + 8, app:now())
    ok, why = app:reload { ["a.lua"] = SERVES .. "lunesse.signal():wait()" }
    assert.is_nil(ok)
    assert.matches("load_timeout", why)
    app:get("/"):expect { text = "first" }
  end)

  it("is one after the other in two workers", function()
    load { workers = 2 }
    assert(app:reload { ["a.lua"] = slow(3, "second") })
    app:get("/", { worker = 1 }):expect { text = "second" }
    app:get("/", { worker = 2 }):expect { text = "second" }
    assert.equal(START + 6, app:now())
  end)

  it("can be looked at while it goes on, when a signal has begun it", function()
    load()
    assert.is_true((assert(app:reload { ["a.lua"] = slow(4, "second") })))
    app:signal("HUP"):advance(3)
    assert.equal(1, #app:log("reloaded"))
    app:get("/"):expect { text = "second" }
    app:advance(1)
    assert.equal(2, #app:log("reloaded"))
    assert.equal(START + 8, app:now())
  end)

  it("is waited for when another one is under way", function()
    load()
    assert.is_true((assert(app:reload { ["a.lua"] = slow(0, "second") })))
    app:signal("HUP")
    app:get("/"):expect { text = "second" }
    assert.is_nil((app:reload { ["a.lua"] = slow(2, "broken") .. "error('oh no')" }))
    app:signal("HUP") -- begins, and is not waited for
    assert.is_true((app:reload { ["a.lua"] = slow(0, "third") }))
    app:get("/"):expect { text = "third" }
    assert.equal(START + 4, app:now())
  end)
end)

describe("a load of scripts that wait", function()
  it("is over when they have slept, and the app's time is later", function()
    local app = test.load({ ["a.lua"] = slow(5, "first") }, { workers = 2 })
    assert.equal(START + 10, app:now())
    app:get("/", { worker = 2 }):expect { text = "first" }
    app:stop()
  end)

  it("raises after load_timeout, too, where a script goes on and waits for no time", function()
    kit.ask()
    local _, why = pcall(test.load, {
      ["a.lua"] = 'local lunesse = require "lunesse"\nwhile true do lunesse.sleep(0) end',
    })
    assert.matches("a.lua:2: the scripts have not loaded within load_timeout (30 s)",
      tostring(type(why) == "table" and why.message or why), 1, true)
  end)

  it("raises after load_timeout", function()
    kit.ask()
    local _, why = pcall(test.load, { ["a.lua"] = slow(31, "first") })
    assert.matches("a.lua:4: the scripts have not loaded within load_timeout (30 s)",
      tostring(type(why) == "table" and why.message or why), 1, true)
  end)
end)
