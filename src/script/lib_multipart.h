// SPDX-License-Identifier: MIT
//
// The C half of `request:multipart`: a reader of multipart/form-data, which is fed the pieces of a
// body. The Lua half is lua/lunesse/multipart.lua, which alone calls these functions.
#pragma once

#include <lauxlib.h>

/// Functions of lunesse.core.
extern const luaL_Reg lib_multipart_functions[];
