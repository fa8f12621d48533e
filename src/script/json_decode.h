// SPDX-License-Identifier: MIT
//
// Turns JSON texts into Lua values. No packaged C library keeps what scripts are promised: an array
// stays an array, empty or not; every integer of 64 bits stays whole; a mistake is named with its
// line and column; and a long text is decoded in slices. So this is our own, on top of the reader
// in wire/. All that it makes belongs to Lua, so nothing leaks when memory runs out, or when the
// task is cancelled while it waits.
#pragma once

#include <lua.h>

/// Decodes the string on top of the stack and returns from the binding: `return
/// json_decode_or_raise(L);` with a value, or `nil, message, "EJSON"`. Takes the whole stack of the
/// call. *May park the task.*
int json_decode_or_raise(lua_State *L);
