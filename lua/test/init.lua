-- `require "lunesse.test"`: specs of scripts, in the engine itself and in a time that they move.
-- The types are described in lua/types/test.lua, the guide is docs/testing.md.

local core = require "lunesse.test.core"
local asserts = require "lunesse.test.asserts"
local json = require "lunesse.test.json"
local load_into = require "lunesse.test.load"

asserts.register()

return {
  load = load_into(core, asserts.on_load),
  assert = asserts.plain,
  json = json,
  null = json.null,
}
