-- Just enough of C, as clang-format lays it out here, to measure it: comments and literals blanked,
-- line numbers kept; includes, calls, and functions with their length, parameters and nesting.

local source = {}

-- What was made of a text before: several rules ask the same of every file.
local codes, functions_of = {}, {}

---Where the comment or literal that starts at `at` ends; nil when none starts there.
local function skip(text, at)
  local two = text:sub(at, at + 1)
  if two == "//" then
    return (text:find("\n", at, true) or #text + 1) - 1
  elseif two == "/*" then
    return select(2, text:find("*/", at + 2, true)) or #text
  end
  local quote = two:sub(1, 1)
  local position = at + 1
  while position <= #text and text:sub(position, position) ~= quote do
    position = position + (text:sub(position, position) == "\\" and 2 or 1)
  end
  return position
end

local function blanked(text, keep_comments)
  local parts, position = {}, 1
  while true do
    local at = text:find("[/\"']", position)
    if not at then
      parts[#parts + 1] = text:sub(position)
      return table.concat(parts)
    end
    local two = text:sub(at, at + 1)
    parts[#parts + 1] = text:sub(position, at - 1)
    if two:sub(1, 1) == "/" and two ~= "//" and two ~= "/*" then
      parts[#parts + 1] = "/"
      position = at + 1
    else
      local stop = skip(text, at)
      local inside = text:sub(at, stop)
      local is_kept = keep_comments and two == "/*"
      parts[#parts + 1] = is_kept and inside or inside:gsub("[^\n]", " ")
      position = stop + 1
    end
  end
end

---`text` with comments and the insides of literals as spaces; with `keep_comments` only literals
---and the insides of // comments are blanked.
function source.code(text, keep_comments)
  if keep_comments then
    return blanked(text, true)
  end
  codes[text] = codes[text] or blanked(text)
  return codes[text]
end

local function line_at(text, position)
  return select(2, text:sub(1, position - 1):gsub("\n", "")) + 1
end

---The text of the line with this number.
function source.line(text, number)
  local count = 0
  for line in text:gmatch("([^\n]*)\n?") do
    count = count + 1
    if count == number then
      return line
    end
  end
  return ""
end

---The numbers of the lines where `pattern` starts to match.
function source.matches(text, pattern)
  local lines, position = {}, 1
  while true do
    local at, stop = text:find(pattern, position)
    if not at then
      return lines
    end
    lines[#lines + 1] = line_at(text, at)
    position = stop + 1
  end
end

---Whether one of `patterns` matches `name`.
function source.matches_any(name, patterns)
  for _, pattern in ipairs(patterns) do
    if name:find(pattern) then
      return true
    end
  end
  return false
end

---The numbers of the lines that call the function `name`; a member of a struct that has the name is
---another one.
function source.calls(code, name)
  return source.matches(code, "%f[%w_.]" .. name .. "%s*%(")
end

---Every include: `name`, `line`, `is_system` (in angle brackets).
function source.includes(text)
  local includes, number = {}, 0
  for line in text:gmatch("([^\n]*)\n?") do
    number = number + 1
    local open, name = line:match('^%s*#%s*include%s*([<"])([^>"]+)[>"]')
    if name then
      includes[#includes + 1] = { name = name, line = number, is_system = open == "<" }
    end
  end
  return includes
end

---The names of the functions and tables that a `.c` file defines for others, and of those that it
---has for itself.
function source.definitions(text)
  local exported, own = {}, {}
  for _, fn in ipairs(source.functions(text)) do
    (fn.is_static and own or exported)[fn.name] = true
  end
  for line in source.code(text):gmatch("[^\n]+") do
    local name = line:match("^const%s[^=(]-([%w_]+)%[?[%w_]*%]?%s=%s")
    if name then
      exported[name] = true
    end
  end
  return exported, own
end

---How many parameters stand between the outer parentheses of `signature`, which ends with them.
local function count_parameters(signature)
  local list = signature:match("(%b())%s*$")
  list = list and list:sub(2, -2):gsub("%b()", "")
  if not list or not list:find("%S") or list:find("^%s*void%s*$") then
    return 0
  end
  return select(2, list:gsub(",", "")) + 1
end

---The deepest nesting of blocks that a statement opens. Braces of initialisers do not count.
local function count_nesting(body)
  local kinds, depth, deepest = {}, 0, 0
  for at, brace in body:gmatch("()([{}])") do
    if brace == "{" then
      local before = body:sub(math.max(1, at - 200), at - 1)
      local is_block = before:find("%) $") or before:find("%f[%w_]else $") or
        before:find("%f[%w_]do $") or before:find(":%s+$")
      kinds[#kinds + 1] = is_block and 1 or 0
      depth = depth + kinds[#kinds]
      deepest = math.max(deepest, depth)
    else
      depth = depth - (table.remove(kinds) or 0)
    end
  end
  return deepest
end

local function describe(code, signature_at, brace_at, stop)
  local signature = code:sub(signature_at, brace_at - 1)
  local first = line_at(code, signature_at)
  return {
    name = signature:match("([%w_]+)%s*%b()%s*$") or "?",
    line = first,
    lines = line_at(code, stop) - first + 1,
    is_static = signature:find("%f[%w_]static%f[^%w_]") ~= nil,
    parameters = count_parameters(signature),
    nesting = count_nesting(code:sub(brace_at + 1, stop - 1)),
  }
end

---The line that ends before the line break at `at`. Looked for backwards: a pattern would try every
---place of the file.
local function line_before(code, at)
  local first = at
  while first > 1 and code:byte(first - 1) ~= 10 do
    first = first - 1
  end
  return code:sub(first, at - 1)
end

---The first character of the signature that ends before `brace_at`: what follows the last line that
---is empty, or ends a declaration, a block or a preprocessor line.
local function signature_start(code, brace_at)
  local start = brace_at
  while start > 1 do
    local previous = line_before(code, start - 1)
    if not previous:find("%S") or previous:find("[;}{\\]%s*$") or previous:find("^%s*#") then
      break
    end
    start = start - 1 - #previous
  end
  return start
end

---Calls `fn(code, start, brace, stop)` for every function that is defined: where in `code` its
---signature starts, its block opens and its block ends. A function's braces stand alone at the
---start of a line, which clang-format sees to.
local function each_function(text, fn)
  local code, position = "\n" .. source.code(text), 1
  while true do
    local at = code:find("\n{\n", position, true)
    local stop = at and code:find("\n}\n", at, true)
    if not stop then
      return
    end
    local start = signature_start(code, at + 1)
    if code:sub(start, at):find("%)%s*$") then
      fn(code, start, at + 1, stop + 1)
    end
    position = stop + 1
  end
end

---Every function that is defined: `name`, `line`, `lines` (signature to closing brace),
---`parameters`, `nesting`, `is_static`.
function source.functions(text)
  local functions = functions_of[text]
  if functions then
    return functions
  end
  functions = {}
  functions_of[text] = functions
  each_function(text, function(code, start, brace, stop)
    local fn = describe(code, start, brace, stop)
    fn.line = fn.line - 1
    functions[#functions + 1] = fn
  end)
  return functions
end

---The text of every function that is defined: `name`, `line`, `is_static`, `signature`, `body`.
function source.function_texts(text)
  local texts = {}
  each_function(text, function(code, start, brace, stop)
    local signature = code:sub(start, brace - 1)
    texts[#texts + 1] = {
      name = signature:match("([%w_]+)%s*%b()%s*$") or "?",
      line = line_at(code, start) - 1,
      is_static = signature:find("%f[%w_]static%f[^%w_]") ~= nil,
      signature = signature,
      body = code:sub(brace, stop),
    }
  end)
  return texts
end

return source
