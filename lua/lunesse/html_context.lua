-- Reads the text of an HTML template, as a browser does, to know what stands around each value:
-- text, the value of an attribute (and of which), a script. What cannot be told when the template
-- is read is refused, so that no value is ever written in another way than its place needs.
--
-- `state` is one of:
--   text      content of elements
--   tag       inside of a tag, between attributes
--   value     inside of a quoted attribute; `kind` says of which sort it is
--   raw       the content of a <script>, <style>, <title> ..., whose name is `element`
--   comment   <!-- ... -->
--   other     <!doctype ...>, <?xml ...>, </ ...>
--   open      behind a `<` or `=`, where neither a value nor Lua may come
local html_script = require "lunesse.html_script"

local context = {}
context.__index = context

-- What a browser reads otherwise than as elements and text, until the end tag.
local RAW = {
  script = "script", style = "css", title = "text", textarea = "text",
  xmp = "nothing", iframe = "nothing", noembed = "nothing", noframes = "nothing",
}

local function set(names)
  local found = {}
  for name in names:gmatch("%S+") do
    found[name] = true
  end
  return found
end

local URLS = set [[
  action archive background cite classid codebase data formaction from by href icon longdesc
  manifest ping poster profile src to usemap values xlink:href
]]

-- Attributes that name code: a stranger's address would run as the page's own.
local CODE = { ["script src"] = true, ["base href"] = true, ["object data"] = true,
  ["embed src"] = true, ["script href"] = true, ["script xlink:href"] = true }

local SCHEMES = set "http https mailto tel sms"

---`refuse(message, text, position)` raises.
function context.new(refuse)
  return setmetatable({ state = "text", refuse = refuse, blocks = {} }, context)
end

-- Attributes that are code: the browser's own, and what htmx, Alpine, Vue and Datastar call theirs.
local HANDLERS = { "^on", "^@", "%-on[:%-]", "%-on$", "^srcdoc$" }

local function kind_of(element, attribute)
  for _, pattern in ipairs(HANDLERS) do
    if attribute:find(pattern) then
      return "nothing"
    end
  end
  if attribute == "style" then
    return "css"
  elseif CODE[element .. " " .. attribute] then
    return "code"
  end
  return URLS[attribute] and "url" or "attribute"
end

local readers = {}

function readers.text(self, text, at)
  local found = text:find("<", at, true)
  if not found then
    return #text + 1
  elseif text:find("^<!%-%-", found) then
    local _, last = text:find("^<!%-%-%-?>", found)
    self.state = last and "text" or "comment"
    return (last or found + 3) + 1
  end
  local name = text:match("^</?(%a[^%s/>]*)", found)
  if name then
    local is_end = text:sub(found + 1, found + 1) == "/"
    self.state, self.element = "tag", (is_end and "/" or "") .. name:lower()
    local behind = found + (is_end and 2 or 1) + #name
    self.is_glued = behind > #text
    return behind
  elseif text:find("^</?$", found) then
    self.state = "open"
    return #text + 1
  elseif text:find("^<[!?/]", found) then
    self.state = "other"
    return found + 2
  end
  return found + 1
end

function readers.comment(self, text, at)
  local _, last = text:find("%-%-!?>", at)
  self.state = last and "text" or "comment"
  return (last or #text) + 1
end

function readers.other(self, text, at)
  local found = text:find(">", at, true)
  self.state = found and "text" or "other"
  return (found or #text) + 1
end

function readers.tag(self, text, at)
  if at == 1 and (self.is_glued and not text:find("^[%s/>]") or
      self.is_after_name and text:find("^%s*=")) then
    self.refuse("a name or value of a tag is put together of pieces", text, at)
  end
  local behind = text:match("^[%s/]+()", at)
  if behind then
    return behind
  elseif text:sub(at, at) == ">" then
    local raw = RAW[self.element]
    self.state = raw and "raw" or "text"
    self.script = raw == "script" and html_script.new(self.refuse) or nil
    return at + 1
  end
  return readers.attribute(self, text, at)
end

function readers.attribute(self, text, at)
  local name, behind = text:match("^(=?[^%s/>=]*)()", at)
  local value = text:match("^%s*=%s*()", behind)
  self.is_glued, self.is_after_name = behind > #text, text:find("^%s*$", behind) ~= nil
  if not value then
    return behind
  elseif value > #text then
    self.state = "open"
    return value
  end
  self.attribute, self.is_after_name = name:lower(), false
  self.kind = kind_of(self.element, self.attribute)
  local quote = text:match("^[\"']", value)
  if quote then
    self.state, self.quote = "value", quote
    self.url, self.url_text, self.url_before = "start", "", "start"
    return value + 1
  end
  behind = text:match("^[^%s>]*()", value)
  self.is_glued = behind > #text
  return behind
end

function readers.value(self, text, at)
  local found = text:find(self.quote, at, true)
  self:read_url(text:sub(at, (found or #text + 1) - 1))
  if found then
    self.state, self.is_glued = "tag", false
  end
  return (found or #text) + 1
end

-- Where in a URL a value behind this text would stand. A browser takes a backslash for a slash.
local function place_in_url(text)
  local scheme, rest = text:match("^%s*([^/?#:]*):(.*)$")
  rest = (rest or text:match("^%s*(.*)$")):gsub("\\", "/")
  if scheme and not SCHEMES[scheme:lower()] or text:find("^[^/?#:]*&") then
    return "refused"
  elseif rest:find("[?#]") then
    return "query"
  elseif rest:find("^//[^/]*$") or scheme and scheme:find("^[Hh]") and rest:find("^/?$") then
    return "host"
  elseif scheme or rest:find("/.") or rest:find("./") then
    return "path"
  end
  return rest == "" and "start" or rest == "/" and "root" or "inside"
end

-- The place moves on: "start"; "inside" of what may be a scheme yet; at the "root", behind a slash
-- that begins the URL; in the "host"; in the "path"; in the "query", for which the fragment counts
-- too; or "refused", behind a scheme that is not one of those above. `url_text` is all of the URL
-- so far, as long as there is no value in it.
function context:read_url(text)
  if self.url_text then
    self.url_text = self.url_text .. text
    self.url = place_in_url(self.url_text)
  elseif text == "" or self.url == "refused" then
    return
  elseif text:find("[?#]") then
    self.url = "query"
  elseif self.url == "inside" and text:match("^[^/]*"):find(":", 1, true) then
    self.refuse("a value may be the scheme of a URL: a ':' comes behind it")
  elseif text:find("[/\\]") and self.url ~= "query" then
    self.url = "path"
  end
end

function readers.raw(self, text, at)
  local stop, behind = at - 1
  repeat
    stop = text:find("</", stop + 1, true)
    behind = stop and stop + 2 + #self.element
  until not stop or text:sub(stop + 2, behind - 1):lower() == self.element and
    text:find("^[%s/>]", behind)
  local content = text:sub(at, (stop or #text + 1) - 1)
  if self.script then
    self.script:read(content)
  elseif RAW[self.element] == "text" and content:find("<%a") then
    self.refuse("a <" .. self.element .. "> has no elements inside: write &lt;", text, at)
  end
  self.tail = not stop and content:match("</?%a*$") or nil
  if not stop then
    return #text + 1
  end
  self.state, self.element, self.script, self.is_glued = "tag", "/" .. self.element, nil, false
  return behind
end

function readers.open(self, text, at)
  self.refuse("Lua stands behind a '<' or '='", text, at)
end

---The template goes on with this text.
function context:read(text)
  local at = 1
  while at <= #text do
    at = readers[self.state](self, text, at)
  end
end

local writers = {}

function writers.text() return "text" end
function writers.attribute() return "text" end
function writers.css() return "css" end

function writers.url(self)
  local writer = "url_" .. self.url
  if self.url == "refused" then
    self.refuse("a value stands in a URL that is none of the web")
  elseif self.url == "inside" then
    self.refuse("a value stands where a URL may still have its scheme: it begins the URL, or " ..
      "comes behind a '/', '?' or '#'")
  elseif self.url == "start" then
    self.url = "inside"
  elseif self.url == "root" then
    self.url = "path"
  end
  self.url_text = nil
  return writer
end

-- The host is part of what decides whose code it is.
function writers.code(self)
  if self.url == "start" or self.url == "inside" or self.url == "host" then
    self.refuse(("a value chooses the %s of a <%s>, which runs what is there: write " ..
      "<%%- value %%> where nobody else can choose it"):format(self.attribute, self.element))
  end
  return writers.url(self)
end

function writers.nothing(self)
  self.refuse(self.state == "raw" and "a value stands in a <" .. self.element .. ">" or
    ("a value stands in %s: put it into a data- attribute, which a script reads"):format(
      self.attribute))
end

function writers.script(self)
  self.script:insert()
  return "script"
end

local WHERE = {
  tag = "a value stands in a tag and not inside of quotes: write name=\"<%= value %>\"",
  open = "a value stands behind a '<' or '=': write &lt; for the sign, and quotes around the value",
  comment = "a value stands in a comment",
  other = "a value stands in a <!...> or <?...>",
}

---A value comes here. Returns how it has to be written.
function context:insert()
  if self.state == "text" then
    return "text"
  elseif self.state == "value" then
    return writers[self.kind](self)
  elseif self.state == "raw" then
    if self.tail and not (self.script and self.tail == "<") then
      self.refuse("a value stands behind '" .. self.tail .. "'")
    end
    return writers[RAW[self.element]](self)
  end
  self.refuse(WHERE[self.state])
end

---A value comes here that is written as it is.
function context:insert_raw()
  if self.state == "open" then
    self.refuse(WHERE.open)
  elseif self.state == "value" then
    self.url, self.url_text = "path", nil
  elseif self.script then
    self.script.before = "unsure"
  end
end

-- What has to be the same at the beginning and at the end of each block.
function context:place()
  local parts = { self.state }
  if self.state ~= "text" then
    parts[2] = self.element
  end
  if self.state == "value" then
    parts[3], parts[4] = self.attribute, self.quote
  elseif self.script then
    parts[3] = self.script.mode
  end
  return table.concat(parts, " ")
end

function context:check_place(opened)
  local place = self:place()
  if opened.place ~= place then
    self.refuse(("a block begins in '%s' and ends in '%s'"):format(opened.place, place))
  end
end

local steps = {}

function steps.open(self, what)
  self.blocks[#self.blocks + 1] = { place = self:place(), what = what }
  if what == "loop" and self.url == "start" then
    self.url, self.url_text = "inside", nil -- the loop may come round
  end
end

function steps.turn(self)
  local opened = self.blocks[#self.blocks]
  if opened then -- otherwise Lua complains
    self:check_place(opened)
  end
end

function steps.close(self)
  steps.turn(self)
  self.blocks[#self.blocks] = nil
end

function steps.jump(self)
  for _, opened in ipairs(self.blocks) do
    self:check_place(opened)
  end
end

---Lua comes here, which takes these steps (see html_lua.lua).
function context:branch(list)
  if self.state == "open" then
    self.refuse("Lua stands behind a '<' or '='")
  elseif self.state == "raw" and self.tail then
    self.refuse("Lua stands behind '" .. self.tail .. "'")
  end
  if self.url ~= self.url_before then
    self.url = "inside" -- what stands in front may be there or not
  end
  if self.url ~= "start" then
    self.url_text = nil
  end
  for _, step in ipairs(list) do
    if steps[step] then
      steps[step](self)
    else
      steps.open(self, step)
    end
  end
  self.url_before = self.url
  if self.script then
    self.script:branch()
  end
  local opened = self.blocks[#self.blocks]
  if opened and opened.what == "function" then
    self.refuse("a function has text of the template inside: make another template of it")
  end
end

---The template ends here.
function context:finish()
  if self.state ~= "text" then
    self.refuse("the template ends in '" .. self:place() .. "'")
  end
end

return context
