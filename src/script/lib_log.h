// SPDX-License-Identifier: MIT
//
// `lunesse.log`: records of the server's log, written by scripts.
#pragma once

#include <lauxlib.h>

/// What Lua warns of, a finalizer that failed above all, and the script's own `warn`, goes into the
/// log. `generation` is the state's; the text comes in pieces.
void lib_log_warning(void *generation, const char *piece, int has_more);

/// log(level, text, [fields])
extern const luaL_Reg lib_log_functions[];
