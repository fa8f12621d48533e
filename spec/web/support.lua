-- What the specs of lunesse.web share.

local apps = require "spec.support.app"
local test = require "lunesse.test"
local kit = require "spec.support.kit"

local support = {}

---An app whose requests all pass `middleware`, a line of Lua, and then these routes. In a process
---the requests that move its clock would have to pass as well, so it is always in the kit.
function support.start(middleware, options)
  kit.ask()
  return apps.start("server:use(" .. middleware .. ")\n" .. [[
server:get("/", function(request, response) response:send(tostring(request.state.user)) end)
server:post("/", function(_, response) response:send("done") end)
server:put("/", function(_, response) response:send("done") end)
server:get("/boom", function() error("on purpose") end)
server:any("/any", function(request, response) response:send(request.method) end)
server:get("/events", function(request, response)
  response.sse:send("hello")
  lunesse.sleep(1000)
end)
server:post("/model", { sse = "always" }, function(request, response)
  response.sse:send("hello")
  lunesse.sleep(1000)
end)
]], options)
end

---What a script is told that makes this middleware.
function support.refusal(middleware)
  kit.ask()
  local ok, why = pcall(test.load, { ["a.lua"] = 'local w = require("lunesse").web; w.' ..
    middleware })
  assert(not ok, "it was taken")
  return tostring(why):match("a%.lua:1: ([^\n]*)") or tostring(why)
end

---The headers of an answer that begin with `prefix`, without it, in lower case.
function support.fields(answer, prefix)
  local found = {}
  for _, field in ipairs(answer.fields) do
    local name = field[1]:lower():match("^" .. prefix:gsub("%-", "%%-") .. "(.*)$")
    if name then
      found[name] = field[2]
    end
  end
  return found
end

return support
