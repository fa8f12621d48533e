-- What the specs of `lunesse.postgres` share: a server whose script has a database.

local Server = require "spec.support.server"

local support = {}

local SCRIPT = [[
local lunesse = require "lunesse"
local server = lunesse.server()
local URL = %q
local null = lunesse.json.null
local function told(...)
  local list = table.pack(...)
  for i = 1, list.n do list[i] = tostring(list[i]) end
  return table.concat(list, " ")
end
local db = lunesse.postgres { url = URL, %s }
server:get("/hello", function(_, response) response:send("hello") end)
]]

---A server with `db`, a pool for `url`, and the handlers of `text`. Options are the server's, and
---`pool`, more options of the pool.
function support.start(url, text, options)
  options = options or {}
  return Server.start(SCRIPT:format(url, options.pool or "") .. text, options)
end

---What the function body `text` returns, as `tostring` has it, with blanks between.
function support.run(url, text, options)
  local server = support.start(url, ([[
    server:get("/", function(request, response)
      response:send(told((function() %s end)()))
    end)
  ]]):gsub("%%s", (text:gsub("%%", "%%%%"))), options)
  local answer = server:request { target = "/" }
  return answer.body, server
end

---A client that has sent GET `target`, and whose answer is still to be read.
function support.begin(server, target)
  local client = server:connect()
  client:send(("GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n"):format(target))
  return client
end

return support
