// SPDX-License-Identifier: MIT
//
// A running handler, timer or callback: a coroutine that may wait.
//
//     READY --resumed--> RUNNING --returns, raises--> ENDED (freed)
//       ^                   |
//       +--task_wake-- PARKED
//
// Any state but RUNNING can be cancelled; a running task that is cancelled ends when it next waits.
// Owned by its generation; may belong to a scope, which cancels it. A parked task has one undo
// slot: every way of leaving (wake, cancel, end of the state) clears the slot first and runs it at
// most once.
#pragma once

#include "base/list.h"
#include "net/loop.h"
#include "net/timer.h"

#include <lua.h>
#include <stdbool.h>

struct parts;
struct replica;
struct scope;
struct task;

enum task_state { TASK_READY, TASK_RUNNING, TASK_PARKED };

/// Takes the task out of whatever it waits for. Must not call Lua.
typedef void (*task_undo_fn)(struct task *task, void *arg);

/// What the starter wants to know: the task ended and is about to be freed. *May call Lua*
/// indirectly, by starting other tasks, but never runs them on the spot.
typedef void (*task_ended_fn)(struct task *task, void *arg);

struct task {
    struct list node;       // in `scheduler_tasks`
    struct list ready_node; // of the scheduler
    struct list scope_node; // scope->tasks
    struct parts *parts;
    struct scope *scope; // NULL when it belongs to none
    lua_State *L;
    int thread_ref;
    lua_State *waiting;    // the coroutine that waits: L, or one that the script made inside it
    int _value_count;      // values to resume `waiting` with, on its stack
    struct list wait_node; // in the list of whatever it waits for
    struct replica *wait_replica; // that it published to; see lib_channel.c
    uint64_t wait_sequence;
    struct timer timer; // for sleep
    task_undo_fn _undo;
    void *_undo_arg;
    task_ended_fn _on_ended;
    void *_ended_arg;
    uint8_t state;     // enum task_state
    bool is_cancelled; // ends when it next waits
    bool _is_parking;  // is on its way out to wait, through coroutines of the script
    bool is_handler;   // the route's handler: it owes an answer
    bool is_of_load;   // of a timer that was made while the scripts loaded
};

/// A task for the function and its `argument_count` arguments on top of `L`'s stack, which are
/// taken. The caller starts it, before it does anything else that may call Lua.
struct task *task_new(lua_State *L, int argument_count);

/// Has a new task run at the end of this turn.
void task_start(struct task *task);

/// Runs a new task now. *Calls Lua.* The task may be gone afterwards.
void task_start_now(struct task *task);

/// Has `ended` called when the task has ended; NULL for nothing. Until then `arg` stays.
void task_tell_end(struct task *task, task_ended_fn ended, void *arg);

/// Whether the task is on its way out to wait, through coroutines of the script.
bool task_is_parking(const struct task *task);

/// How many values of `task_wake` are on the stack of `coroutine`.
int task_value_count(const struct task *task, const lua_State *coroutine);

/// The task that runs now; NULL where none does.
struct task *task_running(lua_State *L);

/// The task that runs now in `L`, to be parked by a binding. CHECKs that one does.
struct task *task_current(lua_State *L);

/// Whether the running task could wait here: not inside a metamethod, a sort comparator or a
/// closing variable.
bool task_can_park(lua_State *L);

/// Parks the running task; a binding says `return task_park(L, undo, arg);` and whatever is passed
/// to `task_wake` is what the binding then returns to the script. Does not return when the task was
/// cancelled meanwhile.
int task_park(lua_State *L, task_undo_fn undo, void *arg);

/// The same, but `then` goes on when the task resumes, with the stack as it is and what was passed
/// to `task_wake` on top.
int task_park_then(lua_State *L, task_undo_fn undo, lua_KFunction then, lua_KContext context);

/// Ends the wait of a parked task: the undo slot is cleared without being run. The task resumes at
/// the end of the turn with the `value_count` values that the caller then pushes to
/// `task->waiting`, before the turn ends.
void task_wake(struct task *task, int value_count);

/// Ends the task: undone, closed (to-be-closed variables run) and freed; a running one when it next
/// waits. *Calls Lua.*
void task_cancel(struct task *task);

/// The same for every task that there is. *Calls Lua.*
void task_cancel_all(struct parts *parts);

/// Runs the task of that node. For the scheduler. *Calls Lua.*
void task_run(struct list *ready_node);
