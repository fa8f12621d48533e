-- As spec/hub/support.lua, in the test kit: scripts that do what a spec tells them, and streams on
-- the channels that their address names. Nothing here waits, and nothing has to be closed.

local apps = require "spec.support.app"
local base = require "spec.hub.support"

local hub = {
  marks = apps.marks, expect_marks = apps.expect_marks, get = apps.get,
  parts = base.parts, further = base.further, numbers = base.numbers, notice = base.notice,
}

---Loads the script that does what it is told, with the further lines `text`. The first line of
---`text` is its line 1. Where its routes share variables with `POST /do`, there is one worker.
function hub.start(text, options)
  text, options = text or "", options or {}
  local shares = text:find("%f[%w]kept%.") or text:find("%f[%w]env[ .]")
  options.workers = options.workers or shares and 1 or nil
  return apps.start(base.SCRIPT:gsub("\n", " ") .. text, options)
end

local function code_of(code, ...)
  return { body = select("#", ...) > 0 and code:format(...) or code, worker = 1 }
end

---Begins to run `code` in a handler; see `hub.answer`. `number` is a worker, or else the first.
function hub.begin(app, code, number)
  return app:send("POST", "/do", { body = code, worker = number or 1 })
end

---What the code returned, or raised, that was begun, when it has come to its end.
function hub.answer(begun)
  return begun:wait():expect(200):text()
end

---Runs `code` in a handler of the first worker, and returns what it returned, or raised, as words.
---Values that are to be put into it are given as to `string.format`.
function hub.run(app, code, ...)
  return app:post("/do", code_of(code, ...)):expect(200):text()
end

---The same in the worker `number`.
function hub.run_at(app, number, code)
  return hub.answer(hub.begin(app, code, number))
end

base.add_publishing(hub)

---Keeps the channel `name`, with options as Lua text, for as long as the app runs.
function hub.keep(app, name, options)
  return hub.run(app, "kept[%q] = channel(%q, %s)", name, name, options or "nil")
end

---Opens a stream on the channels `names`. Options as for `app:stream`, and `since`.
function hub.open(app, names, options)
  options = options or {}
  local since, query = options.since, options.query
  options.since, options.query = nil, nil
  return app:stream("/on/" .. names .. (since and "?since=" .. since or query or ""), options)
end

---The next `count` events.
function hub.take(stream, count)
  local events = {}
  for i = 1, count do
    events[i] = assert(stream:next(), i - 1 .. " events came")
  end
  return events
end

---The data of the next `count` events, joined by spaces.
function hub.data(stream, count)
  local list = {}
  for i, event in ipairs(hub.take(stream, count)) do
    list[i] = event.event == "message" and event.data or event.event .. ":" .. event.data
  end
  return table.concat(list, " ")
end

---Each event, and each comment, has come as a chunk of its own.
function hub.expect_chunks(stream)
  for _, chunk in ipairs(stream.chunks) do
    assert(chunk:find("^[^\n].-\n\n$") and not chunk:find("\n\n.", 1), chunk)
  end
end

---How many read the channel.
function hub.subscribers(app, name)
  return tonumber(hub.run(app, "return channel(%q).subscribers", name))
end

return hub
