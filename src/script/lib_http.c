// SPDX-License-Identifier: MIT
//
// A request is a userdata that is closed when the function ends that made it: it returns, it
// raises, or its task is cancelled while it waits. Closing it ends the request, and with it the
// connection. A task that waits is in the list of its request:
//
//     parked --> on_end: the task is woken, and `finish` pushes the answer
//        \-----> cancelled: stop_waiting takes it out of the list, and Lua closes the request
#include "script/lib_http.h"

#include "base/check.h"
#include "base/limits.h"
#include "hub/hub.h"
#include "script/box.h"
#include "script/obstacle.h"
#include "script/parts.h"
#include "script/stack.h"
#include "script/state.h"
#include "script/task.h"
#include "upstream/failure.h"
#include "upstream/transfer.h"

#include <errno.h>

// The registry keeps the metatables under the addresses of these.
static const char pool_key;
static const char ask_key;

/// The userdata of a pool.
struct pool_box {
    struct multi *multi; // NULL once it is collected
};

/// The userdata of a request.
struct ask_box {
    struct transfer *transfer; // NULL before it begins and after its end
    struct list tasks;         // the task that waits, by its `wait_node`
};

/// Where the arguments of `http_request` stand, and its userdata.
enum { ARG_POOL = 1, ARG_METHOD, ARG_URL, ARG_FIELDS, ARG_BODY, ARG_BOUNDS, PLACE_ASK };

static void make_metatable(lua_State *L, const void *key, const char *name, lua_CFunction end);
static struct pool_box *check_pool(lua_State *L, int index);
static struct transfer_bounds check_bounds(lua_State *L, int index);
static uint64_t check_seconds(lua_State *L, int index, const char *name);
static uint64_t check_body_bytes(lua_State *L, int index);
static struct ask_box *push_ask(lua_State *L);
static int finish(lua_State *L, int status, lua_KContext context);
static void on_end(struct transfer *transfer);
static void stop_waiting(struct task *task, void *arg);
static int l_http_pool(lua_State *L);
static int l_http_request(lua_State *L);
static int l_collect_pool(lua_State *L);
static int l_close_ask(lua_State *L);

const luaL_Reg lib_http_functions[] = {
    {"http_pool", l_http_pool}, {"http_request", l_http_request}, {NULL, NULL}};

void lib_http_register(lua_State *L)
{
    STACK_BEGIN(L);
    make_metatable(L, &pool_key, "HttpPool", l_collect_pool);
    make_metatable(L, &ask_key, "HttpRequest", l_close_ask);
    DCHECK_STACK(L, 0);
}

static void make_metatable(lua_State *L, const void *key, const char *name, lua_CFunction end)
{
    lua_newtable(L);
    lua_pushstring(L, name);
    lua_setfield(L, -2, "__name");
    lua_pushliteral(L, "protected");
    lua_setfield(L, -2, "__metatable");
    lua_pushcfunction(L, end);
    lua_setfield(L, -2, "__close");
    lua_pushcfunction(L, end);
    lua_setfield(L, -2, "__gc");
    lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

/// http_pool(connections) -> userdata
static int l_http_pool(lua_State *L)
{
    lua_Integer open_max = luaL_checkinteger(L, 1);
    luaL_argcheck(L, open_max > 0 && open_max <= INT32_MAX, 1, "1 or more expected");
    check_not_ended(L);
    struct pool_box *box = lua_newuserdatauv(L, sizeof(struct pool_box), 0);
    box->multi = NULL;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &pool_key);
    lua_setmetatable(L, -2);
    box->multi = multi_new(parts_of(L)->options->loop, (size_t)open_max);
    return 1;
}

/// http_request(pool, method, url, fields, body | nil, bounds) -> status, head, body; nil, message,
/// code
static int l_http_request(lua_State *L)
{
    lua_settop(L, ARG_BOUNDS);
    struct pool_box *pool = check_pool(L, ARG_POOL);
    struct bytes body = lua_isnil(L, ARG_BODY) ? BYTES("") : check_bytes(L, ARG_BODY);
    struct transfer_request request = {
        .method = luaL_checkstring(L, ARG_METHOD),
        .url = luaL_checkstring(L, ARG_URL),
        .fields = check_bytes(L, ARG_FIELDS),
        .body = body,
        .has_body = !lua_isnil(L, ARG_BODY),
    };
    struct transfer_bounds bounds = check_bounds(L, ARG_BOUNDS);
    check_not_ended(L);
    if (!task_can_park(L)) {
        return raise_obstacle(L,
                              "a request can only wait inside a handler, timer, task or callback");
    }
    struct ask_box *ask = push_ask(L);
    lua_toclose(L, PLACE_ASK);
    const struct generation_options *options = parts_of(L)->options;
    ask->transfer = transfer_new(pool->multi, hub_mailbox(options->local_hub), &bounds);
    ask->transfer->on_end = on_end;
    ask->transfer->user = ask;
    if (transfer_start(ask->transfer, &request) != 0) {
        return finish(L, LUA_OK, 0);
    }
    list_append(&ask->tasks, &task_current(L)->wait_node);
    return task_park_then(L, stop_waiting, finish, 0);
}

static struct pool_box *check_pool(lua_State *L, int index)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &pool_key);
    bool is_pool = lua_getmetatable(L, index) && lua_rawequal(L, -1, -2);
    luaL_argcheck(L, is_pool, index, "a pool expected");
    lua_pop(L, 2);
    struct pool_box *pool = lua_touserdata(L, index);
    luaL_argcheck(L, pool->multi != NULL, index, "the pool has ended");
    return pool;
}

static struct transfer_bounds check_bounds(lua_State *L, int index)
{
    luaL_checktype(L, index, LUA_TTABLE);
    return (struct transfer_bounds){
        .connect_ms = check_seconds(L, index, "connect_timeout"),
        .first_byte_ms = check_seconds(L, index, "first_byte_timeout"),
        .idle_ms = check_seconds(L, index, "idle_timeout"),
        .body_bytes = check_body_bytes(L, index),
    };
}

static uint64_t check_seconds(lua_State *L, int index, const char *name)
{
    (void)opt_field(L, index, name); // whatever it is, it is checked next
    uint64_t ms = check_duration_option_ms(L, index, name);
    lua_pop(L, 1);
    return ms;
}

static uint64_t check_body_bytes(lua_State *L, int index)
{
    int is_whole = 1;
    bool is_given = opt_field(L, index, "body_bytes") != LUA_TNIL;
    lua_Integer size = is_given ? lua_tointegerx(L, -1, &is_whole) : 0;
    luaL_argcheck(L, is_whole && size >= 0, index, "body_bytes: 0 or more expected");
    lua_pop(L, 1);
    return is_given ? (uint64_t)size : parts_of(L)->options->limits->upstream.body_bytes;
}

static struct ask_box *push_ask(lua_State *L)
{
    struct ask_box *ask = lua_newuserdatauv(L, sizeof(struct ask_box), 0);
    *ask = (struct ask_box){0};
    list_init(&ask->tasks);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &ask_key);
    lua_setmetatable(L, -2);
    DCHECK(lua_gettop(L) == PLACE_ASK);
    return ask;
}

/// Pushes the answer of the request that has ended. Lua closes the request when this returns.
static int finish(lua_State *L, int status, lua_KContext context)
{
    struct ask_box *ask = lua_touserdata(L, PLACE_ASK);
    const struct transfer *transfer = ask->transfer;
    (void)status;
    (void)context;
    if (transfer == NULL) { // a closing variable of the script cannot reach it, but the state's end
        return box_push_closed(L);
    }
    DCHECK(transfer->state == TRANSFER_ENDED);
    if (transfer->failure == -EMSGSIZE) {
        limit_met("upstream_body_bytes", transfer->bounds.body_bytes);
    }
    if (transfer->failure != 0) {
        return box_push_failure(L, transfer->why, upstream_code(transfer->failure));
    }
    struct bytes head = buf_bytes(&transfer->head);
    struct bytes body = buf_bytes(&transfer->body);
    lua_pushinteger(L, transfer->status);
    lua_pushlstring(L, head.at, head.len);
    lua_pushlstring(L, body.at, body.len);
    return 3;
}

static void on_end(struct transfer *transfer)
{
    struct ask_box *ask = transfer->user;
    while (!list_is_empty(&ask->tasks)) {
        struct task *task = LIST_ITEM(ask->tasks.next, struct task, wait_node);
        list_remove(&task->wait_node);
        task_wake(task, 0);
    }
}

static void stop_waiting(struct task *task, void *arg)
{
    (void)arg;
    list_remove(&task->wait_node);
}

/// Requests that still run hold what the pool has.
static int l_collect_pool(lua_State *L)
{
    struct pool_box *box = lua_touserdata(L, 1);
    struct multi *multi = box->multi;
    box->multi = NULL;
    if (multi != NULL) {
        multi_release(multi);
    }
    return 0;
}

static int l_close_ask(lua_State *L)
{
    struct ask_box *ask = lua_touserdata(L, 1);
    struct transfer *transfer = ask->transfer;
    ask->transfer = NULL;
    if (transfer != NULL) {
        transfer_free(transfer);
    }
    return 0;
}
