-- The methods of a response that need no C: redirects, cookies.
local caller = require "lunesse.caller"
local core = require "lunesse.core"
local signature = require "lunesse.signature"

local Response = core.methods("Response")

function Response:redirect(url, status)
  status = status or 302
  if type(status) ~= "number" or status < 300 or status > 399 then
    error("a redirect status is between 300 and 399", 2)
  end
  caller.call(self.status, self, status)
  caller.call(self.header, self, "Location", url)
  return caller.call(self.send, self)
end

-- RFC 6265, section 4.1: the characters that a cookie's name, value and attributes may have.
local name_pattern = "^[%w!#$%%&'*+%-.^_`|~]+$"
local value_pattern = "^[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b%]\x5e-\x7e]*$"
local attribute_pattern = "^[\x20-\x3a\x3c-\x7e]*$"
local same_sites = { strict = "Strict", lax = "Lax", none = "None" }

-- How each option is written. A function returns nil for a value that the option cannot have.
local attributes = {
  path = function(value)
    return tostring(value):match(attribute_pattern) and "Path=" .. value
  end,
  domain = function(value)
    return tostring(value):match(attribute_pattern) and "Domain=" .. value
  end,
  max_age = function(value)
    return math.type(value) == "integer" and "Max-Age=" .. value
  end,
  expires = function(value)
    return type(value) == "number" and "Expires=" .. os.date("!%a, %d %b %Y %T GMT", value // 1 | 0)
  end,
  secure = function(value)
    return value and "Secure" or ""
  end,
  http_only = function(value)
    return value and "HttpOnly" or ""
  end,
  same_site = function(value)
    local site = same_sites[tostring(value):lower()]
    return site and "SameSite=" .. site
  end,
}
local order = { "path", "domain", "max_age", "expires", "secure", "http_only", "same_site" }

local function check_options(options)
  for key in pairs(options) do
    if not attributes[key] and key ~= "sign" then
      error(("unknown cookie option '%s'; there are %s, sign"):format(tostring(key),
        table.concat(order, ", ")), 3)
    end
  end
end

-- Percent-encodes what a cookie cannot have, and the percent sign itself.
local function encode(text)
  return (text:gsub("[^\x21\x23\x24\x26-\x2b\x2d-\x3a\x3c-\x5b%]\x5e-\x7e]", function(byte)
    return ("%%%02X"):format(byte:byte())
  end))
end

-- Returns the value as the cookie has it.
local function text_of(value, options)
  value = tostring(value)
  if options.sign == nil then
    if not value:match(value_pattern) then
      error("a cookie value has no spaces, quotes, commas, semicolons, backslashes or controls", 3)
    end
    return value
  end
  return encode(signature.sign(value, signature.keys(options.sign) or error(signature.WANTED, 3)))
end

function Response:cookie(name, value, options)
  options = options or {}
  if type(name) ~= "string" or not name:match(name_pattern) then
    error("a cookie name is letters, digits and !#$%&'*+-.^_`|~", 2)
  end
  check_options(options)
  local parts = { name .. "=" .. text_of(value, options) }
  for _, key in ipairs(order) do
    if options[key] ~= nil then
      local part = attributes[key](options[key])
      if not part then
        error("bad value for the cookie option '" .. key .. "'", 2)
      end
      parts[#parts + 1] = part ~= "" and part or nil
    end
  end
  return caller.call(self.add_header, self, "Set-Cookie", table.concat(parts, "; "))
end
