-- The module `lunesse`, which route scripts require. It joins the C half (`lunesse.core`) with the
-- helpers that are easier to write in Lua. The types are described in lua/types/.
local core = require "lunesse.core"
local log = require "lunesse.log"
local metric = require "lunesse.metric"
local server = require "lunesse.server"
local tasks = require "lunesse.tasks"

require "lunesse.request"
require "lunesse.response"

coroutine.resume = core.resume
coroutine.wrap = core.wrap
coroutine.yield = core.yield
coroutine.close = core.close
rawset(_G, "require", require "lunesse.require")

local lunesse = {
  server = server.open,
  channel = core.channel,
  channel_group = core.channel_group,
  event = core.event,
  shared = core.shared,
  after = core.after,
  every = core.every,
  sleep = core.sleep,
  spawn = core.spawn,
  all = tasks.all,
  signal = core.signal,
  reload = core.reload,
  whole = core.whole,
  now = core.now,
  clock = core.clock,
  json = core.json,
  log = log,
  metric = metric,
  stats = core.stats,
  version = core.version(),
  worker = core.worker(),
  advance = core.advance,
}

-- What not every script needs costs nothing until it is used.
local later = {
  crypto = "lunesse.crypto",
  html = "lunesse.html",
  http = "lunesse.http",
  pool = "lunesse.pool",
  postgres = "lunesse.postgres",
  wait = "lunesse.wait",
  web = "lunesse.web",
}

return setmetatable(lunesse, { __index = function(self, name)
  local module = later[name] and require(later[name])
  if module then
    rawset(self, name, module)
  end
  return module
end })
