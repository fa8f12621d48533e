-- docs/howto.md beyond its console blocks (spec/readme_spec.lua runs those): its scripts behind a
-- proxy, below a service manager, with a reader that leaves.

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

describe("docs/howto.md, weather.lua,", function()
  it("asks the server that the environment names, and says why it could not", function()
    local other = Server.start [[
      require "lunesse".server():get("/weather", function(_, response)
        response:json { degrees = -3 }
      end)
    ]]
    local names = { "lib/shell.lua", "weather.lua" }
    local server = serve(names, { env = { WEATHER_URL = other.url .. "/weather" } })
    assert.equal("it has -3 degrees\n", server:request { target = "/report" }.body)
    server = serve(names, { env = { WEATHER_URL = "http://127.0.0.1:1/weather" } })
    local response = server:request { target = "/report" }
    assert.equal(502, response.status)
    assert.matches("^curl: %(7%) Failed to connect to 127%.0%.0%.1 port 1 ", response.body)
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

describe("docs/howto.md, files.lua,", function()
  it("says that texts are UTF-8", function()
    local files = { ["public/a.css"] = "p {}", ["public/a.txt"] = "é" }
    local server = serve({ "files.lua" }, nil, files)
    for name, kind in pairs { ["a.css"] = "text/css", ["a.txt"] = "text/plain" } do
      local response = server:request { target = "/files/" .. name }
      assert.equal(kind .. "; charset=utf-8", response.headers["content-type"])
    end
  end)
end)

describe("docs/howto.md, files.lua, with a file that does not fit into memory,", function()
  it("answers 500, says so, and serves the next", function()
    local files = { ["public/a.bin"] = ("a"):rep(10^6), ["public/b.bin"] = ("b"):rep(5 * 10^6) }
    local server = serve({ "files.lua" },
      { workers = 1, args = { "--limit", "lua_bytes=8388608" } }, files)
    assert.equal(500, server:request { target = "/files/b.bin" }.status)
    assert.matches("not enough memory", server:log_lines(" error ")[1])
    assert.equal(files["public/a.bin"], server:request { target = "/files/a.bin" }.body)
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

  it("knows the salts of `openssl passwd -6`, which have dots and slashes", function()
    assert.matches('"%$6%$%w*[./][%w./]*%$', Pages.block("docs/howto.md", "lua", "USERS =").text)
    assert.equal(200, login(serve { "login.lua" }, GOOD).status)
  end)

  it("does not load with a stored hash of another shape", function()
    local text = Pages.block("docs/howto.md", "lua", "USERS =").text:gsub('"%$6', '"$1')
    local folder = Server.write { ["login.lua"] = text }
    local code, _, stderr = Server.run { "--check", folder .. "/login.lua" }
    assert.equal(1, code)
    assert.matches("the hash of ada is not one of openssl passwd %-6", stderr)
  end)

  it("counts the wrong tries of each address that a proxy here names, and no good ones", function()
    local server = serve({ "login.lua" }, { workers = 1 })
    for _ = 1, 7 do
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
    local folder = folder_of_spec()
    Process.write_file(folder .. "/openssl",
      ("#!/bin/sh\necho run >>%s/runs\nexec /usr/bin/openssl \"$@\"\n"):format(folder))
    assert(Process.run { "chmod", "+x", folder .. "/openssl" } == 0)
    local server = serve({ "login.lua" }, { env = { PATH = folder .. ":" .. os.getenv("PATH") } })
    local response = login(server, "name=nobody&password=moonshine")
    assert.equal(401, response.status)
    assert.equal("run\n", Process.read_file(folder .. "/runs"))
  end)

  it("has a form, and forgets the token at the logout", function()
    local server = serve({ "login.lua" }, { workers = 1 })
    local form = server:request { target = "/login" }
    assert.equal("text/html; charset=utf-8", form.headers["content-type"])
    assert.matches('<form method="post" action="/login">', form.body)
    local cookie = login(server, GOOD).headers["set-cookie"]:match("^[^;]+")
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
