-- Frameworks whose pages live from an event stream, unmodified, in Chromium: each shows what came
-- before its stream failed and what came after it had returned.

local Client = require "spec.support.client"
local Server = require "spec.support.server"

local SHOWN = [[
  const shown = () => ['first', 'second'].map(id => document.getElementById(id).textContent.trim())
  while (shown().some(text => text === '')) await new Promise(resolve => setTimeout(resolve, 20))
  return shown()
]]

describe("A page that lost its stream opens it again, and goes on where it was, with", function()
  local server

  setup(function()
    server = Server.start(nil, { path = "spec/clients/routes/pages.lua", shared = true, workers = 1,
      args = { "--limit", "drain_timeout=0" } })
  end)

  teardown(function()
    server:stop()
  end)

  for _, name in ipairs { "datastar", "htmx", "turbo" } do
    it(name, function()
      local result = Client.browse(server.url .. "/" .. name, SHOWN)
      assert.same({ "1", "2" }, result)
    end)
  end
end)
