-- lunesse.pool with real threads: a function that takes long holds up nobody else, neither a reader
-- that leaves nor a reload nor the end of the server; SQLite, by Debian's lua-sql-sqlite3.
--
-- A function that takes long reads from a FIFO, and ends when the spec has written into it.

local lfs = require "lfs"
local luasql = require "luasql.sqlite3"
local Process = require "spec.support.process"
local Server = require "spec.support.server"
local support = require "spec.sse.support"

local MODULE = [[
local db, count = {}, 0
function db.block(path)
  count = count + 1
  assert(io.open(path .. ".began", "w")):close()
  local file <close> = io.open(path)
  return file:read("a")
end
function db.count() return count end
return db
]]

local SCRIPT = [[
local pool = lunesse.pool { module = "lib.db", threads = 1, queue = 1 }
server:get("/", function(_, response) response:send("here") end)
server:get("/count", function(_, response) response:send(tostring(pool.count())) end)
server:get("/block", function(request, response)
  mark("calls")
  local text, why, code = pool.block(request.query.path)
  response:send(text or why .. " " .. code)
end)
server:get("/stream", function(request, response)
  response.sse:open()
  local ending <close> = setmetatable({}, { __close = function() mark("closed") end })
  mark("calls")
  pool.block(request.query.path)
  mark("returned")
end)
]]

local folder

before_each(function()
  folder = os.tmpname()
  os.remove(folder)
  assert(lfs.mkdir(folder))
  assert(Process.run { "mkfifo", folder .. "/go" } == 0)
end)

after_each(function() Process.remove_folder(folder) end)

local function start(options)
  options = options or {}
  options.workers = options.workers or 1
  return Server.start({ ["script.lua"] = support.script(SCRIPT), ["lib/db.lua"] = MODULE }, options)
end

-- A client that has asked for what blocks.
local function block(server)
  local client = server:connect()
  client:send(("GET /block?path=%s/go HTTP/1.1\r\nHost: x\r\n\r\n"):format(folder))
  return client
end

-- Lets one function that blocks go on; waits until it does block.
local function release(text)
  local code = Process.run({ "sh", "-c", 'printf %s "$1" > "$2"', "sh", text, folder .. "/go" },
    { seconds = 20 })
  assert.equal(0, code)
end

-- Waits until a thread is at the function.
local function await_begun()
  eventually(function() return lfs.attributes(folder .. "/go.began", "mode") == "file" end)
end

local function thread_count(server)
  local count = 0
  for name in lfs.dir(("/proc/%d/task"):format(server.pid)) do
    count = count + (name:find("%d") and 1 or 0)
  end
  return count
end

local function await_closed(server, count)
  eventually(function()
    local closed = 0
    for _, mark in ipairs(support.marks(server)) do
      assert.are_not.equal("returned", mark)
      closed = closed + (mark == "closed" and 1 or 0)
    end
    return closed == count
  end)
end

describe("while a function of a pool runs", function()
  it("others are served, one more call waits, and the next is refused", function()
    local server = start()
    local first = block(server)
    await_begun()
    local second = block(server)
    support.await_marks(server, { "calls", "calls" })
    assert.equal("too many calls of the pool wait already EAGAIN", block(server):response().body)
    assert.equal("here", support.get(server, "/"))
    release "one"
    assert.equal("one", first:response().body)
    release "two"
    assert.equal("two", second:response().body)
    assert.equal("2", support.get(server, "/count"))
  end)

  it("its reader may leave, and so may one whose call waits: that call is not made", function()
    local server = start()
    local first = server:stream("/stream?path=" .. folder .. "/go")
    await_begun()
    local second = server:stream("/stream?path=" .. folder .. "/go")
    support.await_marks(server, { "calls", "calls" })
    second:close()
    await_closed(server, 1)
    first:close()
    await_closed(server, 2)
    assert.equal("here", support.get(server, "/"))
    release "nobody reads it"
    assert.equal("1", support.get(server, "/count"))
    await_closed(server, 2)
  end)

  it("the server ends with it within drain_timeout", function()
    local server = start { args = { "--limit", "drain_timeout=60" } }
    local client = block(server)
    await_begun()
    server.process:signal("TERM")
    eventually(function() return #server:log_lines("stopping") > 0 end)
    release "done"
    assert.equal("done", client:response().body)
    server:stop()
  end)

  it("the server ends without it after drain_timeout", function()
    local server = start { args = { "--limit", "drain_timeout=0.01" } }
    local client = block(server)
    await_begun()
    server:stop { seconds = 10 }
    assert.equal("", (client:receive_all(2)))
  end)

  it("a reload brings new code, the old call gets its answer, and old threads end", function()
    local server = start()
    local before = thread_count(server)
    local client = block(server)
    await_begun()
    Process.write_file(server.folder .. "/lib/db.lua",
      "return { count = function() return 'new' end }")
    server.process:signal("HUP")
    eventually(function() return #server:log_lines(" reloaded ") == 1 end)
    assert.equal("new", support.get(server, "/count"))
    release "old"
    assert.equal("old", client:response().body)
    client:close()
    eventually(function() return thread_count(server) == before end)
  end)
end)

local NOTES_MODULE = [[
local luasql = require "luasql.sqlite3"
local db = assert(luasql.sqlite3():connect(PATH))
db:execute "PRAGMA busy_timeout = 60000"
assert(db:execute "CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")

local notes = {}

function notes.add(text)
  local ok, why = db:execute(("INSERT INTO notes (text) VALUES ('%s')"):format(db:escape(text)))
  if not ok then return nil, why, "ESQLITE" end
  return db:getlastautoid()
end

function notes.list()
  local cursor = assert(db:execute "SELECT id, text FROM notes ORDER BY id")
  local list, row = {}, cursor:fetch({}, "a")
  while row do
    list[#list + 1] = row
    row = cursor:fetch({}, "a")
  end
  cursor:close()
  return list
end

function notes.fail() return db:execute "SELECT nothing" end

return notes
]]

local NOTES = [[
local notes = lunesse.pool { module = "lib.notes", threads = 3 }
server:get("/", function(_, response) response:send("here") end)
server:post("/", function(request, response)
  response:send(tostring(notes.add(request:text())))
end)
server:get("/list", function(_, response) response:json(notes.list()) end)
server:get("/many", function(_, response)
  local list = {}
  for i = 1, 30 do list[i] = function() assert(notes.add("n" .. i)) end end
  lunesse.all(list)
  response:send(tostring(#notes.list()))
end)
server:get("/fail", function(_, response)
  local ok, why = notes.fail()
  response:send(tostring(ok) .. " " .. why)
end)
]]

local function start_notes()
  return Server.start {
    ["script.lua"] = support.script(NOTES),
    ["lib/notes.lua"] = ("local PATH = %q\n"):format(folder .. "/notes.db") .. NOTES_MODULE,
  }
end

describe("SQLite in a pool", function()
  it("keeps what several threads write, and says what fails", function()
    local server = start_notes()
    assert.equal("1", server:request { method = "POST", body = "feed the cat" }.body)
    assert.equal('[{"id":1,"text":"feed the cat"}]', support.get(server, "/list"))
    assert.equal("31", support.get(server, "/many"))
    assert.matches("^nil .*nothing", support.get(server, "/fail"))
  end)

  it("waits for a locked database, and nobody else does", function()
    local server = start_notes()
    local other = assert(luasql.sqlite3():connect(folder .. "/notes.db"))
    assert(other:execute "BEGIN EXCLUSIVE")
    local client = server:connect()
    client:send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx")
    for _ = 1, 10 do
      assert.equal("here", support.get(server, "/"))
    end
    assert.is_true(client:is_silent())
    assert(other:execute "COMMIT")
    other:close()
    assert.equal("1", client:response().body)
  end)
end)
