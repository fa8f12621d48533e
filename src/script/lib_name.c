// SPDX-License-Identifier: MIT
//
// `find_addresses` starts a lookup and parks the task:
//
//     parked --> on_answer: the task is woken with the addresses, or with the reason
//        \-----> on_time_up: it is woken with ETIMEDOUT
//         \----> cancelled: stop_waiting
#include "script/lib_name.h"

#include "base/check.h"
#include "base/environment.h"
#include "base/error.h"
#include "base/mem.h"
#include "hub/hub.h"
#include "net/loop.h"
#include "net/names.h"
#include "script/box.h"
#include "script/obstacle.h"
#include "script/parts.h"
#include "script/task.h"
#include "upstream/failure.h"

#include <errno.h>
#include <string.h>

enum { ADDRESS_BYTES = 64 }; // of an address as text

/// A task that waits for the addresses of a name.
struct name_wait {
    struct task *task;
    struct name_query query;
    struct timer timer;
};

static int l_find_addresses(lua_State *L);
static void stop_waiting(struct task *task, void *arg);
static void on_time_up(struct timer *timer);
static void wait_free(struct name_wait *wait);
static void on_answer(struct name_query *query, int failure, const struct socket_address *addresses,
                      size_t count);
static int push_addresses(lua_State *L, const struct socket_address *addresses, size_t count);
static int push_failure(lua_State *L, int failure);

const luaL_Reg lib_name_functions[] = {{"find_addresses", l_find_addresses}, {NULL, NULL}};

/// find_addresses(host, [seconds]) -> array of addresses as text; nil, message, code. An address is
/// its own. With 0 seconds there is no limit, as for LuaSocket, which cannot look up in steps.
static int l_find_addresses(lua_State *L)
{
    struct socket_address address;
    struct bytes host = bytes_from_string(luaL_checkstring(L, 1));
    uint64_t limit_ms = lua_isnoneornil(L, 2) ? 0 : check_duration_ms(L, 2);
    luaL_argcheck(L, host.len == lua_rawlen(L, 1), 1, "a name without zero bytes expected");
    if (!task_can_park(L)) {
        return raise_obstacle(
            L, "a name can only be looked up inside a handler, timer, task or callback");
    }
    if (environment_is_still(environment_here)) {
        return box_push_failure(L, "a spec reaches no network: give the script a stand-in",
                                "ENOTSUP");
    }
    if (socket_address_parse(&address, host.at, 0) == 0) {
        return push_addresses(L, &address, 1);
    }
    struct name_wait *wait = mem_new(struct name_wait);
    wait->task = task_current(L);
    wait->query.on_answer = on_answer;
    struct mailbox *mailbox = hub_mailbox(parts_of(L)->options->local_hub);
    int failure = name_query_start(&wait->query, mailbox, host.at);
    timer_init(&wait->timer, &parts_of(L)->options->loop->timers, on_time_up);
    if (failure != 0) {
        wait_free(wait);
        return push_failure(L, failure);
    }
    if (limit_ms > 0) {
        timer_arm_at(&wait->timer, clock_ns() / 1000000 + limit_ms); // see task_arm_timer
    }
    return task_park(L, stop_waiting, wait);
}

static void stop_waiting(struct task *task, void *arg)
{
    struct name_wait *wait = arg;
    DCHECK(wait->task == task);
    wait_free(wait);
}

static void wait_free(struct name_wait *wait)
{
    name_query_cancel(&wait->query);
    timer_deinit(&wait->timer);
    mem_free(wait);
}

static void on_time_up(struct timer *timer)
{
    struct name_wait *wait = CONTAINER_OF(timer, struct name_wait, timer);
    struct task *task = wait->task;
    wait_free(wait);
    task_wake_with(task, push_failure(task->parts->L, -ETIMEDOUT));
}

static void on_answer(struct name_query *query, int failure, const struct socket_address *addresses,
                      size_t count)
{
    struct name_wait *wait = CONTAINER_OF(query, struct name_wait, query);
    struct task *task = wait->task;
    lua_State *L = task->parts->L;
    DCHECK(failure != 0 || count > 0);
    wait_free(wait);
    task_wake_with(task,
                   failure != 0 ? push_failure(L, failure) : push_addresses(L, addresses, count));
}

static int push_addresses(lua_State *L, const struct socket_address *addresses, size_t count)
{
    char text[ADDRESS_BYTES];
    DCHECK(count <= NAME_ADDRESSES_MAX);
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        lua_pushlstring(L, text, socket_address_host(&addresses[i], text, sizeof(text)));
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

static int push_failure(lua_State *L, int failure)
{
    DCHECK(failure < 0);
    return failure == -ETIMEDOUT ? box_push_failure(L, "timeout", "ETIMEDOUT")
                                 : box_push_failure(L, error_text(failure), upstream_code(failure));
}
