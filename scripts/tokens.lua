-- A streamed answer to a POST, as language-model servers give it: `data: {json}` for each token,
-- and `data: [DONE]` at the end. Try it:
--
--   curl -N localhost:3000/tokens -d '{"prompt": "Tell me of the sea"}'
local lunesse = require "lunesse"
local sea = require "lib.sea"
local server = lunesse.server()

local function refuse(response, why)
  return response:status(400):json { error = why }
end

-- The official clients of language models ask for a stream with `Accept: application/json`, so the
-- route does not look at Accept.
server:post("/tokens", { body_bytes = 16 * 1024, sse = "always" }, function(request, response)
  local question, why = request:json()
  if question == nil then
    return refuse(response, "the body is not JSON: " .. why)
  end
  local prompt = type(question) == "table" and question.prompt
  if type(prompt) ~= "string" or not prompt:match("%S") then
    return refuse(response, 'a body like {"prompt": "Tell me of the sea"} expected')
  end
  local sse = response.sse

  -- A reader that leaves ends this handler while it sleeps, so nobody computes for a closed tab. A
  -- to-be-closed variable is what still runs then, as it does at the end.
  local count = 0
  local _ <close> = setmetatable({}, { __close = function()
    lunesse.log.info("tokens made", { count = count, id = request.id })
  end })

  for token in sea.tokens(prompt) do
    sse:send { token = token } -- a table is sent as JSON
    count = count + 1
    lunesse.sleep(0.05)
  end
  sse:send("[DONE]")
  sse:close()
end)
