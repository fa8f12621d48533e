-- The phases of a request to another server, and how a spec brings one into each of them.

local socket = require "socket"
local clock = require "spec.support.clock"
local support = require "spec.upstream.support"

local phases = {}

---The connections to `port` that the kernel has in `state`: 1 stands, 2 waits for an answer.
function phases.count_of(port, state)
  local count = 0
  for line in io.lines("/proc/net/tcp") do
    local remote, code = line:match("^%s*%d+: %x+:%x+ %x+:(%x+) (%x+)")
    if remote and tonumber(remote, 16) == port and tonumber(code, 16) == state then
      count = count + 1
    end
  end
  return count
end

---A server whose queue of connections is full, so that the next gets no answer.
function phases.full_upstream(options)
  options = options or {}
  local upstream = support.listen { backlog = 0, host = options.host, port = options.port }
  upstream.fillers = {}
  for i = 1, 2 do
    upstream.fillers[i] = socket.tcp4()
    upstream.fillers[i]:settimeout(0)
    upstream.fillers[i]:connect(options.host or "127.0.0.1", upstream.port)
  end
  return upstream
end

---Each phase by its name: `bring` takes the request that comes into it, and returns what waits for
---the end of that request.
phases.all = {
  connect = {
    listen = phases.full_upstream,
    bring = function(upstream)
      local before = 1 -- the second of those that fill the queue
      clock.eventually(function() return phases.count_of(upstream.port, 2) > before end)
      return function()
        clock.eventually(function() return phases.count_of(upstream.port, 2) <= before end)
      end
    end,
  },
  TLS = {
    scheme = "https",
    bring = function(upstream)
      local conn = upstream:accept()
      conn:await_bytes()
      return function() conn:await_close() end
    end,
  },
  ["first byte"] = {
    bring = function(upstream)
      local conn = upstream:accept()
      conn:request()
      return function() conn:await_close() end
    end,
  },
  head = {
    bring = function(upstream)
      local conn = upstream:accept()
      conn:request()
      conn:send("HTTP/1.1 200 OK\r\nContent-")
      return function() conn:await_close() end
    end,
  },
  body = {
    bring = function(upstream)
      local conn = upstream:accept()
      conn:request()
      conn:send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc")
      return function() conn:await_close() end
    end,
  },
}

---A server that brings requests into `phase`, and its URL.
function phases.listen(phase)
  local upstream = (phase.listen or support.listen)()
  return upstream, upstream.url:gsub("^http", phase.scheme or "http") .. "/"
end

---The target of a relay's own path that asks for `url`.
function phases.target(path, url)
  return path .. "?url=" .. url:gsub("[^%w]", function(c) return ("%%%02X"):format(c:byte()) end)
end

---A client of a relay that has asked for `url`.
function phases.begin(server, path, url)
  local client = server:connect()
  client:send(("GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n"):format(phases.target(path, url)))
  return client
end

return phases
