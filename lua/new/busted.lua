-- How busted runs the specs here: `lunesse test`, or plain `busted`.
return {
  _all = { cpath = "@MODULES@;./?.so" }, -- where lunesse.test is
  default = { ROOT = { "spec" } },
}
