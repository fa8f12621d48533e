-- How long after an edit its code answers: from the rename of the edited file to the first answer
-- of the new code, by the worker that is last. The same for a new file in the folder, and for a
-- module that is required.
local clock = require "spec.support.clock"
local Monitor = require "spec.soak.monitor"
local support = require "spec.soak.support"

local EDITS = 20
local MEDIAN_MS = 100
local PATIENCE = 5

local MORE = [[
package.path = SOAK_FOLDER .. "/inner/?.lua;" .. package.path
local word = require "word"
server:get("/soak/word", function(request, response)
  response:send(word)
end)
]]

local NEW = [[
require("lunesse").server():get("/soak/new/%d", function(request, response)
  response:send("here")
end)
]]

---One edit by `change(i)`, which returns the moment of the rename, the path to ask, and the body
---that the new code answers with.
local function measure(monitor, change, i)
  local moment, path, wanted = change(i)
  support.await("an answer by the edited code", PATIENCE, function()
    return monitor:all(path, function(status, body)
      return status == 200 and body:find(wanted) ~= nil
    end)
  end)
  return (clock.now() - moment) * 1000
end

local function edits(server)
  return {
    { "an edited script", function(i)
      server.version = i + 1
      local text = support.script(server.version, server.more)
      return support.replace(server.main, text), "/soak/version", "^" .. server.version .. " "
    end },
    { "a new script", function(i)
      local path = ("%s/new_%d.lua"):format(server.folder, i)
      return support.replace(path, NEW:format(i)), "/soak/new/" .. i, "^here$"
    end },
    { "an edited module", function(i)
      local text = ("return %q"):format("word " .. i)
      return support.replace(server.folder .. "/inner/word.lua", text), "/soak/word",
        "^word " .. i .. "$"
    end },
  }
end

return function(workers, sheet)
  local server = support.start {
    workers = workers, args = { "--dev" }, files = {
      ["inner/word.lua"] = 'return "word 0"',
      -- The folder's name is known when it is there; `0` is loaded before main.lua.
      ["0.lua"] = 'SOAK_FOLDER = debug.getinfo(1, "S").source:match("^@(.*)/")',
    }, more = MORE,
  }
  local monitor = Monitor.open(server, workers)
  for _, edit in ipairs(edits(server)) do
    local times = {}
    for i = 1, EDITS do
      times[i] = measure(monitor, edit[2], i)
    end
    sheet:show(edit[1] .. ", ms to its answer: median", "%.1f", support.median(times))
    sheet:hold(("< %d"):format(MEDIAN_MS), support.median(times) < MEDIAN_MS * clock.slow)
    sheet:show(edit[1] .. ": longest", "%.1f", math.max(table.unpack(times)))
  end
  sheet:none("edits that were not loaded", support.log_count(server, "error"))
  monitor:close()
  sheet:stop(server)
end
