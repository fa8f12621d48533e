-- With a build for a sanitizer, all that is tested in the kit runs in a process of its own, which
-- has the sanitizer's library from its start. So does some of what else can run there: the suite
-- asks processes for that, and here the engine's two ends share one memory.

local kit = require "spec.support.kit"
local Process = require "spec.support.process"

local FILES = {
  "spec/http/forwarded_spec.lua", "spec/http/proxy_header_spec.lua", "spec/http/upload_spec.lua",
  "spec/hub/notices_spec.lua",
  "spec/hub/read_stop_spec.lua", "spec/kit/both_spec.lua", "spec/kit/left_spec.lua",
  "spec/kit/loading_spec.lua", "spec/kit/logged_spec.lua", "spec/kit/match_spec.lua",
  "spec/kit/names_spec.lua", "spec/kit/post_stream_spec.lua", "spec/kit/stop_spec.lua",
  "spec/kit/trouble_spec.lua", "spec/kit/upstream_spec.lua", "spec/script/lifetimes_spec.lua",
  "spec/script/response_spec.lua", "spec/script/session_spec.lua",
  "spec/scripts/answers_spec.lua", "spec/scripts/by_hand_spec.lua",
  "spec/scripts/ceilings_spec.lua", "spec/scripts/chat_spec.lua", "spec/scripts/clock_spec.lua",
  "spec/scripts/countdown_spec.lua", "spec/scripts/index_spec.lua", "spec/scripts/poll_spec.lua",
  "spec/scripts/publish_spec.lua", "spec/scripts/relay_spec.lua", "spec/scripts/tokens_spec.lua",
  "spec/sse/early_leaving_spec.lua", "spec/sse/handler_spec.lua", "spec/support_spec.lua",
  "spec/web/basic_spec.lua", "spec/web/bearer_spec.lua", "spec/web/cors_spec.lua",
  "spec/web/headers_spec.lua", "spec/web/jwt_spec.lua", "spec/web/limit_spec.lua",
  "spec/web/same_origin_spec.lua",
}

describe("what is tested in the kit", function()
  it("holds with a sanitizer as well", function()
    if not kit.is_unable() then
      return -- this process has run it, or runs it
    end
    local env = kit.environment()
    if not env then
      return pending("this compiler has its sanitizer in programs alone")
    end
    local code, out, err = Process.run({ "lua5.4", "/usr/bin/busted", table.unpack(FILES) }, {
      env = env, seconds = 200,
    })
    assert.equal(0, code, out .. err)
  end)
end)
