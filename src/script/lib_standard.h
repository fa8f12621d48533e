// SPDX-License-Identifier: MIT
//
// The parts of Lua's own libraries that scripts get: all but those that could end the server. The
// engine's C code trusts its boxes, its upvalues, its stack and the guard's hook. The functions of
// `debug` can change all of these, and bytecode that no compiler has made can do anything. Such
// functions are replaced by ones that work on the values of scripts alone, or are left out. Modules
// in C can do anything, too; they are trusted, as is whoever has installed them.
#pragma once

#include <lua.h>

/// Opens the libraries in a new state. Fails only when memory runs out.
void lib_standard_register(lua_State *L);

/// A function for Lua: has `math.random` give the same numbers in each run, for an app of the test
/// kit.
int l_seed_random(lua_State *L);
