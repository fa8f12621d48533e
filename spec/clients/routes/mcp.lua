-- A server of the Model Context Protocol over its streamable HTTP transport, with all that the
-- protocol's own conformance suite asks of one. Each request is answered by an event stream of its
-- own, in which the server may notify and ask the client before it answers. It runs in one worker,
-- because sessions and questions are kept in variables.
local lunesse = require "lunesse"
local server = lunesse.server()
local json = lunesse.json

local RED_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIA" ..
  "X8jx0gAAAABJRU5ErkJggg=="
local SILENCE = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA="
local VERSIONS = { ["2025-03-26"] = true, ["2025-06-18"] = true, ["2025-11-25"] = true }
local ANSWER_SECONDS = 10 -- that a client has to answer a question
local CALLS = 1000 -- of which a client may ask for the rest

local sessions = {} -- by id
local next_number = 0

local function new_id(kind)
  next_number = next_number + 1
  return ("%s-%d"):format(kind, next_number)
end

local function text_content(text)
  return { { type = "text", text = text } }
end

local function no_arguments()
  return { type = "object" }
end

local function string_argument(name)
  return { type = "object", properties = { [name] = { type = "string" } }, required = { name } }
end

-- What a tool has while it runs: `call.notify(method, params)`; `call.ask(method, params)`, which
-- waits for the client's answer; `call.arguments` and `call.progress_token`.
local tools, tool_names = {}, {}

local function tool(name, description, schema, run)
  tools[name] = { name = name, description = description, inputSchema = schema, run = run }
  table.insert(tool_names, name)
end

local function log(call, text)
  call.notify("notifications/message", { level = "info", data = text })
end

tool("test_simple_text", "Returns a text", no_arguments(), function()
  return text_content("This is a simple text response for testing.")
end)

tool("test_image_content", "Returns an image", no_arguments(), function()
  return { { type = "image", data = RED_PIXEL, mimeType = "image/png" } }
end)

tool("test_audio_content", "Returns a sound", no_arguments(), function()
  return { { type = "audio", data = SILENCE, mimeType = "audio/wav" } }
end)

tool("test_embedded_resource", "Returns a resource", no_arguments(), function()
  return { { type = "resource", resource = {
    uri = "test://embedded-resource", mimeType = "text/plain",
    text = "This is an embedded resource content.",
  } } }
end)

tool("test_multiple_content_types", "Returns several things", no_arguments(), function()
  return {
    { type = "text", text = "Multiple content types test:" },
    { type = "image", data = RED_PIXEL, mimeType = "image/png" },
    { type = "resource", resource = {
      uri = "test://mixed-content-resource", mimeType = "application/json",
      text = '{"test":"data","value":123}',
    } },
  }
end)

tool("test_tool_with_logging", "Logs while it works", no_arguments(), function(call)
  log(call, "Tool execution started")
  lunesse.sleep(0.05)
  log(call, "Tool processing data")
  lunesse.sleep(0.05)
  log(call, "Tool execution completed")
  return text_content("done")
end)

tool("test_error_handling", "Always fails", no_arguments(), function()
  error("This tool intentionally returns an error for testing", 0)
end)

tool("test_tool_with_progress", "Reports how far it is", no_arguments(), function(call)
  for _, progress in ipairs { 0, 50, 100 } do
    if call.progress_token ~= nil then
      call.notify("notifications/progress",
        { progressToken = call.progress_token, progress = progress, total = 100 })
    end
    lunesse.sleep(0.05)
  end
  return text_content("done")
end)

tool("test_sampling", "Asks the client's model", string_argument("prompt"), function(call)
  local answer = call.ask("sampling/createMessage", {
    messages = { { role = "user", content = { type = "text", text = call.arguments.prompt } } },
    maxTokens = 100,
  })
  return text_content("LLM response: " .. answer.content.text)
end)

local function ask_user(call, message, schema)
  local answer = call.ask("elicitation/create", { message = message, requestedSchema = schema })
  return ("action=%s, content=%s"):format(answer.action, json.encode(answer.content or json.null))
end

tool("test_elicitation", "Asks the user", string_argument("message"), function(call)
  return text_content("User response: " .. ask_user(call, call.arguments.message, {
    type = "object", required = { "username", "email" },
    properties = {
      username = { type = "string", description = "User's response" },
      email = { type = "string", description = "User's email address" },
    },
  }))
end)

tool("test_elicitation_sep1034_defaults", "Asks with defaults", no_arguments(), function(call)
  return text_content("Elicitation completed: " .. ask_user(call, "Who?", {
    type = "object",
    properties = {
      name = { type = "string", default = "John Doe" },
      age = { type = "integer", default = 30 },
      score = { type = "number", default = 95.5 },
      status = { type = "string", enum = { "active", "inactive", "pending" }, default = "active" },
      verified = { type = "boolean", default = true },
    },
  }))
end)

local function titled(prefix, titles)
  local list = {}
  for i, title in ipairs(titles) do
    list[i] = { const = prefix .. i, title = title }
  end
  return list
end

tool("test_elicitation_sep1330_enums", "Asks with choices", no_arguments(), function(call)
  local options = { "option1", "option2", "option3" }
  return text_content("Elicitation completed: " .. ask_user(call, "Which?", {
    type = "object",
    properties = {
      untitledSingle = { type = "string", enum = options },
      titledSingle = { type = "string",
        oneOf = titled("value", { "First Option", "Second Option", "Third Option" }) },
      legacyEnum = { type = "string", enum = { "opt1", "opt2", "opt3" },
        enumNames = { "Option One", "Option Two", "Option Three" } },
      untitledMulti = { type = "array", items = { type = "string", enum = options } },
      titledMulti = { type = "array",
        items = { anyOf = titled("value", { "First Choice", "Second Choice", "Third Choice" }) } },
    },
  }))
end)

tool("json_schema_2020_12_tool", "Tool with JSON Schema 2020-12 features", {
  ["$schema"] = "https://json-schema.org/draft/2020-12/schema",
  type = "object",
  ["$defs"] = { address = { type = "object",
    properties = { street = { type = "string" }, city = { type = "string" } } } },
  properties = { name = { type = "string" }, address = { ["$ref"] = "#/$defs/address" } },
  additionalProperties = false,
}, function()
  return text_content("valid")
end)

-- The stream ends in the middle of the call, and the answer waits for the client to come back.
tool("test_reconnection", "Closes its stream", no_arguments(), function(call)
  call.cut()
  lunesse.sleep(0.2)
  return text_content("Reconnection test completed successfully")
end)

local resources = {
  ["test://static-text"] = { name = "Static text", mimeType = "text/plain",
    text = "This is the content of the static text resource." },
  ["test://static-binary"] = { name = "Static binary", mimeType = "image/png", blob = RED_PIXEL },
  ["test://watched-resource"] = { name = "Watched", mimeType = "text/plain", text = "watched" },
}

local prompts = {
  test_simple_prompt = { description = "A simple prompt", messages = function()
    return { { role = "user",
      content = { type = "text", text = "This is a simple prompt for testing." } } }
  end },
  test_prompt_with_arguments = { description = "A prompt with arguments",
    arguments = { "arg1", "arg2" }, messages = function(given)
      return { { role = "user", content = { type = "text",
        text = ("Prompt with arguments: arg1='%s', arg2='%s'"):format(given.arg1, given.arg2) } } }
    end },
  test_prompt_with_embedded_resource = { description = "A prompt with a resource",
    arguments = { "resourceUri" }, messages = function(given)
      return {
        { role = "user", content = { type = "resource", resource = {
          uri = given.resourceUri, mimeType = "text/plain",
          text = "Embedded resource content for testing.",
        } } },
        { role = "user",
          content = { type = "text", text = "Please process the embedded resource above." } },
      }
    end },
  test_prompt_with_image = { description = "A prompt with an image", messages = function()
    return {
      { role = "user", content = { type = "image", data = RED_PIXEL, mimeType = "image/png" } },
      { role = "user", content = { type = "text", text = "Please analyze the image above." } },
    }
  end },
}

local function fail(code, message)
  error({ code = code, message = message })
end

local function resource_contents(uri)
  local id = uri:match("^test://template/([^/]+)/data$")
  if id then
    return { uri = uri, mimeType = "application/json", text = json.encode {
      id = id, templateTest = true, data = "Data for ID: " .. id,
    } }
  end
  local resource = resources[uri] or fail(-32002, "no resource " .. uri)
  return { uri = uri, mimeType = resource.mimeType, text = resource.text, blob = resource.blob }
end

local methods = {}

function methods.initialize(params)
  local wanted = params.protocolVersion
  return {
    protocolVersion = VERSIONS[wanted] and wanted or "2025-11-25",
    serverInfo = { name = "lunesse-spec", version = lunesse.version },
    capabilities = { tools = {}, logging = {}, completions = {}, prompts = {},
      resources = { subscribe = true } },
  }
end

function methods.ping()
  return {}
end

methods["logging/setLevel"] = methods.ping
methods["resources/subscribe"] = methods.ping
methods["resources/unsubscribe"] = methods.ping

methods["tools/list"] = function()
  local list = {}
  for i, name in ipairs(tool_names) do
    local one = tools[name]
    list[i] = { name = name, description = one.description, inputSchema = one.inputSchema }
  end
  return { tools = list }
end

methods["tools/call"] = function(params, call)
  local one = tools[params.name] or fail(-32602, "no tool " .. tostring(params.name))
  call.arguments = params.arguments or {}
  call.progress_token = params._meta and params._meta.progressToken
  local ok, content = pcall(one.run, call)
  if not ok then
    return { isError = true, content = text_content(tostring(content)) }
  end
  return { content = content }
end

methods["completion/complete"] = function()
  return { completion = { values = json.array {}, total = 0, hasMore = false } }
end

methods["resources/list"] = function()
  local list = {}
  for uri, one in pairs(resources) do
    table.insert(list, { uri = uri, name = one.name, description = one.name,
      mimeType = one.mimeType })
  end
  return { resources = list }
end

methods["resources/templates/list"] = function()
  return { resourceTemplates = { { uriTemplate = "test://template/{id}/data", name = "Template",
    description = "Data by id", mimeType = "application/json" } } }
end

methods["resources/read"] = function(params)
  return { contents = { resource_contents(params.uri) } }
end

methods["prompts/list"] = function()
  local list = {}
  for name, prompt in pairs(prompts) do
    local arguments = json.array {}
    for i, argument in ipairs(prompt.arguments or {}) do
      arguments[i] = { name = argument, description = argument, required = true }
    end
    table.insert(list, { name = name, description = prompt.description, arguments = arguments })
  end
  return { prompts = list }
end

methods["prompts/get"] = function(params)
  local prompt = prompts[params.name] or fail(-32602, "no prompt " .. tostring(params.name))
  return { messages = prompt.messages(params.arguments or {}) }
end

-- What runs `message` and publishes its answer, and all before it, in the call's own channel. The
-- channel's ids are what a client comes back with.
local function new_call(session, channel, sse)
  local call = {}
  function call.publish(message)
    message.jsonrpc = "2.0"
    session.channels[channel:publish(message)] = channel
  end
  function call.notify(method, params)
    call.publish { method = method, params = params }
  end
  function call.ask(method, params)
    local id = new_id("question")
    call.publish { id = id, method = method, params = params }
    local deadline = lunesse.clock() + ANSWER_SECONDS
    while session.answers[id] == nil do
      if lunesse.clock() > deadline then
        error("the client did not answer " .. method)
      end
      lunesse.sleep(0.005)
    end
    return session.answers[id]
  end
  function call.cut()
    sse:close()
  end
  return call
end

local function run(message, call)
  local method = methods[message.method]
  local ok, result
  if method then
    ok, result = pcall(method, message.params or {}, call)
  else
    ok, result = false, { code = -32601, message = "no method " .. tostring(message.method) }
  end
  if ok then
    call.publish { id = message.id, result = result }
  else
    local is_ours = type(result) == "table" and result.code
    call.publish { id = message.id,
      error = is_ours and result or { code = -32603, message = tostring(result) } }
  end
end

local function session_of(request, response, message)
  if message and message.method == "initialize" then
    local session = { id = new_id("session"), answers = {}, channels = {} }
    sessions[session.id] = session
    return session
  end
  local session = sessions[request.headers["mcp-session-id"] or ""]
  if not session then
    response:status(404):json { jsonrpc = "2.0", id = json.null,
      error = { code = -32001, message = "no such session" } }
  end
  return session
end

server:hosts { "localhost", "127.0.0.1", "[::1]" }

-- The handler outlives its reader: a client may come back for the rest of a call.
server:post("/mcp", { on_leave = "detach", sse = "always" }, function(request, response)
  local message, why = request:json()
  if type(message) ~= "table" then
    return response:status(400):json { jsonrpc = "2.0", id = json.null,
      error = { code = -32700, message = why or "an object expected" } }
  end
  local session = session_of(request, response, message)
  if not session then
    return
  end
  response:header("Mcp-Session-Id", session.id)
  if not message.method then
    session.answers[message.id] = message.result or message.error
  end
  if not message.method or message.id == nil then
    return response:status(202):send("")
  end
  local channel <const> = lunesse.channel(new_id(session.id), { history = CALLS })
  local sse = response.sse
  sse:open { retry = 0.1 }
  local call = new_call(session, channel, sse)
  sse:subscribe(channel)
  if message.method == "tools/call" then -- an event to come back with, before anything happens
    session.channels[channel:publish("")] = channel
  end
  run(message, call)
  lunesse.after(ANSWER_SECONDS, function() channel:close() end, { detached = true })
  if sse.active then
    channel:close()
  end
end)

server:get("/mcp", function(request, response)
  local session = session_of(request, response)
  if not session then
    return
  end
  local sse = response.sse
  if not sse then
    return response:status(406):send("this route speaks text/event-stream\n")
  end
  local channel = session.channels[sse.last_event_id or ""]
  sse:open()
  if channel then
    sse:subscribe(channel)
  end
end)

server:delete("/mcp", function(request, response)
  sessions[request.headers["mcp-session-id"] or ""] = nil
  response:status(204):send("")
end)
