-- The README is held to what it says: its snippets run, its limits are the source's, its links lead
-- somewhere, and its options are those of --help.

local lfs = require "lfs"
local Server = require "spec.support.server"
local Process = require "spec.support.process"

local README = Process.read_file("README.md")
local UNITS = { [""] = 1, KiB = 1024, MiB = 1024 * 1024, s = 1 }

---All fenced blocks of `language` in `text`.
local function snippets(text, language)
  local list = {}
  for block in text:gmatch("\n```" .. language .. "\n(.-)\n```") do
    list[#list + 1] = block .. "\n"
  end
  return list
end

---The limits that the README's table has, by name, each as a number in the script's units.
local function documented_limits()
  local limits = {}
  for name, number, unit in README:gmatch("\n| `([%w_]+)` | ([%d.]+) ?([%a%%]*)") do
    limits[name] = unit == "%" and number .. " %" or tonumber(number) * UNITS[unit]
  end
  return limits
end

---The value of a C expression of numbers and `*`.
local function product(expression)
  return assert(load("return " .. expression))()
end

---The limits of src/base/limits.c, in the same units.
local function source_limits()
  local text = Process.read_file("src/base/limits.c")
  local defaults, limits = {}, {}
  for member, expression in text:gmatch("\n        %.([%w_]+) = ([%d *]+),") do
    defaults[member] = product(expression)
  end
  for name, member in text:gmatch('{"([%w_]+)", offsetof%(struct limits, ([%w_]+)%)') do
    limits[name] = member:find("_ms$") and defaults[member] / 1000 or defaults[member]
  end
  limits.connections = limits.connections == 0 and "90 %" or limits.connections
  return limits
end

---Links of a Markdown text to files, without anchors.
local function linked_files(text)
  local list = {}
  for target in text:gmatch("%]%(([^)]+)%)") do
    if not target:find("^https?:") then
      list[#list + 1] = target:match("^[^#]*")
    end
  end
  return list
end

describe("the README", function()
  local scripts = snippets(README, "lua")

  it("has scripts", function()
    assert.is_true(#scripts >= 2)
  end)

  for i, script in ipairs(scripts) do
    it(("has a script number %d that loads"):format(i), function()
      local folder = Server.write { ["snippet.lua"] = script }
      local code, stdout, stderr = Server.run { "--check", folder .. "/snippet.lua" }
      assert.equal(0, code, stderr)
      assert.matches("^GET     /", stdout)
    end)
  end

  it("shows scripts/clock.lua, word for word", function()
    assert.equal(Process.read_file("scripts/clock.lua"), scripts[1])
  end)

  it("shows what that script answers", function()
    local server = Server.start({ ["clock.lua"] = scripts[1] }, { clock = true })
    local stream = server:stream("/clock")
    stream:event()
    server:advance(5)
    stream:event()
    local shown = snippets(README, "console")[1]:match("\nHTTP.*")
    local said = "\n" .. stream.head.head .. stream.parser.comments[1] .. ":\n\n" ..
      "data: " .. stream.parser.events[1].data .. "\n\n" ..
      "data: " .. stream.parser.events[2].data .. "\n"
    local function without_times(text)
      text = text:gsub("\r", ""):gsub("Date: [^\n]+", "Date: ?")
      return (text:gsub("%d+%-%d%d%-%d%dT%d%d:%d%d:%d%dZ", "?"))
    end
    assert.equal(without_times(shown), without_times(said))
  end)

  it("runs its countdown", function()
    local server = Server.start({ ["countdown.lua"] = scripts[2] }, { clock = true })
    local stream = server:stream("/countdown")
    for n = 10, 0, -1 do
      assert.same({ type = "tick", data = tostring(n), id = tostring(n), is_chunk = true },
        stream:event())
      server:advance(1)
    end
    assert.equal("done", stream:finish())
  end)

  it("has a middleware that lets those pass who are logged in, and says who they are", function()
    local index
    for i, script in ipairs(scripts) do
      index = script:find("server:use", 1, true) and i or index
    end
    local server = Server.start { ["my.lua"] = scripts[index] }
    assert.equal(401, server:request({ target = "/my/name" }).status)
    assert.equal(404, server:request({
      target = "/my/name/", headers = { Cookie = "session=moon-7f3a" },
    }).status)
    assert.equal("Ada\n", server:request({
      target = "/my/name", headers = { Cookie = "session=moon-7f3a" },
    }).body)
  end)

  it("has the limits of the source, all of them, with their defaults", function()
    assert.same(source_limits(), documented_limits())
  end)

  it("has the options of --help, all of them", function()
    local _, help = Server.run { "--help" }
    local section = README:match("\n## The program\n(.-)\n## ")
    for option in help:gmatch("\n  (%-%-[%w-]+)") do
      assert.truthy(section:find("`" .. option, 1, true), option)
    end
    for option in section:gmatch("`(%-%-[%w-]+)") do
      assert.truthy(help:find(option, 1, true), option)
    end
  end)

  it("has a row for each stub in its table of the API, and names only what that has", function()
    local rows = {}
    for file, names in README:gmatch("%]%((lua/types/%w+%.lua)%) |[^|\n]*|([^|\n]*)|") do
      local stub = Process.read_file(file)
      rows[file] = true
      for name in names:gmatch("`([%w_]+)`") do
        local is_method = stub:find("[.:]" .. name .. "%(")
        assert.truthy(is_method or stub:find("@field " .. name .. " "), file .. ": " .. name)
      end
    end
    for name in lfs.dir("lua/types") do
      assert.truthy(rows["lua/types/" .. name] or not name:find("%.lua$"), name)
    end
  end)
end)

describe("a page of the documents", function()
  local pages = { "README.md", "CONTRIBUTING.md" }
  for floor in lfs.dir("src") do
    if lfs.attributes("src/" .. floor .. "/README.md", "mode") == "file" then
      pages[#pages + 1] = "src/" .. floor .. "/README.md"
    end
  end

  it("stands on every floor", function()
    for floor in lfs.dir("src") do
      if not floor:find("%.") then
        assert.equal("file", lfs.attributes("src/" .. floor .. "/README.md", "mode"))
      end
    end
  end)

  it("links to what exists", function()
    for _, page in ipairs(pages) do
      local folder = page:match("^(.*/)") or ""
      for _, target in ipairs(linked_files(Process.read_file(page))) do
        assert.truthy(lfs.attributes(folder .. target), page .. ": " .. target)
      end
    end
  end)

  it("names every source file of its floor", function()
    for _, page in ipairs(pages) do
      local folder = page:match("^(src/.*)/README")
      local text = Process.read_file(page)
      for name in lfs.dir(folder or "docs") do
        local stem = name:match("^(.+)%.c$")
        local is_named = not stem or text:find("`" .. stem .. ".", 1, true) or
          stem:find("^lib_") and text:find("`lib_*.c`", 1, true)
        assert.truthy(is_named, ("%s: %s"):format(page, name))
      end
    end
  end)
end)
