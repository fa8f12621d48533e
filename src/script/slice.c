// SPDX-License-Identifier: MIT
#include "script/slice.h"

#include "script/generation.h"
#include "script/task.h"

enum { SLICE_NS = 3 * 1000 * 1000 }; // little beside what a reader notices, much beside a turn

static void wake_next(struct loop_job *job);
static void stop_waiting(struct task *task, void *arg);

void slice_init(struct generation *generation)
{
    list_init(&generation->slices);
    loop_job_init(&generation->slice_job, wake_next);
}

void slice_deinit(struct generation *generation)
{
    loop_job_cancel(&generation->slice_job);
}

uint64_t slice_end_ns(void)
{
    return loop_machine_ns() + SLICE_NS;
}

bool slice_is_over(lua_State *L, uint64_t end_ns)
{
    return loop_machine_ns() >= end_ns && task_can_park(L);
}

int slice_give_way(lua_State *L, lua_KFunction then, lua_KContext context)
{
    struct task *task = task_current(L);
    struct generation *generation = task->generation;
    list_append(&generation->slices, &task->wait_node);
    loop_at_turn_end(generation->options.loop, LOOP_RUN, &generation->slice_job);
    return task_park_then(L, stop_waiting, then, context);
}

/// The task runs in the next turn, which does not wait. So does this job while there are others.
static void wake_next(struct loop_job *job)
{
    struct generation *generation = CONTAINER_OF(job, struct generation, slice_job);
    if (list_is_empty(&generation->slices)) {
        return; // it was cancelled
    }
    struct task *task = LIST_ITEM(generation->slices.next, struct task, wait_node);
    list_remove(&task->wait_node);
    task_wake(task, 0);
    if (!list_is_empty(&generation->slices)) {
        loop_at_turn_end(generation->options.loop, LOOP_RUN, &generation->slice_job);
    }
}

static void stop_waiting(struct task *task, void *arg)
{
    (void)arg;
    list_remove(&task->wait_node);
}
