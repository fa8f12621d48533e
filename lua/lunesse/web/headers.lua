-- The headers by which a page tells the browser what it does not do. They are set before the
-- handler runs, so a handler can set others in their place.
local crypto = require "lunesse.crypto"
local options = require "lunesse.web.options"

local NONCE_BYTES = 16
local YEAR = 365 * 24 * 3600

local hsts_kind = {
  what = "seconds, or { max_age = seconds, subdomains = true, preload = true }, or false",
  takes = function(value)
    local max_age = type(value) == "table" and value.max_age or value
    for key in pairs(type(value) == "table" and value or {}) do
      if key ~= "max_age" and key ~= "subdomains" and key ~= "preload" then
        return false
      end
    end
    return value == false or math.type(max_age) == "integer" and max_age >= 0
  end,
}

local text_or_false = options.or_false(options.text)

local known = {
  csp = {
    kind = text_or_false,
    default = "default-src 'self'; script-src 'self' 'nonce'; style-src 'self' 'nonce'; " ..
      "object-src 'none'; base-uri 'none'; form-action 'self'",
  },
  report_only = { kind = options.boolean, default = false },
  frame_ancestors = { kind = options.text, default = "'none'" },
  hsts = { kind = hsts_kind, default = YEAR },
  referrer = { kind = text_or_false, default = "strict-origin-when-cross-origin" },
  permissions = { kind = text_or_false, default = false },
  opener = { kind = text_or_false, default = "same-origin" },
  resource = { kind = text_or_false, default = false },
}

local FRAME_OPTIONS = { ["'none'"] = "DENY", ["'self'"] = "SAMEORIGIN" } -- for old browsers

local function hsts_text(hsts)
  if type(hsts) ~= "table" then
    return hsts and ("max-age=%d"):format(hsts)
  end
  return ("max-age=%d%s%s"):format(hsts.max_age, hsts.subdomains and "; includeSubDomains" or "",
    hsts.preload and "; preload" or "")
end

-- The policy, split where a nonce goes.
local function policy_of(read)
  if not read.csp then
    return nil
  end
  local text = read.csp
  if not text:find("frame-ancestors", 1, true) then
    text = text .. "; frame-ancestors " .. read.frame_ancestors
  end
  local parts = {}
  for part in (text .. "'nonce'"):gmatch("(.-)'nonce'") do
    parts[#parts + 1] = part
  end
  return parts
end

-- The headers that are the same in every answer.
local function constant_headers(read)
  return {
    ["X-Content-Type-Options"] = "nosniff",
    ["X-Frame-Options"] = FRAME_OPTIONS[read.frame_ancestors],
    ["Referrer-Policy"] = read.referrer or nil,
    ["Permissions-Policy"] = read.permissions or nil,
    ["Cross-Origin-Opener-Policy"] = read.opener or nil,
    ["Cross-Origin-Resource-Policy"] = read.resource or nil,
  }
end

return function(given)
  local read = options.read("headers", given, known)
  local policy, hsts, headers = policy_of(read), hsts_text(read.hsts), constant_headers(read)
  local policy_name = "Content-Security-Policy" .. (read.report_only and "-Report-Only" or "")

  return function(request, response, next)
    for name, value in pairs(headers) do
      response:header(name, value)
    end
    if policy and #policy > 1 then
      request.state.nonce = crypto.base64url(crypto.random(NONCE_BYTES))
      local source = ("'nonce-%s'"):format(request.state.nonce)
      response:header(policy_name, table.concat(policy, source))
    elseif policy then
      response:header(policy_name, policy[1])
    end
    if hsts and request.scheme == "https" then
      response:header("Strict-Transport-Security", hsts)
    end
    return next()
  end
end
