// SPDX-License-Identifier: MIT
//
//   l_pool_call --> parked --> on_answer: the task wakes with what the function has answered
//                     \------> cancelled: stop_waiting cancels the call
//
// The userdata is on the stack of the task that waits, so a pool is never collected under a call.
#include "script/lib_pool.h"

#include "base/check.h"
#include "hub/hub.h"
#include "script/box.h"
#include "script/obstacle.h"
#include "script/parts.h"
#include "script/pool.h"
#include "script/stack.h"
#include "script/state.h"
#include "script/task.h"

#include <errno.h>

// The registry keeps the metatable under the address of this.
static const char pool_key;

/// The userdata of a pool.
struct pool_box {
    struct pool *pool;
};

static struct pool *check_pool(lua_State *L);
static int push_failure(lua_State *L, int failure);
static void on_answer(void *user, const struct pool_answer *answer);
static void stop_waiting(struct task *task, void *arg);
static int l_pool_open(lua_State *L);
static int l_pool_call(lua_State *L);
static int l_collect(lua_State *L);

const luaL_Reg lib_pool_functions[] = {
    {"pool_open", l_pool_open}, {"pool_call", l_pool_call}, {NULL, NULL}};

void lib_pool_register(lua_State *L)
{
    STACK_BEGIN(L);
    lua_newtable(L);
    lua_pushliteral(L, "PoolThreads");
    lua_setfield(L, -2, "__name");
    lua_pushliteral(L, "protected");
    lua_setfield(L, -2, "__metatable");
    lua_pushcfunction(L, l_collect);
    lua_setfield(L, -2, "__gc");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &pool_key);
    DCHECK_STACK(L, 0);
}

/// pool_open(module, path, cpath, threads, queue) -> userdata
static int l_pool_open(lua_State *L)
{
    struct pool_options options = {
        .source = {.module = luaL_checkstring(L, 1),
                   .path = luaL_checkstring(L, 2),
                   .cpath = luaL_checkstring(L, 3)},
        .thread_count_max = (uint64_t)luaL_checkinteger(L, 4),
        .queue_max = (uint64_t)luaL_checkinteger(L, 5),
        .mailbox = hub_mailbox(parts_of(L)->options->local_hub),
        .on_answer = on_answer,
    };
    check_not_ended(L);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LIB_POOL_MODULES);
    lua_pushboolean(L, true);
    lua_setfield(L, -2, options.source.module);
    struct pool_box *box = lua_newuserdatauv(L, sizeof(struct pool_box), 0);
    box->pool = NULL;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &pool_key);
    lua_setmetatable(L, -2);
    box->pool = pool_open(&options);
    return 1;
}

/// pool_call(userdata, name, arguments) -> outcome, text; nil, message, "EAGAIN" or "ENOMEM"
static int l_pool_call(lua_State *L)
{
    struct pool *pool = check_pool(L);
    struct bytes name = check_bytes(L, 2);
    struct bytes arguments = check_bytes(L, 3);
    if (!task_can_park(L)) {
        raise_obstacle(L, "a pool can only be called inside a handler, timer, task or callback");
    }
    struct pool_call *call = NULL;
    int failure = pool_call_start(pool, name, arguments, task_current(L), &call);
    return failure == 0 ? task_park(L, stop_waiting, call) : push_failure(L, failure);
}

static struct pool *check_pool(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &pool_key);
    bool is_pool = lua_getmetatable(L, 1) && lua_rawequal(L, -1, -2);
    luaL_argcheck(L, is_pool, 1, "a pool expected");
    lua_pop(L, 2);
    return ((struct pool_box *)lua_touserdata(L, 1))->pool;
}

static int push_failure(lua_State *L, int failure)
{
    if (failure == -EAGAIN) {
        return box_push_failure(L, "too many calls of the pool wait already", "EAGAIN");
    }
    if (failure == -ENOMEM) {
        return box_push_failure(L, "there is no memory for the call", "ENOMEM");
    }
    return box_push_failure(L, "the system starts no thread for the pool", "EAGAIN");
}

static void on_answer(void *user, const struct pool_answer *answer)
{
    struct task *task = user;
    lua_State *L = task->parts->L;
    STACK_BEGIN(L);
    lua_pushstring(L, answer->outcome);
    lua_pushlstring(L, answer->text, answer->len);
    task_wake_with(task, 2);
    DCHECK_STACK(L, 0);
}

static void stop_waiting(struct task *task, void *arg)
{
    DCHECK(task != NULL);
    (void)task;
    pool_call_cancel(arg);
}

static int l_collect(lua_State *L)
{
    struct pool_box *box = lua_touserdata(L, 1);
    if (box->pool != NULL) {
        pool_close(box->pool);
        box->pool = NULL;
    }
    return 0;
}
