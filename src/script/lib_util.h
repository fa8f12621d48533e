// SPDX-License-Identifier: MIT
//
// Small functions of the core module: clocks, version, percent-decoding.
#pragma once

#include <lauxlib.h>

/// The functions `now`, `clock`, `version`, `worker`, `form` and `whole`.
extern const luaL_Reg lib_util_functions[];

/// The function `advance`, which scripts get with --test-clock alone.
extern const luaL_Reg lib_util_test_functions[];
