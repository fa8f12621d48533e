// SPDX-License-Identifier: MIT
//
// The only door from C into Lua. Every entry is protected, measured against `run_timeout`, and has
// one of five outcomes; the three bad ones leave a message on the main stack, with traceback unless
// loading ran out of memory. A run that passes its limit is parked wherever Lua can yield and
// raised in elsewhere, and stays under guard instruction by instruction until it is out (an error
// alone could be caught by the script and looped on). The guard is against accidents, not against
// hostile scripts.
#pragma once

#include <lua.h>
#include <stdbool.h>

struct generation;
struct task;

enum call_outcome {
    CALL_DONE,      // returned; its results are on the stack
    CALL_PARKED,    // waits; the task's undo slot is set
    CALL_FAILED,    // raised
    CALL_TIMED_OUT, // passed `run_timeout`
    CALL_NO_MEMORY, // passed `lua_bytes`
};

/// Resumes the task's coroutine with the `argument_count` values on top of its stack. A failed one
/// keeps its error for closing variables. *Calls Lua.*
enum call_outcome call_task(struct task *task, int argument_count, int *result_count);

/// Calls the function below `argument_count` arguments on the main stack, for loading scripts.
/// Leaves `result_count` results, or a message. *Calls Lua.*
enum call_outcome call_main(struct generation *generation, int argument_count, int result_count);

/// Closes a coroutine: pending to-be-closed variables run, guarded anew. False when one of them, or
/// the coroutine before, failed. *Calls Lua.*
bool call_close(struct generation *generation, lua_State *coroutine);

/// Collects garbage for about `step_kib` KiB of work. True when a whole cycle is complete. *Calls
/// Lua* (finalizers of scripts).
bool call_collect(struct generation *generation, int step_kib);

/// Closes a coroutine within a run; nothing can wait meanwhile. Returns as `lua_closethread`.
/// *Calls Lua.*
int call_close_inside(lua_State *coroutine);

/// Arms the guard in a new state. Coroutines inherit it.
void call_guard(lua_State *L);
