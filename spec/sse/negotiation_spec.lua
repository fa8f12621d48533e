-- Who is given a stream: `response.sse` by RFC 9110, every method but HEAD, and where a client says
-- how far it was.

local support = require "spec.sse.support"
local Server = require "spec.support.server"
local wire = require "spec.support.wire"

local ASK = [[
server:any("/", function(request, response)
  local sse = response.sse
  response:send(tostring(sse ~= nil) .. " " .. tostring(sse == response.sse))
end)
server:any("/always", { sse = "always" }, function(request, response)
  response:header("X-Sse", tostring(response.sse))
  response:send(tostring(response.sse ~= nil) .. " " .. tostring(response.sse == response.sse))
end)
server:get("/id", function(request, response)
  response:json { id = request.last_event_id or lunesse.json.null,
    same = response.sse.last_event_id == request.last_event_id }
end)
server:post("/echo", function(request, response)
  local sse = response.sse
  for word in request:text():gmatch("%S+") do
    sse:send(word)
    lunesse.sleep(0.001)
  end
  sse:send("[DONE]")
  sse:close()
end)
]]

describe("response.sse", function()
  local server

  setup(function()
    server = support.start_inside(ASK, { shared = true })
  end)

  teardown(function()
    server:stop()
  end)

  ---What a request with these Accept lines is told; false for none.
  local function has_stream(...)
    local headers = {}
    for i, line in ipairs { ... } do
      headers[i] = { "Accept", line }
    end
    return server:request({ headers = headers }).body
  end

  it("is there without Accept, and for */*", function()
    assert.equal("true true", has_stream())
    assert.equal("true true", has_stream("*/*"))
    assert.equal("true true", has_stream("*/*;q=0.1"))
  end)

  it("is there for text/event-stream and text/*, in any case and with parameters", function()
    for _, accept in ipairs {
      "text/event-stream", "text/*", "Text/Event-Stream", "text/event-stream;q=0.001",
      "text/event-stream; q=1", "application/json, text/event-stream",
      "text/html, text/*;q=0.5", " text/event-stream ", "text/event-stream,",
      "application/json;q=1, */*;q=0.1",
    } do
      assert.equal("true true", has_stream(accept), accept)
    end
  end)

  it("is nil for other types", function()
    for _, accept in ipairs {
      "application/json", "text/html", "text/html, application/xhtml+xml", "image/*",
      "text/event-streams", "application/event-stream",
    } do
      assert.equal("false true", has_stream(accept), accept)
    end
  end)

  it("is nil for q=0, by the most specific range", function()
    for _, accept in ipairs {
      "text/event-stream;q=0", "text/event-stream;q=0.000", "*/*, text/event-stream;q=0",
      "text/event-stream;q=0, */*", "text/*;q=0, */*", "*/*;q=0", "text/*, text/event-stream;q=0",
    } do
      assert.equal("false true", has_stream(accept), accept)
    end
    for _, accept in ipairs { "text/*;q=0, text/event-stream", "*/*;q=0, text/*;q=0.1" } do
      assert.equal("true true", has_stream(accept), accept)
    end
  end)

  it("is there whatever Accept says on a route with sse = 'always', but not for HEAD", function()
    for _, accept in ipairs { "application/json", "*/*;q=0", "text/event-stream;q=0", "image/*" } do
      assert.equal("true true", server:request({
        method = "POST", target = "/always", body = "", headers = { { "Accept", accept } },
      }).body, accept)
    end
    local head = server:request { method = "HEAD", target = "/always" }
    assert.equal("nil", head.headers["x-sse"])
  end)

  it("has no other option for it", function()
    local _, _, err = Server.run { "--check", Server.write { ["a.lua"] =
      'require "lunesse".server():get("/", { sse = true }, print)' } }
    assert.matches("a.lua:1: sse is 'always'", err, 1, true)
  end)

  it("takes several Accept lines as one list", function()
    assert.equal("true true", has_stream("application/json", "text/event-stream"))
    assert.equal("false true", has_stream("application/json", "text/html"))
    assert.equal("false true", has_stream("*/*", "text/event-stream;q=0"))
  end)

  it("is there for every method but HEAD", function()
    for _, method in ipairs { "GET", "POST", "PUT", "PATCH", "DELETE" } do
      local body = method ~= "GET" and "" or nil
      assert.equal("true true", server:request({ method = method, body = body }).body, method)
    end
  end)

  it("streams the answer to a POST", function()
    local stream = server:stream("/echo", { method = "POST", body = "to be or not" })
    local said = {}
    for i, event in ipairs(stream:take(5)) do
      said[i] = event.data
    end
    assert.same({ "to", "be", "or", "not", "[DONE]" }, said)
    assert.equal("done", stream:finish())
    stream:close()
  end)

  it("streams the answer to a POST for every cut of the input, also in chunks", function()
    local sized = wire.request { method = "POST", target = "/echo", body = "a b", headers = {
      { "Accept", "text/event-stream" } } }
    local chunked = wire.request { method = "POST", target = "/echo", headers = {
      { "Accept", "text/event-stream" }, { "Transfer-Encoding", "chunked" } } } ..
      "1\r\na\r\n2\r\n b\r\n0\r\n\r\n"
    for _, bytes in ipairs { sized, chunked } do
      wire.cut_everywhere(server, bytes, function(client, at)
        local response = client:response()
        assert.same({ ":\n\n", "data: a\n\n", "data: b\n\n", "data: [DONE]\n\n" },
          response.chunks, at)
      end)
    end
  end)
end)

describe("last_event_id", function()
  local server

  setup(function()
    server = support.start_inside(ASK, { shared = true })
  end)

  teardown(function()
    server:stop()
  end)

  local function id_of(target, header)
    return server:request({ target = target, headers = { ["Last-Event-ID"] = header } }).body
  end

  it("is nil when the client says nothing", function()
    assert.equal('{"id":null,"same":true}', (id_of("/id"):gsub('{"same":true,"id":null}',
      '{"id":null,"same":true}')))
  end)

  it("comes from the header, whatever its case and content", function()
    assert.matches('"id":"e4-17"', id_of("/id", "e4-17"), 1, true)
    assert.matches('"id":"\u{1F319}"', id_of("/id", "\u{1F319}"), 1, true)
    local body = server:request({ target = "/id", headers = { ["last-event-id"] = "x" } }).body
    assert.matches('"id":"x"', body, 1, true)
    assert.matches('"same":true', body, 1, true)
  end)

  it("comes from ?last_event_id=, because a new EventSource cannot set the header", function()
    assert.matches('"id":"e4-17"', id_of("/id?last_event_id=e4-17"), 1, true)
    local body = id_of("/id?x=1&last_event_id=a+b%2Fc"):gsub("\\/", "/")
    assert.matches('"id":"a b/c"', body, 1, true)
  end)

  it("comes from ?lastEventId=, as two polyfills call it", function()
    assert.matches('"id":"e4-18"', id_of("/id?lastEventId=e4-18"), 1, true)
    assert.matches('"id":"first"', id_of("/id?lastEventId=first&last_event_id=second"), 1, true)
    assert.matches('"id":"new"', id_of("/id?lastEventId=old", "new"), 1, true)
  end)

  it("comes from the header when both are there: that one is newer", function()
    assert.matches('"id":"new"', id_of("/id?last_event_id=old", "new"), 1, true)
  end)
end)
