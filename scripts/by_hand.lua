-- A response streamed by hand, the way one does it in Express: `write_head`, `write`, `finish`. Any
-- type may be sent like this; here it is plain text, a drawing that comes line by line. Try it:
--
--   curl -N localhost:3000/by_hand
local lunesse = require "lunesse"
local server = lunesse.server()

local moon = [[
          oooo::.
      O@@OOo::..
    O@@@Ooo:.
  o@@@@Oo::.
  @@@@@Oo:.
 O@@@@Oo:..
 O@@@@Oo::.
 O@@@@@Oo:.
  @@@@@Ooo:.
  o@@@@@OOo:..
    O@@@@@Ooo::..
      O@@@@@OOoo::::.
          oOOOOoo
]]

server:get("/by_hand", function(request, response)
  response:write_head(200, {
    ["Content-Type"] = "text/plain; charset=utf-8",
    -- A browser holds back the start of a text while it guesses its type; this tells it not to.
    ["X-Content-Type-Options"] = "nosniff",
    -- What `sse:open` says by itself: proxies are to pass each line on as it comes.
    ["Cache-Control"] = "no-cache, no-transform",
    ["X-Accel-Buffering"] = "no",
  })

  for line in moon:gmatch("[^\n]*\n") do
    -- Waits while the reader is slow. A handler of a plain response runs to its end whether or not
    -- somebody listens, so it has to look: `write` answers nil once the reader has left.
    if not response:write(line) then
      return
    end
    lunesse.sleep(0.4)
  end
  response:finish("good night\n")
end)
