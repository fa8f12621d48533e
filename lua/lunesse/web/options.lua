-- The options of a middleware: checked where the script gives them, and completed.
local caller = require "lunesse.caller"

local options = {}

local function fail(...)
  error(string.format(...), caller.level())
end

-- Raises at the script's line.
options.fail = fail

-- Kinds of values: what a message calls them, and which there are.

options.boolean = {
  what = "true or false",
  takes = function(value) return type(value) == "boolean" end,
}

options.count = {
  what = "a whole number above 0",
  takes = function(value) return math.type(value) == "integer" and value > 0 end,
}

options.seconds = {
  what = "seconds, above 0 and up to 1e9",
  takes = function(value) return type(value) == "number" and value > 0 and value <= 1e9 end,
}

-- A text that can stand in a header.
options.text = {
  what = "a text of visible characters and spaces",
  takes = function(value)
    return type(value) == "string" and value:find("^[\x21-\x7e][\x20-\x7e]*$") ~= nil
      and not value:find(" $")
  end,
}

-- A text that can stand between quotes in a header.
options.quotable = {
  what = "a text without quotes and backslashes",
  takes = function(value) return options.text.takes(value) and not value:find('["\\]') end,
}

-- A name without spaces and commas.
options.token = {
  what = "a name of letters, digits and !#$%&'*+-.^_`|~",
  takes = function(value)
    return type(value) == "string" and value:find("^[%w!#$%%&'*+%-.^_`|~]+$") ~= nil
  end,
}

options.fn = {
  what = "a function",
  takes = function(value) return type(value) == "function" end,
}

-- The kind, or false.
function options.or_false(kind)
  return {
    what = kind.what .. ", or false",
    takes = function(value) return value == false or kind.takes(value) end,
  }
end

-- A list, with at least one member, each of the kind.
function options.list(kind, what)
  return {
    what = what,
    takes = function(value)
      if type(value) ~= "table" or #value == 0 or next(value, #value) ~= nil then
        return false
      end
      for _, member in ipairs(value) do
        if not kind.takes(member) then
          return false
        end
      end
      return true
    end,
  }
end

options.tokens = options.list(options.token, "a list of names")

local function names_of(known)
  local names = {}
  for name in pairs(known) do
    names[#names + 1] = name
  end
  table.sort(names)
  return table.concat(names, ", ")
end

-- Returns the options of the middleware `name` with what is left out set to its default. `known`
-- has for each option its kind, and `default` where there is one.
function options.read(name, given, known)
  if given ~= nil and type(given) ~= "table" then
    fail("web.%s takes a table of options, got %s", name, type(given))
  end
  local read = {}
  for key, value in pairs(given or {}) do
    local option = known[key]
    if not option then
      fail("web.%s: unknown option '%s'; there are %s", name, tostring(key), names_of(known))
    elseif not option.kind.takes(value) then
      fail("web.%s: %s is %s", name, key, option.kind.what)
    end
    read[key] = value
  end
  for key, option in pairs(known) do
    if read[key] == nil then
      read[key] = option.default
    end
  end
  return read
end

return options
