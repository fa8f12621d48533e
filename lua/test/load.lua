-- How an app comes to be: `load(core)` makes the function `test.load` that loads scripts into that
-- engine.

local App = require "lunesse.test.app"
local blame = require "lunesse.test.blame"
local coverage = require "lunesse.test.coverage"
local follow = require "lunesse.test.follow"

local OPTIONS = {
  workers = true, arguments = true, args = true, time = true, limits = true, env = true,
}

---More of the command line, from what the options say.
local function arguments_of(options)
  local list = {}
  for _, word in ipairs(options.arguments or options.args or {}) do
    list[#list + 1] = tostring(word)
  end
  local names = {}
  for name in pairs(options.limits or {}) do
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    list[#list + 1] = "--limit"
    list[#list + 1] = ("%s=%s"):format(name, options.limits[name])
  end
  return list
end

---The function that loads into `core`. `on_begin()` is told of each load, and `on_load(app)` of
---each app.
return function(core, on_load, on_begin)
  ---Loads scripts: the path of a file or folder, or a table of file names and texts. Options:
  ---`workers`, `limits` (by name), `arguments` (of the command line), `time` (the Unix time at
  ---which the app's clock begins), `env` (variables that `os.getenv` answers).
  ---Raises what a start would say when the scripts cannot be loaded.
  return function(scripts, options)
    options = options or {}
    on_begin()
    if type(scripts) == "table" and type(scripts.load) == "function" then
      blame.misuse("use a dot: test.load(...)")
    end
    blame.check_options(options, OPTIONS, "test.load")
    local given = {
      workers = options.workers or 1, arguments = arguments_of(options), time = options.time,
      env = options.env, lines = coverage.is_on(),
    }
    if type(scripts) == "string" then
      given.path = scripts
      follow.scripts(scripts)
    elseif type(scripts) == "table" and next(scripts) then
      given.files = scripts
    else
      blame.misuse("test.load: a path, or a table of file names and texts, expected")
    end
    local inner, why = blame.call("test.load", core.load, given)
    if not inner then
      blame.fail(why)
    end
    follow.app(inner)
    local app = App.new(inner)
    on_load(app)
    return app
  end
end
