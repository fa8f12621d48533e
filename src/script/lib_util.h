// SPDX-License-Identifier: MIT
//
// Small functions of the core module: clocks, version, percent-decoding.
#pragma once

#include <lauxlib.h>

/// now, clock, version, form.
extern const luaL_Reg lib_util_functions[];

/// advance: only with --test-clock.
extern const luaL_Reg lib_util_test_functions[];
