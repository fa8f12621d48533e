-- The pages of the documents, and their blocks. A page is held to what it says by running it:
--
--   lua       a script. With a first line such as `-- app/board.lua` it is that file of the page's
--             folder, which grows block by block; without, it stands alone.
--   console   commands behind `$`, and what they print. They run against the scripts before them.
--   sh        commands whose output is not shown; or a file too, with a first line `# test.sh`.
--   json      has to be JSON.
--   text      a drawing: there is nothing to run.
--
-- A block that cannot be run is told so by a comment in front of it, `<!-- not run: why -->`, with
-- one of the reasons below.

local lfs = require "lfs"
local free_port = require "spec.support.free_port"
local Process = require "spec.support.process"
local Server = require "spec.support.server"

local Pages = {}

Pages.REASONS = {
  ["it installs packages"] = true,
  ["it changes the machine"] = true,
  ["it takes minutes"] = true,
  ["it takes several machines"] = true, -- spec/server/proxies_spec.lua runs it on one
}

local function add_pages(list, folder)
  local names = {}
  for name in lfs.dir(folder) do
    names[#names + 1] = name:find("%.md$") and folder .. "/" .. name or nil
  end
  table.sort(names)
  table.move(names, 1, #names, #list + 1, list)
end

---The pages for who uses the program: the README and what is below docs/.
function Pages.of_users()
  local list = { "README.md" }
  add_pages(list, "docs")
  add_pages(list, "docs/api")
  return list
end

---These, and the pages for who works on it.
function Pages.all()
  local list = Pages.of_users()
  list[#list + 1] = "CONTRIBUTING.md"
  for floor in lfs.dir("src") do
    local page = not floor:find("%.") and "src/" .. floor .. "/README.md" or ""
    list[#list + 1] = lfs.attributes(page, "mode") == "file" and page or nil
  end
  return list
end

---The fenced blocks of a page, in their order: `language`, `text`, `line`, `excuse` (why it is not
---run), `file` (which file of the page's folder it is).
function Pages.blocks(page)
  local list, block, number, before = {}, nil, 0, ""
  for line in Process.read_file(page):gmatch("([^\n]*)\n") do
    number = number + 1
    local fence = line:match("^```(.*)$")
    if fence and not block then
      block = {
        page = page, language = fence, line = number, lines = {},
        excuse = before:match("^<!%-%- not run: (.*) %-%->$"),
      }
    elseif fence then
      block.text = table.concat(block.lines, "\n") .. "\n"
      block.file = block.language == "lua" and block.text:match("^%-%- ([%w_./]+%.lua)\n") or
        block.language == "sh" and block.text:match("^# ([%w_./]+%.sh)\n") or nil
      block.where = ("%s:%d"):format(page, block.line)
      list[#list + 1] = block
      block = nil
    elseif block then
      table.insert(block.lines, line)
    end
    before = line
  end
  assert(not block, page .. ": a block has no end")
  return list
end

---The one block of `page` in `language` that has the plain text `text`.
function Pages.block(page, language, text)
  local found
  for _, block in ipairs(Pages.blocks(page)) do
    if block.language == language and block.text:find(text, 1, true) then
      assert(not found, page .. ": two blocks have " .. text)
      found = block
    end
  end
  return assert(found, page .. ": no block has " .. text)
end

---The files that a console block at `index` finds: the page's folder as it has grown until there,
---or the one script before it that is no file of it.
function Pages.files(blocks, index)
  local files, alone = {}, nil
  for i = 1, index do
    local block = blocks[i]
    if block.file then
      files[block.file], alone = block.text, nil
    elseif block.language == "lua" then
      alone = block.text
    end
  end
  return alone and { ["script.lua"] = alone } or files
end

-- What differs from one run to the next.
local VARIABLE = {
  { "\r", "" },
  { "%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.?%d*Z", "TIME" },
  { "Date: [^\n]+", "Date: ?" },
  { "%f[%w]" .. ("%x"):rep(7) .. "%x*%-", "EPOCH-" },
  { "127%.0%.0%.1:%d+", "127.0.0.1:PORT" },
  { "ms=[%d.]+", "ms=?" },
  { " id=%S+", " id=?" },
  { "%f[%d]%d+%.%d+ seconds", "? seconds" }, -- of busted
  { "[ \t]+\n", "\n" }, -- a page has no blanks at the end of a line
}

local function without_variables(text)
  for _, pair in ipairs(VARIABLE) do
    text = text:gsub(pair[1], pair[2])
  end
  return (text:gsub("%s+$", ""))
end

---The commands of a block, each { words =, expected = }. A line that ends with a backslash goes on.
function Pages.commands(block)
  local list = {}
  for line in block.text:gsub("\\\n", " "):gmatch("([^\n]*)\n") do
    local command = line
    if block.language == "console" then
      command = line:match("^%$ (.*)$")
    end
    if command and command:find("%S") then
      list[#list + 1] = { words = command, expected = "" }
    elseif #list > 0 and not command then
      list[#list].expected = list[#list].expected .. line .. "\n"
    end
  end
  return list
end

-- A command that works in a folder of its own, and asks no server: it writes a project, or runs
-- specs.
local function is_alone(words)
  return words:find("%f[%w]lunesse new ") ~= nil or words:find("%f[%w]lunesse test%f[%s%z]") ~= nil
end

local function is_server(words)
  local program = words:gsub("^[%u_]+=%S+ ", "")
  return program:find("^lunesse ") and not program:find("^lunesse bench") and
    not is_alone(program) and not program:find(" %-%-check") and not program:find(" %-%-help")
end

local function is_reader(words)
  return words:find("^curl %-%a*N") ~= nil
end

-- What a page may have a spec run. Any other command changes the machine, or takes long: its block
-- says so.
local PROGRAMS = {
  lunesse = true, curl = true, echo = true, mkdir = true,
  sh = true, ["lua5.4"] = true,
}

local function check_program(words)
  local program = words:gsub("^cd %S+ && ", ""):gsub("^[%u_]+=%S+ ", ""):match("^%S+")
  assert(PROGRAMS[program], "a spec does not run this: " .. words)
end

-- A folder with a program `lunesse`, which listens on a free port where it would on 3000.
local function shim()
  local folder = Server.write {
    lunesse = ([[
      #!/bin/sh
      case " $* " in
        *" --check "*|*" --help "*|*" --unix "*|" bench "*|" new "*|" test "*) exec %s "$@" ;;
      esac
      exec %s --host 127.0.0.1 --port 0 "$@"
    ]]):gsub("^ +", ""):gsub("%%s", (Server.binary():gsub("%%", "%%%%"))),
  }
  assert(Process.run { "chmod", "+x", folder .. "/lunesse" } == 0)
  return folder
end

local Session = {}
Session.__index = Session

-- A console without a server of its own is given one, whose clock the session moves.
local function open_session(block, files)
  local self = setmetatable({ path = shim() .. ":" .. os.getenv("PATH") }, Session)
  self.commands = Pages.commands(block)
  local has_server, needs_none = block.language == "sh", false
  for _, command in ipairs(self.commands) do
    has_server = has_server or is_server(command.words)
    needs_none = needs_none or is_alone(command.words)
  end
  if not has_server and not needs_none then
    self.port = free_port()
    for name, text in pairs(files) do -- a script may call its own server
      files[name] = text:gsub("localhost:3000", "127.0.0.1:" .. self.port)
    end
    self.server = Server.start(files, {
      clock = true, workers = 1, args = { "--host", "127.0.0.1", "--port", tostring(self.port) },
    })
    self.folder = self.server.folder
  elseif next(files) or needs_none then
    self.folder = Server.write(files)
  end
  return self
end

-- Runs a command to its end; a server and a reader of a stream to their first words.
function Session:run(command)
  local words = command.words
  if self.port then
    words = words:gsub("localhost:3000", "127.0.0.1:" .. self.port)
  end
  check_program(words)
  -- `exec` leaves no shell between the spec and a program that it ends.
  local errors = words:find("^curl ") and "" or "exec 2>&1; "
  local into = words:match("^cd %S+ && ") or ""
  local line = errors .. into .. "exec env " .. words:sub(#into + 1)
  local process = Process.start({ "sh", "-c", line }, {
    env = { PATH = self.path }, cwd = self.folder,
  })
  command.process = process
  if is_server(words) then
    eventually(function()
      self.port = process:stdout():match("listening on http://[^\n]-:(%d+)\n")
      return self.port or process:has_ended()
    end)
    assert(self.port, words .. ":\n" .. process:stdout())
  elseif is_reader(words) then
    eventually(function()
      return process:stdout() ~= "" or process:has_ended()
    end)
  else
    for _ = 1, 200 do
      command.code = process:wait(0.1)
      if command.code then
        return
      elseif self.server then
        self.server:advance(0.1)
      end
    end
    error("it does not end: " .. words)
  end
end

-- Holds what a command has printed to what the page shows. Of a stream that goes on, that is how it
-- begins, and time moves until all of it has come.
function Session:judge(command)
  local expected, printed = without_variables(command.expected), nil
  local function is_shown()
    printed = without_variables(command.process:stdout())
    return printed == expected or not command.code and printed:sub(1, #expected) == expected
  end
  for _ = 1, command.code and 1 or 30 do
    if pcall(_G.eventually, is_shown, command.code and 0 or 0.1) then
      return
    elseif self.server then
      self.server:advance(1)
    end
  end
  error(("%s\nthe page shows:\n%s\nit prints:\n%s"):format(command.words, expected, printed), 0)
end

-- Readers go first, so that no server waits for them. A server that a block has started ends in
-- order; the session's own is judged with the test.
function Session:stop()
  for _, command in ipairs(self.commands) do
    if is_reader(command.words) then
      command.process:kill()
    end
  end
  for _, command in ipairs(self.commands) do
    if is_server(command.words) then
      command.process:signal("TERM")
      assert(command.process:wait(5) == 0, command.words .. ":\n" .. command.process:stdout())
    end
  end
end

---Runs a block of commands; `files` are what it finds in its folder. Without any it stands in the
---project's root.
function Pages.run(block, files)
  local session = open_session(block, files)
  for _, command in ipairs(session.commands) do
    session:run(command)
    if block.language == "sh" then
      assert((command.code or 0) == 0, command.words .. ":\n" .. command.process:stdout())
    end
  end
  for _, command in ipairs(block.language == "console" and session.commands or {}) do
    session:judge(command)
  end
  session:stop()
end

return Pages
