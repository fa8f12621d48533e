// SPDX-License-Identifier: MIT
//
// What of JSON has no form of its own in Lua. Null is a light userdata, so that a key or an item
// can have it. An array is a table of a class of its own, so that an empty one is told from an
// empty object. An integer that Lua's numbers cannot give back is a userdata that holds its digits.
// The state's registry keeps the two classes.
#pragma once

#include "base/bytes.h"

#include <lua.h>
#include <stdbool.h>

/// Makes the classes. Once a state. Raises only when memory runs out.
void json_value_open(lua_State *L);

void json_value_push_null(lua_State *L);
bool json_value_is_null(lua_State *L, int index);

/// Pushes the metatable of arrays.
void json_value_push_array_class(lua_State *L);
bool json_value_is_array(lua_State *L, int index);

/// Pushes an integer by its digits, which are as JSON has them.
void json_value_push_digits(lua_State *L, struct bytes digits);

/// Whether the value is such an integer. The digits live as long as it does.
bool json_value_is_digits(lua_State *L, int index, struct bytes *digits);

/// Pushes "script.lua:5: ", the nearest line of a script, or "" when there is none.
void json_value_push_where(lua_State *L);
