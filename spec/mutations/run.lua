-- Changes one token of a shipped script at a time and runs the script's spec, which has to notice
-- nine of ten. `make mutations` prints how many changes each spec noticed, by script and seed, and
-- the changes that it did not notice. MUTATIONS is another number than ten for each seed, such as
-- 1000 for all that there are; MUTATIONS_SEEDS are other seeds, MUTATIONS_SCRIPTS some of the
-- scripts, both with spaces between. The changes are made in a copy.

local lfs = require "lfs"

local COUNT = tonumber(os.getenv("MUTATIONS")) or 10
local SEEDS = os.getenv("MUTATIONS_SEEDS") or "1 2 3 4 5 6"
local NEEDED = 0.9
local LINKED = { "spec", "lua", "cmake", ".busted" }

-- The specs of a script, where it is not the one of its name alone.
local SPECS = {
  chat = { "chat", "ceilings" }, ["lib/sea"] = { "tokens" }, poll = { "poll", "ceilings" },
  publish = { "publish", "ceilings" },
}

-- What a token becomes. A number becomes the next one, a text has one more letter.
local SWAPS = {
  ["=="] = "~=", ["~="] = "==", ["<="] = "<", [">="] = ">", ["<"] = "<=", [">"] = ">=",
  ["+"] = "-", ["-"] = "+", ["*"] = "+", ["and"] = "or", ["or"] = "and", ["not"] = "",
  ["true"] = "false", ["false"] = "true",
}

-- Changes that nobody can notice, in the line that they are in: what comes before the token, and
-- why. They are not made.
local UNNOTICEABLE = {
  ':read%($', -- a file's `read` looks at the first letter of a format, and "ax" is "a" to it
  'lunesse%.shared%($', -- the name of a store that one script uses, and tells nobody
  'beats:add%(name, $', -- the value under a key of which is asked only whether it is there
  'local key = address %.%. $', -- what stands in a key between two parts that have none of it
  'table%.concat%(parts, $', -- the same
}

-- Patterns of tokens, and what each is. The first that fits decides.
local TOKENS = {
  { "^%-%-[^\n]*", "comment" }, { '^"[^"\n]*"', "text" }, { "^'[^'\n]*'", "text" },
  { "^%[%[.-%]%]", "comment" }, { "^%d+%.?%d*", "number" }, { "^[%a_][%w_]*", "word" },
  { "^%.%.+", "comment" }, { "^[=~<>]=", "word" }, { "^[<>+*-]", "word" },
}

local function changed(kind, token)
  if kind == "number" then
    return tostring(tonumber(token) + 1)
  elseif kind == "text" and #token > 2 then
    return token:sub(1, -2) .. "x" .. token:sub(-1)
  end
  return kind == "word" and SWAPS[token] or nil
end

local function can_be_noticed(source, position)
  local before = source:sub(1, position - 1):match("[^\n]*$")
  for _, pattern in ipairs(UNNOTICEABLE) do
    if before:find(pattern) then
      return false
    end
  end
  return true
end

---All changes of one token: where it begins and ends, and what it becomes.
local function changes_of(source)
  local list, position = {}, 1
  while position <= #source do
    local stop = position
    for _, pattern in ipairs(TOKENS) do
      local _, last = source:find(pattern[1], position)
      if last then
        local new = changed(pattern[2], source:sub(position, last))
        if new and can_be_noticed(source, position) then
          list[#list + 1] = { from = position, to = last, new = new }
        end
        stop = last
        break
      end
    end
    position = stop + 1
  end
  return list
end

local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

local function write(path, text)
  local file <close> = assert(io.open(path, "wb"))
  file:write(text)
end

---A folder in which the scripts are copies.
local function make_copy()
  local folder = os.tmpname()
  os.remove(folder)
  assert(lfs.mkdir(folder))
  for _, name in ipairs(LINKED) do
    assert(lfs.link(lfs.currentdir() .. "/" .. name, folder .. "/" .. name, true))
  end
  assert(os.execute(("cp -r scripts %s/scripts"):format(folder)))
  return folder
end

---Whether the script's specs pass; they end at their first test that does not.
local function passes(folder, name)
  local paths = {}
  for i, spec in ipairs(SPECS[name] or { name }) do
    paths[i] = ("spec/scripts/%s_spec.lua"):format(spec)
  end
  return os.execute(("cd %s && timeout 120 lua5.4 /usr/bin/busted --no-keep-going %s " ..
    ">/dev/null 2>&1"):format(folder, table.concat(paths, " ")))
end

---All changes of a script that leave it a script, each with its text and the line that it is in.
local function mutants_of(name)
  local path = ("scripts/%s.lua"):format(name)
  local source, list = read(path), {}
  for _, change in ipairs(changes_of(source)) do
    local text = source:sub(1, change.from - 1) .. change.new .. source:sub(change.to + 1)
    local _, lines = source:sub(1, change.from):gsub("\n", "")
    local about = ("  %s:%d: %s, not %s"):format(path, lines + 1, change.new,
      source:sub(change.from, change.to))
    list[#list + 1] = load(text) and { text = text, about = about } or nil
  end
  return list, source
end

---Makes `COUNT` changes for each seed, or all; prints how many of them the spec noticed, and those
---that it did not. Returns whether they are enough.
local function judge(folder, name)
  local path = ("%s/scripts/%s.lua"):format(folder, name)
  local mutants, source = mutants_of(name)
  local counts, missed, is_enough = {}, {}, true
  assert(passes(folder, name), name .. ": its specs fail without a change")
  for seed in SEEDS:gmatch("%d+") do
    math.randomseed(tonumber(seed))
    local left, made, noticed = table.move(mutants, 1, #mutants, 1, {}), 0, 0
    while made < COUNT and #left > 0 do
      local mutant = table.remove(left, math.random(#left))
      if mutant.is_noticed == nil then
        write(path, mutant.text)
        mutant.is_noticed = not passes(folder, name)
        missed[#missed + 1] = not mutant.is_noticed and mutant.about or nil
      end
      made = made + 1
      noticed = noticed + (mutant.is_noticed and 1 or 0)
    end
    counts[#counts + 1] = ("%3d of %d"):format(noticed, made)
    is_enough = is_enough and noticed >= made * NEEDED
  end
  write(path, source)
  print(("%-10s%s"):format(name, table.concat(counts)))
  table.sort(missed)
  for _, line in ipairs(missed) do
    print(line)
  end
  return is_enough
end

---The names of all scripts, or of those that were asked for.
local function names()
  local list = {}
  for name in (os.getenv("MUTATIONS_SCRIPTS") or ""):gmatch("%S+") do
    list[#list + 1] = name
  end
  for _, folder in ipairs(#list == 0 and { "", "lib/" } or {}) do
    for file in lfs.dir("scripts/" .. folder) do
      local name = file:match("^(.*)%.lua$")
      list[#list + 1] = name and folder .. name
    end
  end
  table.sort(list)
  return list
end

io.stdout:setvbuf("line")
local folder, is_enough = make_copy(), true
print("seeds     " .. SEEDS)
for _, name in ipairs(names()) do
  is_enough = judge(folder, name) and is_enough
end
os.execute("rm -r " .. folder)
os.exit(is_enough and 0 or 1)
