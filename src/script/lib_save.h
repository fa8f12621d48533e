// SPDX-License-Identifier: MIT
//
// The C half of `part:save`: a file that a task writes piece by piece (files/save.h). The Lua half
// is lua/lunesse/multipart.lua, which alone calls these functions and has checked what scripts say.
#pragma once

#include <lauxlib.h>

/// Functions of lunesse.core.
extern const luaL_Reg lib_save_functions[];
