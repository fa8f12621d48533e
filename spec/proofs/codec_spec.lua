-- The codec seam holds: spec/proofs/codec/toy_codec.c speaks a protocol that has nothing of HTTP/1
-- (frames around everything, several exchanges at once on a connection, no chunks), and the floors
-- script and sse of the product serve event streams over it, unchanged.

local lfs = require "lfs"
local Process = require "spec.support.process"
local Server = require "spec.support.server"

local binary = (os.getenv("LUNESSE_BUILD") or lfs.currentdir() .. "/build/debug") .. "/toy"

local SCRIPT = [[
local lunesse = require "lunesse"
local server = lunesse.server()
local room = lunesse.channel("room")
local hall = lunesse.channel("hall")
server:get("/plain", function(request, response)
  response:header("X-Asked", request.headers["x-ask"] or "nothing"):send("moon")
end)
server:get("/events", function(_, response)
  response.sse:subscribe(room)
  response.sse:send("hello")
  response:once("close", function(reason) lunesse.log.info("closed", { why = reason }) end)
end)
server:get("/both", function(_, response)
  response.sse:subscribe(room)
  response.sse:subscribe(hall)
end)
server:get("/publish/:word", function(request, response)
  room:publish("said", request.params.word)
  response:send("")
end)
server:get("/short", function(_, response)
  response.sse:send("only")
  response.sse:close()
end)
server:get("/fails", function(_, response)
  response.sse:send("one")
  error("on purpose")
end)
server:get("/much", function(_, response)
  local sent = 0
  response:once("close", function() lunesse.log.info("much", { sent = sent }) end)
  for i = 1, 1000 do
    if not response.sse:send(i .. " " .. ("x"):rep(1000)) then
      return
    end
    sent = i
  end
end)
]]

---A frame of the client: `n GET /target { name = value }`, or `n BYE`.
local function say(number, kind, target, fields)
  local payload = target and target .. "\n" or ""
  for name, value in pairs(fields or {}) do
    payload = payload .. name .. "=" .. value .. "\n"
  end
  return ("say %d %s %d\\n%s"):format(number, kind, #payload, (payload:gsub("\n", "\\n")))
end

local function get(number, target, fields)
  return say(number, "GET", target, fields)
end

---The frames in `text`, as { number, kind, payload }.
local function frames(text)
  local list, at = {}, 1
  while at <= #text do
    local number, kind, size, start = text:match("^(%d+) (%u+) (%d+)\n()", at)
    assert(number, "no frame: " .. text:sub(at, at + 40))
    list[#list + 1] = { tonumber(number), kind, text:sub(start, start + size - 1) }
    at = start + size
  end
  return list
end

---Plays `commands` and returns what each `show` has shown: its bytes; and the log.
local function play(commands)
  local folder = Server.write { ["app.lua"] = SCRIPT }
  local code, out, err, why = Process.run({ binary, folder .. "/app.lua" },
    { stdin = table.concat(commands, "\n") .. "\n" })
  assert(code == 0, ("%s\n%s\n%s"):format(why, out, err))
  local shown = {}
  for text in out:gmatch("(.-)%-%-%-%-\n") do
    shown[#shown + 1] = text
  end
  return shown, err
end

---The content that exchange `number` has got, and the kinds of its frames without repetitions.
local function answer(text, number)
  local content, kinds = {}, {}
  for _, frame in ipairs(frames(text)) do
    if frame[1] == number then
      content[#content + 1] = frame[2] == "DATA" and frame[3] or nil
      kinds[#kinds + 1] = frame[2] ~= kinds[#kinds] and frame[2] or nil
    end
  end
  return table.concat(content), table.concat(kinds, " ")
end

local function head(text, number)
  for _, frame in ipairs(frames(text)) do
    if frame[1] == number and frame[2] == "HEAD" then
      return (frame[3]:gsub("Date=[^\n]*\n", ""))
    end
  end
end

local STREAM_HEAD = "200\nContent-Type=text/event-stream\n" ..
  "Cache-Control=no-cache, no-transform\nX-Accel-Buffering=no\n"
local EVENT = "^id: %%x+%%-%d\nevent: said\ndata: %s\n\n$"

describe("a codec that is not HTTP/1", function()
  it("carries a plain answer, with the fields as names and values", function()
    local shown = play { get(1, "/plain", { ["X-Ask"] = "sun" }), get(2, "/nowhere"), "show" }
    assert.same({ "moon", "HEAD DATA END" }, { answer(shown[1], 1) })
    assert.equal("200\nsize=4\nContent-Type=text/plain; charset=utf-8\nX-Asked=sun\n",
      head(shown[1], 1))
    assert.same({ "404: no such route\n", "HEAD DATA END" }, { answer(shown[1], 2) })
  end)

  it("carries an event stream without a chunk: its own events, and those of a channel", function()
    local shown, log = play {
      get(1, "/events"), "show", get(2, "/publish/one"), "show", get(3, "/publish/two"), "show",
    }
    assert.equal(STREAM_HEAD, head(shown[1], 1))
    local content, kinds = answer(shown[1], 1)
    assert.truthy(content:find("^:\n\nid: %x+%-0\n\ndata: hello\n\n$"), content)
    assert.equal("HEAD DATA", kinds)
    assert.truthy((answer(shown[2], 1)):find(EVENT:format(1, "one")), (answer(shown[2], 1)))
    assert.truthy((answer(shown[3], 1)):find(EVENT:format(2, "two")), (answer(shown[3], 1)))
    assert.truthy(log:find("closed"), log)
  end)

  it("carries several streams at once, on one connection", function()
    local shown = play {
      get(1, "/events"), get(2, "/both"), "show", get(3, "/publish/moon"), "show",
    }
    assert.equal(STREAM_HEAD, head(shown[1], 2))
    assert.truthy((answer(shown[2], 1)):find("data: moon\n\n$"))
    assert.truthy((answer(shown[2], 2)):find("^id: %x+%-1,%x+%-0\nevent: said\ndata: moon\n\n$"),
      (answer(shown[2], 2)))
  end)

  it("ends a stream that is complete, and cuts one that is not", function()
    local shown = play { get(1, "/short"), get(2, "/fails"), "show" }
    assert.same({ ":\n\ndata: only\n\n", "HEAD DATA END" }, { answer(shown[1], 1) })
    assert.same({ ":\n\ndata: one\n\n", "HEAD DATA CUT" }, { answer(shown[1], 2) })
  end)

  it("gets heartbeats when nothing else is sent", function()
    local shown = play {
      get(1, "/events"), "show", "advance 15000", "show", "advance 15000", "show",
    }
    assert.same({ ":\n\n", "DATA" }, { answer(shown[2], 1) })
    assert.same({ ":\n\n", "DATA" }, { answer(shown[3], 1) })
  end)

  it("tells the script of a reader that leaves, and the others read on", function()
    local shown, log = play {
      get(1, "/events"), get(2, "/events"), "show", say(1, "BYE"), get(3, "/publish/moon"), "show",
    }
    assert.same({ "", "" }, { answer(shown[2], 1) })
    assert.truthy((answer(shown[2], 2)):find("data: moon\n\n$"))
    assert.truthy(log:find("closed .*why=left"), log)
  end)

  it("holds the handler back while the reader does not read, and loses nothing", function()
    local shown, log = play {
      "room 1000", get(1, "/much"), "show", "room 0", "show", "room 100000000", "show",
    }
    assert.equal(1000, #shown[1])
    assert.equal("", shown[2])
    local content = answer(table.concat(shown), 1)
    local numbers = {}
    for number in content:gmatch("data: (%d+) x") do
      numbers[#numbers + 1] = tonumber(number)
    end
    assert.equal(1000, #numbers)
    for i, number in ipairs(numbers) do
      assert.equal(i, number)
    end
    assert.truthy(log:find("much .*sent=1000"), log)
  end)

  it("stops the handler of a reader that does not read and leaves", function()
    local _, log = play { "room 1000", get(1, "/much"), say(1, "BYE"), "show" }
    local sent = tonumber(log:match("much .-sent=(%d+)"))
    assert.truthy(sent and sent > 0 and sent < 200, log)
  end)

  it("ends its streams and closes when the server drains", function()
    local shown = play { get(1, "/events"), "show", "drain", say(1, "BYE"), "show" }
    assert.equal("gone\n", shown[2])
  end)
end)
