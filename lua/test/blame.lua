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

---Raises that a call of the kit makes no sense.
function blame.misuse(format, ...)
  error(format:format(...), author_level())
end

---Raises that the program under test does not do what the spec expects.
function blame.fail(message)
  local busted = package.loaded["busted"]
  local level = author_level()
  if type(busted) == "table" and busted.fail then
    busted.fail(message, level)
  end
  error(message, level)
end

---Raises unless every key of `options` is one of `known`, a table of names.
function blame.check_options(options, known, what)
  if type(options) ~= "table" then
    blame.misuse("%s: a table of options expected, got %s", what, type(options))
  end
  for name in pairs(options) do
    if not known[name] then
      local names = {}
      for each in pairs(known) do
        names[#names + 1] = each
      end
      table.sort(names)
      blame.misuse("%s: there is no option '%s'; there are: %s", what, tostring(name),
        table.concat(names, ", "))
    end
  end
end

return blame
