-- What the specs of reloads have in common: scripts that are replaced while they run, and waiting
-- for what the log says of it.

local Process = require "spec.support.process"
local clock = require "spec.support.clock"
local base = require "spec.sse.support"

local support = {
  start = base.start, start_inside = base.start_inside, get = base.get, marks = base.marks,
  await_marks = base.await_marks, script = base.script,
}

local DONE = { reloaded = " info reloaded ", failed = " error not reloaded: the scripts that ran" }

---How often the program has said so: "reloaded" or "failed".
function support.count(server, what)
  return #server:log_lines(DONE[what])
end

---Puts `text`, behind the usual first lines, in the place of the script, and loads nothing yet.
function support.replace(server, text)
  Process.write_file(server.folder .. "/script.lua", base.script(text))
end

---The fields of the newest line about what a reload did, as strings.
function support.report(server)
  local lines = server:log_lines(DONE.reloaded)
  local fields = {}
  for name, value in lines[#lines]:gmatch(" ([%w_]+)=([%d.]+)") do
    fields[name] = value
  end
  return fields
end

---Signals, once `text` (may be nil for the same scripts) is in place, and waits for the outcome.
---@param outcome? "reloaded" | "failed"
function support.reload(server, text, outcome)
  outcome = outcome or "reloaded"
  if text then
    support.replace(server, text)
  end
  local count = support.count(server, outcome)
  server.process:signal("HUP")
  clock.eventually(function()
    return support.count(server, outcome) > count
  end)
end

---Waits for `count` reloads, and a while for more of them, which are not to come.
function support.await_reloads(server, count)
  clock.eventually(function()
    return support.count(server, "reloaded") >= count
  end)
  for _ = 1, 5 do
    base.get(server, "/")
  end
  assert(support.count(server, "reloaded") == count, "too many reloads")
end

---As `reload`, of what does not load. Returns the line of the log.
function support.fail(server, text)
  support.reload(server, text, "failed")
  local lines = server:log_lines(DONE.failed)
  return lines[#lines]
end

---A route that answers with a word.
function support.says(word)
  return ('server:get("/", function(_, response) response:send(%q) end)\n'):format(word)
end

---How many generations live, the running one included, by what the log says.
function support.generations(server)
  return 1 + support.count(server, "reloaded") - #server:log_lines("generation ended")
end

return support
