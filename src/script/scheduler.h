// SPDX-License-Identifier: MIT
//
// Which tasks of a generation there are, which one runs, and which run at the end of this turn; and
// the coroutines of tasks that have ended, which carry others. Owned by its generation. It knows
// nothing of what a task is: see task.h.
#pragma once

#include "base/bytes.h"
#include "base/list.h"

#include <lua.h>
#include <stdbool.h>

struct parts;
struct scheduler;
struct task;
struct scope;

/// What those above tasks want to know of them.
struct task_events {
    /// The task failed with `message`, traceback included.
    void (*on_failed)(struct task *task, struct bytes message);

    /// A task of the scope has ended, one way or the other, and is freed next.
    void (*on_ended)(struct scope *scope);
};

/// `run` is called with the ready node of a task whose turn it is.
struct scheduler *scheduler_new(struct parts *parts, void (*run)(struct list *ready_node),
                                const struct task_events *events);

/// No task is left.
void scheduler_free(struct scheduler *scheduler);

const struct task_events *scheduler_events(const struct scheduler *scheduler);

/// All tasks that have not ended.
struct list *scheduler_tasks(struct scheduler *scheduler);

/// The task runs when this turn ends.
void scheduler_add_ready(struct scheduler *scheduler, struct list *ready_node);

/// Whether a task runs when this turn ends.
bool scheduler_has_ready(const struct scheduler *scheduler);

/// The task that runs; NULL outside Lua, while scripts load, and in finalizers between two runs.
struct task *scheduler_running(const struct scheduler *scheduler);
void scheduler_set_running(struct scheduler *scheduler, struct task *task);

/// A coroutine for a task, and the reference that keeps it.
lua_State *scheduler_take_thread(struct scheduler *scheduler, int *ref);

/// Gives the coroutine `thread` back; one that is not reusable goes. Only a coroutine that ended
/// well, or that was closed while it waited, is: an error that was raised inside the guard's hook
/// leaves hooks disabled in its coroutine for ever.
void scheduler_give_thread_back(struct scheduler *scheduler, lua_State *thread, int ref,
                                bool is_reusable);
