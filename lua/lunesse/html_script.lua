-- Reads the text of a script in an HTML template, as far as to tell where a value may stand: where
-- an expression may, and in no string, comment or regular expression. What it cannot tell for sure
-- it refuses, since a value in a string that is taken for code could end the string.
--
-- `mode` is what the text is in the midst of, and `before` what stands in front of the next token,
-- by which a division is told from a regular expression: "value", "operator", or "unsure".
local script = {}
script.__index = script

local QUOTES = { ['"'] = "string", ["'"] = "string", ["`"] = "template" }

local BEFORE_REGEX = {}
for word in ("await case delete do else in instanceof new of return throw typeof void yield")
  :gmatch("%a+") do
  BEFORE_REGEX[word] = true
end

local TOO_INVOLVED = "; put the script into a file of its own, and the value into a data- attribute"

---`refuse(message, text, position)` raises.
function script.new(refuse)
  return setmetatable({ mode = "code", before = "operator", refuse = refuse }, script)
end

local readers = {}

function readers.code(self, text, at)
  local first, last = text:find("^%s+", at)
  if first then
    return last + 1
  end
  local char, two = text:sub(at, at), text:sub(at, at + 1)
  if text:find("^<!%-%-", at) or text:find("^%-%->", at) then
    self.refuse("a script has no '<!--' or '-->'", text, at)
  elseif QUOTES[char] then
    self.mode, self.quote, self.before = QUOTES[char], char, "value"
    return at + 1
  elseif two == "//" or two == "/*" then
    self.mode = two == "//" and "line" or "comment"
    return at + 2
  elseif char == "/" then
    return readers.slash(self, text, at)
  end
  local word = text:match("^[%w_$\x80-\xff]+", at)
  if word then
    self.before = BEFORE_REGEX[word] and "operator" or "value"
    return at + #word
  elseif two == "++" or two == "--" then
    return at + 2
  end
  self.before = char == "}" and "unsure" or (char == ")" or char == "]") and "value" or "operator"
  return at + 1
end

function readers.slash(self, text, at)
  if at == #text then
    self.refuse("a '/' stands in front of a value or of Lua", text, at)
  elseif self.before == "unsure" then
    self.refuse("a '/' may be a division or begin a regular expression" .. TOO_INVOLVED, text,
      at)
  elseif self.before == "operator" then
    self.mode, self.in_class = "regex", false
  end
  self.before = self.before == "value" and "operator" or "value"
  return at + 1
end

-- Reads to the end of a string, or over one escape of it.
readers["string"] = function(self, text, at)
  local found = text:find("[\n\r\\" .. self.quote .. "]", at)
  if not found then
    return #text + 1
  end
  local char = text:sub(found, found)
  if char == "\\" then
    return readers.escape(self, text, found)
  elseif char ~= self.quote then
    self.refuse("a string of the script does not end in its line", text, found)
  end
  self.mode = "code"
  return found + 1
end

function readers.escape(self, text, at)
  if at == #text then
    self.refuse("a '\\' stands in front of a value or of Lua", text, at)
  end
  return at + 2
end

function readers.template(self, text, at)
  local found = text:find("[`\\$]", at)
  if not found then
    return #text + 1
  end
  local char = text:sub(found, found)
  if char == "\\" then
    return readers.escape(self, text, found)
  elseif char == "`" then
    self.mode = "code"
  elseif text:find("^%${", found) then
    local _, last = text:find("^%${[^\"'`{}/]*}", found)
    return (last or self.refuse("this '${' is too involved" .. TOO_INVOLVED, text, found)) + 1
  elseif found == #text then
    self.refuse("a '$' stands in front of a value or of Lua", text, found)
  end
  return found + 1
end

function readers.line(self, text, at)
  local found = text:find("[\n\r]", at)
  self.mode = found and "code" or "line"
  return (found or #text) + 1
end

function readers.comment(self, text, at)
  local _, last = text:find("*/", at, true)
  self.mode = last and "code" or "comment"
  return (last or #text) + 1
end

function readers.regex(self, text, at)
  local found = text:find("[\n\r\\/%[%]]", at)
  if not found then
    return #text + 1
  end
  local char = text:sub(found, found)
  if char == "\\" then
    return readers.escape(self, text, found)
  elseif char == "[" or char == "]" then
    self.in_class = char == "["
  elseif char ~= "/" then
    self.refuse("a regular expression of the script does not end in its line", text, found)
  elseif not self.in_class then
    self.mode = "code"
  end
  return found + 1
end

function script:read(text)
  local at = 1
  while at <= #text do
    at = readers[self.mode](self, text, at)
  end
end

---A value comes here.
function script:insert()
  if self.mode == "string" or self.mode == "template" then
    self.refuse("a value stands in a string of the script: it brings its own quotes")
  elseif self.mode ~= "code" then
    self.refuse(("a value stands in a %s of the script"):format(
      self.mode == "regex" and "regular expression" or "comment"))
  end
  self.before = "value"
end

---Lua comes here: what follows may come after other text than what stands in front of it.
function script:branch()
  self.before = "unsure"
end

return script
