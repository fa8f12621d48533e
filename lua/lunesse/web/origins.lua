-- Origins as browsers send them: "https://example.com", "http://localhost:8080".
local options = require "lunesse.web.options"

local origins = {}

local DEFAULT_PORTS = { http = ":80", https = ":443" }

-- Whether a browser can send this text as an origin, with exactly these characters: in lower case,
-- without a path, and without the port that goes without saying.
local function is_origin(text)
  if type(text) ~= "string" or text:find("%u") then
    return false
  end
  local scheme, host = text:match("^(%l[%l%d+.-]*)://([^%s/?#@,]+)$")
  local port = DEFAULT_PORTS[scheme]
  return host ~= nil and not (port and host:sub(-#port) == port)
end

-- The kind of an option: a list of origins.
origins.list = options.list({ takes = is_origin }, "a list of origins such as " ..
  "\"https://example.com\", in lower case, without a path and without a default port")

-- A list as a set.
function origins.set(list)
  local set = {}
  for _, origin in ipairs(list or {}) do
    set[origin] = true
  end
  return set
end

-- Whether the origin is the one that the request was sent to. The scheme counts only where it is
-- known to be https: without a trusted proxy the server cannot know that of TLS in front of it.
function origins.is_own(origin, request)
  local scheme, host = origin:lower():match("^(%l[%l%d+.-]*)://([^/]+)$")
  local own = request.host and request.host:lower()
  if not host or not own or request.scheme == "https" and scheme ~= "https" then
    return false
  end
  local port = DEFAULT_PORTS[scheme]
  if port and own:sub(-#port) == port and host ~= own then
    own = own:sub(1, -#port - 1)
  end
  return host == own
end

return origins
