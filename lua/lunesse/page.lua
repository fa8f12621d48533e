-- Pages: the answers of other servers, as scripts get them.
local core = require "lunesse.core"

local Page = {}
Page.__index = Page

local headers_class = {
  __index = function(headers, name)
    return type(name) == "string" and rawget(headers, name:lower()) or nil
  end,
}

-- Repeated fields are joined; cookies by a line break, since a comma may be inside one.
local function headers_of(head)
  local headers, last = {}, nil
  for line in head:gmatch("([^\r\n]+)\r?\n") do
    local name, value = line:match("^([^:%s]+):[ \t]*(.-)[ \t]*$")
    if name then
      last = name:lower()
      local old = headers[last]
      headers[last] = old and old .. (last == "set-cookie" and "\n" or ", ") .. value or value
    elseif last and line:find("^[ \t]") then
      headers[last] = headers[last] .. " " .. line:match("^%s*(.-)%s*$")
    end
  end
  return setmetatable(headers, headers_class)
end

function Page:text()
  return self._body
end

function Page:json()
  return core.json.decode(self._body)
end

-- The body in pieces, for a loop.
function Page:chunks()
  local is_given = self._body == ""
  return function()
    if is_given then
      return nil
    end
    is_given = true
    return self._body
  end
end

-- The page of an answer: `head` is its status line and its fields, as they came.
local function page_of(status, head, body)
  return setmetatable({ status = status, headers = headers_of(head), _body = body }, Page)
end

return { of = page_of }
