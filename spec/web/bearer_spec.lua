-- web.bearer: a token with each request.

local support = require "spec.web.support"

local function ask(app, field, query)
  return app:get("/" .. (query or ""), { headers = { Authorization = field } })
end

local function told(answer)
  return { answer.status, answer.headers["www-authenticate"] }
end

describe("web.bearer", function()
  it("lets in who has a token that is known, and says whose it is", function()
    local app = support.start [[lunesse.web.bearer {
      keys = { ["t0ken-1"] = "ada", ["T~+/=="] = "bob" } }]]
    assert.equal("ada", ask(app, "Bearer t0ken-1"):text())
    assert.equal("bob", ask(app, "bearer  T~+/=="):text())
    app = support.start "lunesse.web.bearer { keys = { 't0ken-1', 't0ken-2' } }"
    assert.equal("true", ask(app, "Bearer t0ken-2"):text())
  end)

  it("says what is wrong with others, as RFC 6750 has it", function()
    local app = support.start "lunesse.web.bearer { keys = { 't0ken' }, realm = 'the moon' }"
    assert.same({ 401, 'Bearer realm="the moon"' }, told(ask(app)))
    assert.same({ 401, 'Bearer realm="the moon"' }, told(ask(app, "Basic YTpi")))
    for _, token in ipairs { "t0ke", "t0ken1", "T0KEN", "true" } do
      assert.same({ 401, 'Bearer realm="the moon", error="invalid_token"' },
        told(ask(app, "Bearer " .. token)))
    end
    for _, field in ipairs { "Bearer", "Bearer a b", "Bearer t\xff", "Bearer t0ken, t0ken" } do
      assert.same({ 400, 'Bearer realm="the moon", error="invalid_request"' },
        told(ask(app, field)))
    end
    assert.equal(401, ask(app, nil, "?access_token=t0ken").status)
  end)

  it("reads the query where it is told to, for an EventSource", function()
    local app = support.start "lunesse.web.bearer { keys = { 't0ken' }, query = 'key' }"
    assert.equal(200, ask(app, nil, "?key=t0ken").status)
    assert.equal(200, ask(app, "Bearer t0ken").status)
    assert.equal(401, ask(app, nil, "?key=other").status)
    assert.equal(400, ask(app, nil, "?key=").status)
    assert.equal(400, ask(app, nil, "?key=t0ken&key=t0ken").status)
    assert.equal(400, ask(app, "Bearer t0ken", "?key=t0ken").status)
  end)

  it("asks a function, which may wait", function()
    local app = support.start [[lunesse.web.bearer { keys = function(token, request)
      lunesse.sleep(0.1)
      return token == "t0ken" and { name = request.path }
    end }, function(request, response, next)
      request.state.user = request.state.user.name
      next()
    end]]
    assert.equal("/", ask(app, "Bearer t0ken"):text())
    assert.equal(401, ask(app, "Bearer other").status)
  end)

  it("takes no mistakes", function()
    assert.matches("^web.bearer: keys is missing", support.refusal "bearer {}")
    for _, keys in ipairs { "{}", "{ 'a b' }", "{ ['a b'] = 1 }", "{ 5 }", "'t0ken'" } do
      assert.matches("^web.bearer: keys is a list of tokens",
        support.refusal("bearer { keys = " .. keys .. " }"))
    end
    assert.matches("^web.bearer: unknown option 'tokens'",
      support.refusal "bearer { keys = { 'a' }, tokens = 'b' }")
  end)
end)
