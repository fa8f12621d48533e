// SPDX-License-Identifier: MIT
//
// A task that is to run is appended to `ready`, and a job of the loop is asked for. When the turn
// ends, that job takes the whole list and runs the tasks in their order. A task that becomes ready
// meanwhile goes into the next list and runs in the next turn, so that no task can keep the loop
// from its sockets.
#include "script/scheduler.h"

#include "base/check.h"
#include "base/mem.h"
#include "net/loop.h"
#include "script/parts.h"
#include "script/stack.h"
#include "script/state.h"

#include <lauxlib.h>

enum { THREADS_KEPT_MAX = 64 };

struct kept_thread {
    lua_State *L;
    int ref; // the registry keeps the coroutine alive by this reference
};

struct scheduler {
    struct parts *parts;
    const struct task_events *events;
    void (*run)(struct list *ready_node);
    struct task *running;
    struct list tasks; // all tasks that have not ended
    struct spawned spawned;
    struct list ready; // tasks that run when this turn ends
    struct loop_job ready_job;
    struct kept_thread kept_threads[THREADS_KEPT_MAX];
    size_t kept_thread_count;
};

static void run_ready(struct loop_job *job);
static void scheduler_check(const struct scheduler *scheduler);

struct scheduler *scheduler_new(struct parts *parts, void (*run)(struct list *ready_node),
                                const struct task_events *events)
{
    struct scheduler *scheduler = mem_new(struct scheduler);
    DCHECK(run != NULL && events->on_failed != NULL && events->on_ended != NULL);
    scheduler->parts = parts;
    scheduler->run = run;
    scheduler->events = events;
    list_init(&scheduler->tasks);
    list_init(&scheduler->ready);
    loop_job_init(&scheduler->ready_job, run_ready);
    return scheduler;
}

void scheduler_free(struct scheduler *scheduler)
{
    OWNED(&scheduler->parts->options->loop->owner);
    CHECK(list_is_empty(&scheduler->tasks));
    DCHECK(scheduler->spawned.count == 0 && scheduler->spawned.awaited_count == 0);
    DCHECK(list_is_empty(&scheduler->ready) && scheduler->running == NULL);
    loop_job_cancel(&scheduler->ready_job);
    mem_free(scheduler);
}

const struct task_events *scheduler_events(const struct scheduler *scheduler)
{
    return scheduler->events;
}

struct list *scheduler_tasks(struct scheduler *scheduler)
{
    OWNED(&scheduler->parts->options->loop->owner);
    return &scheduler->tasks;
}

struct spawned *scheduler_spawned(struct scheduler *scheduler)
{
    OWNED(&scheduler->parts->options->loop->owner);
    return &scheduler->spawned;
}

void scheduler_add_ready(struct scheduler *scheduler, struct list *ready_node)
{
    OWNED(&scheduler->parts->options->loop->owner);
    DCHECK(!list_is_linked(ready_node));
    list_append(&scheduler->ready, ready_node);
    loop_at_turn_end(scheduler->parts->options->loop, LOOP_RUN, &scheduler->ready_job);
    DEBUG_CALL(scheduler_check(scheduler));
}

bool scheduler_has_ready(const struct scheduler *scheduler)
{
    OWNED(&scheduler->parts->options->loop->owner);
    return !list_is_empty(&scheduler->ready);
}

struct task *scheduler_running(const struct scheduler *scheduler)
{
    OWNED(&scheduler->parts->options->loop->owner);
    return scheduler->running;
}

void scheduler_set_running(struct scheduler *scheduler, struct task *task)
{
    OWNED(&scheduler->parts->options->loop->owner);
    DCHECK((task == NULL) != (scheduler->running == NULL));
    scheduler->running = task;
}

/// Lifts the memory limit. A new coroutine is made on the main stack, where nothing is protected,
/// also when a script's call has led here.
lua_State *scheduler_take_thread(struct scheduler *scheduler, int *ref)
{
    OWNED(&scheduler->parts->options->loop->owner);
    lua_State *L = scheduler->parts->L;
    STACK_BEGIN(L);
    if (scheduler->kept_thread_count > 0) {
        struct kept_thread kept = scheduler->kept_threads[--scheduler->kept_thread_count];
        DCHECK(lua_status(kept.L) == LUA_OK && lua_gettop(kept.L) == 0);
        *ref = kept.ref;
        return kept.L;
    }
    struct state *state = scheduler->parts->state;
    bool was_capped = state_cap(state, false);
    lua_State *fresh = lua_newthread(L);
    *ref = luaL_ref(L, LUA_REGISTRYINDEX);
    state_cap(state, was_capped);
    state_mark_task(state, fresh);
    DCHECK_STACK(L, 0);
    return fresh;
}

void scheduler_give_thread_back(struct scheduler *scheduler, lua_State *thread, int ref,
                                bool is_reusable)
{
    OWNED(&scheduler->parts->options->loop->owner);
    DCHECK(thread != scheduler->parts->L && ref != LUA_NOREF);
    DCHECK(!is_reusable || (lua_status(thread) == LUA_OK && lua_gettop(thread) == 0));
    if (is_reusable && scheduler->kept_thread_count < THREADS_KEPT_MAX) {
        struct kept_thread kept = {.L = thread, .ref = ref};
        scheduler->kept_threads[scheduler->kept_thread_count++] = kept;
    } else {
        luaL_unref(scheduler->parts->L, LUA_REGISTRYINDEX, ref);
    }
}

static void run_ready(struct loop_job *job)
{
    struct scheduler *scheduler = CONTAINER_OF(job, struct scheduler, ready_job);
    struct list batch;
    DCHECK(scheduler->running == NULL);
    list_take(&batch, &scheduler->ready);
    while (!list_is_empty(&batch)) {
        struct list *ready_node = batch.next;
        list_remove(ready_node);
        scheduler->run(ready_node);
    }
}

/// What holds between any two calls.
static void scheduler_check(const struct scheduler *scheduler)
{
    CHECK(scheduler->kept_thread_count <= THREADS_KEPT_MAX);
    CHECK(list_is_empty(&scheduler->ready) || loop_job_is_queued(&scheduler->ready_job));
}
