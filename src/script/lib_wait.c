// SPDX-License-Identifier: MIT
//
// `wait_fd` watches the descriptor and parks the task. The wait ends in one of three ways, and each
// of them ends the watch as well:
//
//     parked --> on_ready: the task is woken with what the descriptor is ready for
//        \-----> on_time_up: the same when it is ready in this very moment, or else ETIMEDOUT
//         \----> cancelled: stop_waiting
#include "script/lib_wait.h"

#include "base/check.h"
#include "base/environment.h"
#include "base/error.h"
#include "base/mem.h"
#include "net/fd_watch.h"
#include "net/loop.h"
#include "script/box.h"
#include "script/obstacle.h"
#include "script/parts.h"
#include "script/task.h"

#include <errno.h>

/// A task that waits for a descriptor.
struct fd_wait {
    struct task *task;
    struct fd_watch *watch;
    struct timer timer;
};

static int l_wait_fd(lua_State *L);
static struct fd_wait *wait_new(lua_State *L, struct fd_watch *watch);
static void wait_free(struct fd_wait *wait);
static void stop_waiting(struct task *task, void *wait);
static void on_ready(struct fd_watch *watch, unsigned events);
static void on_time_up(struct timer *timer);
static int push_ready(lua_State *L, unsigned events);
static int push_timeout(lua_State *L);
static int push_failure(lua_State *L, int fd, int failure);

const luaL_Reg lib_wait_functions[] = {{"wait_fd", l_wait_fd}, {NULL, NULL}};

/// wait_fd(fd, "r" | "w" | "rw", [seconds]) -> "r" | "w" | "rw"; nil, message, code
static int l_wait_fd(lua_State *L)
{
    static const char *const modes[] = {"", "r", "w", "rw", NULL};
    lua_Integer number = luaL_checkinteger(L, 1);
    unsigned events = (unsigned)luaL_checkoption(L, 2, NULL, modes);
    bool has_end = !lua_isnoneornil(L, 3);
    uint64_t wait_ms = has_end ? check_duration_ms(L, 3) : 0;
    int fd = number >= 0 && number <= INT32_MAX ? (int)number : -1;
    luaL_argcheck(L, events != 0, 2, "'r', 'w' or 'rw' expected");
    if (!task_can_park(L)) {
        return raise_obstacle(
            L, "lunesse.wait can only wait inside a handler, timer, task or callback");
    }
    if (environment_is_still(environment_here)) {
        return box_push_failure(L, "a spec waits for no descriptor: give the script a stand-in",
                                "ENOTSUP");
    }
    struct fd_watch *watch = NULL;
    int failure = fd_watch_new(&parts_of(L)->options->loop->poller, fd, events, &watch);
    if (failure != 0) {
        return push_failure(L, fd, failure);
    }
    if (has_end && wait_ms == 0) {
        unsigned ready = fd_watch_ready_now(watch);
        fd_watch_free(watch);
        return ready != 0 ? push_ready(L, ready) : push_timeout(L);
    }
    struct fd_wait *wait = wait_new(L, watch);
    if (has_end) {
        timer_arm_at(&wait->timer, clock_ns() / 1000000 + wait_ms); // see task_arm_timer
    }
    return task_park(L, stop_waiting, wait);
}

static struct fd_wait *wait_new(lua_State *L, struct fd_watch *watch)
{
    struct fd_wait *wait = mem_new(struct fd_wait);
    wait->task = task_current(L);
    wait->watch = watch;
    watch->on_ready = on_ready;
    watch->user = wait;
    timer_init(&wait->timer, &parts_of(L)->options->loop->timers, on_time_up);
    return wait;
}

static void wait_free(struct fd_wait *wait)
{
    fd_watch_free(wait->watch);
    timer_deinit(&wait->timer);
    mem_free(wait);
}

static void stop_waiting(struct task *task, void *arg)
{
    struct fd_wait *wait = arg;
    DCHECK(wait->task == task);
    wait_free(wait);
}

static void on_ready(struct fd_watch *watch, unsigned events)
{
    struct fd_wait *wait = watch->user;
    struct task *task = wait->task;
    wait_free(wait);
    task_wake_with(task, push_ready(task->parts->L, events));
}

/// The time may be up in the turn in which the descriptor became ready.
static void on_time_up(struct timer *timer)
{
    struct fd_wait *wait = CONTAINER_OF(timer, struct fd_wait, timer);
    struct task *task = wait->task;
    lua_State *L = task->parts->L;
    unsigned ready = fd_watch_ready_now(wait->watch);
    wait_free(wait);
    task_wake_with(task, ready != 0 ? push_ready(L, ready) : push_timeout(L));
}

static int push_ready(lua_State *L, unsigned events)
{
    static const char *const texts[] = {"", "r", "w", "rw"};
    DCHECK(events > 0 && events <= (POLL_READ | POLL_WRITE));
    lua_pushstring(L, texts[events]);
    return 1;
}

static int push_timeout(lua_State *L)
{
    return box_push_failure(L, "the descriptor was not ready in time", "ETIMEDOUT");
}

static int push_failure(lua_State *L, int fd, int failure)
{
    DCHECK(failure < 0);
    switch (failure) {
    case -EBADF:
        return box_push_failure(L, "the descriptor is not open", "EBADF");
    case -EACCES:
        lua_pushfstring(L, "descriptor %d is the server's own", fd);
        return box_push_failure(L, lua_tostring(L, -1), "EACCES");
    case -EPERM:
        lua_pushfstring(L,
                        "descriptor %d is a file, a folder or another that the system cannot "
                        "watch: read and write it without waiting",
                        fd);
        return box_push_failure(L, lua_tostring(L, -1), "EPERM");
    case -EMFILE:
    case -ENFILE:
        return box_push_failure(L, "too many files are open", "EMFILE");
    case -ENOSPC:
    case -ENOMEM:
        return box_push_failure(L, "the system has no memory to watch a descriptor", "ENOMEM");
    default:
        return box_push_failure(L, error_text(failure), "EINVAL");
    }
}
