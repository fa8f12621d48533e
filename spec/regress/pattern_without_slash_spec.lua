-- `server:route("/adm"):get("secret", f)` made the route /admsecret, which stands outside of the
-- group: its middlewares did not guard it. A pattern, and a prefix, begins with a slash, or raises
-- where it is written. So does a prefix with a `*`, which matched nothing, so that its guard was
-- never asked.

local Process = require "spec.support.process"
local Server = require "spec.support.server"
local support = require "spec.sse.support"

local CASES = {
  ['server:get("secret", print)'] = "bad pattern 'secret': a pattern starts with a slash",
  ['server:get("", print)'] = "bad pattern '': a pattern starts with a slash",
  ['server:any("*rest", print)'] = "bad pattern '*rest': a pattern starts with a slash",
  ['server:route("/adm"):get("secret", print)'] =
    "bad pattern 'secret': a pattern starts with a slash",
  ['server:route("/adm"):any("", print)'] = "bad pattern '': a pattern starts with a slash",
  ['server:route("/adm"):route("/x"):post(":id", print)'] =
    "bad pattern ':id': a pattern starts with a slash",
  ['server:route("adm")'] = "a prefix begins with a slash",
  ['server:route("/adm"):route("x")'] = "a prefix begins with a slash",
  ['server:use("adm", print)'] = "a prefix begins with a slash",
  ['server:use("", print)'] = "a prefix begins with a slash",
  ['server:route("/adm"):use("x", print)'] = "a prefix begins with a slash",
  ['server:use("/adm/*", print)'] = "a prefix has no '*': it stands for every path below it",
  ['server:use("/*rest", print)'] = "a prefix has no '*': it stands for every path below it",
  ['server:route("/*a")'] = "a prefix has no '*': it stands for every path below it",
}

describe("a pattern or a prefix", function()
  for line, wanted in pairs(CASES) do
    it("is refused where it is written: " .. line, function()
      local folder = Server.write { ["bad.lua"] =
        'local server = require "lunesse".server()\n' .. line .. "\n" }
      local code, _, err = Process.run { Server.binary(), "--check", folder .. "/bad.lua" }
      assert.equal(1, code)
      assert.matches("bad.lua:2: " .. wanted, err, 1, true)
    end)
  end

  it("of a group is under the group's guard", function()
    local server = support.start [[
local group = server:route("/adm")
group:use(function(_, response) response:status(403):send("guarded") end)
group:get("/secret", function(_, response) response:send("secret") end)
group:get("/", function(_, response) response:send("root") end)
]]
    assert.equal(403, server:request({ target = "/adm/secret" }).status)
    assert.equal(403, server:request({ target = "/adm/" }).status)
    assert.equal(404, server:request({ target = "/admsecret" }).status)
  end)
end)
