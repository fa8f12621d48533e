// SPDX-License-Identifier: MIT
//
// The C half of `request:read` and `request:chunks`: bodies that are read while they come. The Lua
// half is lua/lunesse/request.lua.
#pragma once

#include <lauxlib.h>

/// Functions of lunesse.core.
extern const luaL_Reg lib_body_functions[];
