-- request:multipart: forms and files (RFC 7578), part by part.

local cjson = require "cjson"
local support = require "spec.http.support"
local Process = require "spec.support.process"
local Server = require "spec.support.server"

local SCRIPT = [[
local lunesse = require "lunesse"
local server = lunesse.server()

local function parts(request, response)
  local list = {}
  for part in request:multipart() do
    list[#list + 1] = {
      name = part.name, filename = part.filename, type = part.type, text = part:text(),
      header = part.headers["X-More"],
    }
  end
  response:json(list)
end
server:post("/parts", { body = "stream" }, parts)
server:post("/whole", parts)
server:post("/names", { body = "stream" }, function(request, response)
  local list = {}
  for part in request:multipart() do list[#list + 1] = part.name end
  response:send(table.concat(list, " "))
end)
server:post("/bounds", { body = "stream" }, function(request, response)
  local list = {}
  local options = { parts = 3, head_bytes = 100, part_bytes = 20 }
  for part in request:multipart(options) do
    local text, why, code = part:text(10)
    list[#list + 1] = text or why .. " " .. code
  end
  response:send(table.concat(list, ", "))
end)
server:post("/chunks", { body = "stream", body_bytes = 1 << 30 }, function(request, response)
  local list = {}
  for part in request:multipart() do
    local size = 0
    for piece in part:chunks() do size = size + #piece end
    list[#list + 1] = part.name .. "=" .. size
  end
  response:send(table.concat(list, " "))
end)
server:post("/late", { body = "stream" }, function(request, response)
  local parts = request:multipart()
  local first = parts()
  first:text()
  local count = select("#", first:read())
  local second = parts()
  parts()
  response:send(count .. " " .. table.concat({ select(2, second:read()) }, " "))
end)
server:post("/caught", { body = "stream" }, function(request, response)
  local parts = request:multipart()
  local ok, why = pcall(parts)
  local again, same = pcall(parts)
  local text = why:match("[^:]*$")
  response:send(tostring(ok or again) .. text .. ";" .. same:match("[^:]*$"))
end)
server:post("/mistakes", function(request, response)
  local list = {}
  for _, options in ipairs { 1, { part = 1 }, { parts = 0 }, { head_bytes = "1" } } do
    local function ask() request:multipart(options) end
    list[#list + 1] = select(2, pcall(ask)):match(":%d+: (.*)")
  end
  response:send(table.concat(list, "\n"))
end)
server:get("/next", function(_, response) response:send("next") end)
]]

local TYPE = "Content-Type: multipart/form-data; boundary=b"

local server

local function part(fields, content)
  return "--b\r\n" .. fields .. "\r\n\r\n" .. content .. "\r\n"
end

local function named(name, content)
  return part(('Content-Disposition: form-data; name="%s"'):format(name), content)
end

local function post(target, body, ...)
  return support.head("POST " .. target .. " HTTP/1.1", "Host: a", "Content-Length: " .. #body,
    ... or TYPE) .. body
end

local function answer(target, body, ...)
  local client = server:connect()
  client:send(post(target, body, ...))
  local response = client:response("POST")
  client:close()
  return response
end

local FORM = named("title", "the sea") ..
  part('content-disposition: form-data; name="file"; filename="C:\\\\x\\\\../a b.txt"\r\n' ..
    "X-More: yes\r\nContent-Type: text/css", "-b\r-\r\n--") .. named("empty", "") .. "--b--\r\n"
local PARTS = {
  { name = "title", type = "text/plain", text = "the sea" },
  { name = "file", filename = "a b.txt", type = "text/css", text = "-b\r-\r\n--", header = "yes" },
  { name = "empty", type = "text/plain", text = "" },
}

describe("request:multipart", function()
  setup(function()
    server = support.start(SCRIPT, { clock = true }) -- as slow as the build, where it is watched
  end)

  teardown(function()
    support.stop(server)
  end)

  it("gives the parts one by one, in any cut of the body", function()
    support.each_way(server, post("/parts", FORM) .. support.NEXT, function(client)
      assert.same(PARTS, cjson.decode(client:response("POST").body))
      support.next(client)
    end)
  end)

  it("reads a body that is there as a whole as well", function()
    assert.same(PARTS, cjson.decode(answer("/whole", FORM).body))
  end)

  it("passes over what was not read of a part", function()
    assert.equal("title file empty", answer("/names", FORM).body)
  end)

  it("bounds what is read as text, and goes on behind it", function()
    assert.equal("a, the part 'long' is larger than 10 bytes EMSGSIZE, b",
      answer("/bounds", named("x", "a") .. named("long", "12345678901") .. named("y", "b") ..
        "--b--").body)
  end)

  for _, case in ipairs {
    { "of another type", 415, "", "Content-Type: multipart/mixed; boundary=b" },
    { "without a boundary", 415, "", "Content-Type: multipart/form-data" },
    { "that ends within a part", 400, named("a", "x") },
    { "that is empty", 400, "" },
    { "with a part without a name", 400, part("Content-Disposition: form-data", "") .. "--b--" },
    { "with a part without a disposition", 400, part("A: b", "") .. "--b--" },
    { "with a malformed head", 400, part("A b", "") .. "--b--" },
    { "with too many parts", 413, named("a", ""):rep(4) .. "--b--" },
    { "with too large a head", 413, part("A: " .. ("b"):rep(100), "") .. "--b--" },
  } do
    it("refuses a body " .. case[1] .. " with " .. case[2], function()
      local response = answer("/bounds", case[3], case[4])
      assert.equal(case[2], response.status, response.body)
      assert.equal("close", response.headers.connection)
      assert.same({}, server:log_lines("script error"))
    end)
  end

  it("says why again when it is asked again", function()
    local why = " the body ended within a part (RFC 2046, 5.1.1)"
    assert.equal("false" .. why .. ";" .. why, answer("/caught", "").body)
  end)

  it("lets nobody read a part that has passed", function()
    assert.equal("1 the loop has passed this part ECLOSED",
      answer("/late", named("a", "1") .. named("b", "2") .. named("c", "3") .. "--b--").body)
  end)

  it("says what is wrong with its options", function()
    assert.equal("request:multipart takes a table of options, got number\n" ..
      "request:multipart: unknown option 'part'\n" ..
      "request:multipart: parts is a whole number, 1 or more\n" ..
      "request:multipart: head_bytes is a whole number, 1 or more", answer("/mistakes", "").body)
  end)
end)

describe("request:multipart reads what is sent by", function()
  local process, url

  before_each(function()
    process = Server.start(SCRIPT)
    url = "http://127.0.0.1:" .. process.port
  end)

  after_each(function()
    process:stop()
  end)

  it("curl -F", function()
    local folder = Server.write { ["some.txt"] = "line\r\n--\r\n" }
    local code, out = Process.run { "curl", "-s", "-F", "title=the sea", "-F",
      ('file=@%s/some.txt;filename="a\\"b;c.txt";type=text/css'):format(folder), "-F", "x=\xC3\xA9",
      url .. "/parts" }
    assert.equal(0, code)
    assert.same({
      { name = "title", type = "text/plain", text = "the sea" },
      { name = "file", filename = 'a"b;c.txt', type = "text/css", text = "line\r\n--\r\n" },
      { name = "x", type = "text/plain", text = "\xC3\xA9" },
    }, cjson.decode(out))
  end)

  it("curl -F, of a file that is long", function()
    local folder = Server.write { ["long.bin"] = ("\r\n--b\0"):rep(500000) }
    local file = ("file=@%s/long.bin"):format(folder)
    local code, out = Process.run { "curl", "-s", "-F", "a=1", "-F", file, "-F", "b=2",
      url .. "/chunks" }
    assert.equal(0, code)
    assert.equal("a=1 file=3000000 b=1", out)
  end)

  it("somebody whose heads are long, in a time that does not grow with their square", function()
    local blanks, name = (" "):rep(16000), ("a"):rep(16000)
    local heads = part('Content-Disposition: form-data; name="x"\r\nA: b' .. blanks .. "c", "") ..
      part(('Content-Disposition: form-data; name="y"; filename="%s/"'):format(name), "")
    local client = process:connect()
    client:send(post("/names", heads:rep(30) .. "--b--"))
    assert.equal(("x y"):rep(30, " "), client:response("POST").body)
  end)

  it("the FormData of Node's fetch", function()
    local code, out, err = Process.run { "node", "-e", ([[
      const form = new FormData();
      form.append('ti"t\nle', "the sea");
      form.append("file", new Blob(["a\r\nb"], { type: "text/css" }), 'a"é.txt');
      form.append("none", new Blob([]), "");
      fetch("%s/parts", { method: "POST", body: form }).then(r => r.text()).then(console.log);
    ]]):format(url) }
    assert.equal(0, code, err)
    assert.same({
      { name = 'ti"t\r\nle', type = "text/plain", text = "the sea" },
      { name = "file", filename = 'a"é.txt', type = "text/css", text = "a\r\nb" },
      { name = "none", type = "application/octet-stream", text = "" },
    }, cjson.decode(out))
  end)
end)
