// SPDX-License-Identifier: MIT
//
// A request is a userdata that is closed when the function ends that made it: it returns, it
// raises, or its task is cancelled while it waits. Closing it ends the request, and with it the
// connection. A task that waits is in the list of its request:
//
//     parked --> on_end: the task is woken, and `finish` pushes the answer
//        \-----> cancelled: stop_waiting takes it out of the list, and Lua closes the request
//
// A stream is such a userdata that goes on when its head has come: `http_open` moves the transfer
// to another one, for the script to read from and to close. It is a member of the task that has
// opened it, which closes it at its end if nothing else did before.
#include "script/lib_http.h"

#include "base/check.h"
#include "base/limits.h"
#include "base/mem.h"
#include "hub/hub.h"
#include "script/box.h"
#include "script/obstacle.h"
#include "script/parts.h"
#include "script/stack.h"
#include "script/state.h"
#include "script/task.h"
#include "upstream/curl_late.h"
#include "upstream/failure.h"
#include "upstream/transfer.h"
#include "wire/sse_block.h"

#include <errno.h>
#include <string.h>

// The registry keeps the metatables under the addresses of these.
static const char pool_key;
static const char ask_key;
static const char stream_key;

/// The userdata of a pool.
struct pool_box {
    struct multi *multi; // NULL once it is collected
};

/// The userdata of a request, and of a stream.
struct ask_box {
    struct transfer *transfer; // NULL before it begins and after its end
    struct list tasks;         // the task that waits, by its `wait_node`
    struct sse_blocks blocks;  // of a stream that is read as events
    struct task_member member; // of a stream: of the task that opened it
};

/// Where the arguments of `http_request` stand, and its userdata.
enum { ARG_POOL = 1, ARG_METHOD, ARG_URL, ARG_FIELDS, ARG_BODY, ARG_BOUNDS, PLACE_ASK };

static void make_metatable(lua_State *L, const void *key, const char *name, lua_CFunction end);
static void set_paths_or_raise(lua_State *L, int index, struct multi *multi);
static struct pool_box *check_pool(lua_State *L, int index);
static struct transfer_bounds check_bounds(lua_State *L, int index);
static uint64_t check_seconds(lua_State *L, int index, const char *name);
static uint64_t check_body_bytes(lua_State *L, int index);
static struct ask_box *push_ask(lua_State *L, const void *key);
static int ask_or_raise(lua_State *L, bool is_stream, lua_KFunction then);
static int finish(lua_State *L, int status, lua_KContext context);
static int push_failure(lua_State *L, const struct transfer *transfer);
static int push_stream(lua_State *L, int status, lua_KContext context);
static struct ask_box *check_stream(lua_State *L);
static int wait_for_more_or_raise(lua_State *L, struct ask_box *stream, lua_KFunction then);
static int read_on_or_raise(lua_State *L, int status, lua_KContext context);
static int push_chunk_or_raise(lua_State *L);
static int push_event_or_raise(lua_State *L);
static int event_on_or_raise(lua_State *L, int status, lua_KContext context);
static void push_block(lua_State *L, struct bytes block);
static void add_data(luaL_Buffer *data, struct bytes value, bool is_first);
static void on_end(struct transfer *transfer);
static void wake(struct ask_box *ask);
static void stop_waiting(struct task *task, void *arg);
static void on_task_end(struct task_member *member);
static void end_ask(struct ask_box *ask);
static int l_http_pool(lua_State *L);
static int l_http_request(lua_State *L);
static int l_http_open(lua_State *L);
static int l_http_read(lua_State *L);
static int l_http_event(lua_State *L);
static int l_http_close(lua_State *L);
static int l_http_join(lua_State *L);
static int l_collect_pool(lua_State *L);
static int l_close_ask(lua_State *L);

const luaL_Reg lib_http_functions[] = {
    {"http_pool", l_http_pool},   {"http_request", l_http_request},
    {"http_open", l_http_open},   {"http_read", l_http_read},
    {"http_event", l_http_event}, {"http_close", l_http_close},
    {"http_join", l_http_join},   {NULL, NULL},
};

void lib_http_register(lua_State *L)
{
    STACK_BEGIN(L);
    make_metatable(L, &pool_key, "HttpPool", l_collect_pool);
    make_metatable(L, &ask_key, "HttpRequest", l_close_ask);
    make_metatable(L, &stream_key, "HttpStream", l_close_ask);
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

/// http_pool(connections, { ca, certificate, key, unix, proxy }, is_public) -> userdata
static int l_http_pool(lua_State *L)
{
    lua_Integer open_max = luaL_checkinteger(L, 1);
    luaL_argcheck(L, open_max > 0 && open_max <= INT32_MAX, 1, "1 or more expected");
    luaL_checktype(L, 2, LUA_TTABLE);
    check_not_ended(L);
    char why[LATE_WHY_BYTES];
    if (curl_late_load(why) != 0) {
        return luaL_error(L, "lunesse.http: %s", why);
    }
    struct pool_box *box = lua_newuserdatauv(L, sizeof(struct pool_box), 0);
    box->multi = NULL;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &pool_key);
    lua_setmetatable(L, -2);
    box->multi = multi_new(parts_of(L)->options->loop, (size_t)open_max);
    box->multi->is_public = lua_toboolean(L, 3);
    set_paths_or_raise(L, 2, box->multi);
    return 1;
}

/// Copies what the table says of the multi's connections.
static void set_paths_or_raise(lua_State *L, int index, struct multi *multi)
{
    static const char *const names[MULTI_SETTING_COUNT] = {
        [MULTI_CA] = "ca",       [MULTI_CERTIFICATE] = "certificate",
        [MULTI_KEY] = "key",     [MULTI_UNIX] = "unix",
        [MULTI_PROXY] = "proxy",
    };
    for (size_t i = 0; i < MULTI_SETTING_COUNT; i++) {
        if (opt_field(L, index, names[i]) != LUA_TNIL) {
            multi->settings[i] = mem_string(check_bytes(L, -1));
        }
        lua_pop(L, 1);
    }
}

/// http_request(pool, method, url, fields, body | nil, bounds) -> status, head, body; nil, message,
/// code
static int l_http_request(lua_State *L)
{
    return ask_or_raise(L, false, finish);
}

/// http_open(the same) -> status, head, stream, body_bytes; nil, message, code
static int l_http_open(lua_State *L)
{
    return ask_or_raise(L, true, push_stream);
}

static int ask_or_raise(lua_State *L, bool is_stream, lua_KFunction then)
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
    struct ask_box *asked = push_ask(L, &ask_key);
    lua_toclose(L, PLACE_ASK);
    asked->transfer =
        transfer_new(pool->multi, hub_mailbox(parts_of(L)->options->local_hub), &bounds);
    asked->transfer->is_stream = is_stream;
    asked->transfer->on_end = on_end;
    asked->transfer->on_news = on_end;
    asked->transfer->user = asked;
    if (transfer_start(asked->transfer, &request) != 0) {
        return push_failure(L, asked->transfer);
    }
    list_append(&asked->tasks, &task_current(L)->wait_node);
    return task_park_then(L, stop_waiting, NULL, then, 0);
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

static struct ask_box *push_ask(lua_State *L, const void *key)
{
    struct ask_box *ask = lua_newuserdatauv(L, sizeof(struct ask_box), 0);
    *ask = (struct ask_box){0};
    list_init(&ask->tasks);
    lua_rawgetp(L, LUA_REGISTRYINDEX, key);
    lua_setmetatable(L, -2);
    return ask;
}

/// Pushes the answer of the request that has ended. Lua closes the request when this returns.
static int finish(lua_State *L, int status, lua_KContext context)
{
    const struct ask_box *asked = lua_touserdata(L, PLACE_ASK);
    const struct transfer *transfer = asked->transfer;
    (void)status;
    (void)context;
    DCHECK(transfer->state == TRANSFER_ENDED);
    if (transfer->failure != 0) {
        return push_failure(L, transfer);
    }
    struct bytes head = buf_bytes(&transfer->head);
    struct bytes body = buf_bytes(&transfer->body);
    lua_pushinteger(L, transfer->status);
    lua_pushlstring(L, head.at, head.len);
    lua_pushlstring(L, body.at, body.len);
    return 3;
}

static int push_failure(lua_State *L, const struct transfer *transfer)
{
    DCHECK(transfer->failure < 0);
    if (transfer->failure == -EMSGSIZE) {
        limit_met("upstream_body_bytes", transfer->bounds.body_bytes);
    }
    return box_push_failure(L, transfer->why, upstream_code(transfer->failure));
}

/// The head of a stream has come, or it has failed. All that may raise comes before the transfer
/// moves.
static int push_stream(lua_State *L, int status, lua_KContext context)
{
    struct ask_box *asked = lua_touserdata(L, PLACE_ASK);
    struct transfer *transfer = asked->transfer;
    (void)status;
    (void)context;
    DCHECK(transfer->state >= TRANSFER_READING);
    if (transfer->failure != 0) {
        return push_failure(L, transfer);
    }
    struct bytes head = buf_bytes(&transfer->head);
    lua_pushinteger(L, transfer->status);
    lua_pushlstring(L, head.at, head.len);
    struct ask_box *stream = push_ask(L, &stream_key);
    stream->transfer = transfer;
    transfer->user = stream;
    asked->transfer = NULL;
    stream->member.on_task_end = on_task_end;
    task_member_join(&stream->member, task_current(L));
    lua_pushinteger(L, (lua_Integer)transfer->bounds.body_bytes);
    return 4;
}

/// http_read(stream) -> chunk; nil at the end; nil, message, code
static int l_http_read(lua_State *L)
{
    check_stream(L);
    return push_chunk_or_raise(L);
}

static int push_chunk_or_raise(lua_State *L)
{
    struct ask_box *stream = lua_touserdata(L, 1);
    struct transfer *transfer = stream->transfer;
    if (transfer == NULL) {
        return box_push_closed(L);
    }
    struct bytes body = buf_bytes(&transfer->body);
    if (body.len == 0) {
        return wait_for_more_or_raise(L, stream, read_on_or_raise);
    }
    lua_pushlstring(L, body.at, body.len);
    buf_consume(&transfer->body, body.len);
    transfer_resume(transfer);
    return 1;
}

static int read_on_or_raise(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    return push_chunk_or_raise(L);
}

/// http_event(stream) -> { id, event, data, retry }; nil at the end; nil, message, code
static int l_http_event(lua_State *L)
{
    check_stream(L);
    return push_event_or_raise(L);
}

/// What is pushed is made before it is taken, because making it may raise.
static int push_event_or_raise(lua_State *L)
{
    struct ask_box *stream = lua_touserdata(L, 1);
    struct transfer *transfer = stream->transfer;
    if (transfer == NULL) {
        return box_push_closed(L);
    }
    struct bytes text = buf_bytes(&transfer->body);
    struct bytes block;
    struct sse_blocks blocks = stream->blocks;
    if (sse_blocks_take(&blocks, &text, &block)) {
        push_block(L, block);
        stream->blocks = blocks;
        buf_consume(&transfer->body, buf_len(&transfer->body) - text.len);
        transfer_resume(transfer);
        return 1;
    }
    stream->blocks = blocks;
    buf_consume(&transfer->body, buf_len(&transfer->body) - text.len);
    if (transfer->state != TRANSFER_ENDED && transfer_want_more(transfer) != 0) {
        limit_met("upstream_body_bytes", transfer->bounds.body_bytes);
        return box_push_failure(L, "an event is larger than body_bytes", "EMSGSIZE");
    }
    return wait_for_more_or_raise(L, stream, event_on_or_raise);
}

static int event_on_or_raise(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    return push_event_or_raise(L);
}

/// A field that comes twice counts as it comes last, but data, whose lines are joined.
static void push_block(lua_State *L, struct bytes block)
{
    struct bytes name;
    struct bytes value;
    struct bytes rest = block;
    luaL_Buffer data;
    bool has_data = false;
    lua_createtable(L, 0, 4);
    while (sse_block_next(&rest, &name, &value)) {
        bool is_id = bytes_equal(name, BYTES("id")) && memchr(value.at, '\0', value.len) == NULL;
        if (is_id || bytes_equal(name, BYTES("event")) || bytes_equal(name, BYTES("retry"))) {
            lua_pushlstring(L, name.at, name.len);
            lua_pushlstring(L, value.at, value.len);
            lua_rawset(L, -3);
        }
    }
    luaL_buffinit(L, &data);
    while (sse_block_next(&block, &name, &value)) {
        if (bytes_equal(name, BYTES("data"))) {
            add_data(&data, value, !has_data);
            has_data = true;
        }
    }
    luaL_pushresult(&data);
    if (has_data) {
        lua_setfield(L, -2, "data");
    } else {
        lua_pop(L, 1);
    }
}

static void add_data(luaL_Buffer *data, struct bytes value, bool is_first)
{
    if (!is_first) {
        luaL_addchar(data, '\n');
    }
    luaL_addlstring(data, value.at, value.len);
}

static struct ask_box *check_stream(lua_State *L)
{
    lua_settop(L, 1);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &stream_key);
    bool is_stream = lua_getmetatable(L, 1) && lua_rawequal(L, -1, -2);
    luaL_argcheck(L, is_stream, 1, "a stream expected");
    lua_settop(L, 1);
    return lua_touserdata(L, 1);
}

/// Waits until more of the body has come, or its end.
static int wait_for_more_or_raise(lua_State *L, struct ask_box *stream, lua_KFunction then)
{
    const struct transfer *transfer = stream->transfer;
    if (transfer->state == TRANSFER_ENDED && transfer->failure != 0) {
        return push_failure(L, transfer);
    }
    if (transfer->state == TRANSFER_ENDED) {
        lua_pushnil(L);
        return 1;
    }
    if (!task_can_park(L)) {
        return raise_obstacle(L,
                              "a stream can only wait inside a handler, timer, task or callback");
    }
    if (!list_is_empty(&stream->tasks)) {
        return luaL_error(L, "another task reads this stream");
    }
    list_append(&stream->tasks, &task_current(L)->wait_node);
    return task_park_then(L, stop_waiting, NULL, then, 0);
}

/// http_join(base, reference) -> url; nil when it cannot be read
static int l_http_join(lua_State *L)
{
    const char *base = luaL_checkstring(L, 1);
    const char *reference = luaL_checkstring(L, 2);
    char *joined = NULL;
    lua_settop(L, 2);
    if (upstream_url_resolve(base, reference, &joined) != 0) {
        return 0;
    }
    lua_pushstring(L, joined);
    mem_free(joined);
    return 1;
}

/// http_close(stream)
static int l_http_close(lua_State *L)
{
    check_stream(L);
    return l_close_ask(L);
}

static void on_end(struct transfer *transfer)
{
    wake(transfer->user);
}

static void wake(struct ask_box *ask)
{
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
    end_ask(lua_touserdata(L, 1));
    return 0;
}

static void on_task_end(struct task_member *member)
{
    end_ask(CONTAINER_OF(member, struct ask_box, member));
}

/// A task that reads a stream which another one closes is told so. Idempotent.
static void end_ask(struct ask_box *ask)
{
    struct transfer *transfer = ask->transfer;
    task_member_leave(&ask->member);
    ask->transfer = NULL;
    if (transfer != NULL) {
        wake(ask);
        transfer_free(transfer);
    }
}
