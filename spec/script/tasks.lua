-- What the specs of tasks share: a script whose one route answers with what a piece of Lua returns.

local assert = require "luassert"
local apps = require "spec.support.app"

local tasks = {}

-- `told(...)` is the values as one text, with `nil` where there is none.
tasks.TOLD = [[
local function told(...)
  local list = table.pack(...)
  for i = 1, list.n do list[i] = tostring(list[i]) end
  return table.concat(list, " ")
end
]]

---Answers with the text that `body` returns.
function tasks.answer(body, options)
  local app = apps.start(tasks.TOLD:gsub("\n", " ") .. ([[
server:get("/", function(_, response)
  response:send((function() %s end)())
end)
]]):format(body), options)
  return (apps.get(app, "/"):gsub("/[^ ]*/script%.lua", "script.lua")), app
end

---What the script's `body` returns as text.
function tasks.says(expected, body, options)
  local text, app = tasks.answer(body, options)
  assert.equal(expected, text)
  return app
end

return tasks
