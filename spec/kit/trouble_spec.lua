-- Scripts that do what no script should, and what a spec is told of them.

local kit = require "spec.support.kit"
local Process = require "spec.support.process"
local Server = require "spec.support.server"
local test = require "lunesse.test"

local HEAD = [[
local lunesse = require "lunesse"
local server = lunesse.server()
]]

describe("the kit, when something is wrong with a script,", function()
  local app

  local function load(script, options)
    app = test.load({ ["a.lua"] = HEAD .. script }, options)
    return app
  end

  after_each(function()
    app = app and pcall(app.stop, app) and nil
  end)

  it("ends a handler that goes on without waiting, and says where it stands", function()
    load [[
      local is_ready = false
      lunesse.after(1, function() is_ready = true end)
      server:get("/", function(_, response)
        while not is_ready do
          lunesse.sleep(0)
        end
        response:send "ready"
      end)]]
    local began = os.clock()
    local ok, why = pcall(app.get, app, "/")
    assert.is_false(ok)
    assert.matches("does not come to rest: a.lua:7 runs again and again", tostring(why), 1, true)
    assert(os.clock() - began < 10, "it takes long")
  end)

  it("ends a task that goes on without waiting", function()
    load [[lunesse.server():post("/", function(_, response)
      lunesse.spawn(function() while true do lunesse.sleep(0) end end)
      response:send "begun"
    end)]]
    local ok, why = pcall(app.post, app, "/")
    assert.is_false(ok)
    assert.matches("a.lua:4", tostring(why), 1, true)
  end)

  it("refuses memory until it is told not to, also to scripts that are loaded meanwhile", function()
    load [[server:get("/", function(_, response) response:json { 1 } end)]]
    app:fail("memory")
    app:get("/"):expect(500)
    app:get("/"):expect(500)
    local ok, why = app:reload()
    assert.is_nil(ok)
    assert.matches("not enough memory", why)
    app:get("/"):expect(500)
    app:fail("memory", false)
    app:get("/"):expect(200)
    assert(app:reload())
    app:fail("memory")
    app:get("/"):expect(500)
    app:fail("memory", false)
    app:get("/"):expect(200)
  end)

  it("refuses memory to every run, whether it asks for any, begins or goes on", function()
    load [[local count = 0
      local function add() count = count + 1 end
      server:get("/", add)
      server:get("/sleep", function(_, response) lunesse.sleep(10) response:send("x") end)
      server:get("/count", function(_, response) response:send(tostring(count)) end)
      server:get("/closed", function()
        local _ <close> = setmetatable({}, { __close = add })
        lunesse.sleep(10)
      end)
      lunesse.every(10, add)]]
    local sleeper, closer = app:send("GET", "/sleep"), app:send("GET", "/closed")
    app:fail("memory")
    app:get("/"):expect(500)
    app:advance(10)
    sleeper:expect(500)
    closer:expect(500)
    app:fail("memory", false)
    app:get("/count"):expect { text = "1" } -- the variable that was closed
    app:advance(10)
    app:get("/count"):expect { text = "2" }
  end)

  it("gives scripts the same numbers by chance in each run", function()
    local numbers = {}
    for run = 1, 2 do
      load [[
        server:get("/", function(_, response)
          response:send(tostring(math.random(1 << 60)))
        end)]]
      numbers[run] = app:get("/"):text()
      app:stop()
    end
    assert.equal(numbers[1], numbers[2])
  end)

  it("shows of a channel what readers are given, and nothing that is too old", function()
    load [[
      local room = lunesse.channel("room", { ttl = 10 })
      room:publish("old")
      server:get("/", function(_, response)
        response.sse:subscribe(room, { since = "earliest" })
      end)]]
    app:advance(9.9)
    assert.equal(1, #app:channel("room").history)
    app:advance(0.2)
    assert.equal(0, #app:channel("room").history)
    assert.equal(2, app:channel("room").first)
    assert.equal(0, #app:stream("/").events)
  end)

  it("tells scripts and specs apart", function()
    kit.ask()
    local ok, why = pcall(load, 'require "lunesse.test"')
    assert.is_false(ok)
    assert.matches("lunesse.test is for specs", tostring(why))
    ok, why = pcall(require, "lunesse")
    assert.is_false(ok)
    assert.matches('a spec requires "lunesse.test"', tostring(why))
  end)

  it("keeps what scripts print out of the output of busted", function()
    local folder = Server.write { ["spec/a_spec.lua"] = [[
      local test = require "lunesse.test"
      it("passes", function()
        test.load { ["a.lua"] = "print('printed') io.write('written\\n')" }:stop()
      end)]] }
    local code, out, err = Process.run({ "lua5.4", "/usr/bin/busted", "-o", "TAP",
      "--cpath=" .. kit.path }, {
      cwd = folder, seconds = 30, env = kit.environment() or kit.pending(kit.REASON),
    })
    assert.equal(0, code, out .. err)
    assert.matches("^ok 1 %- passes\n", out)
    assert.is_nil(out:find("printed") or out:find("written"), out)
    assert.matches("printed\nwritten", err)
  end)
end)
