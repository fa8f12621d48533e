-- Libraries that are loaded when a script first needs them, and not with the program.

local Process = require "spec.support.process"
local Server = require "spec.support.server"

-- Answers "here", or why `text` raised.
local function script(text)
  return ([[
    local lunesse = require "lunesse"
    lunesse.server():get("/", function(request, response)
      local _, why = pcall(function()
        %s
      end)
      response:send(why or "here")
    end)
  ]]):format(text)
end

local LIBRARIES = {
  ["libcurl.so.4"] = {
    package = "libcurl4", who = "lunesse.http", use = "assert(lunesse.http.client {})",
  },
  ["libcrypto.so.3"] = {
    package = "libssl3", who = "lunesse.crypto", use = "assert(lunesse.crypto.random)",
  },
}

-- Whether the library is mapped into the process of the server.
local function has_mapped(server, library)
  local maps = Process.read_file(("/proc/%d/maps"):format(server.pid))
  assert(maps:find("/libuv", 1, true), "the maps cannot be read")
  return maps:find("/" .. library, 1, true) ~= nil
end

for soname, library in pairs(LIBRARIES) do
  describe(soname, function()
    it("is not loaded before a script uses it", function()
      local server = Server.start(script(library.use))
      assert.is_false(has_mapped(server, soname))
      assert.equal("here", server:request({ target = "/" }).body)
      assert.is_true(has_mapped(server, soname))
    end)

    it("is said to be missing, at the script's line, and may be installed meanwhile", function()
      -- The loader looks here first, and takes what it finds for the library.
      local folder = Server.write { [soname] = "no library\n" }
      local path = folder .. ":" .. (os.getenv("LD_LIBRARY_PATH") or "")
      local server = Server.start(script(library.use), { env = { LD_LIBRARY_PATH = path } })
      local why = server:request({ target = "/" }).body
      local line, who, name, package = why:match("^[^:]*%.lua:(%d+): ([%w.]+): ([%w.]+) cannot " ..
        "be loaded; install the package (%w+) %([^)]*%)$")
      assert.same({ "4", library.who, soname, library.package }, { line, who, name, package }, why)
      os.remove(folder .. "/" .. soname)
      assert.equal("here", server:request({ target = "/" }).body)
    end)
  end)
end

describe("libcrypto", function()
  it("is loaded when a cookie is signed or verified", function()
    for _, use in ipairs {
      'response:cookie("a", "b", { sign = "key" })', 'request:signed_cookie("a", "key")',
    } do
      local server = Server.start(script(use))
      assert.is_false(has_mapped(server, "libcrypto"))
      local answer = server:request({ target = "/", headers = { Cookie = "a=b.c" } })
      assert.equal("here", answer.body)
      assert.is_true(has_mapped(server, "libcrypto"), use)
    end
  end)
end)
