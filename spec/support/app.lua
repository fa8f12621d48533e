-- Scripts under test that need no socket, no process and no thread: they run in the test kit, in
-- this process and in a time that the spec moves. Where a build is watched from outside (by
-- valgrind, or by a sanitizer that is not in this process), the same specs ask a real process by
-- sockets.
--
--   local app = apps.start [[ server:get("/", function(_, response) response:send("x") end) ]]
--   app:get("/"):text(), app:stream("/"), app:advance(15), apps.marks(app)

local assert = require "luassert"
local test = require "lunesse.test"
local kit = require "spec.support.kit"
local clock = require "spec.support.clock"

local apps = {}

local running = {}

-- `mark(text)` leaves a line in the log that `apps.marks` finds; `hold()` parks for good.
local PRELUDE = [[
local lunesse = require "lunesse"
local server = lunesse.server()
local function mark(...) lunesse.log.info("mark", { what = table.concat({ ... }, " ") }) end
local function hold() lunesse.sleep(1000000) end
]]

---A script of the usual first lines and `text`, all in front of its first line, so that the lines
---of `text` keep their numbers: the first one is line 1.
function apps.script(text)
  return PRELUDE:gsub("\n", " ") .. text
end

---Whether a build is watched from outside, so that specs have to ask a process.
function apps.is_watched()
  return kit.is_unable() or (os.getenv("LUNESSE_WRAP") or "") ~= ""
end

local load = apps.is_watched() and require("spec.support.real").load or test.load

---Loads `scripts`, as `test.load` does, with as many workers as LUNESSE_WORKERS says, unless the
---options say how many. The app ends when it is stopped.
function apps.load_alone(scripts, options)
  options.workers = options.workers or tonumber(os.getenv("LUNESSE_WORKERS"))
  return load(scripts, options)
end

---The same; the app ends with the test, which fails when something is left behind.
function apps.load(scripts, options)
  local app = apps.load_alone(scripts, options or {})
  running[#running + 1] = app
  return app
end

---Loads a script of the usual first lines (`lunesse`, `server`, `mark`, `hold`) and `text`.
function apps.start(text, options)
  return apps.load({ ["script.lua"] = apps.script(text) }, options)
end

---What the scripts of `app` have marked so far, in order.
function apps.marks(app)
  app:turn()
  local marks = {}
  for i, record in ipairs(app:log("^mark$")) do
    marks[i] = record.fields.what
  end
  return marks
end

---The scripts of `app` have marked exactly this so far.
function apps.expect_marks(app, expected)
  assert.same(expected, apps.marks(app))
end

---The body of the answer to GET `target`.
function apps.get(app, target)
  return app:get(target):text()
end

---The errors of scripts that were logged, without the folder that the script is in.
function apps.script_errors(app)
  local errors = {}
  for i, record in ipairs(app:log("script error")) do
    errors[i] = record.fields.error:gsub("/[^ \n]*/script%.lua", "script.lua")
  end
  return errors
end

---So many, or fewer where the build is slow.
function apps.fewer(count)
  return count // clock.slow | 0
end

---Stops all apps. The first complaint is raised after all stopped.
function apps.stop_all()
  local complaint
  for i = #running, 1, -1 do
    local ok, message = pcall(running[i].stop, running[i])
    complaint = complaint or (not ok and message) or nil
    running[i] = nil
  end
  if complaint then
    error(complaint, 0)
  end
end

return apps
