-- The documents are held to what they say. Every block of every page is run, or says why not; what
-- is made from the source is what the source says now; links lead somewhere; options are those of
-- --help. How blocks are run is in spec/support/pages.lua.

local lfs = require "lfs"
local posix = require "spec_posix"
local kit = require "spec.support.kit"
local Client = require "spec.support.client"
local Pages = require "spec.support.pages"
local Server = require "spec.support.server"
local Process = require "spec.support.process"

local MAKEFILE = Process.read_file("Makefile")

local KIT_PATH = kit.path

local LANGUAGES = { lua = true, console = true, sh = true, json = true, text = true }

-- Blocks that other specs run: who does so names the page.
local RUN_BY = {
  nginx = "spec/support/proxy.lua",
  haproxy = "spec/support/proxy.lua",
  apache = "spec/support/proxy.lua",
}

---Loads the script `name` of `files` by --check.
local function load_script(files, name)
  local folder = Server.write(files)
  local code, _, stderr = Server.run { "--check", folder .. "/" .. name }
  assert(code == 0, stderr)
end

local function check_json(text)
  local folder = Server.write {
    ["x.json"] = text,
    ["check.lua"] = [[
      local lunesse = require "lunesse"
      local file = io.open((...):gsub("check.lua$", "x.json"), "r")
      assert(lunesse.json.decode(file:read("a")))
      lunesse.server():get("/", function() end)
    ]],
  }
  local code, _, stderr = Server.run { "--check", folder .. "/check.lua" }
  assert(code == 0, stderr)
end

---What can be said of commands without running them: the shell reads them, and what they ask of
---`make` and of the program is there.
local function check_commands(block, help)
  for _, command in ipairs(Pages.commands(block)) do
    local line = command.words
    local code, _, complaint = Process.run { "sh", "-nc", line }
    assert(code == 0, complaint)
    local target = line:match("^make ([%l-]+)")
    assert(not target or MAKEFILE:find("\n" .. target .. ":", 1, true), line)
    for option in (line:match("lunesse (.*)$") or ""):gmatch("%f[%S]%-%-[%l-]+") do
      assert(help:find(option, 1, true), line .. ": " .. option)
    end
  end
end

---Whether a script of the page requires the module `block`, or a command names it.
local function is_used(blocks, block)
  local module = block.file:gsub("%.lua$", ""):gsub("/", ".")
  for _, other in ipairs(blocks) do
    if other ~= block and (other.text:find('require "' .. module .. '"', 1, true) or
        other.text:find('module = "' .. module .. '"', 1, true) or
        other.language == "console" and other.text:find(" " .. block.file, 1, true)) then
      return true
    end
  end
  return false
end

---Runs a spec of the page by plain busted, which finds the test kit in the build. It gets the
---scripts as the page leaves them: before that it may fail, as a console block shows.
local function run_spec(files, name)
  local folder = Server.write(files)
  local code, out = Process.run({ "lua5.4", "/usr/bin/busted", "--cpath=" .. KIT_PATH, name }, {
    cwd = folder, seconds = 30, env = kit.environment() or kit.pending(kit.REASON),
  })
  assert(code == 0, out)
end

---Runs a block in the way of its language.
local function run_block(blocks, index, help)
  local block = blocks[index]
  local files, of_page = Pages.files(blocks, index), Pages.files(blocks, #blocks)
  if block.file and (block.language == "sh" or block.file:find("^lib/")) then
    assert(is_used(blocks, block), "no script and no command of the page uses " .. block.file)
  elseif block.file and block.file:find("_spec%.lua$") then
    run_spec(of_page, block.file)
  elseif block.language == "lua" then
    load_script(block.file and of_page or files, block.file or "script.lua")
  elseif block.language == "json" then
    check_json(block.text)
  elseif block.language == "sh" or block.language == "console" then
    check_commands(block, help)
    Pages.run(block, block.language == "console" and files or {})
  end
end

describe("a block of", function()
  local help

  setup(function()
    local _, server = Server.run { "--help" }
    local _, bench = Server.run { "bench", "--help" }
    local _, test, of_busted = Server.run { "test", "--help" }
    help = server .. bench .. test .. of_busted
  end)

  for _, page in ipairs(Pages.of_users()) do
    local blocks = page:find("^docs/api/%l") and {} or Pages.blocks(page)
    for index, block in ipairs(blocks) do
      if block.excuse then
        it(("%s is not run, for a reason that counts"):format(block.where), function()
          assert.is_true(Pages.REASONS[block.excuse], block.excuse)
          assert.truthy(block.language == "sh" or block.language == "console")
          check_commands(block, help)
        end)
      elseif RUN_BY[block.language] then
        it(("%s is run by %s"):format(block.where, RUN_BY[block.language]), function()
          assert.truthy(Process.read_file(RUN_BY[block.language]):find(page, 1, true))
        end)
      elseif block.language ~= "text" then
        it(("%s, of %s, runs"):format(block.where, block.language), function()
          run_block(blocks, index, help)
        end)
      end
    end
  end
end)

-- Whoever judges has to see what is wrong.
describe("the judge of blocks", function()
  local SCRIPT = [[
    local lunesse = require "lunesse"
    local server = lunesse.server()
    server:get("/", function(_, response) response:send("hello\n") end)
    server:get("/ticks", function(_, response)
      for n = 1, 3 do
        response.sse:send(n)
        lunesse.sleep(1)
      end
      lunesse.sleep(3600)
    end)
  ]]

  ---Runs one block with this text; whether it is as it says, and the complaint.
  local function judged(language, text)
    local block = { language = language, text = text, where = "a page" }
    return pcall(Pages.run, block, { ["script.lua"] = SCRIPT })
  end

  it("lets pass what is printed, at once or in time, and in the midst of a stream", function()
    assert(judged("console", "$ curl -s localhost:3000/\nhello\n"))
    assert(judged("console", "$ curl -sN -H 'Accept: text/event-stream' localhost:3000/ticks\n" ..
      ":\n\ndata: 1\n\ndata: 2\n"))
    assert(judged("sh", "lunesse --log-level warn script.lua\ncurl -sf localhost:3000/\n"))
  end)

  it("complains of other words, of fewer, and of more", function()
    for _, shown in ipairs { "hallo\n", "hello\nhello\n", "" } do
      local ok, complaint = judged("console", "$ curl -s localhost:3000/\n" .. shown)
      assert.is_false(ok)
      assert.matches("the page shows:", complaint)
    end
    assert.is_false(judged("console",
      "$ curl -sN -H 'Accept: text/event-stream' localhost:3000/ticks\n:\n\ndata: 2\n"))
  end)

  it("complains of a command that fails, and runs none that may change the machine", function()
    assert.is_false(judged("sh", "lunesse script.lua\ncurl -sf localhost:3000/other\n"))
    local ok, complaint = judged("sh", "make install\n")
    assert.is_false(ok)
    assert.matches("a spec does not run this: make install", complaint)
  end)
end)

describe("the README", function()
  it("shows scripts/clock.lua, word for word", function()
    local block = Pages.block("README.md", "lua", 'server:get("/clock"')
    assert.equal(Process.read_file("scripts/clock.lua"), block.text)
  end)

  it("has a row for each stub in its table of the API, and names only what that has", function()
    local rows = {}
    for name, names in Process.read_file("README.md")
      :gmatch("%]%(docs/api/(%w+)%.md%) |[^|\n]*|([^|\n]*)|") do
      local stub = Process.read_file("lua/types/" .. name .. ".lua")
      rows[name .. ".lua"] = true
      for member in names:gmatch("`([%w_]+)`") do
        local is_method = stub:find("[.:]" .. member .. "%(")
        assert(is_method or stub:find("@field " .. member .. " "), name .. ": " .. member)
      end
    end
    for name in lfs.dir("lua/types") do
      assert(rows[name] or not name:find("%.lua$"), name)
    end
  end)
end)

describe("docs/operations.md", function()
  it("has the options of --help, all of them, and no others", function()
    local _, help = Server.run { "--help" }
    local section = Process.read_file("docs/operations.md")
      :match("\n## The command line\n(.-)\n## ")
    for option in help:gmatch("\n  (%-%-[%w-]+)") do
      assert(section:find("\n| `" .. option:gsub("%-", "%%-") .. "[ `]") or
        section:find("`" .. option .. "`", 1, true), option)
    end
    for option in section:gmatch("`(%-%-[%w-]+)") do
      assert(help:find(option, 1, true), option)
    end
  end)
end)

describe("CONTRIBUTING.md", function()
  it("has two specs that pass", function()
    local folder = Server.write {
      ["process_spec.lua"] = Pages.block("CONTRIBUTING.md", "lua", "Server.start").text,
      ["app_spec.lua"] = Pages.block("CONTRIBUTING.md", "lua", "apps.start").text,
    }
    local code, out = Process.run({ "lua5.4", "/usr/bin/busted", folder }, { seconds = 30 })
    assert(code == 0 and out:find("2 passed, 0 failed", 1, true), out)
  end)

  it("names targets of make that are there", function()
    for _, block in ipairs(Pages.blocks("CONTRIBUTING.md")) do
      if block.language == "sh" then
        for target in block.text:gmatch("%f[^\n%z]make ([%l-]+)") do
          assert.truthy(MAKEFILE:find("\n" .. target .. ":", 1, true), target)
        end
      end
    end
  end)
end)

describe("docs/streams.md", function()
  it("has a countdown that counts down, and is complete", function()
    local script = Pages.block("docs/streams.md", "lua", "/countdown").text
    local server = Server.start({ ["countdown.lua"] = script }, { clock = true })
    local stream = server:stream("/countdown")
    for n = 10, 0, -1 do
      assert.same({ type = "tick", data = tostring(n), id = tostring(n), is_chunk = true },
        stream:event())
      server:advance(1)
    end
    assert.equal("done", stream:finish())
  end)
end)

describe("a page that a browser gets, of", function()
  it("docs/guide.md, shows what is posted, as text", function()
    local blocks = Pages.blocks("docs/guide.md")
    local server = Server.start(Pages.files(blocks, #blocks), { workers = 1 })
    local shown = Client.browse(server.url .. "/", [[
      const field = document.querySelector('input')
      for (const line of ['full moon', '<b>bold</b>']) {
        field.value = line
        document.querySelector('form').requestSubmit()
      }
      const items = () => [...document.querySelectorAll('li')].map(item => item.textContent)
      while (items().length < 2) await new Promise(done => setTimeout(done, 20))
      return items().sort()
    ]])
    assert.same({ "<b>bold</b>", "full moon" }, shown)
  end)

  it("docs/channels.md, misses nothing between its state and its stream", function()
    local script = Pages.block("docs/channels.md", "lua", "goals:cursor()").text
    local server = Server.start({ ["goals.lua"] = script }, { workers = 1 })
    local shown = Client.browse(server.url .. "/", [[
      const output = document.querySelector('output')
      const before = output.value
      await fetch('/goals', { method: 'POST' })
      while (output.value !== '1') await new Promise(done => setTimeout(done, 20))
      return [before, output.value]
    ]])
    assert.same({ "0", "1" }, shown)
  end)
end)

describe("docs/architecture.md", function()
  it("names only files, functions and words of the API that are there", function()
    local _, source = Process.run { "sh", "-c", "cat src/*/*.[ch]" }
    local _, stubs = Process.run { "sh", "-c", "cat lua/types/*.lua" }
    local count = 0
    local page = Process.read_file("docs/architecture.md")
      :gsub("\n## Where it is decided\n.-\n## ", "\n## ")
    for name in page:gmatch("`([%l_/0-9]+%.?[ch]?)`") do
      if name:find("^%l+/%l[%l_0-9]+%.c$") then
        assert(lfs.attributes("src/" .. name), name)
        count = count + 1
      elseif name:find("^%l+_[%l_]+$") then
        local is_option = stubs:find("%f[%w_]" .. name .. "%f[^%w_]")
        assert(is_option or source:find("%f[%w_]" .. name .. "%("), name)
        count = count + 1
      end
    end
    assert.is_true(count > 15, count)
  end)

  ---Whether the source `text` defines `word`: a function, a table or a constant.
  local function is_made_in(text, word)
    local name = "%f[%w_]" .. word .. "%f[^%w_]"
    return text:find(name .. "%b()%s*\n{") -- a function of C
      or text:find("function [%w_.:]*" .. name) or text:find("local " .. name .. " = ")
      or text:find(name .. "%[%] = {") or text:find(name .. " = {")
      or text:find("\n%s*" .. name .. " = [%d(]")
  end

  it("says for each behaviour the files that decide it, and words that are made there", function()
    local section = Process.read_file("docs/architecture.md")
      :match("\n## Where it is decided\n(.-)\n## ")
    local floors, row_count = {}, 0
    for row in section:gmatch("\n| ([%a`][^\n]*) |%f[\n]") do
      local file_count = 0
      for path, words in row:gmatch("`([%l_/0-9]+%.%l+)`: (`[^;|]+)") do
        local text = Process.read_file(path:find("^lua/") and path or "src/" .. path)
        for word in words:gmatch("`([^`]+)`") do
          assert(is_made_in(text, word), row .. ": no " .. word .. " is made there")
        end
        floors[path:match("^%l+")] = true
        file_count = file_count + 1
      end
      assert(row:find("^what you want to change") or file_count >= 1 and file_count <= 3, row)
      row_count = row_count + 1
    end
    assert.is_true(row_count >= 40, row_count)
    for floor in lfs.dir("src") do
      local is_reached = floors[floor] or floor == "client" or floor == "bench"
      assert(is_reached or floor:find("%."), "no row leads to src/" .. floor)
    end
  end)
end)

-- What the examples of the stubs use and do not make themselves.
local AROUND = [[
local lunesse = require "lunesse"
local server = lunesse.server()
local room, news = lunesse.channel("room"), lunesse.channel("news")
local settings, sessions = lunesse.shared("settings"), lunesse.shared("sessions")
local jobs, scores, visits = lunesse.shared("jobs"), lunesse.shared("scores"), lunesse.shared("v")
local online, logins = lunesse.shared("online"), lunesse.shared("logins")
local users, password = lunesse.shared("users"), "moonshine"
local messages, report, user, name, token, points = {}, {}, {}, "Ada", "t0ken", 7
local page, key, readers, reader_count = "<p>", "k3y", {}, 1
local function work() end
local search, send_report, tick, send_mail = work, work, work, work
local find_user, list_orders, add_up, answer = work, work, work, work
local books = lunesse.http.client { base = "http://127.0.0.1:9" } -- nobody listens there
local db = lunesse.postgres { url = "postgres://127.0.0.1:9/" } -- nor there
local content = "\0"
local orders, id, question, is_ready = {}, 1, "?", lunesse.signal()
local function tokens()
  return string.gmatch("a b", "%a")
end
]]

---A script with one example: as it stands where it declares something, else in a handler.
local function script_of(example)
  local declares = example:find("%f[%w]server:%l+") or example:find("lunesse%.server") or
    example:find("api:get", 1, true) or example:find("channel_group", 1, true) or
    example:find("db:listen", 1, true)
  local ending = "\nserver:get('/ready-to-load', function() end)\n"
  if declares then
    return AROUND .. example .. ending
  end
  return AROUND .. "server:get('/example', { sse = 'always' }, function(request, response)\n" ..
    "local sse = response.sse\n" .. example ..
    "\nif not response.headers_sent then response:send('') end\nend)\n" .. ending
end

-- What specs can reach and scripts cannot.
local KIT_PAGE = "docs/api/test.md"

describe("the examples of the API in", function()
  it(KIT_PAGE .. " run", function()
    local block = Pages.block(KIT_PAGE, "lua", "test.load")
    local folder = Server.write {
      ["scripts/hello.lua"] = [[
        require("lunesse").server():get("/", function(_, response) response:send("hello") end)
      ]],
      ["example.lua"] = block.text,
    }
    local env = kit.environment() or kit.pending(kit.REASON)
    env.LUA_CPATH = KIT_PATH
    local code, _, complaint = Process.run({ "lua5.4", "example.lua" }, { cwd = folder, env = env })
    assert.equal(0, code, complaint)
  end)

  for _, page in ipairs(Pages.of_users()) do
    local is_for_scripts = page:find("^docs/api/%l") and page ~= KIT_PAGE
    local blocks = is_for_scripts and Pages.blocks(page) or {}
    for _, block in ipairs(blocks) do
      it(block.where .. " run", function()
        local server = Server.start({
          ["example.lua"] = script_of(block.text),
          ["lib/db.lua"] = "return { find = function() return {} end }",
        }, { clock = true })
        server:connect():send("GET /example HTTP/1.1\r\nHost: x\r\n\r\n")
        server:advance(60)
        assert.same({}, server:log_lines(" error "))
        server:stop { seconds = 20 }
      end)
    end
  end
end)

describe("what is made from the source", function()
  it("is what `make docs` makes of it now", function()
    local folder = assert(posix.make_folder())
    local code, _, complaint = Process.run { "lua5.4", "cmake/docs.lua", folder }
    assert(code == 0, complaint)
    local count = 0
    for _, page in ipairs(Pages.of_users()) do
      if page:find("^docs/api/") or page == "docs/operations.md" then
        assert(Process.read_file(page) == Process.read_file(folder .. "/" .. page),
          page .. " is not what its source says: run `make docs`, and look at what changes")
        count = count + 1
      end
    end
    Process.remove_folder(folder)
    assert.equal(23, count)
  end)

  it("has a row for every limit", function()
    local page = Process.read_file("docs/operations.md")
    local count = 0
    for name in Process.read_file("src/base/limits.c"):gmatch('{"([%w_]+)", offsetof') do
      assert.truthy(page:find("\n| `" .. name .. "` | [^|]+ | [^|]+ | [^|]+ |\n"), name)
      count = count + 1
    end
    assert.is_true(count >= 24)
  end)
end)

---The anchors that a page offers: its headings, as GitHub makes them.
local function anchors_of(page)
  local anchors = {}
  for heading in ("\n" .. Process.read_file(page)):gmatch("\n#+ ([^\n]+)") do
    local name = heading:lower():gsub("[^%w _-]", ""):gsub(" ", "-")
    anchors[name] = true
  end
  return anchors
end

---Links of a page to files of ours: { path, anchor or nil }.
local function links_of(page)
  local list = {}
  local folder = page:match("^(.*/)") or ""
  local text = Process.read_file(page):gsub("\n```.-\n```", "")
  for target in text:gmatch("%]%(([^)]+)%)") do
    if not target:find("^https?:") then
      local path, anchor = target:match("^([^#]*)#?(.*)$")
      list[#list + 1] = { path == "" and page or folder .. path, anchor ~= "" and anchor or nil }
    end
  end
  return list
end

-- "docs/../README.md" is "README.md".
local function plain(path)
  local parts = {}
  for part in path:gmatch("[^/]+") do
    parts[part == ".." and #parts or #parts + 1] = part ~= ".." and part or nil
  end
  return table.concat(parts, "/")
end

describe("a page of the documents", function()
  local pages = Pages.all()

  it("links to what exists, and to headings that are there", function()
    for _, page in ipairs(pages) do
      for _, link in ipairs(links_of(page)) do
        local path, anchor = plain(link[1]), link[2]
        assert(lfs.attributes(path), page .. " links to " .. path)
        assert(not anchor or anchors_of(path)[anchor], ("%s: %s#%s"):format(page, path, anchor))
      end
    end
  end)

  it("is reached from the README by links", function()
    local reached, queue = { ["README.md"] = true }, { "README.md" }
    for _, page in ipairs(queue) do
      for _, link in ipairs(page:find("%.md$") and links_of(page) or {}) do
        local path = plain(link[1])
        queue[#queue + 1] = not reached[path] and path or nil
        reached[path] = true
      end
    end
    for _, page in ipairs(pages) do
      assert.is_true(reached[page], page)
    end
  end)

  it("stands on every floor, and names every source file there", function()
    for floor in lfs.dir("src") do
      if not floor:find("%.") then
        local text = Process.read_file("src/" .. floor .. "/README.md")
        for name in lfs.dir("src/" .. floor) do
          local stem = name:match("^(.+)%.c$")
          local is_named = not stem or text:find("`" .. stem .. ".", 1, true) or
            stem:find("^lib_") and text:find("`lib_*.c`", 1, true)
          assert.truthy(is_named, ("%s: %s"):format(floor, name))
        end
      end
    end
  end)

  it("says what each block is, for those who use the program", function()
    for _, page in ipairs(Pages.of_users()) do
      for _, block in ipairs(Pages.blocks(page)) do
        assert.is_true(RUN_BY[block.language] ~= nil or LANGUAGES[block.language] ~= nil,
          block.where .. ": " .. block.language)
      end
    end
  end)
end)
