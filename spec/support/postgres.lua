-- A PostgreSQL of its own for a spec file: Debian's package, a cluster in a temporary folder, on a
-- free port of 127.0.0.1 and on a Unix socket. PostgreSQL refuses to run as root, so root runs it
-- as the user postgres, whom the package makes.
--
--   local database
--   setup(function() database = Postgres.start() end)
--   teardown(function() database:stop() end)
--   database.url, database:ask("select 1"), database:sessions(), database:kill(), database:start()

local lfs = require "lfs"
local posix = require "spec_posix"
local clock = require "spec.support.clock"
local free_port = require "spec.support.free_port"
local Process = require "spec.support.process"

local SECONDS = 60

local Postgres = {}
Postgres.__index = Postgres

-- The folder of the programs, such as /usr/lib/postgresql/15/bin/.
local function programs()
  for version in lfs.dir("/usr/lib/postgresql") do
    local folder = "/usr/lib/postgresql/" .. version .. "/bin/"
    if lfs.attributes(folder .. "initdb", "mode") == "file" then
      return folder
    end
  end
  error("no PostgreSQL is here: cmake/deps.sh test installs it")
end

local function is_root()
  local _, out = Process.run { "id", "-u" }
  return out == "0\n"
end

---The words of a command that runs as the cluster's owner.
function Postgres:_command(words)
  return self.is_root and { "setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups",
    table.unpack(words) } or words
end

function Postgres:_run(words)
  local code, out, err = Process.run(self:_command(words), { seconds = SECONDS, cwd = "/" })
  assert(code == 0, err)
  return out
end

---Starts the server of the cluster, with more settings such as "max_connections=5".
function Postgres:start_server(settings)
  local words = { self.programs .. "postgres", "-D", self.folder .. "/data", "-p", self.port,
    "-k", self.folder, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off",
    "-c", "shared_buffers=1MB", "-c", "max_connections=40" }
  for _, setting in ipairs(settings or {}) do
    table.move({ "-c", setting }, 1, 2, #words + 1, words)
  end
  for i, word in ipairs(words) do
    words[i] = tostring(word)
  end
  self.process = Process.start(self:_command(words), { cwd = "/" })
  self.process.is_shared = true
  clock.eventually(function()
    assert(not self.process:has_ended(), self.process:stderr())
    return Process.run { self.programs .. "pg_isready", "-q", "-h", self.folder, "-p",
      tostring(self.port) } == 0
  end)
end

---A new cluster, and its server.
function Postgres.start(settings)
  local self = setmetatable({ programs = programs(), is_root = is_root() }, Postgres)
  self.folder = assert(posix.make_folder())
  self.port = free_port()
  if self.is_root then
    assert(Process.run { "chown", "postgres", self.folder } == 0)
  end
  self:_run { self.programs .. "initdb", "-D", self.folder .. "/data", "-U", "postgres",
    "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync" }
  self.url = ("postgres://postgres@127.0.0.1:%d/postgres"):format(self.port)
  self.socket_url = ("postgres:///postgres?host=%s&port=%d&user=postgres"):format(
    self.folder, self.port)
  self:start_server(settings)
  return self
end

---What psql prints for the query: columns with bars between, a line for each row.
function Postgres:ask(sql)
  local _, out, err = Process.run({ self.programs .. "psql", "-X", "-A", "-t", "-q",
    "-d", self.socket_url, "-c", sql }, { seconds = SECONDS })
  return ((out .. err):gsub("\n$", ""))
end

---How many sessions of Lunesse the server has that `condition` holds of, such as
---"state = 'active'".
function Postgres:sessions(condition)
  return tonumber(self:ask(
    "select count(*) from pg_stat_activity where application_name = 'lunesse' and " ..
    (condition or "true")))
end

---Ends the server by a signal, and waits for it. INT: it closes all connections and ends.
function Postgres:end_server(signal)
  self.process:signal(signal)
  assert(self.process:wait(SECONDS) or signal == "KILL", self.process:stderr())
  self.process:forget()
end

function Postgres:stop()
  self:end_server("INT")
  Process.remove_folder(self.folder)
end

return Postgres
