-- The house rule about failures: an int that is 0 or negative says whether something failed and
-- why. The number is an errno, or a row of base/error.h; no other enum has numbers of its own, -1
-- means EPERM, and neither a pointer nor a text stands for a failure.

local source = require "spec.support.c_source"

local errors = {}

-- What does not keep the rule yet. What keeps it goes from here.
errors.excused = {
  ["src/http/http1.c:on_field_name"] = true,
  ["src/sse/stream.h:stream_open"] = true,
}

-- What a parameter is called that a failure comes back in.
local FAILURES = { "failure", "error", "err", "why", "reason", "problem", "result", "status" }

-- Returned as a negative number, but to sort by.
local COMPARES = "^compare"

---Calls `complain(name, line, text)` for the enums of `code` that have numbers like errors. One
---without a name is a list of constants.
local function look_at_enums(code, complain)
  for at, tag, body in code:gmatch("()%f[%w_]enum%s+([%w_]*)%s*(%b{})") do
    local number = body:match("=%s*(%-%d+)")
    if number and tag ~= "" then
      local line = select(2, code:sub(1, at):gsub("\n", "")) + 1
      complain("enum " .. tag, line, ("enum %s: %s is no errno and no row of base/error.h"):format(
        tag, number))
    end
  end
end

---The same for functions that return -1.
local function look_at_returns(text, complain)
  for _, fn in ipairs(source.function_texts(text)) do
    if not fn.name:find(COMPARES) and fn.body:find("%f[%w_]return %-1;") then
      complain(fn.name, fn.line, ("%s returns -1, which is -EPERM"):format(fn.name))
    end
  end
end

---What of a declaration is a failure beside an int, or nil. `returned` is what stands before the
---name; memory that there may be too little of is nobody's failure.
local function other_channel(returned, name, parameters)
  if not returned:find("%*$") then
    return nil
  elseif returned:find("MUST_USE") and returned:find("char %*$") and not name:find("reserve") then
    return "returns a text"
  end
  local list = parameters:sub(2, -2):gsub("%b()", ""):gsub("%s+", " ")
  for _, failure in ipairs(FAILURES) do
    if list:find("%f[%w_]int %*" .. failure .. "%f[^%w_]") or
      list:find("char %*%*" .. failure .. "%f[^%w_]") then
      return "returns a pointer, and why there is none elsewhere"
    end
  end
  return nil
end

local function look_at_declarations(code, complain)
  local flat = "\n" .. code
  for at, returned, name, parameters in flat:gmatch("\n()(%a[%w_ ]-[ %*]%*?)(%l[%w_]*)(%b());") do
    local what = other_channel(returned, name, parameters)
    if what then
      local line = select(2, flat:sub(1, at):gsub("\n", ""))
      complain(name, line, ("%s %s"):format(name, what))
    end
  end
end

---What breaks the rule: "path:name" -> complaint.
local function offences(files)
  local found = {}
  for path, text in pairs(files) do
    if path:find("^src/.*%.[ch]$") and path ~= "src/base/error.h" then
      local function complain(name, line, complaint)
        found[path .. ":" .. name] = ("%s:%d: %s"):format(path, line, complaint)
      end
      local code = source.code(text)
      look_at_enums(code, complain)
      look_at_returns(text, complain)
      look_at_declarations(code, complain)
    end
  end
  return found
end

function errors.rule(files)
  local complaints = {}
  for name, complaint in pairs(offences(files)) do
    if not errors.excused[name] then
      complaints[#complaints + 1] = complaint
    end
  end
  table.sort(complaints)
  return complaints
end

---What is excused and keeps the rule.
function errors.needlessly_excused(files)
  local found, needless = offences(files), {}
  for name in pairs(errors.excused) do
    if not found[name] then
      needless[#needless + 1] = name
    end
  end
  table.sort(needless)
  return needless
end

return errors
