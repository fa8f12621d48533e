-- The methods of a request that need no C: forms, signed cookies, bodies in pieces.
local caller = require "lunesse.caller"
local core = require "lunesse.core"
local multipart = require "lunesse.multipart"
local signature = require "lunesse.signature"

local Request = core.methods("Request")

function Request:form()
  local type = (self.headers["content-type"] or ""):match("^%s*([^;%s]*)"):lower()
  if type ~= "application/x-www-form-urlencoded" then
    return nil, "the body is not application/x-www-form-urlencoded", "ETYPE"
  end
  return core.form(caller.call(self.text, self))
end

function Request:read()
  return core.body_read(self)
end

-- In a loop the end of a body has to be told from a body that was cut, so that one raises.
local function checked(piece, why, code)
  if piece == nil and code then
    error(why, caller.level())
  end
  return piece
end

-- A function that returns the pieces of the body: one where it was read as a whole.
local function reader_of(self)
  if core.body_is_streamed(self) then
    return function()
      return core.body_read(self)
    end
  end
  local text = self:text()
  return function()
    local piece = text
    text = nil
    return piece ~= "" and piece or nil
  end
end

function Request:chunks()
  local read = reader_of(self)
  return function()
    return checked(read())
  end
end

function Request:multipart(options)
  return multipart.parts(self, reader_of(self), options)
end

local function decode(text)
  return (text:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

-- The text may be percent-encoded, as the whole of it is by many who write cookies. Express puts
-- `s:` in front, which is not signed.
local function value_of(text, keys)
  local value = signature.verify(text, keys)
  if not value then
    text = decode(text)
    value = signature.verify(text, keys)
  end
  if not value and text:sub(1, 2) == "s:" then
    value = signature.verify(text:sub(3), keys)
  end
  return value
end

function Request:signed_cookie(name, keys)
  if type(name) ~= "string" then
    error("a cookie name is a string, got " .. type(name), 2)
  end
  keys = signature.keys(keys) or error(signature.WANTED, 2)
  local text = self.cookies[name]
  if not text then
    return nil, "there is no such cookie", "ENOENT"
  end
  local value = value_of(text, keys)
  if not value then
    return nil, "none of the keys has signed the cookie", "EBADMSG"
  end
  return value
end
