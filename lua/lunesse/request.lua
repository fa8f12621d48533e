-- The methods of a request that need no C: forms.
local core = require "lunesse.core"

local Request = core.methods("Request")

function Request:form()
  local type = (self.headers["content-type"] or ""):match("^%s*([^;%s]*)"):lower()
  if type ~= "application/x-www-form-urlencoded" then
    return nil, "the body is not application/x-www-form-urlencoded", "ETYPE"
  end
  return core.form(self:text())
end
