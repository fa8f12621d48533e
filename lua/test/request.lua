-- The bytes of a request, from what a caller says of it.

local request = {}

---Percent-encodes what is not unreserved (RFC 3986, 2.3).
function request.escape(text)
  return (tostring(text):gsub("[^%w%-._~]", function(char)
    return ("%%%02X"):format(char:byte())
  end))
end

---`a=1&b=2` of a table; a list of values repeats the name. The names are sorted, so that the bytes
---are the same in every run.
function request.form(fields)
  local names, parts = {}, {}
  for name in pairs(fields) do
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local values = fields[name]
    for _, value in ipairs(type(values) == "table" and values or { values }) do
      parts[#parts + 1] = request.escape(name) .. "=" .. request.escape(value)
    end
  end
  return table.concat(parts, "&")
end

---The bytes of a request. Fields: `method` (GET), `target` (/), `version` (1.1), `headers` (a
---table, or a list of `{name, value}` to keep order and repeat), `body`. Host and Content-Length
---are added when absent; `host = false` leaves Host out.
function request.bytes(fields)
  local lines, seen = {}, {}
  local function add(name, value)
    seen[name:lower()] = true
    lines[#lines + 1] = name .. ": " .. value
  end
  for key, value in pairs(fields.headers or {}) do
    if type(key) == "number" then
      add(value[1], value[2])
    else
      add(key, value)
    end
  end
  if fields.host ~= false and not seen["host"] then
    table.insert(lines, 1, "Host: " .. (fields.host or "localhost"))
  end
  if fields.body and not seen["content-length"] and not seen["transfer-encoding"] then
    add("Content-Length", tostring(#fields.body))
  end
  table.insert(lines, 1, ("%s %s HTTP/%s"):format(
    fields.method or "GET", fields.target or "/", fields.version or "1.1"))
  return table.concat(lines, "\r\n") .. "\r\n\r\n" .. (fields.body or "")
end

return request
