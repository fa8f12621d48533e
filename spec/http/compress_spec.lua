-- Plain answers are compressed where the client takes that.

local apps = require "spec.support.app"
local Process = require "spec.support.process"

local LINE = "a line of text that comes again and again\n"
local TEXT = LINE:rep(100)
local LARGE = LINE:rep(20000)

local SCRIPT = [[
server:get("/text", function(_, response) return response:send(("%s"):rep(100)) end)
server:get("/large", function(_, response) return response:send(("%s"):rep(20000)) end)
server:get("/json", function(_, response)
  local list = {}
  for i = 1, 500 do list[i] = { number = i, name = "the name of " .. i } end
  return response:json(list)
end)
server:get("/small", function(_, response) return response:send(("x"):rep(1023)) end)
server:get("/noise", function(_, response)
  local bytes, seed = {}, 1
  for i = 1, 2000 do
    seed = seed * 1103515245 + 12345 & 0x7fffffff
    bytes[i] = string.char(seed >> 16 & 0xff)
  end
  return response:type("text/plain"):send(table.concat(bytes))
end)
server:get("/typed", function(request, response)
  return response:type(request.query.type):send(("x"):rep(5000))
end)
server:get("/with", function(request, response)
  response:header(request.query.name, request.query.value)
  return response:send(("x"):rep(5000))
end)
server:get("/status", function(request, response)
  return response:status(tonumber(request.query.status)):send(("x"):rep(5000))
end)
server:get("/off", { compress = false }, function(_, response)
  return response:send(("x"):rep(5000))
end)
server:get("/events", function(_, response)
  response.sse:send(("x"):rep(5000))
  response.sse:close()
end)
server:get("/result", function(_, response)
  mark(tostring(response:send(("x"):rep(100000))))
end)
server:get("/write", function(_, response)
  response:write(("x"):rep(5000))
  return response:finish()
end)
]]

describe("a plain answer", function()
  local app

  before_each(function()
    local line = LINE:gsub("\n", "\\n")
    app = apps.start(SCRIPT:format(line, line))
  end)

  after_each(function()
    apps.stop_all()
  end)

  local function get(path, accept)
    return app:get(path, { headers = { ["Accept-Encoding"] = accept or false } })
  end

  local function decoded(answer)
    local programs = {
      gzip = { "gzip", "-dc" },
      br = {
        "node", "-e", "process.stdout.write(require('zlib').brotliDecompressSync(" ..
          "require('fs').readFileSync(0)))",
      },
    }
    local argv = programs[answer.headers["content-encoding"]]
    local code, out, why = Process.run(argv, { stdin = answer:text() })
    assert.equal(0, code, why)
    return out
  end

  it("is compressed when the client takes it", function()
    for accept, coding in pairs {
      ["gzip"] = "gzip", ["gzip, deflate, br"] = "br", ["br;q=0.5, gzip"] = "gzip", ["*"] = "br",
      ["x-gzip"] = "gzip", ["gzip;q=0.5, identity;q=0.5"] = "gzip",
    } do
      local answer = get("/text", accept)
      assert.equal(200, answer.status)
      assert.equal(coding, answer.headers["content-encoding"])
      assert.equal("Accept-Encoding", answer.headers["vary"])
      assert.equal("text/plain; charset=utf-8", answer.headers["content-type"])
      assert.equal(#answer:text(), tonumber(answer.headers["content-length"]))
      assert.is_true(#answer:text() < #TEXT / 10)
      assert.is_true(decoded(answer) == TEXT)
    end
  end)

  it("is sent as it is when the client does not take it, and says what that depends on", function()
    for _, accept in ipairs {
      false, "", "identity", "deflate", "gzip;q=0", "br;q=0, *;q=0", "identity, gzip;q=0.5",
      "nonsense;;",
    } do
      local answer = get("/text", accept)
      assert.is_nil(answer.headers["content-encoding"])
      assert.equal("Accept-Encoding", answer.headers["vary"])
      assert.is_true(answer:text() == TEXT)
    end
  end)

  it("of megabytes is compressed beside the loop", function()
    for _, coding in ipairs { "gzip", "br" } do
      assert.is_true(decoded(get("/large", coding)) == LARGE)
    end
    get("/result", "gzip"):expect(200)
    apps.expect_marks(app, { "true" })
  end)

  it("of JSON is compressed", function()
    local answer = get("/json", "gzip")
    assert.equal("application/json", answer.headers["content-type"])
    assert.truthy(decoded(answer):find('"name":"the name of 500"', 1, true))
  end)

  it("has the same head for HEAD", function()
    local got = get("/text", "gzip")
    local head = app:head("/text", { headers = { ["Accept-Encoding"] = "gzip" } })
    assert.equal(got.headers["content-length"], head.headers["content-length"])
    assert.equal("gzip", head.headers["content-encoding"])
  end)

  it("that gains nothing is sent as it is", function()
    for _, path in ipairs { "/small", "/noise" } do
      assert.is_nil(get(path, "gzip").headers["content-encoding"])
    end
    assert.is_nil(get("/small", "gzip").headers["vary"])
    assert.equal(2000, #get("/noise", "gzip"):text())
  end)

  it("is compressed by its type", function()
    for type, is_coded in pairs {
      ["text/html"] = true, ["application/json"] = true, ["image/svg%2bxml"] = true,
      ["image/png"] = false, ["application/octet-stream"] = false, ["text/event-stream"] = false,
    } do
      local answer = get("/typed?type=" .. type, "gzip")
      assert.equal(is_coded and "gzip" or nil, answer.headers["content-encoding"])
      assert.equal(is_coded and "Accept-Encoding" or nil, answer.headers["vary"])
    end
  end)

  it("whose bytes are to stay as they are is not compressed", function()
    for name, value in pairs {
      ["Content-Encoding"] = "deflate", ["Cache-Control"] = "max-age=5,no-transform",
      ["Content-Range"] = "bytes 0-1/2",
    } do
      local answer = get(("/with?name=%s&value=%s"):format(name, (value:gsub(" ", "%%20"))), "gzip")
      assert.equal(5000, #answer:text())
      assert.is_nil(answer.headers["vary"])
    end
    assert.equal("gzip", get("/status?status=404", "gzip").headers["content-encoding"])
    assert.is_nil(get("/status?status=206", "gzip").headers["content-encoding"])
    assert.equal("", get("/status?status=204", "gzip"):text())
  end)

  it("keeps its own Vary, and its tag becomes a weak one", function()
    assert.equal("Accept-Encoding",
      get("/with?name=Vary&value=Accept-Encoding", "gzip").headers["vary"])
    assert.equal("*", get("/with?name=Vary&value=*", "gzip").headers["vary"])
    assert.equal("Origin, Accept-Encoding",
      get("/with?name=Vary&value=Origin", "gzip").headers["vary"])
    assert.equal('W/"7"', get("/with?name=ETag&value=%227%22", "gzip").headers["etag"])
    assert.equal('"7"', get("/with?name=ETag&value=%227%22").headers["etag"])
    assert.equal('W/"7"', get("/with?name=ETag&value=W/%227%22", "gzip").headers["etag"])
  end)

  it("is not compressed where the route says so, nor is what is written in pieces", function()
    for _, path in ipairs { "/off", "/write" } do
      local answer = get(path, "gzip")
      assert.equal(5000, #answer:text())
      assert.is_nil(answer.headers["vary"])
    end
  end)

  it("is none when it is an event stream", function()
    local stream = app:stream("/events", { headers = { ["Accept-Encoding"] = "gzip, br" } })
    assert.event(stream, "message", ("x"):rep(5000))
    assert.is_nil(stream.headers["content-encoding"])
  end)

  it("that its reader has left costs nothing more", function()
    for _ = 1, 20 do
      app:send("GET", "/large", { headers = { ["Accept-Encoding"] = "br" } }):leave()
    end
    get("/small"):expect(200)
  end)
end)

describe("a server without compression", function()
  after_each(function()
    apps.stop_all()
  end)

  it("compresses nothing but what a route asks for", function()
    local app = apps.start [[
      lunesse.server { compress = false }
      server:get("/", function(_, response) return response:send(("x"):rep(5000)) end)
      server:get("/on", { compress = true }, function(_, response)
        return response:send(("x"):rep(5000))
      end)
    ]]
    local headers = { ["Accept-Encoding"] = "gzip" }
    assert.is_nil(app:get("/", { headers = headers }).headers["content-encoding"])
    assert.equal("gzip", app:get("/on", { headers = headers }).headers["content-encoding"])
  end)
end)
