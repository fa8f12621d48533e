-- The server object: routes, groups, middlewares, hooks. While the scripts load, everything is only
-- written down here; `complete` then hands it to the C half, whose route table finds the route and
-- the middlewares of each request. So the order in which files and lines come does not matter.
local caller = require "lunesse.caller"
local core = require "lunesse.core"
local files = require "lunesse.files"

local server = {}

local Group = {}
Group.__index = Group
local Server = setmetatable({}, { __index = Group })
Server.__index = Server

local methods = { "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS" }
local longest = 1e9 -- seconds

local route_options = {
  on_leave = {
    what = "'cancel' or 'detach'",
    takes = function(value) return value == "cancel" or value == "detach" end,
  },
  body_bytes = {
    what = "a whole number of bytes",
    takes = function(value) return math.type(value) == "integer" and value >= 0 end,
  },
  body = {
    what = "'stream'",
    takes = function(value) return value == "stream" end,
  },
  compress = {
    what = "true or false",
    takes = function(value) return type(value) == "boolean" end,
  },
  raw_path = {
    what = "true or false",
    takes = function(value) return type(value) == "boolean" end,
  },
  sse = {
    what = "'always'",
    takes = function(value) return value == "always" end,
  },
  heartbeat = {
    what = "seconds, above 0 and up to 1e9, or false",
    takes = function(value)
      return value == false or type(value) == "number" and value > 0 and value <= longest
    end,
  },
}

local answer_unrouted

local routes = {} -- { method, pattern, options, handlers, source }
local middlewares = {} -- { prefix, fn }
local hooks = {} -- not_found, on_error
local compresses = true -- plain answers, unless a route says otherwise
local the_server

local function source_of_caller()
  local info = debug.getinfo(3, "Sl")
  return {
    place = info.short_src .. ":" .. info.currentline,
    folder = core.beside(info.source, ""),
  }
end

local function check_loading(what)
  if not core.is_loading() then
    error(what .. " belongs to the script's top level: the routes are already in use",
      caller.level())
  end
end

-- Checks a call of a method. With a dot in place of the colon, the first argument would be taken
-- for the server.
local function check_call(self, name, what)
  local class = type(self) == "table" and getmetatable(self)
  if class ~= Group and class ~= Server then
    error(("%s is called with a colon: server:%s(...)"):format(name, name), caller.level())
  end
  check_loading(what or name)
end

local function check_prefix(prefix)
  if type(prefix) ~= "string" or not prefix:match("^/") then
    error("a prefix begins with a slash", 3)
  elseif prefix:match("/%*") then
    error("a prefix has no '*': it stands for every path below it", 3)
  end
  return (prefix:gsub("/+$", ""))
end

local function check_functions(list, what)
  if #list == 0 then
    error(what .. " needs a handler function", 3)
  end
  for i = 1, list.n do
    if type(list[i]) ~= "function" then
      error(what .. ": functions expected, got " .. type(list[i]), 3)
    end
  end
end

local function names_of(options)
  local names = {}
  for name in pairs(options) do
    names[#names + 1] = name
  end
  table.sort(names)
  return table.concat(names, ", ")
end

local function check_options(options)
  for key, value in pairs(options) do
    local option = route_options[key]
    if not option then
      error(("unknown route option '%s'; there are %s"):format(tostring(key),
        names_of(route_options)), 3)
    elseif not option.takes(value) then
      error(key .. " is " .. option.what, 3)
    end
  end
end

local function add_route(group, method, pattern, source, ...)
  local handlers = table.pack(...)
  local options = {}
  if type(handlers[1]) == "table" then
    options = table.remove(handlers, 1)
    handlers.n = handlers.n - 1
    check_options(options)
  end
  if type(pattern) ~= "string" then
    error("a pattern is a string such as '/room/:name'", caller.level())
  elseif not pattern:match("^/") then
    error(("bad pattern '%s': a pattern starts with a slash"):format(pattern), caller.level())
  end
  check_functions(handlers, method .. " " .. pattern)
  routes[#routes + 1] = {
    method = method,
    pattern = group.prefix .. pattern,
    options = options,
    handlers = handlers,
    source = source.place,
    folder = source.folder,
  }
  return group
end

for _, method in ipairs(methods) do
  local name = method:lower()
  Group[name] = function(self, pattern, ...)
    check_call(self, name, "a route")
    return add_route(self, method, pattern, source_of_caller(), ...)
  end
end

function Group:any(pattern, ...)
  check_call(self, "any", "a route")
  return add_route(self, "*", pattern, source_of_caller(), ...)
end

-- Serves the files of a folder. What is not there is answered as what no route takes.
function Group:static(prefix, folder, options)
  check_call(self, "static", "a folder")
  local source = source_of_caller()
  prefix = check_prefix(prefix)
  local handler = files.handler(folder, options, source.folder, function(request, response)
    response:status(404)
    return answer_unrouted(request, response)
  end)
  if self.prefix .. prefix ~= "" then
    add_route({ prefix = "" }, "GET", self.prefix .. prefix, source, files.add_slash)
  end
  return add_route(self, "GET", prefix .. "/*path", source, handler)
end

function Group:use(...)
  check_call(self, "use", "a middleware")
  local prefix, list = "", table.pack(...)
  if type(list[1]) == "string" then
    prefix = check_prefix(table.remove(list, 1))
    list.n = list.n - 1
  end
  check_functions(list, "use")
  for i = 1, list.n do
    middlewares[#middlewares + 1] = { prefix = self.prefix .. prefix, fn = list[i] }
  end
  return self
end

function Group:route(prefix)
  check_call(self, "route", "a group")
  return setmetatable({ prefix = self.prefix .. check_prefix(prefix) }, Group)
end

local function set_hook(self, name, fn)
  check_call(self, name)
  if type(fn) ~= "function" then
    error(name .. " takes a function", 3)
  end
  if hooks[name] then
    error(name .. " is already set", 3)
  end
  hooks[name] = fn
end

function Server:on_error(fn)
  set_hook(self, "on_error", fn)
  return self
end

function Server:not_found(fn)
  set_hook(self, "not_found", fn)
  return self
end

-- Sets headers of every answer, including those that the server gives by itself.
function Server:headers(headers)
  check_call(self, "headers")
  if type(headers) ~= "table" then
    error("headers takes a table of names and values, got " .. type(headers), 2)
  end
  for name, value in pairs(headers) do
    if type(name) ~= "string" or type(value) ~= "string" and type(value) ~= "number" then
      error("headers takes a table of names and values, both strings", 2)
    end
    local ok, message = core.header(name, value)
    if not ok then
      error(message, 2)
    end
  end
  return self
end

-- Sets the hosts that requests may name. Without this call they may name any.
function Server:hosts(hosts)
  check_call(self, "hosts")
  if type(hosts) ~= "table" or #hosts == 0 then
    error("hosts takes a list of names such as { 'example.com', 'localhost' }", 2)
  end
  for _, host in ipairs(hosts) do
    if type(host) ~= "string" then
      error("a host is a string, got " .. type(host), 2)
    end
    local ok, message = core.host(host)
    if not ok then
      error(message, 2)
    end
  end
  return self
end

-- Sets what becomes of the streams that need this code when newer code takes its place.
function Server:on_reload(what)
  check_call(self, "on_reload")
  if type(what) ~= "function" and what ~= "keep" and what ~= "end" then
    error("on_reload takes 'keep', 'end' or a function", 2)
  end
  core.on_reload(what)
  return self
end

-- Whether the system takes the text as an address: it is short enough and has no NUL, at which the
-- system would stop reading.
local function is_address_text(text)
  return type(text) == "string" and #text > 0 and #text <= 107 and not text:find("\0", 1, true)
end

-- Returns the mode that the octal digits of a string or a whole number mean. Returns nil when they
-- are no such digits, or when the mode would keep the server itself from connecting.
local function parse_mode(mode)
  local digits = math.type(mode) == "integer" and tostring(mode) or mode
  if type(digits) ~= "string" or not digits:find("^0?[67][0-7][0-7]$") then
    return nil
  end
  return tonumber(digits, 8)
end

local ADDRESS_KEYS = { host = true, port = true, unix = true, mode = true, proxy_protocol = true }

local function check_address(where)
  for key in pairs(where) do
    if not ADDRESS_KEYS[key] then
      error(("unknown listen option '%s'; there are %s"):format(tostring(key),
        names_of(ADDRESS_KEYS)), 3)
    end
  end
  if where.proxy_protocol ~= nil and type(where.proxy_protocol) ~= "boolean" then
    error("proxy_protocol is true or false", 3)
  end
  if where.mode ~= nil and where.unix == nil then
    error("mode is for a Unix socket: { unix =, mode = }", 3)
  elseif where.mode ~= nil and not parse_mode(where.mode) then
    error("mode is octal digits between 600 and 777, such as \"660\"", 3)
  end
  if where.unix ~= nil then
    if where.host ~= nil or where.port ~= nil then
      error("listen takes a Unix socket or a host and a port, not both", 3)
    elseif not is_address_text(where.unix) then
      error("unix is the path of a socket, 1 to 107 bytes", 3)
    end
  elseif math.type(where.port) ~= "integer" then
    error("listen takes a port, { host =, port = } or { unix = }", 3)
  elseif where.port < 0 or where.port > 65535 then
    error("a port is between 0 and 65535", 3)
  elseif where.host ~= nil and not is_address_text(where.host) then
    error("host is an IPv4 or IPv6 address", 3)
  end
end

function Server:listen(where)
  check_call(self, "listen")
  if type(where) ~= "table" then
    where = { port = where }
  end
  check_address(where)
  caller.call(core.listen, where.unix or where.host or "127.0.0.1", where.port or 0,
    where.unix ~= nil, where.mode and parse_mode(where.mode), where.proxy_protocol)
  return self
end

local function set_limits(limits)
  if type(limits) ~= "table" then
    error("limits is a table, got " .. type(limits), 3)
  end
  for name, value in pairs(limits) do
    local ok, message = core.limit(tostring(name), value)
    if not ok then
      error(message, 3)
    end
  end
end

-- lunesse.server([options]). A generation has one server; every call returns it.
function server.open(options)
  if options ~= nil and type(options) ~= "table" then
    error("lunesse.server takes a table of options, got " .. type(options), 2)
  end
  for key in pairs(options or {}) do
    if key ~= "limits" and key ~= "compress" then
      error(("unknown server option '%s'; there are compress, limits"):format(tostring(key)), 2)
    end
  end
  if options and options.compress ~= nil then
    check_loading("compress")
    if type(options.compress) ~= "boolean" then
      error("compress is true or false", 2)
    end
    compresses = options.compress
  end
  if options and options.limits ~= nil then
    check_loading("limits")
    set_limits(options.limits)
  end
  the_server = the_server or setmetatable({ prefix = "" }, Server)
  return the_server
end

-- Runs list[i], which runs what follows it by calling `next`. A middleware that does not call
-- `next` ends the request. The last function is the handler: if it fails, the headers that were set
-- before it stay.
local function run(list, i, request, response)
  if i == #list then
    core.keep_headers(response)
    return list[i](request, response)
  end
  return list[i](request, response, function()
    return run(list, i + 1, request, response)
  end)
end

-- Answers a request that no route takes. The status, and Allow, are already set.
function answer_unrouted(request, response)
  local status = response:status()
  if status == 404 and hooks.not_found then
    return hooks.not_found(request, response)
  elseif status == 204 then
    return response:send()
  end
  return response:send(core.unrouted_text(status))
end

-- Returns the code of a route as bytes, by which a changed route is told from one that is as it
-- was.
local function code_of(route)
  local parts = {}
  for _, list in ipairs { middlewares, route.handlers } do
    for i = 1, #list do
      local fn = type(list[i]) == "table" and list[i].fn or list[i]
      local is_lua, code = pcall(string.dump, fn, true)
      parts[#parts + 1] = is_lua and code or ""
    end
  end
  return table.concat(parts)
end

-- Called once, when all scripts are loaded: enters the routes.
function server.complete()
  core.runner(run)
  for _, middleware in ipairs(middlewares) do
    core.middleware(middleware.prefix, middleware.fn)
  end
  for _, route in ipairs(routes) do
    local options = route.options
    core.route(route.method, route.pattern, route.handlers, route.source, {
      detached = options.on_leave == "detach",
      cancelled = options.on_leave == "cancel",
      body_bytes = options.body_bytes,
      streams_body = options.body == "stream",
      raw_path = options.raw_path,
      compresses = options.compress ~= false and (options.compress or compresses),
      always_streams = options.sse == "always",
      heartbeat = options.heartbeat,
      folder = route.folder,
      code = code_of(route),
    })
  end
  if hooks.not_found or #middlewares > 0 then
    core.fallback(answer_unrouted)
  end
  if hooks.on_error then
    core.on_error(hooks.on_error)
  end
end

return server
