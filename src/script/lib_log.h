// SPDX-License-Identifier: MIT
//
// `lunesse.log`: records of the server's log, written by scripts.
#pragma once

#include <lauxlib.h>

/// log(level, text, [fields])
extern const luaL_Reg lib_log_functions[];
