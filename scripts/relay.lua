-- A relay between browsers and a language model. The key stays here, the answer is resumable, and
-- the model stops when nobody reads any more. The page at /relay is the file relay.html.
--
--   MODEL_URL=https://api.openai.com/v1 MODEL_KEY=sk-... MODEL_NAME=gpt-5-mini make run
--   MODEL_URL=http://127.0.0.1:11434/v1 MODEL_NAME=llama3.2 make run
--
-- Any model that is asked at /chat/completions will do. Without MODEL_URL a model that is made up
-- answers. Two kinds of readers are served:
--
-- * A page asks once, and reads the answer from a channel, as often and from wherever it likes:
--
--     curl localhost:3000/relay -d '{"prompt": "Tell me of the sea"}'     # says {"id": "ID"}
--     curl -N localhost:3000/relay/ID
--     curl -X DELETE localhost:3000/relay/ID
--
--   The events are `token` {"text"}, and one last: `done` {}, `stopped` {} or `failed` {"error"}.
--
-- * A program that has a client of the model's maker asks at /v1 as it would ask the model. It gets
--   what the model says, as it comes. When it leaves, the model's connection is closed at once.
--
-- Pages of other origins are refused. Whoever else reaches this server spends on its key: put a
-- middleware such as web.bearer before both, where that is too much.
local lunesse = require "lunesse"
local sea = require "lib.sea"
local server = lunesse.server()

local URL, NAME = os.getenv("MODEL_URL"), os.getenv("MODEL_NAME") or "default"
local KEY = os.getenv("MODEL_KEY")
local PATIENCE, TICK = 10, 0.25 -- seconds that an answer goes on without readers; between two looks
local ANSWER = { ttl = 600, group = "relay", reset = { event = "again", data = "" } }
local QUESTION_BYTES = 256 * 1024

lunesse.channel_group("relay", { channels = 1000 }) -- so many answers are kept at a time

-- By id: "asked", "stopping" or "over". It is shared, because the reader who stops an answer may be
-- another worker's than the one who asked.
local states = lunesse.shared("relay")

local model = URL and lunesse.http.client {
  base = URL,
  headers = { authorization = KEY and "Bearer " .. KEY },
  connect_timeout = 5,
  first_byte_timeout = 120,
  idle_timeout = 60,
}

for _, path in ipairs { "/relay", "/v1" } do
  server:use(path, lunesse.web.same_origin {})
  server:use(path, lunesse.web.limit { requests = 60, name = "relay" })
end

local function refuse(response, status, why)
  return response:status(status):json { error = { message = why } }
end

-- For pages -------------------------------------------------------------------------------------

-- The text of one event of the model; nil when it has none.
local function text_of(event)
  local choice = lunesse.json.decode(event.data)
  choice = type(choice) == "table" and type(choice.choices) == "table" and choice.choices[1]
  local text = type(choice) == "table" and type(choice.delta) == "table" and choice.delta.content
  return type(text) == "string" and text ~= "" and text or nil
end

-- Publishes what the model says. Returns true when that is all; nil and why otherwise.
local function pass_on(prompt, answer)
  local up <close>, why = model:post("/chat/completions", { stream = true, json = {
    model = NAME, stream = true, messages = { { role = "user", content = prompt } },
  } })
  if not up then
    return nil, why
  elseif up.status ~= 200 then
    return nil, ("the model answers %d: %s"):format(up.status, up:text():sub(1, 500))
  end
  for event in up:events() do
    if event.data == "[DONE]" then
      return true
    end
    local text = text_of(event)
    if text then
      answer:publish("token", { text = text })
    end
  end
  return nil, "the model has stopped in the middle of its answer"
end

-- The same, of no model at all.
local function make_up(prompt, answer)
  for token in sea.tokens(prompt) do
    answer:publish("token", { text = token })
    lunesse.sleep(0.05)
  end
  return true
end

-- Runs as a task of its own. Whatever ends it, the answer is finished, so that nobody waits for
-- more.
local function relay(id, prompt, answer)
  local last, told = "stopped", {}
  local _ <close> = setmetatable({}, { __close = function()
    answer:publish(last, told)
    answer:finish()
    states:set(id, "over", { ttl = ANSWER.ttl })
  end })
  local ran, is_all, why = pcall(model and pass_on or make_up, prompt, answer)
  if not ran then
    is_all, why = false, is_all -- what it raised: the model's stream was cut
  end
  last, told = is_all and "done" or "failed", { error = not is_all and tostring(why) or nil }
end

-- Cancels the task when somebody stops the answer, or nobody has read it for a while: the model is
-- not paid to speak to a closed tab.
local function watch(id, task, answer)
  local unread = 0
  while not answer.finished do
    lunesse.sleep(TICK)
    unread = answer.subscribers > 0 and 0 or unread + TICK
    if states:get(id) == "stopping" or unread >= PATIENCE then
      task:cancel()
    end
  end
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

server:post("/relay", { body_bytes = QUESTION_BYTES }, function(request, response)
  local prompt, why = prompt_of(request)
  if not prompt then
    return refuse(response, 400, why)
  end
  local id = lunesse.crypto.hex(lunesse.crypto.random(16)) -- whoever knows it may read and stop
  local answer, task
  answer, why = lunesse.channel("relay/" .. id, ANSWER)
  if answer then
    states:set(id, "asked")
    task, why = lunesse.spawn(relay, id, prompt, answer)
  end
  if not task then
    states:delete(id)
    return refuse(response, 503, why)
  end
  lunesse.spawn(watch, id, task, answer)
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

server:get("/relay/:id", function(request, response)
  local sse, state = response.sse, state_of(request, response)
  if not state then
    return
  elseif not sse then
    return refuse(response, 400, "this route speaks text/event-stream")
  end
  local answer = lunesse.channel("relay/" .. request.params.id, ANSWER)
  if state == "over" and request.last_event_id == answer:cursor() then
    -- It has seen all. An EventSource comes back after every end, unless it is told 204.
    return response:status(204):send()
  end
  sse:open { retry = 1 }
  sse:subscribe(answer, { since = "earliest" })
end)

server:delete("/relay/:id", function(request, response)
  local state = state_of(request, response)
  if state == "asked" then
    states:set(request.params.id, "stopping")
  end
  if state then
    response:status(204):send()
  end
end)

-- For programs ----------------------------------------------------------------------------------

-- What a client of the model's maker sends, and the model needs. In place of its key goes ours.
local function headers_of(request)
  local headers = {}
  if request.headers["x-api-key"] then
    headers["x-api-key"], headers.authorization = KEY, false
  end
  for _, name in ipairs { "content-type", "accept", "anthropic-version", "anthropic-beta" } do
    headers[name] = request.headers[name]
  end
  return headers
end

server:post("/v1/*path", { sse = "always", on_leave = "cancel", body_bytes = QUESTION_BYTES },
  function(request, response)
    if not model then
      return refuse(response, 503, "MODEL_URL is not set, so there is no model to ask")
    end
    local below = request.path:sub(#"/v1" + 1) .. (request.target:match("%?.*") or "")
    local up <close>, why, code = model:post(below, {
      body = request:text(), headers = headers_of(request), stream = true,
    })
    if not up then
      return refuse(response, code == "ETIMEDOUT" and 504 or 502, why)
    end
    local kind = up.headers["content-type"] or "application/octet-stream"
    if up.status == 200 and kind:find("^text/event%-stream") then
      for event in up:events() do
        response.sse:send(event) -- waits for a slow reader, and the model's connection with it
      end
      return response.sse:close()
    end
    local body
    body, why = up:text()
    if not body then
      return refuse(response, 502, why)
    end
    response:status(up.status):type(kind):send(body)
  end)

-- A script is given its own path, so it finds what lies beside it from wherever it was started.
local path = ...
local file = assert(io.open((path:gsub("%.lua$", ".html")), "rb"))
local page = file:read("a")
file:close()

server:get("/relay", function(request, response)
  response:type("text/html; charset=utf-8")
  response:header("Cache-Control", "no-cache")
  response:header("Content-Security-Policy", "default-src 'none'; connect-src 'self'; " ..
    "img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'")
  response:send(page)
end)
