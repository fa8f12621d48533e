# SPDX-License-Identifier: MIT
#
# Writes OUTPUT, a C file that holds the Lua files FILES as the array `embedded_lua` of
# src/script/embedded.h. The module name of lua/lunesse/server.lua is "lunesse.server", that of
# lua/lunesse/init.lua is "lunesse". Run by the build, again whenever one of the files changes.
set(arrays "")
set(entries "")
set(count 0)
foreach(file IN LISTS FILES)
  cmake_path(GET file STEM stem)
  set(module "lunesse.${stem}")
  if(stem STREQUAL "init")
    set(module "lunesse")
  endif()
  file(READ ${file} hex HEX)
  file(SIZE ${file} len)
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
  string(REGEX REPLACE "((0x..,){16})" "\\1\n    " bytes "${bytes}")
  string(APPEND arrays "static const unsigned char file_${count}[] = {\n    ${bytes}0x00};\n")
  string(APPEND entries "    {\"${module}\", file_${count}, ${len}},\n")
  math(EXPR count "${count} + 1")
endforeach()

file(WRITE ${OUTPUT} "// Made by cmake/embed.cmake.
#include \"script/embedded.h\"

${arrays}
const struct embedded_lua embedded_lua[] = {
${entries}    {NULL, NULL, 0},
};

const size_t embedded_lua_count = ${count};
")
