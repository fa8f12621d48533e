// SPDX-License-Identifier: MIT
//
// Every method follows the same order: check the arguments, open the stream if that is still to be
// done, write, and park the task if the output is over its limit. A mistake in the first event is
// thus found before anything was sent, and is answered with a 500.
#include "script/lib_sse.h"

#include "base/check.h"
#include "http/exchange.h"
#include "hub/replica.h"
#include "script/application.h"
#include "script/channel_box.h"
#include "script/event.h"
#include "script/event_field.h"
#include "script/handler.h"
#include "script/lib_request.h"
#include "script/parts.h"
#include "script/scope.h"
#include "script/start_option.h"
#include "script/task.h"

#include <errno.h>

/// The user values of an sse box. The memory of the box is one pointer, to the scope, which the
/// response box keeps alive.
enum { SLOT_RESPONSE = 1, SLOT_COUNT = SLOT_RESPONSE };

static struct scope *check_scope(lua_State *L);
static void check_headers(lua_State *L, const struct scope *scope);
static bool ensure_open_or_raise(lua_State *L, struct scope *scope);
static struct stream_options default_options(const struct scope *scope);
static void check_stream_options(lua_State *L, struct stream_options *options);
static struct sse_event check_own_event(lua_State *L, const struct scope *scope);
static int push_result(lua_State *L, struct scope *scope, int failure);
static int l_open(lua_State *L);
static int l_send(lua_State *L);
static int l_try_send(lua_State *L);
static int l_comment(lua_State *L);
static int l_retry(lua_State *L);
static int l_subscribe(lua_State *L);
static struct stream_start check_place(lua_State *L, const struct scope *scope);
static int l_unsubscribe(lua_State *L);
static int l_close(lua_State *L);
static int l_collect(lua_State *L);
static int p_active(lua_State *L);
static int p_pending(lua_State *L);
static int p_last_event_id(lua_State *L);

static const luaL_Reg methods[] = {
    {"open", l_open},
    {"send", l_send},
    {"try_send", l_try_send},
    {"comment", l_comment},
    {"retry", l_retry},
    {"subscribe", l_subscribe},
    {"unsubscribe", l_unsubscribe},
    {"close", l_close},
    {NULL, NULL},
};

static const struct box_property properties[] = {
    {"active", p_active},
    {"pending", p_pending},
    {"last_event_id", p_last_event_id},
    {NULL, NULL},
};

const struct box_class lib_sse_class = {"Sse", methods, properties, l_collect};

int p_response_sse(lua_State *L)
{
    struct scope *scope = check_box(L, 1, BOX_RESPONSE);
    if (lua_getiuservalue(L, 1, SCOPE_STREAM) != LUA_TNIL) {
        return 1;
    }
    if (!scope_takes_stream(scope)) {
        return 1; // the nil
    }
    struct scope **box = lua_newuserdatauv(L, sizeof(struct scope *), SLOT_COUNT);
    *box = scope;
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, SLOT_RESPONSE);
    box_set_type(L, BOX_SSE);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, 1, SCOPE_STREAM);
    DCHECK(lua_touserdata(L, -1) == box);
    scope_expect_stream(scope);
    return 1;
}

static struct scope *check_scope(lua_State *L)
{
    struct scope **box = check_box(L, 1, BOX_SSE);
    return *box;
}

/// sse:open([options]) -> true; nil, "already open", "EALREADY"; nil, "closed", "ECLOSED"
static int l_open(lua_State *L)
{
    static const char *const names[] = {"retry", "heartbeat", NULL};
    struct scope *scope = check_scope(L);
    check_options(L, 2, names);
    struct stream_options options = default_options(scope);
    check_stream_options(L, &options);
    if (scope->exchange == NULL || scope->exchange->is_aborted) {
        return box_push_closed(L);
    }
    if (scope->stream != NULL) {
        return scope->stream->is_open ? box_push_failure(L, "already open", "EALREADY")
                                      : box_push_closed(L);
    }
    if (scope->exchange->response.state != RESPONSE_FRESH) {
        return luaL_error(L, "the response is already sent");
    }
    check_headers(L, scope);
    return push_result(L, scope, handler_open_stream(scope, &options));
}

/// Raises if a header was set that an event stream has to set itself: it would not be sent as the
/// script set it.
static void check_headers(lua_State *L, const struct scope *scope)
{
    DCHECK(scope->exchange->response.state == RESPONSE_FRESH);
    struct bytes name;
    if (response_stream_conflict(&scope->exchange->response, &name)) {
        luaL_error(L,
                   "the header %s was set, and an event stream has its own: open it on a response "
                   "without that header",
                   name.at);
    }
}

static struct stream_options default_options(const struct scope *scope)
{
    const struct route *route = scope->route;
    const struct generation_options *options = scope->parts->options;
    return (struct stream_options){
        .heartbeats = options->heartbeats,
        .heartbeat_ms = route->options.has_heartbeat ? route->options.heartbeat_ms
                                                     : options->limits->stream.heartbeat_ms,
    };
}

static void check_stream_options(lua_State *L, struct stream_options *options)
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

/// sse:send(data) | (event, data) | (id, event, data) | (Event) -> true; nil, "closed", "ECLOSED".
/// The arguments are checked before the stream opens by itself: a mistake in the first event is
/// still answered with a 500.
static int l_send(lua_State *L)
{
    struct scope *scope = check_scope(L);
    if (event_is_table(L)) {
        return event_encode_or_raise(L, l_send);
    }
    struct sse_event event = check_own_event(L, scope);
    return ensure_open_or_raise(L, scope)
               ? push_result(L, scope, stream_send(scope->stream, &event))
               : box_push_closed(L);
}

/// sse:try_send(...), as `send` -> true; nil, "full", "EAGAIN" where `send` would wait; nil,
/// "closed", "ECLOSED". It never waits.
static int l_try_send(lua_State *L)
{
    struct scope *scope = check_scope(L);
    struct sse_event event = check_own_event(L, scope);
    int failure =
        ensure_open_or_raise(L, scope) ? stream_try_send(scope->stream, &event) : -ECANCELED;
    if (failure == -EAGAIN) {
        return box_push_failure(L, "full", "EAGAIN");
    }
    if (failure != 0) {
        return push_result(L, scope, failure);
    }
    lua_pushboolean(L, 1);
    return 1;
}

static struct sse_event check_own_event(lua_State *L, const struct scope *scope)
{
    struct sse_event event = check_event(L, true);
    if (event.has_id && scope->stream != NULL && stream_is_subscribed(scope->stream)) {
        luaL_error(L, "a stream that follows a channel gets its ids from the engine");
    }
    return event;
}

static bool ensure_open_or_raise(lua_State *L, struct scope *scope)
{
    if (scope->exchange == NULL || scope->exchange->is_aborted) {
        return false;
    }
    DEBUG_CALL(scope_check(scope));
    if (scope->stream != NULL) {
        return scope->stream->is_open;
    }
    if (scope->exchange->response.state != RESPONSE_FRESH) {
        luaL_error(L, "the response is already sent");
    }
    check_headers(L, scope);
    struct stream_options options = default_options(scope);
    return handler_open_stream(scope, &options) == 0;
}

static int push_result(lua_State *L, struct scope *scope, int failure)
{
    if (failure == -EMSGSIZE) {
        return box_push_failure(L, "the event is larger than stream_max_bytes", "EMSGSIZE");
    }
    if (failure != 0) {
        return box_push_closed(L);
    }
    if (stream_is_over(scope->stream) && task_can_park(L)) {
        return scope_park_until_room(L, scope);
    }
    lua_pushboolean(L, 1);
    return 1;
}

/// sse:comment(text) -> true; nil, "closed", "ECLOSED"
static int l_comment(lua_State *L)
{
    struct scope *scope = check_scope(L);
    struct bytes text = check_bytes(L, 2);
    return ensure_open_or_raise(L, scope)
               ? push_result(L, scope, stream_comment(scope->stream, text))
               : box_push_closed(L);
}

/// sse:retry(seconds) -> true; nil, "closed", "ECLOSED"
static int l_retry(lua_State *L)
{
    struct scope *scope = check_scope(L);
    uint64_t retry_ms = check_duration_ms(L, 2);
    return ensure_open_or_raise(L, scope)
               ? push_result(L, scope, stream_retry(scope->stream, retry_ms))
               : box_push_closed(L);
}

/// sse:subscribe(channel, [options]) -> true; nil, "closed", "ECLOSED"; nil, "already subscribed",
/// "EALREADY"; nil, message, "E2BIG"
static int l_subscribe(lua_State *L)
{
    static const char *const names[] = {"since", "greet", NULL};
    struct scope *scope = check_scope(L);
    struct replica *replica = check_channel(L, 2);
    check_options(L, 3, names);
    lua_settop(L, 3);
    struct stream_start place = check_place(L, scope);
    if (replica->state == CHANNEL_CLOSED || !ensure_open_or_raise(L, scope)) {
        return box_push_closed(L);
    }
    switch (stream_subscribe(scope->stream, replica, &place)) {
    case 0:
        lua_pushboolean(L, 1);
        return 1;
    case -EALREADY:
        return box_push_failure(L, "already subscribed", "EALREADY");
    case -E2BIG:
        return box_push_failure(L, "a stream follows at most stream_channels channels", "E2BIG");
    default:
        return box_push_closed(L);
    }
}

/// Returns where the stream starts. The client's own place counts before that of the script,
/// because the client may be coming back to the same URL. The bytes of the place stay on the stack.
static struct stream_start check_place(lua_State *L, const struct scope *scope)
{
    struct stream_start place = {.last = BYTES("")};
    check_since_option(L, 3, &place);
    if (opt_field(L, 3, "greet") != LUA_TNIL) {
        check_event_name(L, 3, "greet");
        place.greet = check_bytes(L, lua_gettop(L));
    }
    // The checks above may have run code of the script, in which the request may have been dropped.
    bool has_request = scope_has_request(scope);
    if (has_request && lib_request_push_last_event_id(L, scope->exchange->request)) {
        place.last = check_bytes(L, lua_gettop(L));
    }
    return place;
}

/// sse:unsubscribe(channel) -> whether it was subscribed
static int l_unsubscribe(lua_State *L)
{
    struct scope *scope = check_scope(L);
    struct replica *replica = check_channel(L, 2);
    bool was_subscribed = scope->stream != NULL && stream_unsubscribe(scope->stream, replica);
    lua_pushboolean(L, was_subscribed);
    return 1;
}

/// sse:close() -> true. A second call does nothing. A stream that was not opened yet opens and
/// ends.
static int l_close(lua_State *L)
{
    struct scope *scope = check_scope(L);
    if (ensure_open_or_raise(L, scope)) {
        stream_end(scope->stream, END_FINISHED, STREAM_NO_RETRY);
    }
    lua_pushboolean(L, 1);
    return 1;
}

/// Runs when no script can reach the box any more: the stream may go on without the scope.
static int l_collect(lua_State *L)
{
    struct scope **box = check_box(L, 1, BOX_SSE);
    scope_leave(*box);
    return 0;
}

static int p_active(lua_State *L)
{
    const struct scope *scope = check_scope(L);
    lua_pushboolean(L, scope->exchange != NULL && scope->stream != NULL && scope->stream->is_open &&
                           !scope->exchange->is_aborted);
    return 1;
}

static int p_pending(lua_State *L)
{
    const struct scope *scope = check_scope(L);
    size_t bytes = scope->stream == NULL ? 0 : stream_pending_bytes(scope->stream);
    lua_pushinteger(L, (lua_Integer)bytes);
    return 1;
}

/// The same as the request's. An open stream keeps its request if that has a last event id.
static int p_last_event_id(lua_State *L)
{
    check_scope(L);
    lua_getiuservalue(L, 1, SLOT_RESPONSE);
    if (lua_getiuservalue(L, -1, SCOPE_REQUEST) == LUA_TNIL) {
        return 1; // the nil
    }
    lua_getfield(L, -1, "last_event_id");
    return 1;
}
