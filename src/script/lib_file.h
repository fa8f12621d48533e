// SPDX-License-Identifier: MIT
//
// Files as answers: what `response:file` and `server:static` (lua/lunesse/) stand on.
#pragma once

#include <lauxlib.h>
#include <lua.h>

/// The functions `file`, `is_public` and `beside`.
extern const luaL_Reg lib_file_functions[];
