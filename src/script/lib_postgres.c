// SPDX-License-Identifier: MIT
//
// A connection is a userdata, which the Lua half makes, lends and closes. A task that waits is in
// the list of its connection:
//
//     parked --> on_news: the task is woken, and `then` pushes what has come
//        \-----> cancelled: stop_waiting ends the connection, and cancels its query at the server
#include "script/lib_postgres.h"

#include "base/check.h"
#include "base/environment.h"
#include "base/list.h"
#include "base/mem.h"
#include "hub/hub.h"
#include "postgres/link.h"
#include "postgres/pq_late.h"
#include "script/box.h"
#include "script/json_value.h"
#include "script/obstacle.h"
#include "script/parts.h"
#include "script/stack.h"
#include "script/state.h"
#include "script/task.h"

#include <stdlib.h>
#include <string.h>

// The registry keeps the metatable under the address of this.
static const char link_key;

/// Types that PostgreSQL has by these numbers since there are releases of it.
enum {
    TYPE_BOOL = 16,
    TYPE_BYTEA = 17,
    TYPE_INT8 = 20,
    TYPE_INT2 = 21,
    TYPE_INT4 = 23,
    TYPE_OID = 26,
    TYPE_FLOAT4 = 700,
    TYPE_FLOAT8 = 701,
};

/// The userdata of a connection.
struct link_box {
    struct link *link; // NULL once it is closed
    struct list tasks; // the task that waits, by its `wait_node`
};

/// Where the arguments of `postgres_query` stand.
enum { ARG_LINK = 1, ARG_SQL, ARG_FORMATS, ARG_FIRST };

static struct link_box *check_link(lua_State *L);
static void check_wait_or_raise(lua_State *L);
static int wait_for_news(lua_State *L, struct link_box *box, lua_KFunction then);
static int push_opened(lua_State *L, int status, lua_KContext context);
static void ask_or_raise(lua_State *L, struct link *link);
static int push_answer(lua_State *L, int status, lua_KContext context);
static int push_refusal(lua_State *L, const PGresult *result);
static int push_failure(lua_State *L, const char *message, const char *code);
static void push_rows(lua_State *L, const PGresult *result);
static void push_row(lua_State *L, const PGresult *result, int row);
static void push_value(lua_State *L, const PGresult *result, int row, int column);
static void push_unescaped(lua_State *L, const char *text, size_t len);
static void push_types(lua_State *L, const PGresult *result);
static int push_notification(lua_State *L, int status, lua_KContext context);
static void on_news(struct link *link);
static void wake(struct link_box *box);
static void stop_waiting(struct task *task, void *box);
static void end_link(struct link_box *box);
static int l_postgres_check(lua_State *L);
static int l_postgres_link(lua_State *L);
static int l_postgres_open(lua_State *L);
static int l_postgres_query(lua_State *L);
static int l_postgres_notification(lua_State *L);
static int l_postgres_is_free(lua_State *L);
static int l_postgres_close(lua_State *L);
static int l_collect(lua_State *L);

const luaL_Reg lib_postgres_functions[] = {
    {"postgres_check", l_postgres_check},
    {"postgres_link", l_postgres_link},
    {"postgres_open", l_postgres_open},
    {"postgres_query", l_postgres_query},
    {"postgres_notification", l_postgres_notification},
    {"postgres_is_free", l_postgres_is_free},
    {"postgres_close", l_postgres_close},
    {NULL, NULL},
};

void lib_postgres_register(lua_State *L)
{
    STACK_BEGIN(L);
    lua_newtable(L);
    lua_pushliteral(L, "PostgresLink");
    lua_setfield(L, -2, "__name");
    lua_pushliteral(L, "protected");
    lua_setfield(L, -2, "__metatable");
    lua_pushcfunction(L, l_collect);
    lua_setfield(L, -2, "__gc");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &link_key);
    DCHECK_STACK(L, 0);
}

/// postgres_check(url | nil): raises when libpq is missing, or the URL is none.
static int l_postgres_check(lua_State *L)
{
    const char *url = luaL_optstring(L, 1, NULL);
    char why[LATE_WHY_BYTES];
    char *complaint = NULL;
    if (pq_late_load(why) != 0) {
        return luaL_error(L, "lunesse.postgres: %s", why);
    }
    if (settings_check(url, &complaint) != 0) {
        lua_pushfstring(L, "lunesse.postgres: url: %s", complaint);
        mem_free(complaint);
        return lua_error(L);
    }
    return 0;
}

/// postgres_link([is_listening]) -> userdata, of a connection that is to be opened
static int l_postgres_link(lua_State *L)
{
    bool is_listening = lua_toboolean(L, 1);
    check_not_ended(L);
    struct link_box *box = lua_newuserdatauv(L, sizeof(struct link_box), 0);
    box->link = NULL;
    list_init(&box->tasks);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &link_key);
    lua_setmetatable(L, -2);
    box->link = link_new(parts_of(L)->options->loop);
    box->link->on_news = on_news;
    box->link->user = box;
    box->link->is_listening = is_listening;
    return 1;
}

/// postgres_open(link, url | nil, seconds) -> true; nil, message, code
static int l_postgres_open(lua_State *L)
{
    struct link_box *box = check_link(L);
    const char *url = luaL_optstring(L, 2, NULL);
    uint64_t connect_ms = check_duration_ms(L, 3);
    check_wait_or_raise(L);
    if (environment_is_still(environment_here)) {
        return box_push_failure(L, "a spec reaches no database: give the script a stand-in",
                                "ENOTSUP");
    }
    if (box->link == NULL) {
        return box_push_closed(L);
    }
    link_start(box->link, hub_mailbox(parts_of(L)->options->local_hub), url, connect_ms);
    return wait_for_news(L, box, push_opened);
}

/// postgres_query(link, sql, formats, ...) -> rows, count, tag, types; nil, message, code
///
/// `formats` has a letter for each parameter that follows: t for a text, b for bytes. A parameter
/// is a string or nil. `types` has the numbers of the columns' types, by their names.
static int l_postgres_query(lua_State *L)
{
    struct link_box *box = check_link(L);
    (void)luaL_checkstring(L, ARG_SQL);
    size_t count = check_bytes(L, ARG_FORMATS).len;
    lua_settop(L, ARG_FORMATS + (int)count);
    for (int i = ARG_FIRST; i <= lua_gettop(L); i++) {
        (void)luaL_optstring(L, i, NULL);
    }
    check_wait_or_raise(L);
    if (box->link == NULL) {
        return box_push_closed(L);
    }
    if (box->link->state == LINK_ASKING) {
        return box_push_failure(
            L, "another query of this transaction runs: a connection answers one at a time",
            "EBUSY");
    }
    if (box->link->state == LINK_IDLE) {
        ask_or_raise(L, box->link);
    }
    return wait_for_news(L, box, push_answer);
}

/// postgres_notification(link) -> payload; nil, message, code
///
/// Waits for the next one, of a link that listens and whose `listen` was answered.
static int l_postgres_notification(lua_State *L)
{
    const struct link_box *box = check_link(L);
    check_wait_or_raise(L);
    luaL_argcheck(L, box->link == NULL || box->link->is_listening, 1, "the link does not listen");
    return push_notification(L, LUA_OK, 0);
}

/// postgres_is_free(link) -> whether it can be lent to another
static int l_postgres_is_free(lua_State *L)
{
    struct link_box *box = check_link(L);
    lua_pushboolean(L, box->link != NULL && link_is_free(box->link));
    return 1;
}

/// postgres_close(link). Idempotent.
static int l_postgres_close(lua_State *L)
{
    end_link(check_link(L));
    return 0;
}

static struct link_box *check_link(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &link_key);
    bool is_link = lua_getmetatable(L, 1) && lua_rawequal(L, -1, -2);
    luaL_argcheck(L, is_link, 1, "a connection expected");
    lua_pop(L, 2);
    return lua_touserdata(L, 1);
}

static void check_wait_or_raise(lua_State *L)
{
    if (!task_can_park(L)) {
        raise_obstacle(L, "a query can only wait inside a handler, timer, task or callback");
    }
}

/// Returns to Lua what `then` pushes, when there is news; at once, when the link has ended already
/// or could be opened without waiting.
static int wait_for_news(lua_State *L, struct link_box *box, lua_KFunction then)
{
    if (box->link->state == LINK_ENDED || box->link->state == LINK_IDLE) {
        return then(L, LUA_OK, 0);
    }
    DCHECK(list_is_empty(&box->tasks));
    list_append(&box->tasks, &task_current(L)->wait_node);
    return task_park_then(L, stop_waiting, box, then, 0);
}

static int push_opened(lua_State *L, int status, lua_KContext context)
{
    const struct link_box *box = lua_touserdata(L, ARG_LINK);
    (void)status;
    (void)context;
    if (box->link == NULL) {
        return box_push_closed(L);
    }
    if (box->link->state == LINK_ENDED) {
        return push_failure(L, box->link->why, box->link->code);
    }
    DCHECK(box->link->state == LINK_IDLE);
    lua_pushboolean(L, true);
    return 1;
}

/// The lists are Lua's, so that they go when it raises.
static void ask_or_raise(lua_State *L, struct link *link)
{
    struct bytes formats = check_bytes(L, ARG_FORMATS);
    int count = (int)formats.len;
    size_t each = sizeof(char *) + 2 * sizeof(int) + sizeof(Oid);
    const char **values = lua_newuserdatauv(L, each * (formats.len + 1), 0);
    int *lens = (int *)(values + count);
    int *binary = lens + count;
    Oid *types = (Oid *)(binary + count);
    for (int i = 0; i < count; i++) {
        size_t len = 0;
        values[i] = lua_tolstring(L, ARG_FIRST + i, &len);
        luaL_argcheck(L, len <= INT32_MAX, ARG_FIRST + i, "too large for a parameter");
        lens[i] = (int)len;
        binary[i] = formats.at[i] == 'b';
        types[i] = binary[i] ? TYPE_BYTEA : 0;
    }
    link_ask(link, &(struct link_query){.sql = lua_tostring(L, ARG_SQL),
                                        .count = count,
                                        .types = types,
                                        .values = values,
                                        .lens = lens,
                                        .formats = binary});
}

/// A server that ends a connection answers the query first, so the answer goes before the end.
static int push_answer(lua_State *L, int status, lua_KContext context)
{
    const struct link_box *box = lua_touserdata(L, ARG_LINK);
    (void)status;
    (void)context;
    if (box->link == NULL) {
        return box_push_closed(L);
    }
    PGresult *result = box->link->result;
    ExecStatusType answer = libpq.PQresultStatus(result); // of NULL: a failure
    DCHECK(box->link->state == LINK_IDLE || box->link->state == LINK_ENDED);
    if (answer == PGRES_TUPLES_OK || answer == PGRES_COMMAND_OK || answer == PGRES_EMPTY_QUERY) {
        push_rows(L, result);
        lua_pushinteger(L, strtoll(libpq.PQcmdTuples(result), NULL, 10));
        lua_pushstring(L, libpq.PQcmdStatus(result));
        push_types(L, result);
        return 4;
    }
    if (libpq.PQresultErrorField(result, PG_DIAG_SQLSTATE) != NULL) {
        return push_refusal(L, result);
    }
    DCHECK(box->link->state == LINK_ENDED);
    return push_failure(L, box->link->why, box->link->code);
}

/// What the server says, in one line, and its SQLSTATE.
static int push_refusal(lua_State *L, const PGresult *result)
{
    const char *text = libpq.PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *detail = libpq.PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
    const char *hint = libpq.PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
    const char *place = libpq.PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION);
    lua_pushstring(L, text == NULL ? "the query failed" : text);
    if (place != NULL) {
        lua_pushfstring(L, "%s at character %s of the query", lua_tostring(L, -1), place);
    }
    if (detail != NULL) {
        lua_pushfstring(L, "%s (%s)", lua_tostring(L, -1), detail);
    }
    if (hint != NULL) {
        lua_pushfstring(L, "%s (%s)", lua_tostring(L, -1), hint);
    }
    return push_failure(L, lua_tostring(L, -1), libpq.PQresultErrorField(result, PG_DIAG_SQLSTATE));
}

/// The code is an SQLSTATE or an errno's name.
static int push_failure(lua_State *L, const char *message, const char *code)
{
    lua_pushnil(L);
    lua_pushstring(L, message);
    lua_pushstring(L, code);
    return 3;
}

/// An array, as JSON knows it, also without rows.
static void push_rows(lua_State *L, const PGresult *result)
{
    int count = libpq.PQntuples(result);
    STACK_BEGIN(L);
    lua_createtable(L, count, 0);
    json_value_push_array_class(L);
    lua_setmetatable(L, -2);
    for (int row = 0; row < count; row++) {
        push_row(L, result, row);
        lua_rawseti(L, -2, row + 1);
    }
    DCHECK_STACK(L, 1);
}

static void push_row(lua_State *L, const PGresult *result, int row)
{
    int count = libpq.PQnfields(result);
    lua_createtable(L, 0, count);
    for (int column = 0; column < count; column++) {
        if (libpq.PQgetisnull(result, row, column) == 0) {
            lua_pushstring(L, libpq.PQfname(result, column));
            push_value(L, result, row, column);
            lua_rawset(L, -3);
        }
    }
}

static void push_value(lua_State *L, const PGresult *result, int row, int column)
{
    const char *text = libpq.PQgetvalue(result, row, column);
    size_t len = (size_t)libpq.PQgetlength(result, row, column);
    switch (libpq.PQftype(result, column)) {
    case TYPE_BOOL:
        lua_pushboolean(L, text[0] == 't');
        return;
    case TYPE_INT2:
    case TYPE_INT4:
    case TYPE_INT8:
    case TYPE_OID:
        lua_pushinteger(L, strtoll(text, NULL, 10));
        return;
    case TYPE_FLOAT4:
    case TYPE_FLOAT8:
        lua_pushnumber(L, strtod(text, NULL));
        return;
    case TYPE_BYTEA:
        push_unescaped(L, text, len);
        return;
    default:
        lua_pushlstring(L, text, len);
    }
}

/// The room is made first, since making it may raise, and bytes are no more than the text.
static void push_unescaped(lua_State *L, const char *text, size_t len)
{
    luaL_Buffer buffer;
    size_t size = 0;
    char *room = luaL_buffinitsize(L, &buffer, len);
    unsigned char *bytes = libpq.PQunescapeBytea((const unsigned char *)text, &size);
    CHECK(bytes != NULL && size <= len);
    memcpy(room, bytes, size);
    libpq.PQfreemem(bytes);
    luaL_pushresultsize(&buffer, size);
}

static void push_types(lua_State *L, const PGresult *result)
{
    int count = libpq.PQnfields(result);
    lua_createtable(L, 0, count);
    for (int column = 0; column < count; column++) {
        lua_pushstring(L, libpq.PQfname(result, column));
        lua_pushinteger(L, libpq.PQftype(result, column));
        lua_rawset(L, -3);
    }
}

/// Parks the task when nothing is there.
static int push_notification(lua_State *L, int status, lua_KContext context)
{
    struct link_box *box = lua_touserdata(L, ARG_LINK);
    (void)status;
    (void)context;
    if (box->link == NULL) {
        return box_push_closed(L);
    }
    PGnotify *taken = box->link->state == LINK_IDLE ? link_take_notification(box->link) : NULL;
    if (taken != NULL) {
        lua_pushstring(L, taken->extra);
        libpq.PQfreemem(taken);
        return 1;
    }
    if (box->link->state == LINK_ENDED) {
        return push_failure(L, box->link->why, box->link->code);
    }
    DCHECK(list_is_empty(&box->tasks));
    list_append(&box->tasks, &task_current(L)->wait_node);
    return task_park_then(L, stop_waiting, box, push_notification, 0);
}

static void on_news(struct link *link)
{
    wake(link->user);
}

static void wake(struct link_box *box)
{
    while (!list_is_empty(&box->tasks)) {
        struct task *task = LIST_ITEM(box->tasks.next, struct task, wait_node);
        list_remove(&task->wait_node);
        task_wake(task, 0);
    }
}

static void stop_waiting(struct task *task, void *box)
{
    list_remove(&task->wait_node);
    end_link(box);
}

static int l_collect(lua_State *L)
{
    end_link(lua_touserdata(L, 1));
    return 0;
}

/// A task that waits is told so. Idempotent.
static void end_link(struct link_box *box)
{
    struct link *link = box->link;
    box->link = NULL;
    if (link != NULL) {
        wake(box);
        link_free(link);
    }
}
