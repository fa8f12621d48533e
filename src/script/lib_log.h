// SPDX-License-Identifier: MIT
//
// `lunesse.log`: records of the server's log, written by scripts.
#pragma once

#include <lauxlib.h>

/// The functions `log` and `log_is_on`, on which lua/lunesse/log.lua stands.
extern const luaL_Reg lib_log_functions[];
