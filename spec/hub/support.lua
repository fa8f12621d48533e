-- What the specs of channels have in common: a server whose scripts do what a spec tells them, and
-- streams on the channels that their address names.

local clock = require "spec.support.clock"
local Server = require "spec.support.server"
local sse = require "spec.support.sse"
local wire = require "spec.support.wire"
local support = require "spec.sse.support"

local hub = {
  marks = support.marks, await_marks = support.await_marks, chunk = support.chunk,
  await_access_line = support.await_access_line,
}

-- `POST /do` runs the Lua that it is sent, in an environment of its own, and answers what that
-- returned, or raised. `GET /on/a,b` subscribes to the channels a and b and does no more. What the
-- Lua keeps is in one worker, so it always runs in the first; streams are wherever they come to.
local SCRIPT = [[
env = setmetatable({ lunesse = lunesse, mark = mark, hold = hold, kept = {} }, { __index = _G })
env.channel = lunesse.channel
server:get("/worker", function(request, response) response:send(lunesse.worker) end)
local function words(...)
  local list = table.pack(...)
  for i = 1, list.n do list[i] = tostring(list[i]) end
  return table.concat(list, " ")
end
server:post("/do", { body_bytes = 10000000 }, function(request, response)
  response:send(words(select(2, pcall(assert(load(request:text(), "=do", "t", env))))))
end)
server:get("/on/*names", function(request, response)
  local options = request.query.since and { since = request.query.since } or nil
  for name in request.params.names:gmatch("[^,]+") do
    response.sse:subscribe(lunesse.channel(name), options)
  end
end)
]]

hub.SCRIPT = SCRIPT

local function begin(start, text, options)
  local shares = text:find("%f[%w]kept%.") or text:find("%f[%w]env[ .]")
  options.workers = options.workers or shares and 1 or nil
  return start(SCRIPT:gsub("\n", " ") .. text, options)
end

---Starts a server that does what it is told, with the further lines `text`. The first line of
---`text` is its line 1. Where its routes share variables with `POST /do`, there is one worker.
function hub.start(text, options)
  return begin(support.start, text or "", options or {})
end

---The same in the test kit; see spec/support/inner_server.lua.
function hub.start_inside(text, options)
  return begin(support.start_inside, text or "", options or {})
end

---A kept connection to the worker `number`. The server has the route `/worker`.
function hub.connect(server, number)
  for _ = 1, 200 do
    local client = server:connect()
    if server.worker_count == 1 then
      return client
    end
    client:send(wire.request { target = "/worker" })
    if client:response("GET").body == tostring(number) then
      return client
    end
    client:close()
  end
  error("no connection came to worker " .. number)
end

---Asks for what `run` asks for, on a connection, and does not wait for the answer.
function hub.begin(client, code, ...)
  local text = select("#", ...) > 0 and code:format(...) or code
  client:send(wire.request { method = "POST", target = "/do", body = text })
end

---What the code returned, or raised, that was begun.
function hub.answer(client, seconds)
  local response = client:response("POST", seconds)
  assert(response.status == 200, response.body)
  return response.body
end

---Runs `code` in a handler, and returns what it returned, or raised, as words. `where` is a server,
---in whose first worker it runs, or a connection, in whose worker it runs. Values that are to be
---put into it are given as to `string.format`.
function hub.run(where, code, ...)
  local client = where.buffer and where or hub.connect(where, 1)
  hub.begin(client, code, ...)
  local words = hub.answer(client, 20)
  if client ~= where then
    client:close()
  end
  return words
end

---Keeps the worker of the connection `held` busy, so that it sees nothing of what others do, until
---the function is called that this returns. The worker then runs `code` before all else, in the
---same turn, and the function returns what the code returned. `other` is a connection to a worker
---that stays free; a new one might come to the busy worker. Once a server, which was started with a
---run_timeout that allows it.
function hub.hold(held, other, code)
  hub.begin(held, [[
    local flags = lunesse.shared("flags")
    flags:set("is held", true)
    repeat until flags:get("may go on")
    ]] .. code)
  clock.eventually(function()
    return hub.run(other, "return lunesse.shared('flags'):get('is held')") == "true"
  end)
  return function()
    hub.run(other, "lunesse.shared('flags'):set('may go on', true)")
    return hub.answer(held)
  end
end

---Gives `target` what publishes by its function `run`, whose first argument says where.
function hub.add_publishing(target)
  ---Publishes to the channel `name`, and returns the id. `where` as for `run`.
  function target.publish(where, name, ...)
    local words = {}
    for i, word in ipairs { ... } do
      words[i] = type(word) == "string" and ("%q"):format(word) or tostring(word)
    end
    local code = "return channel(%q):publish(%s)"
    local id = target.run(where, code, name, table.concat(words, ", "))
    assert(id:find("^%x+%-%d+$"), id)
    return id
  end

  ---Publishes `first` to `last` to the channel, as the numbers they are, in one turn.
  function target.publish_numbers(where, name, first, last)
    local code = "local c, id = channel(%q) for n = %d, %d do id = c:publish(n) end return id"
    return target.run(where, code, name, first, last)
  end
end

hub.add_publishing(hub)

---Whether memory that was freed is not given back, so that nothing can be said of it: under
---valgrind, and in builds with a sanitizer.
function hub.keeps_freed_memory()
  return Server.is_sanitized() or (os.getenv("LUNESSE_WRAP") or "") ~= ""
end

---Keeps the channel `name`, with options as Lua text, for as long as the server runs.
function hub.keep(server, name, options)
  return hub.run(server, "kept[%q] = channel(%q, %s)", name, name, options or "nil")
end

---The epoch and the number of an id.
function hub.parts(id)
  local epoch, number = id:match("^(%x+)%-(%d+)$")
  assert(epoch, "not an id: " .. id)
  return epoch, tonumber(number)
end

---The id `by` places further.
function hub.further(id, by)
  local epoch, number = hub.parts(id)
  return ("%s-%d"):format(epoch, number + by)
end

---Opens a stream on the channels `names`. Options as for `Server:stream`, and `since`.
function hub.open(server, names, options)
  options = options or {}
  local since = options.since and "?since=" .. options.since or options.query or ""
  return server:stream("/on/" .. names .. since, options)
end

---Opens a stream of the address `target` that worker `number` has.
function hub.open_at(server, number, target)
  local client = hub.connect(server, number)
  client:send(wire.request { target = target, headers = { ["Accept"] = "text/event-stream" } })
  return sse.stream(client, client:head())
end

---The data of the next `count` events, joined by spaces.
function hub.data(stream, count, seconds)
  local list = {}
  for i, event in ipairs(stream:take(count, seconds)) do
    list[i] = event.type == "message" and event.data or event.type .. ":" .. event.data
  end
  return table.concat(list, " ")
end

---The numbers from `first` to `last`, joined by spaces.
function hub.numbers(first, last)
  local list = {}
  for n = first, last do
    list[#list + 1] = n
  end
  return table.concat(list, " ")
end

---What a reader without an id is sent before all else: a comment, and the place at which it begins.
---@param id string  as `cursor` returns it, or several with commas between them
function hub.opening(id)
  return support.chunk(":\n\n") .. support.chunk("id: " .. id .. "\n\n")
end

---How many streams the channel has.
function hub.subscribers(server, name)
  return tonumber(hub.run(server, "return channel(%q).subscribers", name))
end

---Waits until the channel has `count` streams.
function hub.await_subscribers(server, name, count, seconds)
  clock.eventually(function()
    return hub.subscribers(server, name) == count
  end, seconds)
end

---Waits until every worker has ended the turn in which it sent, or saw, what was seen here: until
---then others keep what it has yet to offer.
function hub.meet_workers(server)
  for number = 1, server.worker_count do
    hub.connect(server, number):close()
  end
end

---Waits until nobody reads the channel `name`, and every worker knows.
function hub.await_nobody(server, name)
  hub.await_subscribers(server, name, 0)
  hub.meet_workers(server)
end

---A connection that takes little into its kernel, asked for `target`, and reads nothing.
function hub.stalled(server, target, last_event_id, version)
  local client = server:connect { receive_buffer = not server.unix and 4096 or nil }
  client:send(wire.request { target = target, version = version, headers = {
    ["Accept"] = "text/event-stream", ["Last-Event-ID"] = last_event_id,
  } })
  return client
end

---What a reset or lagged event says, as a table.
function hub.notice(event)
  local channel, reason, from, to, missed = event.data:match(
    '^{"channel":"([^"]*)","reason":"(%a+)","from":([^,]+),"to":"([^"]+)","missed":(%w+)}$')
  assert(channel, "not a notice: " .. event.type .. " " .. event.data)
  return {
    type = event.type, channel = channel, reason = reason, to = to, id = event.id,
    from = from:match('^"(.*)"$'), missed = tonumber(missed),
  }
end

return hub
