-- Counts down from ten, once a second: straight code in a loop that waits, no callbacks.
local lunesse = require "lunesse"
local server = lunesse.server()

local START = 10

-- A tick's id is its number, so it says by itself where a reader that lost its connection goes on.
-- It comes from the peer: whatever is not one of ours begins anew.
local function first_after(id)
  local last = tonumber((id or ""):match("^%d%d?$"))
  return last and last <= START and last - 1 or START
end

server:get("/countdown", function(request, response)
  local sse = response.sse
  if not sse then
    return response:status(400):send("this route speaks text/event-stream\n")
  end

  -- A reader that has seen the last tick has no reason to come back. An EventSource connects again
  -- after every end, unless it is told 204.
  local first = first_after(request.last_event_id)
  if first < 0 then
    return response:status(204):send()
  end

  for n = first, 0, -1 do
    sse:send(n, "tick", n) -- id, event, data
    lunesse.sleep(1) -- does not return once the reader has left: the handler ends here
  end
  sse:send("done", "lift-off") -- the page's cue to close its EventSource
  sse:close()
end)
