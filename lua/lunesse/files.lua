-- Files as answers: `response:file`, and the handler of `server:static`.
local caller = require "lunesse.caller"
local core = require "lunesse.core"

local Response = core.methods("Response")

local files = {}

local function is_text(value)
  return type(value) == "string" and value ~= "" and not value:find("\0", 1, true)
end

local function is_seconds(value)
  return math.type(value) == "integer" and value >= 0 and value <= 1e9
end

local function is_boolean(value)
  return type(value) == "boolean"
end

local file_options = {
  root = { what = "the path of a folder", takes = is_text },
  download = {
    what = "a name in UTF-8, at most 255 bytes",
    takes = function(value)
      return is_text(value) and #value <= 255 and utf8.len(value) ~= nil
    end,
  },
  cache = { what = "whole seconds, 0 to 1e9", takes = is_seconds },
  precompressed = { what = "true or false", takes = is_boolean },
}

local static_options = {
  precompressed = file_options.precompressed,
  cache = file_options.cache,
  fallback = { what = "the path of a file in the folder", takes = is_text },
  index = { what = "the name of a file, or false", takes = function(value)
    return value == false or is_text(value)
  end },
}

local function check_options(options, known, level)
  if options ~= nil and type(options) ~= "table" then
    error("options are a table, got " .. type(options), level)
  end
  for key, value in pairs(options or {}) do
    local option = known[key]
    if not option then
      local names = {}
      for name in pairs(known) do
        names[#names + 1] = name
      end
      table.sort(names)
      error(("unknown option '%s'; there are %s"):format(tostring(key),
        table.concat(names, ", ")), level)
    elseif not option.takes(value) then
      error(key .. " is " .. option.what, level)
    end
  end
end

local function cache_control(seconds)
  return seconds and (seconds == 0 and "no-cache" or "public, max-age=" .. seconds)
end

-- Answers for a file that is not there, or cannot be had now. The headers of the file that a script
-- has set go, because they would be taken for those of the error.
local function refuse(response, code)
  core.forget_content(response)
  if code == "EMFILE" or code == "EAGAIN" then
    response:status(503):header("Retry-After", "1")
    return response:send("503: too many files are open\n")
  elseif code == "EIO" then
    return response:status(500):send("500: the file cannot be read\n")
  end
  return response:status(404):send(core.unrouted_text(404))
end

function Response:file(path, options)
  check_options(options, file_options, caller.level() + 1)
  options = options or {}
  if type(path) ~= "string" then
    error("file takes the path of a file, got " .. type(path), caller.level())
  elseif not options.root and not is_text(path) then -- beneath a root it may come from a peer
    error("file takes the path of a file: not empty, and without a NUL", caller.level())
  end
  local ok, why, code
  if options.root and not core.is_public(path) then
    ok, why, code = nil, "there is no such file", "ENOENT"
  else
    ok, why, code = core.file(self, path, options.root, nil, options.download,
      cache_control(options.cache), options.precompressed)
  end
  if not ok and code ~= "ECLOSED" then
    refuse(self, code)
  end
  return ok, why, code
end

-- Sends the client to the same path with a slash behind it, below which relative links lead on.
function files.add_slash(request, response)
  local query = request.target:match("%?.*$") or ""
  return response:redirect(request.path .. "/" .. query, 301)
end

-- Whether a page may stand in for the path: its last part has no dot, so it is no file with a type.
local function is_page(path)
  return not path:match("[^/]*$"):find(".", 1, true)
end

-- The handler that serves the files of `folder`, which is beside the script when it is relative.
-- `beside` is the script's folder. `not_found` answers what is not there.
function files.handler(folder, options, beside, not_found)
  if not is_text(folder) then
    error("static takes the path of a folder, got " .. type(folder), caller.level())
  end
  check_options(options, static_options, caller.level() + 1)
  options = options or {}
  local root = folder:match("^/") and folder or beside .. folder
  local index = options.index == nil and "index.html" or options.index or nil
  local cache = cache_control(options.cache or 0)
  local codings = options.precompressed

  return function(request, response)
    local path = request.params.path
    if not core.is_public(path) then
      return not_found(request, response)
    end
    local ok, _, code = core.file(response, path, root, index, nil, cache, codings)
    if not ok and code == "EISDIR" and path ~= "" and not path:match("/$") then
      return files.add_slash(request, response)
    end
    if not ok and code ~= "ECLOSED" and options.fallback and is_page(path)
      and (code == "ENOENT" or code == "EISDIR") then
      ok, _, code = core.file(response, options.fallback, root, nil, nil, "no-cache", codings)
    end
    if ok or code == "ECLOSED" then
      return
    elseif code == "ENOENT" or code == "EISDIR" then
      return not_found(request, response)
    end
    return refuse(response, code)
  end
end

return files
