// SPDX-License-Identifier: MIT
//
// A task: a handler, timer or callback that has been started. It is a coroutine that may wait.
//
//     READY --resumed--> RUNNING --returns, raises--> ENDED (freed)
//       ^                   |
//       +--task_wake-- PARKED
//
// `task_cancel` ends a task in any state. A task that is RUNNING cannot be closed under its own
// feet, so it is marked, and ends when it next waits. Code of a script calls `task_cancel_later`
// instead: closing a coroutine is a run of its own, and runs are not nested.
//
// A task is owned by its generation. It may belong to a scope, which then cancels it. It may wait
// for tasks that it has joined: those end before it does, however it ends. A parked task has one
// undo slot, which takes it out of whatever it waits for. Every way out of the wait (wake, cancel,
// end of the state) clears the slot first, and the slot's function runs at most once. What a task
// has opened may be its member: it is told when the task has ended.
#pragma once

#include "base/bytes.h"
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

/// Takes the task out of what it waits for. Must not call Lua.
typedef void (*task_undo_fn)(struct task *task, void *arg);

/// What whoever started a task is told of it. Neither function may call code of scripts; they may
/// start and wake other tasks, which run later.
struct task_watcher {
    /// The task failed with `message`, traceback included. NULL: it fails as any task does.
    void (*on_failed)(struct task *task, struct bytes message, void *arg);

    /// The task has ended, one way or the other, and is freed next.
    void (*on_ended)(struct task *task, void *arg);
};

/// Something that ends with a task: a part of its struct. Zeroed memory is no task's member.
struct task_member {
    /// The task has ended, and this is its member no more. Must not call Lua.
    void (*on_task_end)(struct task_member *member);
    struct task_member *_next;
    struct task_member **_place; // where the pointer to it stands; NULL for no task's member
};

struct task {
    struct list node;       // in `scheduler_tasks`
    struct list ready_node; // in the scheduler's list of ready tasks
    struct list scope_node; // scope->tasks
    struct parts *parts;
    struct scope *scope; // the request scope that it belongs to; NULL for none
    lua_State *L;
    int thread_ref;
    int _value_count;   // how many values are on the stack of `waiting`, to resume it with
    lua_State *waiting; // the coroutine that waits: L, or one of the script's inside it
    struct task_member *_members;
    struct list _joined;          // the tasks that it waits for, and that end before it
    struct list _joined_node;     // _joiner->_joined
    struct task *_joiner;         // who waits for it and ends after it; NULL for nobody
    struct list wait_node;        // in the list of whatever it waits for
    struct replica *wait_replica; // where it published and waits for room; see lib_channel.c
    uint64_t wait_sequence;
    struct timer timer; // ends a sleep
    task_undo_fn _undo;
    void *_undo_arg;
    const struct task_watcher *_watcher; // NULL for none
    void *_watcher_arg;
    uint8_t state;      // enum task_state
    bool _is_cancelled; // it ends when it next waits
    bool _is_parking;   // a yield passes through coroutines of the script up to `L`
    bool is_handler;    // it is the route's handler, or `on_error`, and owes an answer
    bool is_of_load;    // it runs a timer that was made while the scripts loaded
};

/// Makes a task of the function and its `argument_count` arguments on top of `L`'s stack, which are
/// taken off. The caller must start the task before it does anything that may call Lua.
struct task *task_new(lua_State *L, int argument_count);

/// Starts a new task: it runs when this turn ends.
void task_start(struct task *task);

/// Starts a new task and runs it now. The task may be freed when this returns. *Calls Lua.*
void task_start_now(struct task *task);

/// Has `watcher` told of the task; NULL for nobody. `arg` must be valid until the task has ended.
void task_tell(struct task *task, const struct task_watcher *watcher, void *arg);

/// The `arg` that `watcher` is told of the task with; NULL when the task tells another.
void *task_watcher_arg(const struct task *task, const struct task_watcher *watcher);

/// Whether the task has asked to wait and its yield still passes through coroutines of the script.
bool task_is_parking(const struct task *task);

/// How many values `task_wake` has announced on the stack of `coroutine`.
int task_value_count(const struct task *task, const lua_State *coroutine);

/// The task that runs now; NULL for none.
struct task *task_running(lua_State *L);

/// The task that runs now. CHECKs that there is one.
struct task *task_current(lua_State *L);

/// Whether the running task can wait here. It cannot inside a metamethod, a sort comparator or a
/// closing variable.
bool task_can_park(lua_State *L);

/// Parks the running task. A binding says `return task_park(L, undo, arg);`, and returns to the
/// script the values that come with `task_wake`. If the task was cancelled meanwhile, the binding
/// never returns.
int task_park(lua_State *L, task_undo_fn undo, void *arg);

/// Parks the running task as `task_park` does. When the task resumes, `then` runs in the place of
/// the binding's return, with the stack as it was and the values of `task_wake` on top.
int task_park_then(lua_State *L, task_undo_fn undo, void *arg, lua_KFunction then,
                   lua_KContext context);

/// Has the running task wait for `task` when it parks next: `task` ends before it, however it ends,
/// and it is woken when the last one that it has joined has ended. It must park in the same run.
void task_join(struct task *task);

/// Has `member` told when the task ends. It must leave before its memory goes.
void task_member_join(struct task_member *member, struct task *task);

/// Ends the membership. Idempotent.
void task_member_leave(struct task_member *member);

/// The task that has joined it; NULL for none.
struct task *task_joiner(const struct task *task);

/// Cancels, when this turn ends, all tasks that the joiner of `task` waits for, but `task` itself.
void task_cancel_others_later(struct task *task);

/// Has `fired` called in `delay_ms` with the task's timer, which bounds a wait of the running task.
/// The undo function has to disarm it.
void task_arm_timer(struct task *task, uint64_t delay_ms, timer_fn fired);

/// Ends the wait of a parked task. The undo slot is cleared and does not run. The task resumes when
/// the turn ends, with `value_count` values, which the caller must push to `task->waiting` before
/// then.
void task_wake(struct task *task, int value_count);

/// As `task_wake`, with the `value_count` values on top of the main coroutine, which move to the
/// task. A string is made there and not in the coroutine that waits: making it may collect garbage,
/// and a finalizer cannot call anything in a coroutine that has yielded.
void task_wake_with(struct task *task, int value_count);

/// Ends the task: the tasks that it has joined end first; its undo function runs, its coroutine is
/// closed (to-be-closed variables run), and it is freed. A task that is running ends when it next
/// waits. *Calls Lua.*
void task_cancel(struct task *task);

/// Takes the task out of what it waits for, and cancels it when this turn ends. Those that it has
/// joined are cancelled with it, and end before it. Does not call Lua, so scripts may ask for it
/// while they run.
void task_cancel_later(struct task *task);

/// Whether the task was cancelled and has not ended yet.
bool task_is_cancelled(const struct task *task);

/// Cancels every task of the generation. *Calls Lua.*
void task_cancel_all(struct parts *parts);

/// CHECKs what holds of a task between any two calls. For debug builds.
void task_check(const struct task *task);

/// Runs the task whose ready node this is. The scheduler calls it. *Calls Lua.*
void task_run(struct list *ready_node);
