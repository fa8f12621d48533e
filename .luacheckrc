-- The dialect is Lua 5.4; scripts see the standard library and `require`.
std = "lua54"
max_line_length = 100
ignore = { "211/_.+" } -- to-be-closed variables that are only held
exclude_files = { "build", "spec/node_modules" }

-- Stubs declare functions without bodies.
files["lua/types"] = { ignore = { "211", "212", "241" } }

-- A handler names what it is given, whether it needs it or not.
files["scripts"] = { unused_args = false }

-- The engine's own half may put its coroutines in place of Lua's.
files["lua/lunesse"] = { globals = { "coroutine" } }

files["spec"] = { std = "+busted", read_globals = { "eventually" } }
files["spec/helper.lua"] = { globals = { "eventually" } }
files[".luacheckrc"] = { ignore = { "111", "112", "131" } }
