-- How busted runs the specs here: `lunesse test`, or plain `busted`.
return {
  _all = {
    cpath = "@MODULES@;./?.so", -- where lunesse.test is
    lua = _VERSION ~= "Lua 5.4" and "lua5.4" or nil, -- which it needs
  },
  default = { ROOT = { "spec" } },
}
