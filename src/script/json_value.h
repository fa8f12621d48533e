// SPDX-License-Identifier: MIT
//
// The values of JSON that have no form of their own in Lua. Null is a light userdata, so that it
// can be the value of a key and an item of an array. An array is a table with a metatable, so that
// an empty array differs from an empty object. An integer that Lua's numbers cannot hold exactly is
// a userdata with its digits. The registry keeps the two metatables.
#pragma once

#include "base/bytes.h"

#include <lua.h>
#include <stdbool.h>

/// Makes the two metatables. Called once for a state. Fails only when memory runs out.
void json_value_register(lua_State *L);

void json_value_push_null(lua_State *L);
bool json_value_is_null(lua_State *L, int index);

/// Pushes the metatable of arrays.
void json_value_push_array_class(lua_State *L);
bool json_value_is_array(lua_State *L, int index);

/// Pushes an integer with these digits, which are written as JSON writes them.
void json_value_push_digits(lua_State *L, struct bytes digits);

/// Whether the value is such an integer. The digits live as long as the value.
bool json_value_is_digits(lua_State *L, int index, struct bytes *digits);

/// Pushes "script.lua:5: ", the nearest line of a script, or "" when there is none.
void json_value_push_where(lua_State *L);
