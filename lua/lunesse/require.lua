-- `require`, by which a module may wait while it loads, also inside a handler. Lua's own calls the
-- module from C, where nothing can wait. Messages, results and `package` are as with Lua's own.
--
-- While a module waits, another task may require it as well. That one waits until the module is
-- loaded; if it could not be loaded, the other one loads it itself. Modules that require each other
-- in a circle raise, also when each is loaded by another task and these would wait for each other.
local caller = require "lunesse.caller"
local core = require "lunesse.core"

local loaded <const> = package.loaded

local Load = {}

local loads = {} -- name -> { name =, task =, coroutine =, outer =, ended = }: what is being loaded
local innermost = {} -- task -> the load that it began last
local awaited = {} -- task -> the load that it waits for

-- The load ends, one way or the other. The task may be cancelled, so a variable sees to it.
function Load:__close()
  loads[self.name] = nil
  innermost[self.task] = self.outer
  self.ended:set()
end

local function begin(name, task)
  local load = {
    name = name,
    task = task,
    coroutine = coroutine.running(),
    outer = innermost[task],
    ended = core.signal(),
  }
  setmetatable(load, Load)
  loads[name], innermost[task] = load, load
  return load
end

-- An error in a coroutine of the script leaves its variables unclosed.
local function find_load(name)
  local load = loads[name]
  if load and coroutine.status(load.coroutine) == "dead" then
    Load.__close(load)
    load = nil
  end
  return load
end

-- What the loads of a circle require, from the module `name` to itself.
local function circle_of(name, task)
  local names = { name }
  local load = innermost[task]
  while load and load.name ~= name do
    table.insert(names, 1, load.name)
    load = load.outer
  end
  table.insert(names, 1, name)
  return table.concat(names, " requires ")
end

-- Whether the task would wait for itself if it waited for the load.
local function is_circle(load, task)
  while load and load.task ~= task do
    load = awaited[load.task]
  end
  return load ~= nil
end

local Wait = {}
function Wait:__close() awaited[self.task] = nil end

local function await(load, task)
  if is_circle(load, task) then
    error("modules require each other in a circle: " .. circle_of(load.name, task), caller.level())
  end
  core.check_wait("require")
  local _ <close> = setmetatable({ task = task }, Wait)
  awaited[task] = load
  load.ended:wait()
end

-- Returns the function that loads the module, and what the searcher says of it.
local function find(name)
  local searchers = package.searchers
  if type(searchers) ~= "table" then
    error("'package.searchers' must be a table", caller.level())
  end
  local places = {}
  for i = 1, math.huge do
    local searcher = rawget(searchers, i)
    if searcher == nil then
      error(("module '%s' not found:%s"):format(name, table.concat(places)), caller.level())
    end
    local loader, about = core.call(searcher, name) -- its error gets no line of this file
    if type(loader) == "function" then
      return loader, about
    elseif type(loader) == "string" then
      places[#places + 1] = "\n\t" .. loader
    end
  end
end

local function load_module(name, task)
  local _ <close> = begin(name, task)
  local loader, about = find(name)
  local result = loader(name, about)
  if result ~= nil then
    loaded[name] = result
  elseif loaded[name] == nil then
    loaded[name] = true
  end
  return loaded[name], about
end

-- require(name) -> the module, and where it was found if it was loaded now
return function(name)
  if type(name) == "number" then
    name = tostring(name)
  elseif type(name) ~= "string" then
    error(("bad argument #1 to 'require' (string expected, got %s)"):format(type(name)),
      caller.level())
  end
  local task = core.task() or loads
  while not loaded[name] do
    local load = find_load(name)
    if not load then
      return load_module(name, task)
    end
    await(load, task)
  end
  return loaded[name]
end
