-- The house rules that a machine can judge. Each rule is a function that takes files (a table of
-- path to text) and returns a list of complaints, `path:line: what is wrong`; so each can be shown
-- to fail.

local source = require "spec.support.c_source"
local raises = require "spec.support.c_raises"
local types = require "spec.support.c_types"
local assertions = require "spec.support.tidy_assertions"
local errors = require "spec.support.tidy_errors"
local verbs = require "spec.support.tidy_verbs"

local tidy = { rules = {} }
local rules = tidy.rules

tidy.limits = {
  file_lines = 600, function_lines = 60, median_lines = 12,
  columns = 100, nesting = 3, parameters = 5, members = 12,
}

-- Which floors a floor may include, itself always.
local FLOORS = {
  base = {},
  wire = { "base" },
  net = { "base" },
  client = { "net", "wire", "base" },
  bench = { "client", "net", "wire", "base" },
  http = { "net", "wire", "base" },
  files = { "http", "net", "wire", "base" },
  hub = { "net", "wire", "base" },
  shared = { "base" },
  crypto = { "base" },
  upstream = { "net", "wire", "base" },
  postgres = { "net", "base" },
  sse = { "http", "hub", "net", "wire", "base" },
  script = {
    "upstream", "postgres", "sse", "files", "http", "hub", "shared", "crypto", "client", "net",
    "wire", "base",
  },
  server = {
    "script", "upstream", "postgres", "sse", "files", "http", "hub", "shared", "crypto", "client",
    "net", "wire", "base",
  },
  kit = {
    "server", "script", "upstream", "postgres", "sse", "files", "http", "hub", "shared", "crypto",
    "client", "net", "wire", "base",
  },
  main = {
    "kit", "server", "script", "upstream", "postgres", "sse", "files", "http", "hub", "shared",
    "crypto", "client", "net", "wire", "base",
  },
}

local OF_LUA = { "^src/script/", "^src/kit/" }

-- The only places that may include a third-party header.
local HOMES = {
  ["uv.h"] = "^src/net/",
  ["linux/openat2.h"] = "^src/files/beneath%.c$",
  ["curl/curl.h"] = "^src/upstream/",
  ["libpq-fe.h"] = "^src/postgres/",
  ["dlfcn.h"] = "^src/base/late%.c$",
  ["zlib.h"] = "^src/http/compress%.c$",
  ["brotli/encode.h"] = "^src/http/compress%.c$",
  ["llhttp.h"] = "^src/http/http1%.c$",
  ["nghttp2/nghttp2.h"] = "^src/http/http2%.c$",
  ["openssl/ssl.h"] = "^src/net/tls%.c$",
  ["openssl/err.h"] = { "^src/crypto/", "^src/net/tls%.c$" },
  ["openssl/crypto.h"] = "^src/crypto/",
  ["openssl/evp.h"] = "^src/crypto/",
  ["openssl/bn.h"] = "^src/crypto/",
  ["openssl/core_names.h"] = "^src/crypto/",
  ["openssl/ecdsa.h"] = "^src/crypto/",
  ["openssl/param_build.h"] = "^src/crypto/",
  ["openssl/rand.h"] = "^src/crypto/",
  ["lua.h"] = OF_LUA,
  ["lauxlib.h"] = OF_LUA,
  ["lualib.h"] = OF_LUA,
}

local LIBC = {}
for name in ([[
  assert ctype dirent errno fcntl float ftw inttypes limits locale math netdb poll pthread pwd sched
  setjmp signal spawn stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib stdnoreturn
  string strings threads time unistd getopt malloc arpa/inet net/if netinet/in netinet/tcp sys/epoll
  sys/eventfd sys/file sys/ioctl sys/mman sys/random sys/resource sys/sendfile sys/socket
  stdio_ext sys/stat sys/syscall sys/time sys/types sys/uio sys/un sys/wait
]]):gmatch("%S+") do
  LIBC[name .. ".h"] = true
end

-- Calls that are wrong everywhere, or outside the file that owns them.
local BANNED = {
  { "sprintf" }, { "vsprintf" }, { "strcpy" }, { "strcat" }, { "strtok" }, { "gets" }, { "alloca" },
  { "atoi" }, { "atol" }, { "strncpy" }, { "strncat" },
  { "malloc", "^src/base/mem%.c$" }, { "calloc", "^src/base/mem%.c$" },
  { "realloc", "^src/base/mem%.c$" }, { "free", "^src/base/mem%.c$" },
  { "random", "^src/base/jitter%.c$" }, { "srandom", "^src/base/jitter%.c$" },
  { "rand", "^src/base/jitter%.c$" }, { "strdup" }, { "strndup" }, { "asprintf" },
  { "lua_pcall", { "^src/script/call%.c$", "^src/script/pool_state%.c$",
    "^src/kit/main%.c$", "^src/kit/new%.c$" } },
  { "lua_pcallk", "^src/script/call%.c$" },
}

-- What pure functions on bytes have no use for.
local NOT_IN_WIRE = {
  "printf", "fprintf", "fopen", "open", "read", "write", "time", "clock_gettime", "gettimeofday",
  "getenv", "rand",
}

local function floor_of(path)
  return path:match("^src/([%w_]+)/") or (path == "src/main.c" and "main") or nil
end

local function is_source(path)
  return path:find("^src/.*%.[ch]$") ~= nil
end

local function is_c(path)
  return path:find("%.[ch]$") ~= nil
end

local function is_text(path)
  return is_c(path) or path == "CMakeLists.txt" or path:find("%.lua$") or path:find("%.mjs$") or
    path:find("%.cmake$") or path:find("%.sh$") or path:find("%.md$")
end

---Calls `fn(path, text, complain)` for the files that `filter` wants, in path order.
local function each_file(files, filter, fn)
  local paths, complaints = {}, {}
  for path in pairs(files) do
    if filter(path) then
      paths[#paths + 1] = path
    end
  end
  table.sort(paths)
  for _, path in ipairs(paths) do
    fn(path, files[path], function(line, ...)
      complaints[#complaints + 1] = ("%s:%d: %s"):format(path, line, string.format(...))
    end)
  end
  return complaints
end

local function contains(list, value)
  for _, item in ipairs(list) do
    if item == value then
      return true
    end
  end
  return false
end

---An include points down or sideways inside its own folder, never up.
rules["includes point down, never up"] = function(files)
  return each_file(files, is_source, function(path, text, complain)
    local floor = floor_of(path)
    if not FLOORS[floor] then
      return complain(1, "no floor is called %s", tostring(floor))
    end
    for _, include in ipairs(source.includes(text)) do
      local target = not include.is_system and (include.name:match("^([%w_]+)/") or "nowhere")
      if target and target ~= floor and not contains(FLOORS[floor], target) then
        complain(include.line, "%s may not include %s", floor, include.name)
      end
    end
  end)
end

-- Headers of a floor that floors above it must not include: what one codec has for itself.
local PRIVATE = { http = { "conn", "http1", "input" } }

---What a codec of `http` has for itself, such as its connection, stays on its floor: the floors
---above know exchanges and the service.
rules["the inside of a codec stays in http"] = function(files)
  return each_file(files, is_source, function(path, text, complain)
    for _, include in ipairs(source.includes(text)) do
      local floor, name = include.name:match("^([%w_]+)/([%w_]+)%.h$")
      for _, private in ipairs(floor ~= floor_of(path) and PRIVATE[floor] or {}) do
        if name == private or name:find("^" .. private .. "_") then
          complain(include.line, "%s is the inside of a codec", include.name)
        end
      end
    end
  end)
end

local function is_at_home(path, home)
  for _, place in ipairs(type(home) == "table" and home or { home }) do
    if path:find(place) then
      return true
    end
  end
  return false
end

---A third-party header has one home, and no other header than libc's is unknown.
rules["third-party headers stay in their one home"] = function(files)
  return each_file(files, is_source, function(path, text, complain)
    for _, include in ipairs(source.includes(text)) do
      local home = HOMES[include.name]
      if home and not is_at_home(path, home) then
        complain(include.line, "%s has its home elsewhere", include.name)
      elseif include.is_system and not home and not LIBC[include.name] then
        complain(include.line, "%s is no header of libc and has no home", include.name)
      end
    end
  end)
end

local function visit(path, graph, state, trail, complain)
  state[path] = "open"
  trail[#trail + 1] = path
  for _, target in ipairs(graph[path] or {}) do
    if state[target] == "open" then
      complain(table.concat(trail, " -> ") .. " -> " .. target)
    elseif not state[target] then
      visit(target, graph, state, trail, complain)
    end
  end
  trail[#trail] = nil
  state[path] = "done"
end

rules["headers do not include each other in circles"] = function(files)
  local graph, paths, state, complaints = {}, {}, {}, {}
  for path, text in pairs(files) do
    if path:find("^src/.*%.h$") then
      graph[path] = {}
      paths[#paths + 1] = path
      for _, include in ipairs(source.includes(text)) do
        table.insert(graph[path], "src/" .. include.name)
      end
    end
  end
  table.sort(paths)
  for _, path in ipairs(paths) do
    if not state[path] then
      visit(path, graph, state, {}, function(circle)
        complaints[#complaints + 1] = "circle: " .. circle
      end)
    end
  end
  return complaints
end

---The module of a file: `src/net/loop` for both `loop.c` and `loop.h`.
local function module_of(path)
  return path:match("^(src/.+)%.[ch]$")
end

---Who defines what: the name of a function or table -> its module.
local function definers(files)
  local homes = {}
  for path, text in pairs(files) do
    if path:find("^src/.*%.c$") then
      for name in pairs((source.definitions(text))) do
        homes[name] = module_of(path)
      end
    end
  end
  return homes
end

---Which module uses which other one of its floor: it includes its header, or names a function or a
---table that is defined there.
local function uses(files)
  local homes, graph = definers(files), {}
  local function add(from, to)
    graph[from] = graph[from] or {}
    if to and to ~= from and floor_of(to .. ".c") == floor_of(from .. ".c") then
      graph[from][to] = true
    end
  end
  for path, text in pairs(files) do
    if is_source(path) then
      for _, include in ipairs(source.includes(text)) do
        add(module_of(path), module_of("src/" .. include.name))
      end
    end
    if path:find("^src/.*%.c$") then
      local own = select(2, source.definitions(text))
      for name in source.code(text):gmatch("[%a_][%w_]*") do
        add(module_of(path), not own[name] and homes[name] or nil)
      end
    end
  end
  return graph
end

local function sorted_keys(set)
  local keys = {}
  for key in pairs(set or {}) do
    keys[#keys + 1] = key
  end
  table.sort(keys)
  return keys
end

---The shortest way from a module back to itself, as a list; nil when there is none.
local function way_back(graph, start)
  local queue, came_from = { start }, {}
  for _, module in ipairs(queue) do
    for _, target in ipairs(sorted_keys(graph[module])) do
      if target == start then
        local way = { start }
        while module ~= start do
          table.insert(way, 1, module)
          module = came_from[module]
        end
        table.insert(way, 1, start)
        return way
      elseif not came_from[target] then
        came_from[target] = module
        queue[#queue + 1] = target
      end
    end
  end
end

rules["files of a floor do not use each other in circles"] = function(files)
  local graph, seen, complaints = uses(files), {}, {}
  for _, module in ipairs(sorted_keys(graph)) do
    local way = not seen[module] and way_back(graph, module)
    if way then
      for _, member in ipairs(way) do
        seen[member] = true
      end
      complaints[#complaints + 1] = "circle: " .. table.concat(way, " -> ")
    end
  end
  return complaints
end

rules["no struct has more than 12 members that other files touch"] = function(files)
  local sources, complaints = {}, {}
  for path, text in pairs(files) do
    sources[path] = is_source(path) and text or nil
  end
  local touched = types.touched(sources)
  for _, name in ipairs(sorted_keys(touched)) do
    local members = sorted_keys(touched[name].touched)
    if #members > tidy.limits.members then
      complaints[#complaints + 1] =
        ("%s.h:1: other files touch %d members of struct %s: %s"):format(
          touched[name].module, #members, name, table.concat(members, " "))
    end
  end
  return complaints
end

rules["no file is longer than 600 lines"] = function(files)
  return each_file(files, is_text, function(path, text, complain)
    local count = select(2, text:gsub("\n", ""))
    if count > tidy.limits.file_lines and not path:find("%.md$") then
      complain(count, "%d lines", count)
    end
  end)
end

rules["no function is longer than 60 lines"] = function(files)
  return each_file(files, is_c, function(_, text, complain)
    for _, fn in ipairs(source.functions(text)) do
      if fn.lines > tidy.limits.function_lines then
        complain(fn.line, "%s has %d lines", fn.name, fn.lines)
      end
    end
  end)
end

rules["no function takes more than 5 parameters"] = function(files)
  return each_file(files, is_c, function(_, text, complain)
    for _, fn in ipairs(source.functions(text)) do
      if fn.parameters > tidy.limits.parameters then
        complain(fn.line, "%s takes %d", fn.name, fn.parameters)
      end
    end
  end)
end

rules["no function nests deeper than 3"] = function(files)
  return each_file(files, is_c, function(_, text, complain)
    for _, fn in ipairs(source.functions(text)) do
      if fn.nesting > tidy.limits.nesting then
        complain(fn.line, "%s nests %d deep", fn.name, fn.nesting)
      end
    end
  end)
end

local function columns(line)
  return utf8.len(line) or #line
end

rules["no line is wider than 100 columns"] = function(files)
  return each_file(files, is_text, function(path, text, complain)
    local number = 0
    for line in text:gmatch("([^\n]*)\n?") do
      number = number + 1
      if columns(line) > tidy.limits.columns and not path:find("%.md$") then
        complain(number, "%d columns", columns(line))
      end
    end
  end)
end

rules["no tabs, no spaces at line ends, one newline at the end"] = function(files)
  return each_file(files, is_text, function(_, text, complain)
    local number = 0
    for line in text:gmatch("([^\n]*)\n?") do
      number = number + 1
      if line:find("\t", 1, true) then
        complain(number, "a tab")
      end
      if line:find("[ \r]$") then
        complain(number, "white space at the end")
      end
    end
    if not text:find("[^\n]\n$") then
      complain(number, "the file does not end with one newline")
    end
  end)
end

rules["every C file says its licence in the first line"] = function(files)
  return each_file(files, is_c, function(_, text, complain)
    if not text:find("^// SPDX%-License%-Identifier: MIT\n") then
      complain(1, "no SPDX line")
    end
  end)
end

rules["every header has its paragraph, and is guarded by pragma once"] = function(files)
  return each_file(files, function(path)
    return path:find("^src/.*%.h$") ~= nil
  end, function(_, text, complain)
    if not text:find("^// SPDX[^\n]*\n//\n// %S") then
      complain(2, "no paragraph that says what it is")
    end
    if not text:find("\n#pragma once\n") then
      complain(1, "no pragma once")
    end
  end)
end

rules["banned functions are not called"] = function(files)
  return each_file(files, is_source, function(path, text, complain)
    local code = source.code(text)
    for _, ban in ipairs(BANNED) do
      if not (ban[2] and is_at_home(path, ban[2])) then
        for _, line in ipairs(source.calls(code, ban[1])) do
          complain(line, "calls %s", ban[1])
        end
      end
    end
  end)
end

rules["wire is pure: no clock, no input, no output"] = function(files)
  return each_file(files, function(path)
    return path:find("^src/wire/") ~= nil
  end, function(_, text, complain)
    local code = source.code(text)
    for _, name in ipairs(NOT_IN_WIRE) do
      for _, line in ipairs(source.calls(code, name)) do
        complain(line, "calls %s", name)
      end
    end
  end)
end

rules["libuv is spoken to in net alone"] = function(files)
  return each_file(files, function(path)
    return is_source(path) and not path:find("^src/net/")
  end, function(_, text, complain)
    for _, line in ipairs(source.matches(source.code(text), "%f[%w_]uv_%w+")) do
      complain(line, "libuv outside of net")
    end
  end)
end

rules["a TODO names its issue"] = function(files)
  return each_file(files, function(path)
    return is_text(path) and not path:find("tidy") and not path:find("%.md$")
  end, function(_, text, complain)
    for _, line in ipairs(source.matches(text, "%f[%w]TODO%f[%W]%(?#?%d*%)?")) do
      local words = source.line(text, line)
      if not words:find("TODO%(#%d+%)") then
        complain(line, "a TODO without an issue: TODO(#1)")
      end
    end
  end)
end

-- The names of functions that may raise an error of Lua: `l_`, `p_` and `luaopen_` are called by
-- Lua itself, `check_` and `opt_` look at arguments, `raise_` always raises.
local RAISING = { "^l_", "^p_", "^luaopen_", "^check_", "^opt_", "^raise_", "_or_raise$" }

rules["only functions whose names say so raise errors of Lua"] = function(files)
  local sources, complaints = {}, {}
  for path, text in pairs(files) do
    sources[path] = path:find("^src/.*%.c$") and text or nil
  end
  for _, fn in ipairs(raises.functions(sources)) do
    if fn.cause and not source.matches_any(fn.name, RAISING) then
      table.insert(complaints, ("%s:%d: %s may raise, by %s, and its name does not say so"):format(
        fn.path, fn.line, fn.name, fn.cause))
    elseif not fn.cause and (fn.name:find("^raise_") or fn.name:find("_or_raise$")) then
      table.insert(complaints, ("%s:%d: %s never raises"):format(fn.path, fn.line, fn.name))
    end
  end
  return complaints
end

rules["comments are // comments"] = function(files)
  return each_file(files, is_c, function(_, text, complain)
    for _, line in ipairs(source.matches(source.code(text, true), "/%*")) do
      complain(line, "a block comment")
    end
  end)
end

rules["structs have no typedef, and names no _t of our own"] = function(files)
  return each_file(files, is_source, function(_, text, complain)
    local code = source.code(text)
    for _, pattern in ipairs { "%f[%w_]typedef%s+struct", "%f[%w_]typedef%s+enum",
      "%f[%w_]typedef%s+union", "%f[%w_]struct%s+%w[%w_]*_t%f[^%w_]" } do
      for _, line in ipairs(source.matches(code, pattern)) do
        complain(line, "typedef of a struct, or a name of POSIX")
      end
    end
  end)
end

rules["what ends something has a verb of the table in CONTRIBUTING.md"] = verbs.unknown
rules["what is begun can be ended"] = verbs.unpaired
rules["a failure is an errno or a row of base/error.h"] = errors.rule
rules["a floor has 20 assertions in 1 000 lines"] = assertions.rule

---The lengths of all functions of `files`, sorted.
local function function_lengths(files)
  local lengths = {}
  for path, text in pairs(files) do
    if is_source(path) then
      for _, fn in ipairs(source.functions(text)) do
        lengths[#lengths + 1] = fn.lines
      end
    end
  end
  table.sort(lengths)
  return lengths
end

---The median and the ninth tenth of the lengths of functions, and how many there are.
function tidy.function_lines(files)
  local lengths = function_lengths(files)
  local function at(share)
    return lengths[math.max(1, math.ceil(#lengths * share))] or 0
  end
  return at(0.5), at(0.9), #lengths
end

return tidy
