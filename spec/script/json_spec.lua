-- JSON in both directions: the grammar, the values that come back, the order of keys, what cannot
-- be and how it is said. The texts that are judged are those of the fuzz target: `y_` in front of a
-- name is JSON that scripts get, `n_` is none.

local lfs = require "lfs"
local clock = require "spec.support.clock"
local Process = require "spec.support.process"
local Server = require "spec.support.server"
local support = require "spec.sse.support"

local start, get = support.start, support.get
local marks = support.marks

local CORPUS = lfs.currentdir() .. "/spec/fuzz/corpus/json"

-- Texts that JavaScript takes and we do not, because they would come back as another value or are
-- nested too deep. It is given bytes that are not UTF-8 as U+FFFD.
local STRICTER = {
  n_too_large = true, n_too_large_minus = true, n_too_large_exponent = true, n_lone_high = true,
  n_lone_low = true, n_high_then_text = true, n_high_high = true, n_depth_129 = true,
  n_raw_high = true, n_raw_cut = true, n_raw_overlong = true, n_raw_surrogate = true,
  n_raw_beyond = true, n_raw_in_key = true,
}

---What `script` prints while it loads.
local function load(script, options)
  local folder = Server.write { ["a.lua"] = 'local json = require("lunesse").json ' .. script }
  local code, out, err = Server.run({ "--check", "--limit", "run_timeout=60", folder .. "/a.lua" },
    options)
  assert.equal(0, code, err)
  return out
end

local function corpus()
  local names = {}
  for name in lfs.dir(CORPUS) do
    names[#names + 1] = name:match("^([yn]_.*)%.json$")
  end
  table.sort(names)
  assert(#names > 140)
  return names
end

-- Prints for each text: its name, and what encoding the decoded value gives, or the message.
local ROUND_TRIP = [[
for _, name in ipairs { %s } do
  local file = assert(io.open(%q .. name .. ".json", "rb"))
  local value, message, code = json.decode(file:read("a"))
  if value == nil then
    assert(code == "EJSON" and message:find("at line %%d+, column %%d+$"), message)
    print(name, "refused", message)
  else
    local text = json.encode(value)
    assert(json.encode(json.decode(text)) == text, name)
    print(name, "text", text)
  end
end]]

local function round_trip(names)
  local quoted = {}
  for i, name in ipairs(names) do
    quoted[i] = ("%q"):format(name)
  end
  local results = {}
  local out = load(ROUND_TRIP:format(table.concat(quoted, ", "), CORPUS .. "/"))
  for name, kind, text in out:gmatch("(%S+)\t(%S+)\t([^\n]*)\n") do
    results[name] = { kind = kind, text = text }
  end
  return results
end

local ORACLE = [[
const fs = require("fs"), assert = require("assert");
const [folder, pairs] = [process.argv[1], JSON.parse(fs.readFileSync(0, "utf8"))];
for (const [name, text] of pairs) {
  let value, failure = null;
  try { value = JSON.parse(fs.readFileSync(`${folder}/${name}.json`, "utf8")); }
  catch (error) { failure = error; }
  if (text === null) { console.log(name, failure ? "refused" : "taken"); continue; }
  if (failure) { console.log(name, "refused"); continue; }
  try { assert.deepStrictEqual(JSON.parse(text), value); console.log(name, "same"); }
  catch (error) { console.log(name, "different"); }
}]]

---What another implementation, the JavaScript one, thinks of each text and of what we made of it.
local function ask_node(results, names)
  local pairs_of = {}
  for i, name in ipairs(names) do
    local result = results[name]
    local text = result.kind == "text" and
      '"' .. result.text:gsub('[\\"]', "\\%0"):gsub("\127", "\\u007f") .. '"' or "null"
    pairs_of[i] = ('["%s",%s]'):format(name, text)
  end
  local code, out, err = Process.run({ "node", "-e", ORACLE, CORPUS },
    { stdin = "[" .. table.concat(pairs_of, ",") .. "]", seconds = 30 })
  assert.equal(0, code, err)
  local said = {}
  for name, word in out:gmatch("(%S+) (%S+)\n") do
    said[name] = word
  end
  return said
end

describe("lunesse.json and every text of the corpus", function()
  local names, results, said

  setup(function()
    names = corpus()
    results = round_trip(names)
    said = ask_node(results, names)
  end)

  it("decodes what is JSON, and the same value comes back", function()
    for _, name in ipairs(names) do
      if name:find("^y_") then
        assert.equal("text", results[name].kind, name .. ": " .. results[name].text)
        assert.equal("same", said[name], name .. ": " .. results[name].text)
      end
    end
  end)

  it("refuses what is not, as another implementation does, and what would not come back", function()
    for _, name in ipairs(names) do
      if name:find("^n_") then
        assert.equal("refused", results[name].kind, name)
        assert.equal(STRICTER[name] and "taken" or "refused", said[name], name)
      end
    end
  end)
end)

describe("lunesse.json", function()
  it("gives back any of thousands of values that are made at random", function()
    assert.equal("ok\n", load("local COUNT = " .. 4000 // clock.slow .. [==[

      math.randomseed(20, 33)
      local r = math.random
      local letters = {
        "a", "\0", "\n", '"', "\\", "/", "é", "€", "😀", "\u{10ffff}", "\127", " x",
      }
      local function text()
        local parts = {}
        for i = 1, r(0, 12) do parts[i] = letters[r(#letters)] end
        return table.concat(parts)
      end
      local leaves = {
        function() return r(0) end,
        function() return r(-1000, 1000) end,
        function() return string.unpack("d", string.pack("I8", r(0) & 0x7fefffffffffffff)) end,
        function() return r(-10 ^ 6, 10 ^ 6) / 10 ^ r(0, 12) end,
        text, function() return r(2) == 1 end, function() return json.null end,
      }
      local function make(depth)
        local kind = r(depth > 0 and 10 or 7)
        if kind <= 7 then return leaves[kind]() end
        local t = kind == 8 and json.array() or {}
        for i = 1, r(0, 5) do t[kind == 10 and text() or i] = make(depth - 1) end
        return t
      end
      local function same(a, b)
        if type(a) ~= "table" then return a == b end
        for k, v in pairs(a) do if not same(v, b[k]) then return false end end
        for k in pairs(b) do if a[k] == nil then return false end end
        return next(a) ~= nil or getmetatable(a) == getmetatable(b)
      end
      for i = 1, COUNT do
        local value = make(5)
        local text = json.encode(value)
        local back = json.decode(text)
        assert(same(value, back), text)
        assert(json.encode(back) == text, text)
      end
      print("ok")
    ]==]))
  end)

  it("keeps arrays apart from objects, empty or not", function()
    local expected = '{"a":[],"b":{},"c":[[],{}],"d":[1]}\n[]\t{}\t[]\t[1,2]\n[]\t{"list":[]}\n'
    assert.equal(expected, load [==[
      print(json.encode(json.decode('{"d":[1],"c":[[],{}],"b":{},"a":[]}')))
      print(json.encode(json.array()), json.encode {}, json.encode(json.array {}),
        json.encode(json.array { 1, 2 }))
      local emptied = json.decode "[1]"
      table.remove(emptied)
      local list = json.array()
      assert(json.array(list) == list)
      print(json.encode(emptied), json.encode { list = list })
    ]==])
  end)

  it("writes one value as one text: keys in the order of their bytes", function()
    assert.equal([==[{"":0,"A":1,"a":2,"a b":3,"aa":4,"é":5}]==] .. "\n1000\n", load [==[
      local seen = {}
      for i = 1, 20 do
        local t = {}
        local keys = { { "é", 5 }, { "aa", 4 }, { "a b", 3 }, { "a", 2 }, { "A", 1 }, { "", 0 } }
        for _ = 1, #keys do
          local pair = table.remove(keys, i % #keys + 1)
          t[pair[1]] = pair[2]
        end
        seen[json.encode(t)] = true
      end
      print((next(seen)))
      assert(next(seen, (next(seen))) == nil)
      local many, last, count = {}, "", 0
      for i = 1, 1000 do many[("%x"):format(i * 7919 % 65537)] = i end
      for key in json.encode(many):gmatch('"(%x+)"') do
        assert(last < key)
        last, count = key, count + 1
      end
      print(count)
    ]==])
  end)

  it("writes the shortest number that reads back, and no other", function()
    assert.equal([==[
[1234567.123456789,9007199254740992,0.1,0.30000000000000004,1e100,1e-7,-0]
[9223372036854775807,-9223372036854775808,3,100000000000000000000]
]==], load [==[
      print(json.encode { 1234567.123456789, 2.0 ^ 53, 0.1, 0.1 + 0.2, 1e100, 1e-7, -0.0 })
      print(json.encode { math.maxinteger, math.mininteger, 3.0, 1e20 })
    ]==])
  end)

  it("keeps an integer that no number of Lua holds by its digits", function()
    assert.equal("18446744073709551615\tuserdata\ttrue\tfalse\n" ..
      '{"id":-123456789012345678901234567890,"same":100000000000000000000}\n', load [==[
      local id = json.decode "18446744073709551615"
      print(id, type(id), id == json.decode "18446744073709551615", id == json.decode "2")
      print(json.encode(json.decode
        '{"id":-123456789012345678901234567890,"same":100000000000000000000}'))
    ]==])
    local server = start([==[
server:post("/", function(request, response)
  local sse = response.sse
  sse:send(request:json())
  sse:send("id", request:json())
  sse:send(lunesse.event { data = request:json() })
  sse:close()
end)
]==])
    local stream = server:stream("/", { method = "POST", body = "18446744073709551615" })
    for _ = 1, 3 do
      assert.equal("18446744073709551615", stream:event().data)
    end
    stream:close()
  end)

  it("says what is wrong with a text, and where", function()
    assert.equal([==[
expected a value at line 1, column 6
expected ',' or ']' at line 1, column 5
expected ',' or '}' at line 3, column 7
expected a key in double quotes at line 1, column 2
expected ':' at line 1, column 6
expected a digit at line 1, column 4
expected the end of the text at line 2, column 1
expected the closing quote of the string at line 1, column 4
a control character in a string is not escaped at line 1, column 4
a string is not UTF-8 at line 1, column 4
the number is beyond what a double holds at line 1, column 2
a surrogate without its partner is no character at line 1, column 4
arrays and objects are nested deeper than 128 levels at line 1, column 129
]==], load [==[
      for _, text in ipairs {
        '{"a":}', "[1,2", '{\n"é": 1,\n"b":2 "c"}', "{a:1}", '{"a" 1}', "[1.]", "[1]\nx", '"ab',
        '["a\n"]', '["é\xff"]', "[1e400]", '["é\\ud800"]',
        ("["):rep(129),
      } do
        print((select(2, json.decode(text))))
      end
    ]==])
  end)

  it("raises for what cannot be encoded, with the path and at the script's line", function()
    local server = start([==[
local json, array = lunesse.json, lunesse.json.array
local cases = {
  { list = { { name = print } } }, { a = { 1, 2, [4] = 4 } }, { a = { 1, x = 2 } },
  { { [1.5] = 1 } }, { [true] = 1 }, { a = { 0 / 0 } }, { 1, -1 / 0 }, { t = "é\xe2\x82" },
  { ["\xff"] = 1 }, { coroutine.create(print) }, { array { a = 1 } }, { [0] = 1, 1 },
}
server:get("/", function(_, response)
  for _, value in ipairs(cases) do
    mark(select(2, pcall(json.encode, value)))
  end
  mark(select(2, pcall(function() return json.encode() end)))
  mark(select(2, pcall(response.json, response, { print })))
  mark(select(2, pcall(function() return array(setmetatable({}, {})) end)))
  mark(select(2, pcall(function() return json.decode(5) end)))
  local circle = {}
  circle.again = { circle }
  mark(select(2, pcall(json.encode, circle)))
  response:send("x")
end)
]==], { workers = 1 })
    get(server, "/")
    local function at(line, text)
      return ("script.lua:%d: %s"):format(line, text)
    end
    eventually(function() return #marks(server) == 17 end)
    local seen = {}
    for i, mark in ipairs(marks(server)) do
      seen[i] = mark:gsub("^/%S+/", "")
    end
    assert.same({
      at(9, "a function is no JSON at .list[1].name"),
      at(9, "an array has holes: 3 items, and the last index is 4 at .a"),
      at(9, "a table is an array and has keys that are strings as well at .a"),
      at(9, "a table has a key that is neither a string nor an index: 1.5 at [1]"),
      at(9, "a table has a key that is neither a string nor an index: boolean"),
      at(9, "NaN is no JSON at .a[1]"),
      at(9, "infinity is no JSON at [2]"),
      at(9, "a string is not UTF-8 from byte 3 on at .t"),
      at(9, "a string is not UTF-8 from byte 1 on at .\\u00ff"),
      at(9, "a thread is no JSON at [1]"),
      at(9, "a table is an array and has keys that are strings as well at [1]"),
      at(9, "a table has a key that is neither a string nor an index: 0"),
      at(11, "bad argument #1 to 'encode' (value expected)"),
      at(12, "a function is no JSON at [1]"),
      at(13, "bad argument #1 to 'array' (the table has a metatable already)"),
      at(14, "a string expected, got number"),
      at(17, "tables are nested deeper than 128 levels, or in a circle at " ..
        (".again[1]"):rep(8) .. "..."),
    }, seen)
  end)

  it("takes tables raw: no metamethod runs", function()
    assert.equal('[{"a":1},[1]]\n', load [==[
      local function never() error("a metamethod ran") end
      local meta = { __index = never, __pairs = never, __len = never, __tostring = never }
      print(json.encode { setmetatable({ a = 1 }, meta), setmetatable({ 1 }, meta) })
    ]==])
  end)

  it("needs no library of Lua's", function()
    assert.equal("[1]\n", load('print(json.encode { 1 })',
      { env = { LUA_CPATH_5_4 = "/nonexistent/?.so", LUA_PATH_5_4 = "/nonexistent/?.lua" } }))
  end)
end)
