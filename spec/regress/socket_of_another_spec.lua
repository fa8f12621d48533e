-- A server that ended removed the file of its Unix socket by its path. Where the file had been
-- removed and a new server had bound the path since, the new server lost its address.

local posix = require "spec_posix"
local lfs = require "lfs"
local Server = require "spec.support.server"
local Process = require "spec.support.process"

local function hello(word)
  return ([[
require("lunesse").server():get("/", function(_, response) response:send(%q) end)
]]):format(word)
end

describe("a server that ends", function()
  local folder, path

  before_each(function()
    folder = assert(posix.make_folder())
    path = folder .. "/l.sock"
  end)

  after_each(function()
    os.remove(path)
    os.remove(folder)
  end)

  it("leaves the Unix socket of the server that has taken its path", function()
    local old = Server.start(hello "old", { args = { "--unix", path } })
    assert.equal("old", old:request({}).body)
    assert(os.remove(path))
    local new = Server.start(hello "new", { args = { "--unix", path } })
    old:stop()
    assert.equal("new", new:request({}).body)
    new:stop()
    assert.is_nil(lfs.attributes(path))
  end)

  it("leaves a file of another kind that has taken its place", function()
    local server = Server.start(hello "old", { args = { "--unix", path } })
    assert(os.remove(path))
    Process.write_file(path, "kept")
    server:stop()
    assert.equal("file", lfs.attributes(path, "mode"))
  end)
end)
