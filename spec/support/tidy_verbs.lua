-- The house rules about how things end: every verb that says so stands in the table of verbs of
-- CONTRIBUTING.md, and whoever begins a thing has the function that ends it.

local source = require "spec.support.c_source"

local verbs = {}

-- English for ending something. A verb of this list that the table does not have is a complaint.
local ENDING = {}
for word in ([[
  abandon abort cancel cease clear close complete cut deinit delete destroy detach disarm discard
  disconnect dismiss dispose drain drop end erase evict exit finish forget free halt kill leave let
  lose purge quit release remove reset retire revoke shed shut stop terminate throw trim
  unhold unlink unlock unref unregister unsubscribe wipe withdraw
]]):gmatch("%S+") do
  for _, form in ipairs { word, word .. "d", word .. "ed", word .. "s", word .. "ing" } do
    ENDING[form] = word
  end
end

-- Functions that are not renamed yet. One that breaks no rule any more goes from here.
verbs.excused = {
  ["src/http/exchange.c:exchange_cut"] = true,
  ["src/http/exchange.c:exchange_let_go"] = true, -- leave, as scope_leave
  ["src/http/input.c:complete_message"] = true,
  ["src/http/response.c:response_forget_content"] = true,
  ["src/http/service.c:service_forget"] = true,
  ["src/net/listen_socket.c:give_up"] = true,
  ["src/net/loopback.c:shut"] = true,
  ["src/net/tcp.c:shut"] = true,
  ["src/net/transport.h:transport_shut"] = true, -- finish
  ["src/net/watch.c:forget"] = true,
  ["src/sse/notice.c:forget_place"] = true,
  ["src/sse/stream.c:stream_may_complete"] = true,
}

-- What is begun and needs no second half, with the reason.
verbs.alone = {
  ["src/script/task.h:task_new"] = "a task frees itself when it has ended",
  ["src/script/task.h:task_join"] = "a task leaves its joiner when it has ended",
}

---The table of verbs -> the ending verbs as a set, and for each beginning verb the list of those
---that may end it. A beginning in brackets need not be ended.
function verbs.table_of(text)
  local known, enders = {}, {}
  local rows = text:match("\n| to end it[^\n]*\n|[^\n]*\n(.-)\n\n") or ""
  for row in rows:gmatch("[^\n]+") do
    local ends, begins = row:match("^|([^|]*)|([^|]*)|")
    for ending in (ends or ""):gmatch("`([%l_]+)`") do
      known[ending] = true
      for beginning in begins:gsub("%b()", ""):gmatch("`([%l_]+)`") do
        enders[beginning] = enders[beginning] or {}
        table.insert(enders[beginning], ending)
      end
    end
  end
  return known, enders
end

local function sorted_keys(set)
  local keys = {}
  for key in pairs(set) do
    keys[#keys + 1] = key
  end
  table.sort(keys)
  return keys
end

---Calls `fn(path, function)` for every function of `src/`, in path order.
local function each_function(files, fn)
  for _, path in ipairs(sorted_keys(files)) do
    if path:find("^src/.*%.[ch]$") then
      for _, definition in ipairs(source.functions(files[path])) do
        fn(path, definition)
      end
    end
  end
end

---The ending verb in `name` that the table does not know. A binding (`l_`, `p_`) is called as the
---method of the API that it is, and a callback of llhttp as llhttp calls it.
local function unknown_verb(name, known)
  if name:find("^[lp]_") or name:find("^on_%l+_complete$") or name == "on_field_name_complete" then
    return nil
  end
  for word in name:gmatch("%l+") do
    local verb = ENDING[word]
    if verb and not known[verb] then
      return verb
    end
  end
  return name:find("give_up") and "give_up" or name:find("leave_out") and "leave_out" or nil
end

---Functions with an ending verb that the table does not have: "path:name" -> complaint.
local function unknown_verbs(files)
  local known, found = verbs.table_of(files["CONTRIBUTING.md"] or ""), {}
  each_function(files, function(path, fn)
    local verb = unknown_verb(fn.name, known)
    if verb then
      found[path .. ":" .. fn.name] =
        ("%s:%d: %s: CONTRIBUTING.md has no '%s' in its table of verbs"):format(
          path, fn.line, fn.name, verb)
    end
  end)
  return found
end

---Every function that a header of `src/` declares or defines: name -> path.
local function declared(files)
  local names = {}
  for path, text in pairs(files) do
    if path:find("^src/.*%.h$") then
      for name in source.code(text):gmatch("%f[%w_](%l[%w_]*)%(") do
        names[name] = path
      end
    end
  end
  return names
end

---The bodies of the functions called `*_init`: name -> text.
local function init_bodies(files)
  local bodies = {}
  for path, text in pairs(files) do
    if path:find("^src/.*%.[ch]$") and text:find("_init%(") then
      for _, fn in ipairs(source.function_texts(text)) do
        bodies[fn.name] = fn.name:find("_init$") and fn.body or nil
      end
    end
  end
  return bodies
end

local function has_any(names, prefix, endings)
  for name in pairs(names) do
    for _, ending in ipairs(endings) do
      local stem = prefix .. "_" .. ending
      if name == stem or name:sub(1, #stem + 1) == stem .. "_" then
        return true
      end
    end
  end
  return false
end

---Whether an `x_init` acquires something: it makes what must be freed, or calls the `y_init` of
---what has a second half.
local function acquires(body, names, endings)
  if body:find("_new%(") or body:find("%f[%w_]mem_%l") or body:find("%f[%w_]slab_%l") then
    return true
  end
  for prefix in body:gmatch("%f[%w_](%l[%w_]*)_init%(&") do
    if names[prefix .. "_init"] and has_any(names, prefix, endings) then
      return true
    end
  end
  return false
end

---Functions that begin a thing which no function ends: "path:name" -> complaint.
local function broken_pairs(files)
  local _, enders = verbs.table_of(files["CONTRIBUTING.md"] or "")
  local names, bodies, found = declared(files), init_bodies(files), {}
  for name, path in pairs(names) do
    local prefix, verb = name:match("^(.+)_(%l+)$")
    local endings = enders[verb]
    if endings and not prefix:find("_push$") and not has_any(names, prefix, endings) and
      (verb ~= "init" or acquires(bodies[name] or "", names, endings)) then
      found[path .. ":" .. name] = ("%s:1: %s has no %s_%s"):format(path, name, prefix,
        table.concat(endings, ", and no " .. prefix .. "_"))
    end
  end
  return found
end

local function without(found, excused)
  local complaints = {}
  for _, name in ipairs(sorted_keys(found)) do
    if not excused[name] then
      complaints[#complaints + 1] = found[name]
    end
  end
  return complaints
end

function verbs.unknown(files)
  return without(unknown_verbs(files), verbs.excused)
end

function verbs.unpaired(files)
  return without(broken_pairs(files), verbs.alone)
end

---The functions of both lists that break no rule any more.
function verbs.needlessly_excused(files)
  local needless, unknown, unpaired = {}, unknown_verbs(files), broken_pairs(files)
  for _, name in ipairs(sorted_keys(verbs.excused)) do
    if not unknown[name] then
      needless[#needless + 1] = name
    end
  end
  for _, name in ipairs(sorted_keys(verbs.alone)) do
    if not unpaired[name] then
      needless[#needless + 1] = name
    end
  end
  return needless
end

return verbs
