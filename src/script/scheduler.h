// SPDX-License-Identifier: MIT
//
// Knows which tasks of a generation there are, which one runs, and which run when the turn ends. It
// also keeps the coroutines of tasks that have ended, for other tasks. Owned by its generation. It
// does not know what a task is: see task.h.
#pragma once

#include "base/bytes.h"
#include "base/list.h"

#include <lua.h>
#include <stdbool.h>

struct parts;
struct scheduler;
struct task;
struct scope;

/// What the files above tasks are told.
struct task_events {
    /// The task failed with `message`, traceback included.
    void (*on_failed)(struct task *task, struct bytes message);

    /// A task of the scope has ended, one way or the other, and is freed next.
    void (*on_ended)(struct scope *scope);
};

/// The tasks that scripts have spawned and that have not ended.
struct spawned {
    size_t count;
    size_t awaited_count; // those that the end of the server waits for
};

/// Makes a scheduler, which calls `run` with the ready node of each task whose turn it is.
struct scheduler *scheduler_new(struct parts *parts, void (*run)(struct list *ready_node),
                                const struct task_events *events);

/// Frees it. No task may be left.
void scheduler_free(struct scheduler *scheduler);

const struct task_events *scheduler_events(const struct scheduler *scheduler);

/// All tasks that have not ended.
struct list *scheduler_tasks(struct scheduler *scheduler);

struct spawned *scheduler_spawned(struct scheduler *scheduler);

/// Has the task run when this turn ends.
void scheduler_add_ready(struct scheduler *scheduler, struct list *ready_node);

/// Whether any task is going to run when this turn ends.
bool scheduler_has_ready(const struct scheduler *scheduler);

/// The task that runs. NULL while none does: outside of Lua, while scripts load, and in finalizers
/// that run between two tasks.
struct task *scheduler_running(const struct scheduler *scheduler);
void scheduler_set_running(struct scheduler *scheduler, struct task *task);

/// Returns a coroutine for a task, and in `ref` the reference that keeps it alive.
lua_State *scheduler_take_thread(struct scheduler *scheduler, int *ref);

/// Gives a coroutine back. One that is not reusable is left to the collector. Only a coroutine
/// whose function returned, or that was closed while it waited, is reusable: Lua leaves hooks
/// disabled for ever in a coroutine in which the guard's hook has raised.
void scheduler_give_thread_back(struct scheduler *scheduler, lua_State *thread, int ref,
                                bool is_reusable);
