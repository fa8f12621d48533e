-- A page for each of three frameworks that take their updates from an event stream. The first
-- stream of each fails after one event, and the next one goes on: a page that shows both came back.
local lunesse = require "lunesse"
local server = lunesse.server()

local folder = (...):match("^(.*)/routes/") .. "/../node_modules/"

local function page(name, library, body)
  server:get("/" .. name, function(_, response)
    response:type("text/html; charset=utf-8")
    response:send(('<!doctype html><title>%s</title>\n%s\n%s\n'):format(name, library, body))
  end)
end

-- What stands between `first` and `second` is what the framework has to survive.
local function stream(path, first, second)
  local count = 0
  server:get(path, function(_, response)
    local sse = response.sse
    count = count + 1
    sse:open { retry = 0.05 }
    if count == 1 then
      first(sse)
      lunesse.sleep(0.2) -- a browser drops what fetch has not read when the body fails
      error("on purpose")
    end
    second(sse)
    lunesse.sleep(1000000)
  end)
end

-- Datastar's modules name each other without the ending, and folders without their index.
server:get("/lib/*path", function(request, response)
  local path = request.params.path
  local file = io.open(folder .. path:gsub("%.js$", "") .. ".js", "rb")
  if not file then
    return response:redirect("/lib/" .. path .. "/index.js")
  end
  response:type("text/javascript; charset=utf-8")
  response:send(file:read("a"))
  file:close()
end)

-- Datastar reads by fetch, so that it comes back only from a stream that was cut.
page("datastar",
  '<script type="module" src="/lib/@starfederation/datastar/dist/bundles/datastar.js"></script>',
  [[<div data-on-load="@get('/datastar/events', { retryInterval: 50 })">
<output id="first"></output><output id="second"></output></div>]])

local function merge(sse, id, text)
  sse:send("datastar-merge-fragments", ('fragments <output id="%s">%s</output>'):format(id, text))
end

stream("/datastar/events", function(sse) merge(sse, "first", "1") end, function(sse)
  merge(sse, "second", "2")
end)

page("htmx",
  '<script src="/lib/htmx.org/dist/htmx.min.js"></script>' ..
  '<script src="/lib/htmx-ext-sse/sse.js"></script>',
  [[<div hx-ext="sse" sse-connect="/htmx/events">
<output id="first" sse-swap="first"></output>
<output id="second" sse-swap="second"></output></div>]])

stream("/htmx/events", function(sse) sse:send("first", "<b>1</b>\n") end, function(sse)
  sse:send("second", "<b>\n2</b>")
end)

page("turbo", '<script src="/lib/@hotwired/turbo/dist/turbo.es2017-umd.js"></script>',
  [[<output id="first"></output><output id="second"></output>
<turbo-stream-source src="/turbo/events"></turbo-stream-source>]])

local function update(sse, id, text)
  sse:send(('<turbo-stream action="update" target="%s">\n<template>%s</template>\n</turbo-stream>')
    :format(id, text))
end

stream("/turbo/events", function(sse) update(sse, "first", "1") end, function(sse)
  update(sse, "second", "2")
end)
