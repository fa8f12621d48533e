# SPDX-License-Identifier: MIT
#
# Writes OUTPUT, a C file that holds the files FILES as the array NAME of HEADER, such as
# `embedded_lua` of script/embedded.h. With the MODULE "lunesse" and the BASE lua/lunesse,
# lua/lunesse/server.lua is called "lunesse.server", lua/lunesse/web/cors.lua "lunesse.web.cors" and
# lua/lunesse/init.lua "lunesse"; without a MODULE each file is called by its path. Run by the
# build, again whenever one of the files changes.
set(arrays "")
set(entries "")
set(count 0)
foreach(file IN LISTS FILES)
  cmake_path(RELATIVE_PATH file BASE_DIRECTORY ${SOURCE}/${BASE} OUTPUT_VARIABLE module)
  if(MODULE)
    string(REGEX REPLACE "\\.lua$" "" module "${module}")
    string(REPLACE "/" "." module "${MODULE}.${module}")
    string(REGEX REPLACE "\\.init$" "" module "${module}")
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
#include \"${HEADER}\"

${arrays}
const struct embedded_lua ${NAME}[] = {
${entries}    {NULL, NULL, 0},
};

const size_t ${NAME}_count = ${count};
")
