-- Reads the Lua of an HTML template, as far as to tell which blocks it opens and closes.
local html_lua = {}

local OPENS = { ["if"] = "if", ["do"] = "loop", ["repeat"] = "loop", ["function"] = "function" }
local CLOSES = { ["end"] = "close", ["until"] = "close" }
local TURNS = { ["else"] = "turn", ["elseif"] = "turn" }
local JUMPS = { ["break"] = "jump", ["goto"] = "jump", ["return"] = "jump" }

-- Returns the position behind what begins at `at`, when that is a string or a comment, and whether
-- it is a comment.
local function skip(code, at)
  local is_comment = code:find("^%-%-", at) ~= nil
  local start = is_comment and at + 2 or at
  local level = code:match("^%[(=*)%[", start)
  if level then
    local _, last = code:find("]" .. level .. "]", start, true)
    return (last or #code) + 1, is_comment
  elseif is_comment then
    return (code:find("\n", at, true) or #code + 1), true
  end
  local quote = code:match("^[\"']", at)
  if not quote then
    return nil
  end
  at = at + 1
  while at <= #code and code:sub(at, at) ~= quote do
    at = at + (code:sub(at, at) == "\\" and 2 or 1)
  end
  return at + 1, false
end

---The code without its comments, whose line breaks stay, and a list of what it does to blocks:
---"if", "loop" and "function" open one, "turn" is its `else`, "close" closes it, "jump" leaves it.
function html_lua.read(code)
  local parts, steps, at = {}, {}, 1
  while at <= #code do
    local behind, is_comment = skip(code, at)
    local word = not behind and code:match("^[%a_][%w_]*", at)
    if word then
      behind = at + #word
      steps[#steps + 1] = OPENS[word] or CLOSES[word] or TURNS[word] or JUMPS[word]
    end
    behind = behind or at + 1
    local part = code:sub(at, behind - 1)
    parts[#parts + 1] = is_comment and " " .. part:gsub("[^\n]", "") or part
    at = behind
  end
  return table.concat(parts), steps
end

return html_lua
