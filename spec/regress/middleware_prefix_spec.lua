-- A middleware for a prefix was held against the route's pattern instead of the request's path, so
-- a guard of /admin did not guard what `/*rest` or `/:name/x` took under /admin.
--
-- Later the prefixes had a matcher of their own, beside that of the routes. It took the `*` of
-- `OPTIONS *` for a segment that a prefix such as `/:name` covers. The `*` stands for the whole
-- server, so only middlewares without a prefix run for it.

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

  it("depends on each request's path, whichever request of the same route came before", function()
    local server = support.start([[
local function tell(name)
  return function(_, response, next) response:add_header("X-Ran", name) next() end
end
server:use("/a", tell "a")
server:use("/:any/b", tell "any/b")
server:use("/a/b/c", tell "a/b/c")
server:get("/*rest", tell "own", function(_, response) response:send("x") end)
]], { workers = 1 })
    for target, wanted in pairs {
      ["/a"] = "a, own", ["/a/b"] = "a, any/b, own", ["//a//b"] = "a, any/b, own",
      ["/a/b/c/d"] = "a, any/b, a/b/c, own", ["/x"] = "own", ["/x/b"] = "any/b, own",
    } do
      for _, other in ipairs { "/", "/a", "/a/b/c" } do
        server:request { target = other }
        assert.equal(wanted, server:request({ target = target }).headers["x-ran"], target)
      end
    end
  end)

  it("does not cover the * of OPTIONS, which is no path below it", function()
    local server = support.start [[
server:use("/:name", function(_, response, next) response:header("X-Name", "1") next() end)
server:use(function(_, response, next) response:header("X-All", "1") next() end)
server:get("/moon", function(_, response) response:send("moon") end)
]]
    local headers = server:request({ method = "OPTIONS", target = "*" }).headers
    assert.same({ "1" }, { headers["x-all"], headers["x-name"] })
    headers = server:request({ target = "/moon" }).headers
    assert.same({ "1", "1" }, { headers["x-all"], headers["x-name"] })
  end)
end)
