-- Redirects of other servers: which are followed, and with what.

local Server = require "spec.support.server"
local support = require "spec.upstream.support"

local function start(text)
  return Server.start(support.RELAY .. text, { workers = 1 })
end

local function begin(server, upstream)
  local client = server:connect()
  client:send(("GET /?up=%s HTTP/1.1\r\nHost: localhost\r\n\r\n"):format(
    upstream.url:gsub("[^%w]", function(c) return ("%%%02X"):format(c:byte()) end)))
  return client
end

local function redirect(conn, status, location, body)
  conn:send(("HTTP/1.1 %d Go\r\nLocation: %s\r\nContent-Length: 4\r\nConnection: close\r\n\r\n%s")
    :format(status, location, body or "gone"))
end

local ASK = [[
server:get("/", function(request, response)
  local up = request.query.up
  local page, why, code = (function() %s end)()
  response:send(page and page.url:gsub("^.-//[^/]*", "") .. " " .. page:text()
    or "nil " .. why .. " " .. code)
end)
]]

describe("a redirect", function()
  after_each(support.close_all)

  it("is followed, and becomes GET where browsers make it so", function()
    local CASES = {
      { "GET", 301, "GET" }, { "GET", 303, "GET" }, { "HEAD", 303, "HEAD" }, { "POST", 301, "GET" },
      { "POST", 302, "GET" }, { "POST", 303, "GET" }, { "PUT", 303, "GET" }, { "PUT", 302, "PUT" },
      { "POST", 307, "POST" }, { "POST", 308, "POST" },
    }
    for _, case in ipairs(CASES) do
      local body = (case[1] == "POST" or case[1] == "PUT") and 'json = { a = 1 }' or ""
      local server = start(ASK:format(('return http.request("%s", up .. "/a/b?c", { %s })'):format(
        case[1], body)))
      local upstream = support.listen()
      local client = begin(server, upstream)
      local conn = upstream:accept()
      conn:request()
      redirect(conn, case[2], "../d#e", case[1] == "HEAD" and "" or nil)
      conn = upstream:accept()
      local head, got = conn:request()
      assert.matches("^" .. case[3] .. " /d HTTP", head)
      assert.equal(case[3] == case[1] and body ~= "" and '{"a":1}' or "", got)
      assert.equal(case[3] == case[1] and body ~= "", head:find("application/json") ~= nil)
      conn:answer(case[3] == "HEAD" and "" or "here")
      assert.equal("/d " .. (case[3] == "HEAD" and "" or "here"), client:response().body)
    end
  end)

  it("to another server goes without what is secret", function()
    local server = start(ASK:format([[return http.get(up, { headers = { Authorization = "secret",
      Cookie = "secret", ["Proxy-Authorization"] = "secret", ["X-Other"] = "1" } })]]))
    local one, other = support.listen(), support.listen()
    local client = begin(server, one)
    local conn = one:accept()
    conn:request()
    redirect(conn, 302, "/same")
    conn = one:accept()
    assert.equal(3, select(2, conn:request():gsub("secret", "")))
    redirect(conn, 302, other.url .. "/other")
    conn = other:accept()
    local head = conn:request()
    assert.is_nil(head:find("secret", 1, true))
    assert.matches("\r\nX%-Other: 1\r\n", head)
    conn:answer("other")
    assert.equal("/other other", client:response().body)
  end)

  it("is the answer with redirects = 0, and where it has no Location", function()
    for text, location in pairs { ["http.get(up, { redirects = 0 })"] = "/x",
      ["http.client { redirects = 0 }:get(up)"] = "/x" } do
      local server, upstream = start(ASK:format("return " .. text)), support.listen()
      local client = begin(server, upstream)
      local conn = upstream:accept()
      conn:request()
      redirect(conn, 302, location)
      assert.equal(" gone", client:response().body)
    end
    local server, upstream = start(ASK:format("return http.get(up)")), support.listen()
    local client = begin(server, upstream)
    local conn = upstream:accept()
    conn:request()
    conn:send("HTTP/1.1 302 Go\r\nContent-Length: 1\r\n\r\nx")
    assert.equal(" x", client:response().body)
  end)

  it("is followed so many times, and to no place that is no URL", function()
    local server = start(ASK:format("return http.get(up, { redirects = 2, stream = true })"))
    local upstream = support.listen()
    local client = begin(server, upstream)
    for i = 1, 3 do
      local conn = upstream:accept()
      conn:request()
      redirect(conn, 302, "/" .. i)
    end
    assert.matches("/3: more than 2 redirects EREDIRECT$", client:response().body)
    for _, location in ipairs { "ftp://x/", "http://a b/", "http://u:p@x/" } do
      client = begin(server, upstream)
      local conn = upstream:accept()
      conn:request()
      redirect(conn, 302, location)
      assert.matches(" E%u+$", client:response().body)
    end
  end)
end)
