-- SIGTERM with ten thousand open streams: each is told when to come back and is cut, so that no
-- reader takes it for complete, and the moments for which they are asked are spread evenly over
-- `drain_timeout`.
local clock = require "spec.support.clock"
local Process = require "spec.support.process"
local support = require "spec.soak.support"

local STREAMS = 10000
local DRAIN_SECONDS = 10
local OPEN_SECONDS = 30
local READ_SECONDS = 5 -- until the readers have printed what they saw
local TENTHS = 10
local UNEVENNESS = 0.3

---What each reader saw: `ended_s` and `returns_s` from the signal on, `retry_ms`, `is_complete`.
local function read_lines(text, signalled)
  local list = {}
  for moment, retry, is_complete in text:gmatch("\n([%d.]+) (%-?%d+) ([01])") do
    local ended = tonumber(moment) / 1000 - signalled
    list[#list + 1] = {
      ended_s = ended, retry_ms = tonumber(retry), is_complete = is_complete == "1",
      returns_s = ended + retry / 1000,
    }
  end
  return list
end

local function count(list, condition)
  local number = 0
  for _, item in ipairs(list) do
    number = number + (condition(item) and 1 or 0)
  end
  return number
end

local function latest(list, key)
  local moment = 0
  for _, item in ipairs(list) do
    moment = math.max(moment, item[key])
  end
  return moment
end

---How many come back in each tenth of the time. What is late belongs to the last.
local function tenths(list)
  local counts = {}
  for i = 1, TENTHS do
    counts[i] = 0
  end
  for _, item in ipairs(list) do
    local i = math.min(TENTHS, 1 + math.floor(item.returns_s / DRAIN_SECONDS * TENTHS))
    counts[i] = counts[i] + 1
  end
  return counts
end

local function report(sheet, list)
  sheet:show("streams", "%d", #list)
  sheet:hold(tostring(STREAMS), #list == STREAMS)
  sheet:none("... without retry", count(list, function(item)
    return item.retry_ms < 0
  end))
  sheet:none("... complete", count(list, function(item)
    return item.is_complete
  end))
  sheet:show("seconds to the end of the last stream", "%.2f", latest(list, "ended_s"))
  local counts = tenths(list)
  local mean = #list / TENTHS
  local least, most = math.min(table.unpack(counts)), math.max(table.unpack(counts))
  sheet:show("... to the moment of the last return", "%.2f", latest(list, "returns_s"))
  sheet:show("returns in each tenth of drain_timeout", "%s", table.concat(counts, " "))
  sheet:show("least and most, of the mean", "%.2f, %.2f", least / mean, most / mean)
  sheet:hold(("within %.0f %%"):format(UNEVENNESS * 100),
    least >= mean * (1 - UNEVENNESS) and most <= mean * (1 + UNEVENNESS))
end

return function(workers, sheet)
  local server = support.start {
    workers = workers,
    args = { "--log-level", "warn", "--limit", "drain_timeout=" .. DRAIN_SECONDS },
  }
  local readers = Process.start {
    support.readers, tostring(server.port), "/soak/events", tostring(STREAMS),
  }
  support.await("opening the streams", OPEN_SECONDS, function()
    assert(not readers:has_ended(), readers:stderr())
    return readers:stdout() == "open\n"
  end)
  local signalled = clock.wall() -- as the readers count
  sheet:stop(server, DRAIN_SECONDS / clock.slow)
  local code, why = readers:wait(READ_SECONDS)
  assert(code == 0, why .. readers:stderr())
  report(sheet, read_lines(readers:stdout(), signalled))
  sheet:none("lines in the log", select(2, server:log():gsub("\n", "")))
  readers:forget()
end
