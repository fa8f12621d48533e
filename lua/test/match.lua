-- Whether what came is what a spec expects: the fields that are given, and no word about the
-- others. In the place of a value stands a function, which is asked, or a matcher of luassert, such
-- as `match.is_string()`.

local json = require "lunesse.test.json"
local show = require "lunesse.test.show"

local match = {}

---Whether `value` is a matcher of luassert. busted may have loaded luassert more than once, so its
---own test, which compares metatables, does not know all of them.
local function is_matcher(value)
  local class = type(value) == "table" and getmetatable(value)
  return class and class.__call and type(rawget(value, "callback")) == "function" and
    rawget(value, "mod") ~= nil
end

---Whether a spec gives a function or a matcher instead of a value.
function match.is_asked(expected)
  return type(expected) == "function" or is_matcher(expected)
end

---What is expected, as JSON can hold it: matchers and functions by their names.
local function plain(value)
  if is_matcher(value) then
    return ("match.%s%s"):format(value.mod and "" or "not_", value.name or "_")
  elseif type(value) == "function" then
    return "what the function wants"
  elseif type(value) ~= "table" or getmetatable(value) then
    return value
  end
  local copy = {}
  for key, each in pairs(value) do
    copy[key] = plain(each)
  end
  return copy
end

---A value, expected or not, as text.
function match.shown(value)
  local ok, text = pcall(json.encode, plain(value))
  return ok and text or tostring(value)
end

local shown = match.shown

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
  if match.is_asked(expected) then
    if expected(actual) then
      return true
    end
  elseif type(expected) == "table" and expected ~= json.null and type(actual) == "table" and
    actual ~= json.null then
    return compare_tables(expected, actual, where, is_top)
  elseif expected == actual then
    return true
  end
  if actual == nil then
    return false, where .. " is not there"
  end
  return false, ("%s is %s, and not %s"):format(where, shown(actual), shown(expected))
end

---Whether `actual` has what `expected` has; false, and where it does not.
function match.value(expected, actual, where)
  return compare(expected, actual, where, true)
end

---Whether a text is as expected.
function match.text(expected, text)
  if match.is_asked(expected) then
    return not not expected(text)
  end
  return tostring(expected) == text
end

---A matcher for the whole of the data means the text or what it is as JSON: one of them will do, or
---if it says what the data is not, none of them may be that.
local function suits(matcher, text)
  local value = json.decode(text)
  if value == nil then
    return matcher(text)
  elseif matcher.mod then
    return matcher(text) or matcher(value)
  end
  return matcher(text) and matcher(value)
end

---Whether the text of an event or a body is as expected: a string is compared with it, a table with
---what it is as JSON, and a function is asked, with the text and the JSON.
function match.data(expected, text, where)
  if expected == nil then
    return true
  elseif is_matcher(expected) then
    if suits(expected, text) then
      return true
    end
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
    is_matcher(expected) and shown(expected) or show.quoted(tostring(expected)))
end

return match
