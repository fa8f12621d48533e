-- The queries of `lunesse.postgres` and their values: what a script gives as a parameter, as the
-- text that the server reads, and the server's arrays as tables. Everything else comes from the C
-- half as it is to be.
local caller = require "lunesse.caller"
local core = require "lunesse.core"

local value = {}

local null = core.json.null

-- The types of arrays, by their numbers, and how an item of theirs is read. They are those that
-- come with PostgreSQL; an array of another type stays a text.
local function as_text(text) return text end
local function as_boolean(text) return text == "t" end
local function as_integer(text) return math.tointeger(text) or text end
local function as_bytes(text)
  return text:sub(1, 2) == "\\x" and
    (text:sub(3):gsub("%x%x", function(hex) return string.char(tonumber(hex, 16)) end)) or text
end
local words = { NaN = 0 / 0, Infinity = math.huge, ["-Infinity"] = -math.huge }
local function as_float(text) return words[text] or tonumber(text) + 0.0 end

local array_types = {
  [1000] = as_boolean, [1001] = as_bytes,
  [1005] = as_integer, [1007] = as_integer, [1016] = as_integer, [1028] = as_integer,
  [1021] = as_float, [1022] = as_float,
}
for _, number in ipairs {
  199, 3807,                         -- json, jsonb
  1002, 1003, 1009, 1014, 1015,      -- "char", name, text, character, character varying
  1231, 2951, 1041, 651,             -- numeric, uuid, inet, cidr
  1115, 1182, 1183, 1185, 1187, 1270 -- timestamp, date, time, timestamptz, interval, timetz
} do
  array_types[number] = as_text
end

-- The array whose text begins at `at`, and where its text ends. An item is an array, a text in
-- quotes with backslashes in it, or a text without; that one is NULL if it says so.
local function read_array(text, at, read)
  local list, count = core.json.array {}, 0
  at = at + 1
  while text:byte(at) ~= 125 do -- }
    local item, stop
    if text:byte(at) == 123 then -- {
      item, stop = read_array(text, at, read)
    elseif text:byte(at) == 34 then -- "
      stop = at + 1
      while text:byte(stop) ~= 34 do
        stop = text:find('["\\]', stop)
        stop = text:byte(stop) == 92 and stop + 2 or stop
      end
      item = read((text:sub(at + 1, stop - 1):gsub("\\(.)", "%1")))
    else
      stop = text:find("[,}]", at) - 1
      local word = text:sub(at, stop)
      item = word == "NULL" and null or read(word)
    end
    count = count + 1
    list[count] = item
    at = stop + 1
    at = text:byte(at) == 44 and at + 1 or at -- ,
  end
  return list, at
end

-- Makes tables of the arrays in `rows`, whose columns have `types`.
function value.read_arrays(rows, types)
  for name, number in pairs(types) do
    local read = array_types[number]
    for _, row in ipairs(read and rows or {}) do
      local text = row[name]
      -- One whose indices do not begin with 1 has them in front: [0:1]={a,b}
      row[name] = text and read_array(text, text:find("{", 1, true), read)
    end
  end
end

local Bytes = {}

-- Marks a string as bytes.
function value.bytes(bytes)
  if type(bytes) ~= "string" then
    error("bytea takes a string, got " .. type(bytes), caller.level())
  end
  return setmetatable({ bytes }, Bytes)
end

local function refuse(what, where)
  error(("%s: %s"):format(where, what), caller.level())
end

local function number_text(number)
  if math.type(number) == "integer" then
    return tostring(number)
  elseif number ~= number then
    return "NaN"
  elseif number == math.huge or number == -math.huge then
    return number > 0 and "Infinity" or "-Infinity"
  end
  return ("%.17g"):format(number)
end

local function scalar_text(item, where)
  local kind = type(item)
  if kind == "number" then
    return number_text(item)
  elseif kind == "boolean" then
    return item and "t" or "f"
  elseif kind ~= "string" then
    refuse("a string, number, boolean, table, bytea or nil expected, got " .. kind, where)
  elseif item:find("\0", 1, true) then
    refuse("a text of PostgreSQL has no NUL; give bytes as db:bytea(bytes)", where)
  end
  return item
end

local array_text

local function item_text(item, where)
  if item == null then
    return "NULL"
  elseif getmetatable(item) == Bytes then
    return '"\\\\x' .. item[1]:gsub(".", function(c) return ("%02x"):format(c:byte()) end) .. '"'
  elseif type(item) == "table" then
    return array_text(item, where)
  elseif type(item) == "string" then
    return '"' .. scalar_text(item, where):gsub('["\\]', "\\%0") .. '"'
  end
  return scalar_text(item, where)
end

function array_text(list, where)
  local texts = {}
  for i, item in ipairs(list) do
    texts[i] = item_text(item, where)
  end
  return "{" .. table.concat(texts, ",") .. "}"
end

-- A list is an array, and any other table is JSON.
local function table_text(item, where)
  local count, largest = 0, 0
  for key in pairs(item) do
    if math.type(key) ~= "integer" or key < 1 then
      return caller.call(core.json.encode, item)
    end
    count, largest = count + 1, math.max(largest, key)
  end
  if count ~= largest then
    refuse("an array has holes; lunesse.json.null stands for NULL in it", where)
  end
  return array_text(item, where)
end

-- The parameters as the C half takes them: a letter for each, and their texts.
function value.parameters(...)
  local list = table.pack(...)
  local formats = {}
  if list.n > 65535 then
    error("a query has at most 65535 parameters", caller.level())
  end
  for i = 1, list.n do
    local item = list[i]
    formats[i] = getmetatable(item) == Bytes and "b" or "t"
    if formats[i] == "b" then
      list[i] = item[1]
    elseif item == null then
      list[i] = nil
    elseif type(item) == "table" then
      list[i] = table_text(item, "parameter " .. i)
    elseif item ~= nil then
      list[i] = scalar_text(item, "parameter " .. i)
    end
  end
  return table.concat(formats), list
end

function value.check_sql(sql)
  if type(sql) ~= "string" or sql:find("\0", 1, true) then
    error("a query is a string without NUL, got " .. type(sql), caller.level())
  end
end

-- Asks, with what `parameters` has returned.
function value.ask(link, sql, formats, parameters)
  local rows, count, tag, types = core.postgres_query(link, sql, formats,
    table.unpack(parameters, 1, parameters.n))
  if rows then
    value.read_arrays(rows, types)
  end
  return rows, count, tag
end

return value
