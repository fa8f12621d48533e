-- `*rest` passed `..` on, raw or encoded, so the obvious `io.open("pub/" .. params.path)` of a
-- route that serves files read any file of the machine. An encoded slash in it was a separator for
-- the handler and none for the prefixes of middlewares, so a guard of /files/secret was passed by
-- /files/secret%2fkey.

local Process = require "spec.support.process"
local Server = require "spec.support.server"
local support = require "spec.sse.support"
local wire = require "spec.support.wire"

local SCRIPT = [[
local folder = FOLDER
local seen = {}
server:use(function(request, response, next)
  seen[#seen + 1] = request.path
  next()
end)
server:use("/files/secret", function(_, response) response:status(403):send("guarded") end)
server:get("/files/*path", function(request, response)
  local file = io.open(folder .. "/pub/" .. request.params.path)
  if not file then return response:status(404):send("no such file") end
  response:send(file:read "a")
  file:close()
end)
server:get("/raw/*rest", { raw_path = true }, function(request, response)
  response:send(request.params.rest)
end)
server:get("/item/:name", function(request, response) response:send(request.params.name) end)
server:get("/item/:name/raw", { raw_path = true }, function(request, response)
  response:send(request.params.name)
end)
server:get("/admin", function(_, response) response:send("admin") end)
server:get("/seen", function(_, response) response:send(table.concat(seen, " ")) end)
]]

describe("a route that serves files", function()
  local server

  local function status(target)
    return server:request({ target = target }).status
  end

  local function body(target)
    return server:request({ target = target }).body
  end

  before_each(function()
    local folder = Server.write {
      ["secret.txt"] = "secret", ["pub/a.txt"] = "a", ["pub/secret/key"] = "key",
      ["pub/..a"] = "dots",
    }
    server = support.start(SCRIPT:gsub("FOLDER", function() return ("%q"):format(folder) end),
      { workers = 1 })
  end)

  it("gives what is there", function()
    assert.equal("a", body "/files/a.txt")
    assert.equal("a", body "/files/%61%2etxt")
    assert.equal("dots", body "/files/..a")
    assert.equal(403, status "/files/secret/key")
  end)

  for _, path in ipairs { "../secret.txt", "%2e%2e/secret.txt", ".%2E/secret.txt",
    "..%2fsecret.txt", "%2e%2e%2fsecret.txt", "secret/..%2f../secret.txt", "./a.txt", "a/..",
    "x%5c..%5csecret.txt", "..%5Csecret.txt", "a%2f.%2fb", ".", "..", "a%00.txt" } do
    it("is not asked for " .. path, function()
      assert.equal(400, status("/files/" .. path))
      assert.equal(400, status("http://a/files/" .. path))
      assert.equal("/seen", body "/seen") -- no middleware was, either
    end)
  end

  for _, path in ipairs { "secret%2fkey", "secret%2Fkey", "%73ecret%2fkey", "a%2fb" } do
    it("never takes an encoded slash for one: " .. path, function()
      assert.equal(400, status("/files/" .. path))
      assert.equal("/seen", body "/seen")
    end)
  end

  it("keeps its connection when it is asked so", function()
    local client = server:connect()
    client:send(wire.request { target = "/files/../x" } .. wire.request { target = "/admin" })
    assert.equal(400, client:response().status)
    assert.equal("admin", client:response().body)
    client:close()
  end)

  it("gives it all as it came to a route that asks for it", function()
    for _, rest in ipairs { "a%2fb", "../x", "%2e%2E%2f", "a/./b", "%61", "a%5c..%5cb" } do
      assert.equal(rest, body("/raw/" .. rest))
    end
    assert.equal("a%2fb", body "/item/a%2fb/raw")
    assert.equal(400, status "/raw/%00")
  end)

  it("has the encoded slash in one segment, where it divides nothing", function()
    assert.equal("a/b", body "/item/a%2fb")
    assert.equal(400, status "/item/%2e%2e")
    assert.equal(400, status "/item/..%2fb")
  end)

  it("and middlewares see one path, however it was spelt", function()
    assert.equal("admin", body "/%61dmin")
    assert.equal("admin", body "/%61%64%6D%69n")
    assert.equal("a/b", body "/item/a%2fb")
    assert.equal("/admin /admin /item/a%2Fb /seen", body "/seen")
  end)

  it("is as safe where no route is", function()
    assert.equal(400, status "/nowhere/../x")
    assert.equal(404, status "/nowhere/a%2fb")
  end)
end)

describe("the option raw_path", function()
  it("is true or false", function()
    local folder = Server.write { ["a.lua"] =
      'require "lunesse".server():get("/", { raw_path = 1 }, print)' }
    local code, _, err = Process.run { Server.binary(), "--check", folder .. "/a.lua" }
    assert.equal(1, code)
    assert.matches("a.lua:1: raw_path is true or false", err, 1, true)
  end)
end)
