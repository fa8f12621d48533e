// SPDX-License-Identifier: MIT
//
// `coroutine.resume` and `coroutine.wrap` for scripts whose own coroutines wait. When something
// inside such a coroutine waits for the engine (sleep, send), the wait passes through the script's
// resume up to the task, and the result passes back down; the script never sees it.
#pragma once

#include <lauxlib.h>

/// resume, wrap: they take the place of the standard library's.
extern const luaL_Reg lib_coroutine_functions[];
