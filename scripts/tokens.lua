-- A streamed answer to a POST, as language-model servers give it: `data: {json}` for each token,
-- and `data: [DONE]` at the end. Try it:
--
--   curl -N localhost:3000/tokens -d '{"prompt": "Tell me of the sea"}'
local lunesse = require "lunesse"
local server = lunesse.server()

-- A very small model of language: some sentences, and which of them speaks of a word first.
local text = [[
The moon has no light of its own. It borrows the light of the sun and lends it to the night. The
night lends it to the sea, and the sea gives it back in pieces. Every wave is an event: it comes, it
is heard on the shore, and the next one is already on its way. The shore keeps no list of the waves,
it only listens. Whoever sleeps there misses a hundred of them and wakes with the tide. But the tide
remembers where the night began.
]]

local SENTENCES = 3 -- of an answer

local sentences, first_with = {}, {}
for sentence in text:gsub("%s+", " "):gmatch("%S[^.]*%.") do
  table.insert(sentences, sentence)
  for word in sentence:lower():gmatch("%a+") do
    first_with[word] = first_with[word] or #sentences
  end
end

-- The answer begins where the text speaks of the last word of the prompt that it knows.
local function answer_to(prompt)
  local first, answer = 1, {}
  for word in prompt:lower():gmatch("%a+") do
    first = first_with[word] or first
  end
  for i = first, first + SENTENCES - 1 do
    table.insert(answer, sentences[(i - 1) % #sentences + 1])
  end
  return table.concat(answer, " ")
end

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

  for token in answer_to(prompt):gmatch("%S+%s?") do
    sse:send { token = token } -- a table is sent as JSON
    count = count + 1
    lunesse.sleep(0.05)
  end
  sse:send("[DONE]")
  sse:close()
end)
