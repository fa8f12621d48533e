-- What the official clients of language models ask for, answered as their services answer it. The
-- prompt says what happens: "fail" raises after two pieces, "refuse" is an error before the first,
-- "report" is an error told in the stream, "slow" takes its time, "gate" waits before its first
-- event and before each piece until /gate is told the piece's number; all else is an answer of four
-- pieces. Each answer leaves a line in the log when it has ended.
local lunesse = require "lunesse"
local server = lunesse.server()

local PIECES = { "The moon ", "borrows ", "its ", "light." }
local answers = {} -- by chat: the channel of its answer
local gate, opened = lunesse.signal(), -1

server:post("/gate/:number", function(request, response)
  opened = tonumber(request.params.number)
  gate:set()
  gate:clear()
  response:send("open\n")
end)

local function wait_for_gate(prompt, number)
  while prompt == "gate" and opened < number do
    gate:wait()
  end
end

-- The pieces, with what the prompt asks to go wrong.
local function pieces(prompt)
  return coroutine.wrap(function()
    local _ <close> = setmetatable({}, { __close = function()
      lunesse.log.info("mark", { what = "ended " .. prompt })
    end })
    for i, piece in ipairs(PIECES) do
      if i == 3 and prompt == "fail" then
        error("the model failed on purpose")
      end
      wait_for_gate(prompt, i)
      coroutine.yield(piece)
      lunesse.sleep(prompt == "slow" and 0.3 or 0.01)
    end
  end)
end

-- All pieces as one text.
local function whole(prompt)
  local all = {}
  for piece in pieces(prompt) do
    all[#all + 1] = piece
  end
  return table.concat(all)
end

local function refused(response, prompt)
  if prompt == "refuse" then
    response:status(429):json { error = { type = "rate_limit_error", message = "slow down" } }
    return true
  end
end

server:post("/v1/chat/completions", { sse = "always" }, function(request, response)
  local question = request:json()
  local prompt, sse = question.messages[1].content, response.sse
  if refused(response, prompt) then
    return
  elseif not question.stream then
    local message = { role = "assistant", content = whole(prompt) }
    return response:json { id = "chatcmpl-1", object = "chat.completion", created = 1,
      model = "moon", choices = { { index = 0, message = message, finish_reason = "stop" } } }
  end
  local function send(delta, reason)
    sse:send { id = "chatcmpl-1", object = "chat.completion.chunk", created = 1, model = "moon",
      choices = { { index = 0, delta = delta, finish_reason = reason or lunesse.json.null } } }
  end
  send { role = "assistant", content = "" }
  for piece in pieces(prompt) do
    if prompt == "report" and piece == PIECES[3] then
      sse:send { error = { message = "overloaded", type = "server_error" } }
      return sse:close()
    end
    send { content = piece }
  end
  send({}, "stop")
  sse:send("[DONE]")
  sse:close()
end)

server:post("/v1/responses", { sse = "always" }, function(request, response)
  local prompt, sse = request:json().input, response.sse
  if refused(response, prompt) then
    return
  end
  local number = -1
  local function send(type, fields)
    number = number + 1
    fields.type, fields.sequence_number = type, number
    sse:send(type, fields)
  end
  local made = { id = "resp_1", object = "response", model = "moon", status = "in_progress",
    output = lunesse.json.array {} }
  send("response.created", { response = made })
  for piece in pieces(prompt) do
    if prompt == "report" and piece == PIECES[3] then
      send("error", { message = "overloaded", code = "server_error" })
      return sse:close()
    end
    send("response.output_text.delta", { item_id = "msg_1", output_index = 0, content_index = 0,
      delta = piece })
  end
  made.status = "completed"
  send("response.completed", { response = made })
  sse:close()
end)

server:post("/v1/messages", { sse = "always" }, function(request, response)
  local question, sse = request:json(), response.sse
  local prompt = question.messages[1].content
  if refused(response, prompt) then
    return
  elseif not question.stream and request.query.beta ~= "true" then
    return response:status(404):send("the query is lost")
  elseif not question.stream then
    return response:json { id = "msg_1", type = "message", role = "assistant", model = "moon",
      content = { { type = "text", text = whole(prompt) } }, stop_reason = "end_turn",
      usage = { input_tokens = 1, output_tokens = 4 } }
  end
  local function send(type, fields)
    fields.type = type
    sse:send(type, fields)
  end
  send("message_start", { message = { id = "msg_1", type = "message", role = "assistant",
    model = "moon", content = lunesse.json.array {},
    usage = { input_tokens = 1, output_tokens = 0 }, stop_reason = lunesse.json.null } })
  send("content_block_start", { index = 0, content_block = { type = "text", text = "" } })
  send("ping", {})
  for piece in pieces(prompt) do
    if prompt == "report" and piece == PIECES[3] then
      send("error", { error = { type = "overloaded_error", message = "overloaded" } })
      return sse:close()
    end
    send("content_block_delta", { index = 0, delta = { type = "text_delta", text = piece } })
  end
  send("content_block_stop", { index = 0 })
  send("message_delta", { delta = { stop_reason = "end_turn" }, usage = { output_tokens = 4 } })
  send("message_stop", {})
  sse:close()
end)

-- useChat's: a task computes the answer into a channel, so that a page that is loaded anew gets all
-- of it, before its first event, in its middle and after its end.
local function compute(answer, prompt)
  local failure = "the task was ended"
  local _ <close> = setmetatable({}, { __close = function()
    answer:publish(failure and { type = "error", errorText = failure } or { type = "finish" })
    answer:publish("[DONE]")
    answer:finish()
  end })
  wait_for_gate(prompt, 0)
  answer:publish { type = "start", messageId = "m2" }
  answer:publish { type = "text-start", id = "t1" }
  for piece in pieces(prompt) do
    if prompt == "report" and piece == PIECES[3] then
      failure = "overloaded"
      return
    end
    answer:publish { type = "text-delta", id = "t1", delta = piece }
  end
  answer:publish { type = "text-end", id = "t1" }
  failure = nil
end

server:post("/api/chat", { sse = "always" }, function(request, response)
  local question = request:json()
  local prompt = question.messages[#question.messages].parts[1].text
  if refused(response, prompt) then
    return
  end
  local answer = lunesse.channel("answer/" .. request.id, { ttl = 600 })
  answers[question.id] = answer
  lunesse.spawn(compute, answer, prompt)
  if prompt == "gate" then
    lunesse.log.info("mark", { what = "asked gate" })
  end
  response:header("X-Vercel-AI-UI-Message-Stream", "v1")
  response.sse:subscribe(answer, { since = "earliest" })
end)

server:get("/api/chat/:id/stream", { sse = "always" }, function(request, response)
  local answer = answers[request.params.id]
  if not answer then
    return response:status(204):send()
  end
  response:header("X-Vercel-AI-UI-Message-Stream", "v1")
  response.sse:subscribe(answer, { since = "earliest" })
end)
