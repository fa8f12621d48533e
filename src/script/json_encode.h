// SPDX-License-Identifier: MIT
//
// Turns Lua values into JSON texts. Arrays stay arrays. Keys are written in the order of their
// bytes, so that equal values become equal texts, and numbers read back as the same numbers. A
// value that JSON cannot hold is a mistake of the script: an error is raised at the script's line,
// with the path to the value. Tables are read raw, so no metamethod runs. All memory belongs to
// Lua, so nothing leaks when an error is raised, when memory runs out, or when the task is
// cancelled while it waits.
#pragma once

#include <lua.h>

/// Encodes the value at the absolute `index`, and then calls `then` with the text on top of the
/// stack as it was. A binding says `return json_encode_or_raise(L, 1, then);`. *May park the task.*
int json_encode_or_raise(lua_State *L, int index, lua_CFunction then);
