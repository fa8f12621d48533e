// SPDX-License-Identifier: MIT
//
// JSON texts become Lua values. No packaged C library does what scripts are promised: that an array
// stays one, empty or not; that every integer of 64 bits stays whole; that a mistake is named with
// its line and column; and that a long text gives way to others between slices. So this is our own,
// over the reader in wire/. Everything that it makes belongs to Lua, so nothing is lost when memory
// runs out, or when the task is cancelled where it waits.
#pragma once

#include <lua.h>

/// Decodes the string on top of the stack and returns from the binding: `return
/// json_decode_or_raise(L);` with a value, or `nil, message, "EJSON"`. Takes the whole stack of the
/// call. *May park the task.*
int json_decode_or_raise(lua_State *L);
