// SPDX-License-Identifier: MIT
//
// The table `lunesse.json`: `encode`, `decode`, `array` and `null`.
#pragma once

#include <lauxlib.h>
#include <lua.h>

/// The function `json_at_once`, for the engine's own Lua.
extern const luaL_Reg lib_json_functions[];

/// Pushes the table `lunesse.json`. Called once for a state.
void lib_json_push(lua_State *L);
