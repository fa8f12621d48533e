-- The page at /, which opens the streams of the scripts beside this one. It is the file index.html,
-- as it stands: nothing is built, and nothing comes from anywhere else.
local lunesse = require "lunesse"
local server = lunesse.server()

-- A script is given its own path, so it finds what lies beside it from wherever it was started.
local path = ...
local file = assert(io.open((path:gsub("%.lua$", ".html")), "rb"))
local page = file:read("a")
file:close()

server:get("/", function(request, response)
  response:type("text/html; charset=utf-8")
  response:header("Cache-Control", "no-cache")
  -- The browser is held to the sentence above: it loads and asks nothing but this server.
  response:header("Content-Security-Policy", "default-src 'none'; connect-src 'self'; " ..
    "img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'")
  response:send(page)
end)

-- The scripts behind the streams, to be read. Only these: what else is in the folder is nobody's
-- business.
local folder = path:match("^.*/") or ""
local shown = {}
local names = "index clock countdown tokens by_hand answers relay poll chat publish"
for name in names:gmatch("%S+") do
  shown[name .. ".lua"] = folder .. name .. ".lua"
end

server:get("/source/:name", function(request, response)
  local source = shown[request.params.name] and io.open(shown[request.params.name], "rb")
  if not source then
    return response:status(404):send("there is no such script here\n")
  end
  local text = source:read("a")
  source:close()
  response:header("Cache-Control", "no-cache")
  response:header("X-Content-Type-Options", "nosniff")
  response:send(text) -- plain text, as any answer that does not say otherwise
end)
