// SPDX-License-Identifier: MIT
//
// The C half of `lunesse.http`: pools of connections to other servers, and requests that the
// running task waits for. The Lua half is lua/lunesse/http.lua, which alone calls these functions
// and has checked what scripts say.
#pragma once

#include <lauxlib.h>
#include <lua.h>

/// Makes the metatables of the two userdata.
void lib_http_register(lua_State *L);

/// Functions of lunesse.core.
extern const luaL_Reg lib_http_functions[];
