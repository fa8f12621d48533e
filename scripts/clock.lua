local lunesse = require "lunesse"
local server = lunesse.server()

server:get("/clock", function(request, response)
  local sse = response.sse
  if not sse then
    return response:status(400):send("this route speaks text/event-stream\n")
  end

  sse:open()
  sse:send("connected")

  local ticker = lunesse.every(5, function()
    sse:send("server time: " .. os.date("!%FT%TZ"))
  end)

  response:once("close", function(reason)
    ticker:stop()
  end)
end)

server:listen(3000)
