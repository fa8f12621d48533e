-- Whether what came is what a spec expects: the fields that are given, and no word about the
-- others.

local json = require "lunesse.test.json"
local show = require "lunesse.test.show"

local match = {}

local function shown(value)
  local ok, text = pcall(json.encode, value)
  return ok and text or tostring(value)
end

local compare

---The fields of `expected` are there. A list has to have the same length; so has an empty table
---below the top, which says that nothing is there.
local function compare_tables(expected, actual, where, is_top)
  if #expected > 0 or (next(expected) == nil and not is_top) then
    if #expected ~= #actual or next(expected) == nil and next(actual) ~= nil then
      return false, ("%s is %s, and not %s"):format(where, shown(actual), shown(expected))
    end
  end
  for key, value in pairs(expected) do
    local name = type(key) == "number" and ("%s[%s]"):format(where, key) or
      ("%s.%s"):format(where, tostring(key))
    local ok, why = compare(value, actual[key], name)
    if not ok then
      return false, why
    end
  end
  return true
end

function compare(expected, actual, where, is_top)
  if type(expected) == "table" and expected ~= json.null and type(actual) == "table" and
    actual ~= json.null then
    return compare_tables(expected, actual, where, is_top)
  elseif expected == actual then
    return true
  elseif actual == nil then
    return false, where .. " is not there"
  end
  return false, ("%s is %s, and not %s"):format(where, shown(actual), shown(expected))
end

---Whether `actual` has what `expected` has; false, and where it does not.
function match.value(expected, actual, where)
  return compare(expected, actual, where, true)
end

---Whether the text of an event or a body is as expected: a string is compared with it, a table with
---what it is as JSON, and a function is asked, with the text and the JSON.
function match.data(expected, text, where)
  if expected == nil then
    return true
  elseif type(expected) == "function" then
    if expected(text, (json.decode(text))) then
      return true
    end
    return false, where .. " is not what the function wants"
  elseif type(expected) == "table" then
    local value, why = json.decode(text)
    if value == nil then
      return false, ("%s is %s"):format(where, why)
    end
    return compare(expected, value, where, true)
  elseif tostring(expected) == text then
    return true
  end
  return false, ("%s is %s, and not %s"):format(where, show.quoted(text),
    show.quoted(tostring(expected)))
end

return match
