-- web.bearer with signed tokens. npm's `jose` signs and judges the same ones; what it takes and
-- Lunesse does not is named here.

local apps = require "spec.support.app"
local cjson = require "cjson"
local kit = require "spec.support.kit"
local Process = require "spec.support.process"
local support = require "spec.web.support"
local test = require "lunesse.test"

local NOW = 1893456000 -- the beginning of the year 2030, when apps begin
local SECRET = ("s3cret-"):rep(5)
local RULES = { issuer = "https://moon.example", audience = "https://api.example" }

local made

-- The tokens of jose.mjs, and the key set to judge them by; made once.
local function make()
  if not made then
    local code, out, err = Process.run({ "node", "web/jose.mjs" }, {
      stdin = cjson.encode { now = NOW, secret = SECRET, rules = RULES }, cwd = "spec",
      seconds = 60, env = { LD_PRELOAD = "" }, -- a sanitizer would judge Node
    })
    assert.equal(0, code, err)
    made = cjson.decode(out)
  end
  return made
end

local TELL = [[, function(request, response)
  local claims = lunesse.json.encode(request.state.claims or lunesse.json.null)
  response:send(tostring(request.state.user) .. " " .. claims)
end]]

-- Answers which of many tokens a bearer takes, without a request for each.
local MANY = [[
local mute = setmetatable({}, { __index = function() return function(self) return self end end })
server:post("/many", function(request, response)
  local taken = lunesse.json.array()
  for _, token in ipairs(request:json()) do
    local stand_in = { headers = { authorization = "Bearer " .. token }, state = {} }
    bearer(stand_in, mute, function() taken[#taken + 1] = token end)
  end
  response:json(taken)
end)]]

---An app that takes tokens by these options, a text of Lua.
local function start(options)
  kit.ask() -- the tokens are for its time
  return test.load { ["script.lua"] = apps.script(
    ("local bearer = lunesse.web.bearer { %s }\n%s\nserver:get('/', bearer%s)"):format(
      options, MANY, TELL)) }
end

local function told(answer)
  return answer:text(), answer.status
end

local function start_all(more)
  return start(([[secret = %q, jwks = lunesse.json.decode(%q), issuer = %q, audience = %q %s]])
    :format(SECRET, cjson.encode(make().set), RULES.issuer, RULES.audience, more or ""))
end

local function ask(app, token)
  return app:get("/", { headers = { Authorization = "Bearer " .. token } })
end

local function token_named(name)
  for _, case in ipairs(make().cases) do
    if case[1] == name then
      return case[2]
    end
  end
  error("no token is called " .. name)
end

local function why(answer)
  assert.equal(401, answer.status)
  return answer.headers["www-authenticate"]:match(
    '^Bearer realm="this server", error="invalid_token", error_description="([^"]*)"$')
end

-- What jose takes and Lunesse refuses, by the ends of the names, and what it says.
local STRICTER = {
  ["made in the future"] = "the token is from the future",
  ["of a number"] = "the token's sub is no string",
  ["with a kid that is a number"] = "the token's kid is no string",
  ["with crit that is null"] = "the token asks for an extension, and none is known here",
  ["with an end of many digits"] = "the token's exp is no number",
  ["with a byte order mark"] = "the token is no signed JWT",
  ["padding"] = "the token is no signed JWT",
  ["a second spelling of the signature"] = "the token is no signed JWT",
}

-- What Lunesse takes and jose does not: the key has the one name of the algorithm, and the token
-- the other.
local LOOSER = { ["Ed25519 by its second name"] = true }

local function reason_of(name)
  for ending, reason in pairs(STRICTER) do
    if name:sub(-#ending) == ending then
      return reason
    end
  end
end

describe("web.bearer with signed tokens", function()
  after_each(test.stop)

  it("judges as npm's jose does, but for what is named", function()
    local app, wrong, taken, refused = start_all(), {}, 0, 0
    for _, case in ipairs(make().cases) do
      local name, token, is_taken = case[1], case[2], case[3]
      local answer = ask(app, token)
      local reason = is_taken and reason_of(name)
      local is_right = reason and why(answer) == reason
        or not reason and (answer.status == 200) == (is_taken or LOOSER[name] or false)
      if not is_right then
        wrong[#wrong + 1] = ("%s: %d %s"):format(name, answer.status, answer:text())
      end
      taken, refused = taken + (is_taken and 1 or 0), refused + (is_taken and 0 or 1)
    end
    assert.same({}, wrong)
    assert.is_true(taken >= 50 and refused >= 300, taken .. " taken, " .. refused .. " refused")
  end)

  it("says whose the token is and what it claims", function()
    local app = start_all()
    for _, alg in ipairs { "HS256", "RS256", "ES256", "EdDSA" } do
      local answer = ask(app, token_named(alg .. " as it should be"))
      local user, claims = answer:text():match("^(%S+) (.*)$")
      assert.equal("ada", user)
      assert.same({ sub = "ada", iss = RULES.issuer, aud = RULES.audience, exp = NOW + 60,
        iat = NOW }, cjson.decode(claims))
    end
    assert.matches("^true {", ask(app, token_named "RS256 that nobody is named in"):text())
  end)

  it("says what is wrong with others", function()
    local app = start_all()
    for name, reason in pairs {
      ["RS256 that has just ended"] = "the token has expired",
      ["RS256 that begins later"] = "the token is not valid yet",
      ["RS256 for another"] = "the token is for another audience",
      ["RS256 from another"] = "the token is from another issuer",
      ["RS256 that ends at a text"] = "the token's exp is no number",
      ["RS256 with a kid that nobody has"] = "no key that is known has signed the token",
      ['signed as RS256, called "HS256"'] = "no key that is known has signed the token",
      ["HMAC by the pem of RS256"] = "no key that is known has signed the token",
      ['signed as RS256, called "none"'] =
        "the token is not signed by HS256, RS256, ES256 or EdDSA",
      ["RS256 of an array"] = "the token is no signed JWT",
      ["two parts"] = "the token is no signed JWT",
    } do
      assert.equal(reason, why(ask(app, token_named(name))), name)
    end
    assert.equal("the token is longer than 8192 bytes", why(ask(app, ("x"):rep(8193))))
    assert.equal(400, ask(app, "a.b.c d").status)
  end)

  it("goes by the clock", function()
    local app = start_all()
    local token = token_named "ES256 as it should be"
    app:advance(64)
    assert.equal(200, ask(app, token).status)
    app:advance(1)
    assert.equal("the token has expired", why(ask(app, token)))
    app = start_all ", leeway = 0"
    assert.equal("the token has expired",
      why(ask(app, token_named "ES256 that ends in the leeway")))
    assert.equal("the token is not valid yet",
      why(ask(app, token_named "ES256 that begins in the leeway")))
  end)

  it("has no key for an algorithm that was not asked for", function()
    local by_set = start(("jwks = lunesse.json.decode(%q), audience = %q"):format(
      cjson.encode(make().set), RULES.audience))
    local by_secret = start(("secret = %q, audience = { 'x', %q }"):format(SECRET, RULES.audience))
    for _, alg in ipairs { "HS256", "RS256", "ES256", "EdDSA" } do
      local token = token_named(alg .. " as it should be")
      assert.equal(alg == "HS256" and 401 or 200, ask(by_set, token).status)
      assert.equal(alg == "HS256" and 200 or 401, ask(by_secret, token).status)
    end
  end)

  it("refuses a token for somebody where nobody says who that is", function()
    local app = start(("secret = %q"):format(SECRET))
    assert.equal("the token is for another audience",
      why(ask(app, token_named "HS256 as it should be")))
    assert.equal(200, ask(app, token_named "HS256 for nobody").status)
  end)

  it("takes tokens of older secrets, and keys beside them", function()
    local app = start(("secret = { %q, %q }, audience = %q, keys = { t0ken = 'bob' }"):format(
      ("n"):rep(32), SECRET, RULES.audience))
    assert.matches("^ada ", ask(app, token_named "HS256 as it should be"):text())
    assert.equal("bob null", ask(app, "t0ken"):text())
    assert.equal("the token is no signed JWT", why(ask(app, "other")))
  end)

  -- Whatever is changed in a token, its bytes are others, and nobody has signed those.
  it("takes none of many thousand tokens that somebody has changed", function()
    local app, tokens, tried = start_all(), {}, {}
    local letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.+/"
    for i, alg in ipairs { "HS256", "RS256", "ES256", "EdDSA" } do
      tokens[i] = token_named(alg .. " as it should be")
    end
    local function try(token, from)
      tried[#tried + 1] = token ~= from and token or nil
    end
    for _, token in ipairs(tokens) do
      for at = 1, #token do
        local front, back = token:sub(1, at - 1), token:sub(at + 1)
        local letter = letters:find(token:sub(at, at), 1, true)
        for _, other in ipairs { (letter - 1 ~ 1) + 1, letter % #letters + 1,
          (letter + at) % #letters + 1 } do
          try(front .. letters:sub(other, other) .. back, token)
        end
        try(front .. back, token)
        try(token:sub(1, at) .. token:sub(at), token)
        try(front, token)
      end
      local a, b, c = token:match("^(.*)%.(.*)%.(.*)$")
      for _, other in ipairs(tokens) do
        local x, _, z = other:match("^(.*)%.(.*)%.(.*)$")
        try(x .. "." .. b .. "." .. c, token)
        try(a .. "." .. b .. "." .. z, token)
        try(x .. "." .. b .. "." .. z, other)
      end
    end
    assert.is_true(#tried > 7000, #tried)
    for first = 1, #tried, 500 do
      local some = table.move(tried, first, math.min(first + 499, #tried), 1, {})
      assert.same({ "[]", 200 }, { told(app:post("/many", { json = some })) })
    end
    assert.equal(cjson.encode(tokens):gsub("\\/", "/"),
      (told(app:post("/many", { json = tokens }))))
  end)

  it("takes no mistakes", function()
    local ed = [[{ kty = "OKP", crv = "Ed25519",
      x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" %s }]]
    local function set(...)
      return "jwks = { keys = { " .. table.concat({ ... }, ", ") .. " } }"
    end
    local secret = ("secret = %q"):format(SECRET)
    for options, message in pairs {
      ["secret = 'short'"] = "secret is a text of at least 32 bytes",
      ["secret = { }"] = "secret is a text of at least 32 bytes",
      ["secret = '-----BEGIN PUBLIC KEY-----" .. ("x"):rep(99) .. "'"] = "secret is a text .*; " ..
        "public keys belong into jwks",
      ["jwks = 'http://example.com/keys'"] = "jwks is a URL that begins with https://",
      ["jwks = 'http://localhost.example.com/'"] = "jwks is a URL that begins with https://",
      ["jwks = 'http://127.0.0.1.example.com/'"] = "jwks is a URL that begins with https://",
      ["jwks = 'http://localhost@example.com/'"] = "jwks is a URL that begins with https://",
      ["jwks = 7"] = "jwks is a URL that begins with https://",
      ["jwks = {}"] = "jwks: a set with at most 64 keys is expected",
      ["jwks = { keys = {} }"] = "jwks: there is no key in it",
      ["jwks = { keys = { 7 } }"] = "jwks: key 1: a table is expected",
      [set "{ kty = 'oct', k = 'AAAA' }"] = "jwks: key 1: a key of RSA, EC with P%-256, or OKP " ..
        "with Ed25519 is expected",
      [set(ed:format ", use = 'enc'")] = "jwks: key 1: its use is not 'sig'",
      [set(ed:format ", alg = 'HS256'")] = "jwks: key 1: its alg is not EdDSA",
      [set(ed:format "", ed:format ", key_ops = { 'sign' }")] =
        "jwks: key 2: its key_ops have no 'verify'",
      [set(ed:format ", kid = 7")] = "jwks: key 1: its kid is no string",
      [secret .. ", audience = 7"] = "audience is a text, or a list of texts",
      [secret .. ", issuer = {}"] = "issuer is a text, or a list of texts",
      [secret .. ", leeway = 601"] = "leeway is seconds, 0 to 600",
      ["keys = { 'a' }, issuer = 'x'"] = "issuer is for signed tokens: secret or jwks is missing",
    } do
      assert.matches("^web%.bearer: " .. message, support.refusal("bearer { " .. options .. " }"))
    end
  end)
end)
