// SPDX-License-Identifier: MIT
//
// The only door from C into Lua. Every entry is protected, measured against `run_timeout` (see
// guard.h), and has one of five outcomes; the three bad ones leave a message on the main stack,
// with traceback unless loading ran out of memory. A run that did not compute for so long, but took
// so long by the clock on the wall, leaves a warning.
#pragma once

#include <lua.h>
#include <stdbool.h>

struct parts;

enum call_outcome {
    CALL_DONE,      // returned; its results are on the stack
    CALL_PARKED,    // waits; the task's undo slot is set
    CALL_FAILED,    // raised
    CALL_TIMED_OUT, // passed `run_timeout`
    CALL_NO_MEMORY, // passed `lua_bytes`
};

/// Resumes a task's coroutine with the `argument_count` values on top of its stack. A failed one
/// keeps its error for closing variables. *Calls Lua.*
enum call_outcome call_resume(lua_State *coroutine, int argument_count, int *result_count);

/// Calls the function below `argument_count` arguments on the main stack, for loading scripts.
/// Leaves `result_count` results, or a message. *Calls Lua.*
enum call_outcome call_main(struct parts *parts, int argument_count, int result_count);

/// Closes a coroutine: pending to-be-closed variables run, guarded anew. False when one of them, or
/// the coroutine before, failed. *Calls Lua.*
bool call_close(struct parts *parts, lua_State *coroutine);

/// Collects garbage for about `step_kib` KiB of work. True when a whole cycle is complete. *Calls
/// Lua* (finalizers of scripts).
bool call_collect(struct parts *parts, int step_kib);

/// Pushes a failed coroutine's error on the main stack.
void call_push_error(struct parts *parts, lua_State *coroutine);

/// Closes a coroutine within a run; nothing can wait meanwhile. Returns as `lua_closethread`.
/// *Calls Lua.*
int call_close_inside(lua_State *coroutine);
