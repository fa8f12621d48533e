-- Errors of the kit point at the line of the spec that made the call, however deep the kit is in
-- its own functions when it finds out. A failed expectation is a failure in busted's report; a call
-- that makes no sense is an error there.

local blame = {}

local OWN = debug.getinfo(1, "S").source:match("^(.-)blame")

local function is_own(info)
  return info.what == "C" or info.source:sub(1, #OWN) == OWN or info.source == "=(tail call)" or
    info.source:find("[/\\]luassert[/\\]") ~= nil
end

---The level of the spec's line, as `error` counts it in the function that calls this one.
local function author_level()
  local level = 3
  local info = debug.getinfo(level, "S")
  while info and is_own(info) do
    level = level + 1
    info = debug.getinfo(level, "S")
  end
  return info and level - 1 or 1
end

local function escaped(chars)
  return (chars:gsub(".", function(char)
    return ("\\x%02X"):format(char:byte())
  end))
end

---`text` as it can be shown and written to XML and JSON: what is no UTF-8, and control characters
---but the ends of lines, is written as in \x1B.
function blame.printable(text)
  local parts, at = {}, 1
  while at <= #text do
    local _, bad = utf8.len(text, at)
    local good = text:sub(at, (bad or #text + 1) - 1)
    good = good:gsub("[^\n\t\x20-\x7E\x80-\xFF]", escaped)
    good = good:gsub("\xC2[\x80-\x9F]", escaped):gsub("\xEF\xBF[\xBE\xBF]", escaped)
    parts[#parts + 1] = good .. (bad and escaped(text:sub(bad, bad)) or "")
    at = (bad or #text) + 1
  end
  return table.concat(parts)
end

---Raises that a call of the kit makes no sense.
function blame.misuse(format, ...)
  error(blame.printable(format:format(...)), author_level())
end

---Raises that the program under test does not do what the spec expects.
function blame.fail(message)
  local busted = package.loaded["busted"]
  message = blame.printable(message)
  local level = author_level()
  if type(busted) == "table" and busted.fail then
    busted.fail(message, level)
  end
  error(message, level)
end

---The keys of a table in order.
function blame.sorted_names(fields)
  local names = {}
  for name in pairs(fields) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

---The keys of a table as a text, in order.
local function names_of(known)
  return table.concat(blame.sorted_names(known), ", ")
end

---Raises unless every key of `options` is one of `known`, a table of names.
function blame.check_options(options, known, what)
  if type(options) ~= "table" then
    blame.misuse("%s: a table of options expected, got %s", what, type(options))
  end
  for name in pairs(options) do
    if not known[name] then
      blame.misuse("%s: there is no option '%s'; there are: %s", what, tostring(name),
        names_of(known))
    end
  end
end

---Raises unless `word` is one of `known`, a table of names, or nil.
function blame.check_word(word, known, what)
  if word ~= nil and not known[word] then
    blame.misuse("%s: there is no '%s'; there are: %s", what, tostring(word), names_of(known))
  end
end

---Raises unless `value` is of one of the types, which are written as in "string or nil".
function blame.check_type(value, types, what)
  if not (" " .. types .. " "):find(" " .. type(value) .. " ", 1, true) then
    blame.misuse("%s: %s expected, got %s", what, types:gsub(" or nil$", ""), type(value))
  end
end

---Calls a function of the engine. What it says of its arguments is raised at the spec's line, as a
---complaint about `what`.
function blame.call(what, fn, ...)
  local results = table.pack(pcall(fn, ...))
  if results[1] then
    return table.unpack(results, 2, results.n)
  end
  local why = type(results[2]) == "string" and
    results[2]:match("^bad argument #%d+ to '[^']*' %((.*)%)$")
  if why then
    blame.misuse("%s: %s", what, why)
  end
  error(results[2], 0)
end

---Whether `value` is an object of the class, or of one that is made of it.
local function is_a(value, class)
  local kind = type(value) == "table" and getmetatable(value)
  while kind and kind ~= class do
    local parent = getmetatable(kind)
    kind = parent and parent.__index
  end
  return kind == class
end

---Has every public method of the class say that it is called with a colon, when it was not.
---@return table class
function blame.guard(class)
  for name, method in pairs(class) do
    if type(method) == "function" and name:find("^%l") and name ~= "new" and name ~= "init" then
      class[name] = function(self, ...)
        if not is_a(self, class) then
          blame.misuse("use a colon: %s:%s(...)", class.__name, name)
        end
        return method(self, ...)
      end
    end
  end
  return class
end

return blame
