-- Loaded once, before the first spec file. It finds the build, gives the specs `eventually`, and
-- holds after each test that no program it started is left, or ended badly.

local build = os.getenv("LUNESSE_BUILD") or "build/debug"
package.cpath = build .. "/?.so;" .. package.cpath

local kit = require "spec.support.kit"
local clock = require "spec.support.clock"
local Server = require "spec.support.server"
local Process = require "spec.support.process"
require "spec.support.wire"
require "spec.support.sse"
local busted = require "busted"

-- Ends the servers that a test has started, and the apps of the kit, if there are any.
local function stop_all()
  Server.stop_all()
  for _, name in ipairs { "spec.support.inner_server", "spec.support.app" } do
    local owner = package.loaded[name]
    if owner then
      owner.stop_all()
    end
  end
end

---Calls `fn` until it answers something true and returns its answers; raises what it raised last,
---or that it stayed false, when the time is over. Time is stretched on slow builds.
---@param fn fun(): any
---@param seconds? number  default 2
function _G.eventually(fn, seconds)
  return clock.eventually(fn, seconds)
end

-- A test that passed has still to leave nothing behind, so its servers are judged as its last act.
-- Those of a test that failed are stopped behind it.
busted.subscribe({ "test", "start" }, function(element)
  local run = element.run
  local is_pending = kit.was_asked -- in front of the test, for an app that cannot be here
  local pending = element.env.pending
  kit.pending, kit.was_asked = pending, false
  element.run = function(...)
    if is_pending then
      pending(kit.REASON)
    end
    run(...)
    stop_all()
  end
  return nil, true
end)

busted.after_each(function()
  kit.pending = nil
  stop_all()
  Process.kill_all()
end)

busted.subscribe({ "suite", "end" }, function()
  Server.kill_shared()
  return nil, true
end)
