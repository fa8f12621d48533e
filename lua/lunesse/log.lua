-- `lunesse.log`: one function a level, `log.info("text", { key = value })`.
local caller = require "lunesse.caller"
local core = require "lunesse.core"

local log = {}

for _, level in ipairs { "debug", "info", "warn", "error" } do
  log[level] = function(text, fields)
    return caller.call(core.log, level, text, fields)
  end
end

return log
