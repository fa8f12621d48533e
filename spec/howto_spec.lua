-- docs/howto.md beyond its console blocks (spec/readme_spec.lua runs those): its scripts behind a
-- proxy, below a service manager, with a reader that leaves.

local cjson = require "cjson"
local lfs = require "lfs"
local posix = require "spec_posix"
local Pages = require "spec.support.pages"
local Process = require "spec.support.process"
local Server = require "spec.support.server"

---Serves the files `names` of the page, and `more` files.
local function serve(names, options, more)
  local files = more or {}
  for _, block in ipairs(Pages.blocks("docs/howto.md")) do
    for _, name in ipairs(names) do
      files[name] = block.file == name and block.text or files[name]
    end
  end
  return Server.start(files, options)
end

local function folder_of_spec()
  local folder = assert(posix.make_folder())
  finally(function()
    Process.remove_folder(folder)
  end)
  return folder
end

describe("docs/howto.md, lib/shell.lua,", function()
  local SCRIPT = [[
    local lunesse = require "lunesse"
    local shell = require "lib.shell"
    lunesse.server():get("/run", { on_leave = "cancel" }, function(request, response)
      local text, why = shell.run(request.query.command)
      response:send(text or why)
    end)
  ]]

  local function start()
    return serve({ "lib/shell.lua" }, { workers = 1 }, { ["run.lua"] = SCRIPT })
  end

  local function target(command)
    return "/run?command=" .. command:gsub("%W", function(byte)
      return ("%%%02x"):format(byte:byte())
    end)
  end

  ---The files of os.tmpname in which nothing but `text` stands.
  local function count_files(text)
    local count = 0
    for name in lfs.dir("/tmp") do
      local file = name:find("^lua_") and io.open("/tmp/" .. name)
      if file then
        count = count + (file:read("a") == text and 1 or 0)
        file:close()
      end
    end
    return count
  end

  it("says what a command printed, or what it complained of, or how it ended", function()
    local server = start()
    for command, body in pairs {
      ["echo 'a b'; echo noise >&2"] = "a b\n",
      ["echo lost >&2; exit 3"] = "lost",
      ["exit 3"] = "the command ended with 3",
      ["curl -sSf http://127.0.0.1:1/"] = "curl: (7) Failed to connect to 127.0.0.1 port 1",
    } do
      local response = server:request { target = target(command) }
      assert.equal(body, response.body:sub(1, #body))
    end
  end)

  it("leaves no file behind when its reader leaves before the command ends", function()
    local server, folder = start(), folder_of_spec()
    local fifo = folder .. "/end"
    assert(Process.run { "mkfifo", fifo } == 0)
    local function is_running()
      return Process.run { "pgrep", "-f", "read word <" .. fifo } == 0
    end
    local before = count_files("77\n")
    local client = server:connect()
    client:send("GET " .. target("read word <" .. fifo .. "; exit 77") ..
      " HTTP/1.1\r\nHost: x\r\n\r\n")
    eventually(is_running)
    client:close()
    eventually(function()
      return server:log_lines("target=/run")[1]
    end)
    assert(Process.run { "sh", "-c", "echo >" .. fifo } == 0)
    eventually(function()
      return not is_running()
    end)
    assert.equal(before, count_files("77\n"))
  end)
end)

describe("docs/howto.md, lib/shell.lua, with input for the command,", function()
  it("gives the command every byte of it, and leaves no file behind", function()
    local server = serve({ "lib/shell.lua" }, { workers = 1 }, { ["run.lua"] = [[
      local lunesse = require "lunesse"
      local shell = require "lib.shell"
      lunesse.server():post("/run", function(request, response)
        response:send((shell.run("cat", request:text())))
      end)
    ]] })
    local bytes = {}
    for byte = 0, 255 do
      bytes[#bytes + 1] = string.char(byte):rep(300)
    end
    local text = table.concat(bytes)
    local response = server:request { method = "POST", target = "/run", body = text }
    assert.is_true(response.body == text)
    for name in lfs.dir("/tmp") do
      local file = name:find("^lua_") and io.open("/tmp/" .. name, "rb")
      if file then
        assert.is_false(file:read("a") == text)
        file:close()
      end
    end
  end)
end)

describe("docs/howto.md, notify.lua,", function()
  local NAMES = { "notify.lua" }

  local function start_other()
    return Server.start [[
      require "lunesse".server():post("/messages", function(request, response)
        local headers = request.headers
        if headers.authorization ~= "Bearer sesame" then
          return response:status(401):send("")
        end
        response:json { received = request:json().text }
      end)
    ]]
  end

  it("posts whatever text it is given, and no file", function()
    local other = start_other()
    local server = serve(NAMES, {
      env = { NOTIFY_URL = other.url .. "/messages", NOTIFY_TOKEN = "sesame" },
    })
    for _, text in ipairs {
      'a "quoted" \\ word\\', "two\r\nlines\n", "@/etc/passwd", "\\n", "é", "",
    } do
      local response = server:request { method = "POST", target = "/notify", body = text }
      assert.equal(200, response.status)
      assert.equal(text, cjson.decode(response.body).received)
    end
  end)

  it("says so when the other server refuses", function()
    local server = serve(NAMES, {
      env = { NOTIFY_URL = start_other().url .. "/messages", NOTIFY_TOKEN = "wrong" },
    })
    local response = server:request { method = "POST", target = "/notify", body = "a" }
    assert.equal(502, response.status)
    assert.equal("the other server says 401\n", response.body)
  end)
end)

-- Stands for psql and reads its input as its manual says: first `\set` with texts in quotes, in
-- which `''` is a quote and a backslash escapes; then a query. Keeps what it got in files.
local PSQL = [[
#!/usr/bin/lua5.4
local escapes = { n = "\n", r = "\r", ["\\"] = "\\" }
local input = io.read("a")
local at = 1
while true do
  local name, first = input:match("^\\set (%w+) '()", at)
  if not name then
    break
  end
  local text = {}
  at = first
  while true do
    local byte, following = input:sub(at, at), input:sub(at + 1, at + 1)
    assert(byte ~= "\n" and byte ~= "")
    if byte == "\\" then
      text[#text + 1] = assert(escapes[following])
      at = at + 2
    elseif byte == "'" and following == "'" then
      text[#text + 1] = "'"
      at = at + 2
    elseif byte == "'" then
      break
    else
      text[#text + 1] = byte
      at = at + 1
    end
  end
  assert(input:sub(at + 1, at + 1) == "\n")
  at = at + 2
  io.open(os.getenv("PSQL_SEEN") .. "." .. name, "wb"):write(table.concat(text)):close()
end
io.open(os.getenv("PSQL_SEEN"), "w"):write(table.concat(arg, " "), "\n", input:sub(at)):close()
io.write(os.getenv("PSQL_SAYS"), "\n")
os.exit(os.getenv("PSQL_SAYS") ~= "")
]]

describe("docs/howto.md, letters.lua,", function()
  local NAMES = { "lib/shell.lua", "lib/postgres.lua", "letters.lua" }

  local function start(says)
    local folder = folder_of_spec()
    Process.write_file(folder .. "/psql", PSQL)
    assert(Process.run { "chmod", "+x", folder .. "/psql" } == 0)
    return serve(NAMES, { env = {
      PATH = folder .. ":" .. os.getenv("PATH"), PSQL_SEEN = folder .. "/seen", PSQL_SAYS = says,
    } }), folder .. "/seen"
  end

  it("gives a text to psql as a variable, whatever stands in it, and says its number", function()
    local server, seen = start("7")
    local text = "it's \\'; DROP TABLE letters; --\r\n\\! touch x\n:'text' `id` \\"
    local response = server:request { method = "POST", target = "/letters", body = text }
    assert.equal(201, response.status)
    assert.equal('{"id":7}', response.body)
    assert.equal(text, Process.read_file(seen .. ".text"))
    assert.equal("-XqAt -v ON_ERROR_STOP=1\n" ..
      "INSERT INTO letters (text) VALUES (:'text') RETURNING id;\n", Process.read_file(seen))
  end)

  it("passes on the JSON that the database writes", function()
    local server = start('[{"id":1}]')
    assert.equal('[{"id":1}]\n', server:request { target = "/letters" }.body)
  end)

  it("answers 503 and publishes nothing when the database does not answer, or cannot", function()
    local server = start("")
    assert.equal(503, server:request { target = "/letters" }.status)
    for _, text in ipairs { "a", "a\0b" } do
      local response = server:request { method = "POST", target = "/letters", body = text }
      assert.equal(503, response.status)
    end
    assert.equal(3, #server:log_lines("the database gave no answer"))
    assert.matches("a text of Postgres has no NUL", server:log_lines("no NUL")[1])
  end)
end)

describe("docs/howto.md, weather.lua,", function()
  it("asks the server that the environment names, and says why it could not", function()
    local other = Server.start [[
      require "lunesse".server():get("/weather", function(_, response)
        response:json { degrees = -3 }
      end)
    ]]
    local names = { "weather.lua" }
    local server = serve(names, { env = { WEATHER_URL = other.url .. "/weather" } })
    assert.equal("it has -3 degrees\n", server:request { target = "/report" }.body)
    server = serve(names, { env = { WEATHER_URL = "http://127.0.0.1:1/weather" } })
    local response = server:request { target = "/report" }
    assert.equal(502, response.status)
    assert.equal("127.0.0.1:1: Connection refused\n", response.body)
  end)
end)

describe("docs/howto.md, notes.lua,", function()
  it("keeps its database in the folder that the service manager gives", function()
    local folder = folder_of_spec()
    local server = serve({ "notes.lua" }, { env = { STATE_DIRECTORY = folder } })
    assert.equal(201, server:request { method = "POST", target = "/notes", body = "a" }.status)
    assert.equal("file", lfs.attributes(folder .. "/notes.db", "mode"))
    assert.is_nil(lfs.attributes(server.folder .. "/notes.db", "mode"))
  end)
end)

describe("docs/howto.md, login.lua,", function()
  local function login(server, body, forwarded)
    return server:request {
      method = "POST", target = "/login", body = body,
      headers = {
        ["Content-Type"] = "application/x-www-form-urlencoded", ["X-Forwarded-For"] = forwarded,
      },
    }
  end

  local GOOD, BAD = "name=ada&password=moonshine", "name=ada&password=sunshine"

  it("lets nobody in by a stored hash of another shape, and says so in the log", function()
    local text = Pages.block("docs/howto.md", "lua", "USERS =").text:gsub('"%$scrypt', '"$1')
    local server = Server.start({ ["login.lua"] = text })
    assert.equal(503, login(server, GOOD).status)
    assert.equal(1, #server:log_lines("a password was not verified why=\"the hash is none"))
  end)

  it("counts the wrong tries of each address that a proxy here names, and no good ones", function()
    local server = serve({ "login.lua" }, { workers = 1 })
    for _ = 1, 6 do
      assert.equal(200, login(server, GOOD, "192.0.2.1").status)
    end
    for n = 1, 6 do -- what a client writes itself stands before what the proxy adds
      local response = login(server, BAD, n .. ".0.0.0, 192.0.2.1")
      assert.equal(n <= 5 and 401 or 429, response.status)
    end
    assert.equal(429, login(server, GOOD, "192.0.2.1").status)
    assert.equal(200, login(server, GOOD, "192.0.2.2").status)
  end)

  it("does so behind a Unix socket", function()
    local path = folder_of_spec() .. "/socket"
    serve({ "login.lua" }, { workers = 1, args = { "--unix", path } })
    local function status(forwarded)
      local _, out = Process.run { "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}",
        "--unix-socket", path, "-H", "X-Forwarded-For: " .. forwarded, "-d", BAD, "http://x/login" }
      return out
    end
    for n = 1, 6 do
      assert.equal(n <= 5 and "401" or "429", status("192.0.2.1"))
    end
    assert.equal("401", status("192.0.2.2"))
  end)

  it("works as long for a name that nobody has", function()
    local server = serve({ "login.lua" }, { workers = 1 })
    assert.equal(401, login(server, BAD).status)
    assert.equal(401, login(server, "name=nobody&password=moonshine").status)
    local times = {}
    eventually(function() return #server:log_lines("target=/login") == 2 end)
    for i, line in ipairs(server:log_lines("target=/login")) do
      times[i] = tonumber(line:match(" ms=([%d.]+)"))
    end
    assert.is_true(times[2] > times[1] / 5, times[2] .. " ms, " .. times[1] .. " ms")
  end)

  it("has a form, and forgets the token at the logout", function()
    local server = serve({ "login.lua" }, { workers = 1 })
    local form = server:request { target = "/login" }
    assert.equal("text/html; charset=utf-8", form.headers["content-type"])
    assert.matches('<form method="post" action="/login">', form.body)
    local cookie = login(server, GOOD).headers["set-cookie"]
    assert.matches("; HttpOnly; SameSite=Lax$", cookie)
    cookie = cookie:match("^[^;]+")
    local function name()
      return server:request { target = "/my/name", headers = { Cookie = cookie } }.body
    end
    assert.equal("you are ada\n", name())
    local out = server:request {
      method = "POST", target = "/my/logout", headers = { Cookie = cookie },
    }
    assert.matches("^session=; .*Max%-Age=0", out.headers["set-cookie"])
    assert.equal("log in first\n", name())
  end)

  it("ends an open stream soon after the login has ended, by a logout or by its age", function()
    local server = serve({ "login.lua" }, { workers = 1, clock = true })
    local function open()
      local cookie = login(server, GOOD).headers["set-cookie"]:match("^[^;]+")
      return server:stream("/my/news", { headers = { Cookie = cookie } }), cookie
    end
    local left, cookie = open()
    local stays = open()
    server:request { method = "POST", target = "/my/logout", headers = { Cookie = cookie } }
    server:advance(5)
    assert.equal("done", left:finish())
    server:advance(86400 - 10)
    assert.is_nil(stays:read_until(function()
      return stays.chunked.is_done
    end, 0.1))
    server:advance(10)
    assert.equal("done", stays:finish())
    local again = server:request { target = "/my/news", headers = { Cookie = cookie } }
    assert.equal(401, again.status)
  end)

  it("says so when no more logins fit", function()
    local text = Pages.block("docs/howto.md", "lua", "USERS =").text
      :gsub('"sessions", { bytes = 2%^20 }', '"sessions", { bytes = 300 }')
    local server = Server.start({ ["login.lua"] = text }, { workers = 1 })
    local last
    for _ = 1, 4 do
      last = login(server, GOOD)
    end
    assert.equal(503, last.status)
    assert.is_nil(last.headers["set-cookie"])
  end)
end)
