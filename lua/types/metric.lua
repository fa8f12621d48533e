---@meta

---A script's own metrics, told with the server's (`--metrics`, `lunesse.stats`). What workers count
---is added up, gauges too. A metric outlives a reload: the same definition finds it again. It has
---at most 8 labels, whose values are of at most 128 bytes, and at most 1000 combinations: what is
---beyond is counted with all labels "_OTHER", and in `lunesse_limit_total`.
---
---```lua
---local orders = lunesse.metric.counter("shop_orders_total", "Orders placed.", { "kind" })
---orders:add(1, "book")
---```
---@class lunesse.metric
local metric = {}

---A number that only rises.
---@param name string       letters, digits and `_`; ends with `_total`
---@param help string       what it tells, as a sentence
---@param labels? string[]  their names
---@return lunesse.Metric metric
function metric.counter(name, help, labels) end

---A number that rises and falls.
---@param name string       letters, digits and `_`; ends with none of `_bucket`, `_count`, `_sum`
---@param help string       what it tells, as a sentence
---@param labels? string[]  their names
---@return lunesse.Metric metric
function metric.gauge(name, help, labels) end

---How many of the values that were observed are at most so much.
---@param name string       as for a gauge; durations are in seconds
---@param help string       what it tells, as a sentence
---@param labels? string[]  their names
---@param bounds? number[]  at most 32, rising; those of durations unless said otherwise
---@return lunesse.Metric metric
function metric.histogram(name, help, labels, bounds) end

---@class lunesse.Metric
---@field name string
local Metric = {}

---Adds to a counter or a gauge.
---@param difference? number  1 unless said otherwise; not negative for a counter
---@param ... string | number  the labels' values, in the order of their names
function Metric:add(difference, ...) end

---Sets a gauge.
---@param value number
---@param ... string | number  the labels' values, in the order of their names
function Metric:set(value, ...) end

---Adds a value to a histogram.
---@param value number
---@param ... string | number  the labels' values, in the order of their names
function Metric:observe(value, ...) end

return metric
