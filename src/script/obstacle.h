// SPDX-License-Identifier: MIT
//
// Says why the code that runs now cannot wait, in the message of a call that would have to. The
// code may be inside a C function that calls it back, in a finalizer, in a closing variable, or
// outside of any task.
#pragma once

#include <lua.h>

/// Raises "<place>: <what>; not <where it stands>", from a C function that the script has called.
int raise_obstacle(lua_State *L, const char *what);
