-- Changes one token of a shipped script at a time and runs the script's spec, which has to notice.
-- `make mutations` prints how many of ten changes each spec noticed, and the others; MUTATIONS is
-- another number than ten, MUTATIONS_SEED another choice. The changes are made in a copy.

local lfs = require "lfs"

local COUNT = tonumber(os.getenv("MUTATIONS")) or 10
local NEEDED = 0.9
local SCRIPTS = { "by_hand", "chat", "clock", "countdown", "publish", "tokens" }
local LINKED = { "spec", "lua", "cmake", ".busted" }

-- What a token becomes. A number becomes the next one, a text has one more letter.
local SWAPS = {
  ["=="] = "~=", ["~="] = "==", ["<="] = "<", [">="] = ">", ["<"] = "<=", [">"] = ">=",
  ["+"] = "-", ["-"] = "+", ["*"] = "+", ["and"] = "or", ["or"] = "and", ["not"] = "",
  ["true"] = "false", ["false"] = "true",
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

---All changes of one token: where it begins and ends, and what it becomes.
local function changes_of(source)
  local list, position = {}, 1
  while position <= #source do
    local stop = position
    for _, pattern in ipairs(TOKENS) do
      local _, last = source:find(pattern[1], position)
      if last then
        local token = source:sub(position, last)
        list[#list + 1] = { from = position, to = last, new = changed(pattern[2], token) }
        list[#list] = list[#list].new and list[#list] or nil
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

local function passes(folder, name)
  return os.execute(("cd %s && timeout 120 lua5.4 /usr/bin/busted spec/scripts/%s_spec.lua " ..
    ">/dev/null 2>&1"):format(folder, name))
end

---Makes changes of a script by chance; returns how many its spec noticed, how many there were, and
---the lines of the others.
local function judge(folder, name)
  local path = ("scripts/%s.lua"):format(name)
  local source = read(path)
  local changes, noticed, made, missed = changes_of(source), 0, 0, {}
  assert(passes(folder, name), path .. ": its spec fails without a change")
  while made < COUNT and #changes > 0 do
    local change = table.remove(changes, math.random(#changes))
    local text = source:sub(1, change.from - 1) .. change.new .. source:sub(change.to + 1)
    if load(text) then
      write(folder .. "/" .. path, text)
      made = made + 1
      if not passes(folder, name) then
        noticed = noticed + 1
      else
        local _, lines = source:sub(1, change.from):gsub("\n", "")
        missed[#missed + 1] = ("  %s:%d: %s, not %s"):format(path, lines + 1, change.new,
          source:sub(change.from, change.to))
      end
    end
  end
  write(folder .. "/" .. path, source)
  return noticed, made, missed
end

math.randomseed(tonumber(os.getenv("MUTATIONS_SEED")) or 1)
local folder, is_enough = make_copy(), true
for _, name in ipairs(SCRIPTS) do
  local noticed, made, missed = judge(folder, name)
  is_enough = is_enough and noticed >= made * NEEDED
  print(("%-10s %d of %d noticed"):format(name, noticed, made))
  for _, line in ipairs(missed) do
    print(line)
  end
end
os.execute("rm -r " .. folder)
os.exit(is_enough and 0 or 1)
