-- `require "lunesse.test"`: specs of scripts, in the engine itself and in a time that they move.
-- The types are described in lua/types/test.lua, the guide is docs/testing.md.

local core = require "lunesse.test.core"
local asserts = require "lunesse.test.asserts"
local blame = require "lunesse.test.blame"
local json = require "lunesse.test.json"
local load_into = require "lunesse.test.load"

local loaded = setmetatable({}, { __mode = "k" }) -- apps that `stop` has not stopped yet

asserts.register()

package.preload["lunesse"] = package.preload["lunesse"] or function()
  blame.misuse('lunesse is for scripts: a spec requires "lunesse.test" and loads them')
end

local function on_load(app)
  loaded[app] = true
  asserts.on_load(app)
end

---Stops every app that was loaded and still runs; raises what the first of them raises.
local function stop()
  local failure
  for app in pairs(loaded) do
    loaded[app] = nil
    local ok, why = pcall(app.stop, app)
    failure = failure or not ok and why
  end
  if failure then
    error(failure, 0)
  end
end

return {
  load = load_into(core, on_load, asserts.on_begin),
  stop = stop,
  assert = asserts.plain,
  json = json,
  null = json.null,
}
