-- docs/testing.md holds: its specs pass, and its failure is what is printed.

local Process = require "spec.support.process"
local Server = require "spec.support.server"

local PAGE = Process.read_file("docs/testing.md")

---The files of the page, by the path in their first line.
local function files_of(page)
  local files = {}
  for path, text in page:gmatch("```lua\n%-%- (%S+)\n(.-)```") do
    files[path] = text
  end
  return files
end

---A text with each run of blanks as one, and with ids that say nothing of the run.
local function plain(text)
  return (text:gsub("id: %x+%-", "id: X-"):gsub("%s+", " "))
end

describe("docs/testing.md", function()
  local files = files_of(PAGE)

  local function run(more)
    for path, text in pairs(more or {}) do
      files[path] = text
    end
    return Process.run({ Server.binary(), "test", "-o", "plainTerminal" }, {
      cwd = Server.write(files), seconds = 30,
    })
  end

  it("has specs that pass", function()
    local code, out, err = run()
    assert.equal(0, code, out .. err)
    assert.matches("15 successes / 0 failures / 0 errors", out)
  end)

  it("shows a failure as it is printed", function()
    local wrong, count = files["spec/votes_spec.lua"]:gsub('("vote", { colour = )"red"',
      '%1"blue"', 1)
    assert.equal(1, count)
    local code, out = run { ["spec/votes_spec.lua"] = wrong }
    assert.equal(1, code)
    local shown = assert(PAGE:match("```text\n(.-)```"))
    assert.matches(plain(shown), plain(out), 1, true)
  end)
end)
