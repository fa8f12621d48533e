-- `lunesse bench` against a server that errs on purpose: it believes nothing, so whatever a server
-- loses, doubles or delivers late must be in its report; and on a small scale against our own.

local cjson = require "cjson"
local lfs = require "lfs"
local posix = require "spec_posix"
local socket = require "socket"
local clock = require "spec.support.clock"
local Process = require "spec.support.process"
local Server = require "spec.support.server"

local BINARY = Server.binary()

local HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
local NO_CONTENT = "HTTP/1.1 204 No Content\r\n\r\n"

local ROOM = [[
local lunesse = require "lunesse"
local server, streams = lunesse.server(), {}
server:get("/events", function(_, response)
  streams[#streams + 1] = response.sse
  response.sse:open()
  lunesse.sleep(3600)
end)
server:post("/publish", function(request, response)
  local data = request:text()
  for _, sse in ipairs(streams) do
    sse:send(data)
  end
  response:send("ok")
end)
server:get("/first", function(_, response) response.sse:send("first") end)
server:get("/firehose", function(_, response)
  while response.sse:send("water") do end
end)
]]

local function chunk(text)
  return ("%x\r\n%s\r\n"):format(#text, text)
end

---A server of this process. Options: `head` and `answer`, in place of the usual; `frame(body)`,
---an event's bytes; `deliver(fake, body, number)`, which sends a posted body to reader `number`.
local Fake = {}
Fake.__index = Fake

function Fake.new(options)
  local self = setmetatable(options or {}, Fake)
  self.listening = assert(socket.bind("127.0.0.1", 0))
  self.listening:settimeout(0)
  self.url = ("http://127.0.0.1:%d/"):format(select(2, self.listening:getsockname()))
  self.clients, self.inputs, self.readers = {}, {}, {}
  return self
end

function Fake:send(number, body)
  local frame = self.frame or function(data) return chunk("data: " .. data .. "\n\n") end
  self.readers[number]:send(frame(body))
end

function Fake:publish(body)
  for number = 1, #self.readers do
    if self.deliver then
      self:deliver(body, number)
    else
      self:send(number, body)
    end
  end
end

---Answers the request at the front of what came from `client`; false when there is none.
function Fake:answer_one(client)
  local input = self.inputs[client]
  local head = input:match("^.-\r\n\r\n")
  local len = head and tonumber(head:match("Content%-Length: (%d+)") or 0)
  if not head or #input < #head + len then
    return false
  end
  self.inputs[client] = input:sub(#head + len + 1)
  if head:find("^GET ") then
    self.requested = head
    client:send(self.head or HEAD .. "Transfer-Encoding: chunked\r\n\r\n")
    self.readers[#self.readers + 1] = client
  else
    self:publish(input:sub(#head + 1, #head + len))
    client:send(self.answer or NO_CONTENT)
  end
  return true
end

function Fake:take(client)
  local bytes, why, partial = client:receive(65536)
  self.inputs[client] = self.inputs[client] .. (bytes or partial)
  while self:answer_one(client) do end
  if why == "closed" then
    for i, other in ipairs(self.clients) do
      if other == client then
        table.remove(self.clients, i)
      end
    end
  end
end

---Serves until `process` has ended.
function Fake:serve(process)
  local deadline = clock.deadline(20)
  while not process:has_ended() and clock.now() < deadline do
    local wanted = table.move(self.clients, 1, #self.clients, 2, { self.listening })
    for _, client in ipairs((socket.select(wanted, nil, 0.02))) do
      if client ~= self.listening then
        self:take(client)
      end
    end
    local client = self.listening:accept()
    if client then
      client:settimeout(0)
      client:setoption("tcp-nodelay", true)
      self.clients[#self.clients + 1], self.inputs[client] = client, ""
    end
  end
  for _, client in ipairs(self.clients) do
    client:close()
  end
  self.listening:close()
end

---Runs `lunesse bench` with `--json` on a fake: exit code, the report, standard error.
local function bench(fake, ...)
  local process = Process.start { BINARY, "bench", ... }
  if fake then
    fake:serve(process)
  end
  local code = process:wait(20)
  local out, err = process:stdout(), process:stderr()
  process:kill()
  process:forget()
  return code, out, err
end

local function fanout(fake, ...)
  local code, out, err = bench(fake, "fanout", fake.url, "--publish", fake.url, "--readers", "3",
    "--warmup", "0", "--json", ...)
  assert(out:find("^{[^\n]*}\n$"), out .. err)
  return code, cjson.decode(out), err
end

---A delivery that errs with event 5 at reader 2.
local function erring(fn)
  return function(fake, body, number)
    if number == 2 and fn(fake, body, tonumber(body:match("^0%-(%d+)%-"))) then
      return
    end
    fake:send(number, body)
  end
end

local function has(list, pattern)
  return table.concat(list, "\n"):find(pattern) ~= nil
end

describe("lunesse bench fanout", function()
  it("finds nothing wrong with a server that does it right", function()
    local code, report = fanout(Fake.new(), "--events", "50", "--header", "X-Spec: yes")
    assert.equal(0, code)
    assert.same({ 50, 150, 0, 0, 0, 0, {} }, { report.events_published, report.deliveries,
      report.lost, report.doubled, report.reordered, report.disconnects, report.failures })
    assert.equal("fanout", report.scenario)
    for _, key in ipairs { "p50", "p99", "p999", "max" } do
      assert.is_true(report.latency_ms[key] > 0)
    end
  end)

  it("writes requests as browsers do, with the fields that it was given", function()
    local fake = Fake.new()
    fanout(fake, "--events", "1", "--header", "X-Spec: yes")
    assert.equal(("GET / HTTP/1.1\r\nHost: %s\r\nAccept: text/event-stream\r\nX-Spec: yes\r\n\r\n")
      :format(fake.url:match("//(.*)/")), fake.requested)
  end)

  it("posts 'publisher-sequence-padding' of the size that it was given", function()
    local bodies = {}
    local fake = Fake.new { deliver = function(fake, body, number)
      bodies[#bodies + 1] = number == 1 and body ~= "p" and body or nil
      fake:send(number, body)
    end }
    assert.equal(0, (fanout(fake, "--events", "12", "--size", "100")))
    assert.equal("0-12-" .. ("x"):rep(95), bodies[12])
  end)

  it("counts an event that one reader never gets", function()
    local code, report, err = fanout(Fake.new { deliver = erring(function(_, _, sequence)
      return sequence == 5
    end) }, "--events", "20", "--rate", "500")
    assert.same({ 1, 1, 0, 0 }, { code, report.lost, report.doubled, report.reordered })
    assert.is_true(has(report.failures, "1 events did not reach a reader"))
    assert.matches("1 events did not reach a reader", err)
  end)

  it("counts an event that one reader never gets, if it is the last one", function()
    local code, report = fanout(Fake.new { deliver = erring(function(_, _, sequence)
      return sequence == 20
    end) }, "--events", "20", "--rate", "500")
    assert.same({ 1, 1, 0, 0 }, { code, report.lost, report.doubled, report.reordered })
  end)

  it("counts an event that comes twice", function()
    local code, report = fanout(Fake.new { deliver = erring(function(fake, body, sequence)
      if sequence == 5 then
        fake:send(2, body)
      end
    end) }, "--events", "20")
    assert.same({ 1, 0, 1, 0 }, { code, report.lost, report.doubled, report.reordered })
  end)

  it("counts an event that comes after a later one", function()
    local kept
    local code, report = fanout(Fake.new { deliver = erring(function(fake, body, sequence)
      if sequence == 5 then
        kept = body
        return true
      elseif sequence == 6 then
        fake:send(2, body)
        fake:send(2, kept)
        return true
      end
    end) }, "--events", "20", "--rate", "500")
    assert.same({ 1, 0, 0, 1 }, { code, report.lost, report.doubled, report.reordered })
  end)

  it("goes on without a reader whose stream ends", function()
    local code, report = fanout(Fake.new { deliver = erring(function(fake, _, sequence)
      if sequence == 5 then
        fake.readers[2]:shutdown("both")
      end
      return sequence and sequence >= 5
    end) }, "--events", "20")
    assert.same({ 1, 20, 1, 0 }, { code, report.events_published, report.disconnects, report.lost })
    assert.is_true(has(report.failures, "closed the connection"))
  end)

  it("reads bodies that are not chunked, and other fields and line ends", function()
    local code, report = fanout(Fake.new {
      head = HEAD .. "\r\n",
      frame = function(data)
        return (": hi\r\nid: 7\r\nevent: a\r\ndata:%s\r\n\r\n"):format(data)
      end,
    }, "--events", "20")
    assert.same({ 0, 60 }, { code, report.deliveries })
  end)

  it("reads events that are cut into chunks", function()
    local code, report = fanout(Fake.new {
      frame = function(data) return (("data: " .. data .. "\n\n"):gsub(".", chunk)) end,
    }, "--events", "20")
    assert.same({ 0, 60 }, { code, report.deliveries })
  end)

  it("publishes to a server that closes after each answer", function()
    local fake = Fake.new { answer = "HTTP/1.1 200 OK\r\nConnection: close\r\n" ..
      "Content-Length: 2\r\n\r\nok" }
    assert.equal(0, (fanout(fake, "--events", "10")))
  end)

  it("says what was answered in place of a stream, or to a POST", function()
    local code, report = fanout(Fake.new { head = "HTTP/1.1 404 Not Found\r\n" ..
      "Content-Length: 0\r\n\r\n" })
    assert.equal(1, code)
    assert.is_true(has(report.failures, "answered 404"))
    code, report = fanout(Fake.new { answer = "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n" })
    assert.equal(1, code)
    assert.is_true(has(report.failures, "POST .* answered 500"))
  end)

  it("reports what it has when it is interrupted", function()
    local process
    local fake = Fake.new { deliver = function(fake, body, number)
      fake:send(number, body)
      if body:find("^0%-30%-") then
        process:signal("INT")
      end
    end }
    process = Process.start { BINARY, "bench", "fanout", fake.url, "--publish", fake.url,
      "--readers", "2", "--seconds", "3600", "--warmup", "0", "--json" }
    fake:serve(process)
    assert.equal(0, (process:wait(5)))
    assert.is_true(cjson.decode(process:stdout()).deliveries >= 50)
    process:forget()
  end)
end)

describe("lunesse bench against our own server", function()
  local server

  before_each(function()
    server = Server.start(ROOM, { workers = 1 })
  end)

  local function run(kind, path, ...)
    local code, out, err = bench(nil, kind, server.url .. path, "--pid", tostring(server.pid),
      "--seconds", "0.3", "--warmup", "0.1", "--json", ...)
    assert.equal(0, code, out .. err)
    return cjson.decode(out)
  end

  it("measures fanout, with several publishers and readers that stall", function()
    local report = run("fanout", "/events", "--publish", server.url .. "/publish", "--readers",
      "20", "--publishers", "4", "--stalled", "2", "--size", "200")
    assert.is_true(report.deliveries > 20 and report.deliveries_per_second > 20)
    assert.is_true(report.cpu_us_per_delivery > 0 and report.generator_cpu_share > 0)
    assert.is_true(report.memory_bytes > 0)
  end)

  it("measures a firehose", function()
    local report = run("firehose", "/firehose", "--readers", "2")
    assert.is_true(report.events > 100 and report.cpu_us_per_event > 0)
    assert.is_true(report.bytes_per_second > report.events_per_second * 5)
    assert.is_true(report.evenness.min <= 1 and report.evenness.max >= 1)
  end)

  it("measures idle streams", function()
    local report = run("idle", "/events", "--publish", server.url .. "/publish", "--readers", "50",
      "--settle", "0.1", "--events", "3")
    assert.same({ 50, 3, 150 }, { report.readers, report.events_published, report.deliveries })
    assert.is_true(report.connects_per_second > 0 and report.cpu_us_per_connect > 0)
    assert.is_true(report.idle_cpu_share < 1 and report.latency_ms.max > 0)
    assert.is_number(report.memory_bytes_per_stream)
  end)

  it("measures churn", function()
    local report = run("churn", "/first", "--concurrency", "4")
    assert.is_true(report.connections > 4 and report.cpu_us_per_connection > 0)
    assert.is_true(report.latency_ms.p50 > 0)
    assert.is_true(run("churn", "/first", "--first-bytes").connections > 4)
  end)

  it("prints a table for people", function()
    local code, out, err = bench(nil, "firehose", server.url .. "/firehose", "--seconds", "0.1",
      "--warmup", "0")
    assert.same({ 0, "" }, { code, err })
    assert.matches("^firehose  http://", out)
    assert.matches("\n  events per second +%d+\n", out)
  end)
end)

describe("lunesse bench", function()
  it("says who refused the connection, and how that can be", function()
    local closed = assert(socket.bind("127.0.0.1", 0))
    local port = select(2, closed:getsockname())
    closed:close()
    for _, kind in ipairs { "firehose", "churn" } do
      local code, out, err = bench(nil, kind, ("http://localhost:%d/"):format(port), "--json",
        "--seconds", "0.3")
      assert.equal(1, code)
      assert.is_true(has(cjson.decode(out).failures, "Connection refused; is the server running"))
      assert.matches(("cannot connect to localhost:%d"):format(port), err)
    end
  end)

  it("is found behind a link, and says what to do where it is not there", function()
    local folder = assert(posix.make_folder())
    finally(function() Process.remove_folder(folder) end)
    assert(lfs.link(BINARY, folder .. "/linked", true))
    assert(Process.run { "cp", BINARY, folder .. "/lunesse" } == 0)
    local code, out = Process.run { folder .. "/linked", "bench", "--help" }
    assert.equal(0, code)
    assert.matches("^usage: lunesse bench fanout URL", out)
    local other, printed, err = Process.run { folder .. "/lunesse", "bench", "--help" }
    assert.same({ 127, "" }, { other, printed })
    assert.equal("lunesse bench: cannot start the load generator, " .. folder ..
      "/lunesse-bench: No such file or directory; it is a program of its own beside lunesse: " ..
      "`make install` puts both in one folder, and `make build` builds both\n", err)
  end)

  it("prints its help to stdout", function()
    for _, words in ipairs { { "--help" }, { "churn", "--help" } } do
      local code, out, err = bench(nil, table.unpack(words))
      assert.same({ 0, "" }, { code, err })
      assert.matches("^usage: lunesse bench fanout URL", out)
    end
  end)

  it("answers a wrong command line with 2 and one line on stderr", function()
    local url = "http://127.0.0.1:1/"
    for _, case in ipairs {
      { { }, "fanout, firehose, idle or churn" },
      { { "flood", url }, "'flood'" },
      { { "churn" }, "the stream's URL" },
      { { "churn", url, url }, "one URL too many" },
      { { "fanout", url }, "%-%-publish URL" },
      { { "churn", url, "--flood" }, "unknown option '%-%-flood'" },
      { { "churn", url, "--rate", "5" }, "%-%-rate" },
      { { "churn", url, "--seconds" }, "%-%-seconds" },
      { { "churn", url, "--seconds", "x" }, "%-%-seconds 'x'" },
      { { "churn", url, "--seconds=-1" }, "%-%-seconds '%-1'" },
      { { "churn", url, "--concurrency", "1.5" }, "%-%-concurrency '1.5'" },
      { { "churn", url, "--header", "no colon" }, "Name: value" },
      { { "churn", url, "--json=1" }, "%-%-json=1" },
      { { "churn", "http://example.com/" }, "names are not looked up" },
      { { "churn", "https://127.0.0.1/" }, "TLS" },
      { { "churn", "127.0.0.1:80" }, "a URL like http://" },
      { { "fanout", url, "--publish", "/publish" }, "'/publish': a URL like http://" },
    } do
      local code, out, err = bench(nil, table.unpack(case[1]))
      assert.same({ 2, "" }, { code, out }, table.concat(case[1], " "))
      assert.matches(case[2], err)
      assert.matches("^lunesse bench: [^\n]+\n$", err)
    end
  end)
end)
