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
for _, class in ipairs { "Request", "Response", "Sse", "Timer", "Channel", "Shared", "Event" } do
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
add("lunesse", lunesse)
add("json", lunesse.json)
add("log", lunesse.log)
table.sort(names)
print(table.concat(names, "\n"))
server:get("/", function() end)
]]

local CLASSES = {
  Request = true, Response = true, Sse = true, Timer = true, Channel = true, Shared = true,
  Event = true, Server = true, Group = true, lunesse = true, json = true, log = true,
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

-- The names that one stub file describes.
local function described(text, names)
  local class
  for line in text:gmatch("[^\n]+") do
    class = line:match("^%-%-%-@class (%w+)") or class
    local field = line:match("^%-%-%-@field ([%w_]+)")
    local method = line:match("^function ([%w_]+[.:][%w_]+)")
    if method then
      names[#names + 1] = (method:gsub(":", "."))
    elseif field and CLASSES[class] then
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

describe("the stubs", function()
  it("describe every name that a script can reach, and nothing else", function()
    local names = {}
    for _, file in ipairs(stubs()) do
      described(Process.read_file(file), names)
    end
    table.sort(names)
    assert.same(offered(), names)
  end)

  it("are Lua, marked as meta files, with an annotation for every parameter", function()
    assert.is_true(#stubs() >= 8)
    for _, file in ipairs(stubs()) do
      local text = Process.read_file(file)
      assert.truthy(load(text, "=" .. file))
      assert.equal("---@meta", text:match("^[^\n]*"), file)
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
end)
