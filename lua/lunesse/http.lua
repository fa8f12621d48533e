-- `lunesse.http`: requests to other servers. What a script says is checked here; the request
-- itself, and the wait for its answer, are the C half's (`core.http_request`).
local caller = require "lunesse.caller"
local core = require "lunesse.core"
local event_source = require "lunesse.event_source"
local page = require "lunesse.page"

local Client = {}
Client.__index = Client

local connections_default = 64
local redirects_default = 10
local bounds_default = { connect_timeout = 10, first_byte_timeout = 60, idle_timeout = 60 }

local longest = 1e9 -- seconds

local function is_seconds(value)
  return type(value) == "number" and value >= 0 and value <= longest
end

local function is_count(value)
  return math.type(value) == "integer" and value >= 0
end

local function is_table(value)
  return type(value) == "table"
end

local function is_string(value)
  return type(value) == "string"
end

local bounds = {
  connect_timeout = { what = "seconds", takes = is_seconds },
  first_byte_timeout = { what = "seconds", takes = is_seconds },
  idle_timeout = { what = "seconds", takes = is_seconds },
  body_bytes = { what = "a whole number of bytes", takes = is_count },
}

local client_options = setmetatable({
  base = { what = "a URL such as 'https://api.example.com'", takes = is_string },
  headers = { what = "a table of names and values", takes = is_table },
  redirects = { what = "a whole number", takes = is_count },
  ca = { what = "the path of a file of certificates", takes = is_string },
  certificate = { what = "the path of a file with a certificate", takes = is_string },
  key = { what = "the path of a file with a private key", takes = is_string },
  proxy = {
    what = "a URL with a port and without a user, such as 'http://proxy.example.com:3128'",
    takes = function(value) return is_string(value) and value:find("^http://[^/?#@%s%c]+:%d+$") end,
  },
  unix = {
    what = "the path of a Unix socket, of 1 to 107 bytes",
    takes = function(value) return is_string(value) and value:find("^[^%z]+$") and #value < 108 end,
  },
  connections = {
    what = "a whole number, 1 or more",
    takes = function(value) return math.type(value) == "integer" and value > 0 end,
  },
}, { __index = bounds })

local request_options = setmetatable({
  json = { what = "any value", takes = function() return true end },
  form = { what = "a table of names and values", takes = is_table },
  body = { what = "a string", takes = is_string },
  headers = { what = "a table of names and values", takes = is_table },
  query = { what = "a table of names and values", takes = is_table },
  redirects = { what = "a whole number", takes = is_count },
  stream = { what = "true or false", takes = function(value) return type(value) == "boolean" end },
}, { __index = bounds })

local source_options = setmetatable({
  headers = { what = "a table of names and values", takes = is_table },
  query = { what = "a table of names and values", takes = is_table },
  redirects = { what = "a whole number", takes = is_count },
  last_event_id = {
    what = "a string without control characters",
    takes = function(value) return is_string(value) and not value:find("%c") end,
  },
}, { __index = bounds })

-- What the client says itself.
local reserved = {
  ["connection"] = true, ["content-length"] = true, ["expect"] = true, ["keep-alive"] = true,
  ["te"] = true, ["trailer"] = true, ["transfer-encoding"] = true, ["upgrade"] = true,
}

local function check_options(options, known, what)
  if options == nil then
    return {}
  elseif type(options) ~= "table" then
    error(what .. " takes a table of options, got " .. type(options), caller.level())
  end
  for key, value in pairs(options) do
    local option = known[key]
    if not option then
      error(("%s: unknown option '%s'"):format(what, tostring(key)), caller.level())
    elseif not option.takes(value) then
      error(("%s: %s is %s"):format(what, key, option.what), caller.level())
    end
  end
  return options
end

local function is_text(value)
  local type = type(value)
  return type == "string" or type == "number"
end

local function check_field(name, value)
  if type(name) ~= "string" or not name:find("^[%w!#$%%&'*+.^_`|~-]+$") then
    error("a header name is letters, digits and !#$%&'*+-.^_`|~", caller.level())
  elseif reserved[name:lower()] then
    error(("the header '%s' is set by the client itself"):format(name), caller.level())
  end
  for _, item in ipairs(is_table(value) and value or { value }) do
    if item ~= false and (not is_text(item) or tostring(item):find("[\0-\8\10-\31\127]")) then
      error(("the header '%s': a string or a number without control characters, a list of them, "
        .. "or false, expected"):format(name), caller.level())
    end
  end
end

-- Puts the fields of `headers` into `fields`, by their names in lower case.
local function add_fields(fields, headers)
  for name, value in pairs(headers or {}) do
    check_field(name, value)
    fields[name:lower()] = { name = name, value = value }
  end
end

local function sorted_keys(list)
  local keys = {}
  for key in pairs(list) do
    keys[#keys + 1] = key
  end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  return keys
end

-- The fields as curl takes them: of one without a value a semicolon takes the colon's place, and
-- behind a colon nothing means that it is not sent at all: curl has a type of its own for bodies.
local function field_lines(fields)
  local lines = {}
  for _, key in ipairs(sorted_keys(fields)) do
    local field = fields[key]
    for _, value in ipairs(is_table(field.value) and field.value or { field.value }) do
      local text = value and tostring(value):match("^[ \t]*(.-)[ \t]*$")
      lines[#lines + 1] = not text and field.name .. ":" or text == "" and field.name .. ";"
        or field.name .. ": " .. text
    end
  end
  if not fields["content-type"] then
    lines[#lines + 1] = "Content-Type:"
  end
  lines[#lines + 1] = ""
  return table.concat(lines, "\n")
end

local function hex_of(byte)
  return ("%%%02X"):format(byte:byte())
end

-- Names and values as a form and a query have them. A list stands for the name as often as it has
-- values.
local function encode_pairs(values, what)
  local parts = {}
  for _, name in ipairs(sorted_keys(values)) do
    local value = values[name]
    for _, item in ipairs(is_table(value) and value or { value }) do
      if not is_text(name) or not (is_text(item) or type(item) == "boolean") then
        error(("%s: names with strings, numbers, true, false, or lists of them, expected"):format(
          what), caller.level())
      end
      parts[#parts + 1] = tostring(name):gsub("[^%w%-._~]", hex_of) .. "=" ..
        tostring(item):gsub("[^%w%-._~]", hex_of)
    end
  end
  return table.concat(parts, "&")
end

local function origin_of(url)
  return (url:match("^%a[%w+.-]*://[^/?#]*") or ""):lower()
end

-- The whole URL, or nil and why. With a base it is a path below it, or a URL of the same server:
-- the client's headers are for that server alone.
local function url_of(base, url)
  if base and url:find("^%a[%w+.-]*://") then
    if origin_of(url) ~= origin_of(base) then
      return nil, url .. ": this client is for " .. origin_of(base) .. " alone"
    end
  elseif base then
    url = base:gsub("/+$", "") .. (url:find("^[/?]") and "" or "/") .. url
  end
  local front, rest = url:match("^(%a[%w+.-]*://[^/?#]*)(.*)$")
  if not front then
    return nil, url .. ": a URL such as https://example.com/path expected"
  end
  return front .. rest:gsub("#.*", ""):gsub("[\128-\255]", hex_of)
end

-- `query` is a table, or encoded already.
local function with_query(url, query)
  local text = is_table(query) and encode_pairs(query, "query") or query or ""
  if text == "" then
    return url
  end
  return url .. (url:find("?", 1, true) and (url:find("[?&]$") and "" or "&") or "?") .. text
end

-- The body, and the type that it has by itself.
local function body_of(options)
  local count = (options.json ~= nil and 1 or 0) + (options.form and 1 or 0) +
    (options.body and 1 or 0)
  if count > 1 then
    error("a request has one of json, form and body", caller.level())
  elseif options.json ~= nil then
    return caller.call(core.json.encode, options.json), "application/json"
  elseif options.form then
    return encode_pairs(options.form, "form"), "application/x-www-form-urlencoded"
  end
  return options.body
end

local function check_client(self, name)
  if type(self) ~= "table" or getmetatable(self) ~= Client then
    error(("%s is called with a colon: client:%s(...)"):format(name, name), caller.level())
  end
end

-- One request, and its answer as a page.
local function ask_once(self, asked)
  local ask = asked.is_stream and core.http_open or core.http_request
  local status, head, answer, body_bytes = ask(self._pool, asked.method, asked.url,
    field_lines(asked.fields), asked.body, asked.limits)
  if not status then
    return nil, head, answer
  elseif asked.is_stream then
    return page.of_stream(asked.url, status, head, answer, body_bytes)
  end
  return page.of(asked.url, status, head, answer)
end

-- Makes of `asked` what the redirect of `answer` asks for (RFC 9110, section 15.4), or returns nil
-- and why that is not done. What is secret is for the server that it was given to.
local function redirect(asked, answer)
  local url = core.http_join(asked.url, answer.headers.location)
  if not url then
    return nil, asked.url .. ": the redirect leads to what is no URL"
  elseif origin_of(asked.url):find("^https:") and not origin_of(url):find("^https:") then
    return nil, asked.url .. ": the redirect leads from https to " .. origin_of(url)
  elseif origin_of(asked.url) ~= origin_of(url) then
    for _, name in ipairs { "authorization", "cookie", "proxy-authorization", "host" } do
      asked.fields[name] = nil
    end
  end
  local is_get = asked.method == "GET" or asked.method == "HEAD"
  local is_post = asked.method == "POST"
  if answer.status == 303 and not is_get or is_post and answer.status < 303 then
    asked.method, asked.body, asked.fields["content-type"] = "GET", nil, nil
  end
  asked.url = url:gsub("#.*", "")
  return true
end

local redirect_statuses = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }

-- The page at the end of all redirects.
local function follow(self, asked, redirects)
  for count = 0, redirects do
    local answer, why, code = ask_once(self, asked)
    local is_redirect = answer and redirect_statuses[answer.status] and answer.headers.location
    if not is_redirect or redirects == 0 then
      return answer, why, code
    end
    answer:close()
    local ok, complaint = redirect(asked, answer)
    if not ok then
      return nil, complaint, "EREDIRECT"
    elseif count == redirects then
      return nil, ("%s: more than %d redirects"):format(asked.url, redirects), "EREDIRECT"
    end
  end
end

-- The fields of a request: the client's, the body's type, and its own.
local function fields_of(self, headers, body_type)
  local fields = {}
  add_fields(fields, self._headers)
  if body_type then
    fields["content-type"] = { name = "Content-Type", value = body_type }
  end
  add_fields(fields, headers)
  return fields
end

local function limits_of(self, options)
  local limits = {}
  for name in pairs(bounds) do
    limits[name] = options[name] or self._bounds[name]
  end
  return limits
end

local function perform(self, method, url, options)
  if type(method) ~= "string" or not method:find("^[%w!#$%%&'*+.^_`|~-]+$") then
    error("a method is a word such as 'GET'", caller.level())
  elseif type(url) ~= "string" then
    error("a URL is a string, got " .. type(url), caller.level())
  end
  options = check_options(options, request_options, "a request")
  local body, body_type = body_of(options)
  local fields = fields_of(self, options.headers, body_type)
  local whole, why = url_of(self._base, url)
  if not whole then
    return nil, why, "EINVAL"
  end
  return follow(self, {
    method = method, url = with_query(whole, options.query), fields = fields, body = body,
    limits = limits_of(self, options), is_stream = options.stream,
  }, options.redirects or self._redirects)
end

-- The fields of a request for an event stream.
local function source_fields_of(self, headers, last_id)
  local fields = {}
  add_fields(fields, self._headers)
  add_fields(fields, { Accept = "text/event-stream", ["Cache-Control"] = "no-cache" })
  add_fields(fields, headers)
  fields["last-event-id"] = last_id and { name = "Last-Event-ID", value = last_id }
  return fields
end

function Client:request(method, url, options)
  check_client(self, "request")
  return perform(self, method, url, options)
end

-- An iterator over the events of `url`. Each connection is a request of its own, because a redirect
-- changes what is asked and drops what is secret.
function Client:event_source(url, options)
  check_client(self, "event_source")
  if type(url) ~= "string" then
    error("a URL is a string, got " .. type(url), caller.level())
  end
  options = check_options(options, source_options, "event_source")
  local query = options.query and encode_pairs(options.query, "query")
  source_fields_of(self, options.headers) -- raises what is wrong here and not in the loop
  return event_source(url, options.last_event_id ~= "" and options.last_event_id, function(last_id)
    local whole, why = url_of(self._base, url)
    if not whole then
      return nil, why, "EINVAL"
    end
    return follow(self, {
      method = "GET", url = with_query(whole, query), limits = limits_of(self, options),
      fields = source_fields_of(self, options.headers, last_id), is_stream = true,
    }, options.redirects or self._redirects)
  end)
end

for _, name in ipairs { "get", "post", "put", "patch", "delete", "head" } do
  Client[name] = function(self, url, options)
    check_client(self, name)
    return perform(self, name:upper(), url, options)
  end
end

-- Raises for a file that cannot be read: a client that cannot work is found out where it is made.
local function check_files(options, what)
  for _, name in ipairs { "ca", "certificate", "key" } do
    local file, complaint
    if options[name] then
      file, complaint = io.open(options[name])
    end
    if file then
      file:close()
    elseif complaint then
      error(("%s: %s: %s"):format(what, name, complaint), caller.level())
    end
  end
  if options.key and not options.certificate then
    error(what .. ": key is of a certificate, and there is none", caller.level())
  end
end

-- `what` is the function that a script has called. A client that `is_public` asks public addresses
-- alone.
local function make_client(options, what, is_public)
  options = check_options(options, client_options, what)
  add_fields({}, options.headers)
  if options.base and not options.base:find("^[Hh][Tt][Tt][Pp][Ss]?://[^/?#]+[^?#]*$") then
    error(what .. ": base is " .. client_options.base.what, caller.level())
  end
  check_files(options, what)
  for _, name in ipairs { "unix", "proxy" } do
    if options[name] and is_public then
      error(("%s: %s leads around the look at addresses"):format(what, name), caller.level())
    end
  end
  if options.unix and options.proxy then
    error(what .. ": either unix or proxy", caller.level())
  end
  local limits = {}
  for name in pairs(bounds) do
    limits[name] = options[name] or bounds_default[name]
  end
  local headers = {}
  for name, value in pairs(options.headers or {}) do
    headers[name] = value
  end
  return setmetatable({
    _base = options.base, _headers = headers, _bounds = limits,
    _redirects = options.redirects or redirects_default,
    _pool = caller.call(core.http_pool, options.connections or connections_default, {
      ca = options.ca, certificate = options.certificate, key = options.key, unix = options.unix,
      proxy = options.proxy,
    }, is_public),
  }, Client)
end

-- The functions of `lunesse.http`, called `name`, or those of `http.public`.
local function functions_of(name, is_public)
  local functions = {}
  local shared -- the client of those who have none; made when it is first used

  function functions.client(options)
    return make_client(options, name .. ".client", is_public)
  end

  for _, key in ipairs {
    "get", "post", "put", "patch", "delete", "head", "request", "event_source",
  } do
    functions[key] = function(...)
      shared = shared or functions.client()
      return shared[key](shared, ...)
    end
  end
  return functions
end

local http = functions_of("http", false)
http.public = functions_of("http.public", true)

return http
