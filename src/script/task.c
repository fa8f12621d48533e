// SPDX-License-Identifier: MIT
//
// The life of a task. `task_new` takes a coroutine from the scheduler and moves the function and
// its arguments there. `run` resumes it. If it comes back parked, it stays where it is until
// `task_wake` makes it ready or `task_cancel` ends it. If it comes back in any other way, `end`
// reports a failure and `release` takes the task out of every list, closes the coroutine, gives
// that back, tells the request scope, and frees the task.
//
// The order in `release` matters. Closing a coroutine runs code of the script, which can reach any
// list and any other task; it must not find this one there.
//
// Tasks that have joined others make trees. A task leaves the tree when it is released, and a
// joiner is released after all that it has joined. So a tree is cancelled from its leaves on: at
// once by `end_joined`, or by `task_cancel_later`, which puts them into the list of ready tasks in
// this order. No function here calls itself for that, because a script decides how deep a tree is.
#include "script/task.h"

#include "base/check.h"
#include "base/slab.h"
#include "net/loop.h"
#include "script/call.h"
#include "script/collector.h"
#include "script/guard.h"
#include "script/parts.h"
#include "script/scheduler.h"
#include "script/stack.h"
#include "script/state.h"

#include <lauxlib.h>

static void make_room(struct task *task, int value_count);
static void run(struct task *task);
static void begin_wait(lua_State *L, task_undo_fn undo, void *arg);
static void unpark(struct task *task);
static void make_ready(struct task *task);
static struct task *first_leaf(struct task *task);
static struct task *next_in_tree(const struct task *task);
static void cancel_one_later(struct task *task);
static void end_joined(struct task *task);
static void leave_joiner(struct task *task);
static void end(struct task *task, enum call_outcome outcome);
static void report(struct task *task);
static void release(struct task *task, bool is_sound);
static void end_members(struct task *task);
static void close_inner(struct task *task);

struct task *task_new(lua_State *L, int argument_count)
{
    struct task *task = slab_new(struct task);
    struct parts *parts = parts_of(L);
    STACK_BEGIN(L);
    OWNED(&parts->options->loop->owner);
    DCHECK(argument_count >= 0 && lua_isfunction(L, -argument_count - 1));
    task->parts = parts;
    list_append(scheduler_tasks(parts->scheduler), &task->node);
    list_init(&task->ready_node);
    list_init(&task->scope_node);
    list_init(&task->_joined);
    list_init(&task->_joined_node);
    list_init(&task->wait_node);
    timer_init(&task->timer, &parts->options->loop->timers, NULL);
    task->L = scheduler_take_thread(parts->scheduler, &task->thread_ref);
    make_room(task, argument_count + 1);
    lua_xmove(L, task->L, argument_count + 1);
    task->waiting = task->L;
    task->_value_count = argument_count;
    DCHECK_STACK(L, -argument_count - 1);
    DEBUG_CALL(task_check(task));
    return task;
}

void task_start(struct task *task)
{
    OWNED(&task->parts->options->loop->owner);
    DCHECK(task->state == TASK_READY && !list_is_linked(&task->ready_node));
    make_ready(task);
}

void task_start_now(struct task *task)
{
    OWNED(&task->parts->options->loop->owner);
    run(task);
}

void task_tell(struct task *task, const struct task_watcher *watcher, void *arg)
{
    OWNED(&task->parts->options->loop->owner);
    DCHECK(watcher == NULL || watcher->on_ended != NULL);
    task->_watcher = watcher;
    task->_watcher_arg = arg;
}

void *task_watcher_arg(const struct task *task, const struct task_watcher *watcher)
{
    return task->_watcher == watcher ? task->_watcher_arg : NULL;
}

bool task_is_parking(const struct task *task)
{
    return task->_is_parking;
}

int task_value_count(const struct task *task, const lua_State *coroutine)
{
    return task->waiting == coroutine ? task->_value_count : 0;
}

struct task *task_running(lua_State *L)
{
    return scheduler_running(parts_of(L)->scheduler);
}

struct task *task_current(lua_State *L)
{
    struct task *task = task_running(L);
    CHECK(task != NULL);
    return task;
}

bool task_can_park(lua_State *L)
{
    return task_running(L) != NULL && !guard_forbids_waits(parts_of(L)->guard) &&
           lua_isyieldable(L);
}

int task_park(lua_State *L, task_undo_fn undo, void *arg)
{
    begin_wait(L, undo, arg);
    return lua_yield(L, 0);
}

int task_park_then(lua_State *L, task_undo_fn undo, void *arg, lua_KFunction then,
                   lua_KContext context)
{
    begin_wait(L, undo, arg);
    return lua_yieldk(L, 0, context, then);
}

void task_join(struct task *task)
{
    struct task *joiner = task_current(task->parts->L);
    DCHECK(task != joiner && task->_joiner == NULL);
    DCHECK(joiner->state == TASK_RUNNING && !joiner->_is_cancelled);
    task->_joiner = joiner;
    list_append(&joiner->_joined, &task->_joined_node);
}

void task_member_join(struct task_member *member, struct task *task)
{
    OWNED(&task->parts->options->loop->owner);
    DCHECK(member->_place == NULL && member->on_task_end != NULL);
    member->_next = task->_members;
    member->_place = &task->_members;
    if (member->_next != NULL) {
        member->_next->_place = &member->_next;
    }
    task->_members = member;
}

void task_member_leave(struct task_member *member)
{
    if (member->_place != NULL) {
        *member->_place = member->_next;
        if (member->_next != NULL) {
            member->_next->_place = member->_place;
        }
        member->_next = NULL;
        member->_place = NULL;
    }
}

struct task *task_joiner(const struct task *task)
{
    return task->_joiner;
}

void task_cancel_others_later(struct task *task)
{
    OWNED(&task->parts->options->loop->owner);
    DCHECK(task->_joiner != NULL);
    LIST_EACH (node, after, &task->_joiner->_joined) {
        struct task *other = LIST_ITEM(node, struct task, _joined_node);
        if (other != task) {
            task_cancel_later(other);
        }
    }
}

/// The loop's own time stands still while a script runs, so a wait is counted by the clock.
void task_arm_timer(struct task *task, uint64_t delay_ms, timer_fn fired)
{
    DCHECK(!timer_is_armed(&task->timer));
    task->timer.fired = fired;
    timer_arm_at(&task->timer, clock_ns() / 1000000 + delay_ms);
}

void task_wake(struct task *task, int value_count)
{
    OWNED(&task->parts->options->loop->owner);
    DCHECK(task->state == TASK_PARKED && !list_is_linked(&task->wait_node));
    DCHECK(value_count >= 0);
    DEBUG_CALL(task_check(task));
    task->_undo = NULL;
    task->_value_count = value_count;
    make_ready(task);
}

void task_wake_with(struct task *task, int value_count)
{
    DCHECK(lua_gettop(task->parts->L) >= value_count && task->waiting != task->parts->L);
    lua_xmove(task->parts->L, task->waiting, value_count);
    task_wake(task, value_count);
}

void task_cancel(struct task *task)
{
    OWNED(&task->parts->options->loop->owner);
    DEBUG_CALL(task_check(task));
    if (task->state == TASK_RUNNING) {
        task->_is_cancelled = true;
        return;
    }
    end_joined(task);
    unpark(task);
    release(task, true);
}

void task_cancel_later(struct task *task)
{
    OWNED(&task->parts->options->loop->owner);
    DEBUG_CALL(task_check(task));
    struct task *each = first_leaf(task);
    for (; each != task; each = next_in_tree(each)) {
        cancel_one_later(each);
    }
    cancel_one_later(task);
}

bool task_is_cancelled(const struct task *task)
{
    return task->_is_cancelled;
}

void task_cancel_all(struct parts *parts)
{
    OWNED(&parts->options->loop->owner);
    struct list *tasks = scheduler_tasks(parts->scheduler);
    while (!list_is_empty(tasks)) {
        task_cancel(LIST_ITEM(tasks->next, struct task, node));
    }
}

void task_run(struct list *ready_node)
{
    struct task *task = LIST_ITEM(ready_node, struct task, ready_node);
    if (task->_is_cancelled) {
        task_cancel(task);
    } else {
        run(task);
    }
}

void task_check(const struct task *task)
{
    bool is_running = scheduler_running(task->parts->scheduler) == task;
    CHECK(list_is_linked(&task->node)); // a task that was released is in no list
    CHECK(parts_of(task->L) == task->parts && parts_of(task->waiting) == task->parts);
    CHECK((task->scope != NULL) == list_is_linked(&task->scope_node));
    CHECK((task->_joiner != NULL) == list_is_linked(&task->_joined_node));
    CHECK(task->state == TASK_READY || !list_is_linked(&task->ready_node));
    CHECK(task->_undo == NULL || task->state == TASK_PARKED);
    CHECK(!is_running || task->state != TASK_READY);
}

/// Makes room for the function and its arguments on the stack of the new task. Every stack has room
/// for LUA_MINSTACK values. Lifts the memory limit, because the task is already in the list of
/// tasks and an error would leave it there.
static void make_room(struct task *task, int value_count)
{
    if (value_count > LUA_MINSTACK) {
        bool was_capped = state_cap(task->parts->state, false);
        int has_room = lua_checkstack(task->L, value_count);
        CHECK(has_room);
        state_cap(task->parts->state, was_capped);
    }
}

static void run(struct task *task)
{
    int result_count = 0;
    int argument_count = task->waiting == task->L ? task->_value_count : 0;
    DCHECK(task->state == TASK_READY && !list_is_linked(&task->ready_node));
    DCHECK(lua_gettop(task->waiting) >= task->_value_count);
    DEBUG_CALL(task_check(task));
    task->state = TASK_RUNNING;
    task->_is_parking = false;
    scheduler_set_running(task->parts->scheduler, task);
    enum call_outcome outcome = call_resume(task->L, argument_count, &result_count);
    scheduler_set_running(task->parts->scheduler, NULL);
    if (outcome == CALL_PARKED && task->state == TASK_PARKED && !task->_is_cancelled) {
        DEBUG_CALL(task_check(task));
        return;
    }
    end(task, outcome);
}

/// A task that yielded without having been parked has called `coroutine.yield` outside of any
/// coroutine that the script made: a mistake of the script.
static void end(struct task *task, enum call_outcome outcome)
{
    struct parts *parts = task->parts;
    end_joined(task);
    unpark(task);
    switch (outcome) {
    case CALL_DONE:
        lua_settop(task->L, 0);
        break;
    case CALL_PARKED:
        if (!task->_is_cancelled) {
            luaL_traceback(parts->L, task->L, "coroutine.yield outside a coroutine of the script",
                           0);
            report(task);
        }
        break;
    case CALL_FAILED:
    case CALL_TIMED_OUT:
    case CALL_NO_MEMORY:
        report(task);
        break;
    }
    bool has_failed = outcome != CALL_DONE && outcome != CALL_PARKED;
    release(task, !has_failed);
    if (has_failed && state_was_refused(parts->state)) {
        collector_relieve(parts->collector);
    }
}

/// Tells the task's watcher, or else the scheduler's owner, that the task has failed.
/// [message] -> [] on the main stack.
static void report(struct task *task)
{
    size_t len = 0;
    const char *text = lua_tolstring(task->parts->L, -1, &len);
    STACK_BEGIN(task->parts->L);
    DCHECK(text != NULL);
    const struct task_watcher *watcher = task->_watcher;
    if (watcher != NULL && watcher->on_failed != NULL) {
        watcher->on_failed(task, bytes_of(text, len), task->_watcher_arg);
    } else {
        scheduler_events(task->parts->scheduler)->on_failed(task, bytes_of(text, len));
    }
    DCHECK_STACK(task->parts->L, 0);
    lua_pop(task->parts->L, 1);
}

static void begin_wait(lua_State *L, task_undo_fn undo, void *arg)
{
    struct task *task = task_current(L);
    DCHECK(task->state == TASK_RUNNING && task->_undo == NULL);
    DCHECK(undo != NULL && task_can_park(L));
    task->state = TASK_PARKED;
    task->_is_parking = true;
    task->waiting = L;
    task->_value_count = 0;
    task->_undo = undo;
    task->_undo_arg = arg;
}

static void unpark(struct task *task)
{
    task_undo_fn undo = task->_undo;
    task->_undo = NULL;
    list_remove(&task->ready_node);
    if (undo != NULL) {
        undo(task, task->_undo_arg);
    }
}

static void make_ready(struct task *task)
{
    task->state = TASK_READY;
    scheduler_add_ready(task->parts->scheduler, &task->ready_node);
}

/// The first task of the tree below `task` that has joined none; `task` itself if it has not.
static struct task *first_leaf(struct task *task)
{
    while (!list_is_empty(&task->_joined)) {
        task = LIST_ITEM(task->_joined.next, struct task, _joined_node);
    }
    return task;
}

/// The task that comes behind `task` when each one follows those that it has joined.
static struct task *next_in_tree(const struct task *task)
{
    const struct list *next = task->_joined_node.next;
    return next == &task->_joiner->_joined ? task->_joiner
                                           : first_leaf(LIST_ITEM(next, struct task, _joined_node));
}

static void cancel_one_later(struct task *task)
{
    task->_is_cancelled = true;
    if (task->state == TASK_PARKED) {
        unpark(task);
        list_remove(&task->wait_node);
        make_ready(task);
    }
}

/// Releases all tasks of the tree below `task`. Each is taken out of the tree before code of the
/// script runs.
static void end_joined(struct task *task)
{
    struct task *each = first_leaf(task);
    while (each != task) {
        struct task *joiner = each->_joiner;
        DCHECK(each->state != TASK_RUNNING);
        unpark(each);
        release(each, true);
        each = first_leaf(joiner);
    }
}

/// Wakes the joiner when it waits for no other task.
static void leave_joiner(struct task *task)
{
    struct task *joiner = task->_joiner;
    task->_joiner = NULL;
    list_remove(&task->_joined_node);
    if (list_is_empty(&joiner->_joined) && joiner->state == TASK_PARKED) {
        task_wake(joiner, 0);
    }
}

/// Takes the task out of every list before the coroutine is closed, because closing runs code of
/// the script. `is_sound` says that the code did not fail.
static void release(struct task *task, bool is_sound)
{
    struct scope *scope = task->scope;
    DCHECK(task->_undo == NULL && !list_is_linked(&task->ready_node));
    CHECK(list_is_empty(&task->_joined));
    list_remove(&task->node);
    list_remove(&task->scope_node);
    list_remove(&task->wait_node);
    timer_deinit(&task->timer);
    end_members(task);
    if (task->_watcher != NULL) {
        task->_watcher->on_ended(task, task->_watcher_arg);
    }
    if (task->_joiner != NULL) {
        leave_joiner(task);
    }
    if (task->state != TASK_RUNNING) {
        close_inner(task);
    }
    bool is_closed = lua_status(task->L) == LUA_OK && lua_gettop(task->L) == 0;
    if (!is_closed) {
        is_closed = call_close(task->parts, task->L);
    }
    scheduler_give_thread_back(task->parts->scheduler, task->L, task->thread_ref,
                               is_sound && is_closed);
    if (scope != NULL) {
        scheduler_events(task->parts->scheduler)->on_ended(scope);
    }
    slab_free(task);
}

static void end_members(struct task *task)
{
    while (task->_members != NULL) {
        struct task_member *member = task->_members;
        task_member_leave(member);
        member->on_task_end(member);
    }
}

/// Closes the script's own coroutines through which the task waits, from the innermost outwards, as
/// an error there would. Each coroutine is at index 1 of the one that resumed it (see
/// lib_coroutine.c).
static void close_inner(struct task *task)
{
    while (task->waiting != task->L) {
        lua_State *outer = task->L;
        while (lua_tothread(outer, 1) != task->waiting) {
            outer = lua_tothread(outer, 1);
            CHECK(outer != NULL);
        }
        IGNORE(call_close(task->parts,
                          task->waiting)); // the coroutine is the script's, and is not used again
        task->waiting = outer;
    }
}
