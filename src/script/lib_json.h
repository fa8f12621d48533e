// SPDX-License-Identifier: MIT
//
// `lunesse.json`, and what of JSON has no form of its own in Lua. Null is a light userdata, so that
// a key or an item can have it. An array is a table of a class of its own, so that an empty one is
// told from an empty object. An integer that Lua's numbers cannot give back is a userdata that
// holds its digits.
#pragma once

#include "base/bytes.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>

/// json_at_once: for the engine's own half.
extern const luaL_Reg lib_json_functions[];

/// Pushes the table `lunesse.json`. Once a state.
void lib_json_open(lua_State *L);

void lib_json_push_null(lua_State *L);
bool lib_json_is_null(lua_State *L, int index);

/// Pushes the metatable of arrays.
void lib_json_push_array_class(lua_State *L);
bool lib_json_is_array(lua_State *L, int index);

/// Pushes an integer by its digits, which are as JSON has them.
void lib_json_push_digits(lua_State *L, struct bytes digits);

/// Whether the value is such an integer. The digits live as long as it does.
bool lib_json_is_digits(lua_State *L, int index, struct bytes *digits);

/// Pushes "script.lua:5: ", the nearest line of a script, or "" when there is none.
void lib_json_push_where(lua_State *L);
