# SPDX-License-Identifier: MIT
#
# The part of `make install` that depends on where things go: the units name the program by its
# path, and the manual page is what the program itself says. Variables: PROGRAM, SOURCE and VERSION;
# DESTDIR and CMAKE_INSTALL_PREFIX as for every install.
set(root "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}")

foreach(unit lunesse.service lunesse.socket)
  file(READ "${SOURCE}/dist/${unit}" text)
  string(REPLACE "/usr/local/" "${CMAKE_INSTALL_PREFIX}/" text "${text}")
  message(STATUS "Installing: ${root}/lib/systemd/system/${unit}")
  file(WRITE "${root}/lib/systemd/system/${unit}" "${text}")
endforeach()

# Two bytes begin a request of troff at the start of a line, and two are special anywhere.
execute_process(COMMAND "${PROGRAM}" --help OUTPUT_VARIABLE help COMMAND_ERROR_IS_FATAL ANY)
string(REPLACE "\\" "\\e" help "${help}")
string(REPLACE "-" "\\-" help "${help}")
string(REGEX REPLACE "(^|\n)([.'])" "\\1\\\\&\\2" help "${help}")
message(STATUS "Installing: ${root}/share/man/man1/lunesse.1")
file(WRITE "${root}/share/man/man1/lunesse.1" ".TH LUNESSE 1 \"\" \"lunesse ${VERSION}\"
.SH NAME
lunesse \\- application server for Server\\-Sent Events, scripted in Lua
.SH SYNOPSIS
.nf
${help}.fi
.SH EXIT STATUS
0 after SIGTERM or SIGINT, 1 when the scripts do not load or the address cannot be had, 2 for a
mistake on the command line.
.SH FILES
.nf
${CMAKE_INSTALL_PREFIX}/share/doc/lunesse/README.md
${CMAKE_INSTALL_PREFIX}/share/lunesse/scripts
${CMAKE_INSTALL_PREFIX}/share/lunesse/types
.fi
")
