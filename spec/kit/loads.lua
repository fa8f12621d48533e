-- Loads apps, again and again, and prints how many bytes and descriptors the process has after each
-- `count` loads, four times: lua5.4 spec/kit/loads.lua MODULE COUNT SCRIPT POSIX

local lfs = require "lfs"

local module, count, script = arg[1], tonumber(arg[2]), arg[3]
local core = assert(package.loadlib(module, "luaopen_lunesse_test_core"))()
local posix = assert(package.loadlib(arg[4], "luaopen_spec_posix"))()

local function memory()
  collectgarbage()
  collectgarbage()
  return posix.allocated()
end

local function descriptors()
  local number = 0
  for _ in lfs.dir("/proc/self/fd") do
    number = number + 1
  end
  return number
end

local function load_all()
  for i = 1, count do
    local app = assert(core.load { files = { ["a.lua"] = script }, workers = 1 + i % 2 })
    local conn = app:connect()
    conn:send("GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
    app:turn()
    assert(conn:take():find("200 OK", 1, true))
    conn:leave()
    app:turn()
    assert(app:stop())
  end
end

for _ = 1, 4 do
  load_all()
  print(memory(), descriptors())
end
