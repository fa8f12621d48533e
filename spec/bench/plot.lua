-- Bar charts as SVG: text that any viewer shows, in its light or dark, without a script or a font
-- of its own.
--
--   plot.bars { title =, rows = { { label =, value =, text =, is_ours = } }, is_log = }
local plot = {}

local WIDTH, LEFT, RIGHT, TOP, ROW = 720, 130, 120, 56, 34
local BAR = 20

local HEAD = [[
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img">
<title>%s</title>
<style>
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .title { font-weight: 600; font-size: 15px }
  .card { fill: #ffffff }
  .grid { stroke: #d0d7de }
  .tick { font-size: 11px; fill: #57606a }
  .bar { fill: #8c959f }
  .ours { fill: #0969da }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .card { fill: #0d1117 }
    .grid { stroke: #30363d }
    .tick { fill: #8d96a0 }
    .bar { fill: #6e7681 }
    .ours { fill: #4493f8 }
  }
</style>
<rect class="card" width="%d" height="%d" rx="6"/>
<text class="title" x="16" y="26">%s</text>
]]

local function escape(text)
  return (text:gsub("[<>&]", { ["<"] = "&lt;", [">"] = "&gt;", ["&"] = "&amp;" }))
end

---1500 as "1.5 k", with a unit as "1.5 kB".
function plot.short(value, unit)
  for _, step in ipairs { { 1e6, "M" }, { 1e3, "k" } } do
    if value >= step[1] then
      return ("%.3g %s%s"):format(value / step[1], step[2], unit or "")
    end
  end
  return ("%.3g %s"):format(value, unit or ""):match("(.-)%s*$")
end

---A step of 1, 2 or 5 times a power of ten, of which about four reach `top`.
local function nice_step(top)
  local power = 10 ^ math.floor(math.log(top / 4, 10))
  for _, factor in ipairs { 1, 2, 5 } do
    if factor * power * 5 >= top then
      return factor * power
    end
  end
  return 10 * power
end

---The ticks of the axis, and from a value to its share of the width.
local function scale(rows, is_log)
  local least, most = math.huge, 0
  for _, row in ipairs(rows) do
    least, most = math.min(least, row.value), math.max(most, row.value)
  end
  local ticks = {}
  if is_log then
    local low, high = math.floor(math.log(math.max(least, 1), 10)), math.ceil(math.log(most, 10))
    for power = low, high do
      ticks[#ticks + 1] = 10.0 ^ power
    end
    return ticks, function(value)
      return (math.log(math.max(value, 10.0 ^ low), 10) - low) / math.max(high - low, 1)
    end
  end
  local step = nice_step(most)
  local high = math.ceil(most / step) * step
  for tick = 0, high, step do
    ticks[#ticks + 1] = tick
  end
  return ticks, function(value)
    return value / high
  end
end

---The text of an SVG file with a bar for each row.
function plot.bars(chart)
  local height = TOP + #chart.rows * ROW + 30
  local title = escape(chart.title)
  local parts = { HEAD:format(WIDTH, height, WIDTH, height, title, WIDTH, height, title) }
  local function put(format, ...)
    parts[#parts + 1] = format:format(...)
  end
  local ticks, share = scale(chart.rows, chart.is_log)
  local span, bottom = WIDTH - LEFT - RIGHT, height - 30
  for _, tick in ipairs(ticks) do
    local x = LEFT + share(tick) * span
    put('<path class="grid" d="M%.1f %dV%d"/>\n', x, TOP - 10, bottom)
    put('<text class="tick" x="%.1f" y="%d" text-anchor="middle">%s</text>\n', x, bottom + 16,
      plot.short(tick))
  end
  for i, row in ipairs(chart.rows) do
    local y, width = TOP + (i - 1) * ROW, math.max(share(row.value) * span, 1)
    put('<text x="%d" y="%d" text-anchor="end">%s</text>\n', LEFT - 10, y + 15, escape(row.label))
    put('<rect class="%s" x="%d" y="%d" width="%.1f" height="%d" rx="2"/>\n',
      row.is_ours and "ours" or "bar", LEFT, y, width, BAR)
    put('<text x="%.1f" y="%d">%s</text>\n', LEFT + width + 8, y + 15, escape(row.text))
  end
  parts[#parts + 1] = "</svg>\n"
  return table.concat(parts)
end

return plot
