-- `lunesse new NAME [--from SCRIPT]`: writes a project that runs, with a spec that passes. The
-- script and its spec are those that come with the program, as they stand.
--
-- Called with the words behind `new`, with `files`: what the program holds, by path, such as
-- "scripts/chat.lua" or "lua/new/README.md", and with `places`: where the program, its types and
-- its test kit are. Returns the exit code.

local USAGE = "usage: lunesse new NAME [--from chat|relay|countdown]\n"
local HELP = USAGE .. [[

Writes a project into the folder NAME: a script, a spec of it that passes, and what an editor,
busted and systemd need.

  --from countdown   a stream that ends and goes on where a reader was (the default)
  --from chat        rooms to talk in, with a page
  --from relay       what other programs POST, the readers of a channel are sent
]]

-- What a project begins as: the files of the program that it gets, and where they go.
local KINDS = {
  countdown = { "scripts/countdown.lua", "spec/scripts/countdown_spec.lua" },
  chat = { "scripts/chat.lua", "scripts/chat.html", "spec/scripts/chat_spec.lua" },
  relay = { "scripts/publish.lua", "spec/scripts/publish_spec.lua" },
}

-- What every project gets: the files beside this one, and where they go.
local COMMON = {
  ["README.md"] = "README.md", ["busted.lua"] = ".busted", ["luarc.json"] = ".luarc.json",
  ["unit"] = "NAME.service",
}

-- How its route is tried, for the README.
local TRIES = {
  countdown = 'curl -N localhost:3000/countdown',
  chat = "open http://localhost:3000/chat",
  relay = 'curl -N localhost:3000/channels/news',
}

-- The words as a table of name and kind; nil and what is wrong with them.
local function parse(words)
  local name, kind, i = nil, "countdown", 1
  while i <= #words do
    local word = words[i]
    local value = word:match("^%-%-from=(.*)$")
    if word == "--from" then
      i = i + 1
      value = words[i] or ""
    end
    if value and not KINDS[value] then
      return nil, ("--from takes chat, relay or countdown, and not '%s'"):format(value)
    elseif value then
      kind = value
    elseif word:find("^%-") then
      return nil, ("there is no option '%s'"):format(word)
    elseif name then
      return nil, ("one name expected, and '%s' is a second one"):format(word)
    else
      name = word
    end
    i = i + 1
  end
  if not name then
    return nil, "the name of the project is missing"
  elseif not name:find("^[%w_][%w_-]*$") then
    return nil, ("'%s' is no name for a folder: letters, digits, _ and - expected"):format(name)
  end
  return { name = name, kind = kind }
end

local function write_file(path, text)
  local file, why = io.open(path, "wb")
  if not file then
    return nil, why
  end
  file:write(text)
  return file:close()
end

-- The files of a project, by where they go.
local function files_of(project, files, places)
  local list = {}
  for _, source in ipairs(KINDS[project.kind]) do
    list[source:gsub("^spec/scripts/", "spec/")] = files[source]
  end
  local values = {
    NAME = project.name, TRY = TRIES[project.kind], PROGRAM = places.program or "/usr/bin/lunesse",
    TYPES = places.types or "/usr/share/lunesse/types",
    MODULES = places.modules or "/usr/lib/lunesse/?.so",
  }
  for source, path in pairs(COMMON) do
    list[path:gsub("NAME", project.name)] = files["lua/new/" .. source]:gsub("@(%u+)@", values)
  end
  return list
end

local function write_project(project, files, places)
  if io.open(project.name) then
    return nil, ("'%s' is there already; nothing was written"):format(project.name)
  elseif not os.execute(("mkdir -p '%s/scripts' '%s/spec'"):format(project.name, project.name)) then
    return nil, ("the folder '%s' cannot be made"):format(project.name)
  end
  local list = files_of(project, files, places)
  local paths = {}
  for path in pairs(list) do
    paths[#paths + 1] = path
  end
  table.sort(paths)
  for _, path in ipairs(paths) do
    local ok, why = write_file(project.name .. "/" .. path, list[path])
    if not ok then
      return nil, why
    end
    print(project.name .. "/" .. path)
  end
  return true
end

return function(words, files, places)
  if words[1] == "--help" then
    io.write(HELP)
    return 0
  end
  local project, why = parse(words)
  if not project then
    io.stderr:write("lunesse new: ", why, "\n", USAGE)
    return 2
  end
  local ok
  ok, why = write_project(project, files, places)
  if not ok then
    io.stderr:write("lunesse new: ", why, "\n")
    return 1
  end
  print(("\nNext: cd %s && lunesse test && lunesse --dev scripts/"):format(project.name))
  return 0
end
