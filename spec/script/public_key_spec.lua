-- lunesse.crypto.public_key and verify: the examples of the standards, keys that are none, and
-- signatures that are others. spec/web/jwt_spec.lua has npm's jose judge the same.

local apps = require "spec.support.app"

-- What `code`, a script that ends with `return`, gives in a handler, each value by `tostring`.
local function run(code)
  local app = apps.start(([[
local crypto = lunesse.crypto
local bytes = crypto.base64url_decode
server:get("/", function(_, response)
  local results = table.pack((function() %s end)())
  for i = 1, results.n do results[i] = tostring(results[i]) end
  results.n = nil
  response:json(lunesse.json.array(results))
end)
]]):format(code))
  return app:get("/"):json()
end

-- RFC 8037, appendix A.4.
local ED_KEY = [[{ kty = "OKP", crv = "Ed25519",
  x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }]]
local ED_TEXT = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
local ED_SIGNATURE = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5B" ..
  "hVsPt9g7sVvpAr_MuM0KAg"

-- RFC 7515, appendix A.3.
local EC_KEY = [[{ kty = "EC", crv = "P-256", x = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
  y = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" }]]
local EC_TEXT = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6" ..
  "Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
local EC_SIGNATURE = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxf" ..
  "KTUJqPP3-Kg6NU1Q"

describe("a public key", function()
  it("verifies the examples of the standards, and nothing that is near them", function()
    for _, case in ipairs {
      { ED_KEY, ED_TEXT, ED_SIGNATURE, "EdDSA" }, { EC_KEY, EC_TEXT, EC_SIGNATURE, "ES256" },
    } do
      local seen = run(([[
        local key, algorithm = crypto.public_key(%s)
        local text, signature = %q, bytes %q
        local wrong = 0
        for i = 1, #signature do
          local other = signature:sub(1, i - 1) .. string.char(signature:byte(i) ~ 1) ..
            signature:sub(i + 1)
          wrong = wrong + (crypto.verify(key, text, other) and 1 or 0)
            + (crypto.verify(key, text, signature:sub(1, i - 1)) and 1 or 0)
        end
        return algorithm, crypto.verify(key, text, signature), wrong,
          crypto.verify(key, text .. "x", signature), crypto.verify(key, text, signature .. "\0"),
          crypto.verify(key, text, "\0" .. signature), crypto.verify(key, "", signature),
          crypto.verify(key, text, ("\0"):rep(64)), crypto.verify(key, text, ("\xff"):rep(64))
      ]]):format(case[1], case[2], case[3]))
      assert.same({ case[4], "true", "0", "false", "false", "false", "false", "false", "false" },
        seen)
    end
  end)

  it("is made of numbers that are one", function()
    local function rsa(n, e)
      return ([[{ kty = "RSA", n = crypto.base64url(%s), e = crypto.base64url(%s) }]]):format(n, e)
    end
    local seen = run("return crypto.public_key(" .. rsa("('\\xff'):rep(256)", "'\\1\\0\\1'") .. ")")
    assert.matches("^userdata", seen[1]:gsub("PublicKey", "userdata"))
    local none = {
      [rsa("('\\xff'):rep(255)", "'\\1\\0\\1'")] = "RS256, which takes 2048 to 8192 bits",
      [rsa("'\\1' .. ('\\xff'):rep(1024)", "'\\1\\0\\1'")] = "RS256, which takes",
      [rsa("('\\xff'):rep(4000)", "'\\1\\0\\1'")] = "RS256, which takes",
      [rsa("('\\xfe'):rep(256)", "'\\1\\0\\1'")] = "RS256, which takes",
      [rsa("('\\xff'):rep(256)", "'\\1'")] = "RS256, which takes",
      [rsa("('\\xff'):rep(256)", "'\\2'")] = "RS256, which takes",
      [rsa("('\\xff'):rep(256)", "'\\1\\0\\0\\0\\1'")] = "RS256, which takes",
      [rsa("''", "''")] = "RS256, which takes",
      [EC_KEY:gsub("a0\"", "a4\"")] = "ES256", -- beside the curve
      [EC_KEY:gsub('y = "x_', 'y = "AAAx_')] = "ES256",
      [EC_KEY:gsub(' y = "', ' z = "')] = "ES256",
      [EC_KEY:gsub("RVEU", "RVE=")] = "ES256",
      [EC_KEY:gsub('x = "[%w_]+"', "x = 7")] = "ES256",
      [ED_KEY:gsub('x = "', 'x = "AAAA')] = "EdDSA",
      [ED_KEY:gsub('x = ".*"', 'x = ""')] = "EdDSA",
    }
    for jwk, message in pairs(none) do
      seen = run("return crypto.public_key(" .. jwk .. ")")
      assert.equal("nil", seen[1], jwk)
      assert.matches("^the numbers are no key for " .. message, seen[2], 1, jwk)
      assert.equal("EINVAL", seen[3])
    end
    for _, jwk in ipairs { "{}", "{ kty = 'oct', k = 'AAAA' }", "{ kty = 'EC', crv = 'P-384' }",
      "{ kty = 'OKP', crv = 'X25519' }", "{ kty = {}, crv = {} }", "{ kty = 'EC P-256' }" } do
      assert.same({ "nil", "a key of RSA, EC with P-256, or OKP with Ed25519 is expected",
        "EINVAL" }, run("return crypto.public_key(" .. jwk .. ")"), jwk)
    end
  end)

  it("raises a script's mistakes at the script's line", function()
    for call, message in pairs {
      ["crypto.public_key, 7"] = "public_key takes a JSON Web Key as a table, got number",
      ["crypto.verify, 7, 'x', 'y'"] = "PublicKey expected, got number",
      ["crypto.verify, io.stdout, 'x', 'y'"] = "PublicKey expected, got ",
      ["crypto.verify, crypto.public_key(" .. ED_KEY .. "), 7, 'y'"] = "string expected, got ",
      ["crypto.verify, (crypto.public_key(" .. ED_KEY .. ")), 'x'"] =
        "string expected, got no value",
    } do
      local seen = run("return select(2, pcall(function(fn, ...) return (fn(...)) end, " .. call ..
        "))")[1]
      assert.matches("script%.lua:%d+: ", seen)
      assert.truthy(seen:find(message, 1, true), seen)
    end
  end)

  it("verifies nothing once it is collected", function()
    assert.same({ "false" }, run(([[
      local seen
      do
        local key = crypto.public_key(%s)
        setmetatable({ key }, { __gc = function(self)
          seen = crypto.verify(self[1], "x", "y")
        end })
      end
      collectgarbage()
      collectgarbage()
      return seen
    ]]):format(ED_KEY)))
  end)
end)
