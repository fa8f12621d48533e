-- web.cors: who may read from another origin, and what a preflight is told.

local support = require "spec.web.support"

local A, B = "https://a.example", "https://b.example"

local function cors(answer)
  return support.fields(answer, "access-control-")
end

local function preflight(app, path, method, more)
  local headers = { Origin = A, ["Access-Control-Request-Method"] = method }
  for name, value in pairs(more or {}) do
    headers[name] = value
  end
  return app:options(path, { headers = headers })
end

describe("web.cors", function()
  it("lets pages of the origins that it names read, and no others", function()
    local app = support.start(('lunesse.web.cors { origins = { "%s" } }'):format(A))
    local answer = app:get("/", { headers = { Origin = A } })
    assert.same({ ["allow-origin"] = A, ["expose-headers"] = "Last-Event-ID" }, cors(answer))
    assert.equal("Origin", answer.headers.vary)
    for _, origin in ipairs { B, "null", A .. ":8443", "http://a.example", A .. "." } do
      answer = app:get("/", { headers = { Origin = origin } })
      assert.same({ 200, {}, "Origin" }, { answer.status, cors(answer), answer.headers.vary })
    end
    answer = app:get("/")
    assert.same({ {}, "Origin" }, { cors(answer), answer.headers.vary })
  end)

  it("lets everybody read with \"*\", which needs no Vary", function()
    local app = support.start 'lunesse.web.cors { origins = "*" }'
    local answer = app:get("/", { headers = { Origin = B } })
    assert.equal("*", cors(answer)["allow-origin"])
    assert.is_nil(answer.headers.vary)
  end)

  it("asks a function, which is given the origin and the request", function()
    local app = support.start [[lunesse.web.cors { credentials = true,
      origins = function(origin, request)
        return origin:find("%.example$") ~= nil and request.path ~= "/any"
      end }]]
    local answer = app:get("/", { headers = { Origin = B } })
    assert.same({ B, "true" }, { cors(answer)["allow-origin"], cors(answer)["allow-credentials"] })
    assert.same({}, cors(app:get("/any", { headers = { Origin = B } })))
    assert.same({}, cors(app:get("/", { headers = { Origin = "https://evil.test" } })))
  end)

  it("answers a preflight for a path that has a route, with the methods of that path", function()
    local app = support.start(('lunesse.web.cors { origins = { "%s" } }'):format(A))
    local answer = preflight(app, "/", "PUT")
    assert.same({ 204, "" }, { answer.status, answer.body })
    assert.same({
      ["allow-origin"] = A, ["allow-methods"] = "GET, HEAD, OPTIONS, POST, PUT",
      ["allow-headers"] = "Last-Event-ID, Authorization, Content-Type", ["max-age"] = "600",
    }, cors(answer))
    assert.equal("GET, HEAD, OPTIONS", cors(preflight(app, "/events", "GET"))["allow-methods"])
  end)

  it("answers a preflight in the place of a handler that takes every method", function()
    local app = support.start(('lunesse.web.cors { origins = { "%s" } }'):format(A))
    local answer = preflight(app, "/any", "DELETE")
    assert.same({ 204, "" }, { answer.status, answer.body })
    assert.equal("GET, HEAD, POST, PUT, PATCH, DELETE", cors(answer)["allow-methods"])
    assert.equal("OPTIONS", app:options("/any"):text())
  end)

  it("leaves 404 and 405 as they are, but readable", function()
    local app = support.start(('lunesse.web.cors { origins = { "%s" } }'):format(A))
    local answer = preflight(app, "/nowhere", "GET")
    assert.same({ 404, A }, { answer.status, cors(answer)["allow-origin"] })
    answer = app:get("/nowhere", { headers = { Origin = A } })
    assert.same({ 404, A }, { answer.status, cors(answer)["allow-origin"] })
    answer = app:delete("/", { headers = { Origin = A } })
    assert.same({ 405, A }, { answer.status, cors(answer)["allow-origin"] })
    assert.equal("GET, HEAD, OPTIONS, POST, PUT", answer.headers.allow)
  end)

  it("leaves OPTIONS alone that is no preflight, and a preflight of others", function()
    local app = support.start(('lunesse.web.cors { origins = { "%s" } }'):format(A))
    local answer = app:options("/")
    assert.same({ 204, "GET, HEAD, OPTIONS, POST, PUT", {} },
      { answer.status, answer.headers.allow, cors(answer) })
    answer = preflight(app, "/", "PUT", { Origin = B })
    assert.same({ 204, {} }, { answer.status, cors(answer) })
  end)

  it("says what it was told of methods, headers, time and private networks", function()
    local app = support.start(([[lunesse.web.cors { origins = { "%s" }, credentials = true,
      methods = { "PUT" }, headers = { "X-Key" }, expose = { "X-Count" }, max_age = 5,
      private_network = true }]]):format(A))
    local asked = { ["Access-Control-Request-Private-Network"] = "true" }
    assert.same({
      ["allow-origin"] = A, ["allow-credentials"] = "true", ["allow-methods"] = "PUT",
      ["allow-headers"] = "Last-Event-ID, X-Key", ["max-age"] = "5",
      ["allow-private-network"] = "true",
    }, cors(preflight(app, "/", "PUT", asked)))
    assert.is_nil(cors(preflight(app, "/", "PUT"))["allow-private-network"])
    local answer = app:get("/", { headers = { Origin = A } })
    assert.equal("Last-Event-ID, X-Count", cors(answer)["expose-headers"])
  end)

  it("allows the headers that are asked for, with headers = \"*\"", function()
    local app = support.start 'lunesse.web.cors { origins = "*", headers = "*" }'
    local asked = { ["Access-Control-Request-Headers"] = "x-a,x-b" }
    assert.equal("x-a,x-b", cors(preflight(app, "/", "PUT", asked))["allow-headers"])
    assert.equal("Last-Event-ID", cors(preflight(app, "/", "PUT"))["allow-headers"])
  end)

  it("is in the head of a stream, and in the answer for a handler that fails", function()
    local app = support.start(('lunesse.web.cors { origins = { "%s" } }'):format(A))
    local stream = app:stream("/events", { headers = { Origin = A } })
    assert.equal(A, stream.headers["access-control-allow-origin"])
    assert.equal("Origin", stream.headers.vary)
    stream:leave()
    local answer = app:get("/boom", { headers = { Origin = A } })
    assert.same({ 500, A }, { answer.status, cors(answer)["allow-origin"] })
    assert.logged { level = "error" }
  end)

  it("takes no mistakes", function()
    assert.equal('web.cors: credentials are for origins that are named, not for "*"',
      support.refusal 'cors { origins = "*", credentials = true }')
    assert.matches("^web.cors: origins is missing: ", support.refusal "cors {}")
    assert.matches("^web.cors: origins is missing: ", support.refusal "cors()")
    for _, origin in ipairs { "a.example", "https://a.example/", "https://A.example",
      "https://a.example:443", "http://a.example:80", "null", "*", "https://a@b" } do
      assert.matches("^web.cors: origins is \"%*\", a function, or a list of origins such as",
        support.refusal(('cors { origins = { "%s" } }'):format(origin)))
    end
    assert.equal("web.cors: unknown option 'origin'; there are credentials, expose, headers, " ..
      "max_age, methods, origins, private_network", support.refusal 'cors { origin = "*" }')
    assert.equal("web.cors: max_age is seconds, above 0 and up to 1e9",
      support.refusal 'cors { origins = "*", max_age = "5" }')
    assert.equal("web.cors takes a table of options, got string", support.refusal 'cors "*"')
  end)
end)
