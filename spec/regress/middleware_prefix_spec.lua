-- A middleware for a prefix was held against the route's pattern instead of the request's path, so
-- a guard of /admin did not guard what `/*rest` or `/:name/x` took under /admin.

local support = require "spec.sse.support"

local SCRIPT = [[
server:use("/admin", function(_, response) response:status(403):send("guarded") end)
server:use("/team/:name", function(_, response) response:status(403):send("team") end)
server:get("/:area/list", function(request, response) response:send(request.params.area) end)
server:get("/admin/list/all", function(_, response) response:send("never") end)
server:get("/*rest", function(request, response) response:send(request.params.rest) end)
server:get("/team/:id/x", function(_, response) response:send("never") end)
]]

describe("a middleware for a prefix", function()
  local function status(target)
    return support.start(SCRIPT):request({ target = target }).status
  end

  for _, target in ipairs { "/admin", "/admin/", "/admin/x", "/admin/list", "/admin/list/all",
    "/%61dmin/x", "/admin/%78", "/team/a", "/team/a/x", "/team/:a/x" } do
    it("guards " .. target .. ", whichever route takes it", function()
      assert.equal(403, status(target))
    end)
  end

  for _, target in ipairs { "/", "/adminx", "/x/admin", "/room/list", "/team", "/:admin/x" } do
    it("leaves " .. target .. " alone", function()
      assert.equal(200, status(target))
    end)
  end
end)
