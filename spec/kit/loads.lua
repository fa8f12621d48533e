-- Loads apps, again and again, and prints the KiB that the process has in memory after each
-- `count` loads, four times: lua5.4 spec/kit/loads.lua MODULE COUNT SCRIPT

local module, count, script = arg[1], tonumber(arg[2]), arg[3]
local core = assert(package.loadlib(module, "luaopen_lunesse_test_core"))()

local function memory()
  collectgarbage()
  collectgarbage()
  for line in io.lines("/proc/self/status") do
    local kib = line:match("^VmRSS:%s*(%d+)")
    if kib then
      return kib
    end
  end
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
  print(memory())
end
