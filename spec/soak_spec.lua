-- `make soak` runs for a quarter of an hour and by hand. That it can begin is seen here.

local support = require "spec.soak.support"

describe("make soak", function()
  it("starts the server that its scenarios load, with all that the scripts require", function()
    local sheet = support.sheet("start", 1)
    local server = support.start { workers = 1 }
    sheet:stop(server)
    assert.equal(0, sheet.broken_count, sheet.complaint)
  end)
end)
