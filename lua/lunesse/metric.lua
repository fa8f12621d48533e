-- `lunesse.metric`: a script's own counters, gauges and histograms.
local caller = require "lunesse.caller"
local core = require "lunesse.core"

local metric = {}

function metric.counter(name, help, labels)
  return caller.call(core.metric, "counter", name, help, labels)
end

function metric.gauge(name, help, labels)
  return caller.call(core.metric, "gauge", name, help, labels)
end

function metric.histogram(name, help, labels, bounds)
  return caller.call(core.metric, "histogram", name, help, labels, bounds)
end

return metric
