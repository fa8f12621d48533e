-- Debian's redis-server, started with all it has in a folder of its own: on a Unix socket and on a
-- free port of 127.0.0.1. It keeps nothing, so one that was started again is empty.

local clock = require "spec.support.clock"
local free_port = require "spec.support.free_port"
local posix = require "spec_posix"
local Process = require "spec.support.process"

local READY_SECONDS = 10

local Redis = {}
Redis.__index = Redis

local running = {}

---Starts it, and waits until it answers.
function Redis.start()
  local folder = assert(posix.make_folder())
  local self = setmetatable({
    folder = folder, path = folder .. "/redis.sock", port = free_port(),
  }, Redis)
  running[#running + 1] = self
  self:restart()
  return self
end

---Starts it on the same addresses, after `kill`.
function Redis:restart()
  self.process = Process.start {
    "redis-server", "--port", tostring(self.port), "--bind", "127.0.0.1",
    "--unixsocket", self.path, "--dir", self.folder, "--save", "", "--appendonly", "no",
  }
  local deadline = clock.deadline(READY_SECONDS)
  while not self.process:stdout():find("Ready to accept connections", 1, true) do
    assert(not self.process:has_ended() and clock.now() < deadline,
      self.process:stdout() .. self.process:stderr())
    clock.pause()
  end
end

---Ends it as a crash does.
function Redis:kill()
  self.process:kill()
end

---What `redis-cli` prints for these words.
function Redis:ask(...)
  local code, out, err = Process.run { "redis-cli", "-s", self.path, ... }
  assert(code == 0, out .. err)
  return (out:gsub("\n$", ""))
end

---Ends all and removes their folders. At the end of each test.
function Redis.stop_all()
  for _, redis in ipairs(running) do
    redis:kill()
    redis.process:forget()
    Process.remove_folder(redis.folder)
  end
  running = {}
end

return Redis
