-- `lunesse test --watch`. Each run of the specs is a process of its own, so nothing is left from
-- one run to the next, and a spec that cannot be read, or that ends its process, does not end the
-- watch. A run tells which files it is made of (follow.lua). When some of these change, the next
-- run is of the specs that have used them; when one changes that no spec is known to have used, it
-- is of all specs.

local OPTION = "--watch"

local Watch = {}
Watch.__index = Watch

local function say(format, ...)
  io.stderr:write("lunesse test: ", format:format(...), "\n")
end

local function write(path, lines)
  local file = assert(io.open(path, "w"))
  for _, line in ipairs(lines) do
    file:write(line, "\n")
  end
  file:close()
end

local function is_there(path)
  local file = io.open(path)
  if file then
    file:close()
  end
  return file ~= nil
end

---Reads what a run has told. Returns whether it came so far as to look for specs.
function Watch:take_report()
  local forgotten, has_looked = {}, false
  for line in io.lines(self.report) do
    local word, name, path = line:match("^(%l+)\t([^\t]+)\t?(.*)$")
    if word == "folder" then
      self.watcher:add(name)
      has_looked = true
    elseif word == "spec" then
      self.specs[self.watcher:add(path)] = name
    elseif word == "file" then
      if not forgotten[name] then
        forgotten[name] = true
        self:forget(name)
      end
      path = self.watcher:add(path)
      self.users[path] = self.users[path] or {}
      self.users[path][name] = true
    end
  end
  return has_looked
end

---A spec that ran has told anew what it uses.
function Watch:forget(name)
  for _, users in pairs(self.users) do
    users[name] = nil
  end
end

---The specs that are to run after these files have changed; none for all of them. Nil when there
---is nothing to run: the only change is that specs are gone.
function Watch:touched(paths)
  local names, wanted = {}, {}
  local has_unknown = #paths == 0
  for _, path in ipairs(paths) do
    local users = self.users[path] or {}
    local spec = self.specs[path]
    if spec and not is_there(path) then
      self.specs[path] = nil
      self:forget(spec)
    elseif spec then
      wanted[spec] = true
    elseif next(users) then
      for name in pairs(users) do
        wanted[name] = true
      end
    else
      has_unknown = true
    end
  end
  if has_unknown then
    return {}
  end
  for name in pairs(wanted) do
    names[#names + 1] = name
  end
  table.sort(names)
  return #names > 0 and names or nil
end

local function shown(path)
  local here = require("lfs").currentdir() .. "/"
  return path:sub(1, #here) == here and path:sub(#here + 1) or path
end

---Waits for changes that touch a spec: returns what to run; nil when a signal has ended it all.
function Watch:wait()
  local specs
  repeat
    say("waiting for changes; Ctrl-C ends")
    local paths = self.watcher:wait()
    if not paths then
      return nil
    end
    specs = self:touched(paths)
    if specs then
      say("%s has changed: running %s", paths[1] and shown(paths[1]) or "much",
        #specs > 0 and table.concat(specs, ", ") or "all specs")
    end
  until specs
  return specs
end

---Runs specs until a signal ends it. Returns the exit code.
function Watch:go(words)
  local specs = {}
  while specs do
    write(self.report, specs)
    local code = self.watcher:run { "--followed", self.report, table.unpack(words) }
    if not code then
      break
    elseif not self:take_report() then
      return code -- busted is not there, or cannot be started with these words
    end
    specs = self:wait()
  end
  return 0
end

return function(watcher, arguments)
  local self = setmetatable({
    watcher = watcher, report = os.tmpname(), users = {}, specs = {},
  }, Watch)
  local words = {}
  for _, word in ipairs(arguments) do
    if word ~= OPTION then
      words[#words + 1] = word
    end
  end
  local ok, result = pcall(self.go, self, words)
  os.remove(self.report)
  if not ok then
    error(result, 0)
  end
  return result
end
