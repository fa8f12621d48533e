-- Refuses what pages of other sites send with the cookies of their readers (CSRF), without tokens.
-- A browser says in Sec-Fetch-Site where a request comes from, and no page can change that. One
-- that does not say it sends Origin, which is held against the host. A request with neither comes
-- from no page.
local options = require "lunesse.web.options"
local origins = require "lunesse.web.origins"

local known = {
  origins = { kind = origins.list },
  same_site = { kind = options.boolean, default = false },
  reads = { kind = options.boolean, default = false },
}

local READS = { GET = true, HEAD = true }

-- Whether the request opens the page in a window, as following a link does.
local function is_navigation(request)
  return request.headers["sec-fetch-mode"] == "navigate"
    and request.headers["sec-fetch-dest"] == "document"
end

return function(given)
  local read = options.read("same_origin", given, known)
  local others = origins.set(read.origins)

  local function is_own(request)
    local origin, site = request.headers.origin, request.headers["sec-fetch-site"]
    if origin and others[origin] then
      return true
    elseif site then
      return site == "same-origin" or site == "none" or read.same_site and site == "same-site"
    end
    return not origin or origins.is_own(origin, request)
  end

  return function(request, response, next)
    local is_read = READS[request.method]
    if is_read and read.reads then
      response:add_header("Vary", "Sec-Fetch-Site, Origin")
    end
    if request.method == "OPTIONS" or is_read and (not read.reads or is_navigation(request))
      or is_own(request) then
      return next()
    end
    return response:status(403):send("403: this request comes from a page of another site\n")
  end
end
