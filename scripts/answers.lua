-- Answers that outlive their readers. Whoever asks is told an id at once, and a task computes the
-- answer into a channel of that name. So a second tab, a page that is loaded anew and a reader who
-- comes late get the whole of it, and a button stops it. The page at /answers is the file
-- answers.html. It uses these routes, and so can curl:
--
--   curl localhost:3000/answers -d '{"prompt": "Tell me of the sea"}'     # says {"id": "ID"}
--   curl -N localhost:3000/answers/ID
--   curl -X DELETE localhost:3000/answers/ID
--
-- The stream has the events `token` {"text"} and, as the last one, `done` {"stopped"}; then it
-- ends. An answer is kept for ten minutes after its last token. Whoever knows its id may read and
-- stop it: where that is too much, put a middleware before /answers.
local lunesse = require "lunesse"
local sea = require "lib.sea"
local server = lunesse.server()

-- An answer's channel. A reader with the id of another answer is told to begin anew.
local ANSWER = { ttl = 600, group = "answers", reset = { event = "again", data = "" } }

lunesse.channel_group("answers", { channels = 1000 }) -- so many answers are kept at a time

-- By id: "made", "stopping" or "over". It is shared, because the reader who stops an answer may be
-- another worker's than the one who asked.
local states = lunesse.shared("answers")

local function refuse(response, status, why)
  return response:status(status):json { error = why }
end

-- The prompt of a request; nil and what is wrong with it.
local function prompt_of(request)
  local question, why = request:json()
  local prompt = type(question) == "table" and question.prompt
  if question == nil then
    return nil, "the body is not JSON: " .. why
  elseif type(prompt) ~= "string" or not prompt:match("%S") then
    return nil, 'a body like {"prompt": "Tell me of the sea"} expected'
  end
  return prompt
end

-- Runs as a task of its own: no reader has to stay for it. Whatever ends it, the answer is
-- finished, so that nobody waits for more.
local function compute(id, answer, prompt)
  local is_stopped = true
  local _ <close> = setmetatable({}, { __close = function()
    answer:publish("done", { stopped = is_stopped })
    answer:finish()
    states:set(id, "over", { ttl = ANSWER.ttl })
  end })
  for token in sea.tokens(prompt) do
    if states:get(id) == "stopping" then
      return
    end
    answer:publish("token", { text = token })
    lunesse.sleep(0.05)
  end
  is_stopped = false
end

server:post("/answers", { body_bytes = 16 * 1024 }, function(request, response)
  local prompt, why = prompt_of(request)
  if not prompt then
    return refuse(response, 400, why)
  end
  local id = ("%016x"):format(math.random(0)) -- any 64 bits
  local answer, task
  answer, why = lunesse.channel("answers/" .. id, ANSWER)
  if answer then
    states:set(id, "made")
    task, why = lunesse.spawn(compute, id, answer, prompt)
  end
  if not task then
    states:delete(id)
    return refuse(response, 503, why)
  end
  response:status(201):json { id = id }
end)

-- The state of a request's answer; nil when there is none, and the request is answered.
local function state_of(request, response)
  local state = states:get(request.params.id)
  if not state then
    refuse(response, 404, "there is no such answer, or no longer")
  end
  return state
end

server:get("/answers/:id", function(request, response)
  local sse, state = response.sse, state_of(request, response)
  if not state then
    return
  elseif not sse then
    return refuse(response, 400, "this route speaks text/event-stream")
  end
  local answer = lunesse.channel("answers/" .. request.params.id, ANSWER)
  if state == "over" and request.last_event_id == answer:cursor() then
    -- It has seen all. An EventSource comes back after every end, unless it is told 204.
    return response:status(204):send()
  end
  sse:open { retry = 1 }
  sse:subscribe(answer, { since = "earliest" })
end)

server:delete("/answers/:id", function(request, response)
  local state = state_of(request, response)
  if state == "made" then
    states:set(request.params.id, "stopping")
  end
  if state then
    response:status(204):send()
  end
end)

-- A script is given its own path, so it finds what lies beside it from wherever it was started.
local path = ...
local file = assert(io.open((path:gsub("%.lua$", ".html")), "rb"))
local page = file:read("a")
file:close()

server:get("/answers", function(request, response)
  response:type("text/html; charset=utf-8")
  response:header("Cache-Control", "no-cache")
  response:header("Content-Security-Policy", "default-src 'none'; connect-src 'self'; " ..
    "img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'")
  response:send(page)
end)
