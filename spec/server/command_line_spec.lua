-- The program as a command: what it takes, what it says, and with which code it ends.

local support = require "spec.sse.support"
local Server = require "spec.support.server"
local Process = require "spec.support.process"
local wire = require "spec.support.wire"
local lfs = require "lfs"

local HELLO = [[
local lunesse = require "lunesse"
lunesse.server():get("/hello", function(_, response) response:send("hello") end)
]]

local BINARY = os.getenv("LUNESSE_BIN") or
  (os.getenv("LUNESSE_BUILD") or lfs.currentdir() .. "/build/debug") .. "/lunesse"

---Runs the program to its end: exit code, stdout, stderr.
local function run(...)
  return Server.run { ... }
end

local function write(files)
  return Server.write(files)
end

---`text` with each `folder` as DIR.
local function without(text, folder)
  return (text:gsub((folder:gsub("%p", "%%%0")), "DIR"))
end

local function one_line(text)
  return select(2, text:gsub("\n", "\n")) == 1 and text:sub(-1) == "\n"
end

describe("lunesse --help and --version", function()
  it("print to stdout and end with 0", function()
    local code, out, err = run("--help")
    assert.same({ 0, "" }, { code, err })
    assert.matches("^usage: lunesse %[options%] SCRIPT|FOLDER\n", out)
    for _, option in ipairs { "host", "port", "unix", "limit", "trust-proxy", "proxy-protocol",
      "dev", "check", "log-level",
      "log-format", "version", "help" } do
      assert.matches("  --" .. option .. " ", (out:gsub("%-%-(%a[%w-]*)", "--%1 ")), 1, true)
    end
    code, out, err = run("--version")
    assert.same({ 0, "" }, { code, err })
    assert.matches("^lunesse %d+%.%d+%.%d+[%w.-]*\n$", out)
  end)
end)

describe("a wrong command line", function()
  it("ends with 2 and one clear line on stderr", function()
    local script = write { ["a.lua"] = HELLO } .. "/a.lua"
    for _, case in ipairs {
      { { }, "name a script or a folder" },
      { { script, script }, "name one script" },
      { { "--port", "x", script }, "--port 'x'" },
      { { "--port", "65536", script }, "--port '65536'" },
      { { "--port", "-1", script }, "--port '-1'" },
      { { "--port=", script }, "--port ''" },
      { { "--port", "80x", script }, "--port '80x'" },
      { { "--log-level", "loud", script }, "--log-level 'loud'" },
      { { "--log-format", "xml", script }, "--log-format 'xml'" },
      { { "--limit", "body_bytes", script }, "name=value" },
      { { "--limit", "=5", script }, "name=value" },
      { { "--limit", "body_bytes=x", script }, "a whole number of bytes" },
      { { "--limit", "body_bytes=", script }, "a whole number of bytes" },
      { { "--limit", "body_bytes=1.5", script }, "a whole number of bytes" },
      { { "--limit", "body_bytes=-1", script }, "a whole number of bytes" },
      { { "--trust-proxy", "10.0.0.1/8", script },
        "--trust-proxy '10.0.0.1/8': it has bits behind its prefix" },
      { { "--trust-proxy", "10.0.0.0/8,all", script }, "--trust-proxy 'all': an address" },
      { { "--trust-proxy", "", script }, "--trust-proxy '': it names no proxy" },
      { { "--proxy-protocol=2", script }, "--proxy-protocol=2: no value expected" },
      { { "--limit", "head_timeout=0", script }, "a plain number of seconds" },
      { { "--limit", "heartbeat=20s", script },
        "--limit heartbeat=20s: a plain number of seconds, such as 20, expected" },
      { { "--limit", "body_bytes=1M", script },
        "--limit body_bytes=1M: a whole number of bytes, such as 65536, expected" },
      { { "--chek", script }, "--chek: no such option; see lunesse --help" },
      { { "--un", "x", script }, "--un: short for several options; see lunesse --help" },
      { { "--limit", "head_timeout=nan", script }, "a plain number of seconds" },
      { { "--limit", "head_timeout=inf", script }, "a plain number of seconds" },
      { { "--limit", "body_byte=1", script }, "no such limit; there are" },
      { { "--unix", ("/tmp/" .. ("x"):rep(120)), script }, "--unix" },
      { { "--unix", "/tmp/x", "--port", "1", script }, "leave out --host and --port" },
      { { "--host", "::1", "--unix", "/tmp/x", script }, "leave out --host and --port" },
      { { "--unix-mode", "660", script }, "name it with --unix" },
      { { "--unix", "/tmp/x", "--unix-mode", "668", script }, "--unix-mode '668': octal digits" },
      { { "--unix", "/tmp/x", "--unix-mode", "66", script }, "--unix-mode '66': octal digits" },
      { { "--unix", "/tmp/x", "--unix-mode", "1660", script }, "--unix-mode '1660': octal" },
      { { "--unix", "/tmp/x", "--unix-mode", "00660", script }, "--unix-mode '00660': octal" },
      { { "--unix", "/tmp/x", "--unix-mode", "432", script }, "--unix-mode '432': octal" },
      { { "--unix", "/tmp/x", "--unix-mode", "-60", script }, "--unix-mode '-60': octal" },
      { { "--unix", "/tmp/x", "--unix-mode", "rw", script }, "--unix-mode 'rw': octal digits" },
    } do
      local code, out, err = run(table.unpack(case[1]))
      local words = table.concat(case[1], " ")
      assert.same({ 2, "" }, { code, out }, words .. "\n" .. err)
      assert.is_truthy(err:find(case[2], 1, true), words .. "\n" .. err)
      assert.is_true(one_line(err), words .. "\n" .. err)
      assert.matches("^lunesse: ", err)
    end
  end)

  it("names an option that is not known or lacks its value", function()
    for _, words in ipairs { { "--nothing", "x" }, { "--port" }, { "-p", "1" } } do
      local code, out, err = run(table.unpack(words))
      assert.same({ 2, "" }, { code, out })
      assert.matches("lunesse %-%-help", err)
    end
  end)
end)

describe("a script that cannot be served", function()
  ---The one line on stderr, with the folder cut off.
  local function refused(files, path)
    local folder = write(files)
    local code, out, err = run("--port", "0", folder .. (path or ""))
    assert.same({ 1, "" }, { code, out }, err)
    assert.matches("^lunesse: ", err)
    return without(err, folder)
  end

  it("ends with 1 and says what is missing", function()
    assert.matches("^lunesse: cannot read DIR/none.lua: [Nn]o such file or directory\n$",
      refused({}, "/none.lua"))
    assert.equal("lunesse: no *.lua files in DIR\n", refused({ ["a.txt"] = "x" }))
    assert.equal("lunesse: no *.lua files in DIR\n", refused({ [".hidden.lua"] = "x" }))
    assert.equal("lunesse: no *.lua files in DIR\n", refused({ ["scripts/a.txt"] = "x" }))
    assert.equal("lunesse: no *.lua files in DIR\n", refused({ scripts = "x" }))
  end)

  it("says where scripts are, when they are in the folder `scripts` below", function()
    assert.equal("lunesse: no *.lua files in DIR, but in its folder scripts/: serve that one\n",
      refused({ ["scripts/a.lua"] = HELLO }))
  end)

  it("ends with 1 when it may not be read", function()
    local folder = write { ["a.lua"] = HELLO }
    os.execute(("chmod 755 %s; chmod 000 %s/a.lua"):format(folder, folder))
    local argv = { BINARY, "--check", folder .. "/a.lua" }
    if Process.run { "test", "-r", folder .. "/a.lua" } == 0 then
      argv = { "setpriv", "--reuid=65534", "--clear-groups", table.unpack(argv) }
    end
    local code, _, err = Process.run(argv)
    if err:find("setpriv", 1, true) then
      return pending("setpriv is not there, and root reads everything")
    end
    assert.equal(1, code, err)
    assert.matches("^lunesse: cannot read DIR/a.lua: [Pp]ermission denied\n$",
      without(err, folder))
  end)

  it("ends with 1 and script and line for a syntax error", function()
    local err = refused { ["a.lua"] = HELLO, ["b.lua"] = "local x = 1\nlocal y = = 2\n" }
    assert.matches("^lunesse: DIR/b.lua:2: unexpected symbol near '='\n$", err)
  end)

  it("ends with 1 and script and line for an error while it loads", function()
    local err = refused { ["a.lua"] = "local t = nil\nt.x = 1\n" }
    assert.matches("^lunesse: DIR/a.lua:2: attempt to index a nil value", err)
    assert.matches("^lunesse: DIR/a.lua:1: module 'nothing' not found",
      refused { ["a.lua"] = "require 'nothing'\n" })
    assert.equal('lunesse: {"code":7}\n', refused { ["a.lua"] = "error { code = 7 }\n" })
  end)

  it("ends with 1 for bytecode", function()
    assert.matches("^lunesse: ", refused { ["a.lua"] = string.dump(function() end) })
  end)

  it("ends with 1 and both places for a route that two files declare, in one line", function()
    local err = refused { ["b.lua"] = "\n" .. HELLO, ["a.lua"] = HELLO }
    assert.equal("lunesse: DIR/b.lua:3: the route GET /hello is already declared at DIR/a.lua:2\n",
      err)
  end)
end)

describe("--check", function()
  it("loads, prints the routes and ends with 0, without listening", function()
    local folder = write { ["a.lua"] = HELLO .. [[
lunesse.server():post("/say/:what", function() end)
lunesse.server():any("/any/*rest", function() end)
]] }
    local code, out, err = run("--check", folder)
    assert.same({ 0, "" }, { code, err })
    assert.equal([[
GET     /hello      DIR/a.lua:2
POST    /say/:what  DIR/a.lua:3
any     /any/*rest  DIR/a.lua:4
]], without(out, folder))
  end)

  it("warns of scripts without a route, as the server does when it starts and reloads", function()
    local warning = "warn the scripts declare no route: every request is answered with 404"
    local folder = write { ["a.lua"] = 'require "lunesse".server()' }
    local code, out, err = run("--check", folder)
    assert.same({ 0, "" }, { code, out })
    assert.truthy(err:find(warning .. " scripts=" .. folder .. "\n", 1, true), err)
    local server = Server.start({ ["a.lua"] = "" }, { path = folder })
    eventually(function()
      return #server:log_lines(warning) == 1
    end)
    server.process:signal("HUP")
    eventually(function()
      return #server:log_lines(warning) == 2
    end)
    local answered = write { ["a.lua"] = 'require "lunesse".server():not_found(function() end)' }
    code, out, err = run("--check", answered)
    assert.same({ 0, "", "" }, { code, out, err })
  end)

  it("ends with 1 for what would not load", function()
    assert.equal(1, (run("--check", write { ["a.lua"] = "x x" })))
  end)
end)

describe("a folder", function()
  it("is loaded in name order, its *.lua files alone, into one server", function()
    local server = Server.start({
      ["b.lua"] = "order = (order or '') .. 'b'",
      ["a.lua"] = "order = (order or '') .. 'a'",
      ["c.lua"] = [[
local lunesse = require "lunesse"
order = (order or '') .. 'c'
lunesse.server():get("/", function(_, response) response:send(order) end)
]],
      ["d.txt"] = "this is not Lua", [".e.lua"] = "neither is this", ["sub/f.lua"] = "nor this",
      ["g.lua"] = "order = order .. 'g'",
    })
    assert.equal("abcg", support.get(server, "/"))
  end)
end)

describe("listening", function()
  it("prints each route with its URL, then one ready line with the port it picked", function()
    local server = Server.start(HELLO)
    local out = server:stdout()
    assert.matches(("GET     http://127.0.0.1:%d/hello  "):format(server.port), out, 1, true)
    assert.matches(("\nlistening on http://127.0.0.1:%d\n$"):format(server.port), out)
    assert.is_true(server.port > 0)
    assert.equal("hello", support.get(server, "/hello"))
  end)

  it("on a port in use ends with 1 and advice", function()
    local server = Server.start(HELLO)
    local script = write { ["a.lua"] = HELLO } .. "/a.lua"
    local code, _, err = run("--port", tostring(server.port), script)
    assert.equal(1, code)
    assert.equal(("lunesse: cannot listen on 127.0.0.1 port %d: Address already in use; " ..
      "stop the other program or choose another port with --port\n"):format(server.port),
      (err:gsub("address already", "Address already")))
    assert.equal("hello", support.get(server, "/hello"))
  end)

  it("never shares its port in silence", function()
    local one = Server.start(HELLO)
    for _ = 1, 3 do
      local script = write { ["a.lua"] = HELLO } .. "/a.lua"
      assert.equal(1, (run("--host", "127.0.0.1", "--port", tostring(one.port), script)))
    end
  end)

  it("on an address that is none ends with 1 and advice", function()
    local script = write { ["a.lua"] = HELLO } .. "/a.lua"
    for _, host in ipairs { "not an address", "192.0.2.1", "" } do
      local code, _, err = run("--host", host, "--port", "0", script)
      assert.equal(1, code, err)
      assert.matches("^lunesse: cannot listen on .*%-%-host\n$", err)
    end
  end)

  it("takes the address from the script, unless the command line has one", function()
    local folder = write {}
    local path = folder .. "/own.sock"
    local script = HELLO .. ("lunesse.server():listen { unix = %q }\n"):format(path)
    Process.write_file(folder .. "/a.lua", script)
    local server = Server.start(nil, { path = folder .. "/a.lua", args = { "--port", "0" } })
    assert.is_truthy(server.port)
    assert.is_nil(lfs.attributes(path, "mode"))
    server = Process.start { BINARY, folder .. "/a.lua" }
    eventually(function()
      return server:stdout():find("listening on unix:" .. path .. "\n", 1, true)
    end)
    local client = wire.connect({ unix = path })
    client:send(wire.request { target = "/hello" })
    assert.equal("hello", client:response().body)
    client:close()
    server:signal("TERM")
    assert.equal(0, server:wait(2))
    server:forget()
  end)

  it("on several addresses of the scripts serves them all", function()
    local folder = write {}
    local one, two = folder .. "/1.sock", folder .. "/2.sock"
    Process.write_file(folder .. "/a.lua", HELLO .. ([[
lunesse.server():listen { unix = %q }
lunesse.server():listen { unix = %q }
]]):format(one, two))
    local server = Process.start { BINARY, folder .. "/a.lua" }
    eventually(function()
      return server:stdout():find("2.sock\n", 1, true)
    end)
    for _, path in ipairs { one, two } do
      local client = wire.connect({ unix = path })
      client:send(wire.request { target = "/hello" })
      assert.equal("hello", client:response().body)
      client:close()
    end
    server:signal("INT")
    assert.equal(0, server:wait(2))
    server:forget()
  end)
end)

describe("a Unix socket", function()
  it("serves plain answers and streams, and is gone afterwards", function()
    local folder = write {}
    local path = folder .. "/s.sock"
    local server = Server.start(support.script [[
server:get("/", function(request, response)
  response.sse:send("over unix")
  hold()
end)
]], { args = { "--unix", path } })
    assert.equal(path, server.unix)
    local stream = server:stream("/")
    assert.equal("over unix", stream:event().data)
    stream:close()
    eventually(function()
      return support.access_line(server, "/")
    end, 3)
    assert.matches("reason=left", support.access_line(server, "/"))
    server:stop()
    assert.is_nil(lfs.attributes(path, "mode"))
  end)

  it("has the mode that --unix-mode or the script says, whatever the umask is", function()
    local path = write {} .. "/s.sock"
    local function permissions(umask, mode, args)
      local where = "lunesse.server():listen { unix = %q, mode = %s }"
      local listen = mode and where:format(path, mode)
      local folder = write { ["a.lua"] = HELLO .. (listen or "") }
      local words = { "sh", "-c", 'umask "$0"; exec "$@"', umask, BINARY }
      table.move(args or {}, 1, #(args or {}), #words + 1, words)
      words[#words + 1] = folder .. "/a.lua"
      local server = Process.start(words)
      eventually(function()
        return server:stdout():find("listening on unix:" .. path .. "\n", 1, true)
      end)
      local found = lfs.attributes(path, "permissions")
      local client = wire.connect({ unix = path })
      client:send(wire.request { target = "/hello" })
      assert.equal("hello", client:response().body)
      client:close()
      server:signal("TERM")
      assert.equal(0, server:wait(2))
      server:forget()
      return found
    end
    local unix = { "--unix", path }
    local with_660 = { "--unix", path, "--unix-mode", "660" }
    local with_0606 = { "--unix-mode=0606", "--unix", path }
    assert.equal("rw-rw----", permissions("077", nil, with_660))
    assert.equal("rw----rw-", permissions("022", nil, with_0606))
    assert.equal("rwxr-x---", permissions("027", nil, unix)) -- as the umask leaves it
    assert.equal("rw-rw-rw-", permissions("077", "666"))
    assert.equal("rw-rw----", permissions("000", '"0660"'))
  end)

  it("leaves the umask as it is", function()
    local path = write {} .. "/s.sock"
    local server = Server.start(support.script [[
server:get("/umask", function(_, response)
  local shell <close> = io.popen("umask")
  response:send(shell:read("a"))
end)
]], { args = { "--unix", path, "--unix-mode", "600" }, wrap = Server.under "umask 027" })
    assert.equal("0027\n", support.get(server, "/umask"))
  end)

  it("takes the place of a dead server's, and not that of a living one or of a file", function()
    local folder = write { ["a.lua"] = HELLO, ["file"] = "precious" }
    local path = folder .. "/s.sock"
    local server = Server.start(HELLO, { args = { "--unix", path } })
    local code, _, err = run("--unix", path, folder .. "/a.lua")
    assert.equal(1, code)
    assert.matches("[Aa]ddress already in use; stop the other program", err)
    server:kill()
    assert.equal("socket", lfs.attributes(path, "mode"))
    server = Server.start(HELLO, { args = { "--unix", path } })
    assert.equal("hello", support.get(server, "/hello"))
    code, _, err = run("--unix", folder .. "/file", folder .. "/a.lua")
    assert.equal(1, code)
    assert.matches("not a socket", err)
    assert.equal("precious", Process.read_file(folder .. "/file"))
  end)

  it("may have a relative path, on the command line and in a script", function()
    local folder = write {
      ["plain.lua"] = HELLO, ["own.lua"] = HELLO .. 'lunesse.server():listen { unix = "rel.sock" }',
    }
    for _, words in ipairs { { "--unix", "rel.sock", "plain.lua" }, { "own.lua" } } do
      local server = Process.start({ BINARY, table.unpack(words) }, { cwd = folder })
      eventually(function()
        return server:stdout():find("listening on unix:rel.sock\n", 1, true)
      end)
      local client = wire.connect({ unix = folder .. "/rel.sock" })
      client:send(wire.request { target = "/hello" })
      assert.equal("hello", client:response().body)
      client:close()
      server:signal "TERM"
      assert.equal(0, (server:wait(2)))
      server:forget()
      assert.is_nil(lfs.attributes(folder .. "/rel.sock", "mode"))
    end
  end)

  it("is not what --host names", function()
    local folder = write { ["a.lua"] = HELLO }
    for _, path in ipairs { "/tmp/s.sock", "./s.sock" } do
      local code, _, err = run("--host", path, folder .. "/a.lua")
      assert.same({ 1, "lunesse: cannot listen on " .. path .. " port 3000: Invalid argument; " ..
        "this is a path: give it with --unix\n" }, { code, err })
    end
    local code, _, err = run("--unix", folder .. "/none/s.sock", folder .. "/a.lua")
    assert.equal(1, code)
    assert.matches("No such file or directory; the folder must be there\n$", err)
  end)
end)
