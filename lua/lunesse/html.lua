-- `lunesse.html`: text with escaping. A template is read once, and becomes a function of Lua whose
-- lines are the template's lines. html_context.lua says how each value is written.
local caller = require "lunesse.caller"
local context = require "lunesse.html_context"
local core = require "lunesse.core"
local html_lua = require "lunesse.html_lua"

local json, load = core.json, load

local html = {}

local ENTITIES = {
  ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;",
}
local BLOCKED = "about:invalid#blocked"
local SCHEMES = { http = true, https = true, mailto = true, tel = true, sms = true }

local function escape(text)
  return (text:gsub("[&<>\"']", ENTITIES))
end

-- Returns the text of a value; or nil, and why it has none.
local function text_of(value)
  local kind = type(value)
  if kind == "string" then
    return value
  elseif kind == "number" or kind == "boolean" then
    return tostring(value)
  end
  local meta = debug.getmetatable(value)
  if type(meta) == "table" and meta.__tostring then
    return tostring(value)
  end
  return nil, kind == "nil" and "the value is nil" or "the value is a " .. kind
end

-- Raises at the line of the template, two calls above.
local function check(value)
  local text, why = text_of(value)
  return text or error(why, 3)
end

local function percent(text, kept)
  return (text:gsub("[^%w%-._~" .. kept .. "]", function(byte)
    return ("%%%02X"):format(byte:byte())
  end))
end

-- How values are written, by what stands around them. Each is called by the template itself.
local show = {}

function show.text(value)
  return escape(check(value))
end

function show.raw(value)
  return check(value)
end

-- A browser passes over white space and controls in front, and over line breaks and tabs anywhere.
function show.url_start(value)
  local text = check(value)
  local scheme = text:gsub("^[%z\1-\32]+", ""):gsub("[\t\n\r]", ""):match("^([^/?#:]*):")
  if scheme and not SCHEMES[scheme:lower()] then
    return BLOCKED
  end
  return escape(text)
end

function show.url_path(value)
  return escape(percent(check(value), "/:@!$&'()*+,;="))
end

function show.url_query(value)
  return percent(check(value), "")
end

-- A slash here would make the host of what follows.
function show.url_root(value)
  return escape((percent(check(value), "/:@!$&'()*+,;="):gsub("^/", "%%2F")))
end

-- All that could end the host is encoded, so whatever the template adds behind it stays its end.
function show.url_host(value)
  return percent(check(value), ":")
end

-- A length, a colour, a few words. All else could name another property, or an address.
function show.css(value)
  local text = check(value)
  return text:find("^[%w%s.%%#_-]*$") and text or "invalid"
end

-- The text with U+FFFD in the place of what is no UTF-8, which JSON does not take.
local function repaired(text)
  local parts, at = {}, 1
  while true do
    local len, bad = utf8.len(text, at)
    if len then
      parts[#parts + 1] = text:sub(at)
      return table.concat(parts)
    end
    parts[#parts + 1] = text:sub(at, bad - 1) .. "\u{fffd}"
    at = bad + 1
  end
end

local function unicode(char)
  return ("\\u%04x"):format(char:byte())
end

local function quoted(pair)
  return pair == '\\"' and "\\u0022" or pair
end

-- JSON, of which no byte means anything to HTML, and none ends a string of JavaScript but the
-- quotes around it.
function show.script(value)
  if value == nil then
    error("the value is nil; lunesse.json.null is JavaScript's", 2)
  elseif type(value) == "string" then
    value = repaired(value)
  end
  local ok, text = pcall(json.encode, value)
  if not ok then
    error(text, 2)
  end
  return (text:gsub("\\.", quoted):gsub("[<>&'/`$]", unicode)
    :gsub("\u{2028}", "\\u2028"):gsub("\u{2029}", "\\u2029"))
end

-- Calls text(literal), lua(code), value(code, is_raw) for each piece, with the line where the piece
-- begins; `trimmed` in front of a literal is a line break that was left out.
local function split(template, on)
  local at, line = 1, 1
  local function count(text)
    line = line + select(2, text:gsub("\n", ""))
  end
  while true do
    local open = template:find("<%", at, true)
    local literal = template:sub(at, (open or #template + 1) - 1)
    on.text(literal, line)
    count(literal)
    if not open then
      return
    end
    local sign = template:match("^[=-]", open + 2) or ""
    local close = template:find("%>", open + 2 + #sign, true) or
      on.refuse(line, "'<%' has no '%>'")
    local trims = template:sub(close - 1, close - 1) == "-" and close - 1 > open + 1 + #sign
    local code = template:sub(open + 2 + #sign, close - (trims and 2 or 1))
    on.lua(sign, code, line)
    count(code)
    at = close + 2
    local behind = trims and template:match("^\r?\n()", at)
    if behind then
      at = behind
      on.trimmed()
      line = line + 1
    end
  end
end

local function breaks(text)
  return ("\n"):rep(select(2, text:gsub("\n", "")))
end

-- Returns the template as a chunk of Lua, and its literals.
local function translate(template, name)
  local parts = { "local _show, _text = ... return function(_ENV, _out) " }
  local literals, on, now = {}, {}, 1
  function on.refuse(line, message)
    error(("%s:%d: %s"):format(name, line, message), 0)
  end
  local place = context.new(function(message, text, at)
    on.refuse(now + (text and #breaks(text:sub(1, at - 1)) or 0), message)
  end)
  function on.text(literal, line)
    now = line
    place:read(literal)
    literals[#literals + 1] = literal
    parts[#parts + 1] = ("_out[#_out + 1] = _text[%d];%s"):format(#literals, breaks(literal))
  end
  function on.trimmed()
    parts[#parts + 1] = "\n"
  end
  function on.lua(sign, code, line)
    now = line
    local plain, steps = html_lua.read(code)
    if sign == "" then
      place:branch(steps)
      parts[#parts + 1] = plain .. " "
      return
    elseif not load("return (" .. plain .. ")", "=", "t") then
      on.refuse(line, "what stands between '<%" .. sign .. "' and '%>' is no expression")
    end
    local writer = "raw"
    if sign == "-" then
      place:insert_raw()
    else
      writer = place:insert()
    end
    parts[#parts + 1] = ("_out[#_out + 1] = _show.%s((%s));"):format(writer, plain)
  end
  split(template, on)
  place:finish()
  parts[#parts + 1] = "end"
  return table.concat(parts), literals
end

-- The names that a template knows: its values, then the script's globals. What it sets is its own.
local function names_of(values)
  return setmetatable({}, { __index = function(_, name)
    local value = values[name]
    if value == nil then
      value = _G[name]
    end
    return value
  end })
end

function html.escape(value)
  local text, why = text_of(value)
  return text and escape(text) or error("escape: " .. why, caller.level())
end

function html.template(template, name)
  if type(template) ~= "string" then
    error("template takes a text, got " .. type(template), caller.level())
  elseif name ~= nil and type(name) ~= "string" then
    error("the name of a template is a string, got " .. type(name), caller.level())
  end
  if not name then
    local info = debug.getinfo(caller.level(), "Sl")
    name = ("template(%s:%d)"):format(info.short_src, info.currentline)
  end
  local chunk, literals = translate(template, name)
  local loaded, why = load(chunk, "@" .. name, "t")
  if not loaded then
    error(why, 0)
  end
  local write = loaded(show, literals)
  return function(values)
    if values ~= nil and type(values) ~= "table" then
      error(name .. " takes a table of values, got " .. type(values), 2)
    end
    local out = {}
    write(names_of(values or {}), out)
    return table.concat(out)
  end
end

return html
