# SPDX-License-Identifier: MIT
#
# Finds the HTTP parser llhttp as the target LLHTTP::LLHTTP: an installed libllhttp where there is
# one, otherwise the C sources that Debian's node-llhttp packages, built here as a static library.
# The lenient modes of the parser stay off; strict mode has to be asked for at compile time.
find_package(PkgConfig QUIET)
if(PKG_CONFIG_FOUND)
  pkg_check_modules(LLHTTP_PC QUIET IMPORTED_TARGET libllhttp)
endif()

if(LLHTTP_PC_FOUND)
  add_library(LLHTTP::LLHTTP ALIAS PkgConfig::LLHTTP_PC)
  set(LLHTTP_WHERE "libllhttp ${LLHTTP_PC_VERSION}")
else()
  find_path(LLHTTP_SOURCE_DIR llhttp.c PATHS /usr/share/llhttp NO_DEFAULT_PATH)
  find_path(LLHTTP_INCLUDE_DIR llhttp.h PATHS /usr/share/include PATH_SUFFIXES llhttp
            NO_DEFAULT_PATH)
  if(LLHTTP_SOURCE_DIR AND LLHTTP_INCLUDE_DIR)
    set(LLHTTP_WHERE ${LLHTTP_SOURCE_DIR})
    add_library(llhttp STATIC
      ${LLHTTP_SOURCE_DIR}/api.c ${LLHTTP_SOURCE_DIR}/http.c ${LLHTTP_SOURCE_DIR}/llhttp.c)
    target_include_directories(llhttp SYSTEM PUBLIC ${LLHTTP_INCLUDE_DIR})
    target_compile_definitions(llhttp PUBLIC LLHTTP_STRICT_MODE=1)
    target_compile_options(llhttp PRIVATE -w)
    add_library(LLHTTP::LLHTTP ALIAS llhttp)
  endif()
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LLHTTP REQUIRED_VARS LLHTTP_WHERE
  REASON_FAILURE_MESSAGE "Install libllhttp-dev, or node-llhttp, which has the sources.")
