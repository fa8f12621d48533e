-- Lets pages of other origins read the answers (the Fetch standard, section 3.2). A browser asks
-- before it sends what no form could send: the preflight, an OPTIONS request that names the method.
-- It is answered here, for every path that has a route, in the place of the server's own answer to
-- OPTIONS. A path without one is answered with 404, as to any other request.
local options = require "lunesse.web.options"
local origins = require "lunesse.web.origins"

local any_header = {
  what = "a list of names, or \"*\"",
  takes = function(value) return value == "*" or options.tokens.takes(value) end,
}

local any_origin = {
  what = "\"*\", a function, or " .. origins.list.what,
  takes = function(value)
    return value == "*" or type(value) == "function" or origins.list.takes(value)
  end,
}

local known = {
  origins = { kind = any_origin },
  credentials = { kind = options.boolean, default = false },
  methods = { kind = options.tokens },
  headers = { kind = any_header, default = { "Authorization", "Content-Type" } },
  expose = { kind = options.tokens, default = {} },
  max_age = { kind = options.seconds, default = 600 },
  private_network = { kind = options.boolean, default = false },
}

local METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE" -- of a path that does not say which it has

-- The names, with the one that event streams need.
local function with_last_event_id(names)
  local list = { "Last-Event-ID", table.unpack(names) }
  return table.concat(list, ", ")
end

-- Returns a function that tells whether an origin may read.
local function judge_of(allowed)
  if allowed == "*" then
    return function() return true end
  elseif type(allowed) == "function" then
    return allowed
  end
  local set = origins.set(allowed)
  return function(origin) return set[origin] end
end

-- The headers that a page may send.
local function allowed_headers(read)
  if read.headers ~= "*" then
    local text = with_last_event_id(read.headers)
    return function() return text end
  end
  return function(request)
    return request.headers["access-control-request-headers"] or "Last-Event-ID"
  end
end

return function(given)
  local read = options.read("cors", given, known)
  local is_any = read.origins == "*"
  if read.origins == nil then
    options.fail("web.cors: origins is missing: %s", any_origin.what)
  elseif is_any and read.credentials then
    options.fail("web.cors: credentials are for origins that are named, not for \"*\"")
  end
  local may_read, headers_for = judge_of(read.origins), allowed_headers(read)
  local exposed = with_last_event_id(read.expose)
  local methods = read.methods and table.concat(read.methods, ", ")
  local max_age = ("%d"):format(read.max_age // 1)

  local function answer_preflight(request, response)
    response:header("Access-Control-Allow-Methods", methods or response:header("Allow") or METHODS)
    response:header("Access-Control-Allow-Headers", headers_for(request))
    response:header("Access-Control-Max-Age", max_age)
    if read.private_network and request.headers["access-control-request-private-network"] then
      response:header("Access-Control-Allow-Private-Network", "true")
    end
    return response:status(204):send()
  end

  return function(request, response, next)
    local origin = request.headers.origin
    if not is_any then
      response:add_header("Vary", "Origin") -- also of an answer without the headers below
    end
    if not origin or not may_read(origin, request) then
      return next()
    end
    response:header("Access-Control-Allow-Origin", is_any and "*" or origin)
    if read.credentials then
      response:header("Access-Control-Allow-Credentials", "true")
    end
    local is_preflight = request.method == "OPTIONS"
      and request.headers["access-control-request-method"] ~= nil
    if is_preflight and response:status() ~= 404 then
      return answer_preflight(request, response)
    end
    response:header("Access-Control-Expose-Headers", exposed)
    return next()
  end
end
