-- web.cors and web.same_origin as Chromium has them: a page of one origin, a server of another.

local support = require "spec.sse.support"
local Client = require "spec.support.client"

local PAGE = [[
server:get("/", function(_, response) response:type("text/html"):send("<p>page</p>") end)
]]

local API = [[
server:use(lunesse.web.cors { origins = { "ORIGIN" }, credentials = true })
server:get("/login", function(_, response)
  response:cookie("session", "moonshine", { path = "/" }):send("")
end)
server:put("/who", function(request, response)
  response:send(request.cookies.session .. " " .. request.last_event_id)
end)
server:get("/events", function(request, response)
  response.sse:send("you are " .. request.cookies.session)
  lunesse.sleep(1000)
end)
]]

local ASK = [[
  const api = 'API'
  const attempt = (promise) => promise.catch((error) => error.name)
  await attempt(fetch(api + '/login', { credentials: 'include' }))
  const put = () => attempt(fetch(api + '/who', {
    method: 'PUT', credentials: 'include', body: '{}',
    headers: { 'Content-Type': 'application/json', 'Last-Event-ID': '7-7' },
  }).then((answer) => answer.text()))
  const first = await put()
  const second = await put()
  const missing = await attempt(fetch(api + '/nowhere').then((answer) => answer.status))
  const event = await new Promise((resolve) => {
    const source = new EventSource(api + '/events', { withCredentials: true })
    source.onmessage = ({ data }) => { source.close(); resolve(data) }
    source.onerror = () => { source.close(); resolve('error') }
  })
  return { first, second, missing, event }
]]

describe("In Chromium", function()
  it("a page of a named origin sends cookies, reads answers and streams, and asks before once",
    function()
      local page, stranger = support.start(PAGE), support.start(PAGE)
      local api = support.start((API:gsub("ORIGIN", page.url)))
      local ask = ASK:gsub("API", api.url)
      assert.same({ first = "moonshine 7-7", second = "moonshine 7-7", missing = 404,
        event = "you are moonshine" }, (Client.browse(page.url .. "/", ask)))
      assert.equal(1, #api:log_lines("method=OPTIONS target=/who status=204"))
      assert.equal(2, #api:log_lines("method=PUT target=/who status=200"))
      assert.same({ first = "TypeError", second = "TypeError", missing = "TypeError",
        event = "error" }, (Client.browse(stranger.url .. "/", ask)))
      assert.equal(2, #api:log_lines("method=PUT target=/who status=200"))
    end)

  it("what a page of another origin sends is refused without its asking before", function()
    local page = support.start(PAGE)
    local own = support.start(PAGE .. [[
      server:use(lunesse.web.same_origin())
      server:post("/said", function(_, response) response:send("done") end)
    ]])
    local send = ("await fetch('%s/said', { method: 'POST', body: 'x', mode: '%s' })\nreturn 1")
    Client.browse(page.url .. "/", send:format(own.url, "no-cors"))
    eventually(function()
      return #own:log_lines("method=POST target=/said status=403") == 1
    end)
    Client.browse(own.url .. "/", send:format(own.url, "same-origin"))
    eventually(function()
      return #own:log_lines("method=POST target=/said status=200") == 1
    end)
  end)
end)
