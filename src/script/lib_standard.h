// SPDX-License-Identifier: MIT
//
// What scripts have of Lua's own libraries: all of it but what would end the server. C code of ours
// trusts its own boxes, upvalues and stack, and it trusts that the hook of `call.h` stays where it
// is. `debug` can change all of these, and bytecode that no compiler has made can do anything; so
// their functions are replaced by some that do the same for the values of scripts alone, or are
// gone. Modules in C can do anything too. They are trusted, as is whoever installed them.
#pragma once

#include <lua.h>

/// Opens the libraries in a new state. Raises when memory runs out.
void lib_standard_open(lua_State *L);
