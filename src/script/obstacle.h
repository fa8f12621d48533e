// SPDX-License-Identifier: MIT
//
// Says why the code that runs now cannot wait, in the message of a call that would have to. The
// code may be inside a C function that calls it back, in a finalizer, in a closing variable, or
// outside of any task.
#pragma once

#include <lua.h>
#include <stdbool.h>

/// Whether the function of the record, which has "S", is in one of the engine's own Lua files.
bool obstacle_is_of_engine(const lua_Debug *record);

/// Raises "<place>: <what>; not <where it stands>", from a C function that the script has called.
int raise_obstacle(lua_State *L, const char *what);
