-- web.basic: a name and a password with each request.

local mime = require "mime"
local support = require "spec.web.support"

local function ask(app, credentials, scheme)
  local field = credentials and (scheme or "Basic") .. " " .. (mime.b64(credentials) or "")
  return app:get("/", { headers = { Authorization = field } })
end

local USERS = "lunesse.web.basic { users = { ada = 'moon:shine', ['Zo\u{eb}'] = 'gl\u{fc}ck' } }"

describe("web.basic", function()
  it("lets in who has the password, and says who it is", function()
    local app = support.start(USERS)
    local answer = ask(app, "ada:moon:shine")
    assert.same({ 200, "ada" }, { answer.status, answer.body })
    assert.equal("Zo\u{eb}", ask(app, "Zo\u{eb}:gl\u{fc}ck"):text())
    assert.equal("ada", ask(app, "ada:moon:shine", "bASIC"):text())
  end)

  it("asks everybody else", function()
    local app = support.start(USERS)
    for _, credentials in ipairs { "ada:moon", "ada:moon:shine ", "bob:moon:shine", "ada", ":", "",
      "ada:moon:shine\n", "Zo\xeb:gl\xfcck" } do
      local answer = ask(app, credentials)
      assert.same({ 401, 'Basic realm="this server", charset="UTF-8"' },
        { answer.status, answer.headers["www-authenticate"] }, credentials)
    end
    assert.equal(401, ask(app).status)
    for _, field in ipairs { "Basic", "Basic !", "Basic YWRhOm1vb246c2hpbmU", "Bearer YWRh" } do
      assert.equal(401, app:get("/", { headers = { Authorization = field } }).status, field)
    end
    assert.equal("401: a name and a password are needed\n", ask(app):text())
  end)

  it("asks a function, which may wait and say who it is", function()
    local app = support.start [[lunesse.web.basic { realm = "the moon",
      users = function(name, password, request)
        lunesse.sleep(0.1)
        return password == "moonshine" and (name == "ada" or name .. request.path)
      end }]]
    assert.equal("ada", ask(app, "ada:moonshine"):text())
    assert.equal("bob/", ask(app, "bob:moonshine"):text())
    assert.equal('Basic realm="the moon", charset="UTF-8"',
      ask(app, "ada:x").headers["www-authenticate"])
  end)

  it("takes no mistakes", function()
    assert.matches("^web.basic: users is missing", support.refusal "basic {}")
    assert.matches("^web.basic: users is a table of names and passwords, or a function",
      support.refusal "basic { users = { ['a:b'] = 'c' } }")
    assert.matches("^web.basic: users is a table", support.refusal "basic { users = {} }")
    assert.matches("^web.basic: realm is a text without quotes",
      support.refusal "basic { realm = '\"', users = { a = 'b' } }")
  end)
end)
