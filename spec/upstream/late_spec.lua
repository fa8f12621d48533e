-- libcurl is loaded when a script makes the first client, and not with the program.

local Process = require "spec.support.process"
local Server = require "spec.support.server"

local CLIENT = [[
  local lunesse = require "lunesse"
  lunesse.server():get("/", function(_, response)
    local is_made, why = pcall(function()
      assert(lunesse.http.client {})
    end)
    response:send(is_made and "made" or why)
  end)
]]

-- Whether the library is mapped into the process of the server.
local function has_mapped(server, library)
  local maps = Process.read_file(("/proc/%d/maps"):format(server.pid))
  assert(maps:find("libuv", 1, true), "the maps cannot be read")
  return maps:find("/" .. library, 1, true) ~= nil
end

describe("libcurl", function()
  it("is not loaded while no script makes a client", function()
    local server = Server.start(CLIENT)
    assert.is_false(has_mapped(server, "libcurl"))
    assert.is_false(has_mapped(server, "libssl"))
    assert.equal("made", server:request({ target = "/" }).body)
    assert.is_true(has_mapped(server, "libcurl"))
  end)

  it("is said to be missing, at the script's line, and may be installed meanwhile", function()
    -- The loader looks here first, and takes what it finds for the library.
    local folder = Server.write { ["libcurl.so.4"] = "no library\n" }
    local path = folder .. ":" .. (os.getenv("LD_LIBRARY_PATH") or "")
    local server = Server.start(CLIENT, { env = { LD_LIBRARY_PATH = path } })
    local why = server:request({ target = "/" }).body
    assert.truthy(why:find("^[^:]*%.lua:4: lunesse%.http: libcurl%.so%.4 cannot be loaded; install "
      .. "the package libcurl4 %([^)]*%)$"), why)
    os.remove(folder .. "/libcurl.so.4")
    assert.equal("made", server:request({ target = "/" }).body)
  end)
end)
