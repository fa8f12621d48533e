// SPDX-License-Identifier: MIT
//
// Public keys for scripts: a userdata for each, which the collector gives back. What a JSON Web Key
// says is read in lua/lunesse/crypto.lua.
#pragma once

#include <lauxlib.h>
#include <lua.h>

/// Makes the metatable of keys. Called once for a state.
void lib_public_key_register(lua_State *L);

/// The function `public_key`, for the engine's own Lua.
extern const luaL_Reg lib_public_key_core_functions[];

/// The function `verify` of `lunesse.crypto`.
extern const luaL_Reg lib_public_key_functions[];
