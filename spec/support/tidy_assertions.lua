-- The house rule about assertions: every floor has 20 of them in 1 000 lines.

local source = require "spec.support.c_source"

local assertions = { wanted = 20 }

-- Macros that assert, and calls of an invariant function, which does so for a whole object.
local ASSERTS = { "[%u_]*CHECK[%u_]*", "DEBUG_CALL", "static_assert", "UNREACHABLE" }

local function count_in(text)
  local code = source.code(text):gsub("#%s*define[^\n]*", "")
  local count = 0
  for _, name in ipairs(ASSERTS) do
    count = count + #source.calls(code, name)
  end
  return count
end

---The floors of `files` -> assertions in 1 000 lines.
function assertions.of_floors(files)
  local counts, lines, rates = {}, {}, {}
  for path, text in pairs(files) do
    local floor = path:match("^src/([%w_]+)/[^/]*%.[ch]$")
    if floor then
      counts[floor] = (counts[floor] or 0) + count_in(text)
      lines[floor] = (lines[floor] or 0) + select(2, text:gsub("\n", ""))
    end
  end
  for floor, count in pairs(counts) do
    rates[floor] = count * 1000 / lines[floor]
  end
  return rates
end

function assertions.rule(files)
  local complaints = {}
  for floor, rate in pairs(assertions.of_floors(files)) do
    if rate < assertions.wanted then
      complaints[#complaints + 1] =
        ("src/%s/:1: %.1f assertions in 1 000 lines"):format(floor, rate)
    end
  end
  table.sort(complaints)
  return complaints
end

return assertions
