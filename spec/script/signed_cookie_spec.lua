-- Cookies that are signed: in the format of npm's cookie-signature, which judges them here both
-- ways, as does what Express writes; with keys that are replaced; and not by anybody else.

local apps = require "spec.support.app"
local Process = require "spec.support.process"

local SCRIPT = [[
local function keys_of(request)
  return request.query_values and request:query_values("key")
end
server:post("/set", function(request, response)
  response:cookie("c", request:text(), { sign = keys_of(request), path = "/" }):send("set")
end)
server:get("/read", function(request, response)
  local value, why, code = request:signed_cookie("c", keys_of(request))
  response:json { value = value, why = why, code = code }
end)
]]

-- For each [what, text, key]: what cookie-signature signs, or what it takes for the signed value.
-- `header` reads a Set-Cookie field as npm's cookie parsers do, `express` writes one as Express
-- does, `serialize` as the package `cookie` alone.
local NODE = [[
const signature = require("cookie-signature"), cookie = require("cookie");
const answers = JSON.parse(require("fs").readFileSync(0, "utf8")).map(([what, text, key]) => {
  if (what == "sign") return signature.sign(text, key);
  if (what == "unsign") return signature.unsign(text, key);
  if (what == "header") return signature.unsign(cookie.parse(text.split(";")[0]).c, key);
  const value = signature.sign(text, key);
  return cookie.serialize("c", what == "express" ? "s:" + value : value).slice(2);
});
console.log(JSON.stringify(answers));
]]

local cjson = require "cjson"

local function ask_node(questions)
  local code, out, err = Process.run({ "node", "-e", NODE },
    { stdin = cjson.encode(questions), cwd = "spec", seconds = 30 })
  assert.equal(0, code, err)
  return cjson.decode(out)
end

local VALUES = {
  "", "7", "ada", "a.b", ".", "a=b&c", "100%", "%41", "s:x", "a b", 'say "no"', "semi;colon, comma",
  "back\\slash", "é€😀", "line\r\nbreak", "tab\t", "\0", ("x"):rep(3000), "{\"id\":7}",
}

describe("a signed cookie", function()
  local app

  before_each(function()
    app = apps.start(SCRIPT)
  end)

  local function set_cookie(value, query)
    local answer = app:post("/set" .. (query or "?key=moon"), { body = value })
    answer:expect(200)
    return answer.headers["set-cookie"]
  end

  local function text_of(value, query)
    return set_cookie(value, query):match("^c=([^;]*); Path=/$")
  end

  local function read(text, query)
    local cookie = "c=" .. text
    return app:get("/read" .. (query or "?key=moon"), { headers = { Cookie = cookie } }):json()
  end

  it("comes back, whatever bytes it has", function()
    for _, value in ipairs(VALUES) do
      local text = text_of(value)
      assert.matches("^[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b%]\x5e-\x7e]+$", text)
      assert.same({ value = value }, read(text))
    end
  end)

  it("is what cookie-signature makes and takes", function()
    local questions = {}
    for _, value in ipairs(VALUES) do
      table.insert(questions, { "sign", value, "moon" })
      table.insert(questions, { "header", set_cookie(value), "moon" })
    end
    local answers = ask_node(questions)
    for i, value in ipairs(VALUES) do
      assert.same({ value = value }, read((answers[2 * i - 1]:gsub("[^\x21-\x7e]", function(byte)
        return ("%%%02X"):format(byte:byte())
      end):gsub('[",;\\]', function(byte) return ("%%%02X"):format(byte:byte()) end))), value)
      assert.equal(value, answers[2 * i], value)
    end
    assert.equal(answers[5], text_of("ada")) -- as it is, where a cookie may have it
    assert.equal("ada.", text_of("ada"):sub(1, 4))
  end)

  it("is read as Express writes it, and as the package cookie does", function()
    local questions = {}
    for _, value in ipairs(VALUES) do
      table.insert(questions, { "express", value, "moon" })
      table.insert(questions, { "serialize", value, "moon" })
    end
    local answers = ask_node(questions)
    for i, value in ipairs(VALUES) do
      assert.same({ value = value }, read(answers[2 * i - 1]))
      assert.same({ value = value }, read(answers[2 * i]))
    end
  end)

  it("is refused when a byte of it is another, or is missing, by cookie-signature too", function()
    local good = text_of("ada")
    local bad = {
      "", ".", "ada", "ada.", ".ada", good .. "=", good .. "x", "x" .. good, "s:" .. good:sub(2),
    }
    for i = 1, #good do
      local other = good:sub(i, i) == "A" and "B" or "A"
      bad[#bad + 1] = good:sub(1, i - 1) .. other .. good:sub(i + 1)
      bad[#bad + 1] = good:sub(1, i - 1) .. good:sub(i + 1)
      bad[#bad + 1] = good:sub(1, i - 1)
    end
    local questions = {}
    for i, text in ipairs(bad) do
      assert.same({ why = "none of the keys has signed the cookie", code = "EBADMSG" }, read(text),
        text)
      questions[i] = { "unsign", text, "moon" }
    end
    for i, answer in ipairs(ask_node(questions)) do
      assert.is_false(answer, bad[i])
    end
  end)

  it("is taken with each of several keys, and signed by the first", function()
    local old = text_of("ada", "?key=old")
    assert.equal("EBADMSG", read(old, "?key=new").code)
    assert.equal("ada", read(old, "?key=new&key=old").value)
    local new = text_of("ada", "?key=new&key=old")
    assert.equal("ada", read(new, "?key=new").value)
    assert.equal("EBADMSG", read(new, "?key=old").code)
  end)

  it("that is not there is another answer than one that is wrong", function()
    assert.same({ why = "there is no such cookie", code = "ENOENT" },
      app:get("/read?key=moon"):json())
  end)
end)

describe("a key that cannot be one", function()
  it("raises at the script's line", function()
    local app = apps.start [[
local wrong = { "", 7, {}, { "" }, { "a", 7 }, { a = "b" }, false, print }
server:get("/", function(request, response)
  local said = {}
  local function try(fn, ...) said[#said + 1] = select(2, pcall(fn, ...)) end
  for _, key in ipairs(wrong) do
    try(function() response:cookie("c", "x", { sign = key }) end)
    try(function() request:signed_cookie("c", key) end)
  end
  try(function() request:signed_cookie("c") end)
  response:send(table.concat(said, "\n"))
end)
]]
    local count = 0
    for line in app:get("/"):text():gmatch("[^\n]+") do
      assert.matches("script%.lua:%d+: a key that signs is a string that is not empty, or a list",
        line)
      count = count + 1
    end
    assert.equal(17, count)
  end)

  it("has no effect on the other options, and is among them in the message", function()
    local app = apps.start [[
server:get("/", function(_, response)
  local _, why = pcall(response.cookie, response, "c", "x", { signed = "x" })
  response:send(why)
end)
]]
    assert.matches("unknown cookie option 'signed'; there are path, .*, same_site, sign$",
      app:get("/"):text())
  end)
end)
