// SPDX-License-Identifier: MIT
//
// `lunesse.pool`: functions of a module that run in threads while a task waits. This is the C half;
// lua/lunesse/pool.lua is the face. A pool is a userdata, and is closed when Lua collects it, or
// with its generation.
#pragma once

#include <lauxlib.h>
#include <lua.h>

/// The table of the registry whose keys are the names of the modules of pools.
#define LIB_POOL_MODULES "lunesse.pool.modules"

/// The functions `pool_open` and `pool_call`.
extern const luaL_Reg lib_pool_functions[];

/// Makes the metatable of pools. Raises only when memory runs out.
void lib_pool_register(lua_State *L);
