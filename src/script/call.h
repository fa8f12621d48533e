// SPDX-License-Identifier: MIT
//
// The only way from C into Lua. Every call is protected, is measured against `run_timeout` (see
// guard.h) and ends with one of five outcomes. The three bad ones leave a message on the main
// stack, with a traceback unless loading ran out of memory. A call that stayed below `run_timeout`
// in CPU time but took longer by the clock on the wall leaves a warning in the log.
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

/// Resumes a task's coroutine with the `argument_count` values on top of its stack. A coroutine
/// that fails keeps its error on its stack, for its closing variables. *Calls Lua.*
enum call_outcome call_resume(lua_State *coroutine, int argument_count, int *result_count);

/// Calls the function below `argument_count` arguments on the main stack. Nothing can wait
/// there. Leaves `result_count` results, or a message. *Calls Lua.*
enum call_outcome call_main(struct parts *parts, int argument_count, int result_count);

/// Closes a coroutine: its pending to-be-closed variables run, as a run of their own. Returns false
/// when one of them failed, or the coroutine had failed before. *Calls Lua.*
bool call_close(struct parts *parts, lua_State *coroutine);

/// Collects garbage for about `step_kib` KiB of work. True when a whole cycle is complete. *Calls
/// Lua* (finalizers of scripts).
bool call_collect(struct parts *parts, int step_kib);

/// Pushes a failed coroutine's error on the main stack.
void call_push_error(struct parts *parts, lua_State *coroutine);

/// Closes a coroutine within the present run. Nothing can wait meanwhile. Returns what
/// `lua_closethread` returns. *Calls Lua.*
int call_close_inside(lua_State *coroutine);
