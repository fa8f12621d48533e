-- `lunesse.web`: what web applications need around their handlers. Each middleware is made by a
-- file of its own below lua/lunesse/web/, which is loaded when a script first asks for it.
local caller = require "lunesse.caller"
local core = require "lunesse.core"

local require = require -- that of a script waits for other loads

local web = {}

-- Names the proxies whose word on a client is taken.
function web.trust_proxy(list)
  if type(list) ~= "table" then
    list = { list }
  end
  for _, text in ipairs(list) do
    if type(text) ~= "string" then
      error("trust_proxy takes a list of addresses, networks and words such as " ..
        "{ \"10.0.0.0/8\", \"unix\" }", 2)
    end
  end
  local ok, message = caller.call(core.trust_proxy, table.concat(list, ","))
  if not ok then
    error("trust_proxy: " .. message, 2)
  end
end

for _, name in ipairs { "cors", "same_origin", "headers", "limit", "basic", "bearer", "session" } do
  web[name] = function(options)
    return (require("lunesse.web." .. name)(options))
  end
end

return web
