-- lunesse.crypto.password_hash and password_verify: what is stored, who can read it, and how the
-- caller waits.

local apps = require "spec.support.app"
local clock = require "spec.support.clock"
local Process = require "spec.support.process"
local support = require "spec.sse.support"

local SCRIPT = [[
local crypto = lunesse.crypto
local function answer(response, ...)
  local list = table.pack(...)
  for i = 1, list.n do list[i] = tostring(list[i]) end
  response:send(table.concat(list, " "))
end
server:post("/hash", function(request, response)
  answer(response, crypto.password_hash(request:text()))
end)
server:post("/verify", function(request, response)
  local password, hash = request:text():match("^(.*)\n(.*)$")
  answer(response, crypto.password_verify(password, hash))
end)
server:get("/", function(_, response) response:send("here") end)
server:get("/stream", function(_, response)
  response.sse:open()
  local ending <close> = setmetatable({}, { __close = function() mark("closed") end })
  crypto.password_hash("secret")
  mark("hashed")
  hold()
end)
]]

-- The text of an answer. A thread works in the machine's time: the kit's own time waits for it, but
-- that of a real process does not.
local function text_of(app, answer)
  eventually(function()
    app:turn()
    return answer.ended
  end)
  return answer:expect(200):text()
end

local function hash_of(app, password)
  return text_of(app, app:send("POST", "/hash", { body = password }))
end

local function verify(app, password, hash)
  return text_of(app, app:send("POST", "/verify", { body = password .. "\n" .. hash }))
end

describe("a password", function()
  it("is hashed with a salt of its own, and is the only one that is right", function()
    local app = apps.start(SCRIPT)
    local password = "p\0\xff" .. ("x"):rep(1000)
    local hash = hash_of(app, password)
    assert.matches("^%$scrypt%$ln=15,r=8,p=3%$[%w+/]+%$[%w+/]+$", hash)
    assert.equal("true false", verify(app, password, hash))
    assert.equal("false false", verify(app, password .. "x", hash))
    assert.are_not.equal(hash, hash_of(app, password))
  end)

  it("is hashed as Node's scrypt does", function()
    local app = apps.start(SCRIPT)
    local hash = hash_of(app, "moonshine")
    local code, out, err = Process.run({ "node", "-e", [[
      const [, , parameters, salt, key] = process.argv[1].split("$");
      const [N, r, p] = parameters.match(/\d+/g).map(Number);
      const made = require("crypto").scryptSync("moonshine", Buffer.from(salt, "base64"), 32,
        { N: 2 ** N, r, p, maxmem: 2 ** 27 });
      console.log(made.equals(Buffer.from(key, "base64")));]], hash }, { seconds = 30 })
    assert.equal(0, code, err)
    assert.equal("true\n", out)
  end)

  it("is verified against what passlib made, and told that this is outdated", function()
    local app = apps.start(SCRIPT)
    assert.equal("true true", verify(app, "password",
      "$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E"))
  end)

  it("is not compared with what is no hash, or asks for too much", function()
    local app = apps.start(SCRIPT)
    for _, hash in ipairs { "", "moonshine", "$2b$12$abc",
      "$scrypt$ln=20,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E" }
    do
      assert.equal("nil the hash is none that password_hash makes, or asks for too much EINVAL",
        verify(app, "moonshine", hash))
    end
  end)

  it("may be hashed while the scripts load, and not where nothing can wait", function()
    local app = apps.start [[
local hash = lunesse.crypto.password_hash("x")
local _, why = pcall(table.sort, { 1, 2 }, function() lunesse.crypto.password_hash("x") end)
local _, other = pcall(lunesse.crypto.password_verify, "x")
server:get("/", function(_, response)
  response:send(("%s\n%s\n%s"):format(lunesse.crypto.password_verify("x", hash), why, other))
end)
]]
    local text = text_of(app, app:send("GET", "/"))
    assert.matches("^true\n", text)
    assert.matches("script.lua:2: password_hash can only wait inside a handler", text)
    assert.matches("bad argument #2 to 'lunesse.crypto.password_verify' %(string expected", text)
  end)
end)

-- A real server: whether others are served meanwhile is a matter of threads.
describe("while a password is hashed", function()
  it("others are served", function()
    local server = support.start(SCRIPT, { workers = 1 })
    local clients = {}
    for i = 1, 2 do
      clients[i] = server:connect()
      clients[i]:send("POST /hash HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx")
    end
    local began = clock.now()
    for _ = 1, 20 do
      assert.equal("here", support.get(server, "/"))
    end
    assert.is_true(clients[2]:is_silent() or clock.now() - began > 0.3)
    for i = 1, 2 do
      assert.matches("^%$scrypt", clients[i]:response().body)
    end
  end)

  it("a reader may leave: its task ends, and nobody waits for the hash", function()
    local server = support.start(SCRIPT, { workers = 1 })
    local readers = {}
    for i = 1, 20 do
      readers[i] = server:stream("/stream")
    end
    for i = 1, 20 do
      readers[i]:close()
    end
    eventually(function()
      local closed = 0
      for _, mark in ipairs(support.marks(server)) do
        closed = closed + (mark == "closed" and 1 or 0)
      end
      return closed == 20
    end)
    assert.equal("here", support.get(server, "/"))
    server:stop { seconds = 10 }
  end)

  it("the server may end", function()
    local server = support.start(SCRIPT, {
      args = { "--limit", "drain_timeout=0.01" }, workers = 1,
    })
    for _ = 1, 2 do
      server:connect():send("POST /hash HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx")
    end
    assert.equal("here", support.get(server, "/"))
    server:stop { seconds = 10 } -- a hash that a thread is at comes to its end
  end)

  it("the scripts may be replaced", function()
    local app = apps.start(SCRIPT, { workers = 1 })
    local answer = app:send("POST", "/hash", { body = "x" })
    assert(app:reload { ["script.lua"] = support.script(SCRIPT) })
    assert.matches("^%$scrypt", text_of(app, answer))
  end)
end)

describe("the limit passwords", function()
  it("refuses more than may wait, and then takes others", function()
    local app = apps.start(SCRIPT .. [[
server:get("/many", function(_, response)
  local said, done = {}, lunesse.signal()
  for i = 1, 4 do
    lunesse.spawn(function()
      local hash, why, code = crypto.password_hash("x")
      said[#said + 1] = hash and "hash" or why .. " " .. code
      done:set()
    end)
  end
  while #said < 4 do done:wait() done:clear() end
  response:send(table.concat(said, "\n"))
end)
]], { limits = { passwords = 2 }, workers = 1 })
    local refused = "too many passwords wait already EAGAIN\n"
    assert.equal(refused .. refused .. "hash\nhash", text_of(app, app:send("GET", "/many")))
    assert.matches("^%$scrypt", hash_of(app, "x"))
  end)
end)
