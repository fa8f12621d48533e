// SPDX-License-Identifier: MIT
//
// The addresses of a host's name, for which the running task waits. lua/lunesse/compat/socket.lua
// alone calls this.
#pragma once

#include <lauxlib.h>

/// Functions of lunesse.core.
extern const luaL_Reg lib_name_functions[];
