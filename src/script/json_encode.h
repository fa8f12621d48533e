// SPDX-License-Identifier: MIT
//
// Lua values become JSON texts: arrays stay arrays, keys come in the order of their bytes, so that
// equal values are equal texts, and numbers read back as what they were. What JSON cannot hold is a
// mistake of the script, and raised at its line with the path to it. Tables are taken raw: no
// metamethod runs. All memory is Lua's, so nothing is lost when it raises, when memory runs out, or
// when the task is cancelled where it waits.
#pragma once

#include <lua.h>

/// Encodes the value at the absolute `index`, and then calls `then` with the text on top of what
/// was on the stack. A binding says `return json_encode_or_raise(L, 1, then);`. *May park the
/// task.*
int json_encode_or_raise(lua_State *L, int index, lua_CFunction then);
