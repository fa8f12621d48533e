-- Scripts that a spec gives as texts are called by their names in the table, in every message. The
-- kit writes them to a folder, whose name says nothing to anybody.

require "spec.support.kit"
local test = require "lunesse.test"

local SCRIPT = [[
local lunesse = require "lunesse"
local server = lunesse.server()
server:get("/wrong", function()
  error("oh no")
end)
server:get("/module", function(_, response)
  response:send(require("lib.more").where())
end)
server:get("/traceback", function(_, response)
  response:send(debug.traceback())
end)
server:get("/require/:name", function(request, response)
  response:send(select(2, pcall(require, request.params.name)))
end)
server:get("/file", function(request, response)
  local folder = arguments[1]:match("^(.*/)")
  local chunk, why = loadfile(folder .. request.query.name, "t", { value = "of its own" })
  response:send(chunk and chunk() or why)
end)
server:get("/do", function(_, response)
  response:send(select(2, pcall(dofile, arguments[1]:match("^(.*/)") .. "lib/wrong.lua")))
end)
server:get("/page", function(_, response)
  response:send(assert(io.open((arguments[1]:gsub("%.lua$", ".html")))):read("a"))
end)
]]

local FILES = {
  ["a.lua"] = "arguments = { ... }; " .. SCRIPT,
  ["a.html"] = "<p>hello",
  ["lib/more.lua"] = "#!/usr/bin/lua\n" ..
    "return { where = function() return debug.getinfo(1).source end }",
  ["lib/wrong.lua"] = "\nreturn 1 +",
  ["lib/value.lua"] = "return value",
}

describe("a script that is given as a text", function()
  local app

  local function text(path)
    return app:get(path):text()
  end

  before_each(function()
    app = test.load(FILES)
  end)

  after_each(function()
    app:stop()
  end)

  it("has its own name in the errors of handlers, and in their tracebacks", function()
    app:get("/wrong"):expect(500)
    local record = app:log("script error")[1]
    assert.matches("^a.lua:4: oh no\nstack traceback:", record.fields.error)
    assert.matches("\n\ta.lua:4: in function <a.lua:3>", record.fields.error, 1, true)
    assert.no.matches("/tmp/", record.fields.error, 1, true)
    assert.matches("\n\ta.lua:10: in function <a.lua:9>", text("/traceback"), 1, true)
  end)

  it("has it in modules, whose lines keep their numbers after a first line with #", function()
    assert.equal("@lib/more.lua", text("/module"))
    assert.equal("lib/wrong.lua:2: unexpected symbol near <eof>",
      text("/require/lib.wrong"):match("\n\t(.*)"))
    assert.matches("^error loading module 'lib.wrong' from file 'lib/wrong.lua':",
      text("/require/lib.wrong"))
    assert.matches("\n\tno file 'nothing.lua'\n", text("/require/nothing"), 1, true)
  end)

  it("has it in loadfile and dofile", function()
    assert.equal("of its own", text("/file?name=lib/value.lua"))
    assert.equal("lib/wrong.lua:2: unexpected symbol near <eof>", text("/file?name=lib/wrong.lua"))
    assert.equal("lib/wrong.lua:2: unexpected symbol near <eof>", text("/do"))
    assert.matches("^cannot open ", text("/file?name=lib/none.lua"))
  end)

  it("still finds what stands beside it", function()
    assert.equal("<p>hello", text("/page"))
  end)

  it("has it in the reason of a load or a reload that fails", function()
    local ok, why = app:reload { ["b.lua"] = "local x = = 1" }
    assert.is_nil(ok)
    assert.equal("b.lua:1: unexpected symbol near '='", why:match("^[^\n]*"))
    ok, why = pcall(test.load, { ["b.lua"] = "\nerror('oh no')" })
    assert.is_false(ok)
    why = type(why) == "table" and why.message or why
    assert.matches("b.lua:2: oh no", tostring(why))
    assert.no.matches("/tmp/", tostring(why), 1, true)
  end)

  it("shows its lines on the page of --dev", function()
    local other = test.load(FILES, { arguments = { "--dev" } })
    local page = other:get("/wrong", { headers = { Accept = "text/html" } }):text()
    assert.matches('<p>a.lua, line 4</p><pre>', page, 1, true)
    assert.matches('<mark>   4    error("oh no")</mark>', page, 1, true)
    other:stop()
  end)
end)
