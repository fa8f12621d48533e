-- What the test kit reads and writes by itself: JSON, cookies, and whether a value is as expected.

local cookies = require "lunesse.test.cookies"
local json = require "lunesse.test.json"
local match = require "lunesse.test.match"

describe("the kit's JSON", function()
  it("reads what RFC 8259 allows", function()
    for text, value in pairs {
      ["0"] = 0, [" -0.5e+1 "] = -5.0, ["1E2"] = 100.0, ["true"] = true, ["false"] = false,
      ['""'] = "", ['"\\u00fc\\ud83c\\udf19\\/\\n"'] = "ü\u{1F319}/\n", ['"\x7f"'] = "\x7f",
    } do
      assert.equal(value, (json.decode(text)))
    end
    assert.same({ a = { 1, {}, { b = "c" } } }, json.decode('\t{"a":[1 , [],\r\n{"b":"c"}]}'))
    assert.equal(json.null, json.decode("null"))
    assert.equal("integer", math.type(json.decode("9007199254740993")))
  end)

  it("refuses what it does not", function()
    for _, text in ipairs {
      "", " ", "01", "+1", ".5", "1.", "1e", "- 1", "0x1", "NaN", "nul", "True", "[1,]", "[,1]",
      "{a:1}", "{'a':1}", '{"a":1,}', '{"a"}', '{"a":}', "[1", '"a', '"\n"', '"\\x41"',
      '"\\u12g4"', '"\\ud800"', '"\\udc00"', '"\\ud800\\u0041"', "1 2", "[]]", '"\xff"',
      "\u{FEFF}1", ("["):rep(1000) .. ("]"):rep(1000),
    } do
      local value, why = json.decode(text)
      assert.is_nil(value, text)
      assert.matches("^not JSON: ", why)
    end
    assert.equal("not JSON: no , or ] in an array at byte 4", select(2, json.decode("[1 2]")))
  end)

  it("writes the same bytes in every run, which it reads as they were", function()
    local value = { z = 1, a = { true, json.null, "\"\\\n\0" }, m = { x = 1.5, y = -3 } }
    local text = json.encode(value)
    assert.equal('{"a":[true,null,"\\"\\\\\\n\\u0000"],"m":{"x":1.5,"y":-3},"z":1}', text)
    assert.same(value, json.decode(text))
    assert.equal("[]", json.encode(json.array()))
    assert.equal("{}", json.encode {})
    assert.equal("[]", json.encode(json.decode("[]")))
  end)

  it("does not write what is no JSON", function()
    local round = {}
    round.round = round
    for _, value in ipairs { print, 0 / 0, math.huge, { [2.5] = 1 }, round } do
      assert.has_error(function()
        json.encode(value)
      end)
    end
  end)
end)

describe("the kit's cookies", function()
  local now, jar

  before_each(function()
    now = 1000
    jar = cookies.jar(function()
      return now
    end)
  end)

  local function take(...)
    for _, value in ipairs { ... } do
      jar:take(value, "/a/b", "localhost")
    end
  end

  it("have a path, by default the folder of the request", function()
    take("one=1", "two=2; Path=/", "three=3; path=/a/b; x", "four=4; Path=c")
    assert.equal("three=3; one=1; four=4; two=2", jar:field("/a/b"))
    assert.equal("one=1; four=4; two=2", jar:field("/a/bc"))
    assert.equal("two=2", jar:field("/ab"))
  end)

  it("end by Max-Age, which goes before Expires, or at once", function()
    take("a=1; Max-Age=10; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "b=2; Max-Age=x",
      "c=3; Expires=Thu, 01 Jan 1970 00:16:45 GMT", "d=4; expires=never")
    assert.equal("a=1; b=2; c=3; d=4", jar:field("/a/"))
    now = 1005
    assert.equal("a=1; b=2; d=4", jar:field("/a/"))
    now = 1010
    assert.equal("b=2; d=4", jar:field("/a/"))
    take("b=; Max-Age=0", "d=; Expires=Thu, 01 Jan 1970 00:00:00 GMT")
    assert.is_nil(jar:field("/a/"))
  end)

  it("read dates as browsers do", function()
    local at = 784111777
    for _, text in ipairs { "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
      "Sun Nov  6 08:49:37 1994", "6 nov 1994 8:49:37" } do
      assert.equal(at, cookies.parse_date(text), text)
    end
    assert.equal(951782400, cookies.parse_date("Tue, 29 Feb 2000 00:00:00 GMT"))
    assert.is_nil(cookies.parse_date("today"))
  end)

  it("take the place of one of the same name and path", function()
    take("a=1; Path=/", "b=2; Path=/", "a=3; Path=/", "a=4")
    assert.equal("a=4; b=2; a=3", jar:field("/a/x"))
  end)

  it("are not taken for another host, without a name, or against what their name says", function()
    take("a=1; Domain=example.com", "=x", "novalue", "__Host-a=1; Path=/", "__Secure-a=1",
      "__Host-b=1; Secure; Path=/a", "__Host-c=1; Secure; Path=/; Domain=localhost")
    assert.is_nil(jar:field("/a/"))
    take("__Host-d=1; Secure; Path=/", "__Secure-e=1; secure", "f=1; Domain=.localhost")
    assert.equal("__Secure-e=1; f=1; __Host-d=1", jar:field("/a/"))
  end)

  it("keep what is in them", function()
    take('q="a=b"; SameSite=Lax; HttpOnly')
    assert.equal('q="a=b"', jar:field("/a/"))
    assert.same({ true, false, "Lax" },
      { jar.list[1].is_http_only, jar.list[1].is_secure, jar.list[1].same_site })
  end)
end)

describe("what is expected", function()
  it("is there when the fields that are given are", function()
    local actual = { a = 1, b = { c = { 1, { d = 2, e = 3 } }, f = {} } }
    for _, expected in ipairs {
      {}, { a = 1.0 }, { b = { f = {} } }, { b = { c = { 1, { d = 2 } } } },
    } do
      assert.is_true(match.value(expected, actual, "x"))
    end
  end)

  it("is not when one is another, and where that is, is said", function()
    local actual = { a = 1, b = { c = { 1, 2 }, f = { 1 } } }
    for why, expected in pairs {
      ["x.a is 1, and not \"1\""] = { a = "1" }, ["x.z is not there"] = { z = false },
      ["x.b.c is [1,2], and not [1]"] = { b = { c = { 1 } } },
      ["x.b.c[2] is 2, and not 3"] = { b = { c = { 1, 3 } } },
      ["x.b.f is [1], and not {}"] = { b = { f = {} } }, ["x.a is 1, and not {}"] = { a = {} },
    } do
      assert.same({ false, why }, { match.value(expected, actual, "x") })
    end
  end)

  it("can be a text, JSON, or what a function says", function()
    assert.is_true(match.data(nil, "x", "it"))
    assert.is_true(match.data("7", "7", "it"))
    assert.is_true(match.data(7, "7", "it"))
    assert.is_true(match.data({ a = json.null }, '{"a":null}', "it"))
    assert.is_true(match.data(function(text, value)
      return text == "[1]" and value[1] == 1
    end, "[1]", "it"))
    assert.same({ false, 'it is "x", and not "y"' }, { match.data("y", "x", "it") })
    assert.same({ false, "it is not JSON: no value at byte 1" }, { match.data({}, "x", "it") })
    assert.is_false((match.data({ 1 }, "null", "it")))
  end)
end)
