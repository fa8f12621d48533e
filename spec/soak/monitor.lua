-- Plain requests on connections that are kept, one to each worker. Whoever is a worker's waits when
-- its loop stands still, readers as well as these; so their longest wait is the longest silence.
local socket = require "socket"
local clock = require "spec.support.clock"

local ANSWER_SECONDS = 10
local TRIES = 1000

local Monitor = {}
Monitor.__index = Monitor

local function send(client, path)
  assert(client:send(("GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n"):format(path)))
end

---Status and body.
local function receive(client)
  local status = assert(assert(client:receive("*l")):match("^HTTP/1.1 (%d+)"))
  local length = 0
  repeat
    local line = assert(client:receive("*l"))
    length = tonumber(line:match("^[Cc]ontent%-[Ll]ength: (%d+)")) or length
  until line == ""
  return tonumber(status), assert(client:receive(length))
end

local function connect(server)
  local client = assert(socket.connect("127.0.0.1", server.port))
  client:settimeout(ANSWER_SECONDS * clock.slow)
  client:setoption("tcp-nodelay", true)
  return client
end

---The kernel chooses the worker, so it is tried until each has been met.
function Monitor.open(server, workers)
  local self = setmetatable({ clients = {}, versions = {} }, Monitor)
  local met, count = {}, 0
  for _ = 1, TRIES do
    local client = connect(server)
    send(client, "/soak/version")
    local _, body = receive(client)
    local worker = body:match("%d+$")
    if met[worker] then
      client:close()
    else
      met[worker], count = true, count + 1
      self.clients[count] = client
    end
    if count == workers then
      return self
    end
  end
  error "there is a worker that no connection comes to"
end

function Monitor:close()
  for _, client in ipairs(self.clients) do
    client:close()
  end
end

---Asks each worker and returns whether all answer so: `expected(status, body)`.
function Monitor:all(path, expected)
  local are_all = true
  for _, client in ipairs(self.clients) do
    send(client, path)
    are_all = expected(receive(client)) and are_all
  end
  return are_all
end

---Whether all workers run this version of the main script.
function Monitor:has(version)
  return self:all("/soak/version", function(_, body)
    return tonumber(body:match("^%d+")) == version
  end)
end

---Waits until a round of answers takes no longer than `seconds`, two times. False when that does
---not come within `patience`.
function Monitor:await_quiet(seconds, patience)
  local ending, quiet_count = clock.now() + patience, 0
  repeat
    local began = clock.now()
    self:has(0)
    quiet_count = clock.now() - began <= seconds and quiet_count + 1 or 0
  until quiet_count == 2 or clock.now() >= ending
  return quiet_count == 2
end

---Asks all workers at a time and each again as soon as it has answered, until `is_over(self)`.
---Which version each runs is in `versions`. Returns the longest that one took to answer, in
---seconds.
function Monitor:press(is_over)
  local sent, longest, is_last = {}, 0, false
  for _, client in ipairs(self.clients) do
    sent[client] = clock.now()
    send(client, "/soak/version")
  end
  while next(sent) do
    local readable = socket.select(self.clients, nil, ANSWER_SECONDS * clock.slow)
    assert(#readable > 0, "no answer")
    for _, client in ipairs(readable) do
      local _, body = receive(client)
      longest = math.max(longest, clock.now() - sent[client])
      self.versions[client] = tonumber(body:match("^%d+"))
      is_last = is_last or is_over(self)
      sent[client] = not is_last and clock.now() or nil
      if not is_last then
        send(client, "/soak/version")
      end
    end
  end
  return longest
end

---Whether all workers were last seen with this version, by `press`.
function Monitor:saw(version)
  for _, client in ipairs(self.clients) do
    if self.versions[client] ~= version then
      return false
    end
  end
  return true
end

return Monitor
