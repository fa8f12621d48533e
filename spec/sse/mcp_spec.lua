-- The Model Context Protocol's own conformance suite, unmodified, against a server of one script:
-- answers, notifications and questions in one stream, a stream that is cut in the middle of a call
-- and resumed, several streams at once, and hosts that are not ours.

local lfs = require "lfs"
local Client = require "spec.support.client"
local Process = require "spec.support.process"
local Server = require "spec.support.server"

local SCENARIOS = 32 -- that the suite has for a server
local SUITE = lfs.currentdir() ..
  "/spec/node_modules/@modelcontextprotocol/conformance/dist/index.js"

describe("A server of the Model Context Protocol", function()
  it("passes the protocol's conformance suite", function()
    local server = Server.start(nil, { path = "spec/clients/routes/mcp.lua", workers = 1 })
    local _, out, err = Process.run({
      Client.NODE_22, SUITE, "server", "--suite", "all",
      "--url", ("http://localhost:%d/mcp"):format(server.port),
    }, { seconds = 60, cwd = server.folder }) -- where it leaves its results
    local summary = out:match("=== SUMMARY ===\n(.*)") or err
    assert.equal("0 failed", summary:match("Total: %d+ passed, (%d+ failed)"), summary)
    assert.equal(SCENARIOS, select(2, summary:gsub("✓", "")), summary)
  end)
end)
