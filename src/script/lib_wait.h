// SPDX-License-Identifier: MIT
//
// The C half of `lunesse.wait`: the running task waits until a descriptor is ready. The Lua half is
// lua/lunesse/wait.lua, which alone calls this and has checked what scripts say.
#pragma once

#include <lauxlib.h>

/// Functions of lunesse.core.
extern const luaL_Reg lib_wait_functions[];
