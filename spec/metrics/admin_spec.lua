-- An address of the operator's own: `--admin`.

local support = require "spec.sse.support"
local Server = require "spec.support.server"
local Process = require "spec.support.process"

local ROUTES = [[
server:get("/metrics", function(_, response) response:send("the script's") end)
server:get("/held", function(_, response)
  response.sse:open()
  hold()
end)
]]

---What makes curl go to the address that the server says.
local function way_to(server)
  local port = server:stdout():match("metrics on http://127.0.0.1:(%d+)/metrics\n")
  return { "--connect-to", "127.0.0.1:80:127.0.0.1:" .. port }
end

---Status and body of the answer.
local function ask(way, target, method)
  local code, out = Process.run { "curl", "-s", "-i", "-X", method or "GET", way[1], way[2],
    "http://127.0.0.1" .. target }
  assert.equal(0, code)
  return tonumber(out:match("^HTTP/1.1 (%d+)")), out:match("\r\n\r\n(.*)$")
end

describe("--admin", function()
  it("tells the metrics on an address of its own, and nowhere else", function()
    local server = support.start(ROUTES, { args = { "--admin", "127.0.0.1:0" } })
    local to = way_to(server)
    local status, body = ask(to, "/metrics")
    assert.equal(200, status)
    assert.matches("\nlunesse_streams 0\n", body)
    assert.equal(404, (ask(to, "/held")))
    assert.equal(404, (ask(to, "/")))
    assert.equal(405, (ask(to, "/metrics", "DELETE")))
    assert.equal("the script's", support.get(server, "/metrics"))
    assert.equal(0, #server:log_lines("hides a route"))
  end)

  it("takes a Unix socket, another path, and says whether the server is ready", function()
    local path = Server.write {} .. "/admin"
    local server = support.start(ROUTES, { workers = 2, args = {
      "--admin", "unix:" .. path, "--metrics", "/numbers", "--ready-path", "/ready" } })
    local to = { "--unix-socket", path }
    assert.equal(200, (ask(to, "/numbers")))
    assert.equal(404, (ask(to, "/metrics")))
    assert.same({ 200, "ready\n" }, { ask(to, "/ready") })
    assert.equal(404, server:request { target = "/numbers" }.status)
    server:stop()
    assert.is_nil(io.open(path))
  end)

  it("answers when the server is full, and while it drains", function()
    local server = support.start(ROUTES, { workers = 1, args = {
      "--admin", "127.0.0.1:0", "--ready-path", "/ready", "--limit", "connections=1",
      "--limit", "drain_timeout=1", "--limit", "drain_delay=20" } })
    local to = way_to(server)
    local reader = server:stream("/held")
    reader:comment()
    assert.equal(503, server:request { target = "/metrics" }.status)
    assert.equal(200, (ask(to, "/metrics")))
    assert.equal(200, (ask(to, "/ready")))
    server.process:signal("TERM")
    eventually(function() return ask(to, "/ready") == 503 end)
    assert.equal(200, (ask(to, "/metrics")))
    server.process:signal("TERM") -- at once
    reader:close()
  end)

  it("is refused where it is no address, or is taken", function()
    local folder = Server.write { ["a.lua"] = support.script(ROUTES) }
    for _, wrong in ipairs { "", "x", "unix:", ":80", "host:", "host:x", "host:70000", "[]:1" } do
      local code, out, err = Server.run { "--admin", wrong, folder .. "/a.lua" }
      assert.same({ 2, "" }, { code, out }, wrong)
      assert.matches("unix:PATH or HOST:PORT expected", err)
    end
    local server = support.start(ROUTES)
    local code, out, err = Server.run {
      "--port", "0", "--admin", "127.0.0.1:" .. server.port, folder .. "/a.lua" }
    assert.same({ 1, "" }, { code, out })
    assert.matches("^lunesse: cannot listen on 127.0.0.1 port %d+: ", err)
  end)
end)
