-- Clients of a Unix socket.

local Server = require "spec.support.server"
local support = require "spec.upstream.support"

describe("a client with unix", function()
  local folder

  before_each(function()
    folder = Server.write {}
  end)
  after_each(support.close_all)

  local function start(options)
    return Server.start(support.RELAY .. ([[
      local api = http.client { unix = %q, %s }
      server:get("/ask", { on_leave = "cancel" }, function(request, response)
        response:send(told(api:get(request.query.url)))
      end)
    ]]):format(folder .. "/socket", options or ""))
  end

  local function ask(server, url)
    return server:request { target = "/ask?url=" .. url }.body
  end

  it("sends all of its requests there, whatever their hosts are", function()
    local other = Server.start([[
      local server = require("lunesse").server()
      server:get("/where", function(request, response)
        response:send(request.ip .. " " .. request.headers.host)
      end)
      server:get("/on", function(_, response) response:redirect("http://b.test/where") end)
    ]], { args = { "--unix", folder .. "/socket" } })
    local server = start()
    assert.equal("200 unix localhost", ask(server, "http://localhost/where"))
    assert.equal("200 unix no.such.host:81", ask(server, "http://no.such.host:81/where"))
    assert.equal("200 unix 10.0.0.1", ask(server, "http://10.0.0.1/where"))
    assert.equal("200 unix b.test", ask(server, "http://a.test/on"))
    other:stop()
    assert.equal(("nil localhost:80 at unix:%s/socket: No such file or directory ENOENT"):format(
      folder), ask(server, "http://localhost/where"))
  end)

  it("has a path that a socket can have, and is none of http.public", function()
    for options, complaint in pairs {
      ["http.client { unix = ('x'):rep(108) }"] = "unix is the path of a Unix socket, of 1 to 107",
      ["http.client { unix = '' }"] = "unix is the path of a Unix socket, of 1 to 107 bytes",
      ["http.public.client { unix = '/a' }"] =
        "http.public.client: unix leads around the look at addresses",
    } do
      local path = Server.write { ["a.lua"] = "local http = require('lunesse').http\n" .. options }
      local code, _, stderr = Server.run { "--check", path .. "/a.lua" }
      assert.equal(1, code)
      assert.matches(complaint, stderr, 1, true)
      assert.matches("a.lua:2: ", stderr, 1, true)
    end
  end)
end)
