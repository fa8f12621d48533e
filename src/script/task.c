// SPDX-License-Identifier: MIT
#include "script/task.h"

#include "base/check.h"
#include "base/small.h"
#include "script/call.h"
#include "script/failure.h"
#include "script/generation.h"
#include "script/visit.h"

#include <lauxlib.h>

static void take_thread(struct task *task);
static void give_thread_back(struct task *task, bool is_reusable);
static void run(struct task *task);
static void begin_wait(lua_State *L, task_undo_fn undo, void *arg);
static void unpark(struct task *task);
static void make_ready(struct task *task);
static void end(struct task *task, enum call_outcome outcome);
static void report(struct task *task);
static void release(struct task *task, bool is_sound);
static void close_inner(struct task *task);

struct task *task_new(lua_State *L, int argument_count, struct visit *visit)
{
    struct task *task = small_new(struct task);
    task->generation = generation_of(L);
    list_append(&task->generation->tasks, &task->node);
    list_init(&task->ready_node);
    list_init(&task->visit_node);
    list_init(&task->wait_node);
    timer_init(&task->timer, task->generation->options.loop, NULL);
    take_thread(task);
    lua_xmove(L, task->L, argument_count + 1);
    task->waiting = task->L;
    task->value_count = argument_count;
    if (visit != NULL) {
        visit_adopt(visit, task);
    }
    return task;
}

void task_start(struct task *task)
{
    make_ready(task);
}

void task_start_now(struct task *task)
{
    run(task);
}

struct task *task_current(lua_State *L)
{
    struct task *task = generation_of(L)->running;
    CHECK(task != NULL);
    return task;
}

bool task_can_park(lua_State *L)
{
    const struct generation *generation = generation_of(L);
    return generation->running != NULL && generation->closing_count == 0 && lua_isyieldable(L);
}

int task_park(lua_State *L, task_undo_fn undo, void *arg)
{
    begin_wait(L, undo, arg);
    return lua_yield(L, 0);
}

int task_park_then(lua_State *L, task_undo_fn undo, lua_KFunction then, lua_KContext context)
{
    begin_wait(L, undo, NULL);
    return lua_yieldk(L, 0, context, then);
}

void task_wake(struct task *task, int value_count)
{
    DCHECK(task->state == TASK_PARKED);
    task->_undo = NULL;
    task->value_count = value_count;
    make_ready(task);
}

void task_cancel(struct task *task)
{
    if (task->state == TASK_RUNNING) {
        task->is_cancelled = true;
        return;
    }
    unpark(task);
    release(task, true);
}

void tasks_run_ready(struct loop_job *job)
{
    struct generation *generation = CONTAINER_OF(job, struct generation, ready_job);
    struct list batch;
    list_take(&batch, &generation->ready);
    while (!list_is_empty(&batch)) {
        struct task *task = LIST_ITEM(batch.next, struct task, ready_node);
        list_remove(&task->ready_node);
        run(task);
    }
}

bool task_owns(lua_State *coroutine)
{
    return (*(struct coroutine_mark **)lua_getextraspace(coroutine))->is_task;
}

/// Only a coroutine that ended well, or that was closed while it waited, carries another task: an
/// error that was raised inside the guard's hook leaves hooks disabled in its coroutine for ever.
/// The memory cap is lifted, because the main stack is not protected, even while a script runs.
static void take_thread(struct task *task)
{
    struct generation *generation = task->generation;
    lua_State *L = generation->L;
    if (generation->kept_thread_count > 0) {
        struct kept_thread kept = generation->kept_threads[--generation->kept_thread_count];
        task->L = kept.L;
        task->thread_ref = kept.ref;
        return;
    }
    bool is_capped = generation->is_capped;
    generation->is_capped = false;
    task->L = lua_newthread(L);
    task->thread_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    generation->is_capped = is_capped;
    *(struct coroutine_mark **)lua_getextraspace(task->L) = &task->generation->task_mark;
}

static void give_thread_back(struct task *task, bool is_reusable)
{
    struct generation *generation = task->generation;
    if (is_reusable && generation->kept_thread_count < THREADS_KEPT_MAX) {
        struct kept_thread kept = {task->L, task->thread_ref};
        generation->kept_threads[generation->kept_thread_count++] = kept;
    } else {
        luaL_unref(generation->L, LUA_REGISTRYINDEX, task->thread_ref);
    }
}

static void run(struct task *task)
{
    int result_count = 0;
    int argument_count = task->waiting == task->L ? task->value_count : 0;
    task->state = TASK_RUNNING;
    task->is_parking = false;
    enum call_outcome outcome = call_task(task, argument_count, &result_count);
    if (outcome == CALL_PARKED && task->state == TASK_PARKED && !task->is_cancelled) {
        return;
    }
    end(task, outcome);
}

/// A yield that nobody of ours asked for is the script's own, outside any coroutine of its own.
static void end(struct task *task, enum call_outcome outcome)
{
    struct generation *generation = task->generation;
    unpark(task);
    switch (outcome) {
    case CALL_DONE:
        lua_settop(task->L, 0);
        break;
    case CALL_PARKED:
        if (!task->is_cancelled) {
            luaL_traceback(generation->L, task->L,
                           "coroutine.yield outside a coroutine of the script", 0);
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
    if (has_failed && generation->was_refused) {
        collector_relieve(&generation->collector);
    }
}

/// [message] -> [] on the main stack.
static void report(struct task *task)
{
    size_t len = 0;
    const char *text = lua_tolstring(task->generation->L, -1, &len);
    failure_handle(task, bytes_of(text, len));
    lua_pop(task->generation->L, 1);
}

static void begin_wait(lua_State *L, task_undo_fn undo, void *arg)
{
    struct task *task = task_current(L);
    DCHECK(task->state == TASK_RUNNING && task->_undo == NULL);
    task->state = TASK_PARKED;
    task->is_parking = true;
    task->waiting = L;
    task->value_count = 0;
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
    list_append(&task->generation->ready, &task->ready_node);
    loop_at_turn_end(task->generation->options.loop, LOOP_RUN, &task->generation->ready_job);
}

/// Leaves every list before the coroutine is closed, because closing runs code of the script. The
/// coroutine is sound unless its code failed.
static void release(struct task *task, bool is_sound)
{
    struct visit *visit = task->visit;
    list_remove(&task->node);
    list_remove(&task->visit_node);
    list_remove(&task->wait_node);
    timer_deinit(&task->timer);
    if (task->on_ended != NULL) {
        task->on_ended(task, task->ended_arg);
    }
    if (task->state != TASK_RUNNING) {
        close_inner(task);
    }
    bool is_closed = lua_status(task->L) == LUA_OK && lua_gettop(task->L) == 0;
    if (!is_closed) {
        is_closed = call_close(task->generation, task->L);
    }
    give_thread_back(task, is_sound && is_closed);
    if (visit != NULL) {
        visit_task_ended(visit);
    }
    small_free(task);
}

/// Coroutines of the script through which the task waits are closed from the innermost out, as an
/// error there would. Each is at index 1 of the one that resumed it (see lib_coroutine.c).
static void close_inner(struct task *task)
{
    while (task->waiting != task->L) {
        lua_State *outer = task->L;
        while (lua_tothread(outer, 1) != task->waiting) {
            outer = lua_tothread(outer, 1);
            CHECK(outer != NULL);
        }
        IGNORE(call_close(task->generation, task->waiting)); // it is the script's: it goes
        task->waiting = outer;
    }
}
