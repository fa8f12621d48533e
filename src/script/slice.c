// SPDX-License-Identifier: MIT
//
// A function in C that scripts call, such as the encoder of JSON, may have work for many turns. It
// looks at the clock every now and then. When it has worked for a slice (`SLICE_NS`), it parks its
// task at the end of the queue. A job at the end of each turn wakes the first task of the queue,
// and is queued again while others are left.
#include "script/slice.h"

#include "base/check.h"
#include "base/list.h"
#include "base/mem.h"
#include "net/loop.h"
#include "script/parts.h"
#include "script/task.h"

enum { SLICE_NS = 3 * 1000 * 1000 }; // no reader notices it, and a turn costs little beside it

struct slices {
    struct loop *loop;
    struct list tasks; // tasks that wait for their next slice
    struct loop_job job;
};

static void wake_next(struct loop_job *job);
static void stop_waiting(struct task *task, void *arg);

struct slices *slices_new(struct loop *loop)
{
    struct slices *slices = mem_new(struct slices);
    slices->loop = loop;
    list_init(&slices->tasks);
    loop_job_init(&slices->job, wake_next);
    return slices;
}

void slices_free(struct slices *slices)
{
    CHECK(list_is_empty(&slices->tasks));
    loop_job_cancel(&slices->job);
    mem_free(slices);
}

uint64_t slice_end_ns(void)
{
    return clock_machine_ns() + SLICE_NS;
}

bool slice_is_over(lua_State *L, uint64_t end_ns)
{
    bool can_wait = parts_of(L) != NULL && task_can_park(L);
    return can_wait && clock_machine_ns() >= end_ns;
}

int slice_give_way(lua_State *L, lua_KFunction then, lua_KContext context)
{
    struct task *task = task_current(L);
    struct slices *slices = parts_of(L)->slices;
    DCHECK(then != NULL && task_can_park(L));
    list_append(&slices->tasks, &task->wait_node);
    loop_at_turn_end(slices->loop, LOOP_RUN, &slices->job);
    return task_park_then(L, stop_waiting, NULL, then, context);
}

/// Wakes the first task, which runs in the next turn. The job runs again in that turn while others
/// wait.
static void wake_next(struct loop_job *job)
{
    struct slices *slices = CONTAINER_OF(job, struct slices, job);
    if (list_is_empty(&slices->tasks)) {
        return; // the task was cancelled
    }
    struct task *task = LIST_ITEM(slices->tasks.next, struct task, wait_node);
    DCHECK(task->state == TASK_PARKED);
    list_remove(&task->wait_node);
    task_wake(task, 0);
    if (!list_is_empty(&slices->tasks)) {
        loop_at_turn_end(slices->loop, LOOP_RUN, &slices->job);
    }
}

static void stop_waiting(struct task *task, void *arg)
{
    (void)arg;
    list_remove(&task->wait_node);
}
