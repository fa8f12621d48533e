-- Real clients as judges: curl, npm's eventsource and eventsource-parser under Node, and the
-- EventSource of Chromium.

local support = require "spec.sse.support"
local Client = require "spec.support.client"
local Process = require "spec.support.process"
local Server = require "spec.support.server"

local ROUTES = [[
local seen = {}
server:get("/", function(_, response)
  response:send("<!doctype html><title>page</title>", response:type("text/html"))
end)
server:get("/forms", function(_, response)
  local sse = response.sse
  sse:open { retry = 0.05 }
  sse:send("one\ntwo\r\nthree\rfour")
  sse:send("tick", "")
  sse:send("7", "tick", "\u{1F319}")
  sse:comment("not an event")
  sse:send(lunesse.event { id = "8", event = "json", data = { a = { 1, 2 } } })
  sse:send("e\xffnd")
  sse:send(" leading: space")
  sse:send(("x"):rep(3000))
  if response.sse.last_event_id then sse:send("came back with " .. response.sse.last_event_id) end
  hold()
end)
server:get("/resume", function(request, response)
  local sse = response.sse
  local from = tonumber(sse.last_event_id or 0)
  sse:open { retry = 0.02 }
  for n = from + 1, from + 3 do sse:send(tostring(n), "message", "event " .. n) end
  sse:close()
end)
server:get("/fails", function(_, response)
  local sse = response.sse
  sse:open { retry = 0.02 }
  times = (times or 0) + 1
  sse:send("attempt " .. times)
  if times < 3 then error("on purpose") end
  hold()
end)
server:get("/stop", function(_, response)
  stops = (stops or 0) + 1
  response:status(204):send()
end)
server:get("/stops", function(_, response) response:send(tostring(stops)) end)
server:get("/slow", function(_, response)
  response.sse:open()
  hold()
end)
server:post("/tokens", function(request, response)
  local sse = response.sse
  for word in request:json().prompt:gmatch("%S+") do sse:send { token = word } end
  sse:send("[DONE]")
  sse:close()
end)
server:get("/first/:room", function(request, response)
  local sse, room = response.sse, lunesse.channel(request.params.room)
  sse:open { retry = 0.02 }
  sse:subscribe(room, { greet = request.query.greet })
  if not seen[room] then -- its connection ends before the first event
    seen[room] = true
    sse:close()
    room:publish("missed")
  else
    lunesse.after(0.1, function() room:publish("seen") end)
  end
end)
server:get("/watch", function(_, response)
  response:on("close", function(reason) mark("close", reason) end)
  response.sse:send("hello")
  hold()
end)
]]

local FORMS = {
  { "message", "one\ntwo\nthree\nfour", "" }, { "tick", "", "" }, { "tick", "\u{1F319}", "7" },
  { "json", '{"a":[1,2]}', "8" }, { "message", "e\u{FFFD}nd", "8" },
  { "message", " leading: space", "8" }, { "message", ("x"):rep(3000), "8" },
}

---The records of events as { type, data, id }, with the id that counts then.
local function triples(records, id_name)
  local list, id = {}, ""
  for i, record in ipairs(records) do
    local own = record[id_name]
    id = type(own) == "string" and own or id
    list[i] = { record.type, record.data, id }
  end
  return list
end

local server

setup(function()
  server = support.start(ROUTES, {
    shared = true, workers = 1, args = { "--limit", "drain_timeout=0" },
  })
end)

teardown(function()
  server:stop()
end)

describe("curl", function()
  local function curl(...)
    local code, out, err = Process.run { "curl", "-sN", "--max-time", "0.5", ... }
    return out, code, err
  end

  it("shows the head of the contract and the events, as they come", function()
    local out, code = curl("-D-", "-H", "Accept: text/event-stream", server.url .. "/forms")
    assert.equal(28, code) -- the stream goes on
    local head, body = support.split_head(out)
    assert.same(support.stream_head(), support.head_lines(head.head))
    assert.equal(":\n\nretry: 50\n\ndata: one\ndata: two\ndata: three\ndata: four\n\n" ..
      "event: tick\ndata: \n\nid: 7\nevent: tick\ndata: \u{1F319}\n\n: not an event\n\n",
      body:sub(1, (body:find("id: 8", 1, true)) - 1))
  end)

  it("is content with the end of a stream, with HTTP/1.0 and with HEAD", function()
    local out, code = curl(server.url .. "/resume")
    assert.equal(0, code)
    local first = ":\n\nretry: 20\n\nid: 1\nevent: message\ndata: event 1\n\n"
    assert.equal(first, out:sub(1, #first))
    out, code = curl("--http1.0", server.url .. "/resume")
    assert.equal(0, code)
    assert.matches("data: event 3\n\n$", out)
    code = select(2, curl("-I", server.url .. "/"))
    assert.equal(0, code)
  end)

  it("takes streamed answers to a POST", function()
    local out, code = curl("-d", '{"prompt":"to be"}', server.url .. "/tokens")
    assert.equal(0, code)
    assert.equal(':\n\ndata: {"token":"to"}\n\ndata: {"token":"be"}\n\ndata: [DONE]\n\n', out)
  end)
end)

describe("npm's eventsource", function()
  it("opens at once, and gives every form of send as it was meant", function()
    local client = Client.start("eventsource",
      { server.url .. "/forms", "--types", "tick,json", "--events", "7" })
    client:finish()
    assert.equal("open", client:records()[1].kind)
    local seen = triples(client:records("event"), "lastEventId")
    for i = 1, 7 do
      local is_named = i == 3 or i == 4 -- this client tells the id only where it stands
      assert.same(FORMS[i], { seen[i][1], seen[i][2], is_named and seen[i][3] or FORMS[i][3] })
    end
  end)

  it("opens although no event comes", function()
    local client = Client.start("eventsource", { server.url .. "/slow" })
    client:await("open")
    client:stop()
    client:finish()
  end)

  it("comes back with its Last-Event-ID after a stream has ended", function()
    local client = Client.start("eventsource", { server.url .. "/resume", "--events", "8" })
    client:finish()
    local data = {}
    for i, record in ipairs(client:records("event")) do
      data[i] = record.data
    end
    assert.is_true(#data >= 8)
    for i = 1, #data do
      assert.equal("event " .. i, data[i])
    end
  end)

  it("comes back after a handler has failed, and never sees a traceback", function()
    local client = Client.start("eventsource", { server.url .. "/fails", "--events", "3" })
    client:finish()
    for i, record in ipairs(client:records("event")) do
      assert.equal("attempt " .. i, record.data)
    end
    assert.equal(3, #client:records("event"))
  end)

  it("ignores an id without data, and takes the place of a greeting", function()
    local client = Client.start("eventsource", { server.url .. "/first/a", "--events", "1" })
    client:finish()
    assert.equal("seen", client:records("event")[1].data)
    client = Client.start("eventsource", {
      server.url .. "/first/b?greet=hello", "--types", "hello", "--events", "3",
    })
    client:finish()
    local events = client:records("event")
    assert.same({ "hello", "hello", "missed" },
      { events[1].type, events[2].type, events[3].data })
    assert.equal(events[1].data, events[1].lastEventId)
    assert.equal(events[1].data, events[2].data)
  end)

  it("gives up at a 204, which means stop", function()
    local client = Client.start("eventsource", { server.url .. "/stop", "--fatal" })
    client:finish()
    assert.equal("closed", client:records("error")[1].state)
    assert.equal("1", support.get(server, "/stops"))
  end)

  it("comes back to a server that was full", function()
    local small = Server.start(support.script(ROUTES), {
      args = { "--limit", "connections=1" },
    })
    local one = small:stream("/slow")
    one:comment()
    local client = Client.start("eventsource", { small.url .. "/watch", "--events", "1" })
    client:await("error")
    assert.equal("connecting", client:records("error")[1].state)
    one:close()
    client:finish()
    assert.equal("hello", client:records("event")[1].data)
  end)

  it("is seen to leave", function()
    local client = Client.start("eventsource", { server.url .. "/watch" })
    client:await("event")
    local before = #support.marks(server)
    client:stop()
    eventually(function()
      local marks = support.marks(server)
      return #marks > before and marks[#marks] == "close left"
    end)
  end)
end)

describe("npm's eventsource-parser", function()
  it("gives every form of send, comments and retry, and finds no error", function()
    local client = Client.start("parser", { server.url .. "/forms", "--events", "7" })
    client:finish()
    assert.same({}, client:records("parse-error"))
    assert.same(FORMS, triples(client:records("event"), "id"))
    assert.equal(50, client:records("retry")[1].ms)
    local comments = {}
    for i, record in ipairs(client:records("comment")) do
      comments[i] = record.text
    end
    assert.same({ "", "not an event" }, comments)
    assert.equal("text/event-stream", client:records("head")[1].headers["content-type"])
  end)

  it("reads the streamed answer to a POST to its proper end", function()
    local client = Client.start("parser", {
      server.url .. "/tokens", "--method", "POST", "--body", '{"prompt":"to be"}',
    })
    client:finish()
    assert.same({
      { "message", '{"token":"to"}', "" }, { "message", '{"token":"be"}', "" },
      { "message", "[DONE]", "" },
    }, triples(client:records("event"), "id"))
    assert.equal(1, #client:records("end"))
  end)
end)

describe("Chromium's EventSource", function()
  it("opens at once and gives every form of send as it was meant", function()
    local result = Client.browse(server.url .. "/", [[
      const source = new EventSource('/forms')
      const seen = []
      await new Promise((resolve) => {
        source.onopen = () => seen.push(['open'])
        const take = (event) => {
          seen.push([event.type, event.data, event.lastEventId])
          if (seen.length === 8) resolve()
        }
        for (const type of ['message', 'tick', 'json']) source.addEventListener(type, take)
      })
      source.close()
      return seen
    ]])
    assert.same({ "open" }, table.remove(result, 1))
    assert.same(FORMS, result)
  end)

  it("opens before any event, comes back with Last-Event-ID, and after a failure", function()
    local result = Client.browse(server.url .. "/", [[
      const opened = await new Promise((resolve) => {
        const source = new EventSource('/slow')
        source.onopen = () => { source.close(); resolve(true) }
      })
      const resumed = await new Promise((resolve) => {
        const seen = []
        const source = new EventSource('/resume')
        source.onmessage = (event) => {
          seen.push(event.lastEventId + ' ' + event.data)
          if (seen.length === 7) { source.close(); resolve(seen) }
        }
      })
      const stopped = await new Promise((resolve) => {
        const source = new EventSource('/stop')
        source.onerror = () => resolve(source.readyState)
      })
      return { opened, resumed, stopped }
    ]])
    assert.is_true(result.opened)
    assert.same({ "1 event 1", "2 event 2", "3 event 3", "4 event 4", "5 event 5", "6 event 6",
      "7 event 7" }, result.resumed)
    assert.equal(2, result.stopped) -- CLOSED
  end)

  it("is seen to leave when its tab closes", function()
    local before = #support.marks(server)
    local result = Client.browse(server.url .. "/", [[
      return await new Promise((resolve) => {
        new EventSource('/watch').onmessage = (event) => resolve(event.data)
      })
    ]])
    assert.equal("hello", result)
    support.await_marks(server, (function()
      local marks = support.marks(server)
      while #marks < before + 1 do
        marks[#marks + 1] = "close left"
      end
      return marks
    end)())
  end)
end)
