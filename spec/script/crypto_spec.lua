-- lunesse.crypto, but for passwords: what it computes is compared with Node's crypto.

local apps = require "spec.support.app"
local Process = require "spec.support.process"

---What `code`, a script that ends with `return`, gives in a handler, each value by `tostring`.
local function run(code)
  local app = apps.start(([[
local crypto = lunesse.crypto
local function hexed(s) return (s:gsub(".", function(c) return ("%%02x"):format(c:byte()) end)) end
local function why(fn, ...) return select(2, pcall(fn, ...)) end
server:get("/", function(_, response)
  local results = table.pack((function() %s end)())
  for i = 1, results.n do results[i] = tostring(results[i]) end
  results.n = nil
  response:json(lunesse.json.array(results))
end)
]]):format(code))
  return app:get("/"):json()
end

-- Reads [what, algorithm, key, text] in hexadecimal, prints a digest for each.
local NODE = [[
const crypto = require("crypto");
for (const [algorithm, key, text] of JSON.parse(require("fs").readFileSync(0, "utf8"))) {
  const made = key === null ? crypto.createHash(algorithm)
    : crypto.createHmac(algorithm, Buffer.from(key, "hex"));
  console.log(made.update(Buffer.from(text, "hex")).digest("hex"));
}]]

local function hexed(text)
  return (text:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

describe("lunesse.crypto", function()
  it("makes the digests that Node makes, of any bytes, with a key and without", function()
    local every = {}
    for code = 0, 255 do every[#every + 1] = string.char(code) end
    every = table.concat(every)
    local calls, questions = {}, {}
    for _, algorithm in ipairs { "sha1", "sha256", "sha384", "sha512" } do
      for _, text in ipairs { "", "a\0b", every, ("x"):rep(100000) } do
        calls[#calls + 1] = ("hexed(crypto.hash(%q, %q))"):format(algorithm, text)
        questions[#questions + 1] = ('["%s",null,"%s"]'):format(algorithm, hexed(text))
        for _, key in ipairs { "", "key", every } do
          calls[#calls + 1] = ("hexed(crypto.hmac(%q, %q, %q))"):format(algorithm, key, text)
          questions[#questions + 1] =
            ('["%s","%s","%s"]'):format(algorithm, hexed(key), hexed(text))
        end
      end
    end
    local code, out, err = Process.run({ "node", "-e", NODE },
      { stdin = "[" .. table.concat(questions, ",") .. "]", seconds = 30 })
    assert.equal(0, code, err)
    local expected = {}
    for line in out:gmatch("%x+") do expected[#expected + 1] = line end
    assert.equal(#calls, #expected)
    assert.same(expected, run("return " .. table.concat(calls, ",\n")))
  end)

  it("writes and reads hexadecimal and base64, each in one spelling", function()
    assert.same({ "00ff7f", "\0a~", "true", "" }, run [[
      return crypto.hex("\0\xff\x7f"), crypto.hex_decode("00617E"),
        crypto.hex_decode("ABcd") == "\xab\xcd", crypto.hex_decode("")]])
    assert.same({ "+/8=", "-_8", "true", "true", "" }, run [[
      return crypto.base64("\xfb\xff"), crypto.base64url("\xfb\xff"),
        crypto.base64_decode("+/8=") == "\xfb\xff", crypto.base64url_decode("-_8") == "\xfb\xff",
        crypto.base64url_decode("")]])
    for call, message in pairs {
      ['hex_decode("abc")'] = "the text is not pairs of hexadecimal digits",
      ['hex_decode("ag")'] = "the text is not pairs of hexadecimal digits",
      ['base64_decode("+/8")'] = "the text is not base64 with its padding",
      ['base64_decode("+/8=\\n")'] = "the text is not base64 with its padding",
      ['base64url_decode("-_8=")'] = "the text is not base64url without padding",
      ['base64url_decode("-_9")'] = "the text is not base64url without padding",
    } do
      assert.same({ "nil", message, "EINVAL" }, run("return crypto." .. call), call)
    end
  end)

  it("compares texts", function()
    assert.same({ "true", "false", "false", "true" }, run [[
      return crypto.equal("a\0b", "a\0b"), crypto.equal("a\0b", "a\0c"), crypto.equal("a", "ab"),
        crypto.equal("", "")]])
  end)

  it("has random bytes: as many as asked for, others each time", function()
    assert.same({ "0", "16", "1048576", "true" }, run [[
      return #crypto.random(0), #crypto.random(16), #crypto.random(1048576),
        crypto.random(16) ~= crypto.random(16)]])
  end)

  it("raises a script's mistakes at the script's line", function()
    for call, message in pairs {
      ["crypto.hash, 'md5', 'x'"] =
        "unknown algorithm 'md5'; there are sha1, sha256, sha384, sha512",
      ["crypto.hash, 'sha256'"] = "string expected, got no value",
      ["crypto.hmac, 'sha256', 7, 'x'"] = "string expected, got number",
      ["crypto.equal, 'x'"] = "string expected, got no value",
      ["crypto.random, -1"] = "between 0 and 1048576 bytes at a time",
      ["crypto.random, 1048577"] = "between 0 and 1048576 bytes at a time",
      ["crypto.random, 1.5"] = "number has no integer representation",
      ["crypto.hex, {}"] = "string expected, got table",
      ["crypto.hex_decode"] = "string expected, got nil",
      ["crypto.base64_decode, 5"] = "string expected, got number",
    } do
      local seen = run("return why(function(fn, ...) return (fn(...)) end, " ..
        call .. ")")[1]
      assert.matches("script%.lua:5: bad argument #%d to '[%w_.]+' %(", seen, 1, call)
      assert.truthy(seen:find(message, 1, true), seen)
    end
  end)
end)
