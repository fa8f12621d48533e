-- The cookies of one client, as browsers keep them (RFC 6265, 5.3 and 5.4), by the clock of the
-- app. A client speaks to one host, over a connection that counts as secure, as that to localhost
-- does for browsers. A cookie for another host is not taken.

local cookies = {}

local MONTHS = {
  jan = 1, feb = 2, mar = 3, apr = 4, may = 5, jun = 6, jul = 7, aug = 8, sep = 9, oct = 10,
  nov = 11, dec = 12,
}

local Jar = {}
Jar.__index = Jar

---An empty jar; `now` answers the Unix time of the app.
---@param now fun(): number
function cookies.jar(now)
  return setmetatable({ now = now, list = {} }, Jar)
end

local function days_since_1970(year, month, day)
  local y = month <= 2 and year - 1 or year
  local era = y // 400
  local year_of_era = y - era * 400
  local day_of_year = (153 * (month + (month > 2 and -3 or 9)) + 2) // 5 + day - 1
  return era * 146097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year -
    719468
end

---The Unix time of a date as cookies have it (RFC 6265, 5.1.1), which is lax; nil when it is none.
function cookies.parse_date(text)
  local day, month, year = text:match("(%d%d?)[ -](%a%a%a)%a*[ -](%d%d%d?%d?)")
  if not day then -- as asctime has it: Sun Nov  6 08:49:37 1994
    month, day, year = text:match("(%a%a%a) +(%d%d?) +%d%d?:%d%d?:%d%d? +(%d%d%d%d)")
  end
  local hour, minute, second = text:match("(%d%d?):(%d%d?):(%d%d?)")
  month = month and MONTHS[month:lower()]
  if not month or not hour then
    return nil
  end
  year = tonumber(year)
  year = year < 70 and year + 2000 or year < 100 and year + 1900 or year
  return days_since_1970(year, month, tonumber(day)) * 86400 + hour * 3600 + minute * 60 + second
end

local function trim(text)
  return text:match("^[ \t]*(.-)[ \t]*$")
end

---The folder of a request's path (RFC 6265, 5.1.4).
local function default_path(path)
  local folder = path:match("^(/.*)/[^/]*$")
  return folder or "/"
end

local function path_matches(path, of_cookie)
  return path == of_cookie or path:sub(1, #of_cookie) == of_cookie and
    (of_cookie:sub(-1) == "/" or path:sub(#of_cookie + 1, #of_cookie + 1) == "/")
end

---The cookie of one Set-Cookie value, and its attributes by lower-case name.
local function parse(value)
  local pair, rest = value:match("^([^;]*)(.*)$")
  local name, text = pair:match("^([^=]*)=(.*)$")
  if not name or trim(name) == "" then
    return nil
  end
  local attributes = {}
  for attribute in rest:gmatch(";([^;]*)") do
    local key, word = attribute:match("^([^=]*)=(.*)$")
    attributes[trim(key or attribute):lower()] = trim(word or "")
  end
  return { name = trim(name), value = trim(text) }, attributes
end

---When the cookie ends: a Unix time; nil at the end of the client.
local function expiry(attributes, now)
  local age = attributes["max-age"]
  if age and age:find("^-?%d+$") then
    return now + tonumber(age)
  end
  return attributes["expires"] and cookies.parse_date(attributes["expires"])
end

---Whether a browser takes the cookie, which its name may forbid (RFC 6265bis, 4.1.3).
local function is_allowed(cookie, attributes, host)
  local domain = (attributes["domain"] or ""):gsub("^%.", ""):lower()
  if domain ~= "" and host ~= domain and host:sub(-#domain - 1) ~= "." .. domain then
    return false
  elseif cookie.name:find("^__Host%-") then
    return cookie.is_secure and attributes["path"] == "/" and domain == ""
  end
  return cookie.is_secure or not cookie.name:find("^__Secure%-")
end

function Jar:_remove(name, path)
  for i = #self.list, 1, -1 do
    if self.list[i].name == name and self.list[i].path == path then
      return table.remove(self.list, i)
    end
  end
end

---Takes in one Set-Cookie value of the answer to a request for `path` of `host`.
function Jar:take(value, path, host)
  local cookie, attributes = parse(value)
  if not cookie then
    return
  end
  local given = attributes["path"] or ""
  cookie.path = given:sub(1, 1) == "/" and given or default_path(path)
  cookie.is_secure = attributes["secure"] ~= nil
  cookie.is_http_only = attributes["httponly"] ~= nil
  cookie.same_site = attributes["samesite"]
  cookie.expires = expiry(attributes, self.now())
  if not is_allowed(cookie, attributes, host) then
    return
  end
  self:_remove(cookie.name, cookie.path)
  if not cookie.expires or cookie.expires > self.now() then
    self.list[#self.list + 1] = cookie
  end
end

---The cookies for a request for `path`, those of longer paths first, then the older ones.
function Jar:matching(path)
  local found = {}
  for i = #self.list, 1, -1 do
    local cookie = self.list[i]
    if cookie.expires and cookie.expires <= self.now() then
      table.remove(self.list, i)
    end
  end
  for age, cookie in ipairs(self.list) do
    if path_matches(path, cookie.path) then
      found[#found + 1] = { cookie = cookie, age = age }
    end
  end
  table.sort(found, function(a, b)
    local one, other = #a.cookie.path, #b.cookie.path
    return one > other or one == other and a.age < b.age
  end)
  for i, entry in ipairs(found) do
    found[i] = entry.cookie
  end
  return found
end

---The value of the Cookie field for a request for `path`; nil when there is none.
function Jar:field(path)
  local parts = {}
  for i, cookie in ipairs(self:matching(path)) do
    parts[i] = cookie.name .. "=" .. cookie.value
  end
  return parts[1] and table.concat(parts, "; ") or nil
end

return cookies
