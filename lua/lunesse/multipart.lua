-- Parts of a body of the type multipart/form-data, one after the other. The C half finds where each
-- begins and ends (`core.multipart_next`); what is fed to it comes from the request.
local caller = require "lunesse.caller"
local core = require "lunesse.core"

local Part = {}
Part.__index = Part

local parts_default <const> = 1000
local head_bytes_default <const> = 16 * 1024
local text_bytes_default <const> = 1024 * 1024

local headers_class = {
  __index = function(headers, name)
    return type(name) == "string" and rawget(headers, name:lower()) or nil
  end,
}

local function is_count(value)
  return math.type(value) == "integer" and value > 0 and value <= 0x7ffffffe
end

local known_options = { parts = true, part_bytes = true, head_bytes = true }

local function check_options(options)
  if type(options) ~= "table" then
    error("request:multipart takes a table of options, got " .. type(options), caller.level())
  end
  for key, value in pairs(options) do
    if not known_options[key] then
      error(("request:multipart: unknown option '%s'"):format(tostring(key)), caller.level())
    elseif not (key == "part_bytes" and math.type(value) == "integer" and value > 0) and
        not is_count(value) then
      error(("request:multipart: %s is a whole number, 1 or more"):format(key), caller.level())
    end
  end
end

local function headers_of(head)
  local headers, fields = {}, core.multipart_fields(head)
  for i = 1, #fields, 2 do
    local name, value = fields[i]:lower(), fields[i + 1]
    headers[name] = headers[name] and headers[name] .. ", " .. value or value
  end
  return setmetatable(headers, headers_class)
end

-- Whatever fails stays failed.
local function fail(self, _, why, code)
  self.why, self.code = why, code
  return nil, why, code
end

local function refuse(self, kind)
  return fail(self, core.multipart_refuse(self.request, kind))
end

-- What comes next of the body: "head", "data", "part_end" or "end"; nil and why.
local function next_news(self)
  while not self.why do
    local news, piece, code = core.multipart_next(self.reader, self.request)
    if not news then
      return fail(self, nil, piece, code)
    elseif news ~= "more" then
      return news, piece
    end
    local bytes, why
    bytes, why, code = self.read()
    if not bytes and not code then
      return refuse(self, "cut")
    elseif not bytes then
      return fail(self, nil, why, code)
    end
    bytes, why, code = core.multipart_feed(self.reader, bytes)
    if not bytes then
      return fail(self, nil, why, code)
    end
  end
  return nil, self.why, self.code
end

local function part_of(self, head)
  local headers = headers_of(head)
  local name, filename = core.multipart_names(headers["content-disposition"] or "")
  filename = filename and (filename:match("^.*[/\\](.*)$") or filename)
  self.count = self.count + 1
  if not name then
    return refuse(self, "name")
  elseif self.count > self.parts then
    return refuse(self, "parts")
  end
  self.part = setmetatable({
    name = name, filename = filename, headers = headers,
    type = headers["content-type"] or "text/plain", _source = self, _size = 0,
  }, Part)
  return self.part
end

-- The next part; the rest of the one before is passed over. nil behind the last one; nil and why.
local function next_part(self)
  local news, piece, code
  self.part = nil
  repeat
    news, piece, code = next_news(self)
  until news ~= "data" and news ~= "part_end"
  if news == "head" then
    return part_of(self, piece)
  end
  return nil, piece, code
end

function Part:read()
  local source = self._source
  if self._has_ended then
    return nil
  elseif source.part ~= self then
    return nil, "the loop has passed this part", "ECLOSED"
  end
  local news, piece, code = next_news(source)
  if news == "data" then
    self._size = self._size + #piece
    if self._size > source.part_bytes then
      return refuse(source, "part_bytes")
    end
    return piece
  elseif news then
    source.part, self._has_ended = nil, true
    return nil
  end
  return nil, piece, code
end

-- In a loop the end of a body has to be told from a body that was cut, so that one raises.
local function checked(value, why, code)
  if value == nil and code then
    error(why, caller.level())
  end
  return value
end

function Part:chunks()
  return function()
    return checked(self:read())
  end
end

function Part:text(bytes_max)
  bytes_max = bytes_max or text_bytes_default
  if not is_count(bytes_max) then
    error("part:text takes a whole number of bytes, 1 or more", caller.level())
  end
  local parts, size = {}, 0
  while true do
    local piece, why, code = self:read()
    if not piece then
      return not code and table.concat(parts) or nil, why, code
    end
    size = size + #piece
    if size > bytes_max then
      return nil, ("the part '%s' is larger than %d bytes"):format(self.name, bytes_max), "EMSGSIZE"
    end
    parts[#parts + 1] = piece
  end
end

local function check_save(path, options)
  if type(path) ~= "string" or path == "" or path:find("\0", 1, true) then
    error("part:save takes a path, which is not empty and has no NUL", caller.level())
  elseif options ~= nil and type(options) ~= "table" then
    error("part:save takes a table of options, got " .. type(options), caller.level())
  end
  for key, value in pairs(options or {}) do
    if key ~= "replace" then
      error(("part:save: unknown option '%s'"):format(tostring(key)), caller.level())
    elseif type(value) ~= "boolean" then
      error("part:save: replace is true or false", caller.level())
    end
  end
end

-- What is not finished is closed, and leaves nothing behind.
function Part:save(path, options)
  check_save(path, options)
  local file <close>, why, code = core.save_open(self._source.request, path,
    options ~= nil and options.replace)
  local is_open, size = file, 0
  while is_open do
    local piece
    piece, why, code = self:read()
    if not piece then
      break
    end
    size = size + #piece
    is_open, why, code = core.save_write(file, piece)
  end
  if code then
    return nil, why, code
  end
  is_open, why, code = core.save_finish(file)
  if not is_open then
    return nil, why, code
  end
  return size
end

local multipart = { Part = Part }

-- An iterator over the parts of `request`, whose body `read` gives piece by piece.
function multipart.parts(request, read, options)
  options = options or {}
  check_options(options)
  local self = {
    request = request, read = read, count = 0, parts = options.parts or parts_default,
    part_bytes = options.part_bytes or math.maxinteger,
    reader = core.multipart_new(request.headers["content-type"] or "",
      options.head_bytes or head_bytes_default),
  }
  if not self.reader then
    refuse(self, "type")
  end
  return function()
    return checked(next_part(self))
  end
end

return multipart
