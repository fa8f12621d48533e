-- `lunesse.log`: one function for each level, `log.info("text", { key = value })`. A field that is
-- a table is written as JSON, unless it has a `__tostring` of its own or JSON cannot hold it.
local caller = require "lunesse.caller"
local core = require "lunesse.core"
local json = core.json

local log = {}

local function texts(fields)
  local found
  for key, value in pairs(fields) do
    local meta = type(value) == "table" and debug.getmetatable(value)
    if value == json.null or type(value) == "table" and not (meta and meta.__tostring) then
      local ok, text = pcall(core.json_at_once, value) -- a log does not wait
      found = found or {}
      found[key] = ok and text or nil
    end
  end
  return found
end

for _, level in ipairs { "debug", "info", "warn", "error" } do
  log[level] = function(text, fields)
    local found = type(fields) == "table" and core.log_is_on(level) and texts(fields) or nil
    return caller.call(core.log, level, text, fields, found)
  end
end

return log
