// SPDX-License-Identifier: MIT
//
// `coroutine.resume` and `coroutine.wrap`, for scripts whose own coroutines wait. When a function
// inside of such a coroutine waits for the engine (sleep, send), the wait passes up through the
// script's resume to the task, and its result passes back down. The script does not notice.
#pragma once

#include <lauxlib.h>

/// The functions `resume`, `wrap`, `yield` and `close`, which replace those of the standard
/// library.
extern const luaL_Reg lib_coroutine_functions[];
