-- Text that comes in pieces, as tokens of language models do, is cut within UTF-8 characters. Half
-- a character at the end of data reached readers as U+FFFD, and so did the other half.

local support = require "spec.sse.support"

local MOON = "\u{1F319}"

describe("data that ends within a UTF-8 character", function()
  it("raises wherever data is given, at the caller's line, and says what helps", function()
    local server = support.start_inside [[
local room = lunesse.channel("room")
server:get("/", function(_, response)
  local sse = response.sse
  local halves = { "\xc3", "x\xe2\x82", "\xf0", "\xf0\x9f", "\xf0\x9f\x8c", "\xff\xc3" }
  for _, half in ipairs(halves) do
    mark(select(2, pcall(function() sse:send(half) end)))
    mark(select(2, pcall(function() sse:try_send("e", half) end)))
    mark(select(2, pcall(function() sse:send(1, "e", half) end)))
    mark(select(2, pcall(function() room:publish(half) end)))
    mark(select(2, pcall(function() lunesse.event { data = half } end)))
  end
  sse:send("done")
  sse:close()
end)
]]
    local stream = server:stream("/")
    assert.equal("done", stream:finish())
    assert.equal(1, #stream.parser.events) -- nothing of it was sent
    stream:close()
    local marks = eventually(function()
      local marks = support.marks(server)
      return #marks == 30 and marks
    end)
    local arguments = { "#1 to 'send'", "#2 to 'try_send'", "#3 to 'send'", "#1 to 'publish'",
      "#1 to 'event'" }
    for i, mark in ipairs(marks) do
      local argument = arguments[(i - 1) % 5 + 1]
      assert.truthy(mark:find(("script.lua:%d: bad argument %s (the data ends within a UTF-8 " ..
        "character; lunesse.whole keeps that part for the next event)"):format(
        6 + (i - 1) % 5, argument), 1, true), mark)
    end
  end)
end)

describe("lunesse.whole", function()
  it("keeps half a character for the next event, wherever tokens are cut", function()
    local text = "caf\u{e9} \u{20ac}5 " .. MOON .. "\u{1F469}\u{200D}\u{1F680} end"
    for size = 1, 5 do
      local server = support.start_inside(([[
server:get("/", function(_, response)
  local all, size, rest = %q, %d, ""
  for at = 1, #all, size do
    local whole
    whole, rest = lunesse.whole(rest .. all:sub(at, at + size - 1))
    if whole ~= "" then response.sse:send(whole) end
  end
  mark(rest .. "|")
  response.sse:close()
end)
]]):format(text, size))
      local stream = server:stream("/")
      assert.equal("done", stream:finish())
      stream:close()
      local parts = {}
      for i, event in ipairs(stream.parser.events) do
        parts[i] = event.data
      end
      assert.equal(text, table.concat(parts))
      support.await_marks(server, { "|" })
    end
  end)

  it("holds back nothing that no further bytes can mend", function()
    local server = support.start_inside [[
server:get("/", function(_, response)
  for _, text in ipairs { "", "x", "\xff", "\xed\xa0", "\x80\x80", "\xc0", "\u{1F319}", 5 } do
    local whole, rest = lunesse.whole(text)
    mark(tostring(whole == tostring(text)), tostring(rest == ""))
  end
  mark(select(2, pcall(lunesse.whole, {})))
  response:send("")
end)
]]
    support.get(server, "/")
    local marks = eventually(function()
      local marks = support.marks(server)
      return #marks == 9 and marks
    end)
    for i = 1, 8 do
      assert.equal("true true", marks[i])
    end
    assert.matches("string expected, got table", marks[9])
  end)
end)
