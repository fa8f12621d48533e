-- The stubs in lua/types are the reference manual: each name that a script can reach is described
-- there, and nothing else is.

local lfs = require "lfs"
local Process = require "spec.support.process"
local Server = require "spec.support.server"

-- Prints every name that the program offers, one "Class.name" a line, and fails to load.
local LISTING = [[
local core = require "lunesse.core"
local lunesse = require "lunesse"
local names = {}
local function add(class, list)
  for key in pairs(list) do
    names[#names + 1] = class .. "." .. key
  end
end
for _, class in ipairs { "Request", "Response", "Sse", "Timer", "Channel", "Shared", "Event",
  "Metric", "Task", "Signal" } do
  add(class, core.methods(class))
  for _, name in ipairs(core.properties(class)) do
    names[#names + 1] = class .. "." .. name
  end
end
local function methods(class, object)
  for key, value in pairs(object) do
    if type(value) == "function" and not key:find("^__") then
      names[#names + 1] = class .. "." .. key
    end
  end
end
local server = lunesse.server()
methods("Server", getmetatable(server))
methods("Group", getmetatable(server:route("/x")))
methods("HttpClient", getmetatable(lunesse.http.client()))
methods("Database", getmetatable(lunesse.postgres()))
methods("Transaction", require "lunesse.postgres_transaction")
methods("DatabaseListener", require("lunesse.postgres_listener").Listener)
for _, name in ipairs { "crypto", "html", "http", "web" } do
  add(name, lunesse[name]) -- which is there from now on
end
add("HttpPublic", lunesse.http.public)
assert(lunesse.wait and lunesse.pool) -- these, too
local socket = require "lunesse.compat.socket"
add("socket", socket)
methods("Connection", getmetatable(socket.tcp()))
local page = require "lunesse.page".of("http://x", 200, "", "")
methods("HttpPage", getmetatable(page))
methods("Part", require("lunesse.multipart").Part)
for _, name in ipairs { "name", "filename", "type", "headers" } do
  names[#names + 1] = "Part." .. name
end
for name in pairs(page) do
  names[#names + 1] = not name:find("^_") and "HttpPage." .. name or nil
end
add("lunesse", lunesse)
add("json", lunesse.json)
add("log", lunesse.log)
add("metric", lunesse.metric)
local state = {}
lunesse.web.session { key = "k" }({ state = state, signed_cookie = print }, {}, function() end)
methods("Session", getmetatable(state.session))
names[#names + 1] = "Session.id"
table.sort(names)
print(table.concat(names, "\n"))
server:get("/", function() end)
]]

local CLASSES = {
  Request = true, Response = true, Sse = true, Timer = true, Channel = true, Shared = true,
  Event = true, Metric = true, Task = true, Signal = true, Server = true, Group = true,
  HttpClient = true, HttpPage = true, Part = true, HttpPublic = true, http = true, lunesse = true,
  json = true, crypto = true, html = true, log = true, metric = true, web = true, Session = true,
  socket = true, Connection = true,
  Database = true, DatabaseListener = true, Transaction = true,
}

local function offered()
  local folder = Server.write { ["list.lua"] = LISTING }
  local code, stdout, stderr = Server.run { "--check", folder .. "/list.lua" }
  assert.equal(0, code, stderr)
  local names = {}
  for class, name in stdout:gmatch("(%a+)%.([%w_]+)\n") do
    if CLASSES[class] then
      names[#names + 1] = class .. "." .. name
    end
  end
  table.sort(names)
  return names
end

-- The short name of the class that a line declares, and whether it is exact.
local function class_of(line)
  local exact, name = line:match("^%-%-%-@class (%(?%l*%)?) ?lunesse%.(%w+)")
  if not name and line == "---@class lunesse" then
    return "lunesse", false
  end
  return name, exact == "(exact)"
end

-- The names that one stub file describes.
local function described(text, names)
  local class
  for line in text:gmatch("[^\n]+") do
    class = class_of(line) or class
    local field, kind = line:match("^%-%-%-@field ([%w_]+) (%S*)")
    local method = line:match("^function ([%w_]+[.:][%w_]+)")
    if method then
      names[#names + 1] = (method:gsub(":", "."))
    elseif field and CLASSES[class] and not kind:find("^fun%(") then -- those repeat a group's
      names[#names + 1] = class .. "." .. field
    end
  end
end

local function stubs()
  local files = {}
  for file in lfs.dir("lua/types") do
    if file:find("%.lua$") then
      files[#files + 1] = "lua/types/" .. file
    end
  end
  return files
end

local MORE_OPTIONS = { EventFields = true, Limits = true, ListenAddress = true }

local BUILT_IN = {
  ["any"] = true, ["boolean"] = true, ["false"] = true, ["fun"] = true, ["function"] = true,
  ["integer"] = true, ["lightuserdata"] = true, ["nil"] = true, ["number"] = true,
  ["self"] = true, ["string"] = true, ["table"] = true, ["true"] = true,
}

-- The part of an annotation that is a type: up to two spaces, and without a result's name.
local function type_text(line)
  local rest = line:match("^%-%-%-@param [%w_.]+%?? (.*)")
    or line:match("^%-%-%-@field [%w_]+%?? (.*)")
    or line:match("^%-%-%-@return (.*)") or line:match("^%-%-%-@overload (.*)")
    or line:match("^%-%-%-@alias [%w_.]+ (.*)") or line:match("^%-%-%-@class [%w_.]+ : (.*)") or ""
  return ((rest:match("^%s*(.-)  ") or rest):gsub("([^|:]) [%l_]+$", "%1"))
end

-- The names of types in an annotation. What names a parameter has a colon behind it.
local function types_of(line)
  local list = {}
  local text = type_text(line):gsub('"[^"]*"', "")
  for name, behind in text:gmatch("%f[%w_]([%a_][%w_.]*)%f[^%w_.](.?)") do
    if behind ~= ":" then
      list[#list + 1] = name
    end
  end
  return list
end

-- The texts of the shipped scripts and of the blocks in the docs, by where they stand.
local function scripts_and_blocks()
  local texts = {}
  for file in lfs.dir("scripts") do
    if file:find("%.lua$") then
      texts["scripts/" .. file] = Process.read_file("scripts/" .. file)
    end
  end
  local pages = { "README.md" }
  for file in lfs.dir("docs") do
    pages[#pages + 1] = file:find("%.md$") and "docs/" .. file or nil
  end
  for _, page in ipairs(pages) do
    local count = 0
    for block in Process.read_file(page):gmatch("\n```lua\n(.-)\n```") do
      count = count + 1
      texts[("%s, block %d"):format(page, count)] = block
    end
  end
  return texts
end

-- What only specs can reach.
local KIT = "lua/types/test.lua"

-- The names that the test kit offers.
local function offered_by_kit()
  local asserts = require "lunesse.test.asserts"
  local names = { "test.load", "test.stop" }
  local upstream = require "lunesse.test.upstream"
  for class, methods in pairs {
    App = require "lunesse.test.app", Client = require "lunesse.test.client",
    Answer = require "lunesse.test.answer", Stream = require "lunesse.test.stream",
    Reply = upstream._Reply, UpstreamRequest = upstream._Request,
  } do
    for name, value in pairs(methods) do
      local is_client = class == "App" and require("lunesse.test.client")[name]
      if type(value) == "function" and name:find("^%l") and name ~= "new" and name ~= "init" and
        not is_client then
        names[#names + 1] = ("%s.%s"):format(class, name)
      end
    end
  end
  for name in pairs(asserts.plain) do
    names[#names + 1] = "Assert." .. name
  end
  names[#names + 1] = "Event.json"
  table.sort(names)
  return names
end

describe("the stubs", function()
  it("describe every name that a script can reach, and nothing else", function()
    local names = {}
    for _, file in ipairs(stubs()) do
      if file ~= KIT then
        described(Process.read_file(file), names)
      end
    end
    table.sort(names)
    assert.same(offered(), names)
  end)

  it("describe every name of the test kit, and nothing else", function()
    local names = {}
    described(Process.read_file(KIT), names)
    table.sort(names)
    assert.same(offered_by_kit(), names)
  end)

  it("are Lua, marked as meta files, with an annotation for every parameter", function()
    assert.is_true(#stubs() >= 8)
    for _, file in ipairs(stubs()) do
      local text = Process.read_file(file)
      assert.truthy(load(text, "=" .. file))
      assert.equal("---@meta", text:match("^[^\n ]*"), file)
      for comment, parameters in text:gmatch("(%-%-%-[^\n]*\n)function [%w_.:]+%(([^)]*)%) end") do
        assert.truthy(comment, file)
        for name in parameters:gmatch("[%w_.]+") do
          local plain = name:gsub("%.", "%%.")
          assert.truthy(text:find("%-%-%-@param " .. plain .. "%??[ \n]")
            or text:find("%-%-%-@overload"), file .. ": " .. name)
        end
      end
    end
  end)

  -- What lua-language-server finds fault with: a type that nobody declared, a name without its own
  -- space, which a type of the script's may have too, and a result that may be nil where none is.
  it("name only types that they declare, all below lunesse", function()
    local declared, used = {}, {}
    for _, file in ipairs(stubs()) do
      for line in Process.read_file(file):gmatch("[^\n]+") do
        local name = line:match("^%-%-%-@class ([%w_.]+)")
          or line:match("^%-%-%-@class %(exact%) ([%w_.]+)")
          or line:match("^%-%-%-@alias ([%w_.]+)")
        if name then
          assert.truthy(name == "lunesse" or name:find("^lunesse%.%w+$"), file .. ": " .. name)
          declared[name] = true
        end
        for _, type in ipairs(types_of(line)) do
          used[type] = file .. ": " .. line
        end
      end
    end
    for type, where in pairs(used) do
      assert.truthy(BUILT_IN[type] or declared[type], where)
    end
  end)

  it("have options that are exact, so that an editor sees one that is misspelt", function()
    local count = 0
    for _, file in ipairs(stubs()) do
      for line in Process.read_file(file):gmatch("[^\n]+") do
        local class, is_exact = class_of(line)
        if class and (class:find("Options$") or MORE_OPTIONS[class]) then
          assert.is_true(is_exact, class)
          count = count + 1
        end
      end
    end
    assert.is_true(count >= 12, count)
  end)

  it("have the limits that there are", function()
    local described_limits, limits = {}, {}
    local class = Process.read_file("lua/types/lunesse.lua"):match("lunesse%.Limits\n(.-)\n\n")
    for name in class:gmatch("%-%-%-@field ([%w_]+)%? ") do
      described_limits[#described_limits + 1] = name
    end
    for name in Process.read_file("src/base/limits.c"):gmatch('{"([%w_]+)", offsetof') do
      limits[#limits + 1] = name
    end
    table.sort(described_limits)
    table.sort(limits)
    assert.same(limits, described_limits)
  end)

  it("let a route's result be the server again, and a channel be there", function()
    local server = Process.read_file("lua/types/server.lua")
    for name in server:gmatch("function Group:([%w_]+)%([^)]*%.%.%.%)") do
      local field = "---@field " .. name .. " fun(self: lunesse.Server, "
      assert.truthy(server:find(field, 1, true), name)
    end
    for parameters, result in server:gmatch("%-%-%-@field %w+ fun(%b()): (%S+)\n") do
      assert.equal("lunesse.Server", result, parameters)
    end
    local lunesse = Process.read_file("lua/types/lunesse.lua")
    assert.equal("---@return lunesse.Channel channel", lunesse:match(
      "(%-%-%-@return [^\n]*)\n[^\n]*\n[^\n]*\nfunction lunesse%.channel"))
  end)

  it("have every name that the scripts and the docs use", function()
    local names = {}
    for _, name in ipairs(offered()) do
      names[name] = true
    end
    local objects = {
      lunesse = "lunesse", server = "Server", request = "Request", response = "Response",
      sse = "Sse", room = "Channel", timer = "Timer", ticker = "Timer",
    }
    for where, text in pairs(scripts_and_blocks()) do
      text = text:gsub("%-%-[^\n]*", ""):gsub("%b\"\"", '""'):gsub("%[%[.-%]%]", "")
      for object, name in text:gmatch("%f[%w_.]([%w_]+)%s*[.:]%s*([%l_]+)") do
        local class = objects[object]
        local is_known = not class or names[class .. "." .. name]
          or class == "Server" and names["Group." .. name]
        assert.truthy(is_known, ("%s: %s.%s"):format(where, object, name))
      end
    end
  end)
end)
