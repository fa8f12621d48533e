// SPDX-License-Identifier: MIT
//
// A task that waits is parked in the list `waiters`. Setting the signal gives each of them the
// value, so those that run after the signal was cleared again have it too.
#include "script/lib_signal.h"

#include "base/check.h"
#include "script/obstacle.h"
#include "script/parts.h"
#include "script/state.h"
#include "script/task.h"

enum { SLOT_VALUE = 1, SLOT_COUNT = SLOT_VALUE };

struct signal_box {
    struct list waiters; // tasks that wait until it is set
    bool is_set;
};

static void leave_wait(struct task *task);
static void stop_waiting(struct task *task, void *arg);
static void on_time_up(struct timer *timer);
static int push_timeout(lua_State *L);
static int l_signal(lua_State *L);
static int l_set(lua_State *L);
static int l_wait(lua_State *L);
static int l_clear(lua_State *L);
static int l_check_wait(lua_State *L);
static int p_is_set(lua_State *L);

static const luaL_Reg methods[] = {
    {"set", l_set}, {"wait", l_wait}, {"clear", l_clear}, {NULL, NULL}};
static const struct box_property properties[] = {{"is_set", p_is_set}, {NULL, NULL}};

const struct box_class lib_signal_class = {"Signal", methods, properties, NULL};

const luaL_Reg lib_signal_functions[] = {
    {"signal", l_signal}, {"check_wait", l_check_wait}, {NULL, NULL}};

static void leave_wait(struct task *task)
{
    list_remove(&task->wait_node);
    timer_disarm(&task->timer);
}

static void stop_waiting(struct task *task, void *arg)
{
    (void)arg;
    leave_wait(task);
}

static void on_time_up(struct timer *timer)
{
    struct task *task = CONTAINER_OF(timer, struct task, timer);
    leave_wait(task);
    task_wake_with(task, push_timeout(task->parts->L));
}

static int push_timeout(lua_State *L)
{
    return box_push_failure(L, "the signal was not set in time", "ETIMEDOUT");
}

/// signal() -> Signal
static int l_signal(lua_State *L)
{
    check_not_ended(L);
    struct signal_box *box = lua_newuserdatauv(L, sizeof(struct signal_box), SLOT_COUNT);
    *box = (struct signal_box){0};
    list_init(&box->waiters);
    box_set_type(L, BOX_SIGNAL);
    return 1;
}

/// signal:set([value]): without a value it is set to true. nil is a value. The value moves from
/// stack to stack without any memory being asked for.
static int l_set(lua_State *L)
{
    struct signal_box *box = check_box(L, 1, BOX_SIGNAL);
    if (lua_gettop(L) == 1) {
        lua_pushboolean(L, 1);
    }
    lua_settop(L, 2);
    while (!list_is_empty(&box->waiters)) {
        struct task *task = LIST_ITEM(box->waiters.next, struct task, wait_node);
        DCHECK(task->waiting != L);
        leave_wait(task);
        lua_pushvalue(L, 2);
        lua_xmove(L, task->waiting, 1);
        task_wake(task, 1);
    }
    lua_setiuservalue(L, 1, SLOT_VALUE);
    box->is_set = true;
    return 0;
}

/// signal:wait([seconds]) -> value; nil, message, "ETIMEDOUT". With 0 seconds it does not wait.
static int l_wait(lua_State *L)
{
    struct signal_box *box = check_box(L, 1, BOX_SIGNAL);
    bool has_end = !lua_isnoneornil(L, 2);
    uint64_t wait_ms = has_end ? check_duration_ms(L, 2) : 0;
    lua_settop(L, 1);
    if (box->is_set) {
        lua_getiuservalue(L, 1, SLOT_VALUE);
        return 1;
    }
    if (has_end && wait_ms == 0) {
        return push_timeout(L);
    }
    if (!task_can_park(L)) {
        return raise_obstacle(
            L, "signal:wait can only wait inside a handler, timer, task or callback");
    }
    struct task *task = task_current(L);
    list_append(&box->waiters, &task->wait_node);
    if (has_end) {
        task_arm_timer(task, wait_ms, on_time_up);
    }
    return task_park(L, stop_waiting, NULL);
}

/// signal:clear() -> whether it was set
static int l_clear(lua_State *L)
{
    struct signal_box *box = check_box(L, 1, BOX_SIGNAL);
    lua_pushboolean(L, box->is_set);
    box->is_set = false;
    lua_pushnil(L);
    lua_setiuservalue(L, 1, SLOT_VALUE);
    return 1;
}

/// check_wait(what): raises "`what` can only wait ..." where nothing can wait.
static int l_check_wait(lua_State *L)
{
    const char *what = luaL_checkstring(L, 1);
    if (!task_can_park(L)) {
        lua_pushfstring(L, "%s can only wait inside a handler, timer, task or callback", what);
        return raise_obstacle(L, lua_tostring(L, -1));
    }
    return 0;
}

static int p_is_set(lua_State *L)
{
    const struct signal_box *box = check_box(L, 1, BOX_SIGNAL);
    lua_pushboolean(L, box->is_set);
    return 1;
}
