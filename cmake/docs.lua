-- SPDX-License-Identifier: MIT
--
-- Writes the parts of docs/ that are made from the source, so that each fact has one home:
--
--   docs/api/NAME.md     from lua/types/NAME.lua, the stubs of the API
--   docs/operations.md   its table of limits, from the table of src/base/limits.c
--
-- `make docs` runs it from the project's root. With a folder as argument it writes below that
-- folder instead; spec/readme_spec.lua compares what it writes there with what is in the tree.

local lfs = require "lfs"

local OUT = (arg[1] or ".") .. "/"

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("a")
  file:close()
  return text
end

local function write(path, text)
  local file = assert(io.open(OUT .. path, "wb"))
  file:write(text)
  file:close()
end

local function trim(text)
  return (text:gsub("^%s+", ""):gsub("%s+$", ""))
end

-- A `|` inside of a cell would begin the next one.
local function cell(text)
  return (trim(text):gsub("|", "\\|"))
end

-- The limits -------------------------------------------------------------------------------------

local MIB, KIB = 1024 * 1024, 1024

-- A default such as `16 * 1024` as a reader wants it, in the limit's unit.
local function shown_default(expression, unit)
  local value = assert(load("return " .. expression))()
  if unit == "SECONDS" then
    return ("%g s"):format(value / 1000)
  elseif unit == "BYTES" and value >= MIB and value % MIB == 0 then
    return value // MIB .. " MiB"
  elseif unit == "BYTES" and value >= KIB and value % KIB == 0 then
    return value // KIB .. " KiB"
  end
  return tostring(value)
end

-- The comment above a row: "of what | what happens beyond", and "(default: ...)" in front of that
-- where the number does not say it.
local function row_of(comment, name, member, unit, defaults)
  local text = trim(comment:gsub("\n? *// ?", " "):gsub("  +", " "))
  local default, rest = text:match("^%(default: (.-)%) (.*)$")
  local what, beyond = (rest or text):match("^(.-) | (.+)$")
  assert(what, name .. ": its comment in limits.c is not 'of what | what happens beyond'")
  default = default or shown_default(assert(defaults[member], member), unit)
  return ("| `%s` | %s | %s | %s |\n"):format(name, default, what, beyond)
end

local function limits_table()
  local source = read("src/base/limits.c")
  local defaults = {}
  for member, expression in source:gmatch("\n        %.([%w_.]+) = ([%d *]+),") do
    defaults[member] = expression
  end
  local rows = {
    "| limit | default | of what | what happens beyond |\n| --- | --- | --- | --- |\n",
  }
  local comment = ""
  local entries = source:match("\nstatic const struct limit table%[%] = {\n(.-)\n};")
  for line in entries:gmatch("[^\n]+") do
    local name, member, unit = line:match('{"([%w_]+)", offsetof%(.-, ([%w_.]+)%), UNIT_(%u+)')
    if name then
      rows[#rows + 1] = row_of(comment, name, member, unit, defaults)
      comment = ""
    else
      comment = comment .. line .. "\n"
    end
  end
  return table.concat(rows)
end

local function write_limits()
  local page = read("docs/operations.md")
  local before, after =
    page:match("^(.-<!%-%- limits:[^\n]*\n\n).-(<!%-%- end of limits.*)$")
  assert(before, "docs/operations.md has no marks where the limits go")
  write("docs/operations.md", before .. limits_table() .. "\n" .. after)
end

-- The API ----------------------------------------------------------------------------------------

-- An annotation's rest, "string? id    the id that it got": its type, and what is said of it.
local function split_type(rest)
  local kind, said = rest:match("^(.-)  +(.*)$")
  return kind or rest, said or ""
end

-- Reads a block of comment lines: its text, and what its annotations declare.
local function parse_block(lines)
  local block = { text = {}, fields = {}, params = {}, returns = {}, overloads = {} }
  local last, ahead -- what a line that goes on belongs to; text of a field that comes next
  for _, line in ipairs(lines) do
    local tag, rest = line:match("^@(%a+) ?(.*)$")
    if tag == "class" then
      block.class, block.parent = rest:gsub("^%(exact%) ", ""):match("^([%w_.]+) ?:? ?(.*)$")
      ahead = {}
    elseif tag == "field" or tag == "param" then
      local name, typed = rest:match("^(%S+) (.*)$")
      local kind, said = split_type(typed)
      last = { name = name, kind = kind, said = said .. table.concat(ahead or {}, " ") }
      table.insert(tag == "field" and block.fields or block.params, last)
      ahead = {}
    elseif tag == "return" then
      local kind, said = split_type(rest)
      last = { kind = kind, said = said }
      table.insert(block.returns, last)
    elseif tag == "overload" then
      table.insert(block.overloads, rest)
    elseif tag == "alias" then
      block.alias, block.kind = rest:match("^([%w_.]+) (.*)$")
    elseif last and line:match("^   +%S") then
      last.said = last.said .. " " .. trim(line)
    elseif ahead and block.class then
      table.insert(ahead, line)
    else
      table.insert(block.text, line)
    end
  end
  return block
end

-- The blocks of a stub file, in their order, each with the line of Lua behind it.
local function blocks_of(source)
  local list, lines = {}, {}
  for line in (source .. "\n"):gmatch("([^\n]*)\n") do
    local comment = line:match("^%-%-%-(.*)$")
    if comment and not comment:match("^@meta") then
      lines[#lines + 1] = comment
    else
      if #lines > 0 then
        local block = parse_block(lines)
        block.signature = line:match("^function (.-) end$")
        list[#list + 1] = block
      end
      lines = {}
    end
  end
  return list
end

-- How a script writes it: `Channel:publish(...)` is called on a channel.
local function call_of(signature, class)
  local object, rest = signature:match("^([%w_]+)(.*)$")
  if class == "lunesse." .. object and object:find("^%l") then
    return class .. rest
  end
  return object:lower() .. rest
end

-- "fun(self: lunesse.Channel, data: any): string?" as a call of `signature`'s function.
local function overload_of(overload, call)
  local names = {}
  for name in overload:match("^fun(%b())"):gmatch("([%w_.]+)%??: ") do
    if name ~= "self" then
      names[#names + 1] = name
    end
  end
  return call:gsub("%b()$", "(" .. table.concat(names, ", ") .. ")")
end

local function add_fields(out, fields)
  local rows = {}
  for _, field in ipairs(fields) do
    if not field.kind:find("^fun%(self") then -- those repeat what a group has
      rows[#rows + 1] = ("| `%s` | `%s` | %s |\n"):format(
        cell(field.name), cell(field.kind), cell(field.said))
    end
  end
  if #rows > 0 then
    out[#out + 1] = "\n| field | type | |\n| --- | --- | --- |\n" .. table.concat(rows)
  end
end

local function add_values(out, block)
  local rows = {}
  for _, param in ipairs(block.params) do
    rows[#rows + 1] = ("- `%s`: `%s`%s\n"):format(
      param.name, param.kind, param.said ~= "" and ", " .. param.said or "")
  end
  for _, result in ipairs(block.returns) do
    rows[#rows + 1] = ("- returns `%s`%s\n"):format(
      result.kind, result.said ~= "" and ", " .. result.said or "")
  end
  if #rows > 0 then
    out[#out + 1] = "\n" .. table.concat(rows)
  end
end

local function add_block(out, block, class)
  if block.class then
    out[#out + 1] = ("\n## `%s`\n"):format(block.class)
  elseif block.alias then
    out[#out + 1] = ("\n## `%s`\n\n`%s`\n"):format(block.alias, block.kind)
  elseif block.signature then
    local call = call_of(block.signature, class)
    out[#out + 1] = ("\n### `%s`\n"):format(call)
    for _, overload in ipairs(block.overloads) do
      out[#out + 1] = ("\nor `%s`\n"):format((overload_of(overload, call)))
    end
  end
  if #block.text > 0 then
    out[#out + 1] = "\n" .. table.concat(block.text, "\n") .. "\n"
  end
  if block.parent and block.parent ~= "" then
    out[#out + 1] = ("\nIt has all that a `%s` has.\n"):format(block.parent)
  end
  add_fields(out, block.fields)
  add_values(out, block)
end

local function write_api(name)
  local out = {
    ("<!-- `make docs` has made this page from lua/types/%s.lua. Change that file. -->\n")
      :format(name),
    ("# %s\n\n[The API](README.md) · [README](../../README.md)\n"):format(name),
  }
  local class
  for _, block in ipairs(blocks_of(read("lua/types/" .. name .. ".lua"))) do
    class = block.class or class
    add_block(out, block, class)
  end
  write("docs/api/" .. name .. ".md", table.concat(out))
end

local names = {}
for file in lfs.dir("lua/types") do
  names[#names + 1] = file:match("^(%w+)%.lua$")
end
table.sort(names)
for _, folder in ipairs { "docs", "docs/api" } do
  lfs.mkdir(OUT .. folder)
end
local index = {
  [[
<!-- `make docs` has made this page. Its text is in cmake/docs.lua. -->
# The API

One page a type. The [README](../../README.md#the-api) says what each is for.

The pages are made from [stubs](../../lua/types), which say the same to editors with the Lua
language server: they complete and check against them. Beside scripts of your own, a file
`.luarc.json` says where the stubs are:

```json
{ "runtime.version": "Lua 5.4", "workspace.library": ["/usr/local/share/lunesse/types"] }
```

]],
}
for _, name in ipairs(names) do
  write_api(name)
  index[#index + 1] = ("- [%s](%s.md)\n"):format(name, name)
end
write("docs/api/README.md", table.concat(index))
write_limits()
