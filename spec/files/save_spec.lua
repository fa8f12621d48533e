-- part:save: a file of a form is written while it comes, and is there only when it is whole.

local lfs = require "lfs"
local Process = require "spec.support.process"
local Server = require "spec.support.server"

local MB = 1024 * 1024

local SCRIPT = [[
local lunesse = require "lunesse"
local server = lunesse.server()
local options = { body = "stream", body_bytes = 1 << 30 }
server:post("/save", options, function(request, response)
  local said = {}
  for part in request:multipart() do
    local size, why, code = part:save("kept/" .. part.name, request.query.replace and
      { replace = true })
    said[#said + 1] = size or ("%s (%s)"):format(why, code)
  end
  response:send(table.concat(said, "; "))
end)
server:post("/cancel", { body = "stream", on_leave = "cancel" }, function(request)
  for part in request:multipart() do part:save("kept/" .. part.name) end
end)
server:post("/absolute", options, function(request, response)
  local part = request:multipart()()
  response:send(tostring(part:save(request.query.path)))
end)
server:post("/mistakes", function(request, response)
  local said = {}
  for part in request:multipart() do
    for _, list in ipairs { { 1 }, { "" }, { "a\0b" }, { "a", 1 }, { "a", { x = 1 } },
        { "a", { replace = 1 } } } do
      local function save() part:save(table.unpack(list)) end
      said[#said + 1] = select(2, pcall(save)):match(":%d+: (.*)")
    end
  end
  response:send(table.concat(said, "\n"))
end)
]]

describe("part:save", function()
  local server

  local function start(options)
    server = Server.start({ ["script.lua"] = SCRIPT, ["kept/there"] = "old", ["sent.bin"] = "" },
      options)
  end

  local function post(target, ...)
    local words = { "curl", "-s", "-H", "Expect:" }
    for _, field in ipairs { ... } do
      table.move({ "-F", field }, 1, 2, #words + 1, words)
    end
    words[#words + 1] = "http://127.0.0.1:" .. server.port .. target
    local code, out = Process.run(words)
    assert.equal(0, code, out)
    return out
  end

  ---The files in the folder, drafts too.
  local function files()
    local names = {}
    for name in lfs.dir(server.folder .. "/kept") do
      names[#names + 1] = name ~= "." and name ~= ".." and name or nil
    end
    table.sort(names)
    return table.concat(names, " ")
  end

  local function content(name)
    return Process.read_file(server.folder .. "/kept/" .. name)
  end

  after_each(function()
    server:stop()
  end)

  it("writes what comes beside the script, and says how much", function()
    start()
    assert.equal("5; 0", post("/save", "a=hello", "b="))
    assert.equal("hello", content "a")
    assert.equal("", content "b")
    assert.equal("a b there", files())
  end)

  it("leaves a file of that name alone, unless it is told to replace it", function()
    start()
    assert.equal("there is a file of this name already (EEXIST); 1",
      post("/save", "there=new", "x=1"))
    assert.equal("old", content "there")
    assert.equal("3", post("/save?replace=1", "there=new"))
    assert.equal("new", content "there")
    assert.equal("there x", files())
  end)

  it("says that there is no such folder", function()
    start()
    assert.equal("there is no such folder (ENOENT); there is no such folder (ENOENT)",
      post("/save", "none/a=1", "there/a=1"))
    assert.equal("there", files())
  end)

  it("takes an absolute path as it is", function()
    start()
    assert.equal("1", post("/absolute?path=" .. server.folder .. "/kept/abs", "a=1"))
    assert.equal("1", content "abs")
  end)

  it("leaves nothing of a file that the system does not take", function()
    start { wrap = Server.under "trap '' XFSZ; ulimit -f 200" }
    local file = assert(io.open(server.folder .. "/sent.bin", "w"))
    file:write(("x"):rep(MB)):close()
    assert.equal("the system allows no file that large (EFBIG); 1",
      post("/save", "large=@" .. server.folder .. "/sent.bin", "small=1"))
    assert.equal("small there", files())
  end)

  for _, case in ipairs {
    { "/save", "has left", "reset" }, { "/cancel", "has left a handler that ends then", "reset" },
    { "/save", "ended within it", "finish_sending" },
  } do
    it("leaves nothing of a file whose peer " .. case[2], function()
      start()
      local client = server:connect()
      local head = '--b\r\nContent-Disposition: form-data; name="half"\r\n\r\n'
      client:send(("POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n" ..
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n%s%s"):format(case[1], head,
        ("x"):rep(1000)))
      assert.is_true(eventually(function() return files():find(".lunesse-", 1, true) ~= nil end))
      client[case[3]](client)
      assert.is_true(eventually(function() return files() == "there" end))
      client:close()
    end)
  end

  it("holds no file in memory", function()
    start()
    local file = assert(io.open(server.folder .. "/sent.bin", "w"))
    for i = 1, 40 do
      file:write(string.char(64 + i):rep(MB))
    end
    file:close()
    assert.equal("1", post("/save", "warm=1"))
    local before = server:memory()
    assert.equal(tostring(40 * MB), post("/save", "large=@" .. server.folder .. "/sent.bin"))
    local is_watched = Server.is_sanitized() or os.getenv "LUNESSE_WRAP" ~= nil -- frees late
    assert.is_true(is_watched or server:memory() - before < 16 * MB)
    local sent = Process.read_file(server.folder .. "/sent.bin")
    assert.is_true(content "large" == sent)
  end)

  it("says what is wrong with its arguments", function()
    start()
    assert.equal("part:save takes a path, which is not empty and has no NUL\n" ..
      "part:save takes a path, which is not empty and has no NUL\n" ..
      "part:save takes a path, which is not empty and has no NUL\n" ..
      "part:save takes a table of options, got number\n" ..
      "part:save: unknown option 'x'\npart:save: replace is true or false",
      post("/mistakes", "a=1"))
  end)
end)
