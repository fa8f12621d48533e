// SPDX-License-Identifier: MIT
//
// The C half of `lunesse.postgres`: connections to database servers, and queries that the running
// task waits for. The Lua half is lua/lunesse/postgres.lua, which alone calls these functions and
// has checked what scripts say.
#pragma once

#include <lauxlib.h>
#include <lua.h>

/// Makes the metatable of connections.
void lib_postgres_register(lua_State *L);

/// Functions of lunesse.core.
extern const luaL_Reg lib_postgres_functions[];
