// SPDX-License-Identifier: MIT
#include "script/lib_sse.h"

#include "http/conn.h"
#include "http/exchange.h"
#include "script/task.h"
#include "script/visit.h"

#include <errno.h>

/// The user values of an sse box. Its memory is one pointer, to the visit.
enum { SLOT_RESPONSE = 1, SLOT_COUNT = SLOT_RESPONSE };

static struct visit *check_visit(lua_State *L);
static bool is_acceptable(const struct exchange *exchange);
static bool ensure_open(lua_State *L, struct visit *visit);
static struct stream_options default_options(const struct visit *visit);
static void read_options(lua_State *L, struct stream_options *options);
static struct bytes check_data(lua_State *L, int index);
static struct sse_event check_arguments(lua_State *L);
static void check_names(lua_State *L, const struct sse_event *event);
static bool has_event_field(lua_State *L);
static struct sse_event check_table(lua_State *L);
static void check_fields(lua_State *L);
static struct bytes check_text_field(lua_State *L, const char *name, bool *is_there);
static int push_result(lua_State *L, struct visit *visit, int failure);
static int l_open(lua_State *L);
static int l_send(lua_State *L);
static int l_comment(lua_State *L);
static int l_retry(lua_State *L);
static int l_close(lua_State *L);
static int p_active(lua_State *L);
static int p_pending(lua_State *L);
static int p_last_event_id(lua_State *L);

static const char *const field_names[] = {"id", "event", "data", "retry", NULL};

static const luaL_Reg methods[] = {
    {"open", l_open},   {"send", l_send},   {"comment", l_comment},
    {"retry", l_retry}, {"close", l_close}, {NULL, NULL},
};

static const struct box_property properties[] = {
    {"active", p_active},
    {"pending", p_pending},
    {"last_event_id", p_last_event_id},
    {NULL, NULL},
};

const struct box_class lib_sse_class = {"Sse", methods, properties};

int lib_sse_push_of_response(lua_State *L)
{
    struct visit *visit = check_box(L, 1, BOX_RESPONSE);
    if (lua_getiuservalue(L, 1, VISIT_STREAM) != LUA_TNIL) {
        return 1;
    }
    if (visit->exchange == NULL || !is_acceptable(visit->exchange)) {
        return 1; // the nil
    }
    struct visit **box = lua_newuserdatauv(L, sizeof(struct visit *), SLOT_COUNT);
    *box = visit;
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, SLOT_RESPONSE);
    box_set_type(L, BOX_SSE);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, 1, VISIT_STREAM);
    return 1;
}

static bool is_acceptable(const struct exchange *exchange)
{
    return !exchange_is_head(exchange) &&
           request_quality(&exchange->request, BYTES("text/event-stream")) > 0;
}

static struct visit *check_visit(lua_State *L)
{
    struct visit **box = check_box(L, 1, BOX_SSE);
    return *box;
}

/// sse:open([options]) -> true; nil, "already open", "EALREADY"; nil, "closed", "ECLOSED"
static int l_open(lua_State *L)
{
    static const char *const names[] = {"retry", "heartbeat", NULL};
    struct visit *visit = check_visit(L);
    check_options(L, 2, names);
    struct stream_options options = default_options(visit);
    read_options(L, &options);
    if (visit->exchange == NULL || visit->exchange->is_doomed) {
        return box_push_closed(L);
    }
    if (visit->stream != NULL) {
        return visit->stream->is_open ? box_push_failure(L, "already open", "EALREADY")
                                      : box_push_closed(L);
    }
    if (visit->exchange->response.state != RESPONSE_FRESH) {
        return luaL_error(L, "the response is already sent");
    }
    return push_result(L, visit, visit_open_stream(visit, &options));
}

static struct stream_options default_options(const struct visit *visit)
{
    const struct route *route = visit->route;
    uint64_t heartbeat_ms = visit->generation->options.limits->heartbeat_ms;
    return (struct stream_options){.heartbeat_ms =
                                       route->has_heartbeat ? route->heartbeat_ms : heartbeat_ms};
}

static void read_options(lua_State *L, struct stream_options *options)
{
    lua_settop(L, 2);
    if (opt_field(L, 2, "retry") != LUA_TNIL) {
        options->has_retry = true;
        options->retry_ms = check_duration_option_ms(L, 2, "retry");
    }
    int type = opt_field(L, 2, "heartbeat");
    if (type == LUA_TBOOLEAN && !lua_toboolean(L, 4)) {
        options->heartbeat_ms = 0;
    } else if (type != LUA_TNIL) {
        options->heartbeat_ms = check_duration_option_ms(L, 2, "heartbeat");
    }
}

/// sse:send(data) | (event, data) | (id, event, data) | { id=, event=, data=, retry= } -> true;
/// nil, "closed", "ECLOSED"
static int l_send(lua_State *L)
{
    struct visit *visit = check_visit(L);
    struct sse_event event = check_arguments(L);
    check_names(L, &event);
    if (!ensure_open(L, visit)) {
        return box_push_closed(L);
    }
    return push_result(L, visit, stream_send(visit->stream, &event));
}

/// Before the stream opens by itself: a mistake in the first event is still answered with a 500.
static void check_names(lua_State *L, const struct sse_event *event)
{
    int count = lua_gettop(L);
    switch (sse_check_event(event)) {
    case SSE_BAD_ID:
        luaL_argerror(L, 2, "an event id has no line break and no NUL");
        return;
    case SSE_BAD_EVENT:
        luaL_argerror(L, count == 4 ? 3 : 2, "an event name has no line break and no NUL");
        return;
    default:
        return;
    }
}

/// By the number of arguments, never by their truth: "", 0 and false are data.
static struct sse_event check_arguments(lua_State *L)
{
    struct sse_event event = {.has_data = true};
    int count = lua_gettop(L) - 1;
    luaL_argcheck(L, count >= 1 && count <= 3, count < 1 ? 2 : 5,
                  "data; event, data; or id, event, data expected");
    if (count == 1 && lua_istable(L, 2) && has_event_field(L)) {
        return check_table(L);
    }
    event.data = check_data(L, count + 1);
    if (count >= 2) {
        event.has_event = true;
        event.event = check_bytes(L, count);
    }
    if (count == 3) {
        event.has_id = true;
        event.id = check_bytes(L, 2);
    }
    return event;
}

/// A single table with an event field is an event; any other, arrays included, is data. One that
/// mixes event fields with others could be meant either way, so it is refused.
static bool has_event_field(lua_State *L)
{
    bool is_found = false;
    for (size_t i = 0; field_names[i] != NULL; i++) {
        is_found = is_found || lua_getfield(L, 2, field_names[i]) != LUA_TNIL;
    }
    lua_settop(L, 2);
    return is_found;
}

static struct sse_event check_table(lua_State *L)
{
    struct sse_event event = {.has_data = true};
    check_fields(L);
    event.id = check_text_field(L, "id", &event.has_id);
    event.event = check_text_field(L, "event", &event.has_event);
    if (lua_getfield(L, 2, "retry") != LUA_TNIL) {
        event.has_retry = true;
        event.retry_ms = check_duration_option_ms(L, 2, "retry");
    }
    if (lua_getfield(L, 2, "data") == LUA_TNIL) {
        event.has_data = false;
        luaL_argcheck(L, event.has_id || event.has_retry || event.has_event, 2,
                      "id, event, data or retry expected");
    } else {
        event.data = check_data(L, lua_gettop(L));
    }
    return event;
}

static void check_fields(lua_State *L)
{
    lua_pushnil(L);
    while (lua_next(L, 2) != 0) {
        lua_pop(L, 1); // [.., key]
        bool is_known = false;
        for (size_t i = 0; field_names[i] != NULL; i++) {
            is_known = is_known || (lua_type(L, -1) == LUA_TSTRING &&
                                    strcmp(lua_tostring(L, -1), field_names[i]) == 0);
        }
        if (!is_known) {
            const char *key = luaL_tolstring(L, -1, NULL);
            luaL_argerror(L, 2,
                          lua_pushfstring(L,
                                          "event fields beside '%s'; to send the whole table as "
                                          "JSON, say send{ data = table }",
                                          key));
        }
    }
}

/// The strings stay alive in the table at index 2.
static struct bytes check_text_field(lua_State *L, const char *name, bool *is_there)
{
    int type = lua_getfield(L, 2, name);
    *is_there = type != LUA_TNIL;
    if (type == LUA_TNIL) {
        return BYTES("");
    }
    if (type != LUA_TSTRING && type != LUA_TNUMBER) {
        luaL_argerror(L, 2, lua_pushfstring(L, "%s must be a string", name));
    }
    return check_bytes(L, lua_gettop(L)); // stays on the stack
}

static struct bytes check_data(lua_State *L, int index)
{
    switch (lua_type(L, index)) {
    case LUA_TBOOLEAN:
        return lua_toboolean(L, index) ? BYTES("true") : BYTES("false");
    case LUA_TTABLE:
    case LUA_TLIGHTUSERDATA: // json null
        lua_rawgeti(L, LUA_REGISTRYINDEX, generation_of(L)->json_encode_ref);
        lua_pushvalue(L, index);
        lua_call(L, 1, 1);
        lua_replace(L, index);
        return check_bytes(L, index);
    default:
        return check_bytes(L, index);
    }
}

static bool ensure_open(lua_State *L, struct visit *visit)
{
    if (visit->exchange == NULL || visit->exchange->is_doomed) {
        return false;
    }
    if (visit->stream != NULL) {
        return visit->stream->is_open;
    }
    if (visit->exchange->response.state != RESPONSE_FRESH) {
        luaL_error(L, "the response is already sent");
    }
    struct stream_options options = default_options(visit);
    return visit_open_stream(visit, &options) == 0;
}

static int push_result(lua_State *L, struct visit *visit, int failure)
{
    if (failure == -EMSGSIZE) {
        return box_push_failure(L, "the event is larger than stream_max_bytes", "EMSGSIZE");
    }
    if (failure != 0) {
        return box_push_closed(L);
    }
    if (exchange_is_over(visit->exchange) && task_can_park(L)) {
        return visit_park_until_drained(L, visit);
    }
    lua_pushboolean(L, 1);
    return 1;
}

/// sse:comment(text) -> true; nil, "closed", "ECLOSED"
static int l_comment(lua_State *L)
{
    struct visit *visit = check_visit(L);
    struct bytes text = check_bytes(L, 2);
    return ensure_open(L, visit) ? push_result(L, visit, stream_comment(visit->stream, text))
                                 : box_push_closed(L);
}

/// sse:retry(seconds) -> true; nil, "closed", "ECLOSED"
static int l_retry(lua_State *L)
{
    struct visit *visit = check_visit(L);
    uint64_t retry_ms = check_duration_ms(L, 2);
    return ensure_open(L, visit) ? push_result(L, visit, stream_retry(visit->stream, retry_ms))
                                 : box_push_closed(L);
}

/// sse:close() -> true. Again, or before the stream was opened, it does nothing: an unopened stream
/// opens and ends.
static int l_close(lua_State *L)
{
    struct visit *visit = check_visit(L);
    if (ensure_open(L, visit)) {
        stream_end(visit->stream);
    }
    lua_pushboolean(L, 1);
    return 1;
}

static int p_active(lua_State *L)
{
    const struct visit *visit = check_visit(L);
    lua_pushboolean(L, visit->exchange != NULL && visit->stream != NULL && visit->stream->is_open &&
                           !visit->exchange->is_doomed);
    return 1;
}

static int p_pending(lua_State *L)
{
    const struct visit *visit = check_visit(L);
    size_t bytes = visit->exchange == NULL ? 0 : exchange_pending_bytes(visit->exchange);
    lua_pushinteger(L, (lua_Integer)bytes);
    return 1;
}

/// The same as the request's.
static int p_last_event_id(lua_State *L)
{
    check_visit(L);
    lua_getiuservalue(L, 1, SLOT_RESPONSE);
    lua_getiuservalue(L, -1, VISIT_REQUEST);
    lua_getfield(L, -1, "last_event_id");
    return 1;
}
