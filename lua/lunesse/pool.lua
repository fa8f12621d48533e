-- `lunesse.pool`: functions of a module that run in threads. What a script says is checked here,
-- and arguments and results are turned into JSON and back; the threads, and the wait, are the C
-- half's (`core.pool_call`). lua/lunesse/pool_thread.lua is what runs in a thread.
local caller = require "lunesse.caller"
local core = require "lunesse.core"

local json = core.json

local threads_default = 4
local queue_default = 1000
local threads_most = 64

local known = {
  module = { what = "the name of a module, such as 'lib.db'",
    takes = function(name) return type(name) == "string" and name:find("^[^%z]+$") ~= nil end },
  threads = { what = ("a whole number, 1 to %d"):format(threads_most),
    takes = function(count)
      return math.type(count) == "integer" and count >= 1 and count <= threads_most
    end },
  queue = { what = "a whole number, 1 or more",
    takes = function(count) return math.type(count) == "integer" and count >= 1 end },
}

local function check_options(options)
  if type(options) ~= "table" then
    error("lunesse.pool takes a table of options, got " .. type(options), caller.level())
  end
  for key, given in pairs(options) do
    local option = known[key]
    if not option then
      error(("lunesse.pool: unknown option '%s'"):format(tostring(key)), caller.level())
    elseif not option.takes(given) then
      error(("lunesse.pool: %s is %s"):format(key, option.what), caller.level())
    end
  end
  if options.module == nil then
    error("lunesse.pool: module is " .. known.module.what, caller.level())
  end
end

-- nil has no place in an array, so it is null there.
local function encode(...)
  local list = json.array()
  for i = 1, select("#", ...) do
    local value = select(i, ...)
    list[i] = value == nil and json.null or value
  end
  return json.encode(list)
end

local function decode(text)
  local list = assert(json.decode(text))
  local count = #list
  for i = 1, count do
    if list[i] == json.null then
      list[i] = nil
    end
  end
  return table.unpack(list, 1, count)
end

-- Returns what the function has returned, or raises what it has raised.
local function take(outcome, text, code)
  if outcome == "returned" then
    return decode(text)
  elseif outcome == "raised" then
    error(decode(text), 0)
  elseif outcome == "text" then
    error(text, 0)
  elseif outcome then
    error("lunesse.pool: " .. text, caller.level())
  end
  return nil, text, code
end

local function call(pool, threads, name, ...)
  if rawequal(..., pool) then
    error(("a function of a pool is called with a dot: pool.%s(...)"):format(name), caller.level())
  end
  core.check_wait("pool." .. name)
  return take(core.pool_call(threads, name, encode(...)))
end

local function function_of(pool, threads, name)
  return function(...) return call(pool, threads, name, ...) end
end

return function(options)
  check_options(options)
  core.check_wait("lunesse.pool")
  local threads = core.pool_open(options.module, package.path, package.cpath,
    options.threads or threads_default, options.queue or queue_default)
  take(core.pool_call(threads, "", "[]")) -- the first thread loads the module
  return setmetatable({}, {
    __name = "lunesse.Pool",
    __metatable = "protected",
    __index = function(pool, name)
      return type(name) == "string" and name ~= "" and function_of(pool, threads, name) or nil
    end,
  })
end
