// SPDX-License-Identifier: MIT
//
// The way of a request. `handler_start` makes the scope, which anchors the response box, then the
// request box, which takes over the request's memory, and runs the handler as a task. From then on
// three sources tell of events: the exchange, the event stream once one is open, and the scheduler
// when a task of the scope has ended. Both the exchange and the stream end in `end`, which cuts the
// link before anything else. Code of the script runs at the end of the turn, in the tasks that
// `end` has queued, and in closing variables of the tasks that `end` cancels; both find every
// handle closed.
#include "script/handler.h"

#include "base/check.h"
#include "base/mem.h"
#include "net/loop.h"
#include "script/application.h"
#include "script/box.h"
#include "script/failure.h"
#include "script/lib_request.h"
#include "script/lib_timer.h"
#include "script/listeners.h"
#include "script/parts.h"
#include "script/scheduler.h"
#include "script/scope.h"
#include "script/stack.h"
#include "script/task.h"

#include <lauxlib.h>
#include <string.h>

static int push_handler(const struct parts *parts, struct route *route,
                        const struct route_match *match);
static void make_list(lua_State *L, struct route *route, const struct route_match *match);
static void on_task_ended(struct scope *scope);
static void on_room(struct exchange *exchange);
static void on_peer_ended(struct exchange *exchange);
static void on_done(struct exchange *exchange, enum end_reason reason);
static void on_stream_room(struct stream_holder *holder);
static void on_stream_peer_ended(struct stream_holder *holder);
static bool is_stream_at_work(const struct stream_holder *holder, uint64_t until_ms);
static void on_stream_ended(struct stream_holder *holder);
static void on_stream_done(struct stream_holder *holder, enum end_reason reason);
static void tell_room(struct scope *scope);
static void end(struct scope *scope, enum end_reason reason);
static bool is_for_reader(const struct scope *scope);
static bool asks_for_stream(const struct scope *scope);
static void leave_exchange(struct scope *scope, bool stops_timers);

static const struct exchange_events events = {
    .on_room = on_room,
    .on_peer_ended = on_peer_ended,
    .on_done = on_done,
};

static const struct stream_events stream_events = {
    .on_room = on_stream_room,
    .on_peer_ended = on_stream_peer_ended,
    .is_at_work = is_stream_at_work,
    .on_ended = on_stream_ended,
    .on_done = on_stream_done,
};

const struct task_events handler_task_events = {
    .on_failed = failure_handle,
    .on_ended = on_task_ended,
};

void handler_start(struct parts *parts, struct exchange *exchange, struct route *route,
                   const struct route_match *match)
{
    OWNED(&parts->options->loop->owner);
    lua_State *L = parts->L;
    STACK_BEGIN(L);
    DCHECK(exchange->request != NULL && exchange->response.state == RESPONSE_FRESH);
    DCHECK(scheduler_running(parts->scheduler) == NULL);
    int first_count = push_handler(parts, route, match);          // [handler ...]
    struct scope *scope = scope_push_new(parts, exchange, route); // [handler ..., response]
    if (first_count > 0) {
        scope_note_middlewares(scope);
    }
    exchange->events = &events;
    lib_request_push_new(L, exchange, match); // [handler ..., response, request]
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, -3, SCOPE_REQUEST);
    lua_insert(L, -2); // [handler ..., request, response]
    struct task *task = task_new(L, first_count + 2);
    scope_adopt(scope, task);
    task->is_handler = true;
    task_start_now(task);
    DCHECK_STACK(L, 0);
}

/// Pushes what answers the request. Without middlewares that is the handler; otherwise it is the
/// runner with its first arguments, the list of all functions in their order and the place of the
/// first. Returns how many arguments were pushed.
static int push_handler(const struct parts *parts, struct route *route,
                        const struct route_match *match)
{
    lua_State *L = parts->L;
    STACK_BEGIN(L);
    DCHECK(route->handler_ref != LUA_NOREF && route->handler_count > 0);
    if (match->chain_len == 0 && route->handler_count == 1) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, route->handler_ref);
        DCHECK_STACK(L, 1);
        return 0;
    }
    const struct handler_list *list = &route->list;
    size_t size = match->chain_len * sizeof(struct route_link);
    if (list->ref == LUA_NOREF || list->chain_len != match->chain_len ||
        (size > 0 && memcmp(list->chain, match->chain, size) != 0)) {
        make_list(L, route, match);
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, application_runner(parts->application));
    lua_rawgeti(L, LUA_REGISTRYINDEX, list->ref);
    lua_pushinteger(L, 1);
    DCHECK_STACK(L, 3);
    return 2;
}

/// Makes the list of all functions that answer a request of the route: the middlewares of the chain
/// first, then the route's own functions.
static void make_list(lua_State *L, struct route *route, const struct route_match *match)
{
    struct handler_list *list = &route->list;
    lua_Integer count = 0;
    STACK_BEGIN(L);
    lua_createtable(L, (int)(match->chain_len + route->handler_count), 0); // [list]
    for (size_t i = 0; i < match->chain_len; i++) {
        const struct middleware *middleware = match->chain[i].target;
        lua_rawgeti(L, LUA_REGISTRYINDEX, middleware->fn_ref);
        lua_rawseti(L, -2, ++count);
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, route->handler_ref); // [list, handler or handlers]
    for (size_t i = 1; route->handler_count > 1 && i <= route->handler_count; i++) {
        lua_rawgeti(L, -1, (lua_Integer)i);
        lua_rawseti(L, -3, ++count);
    }
    if (route->handler_count > 1) {
        lua_pop(L, 1);
    } else {
        lua_rawseti(L, -2, ++count);
    }
    luaL_unref(L, LUA_REGISTRYINDEX, list->ref);
    list->ref = luaL_ref(L, LUA_REGISTRYINDEX);
    DCHECK_STACK(L, 0);
    DCHECK(count == (lua_Integer)(match->chain_len + route->handler_count));
    size_t size = match->chain_len * sizeof(struct route_link);
    list->chain_len = match->chain_len;
    list->chain = mem_resize(list->chain, size + 1);
    if (size > 0) {
        memcpy(list->chain, match->chain, size);
    }
}

const char *handler_route(const struct parts *parts)
{
    const struct task *task = scheduler_running(parts->scheduler);
    return task == NULL || task->scope == NULL ? NULL : task->scope->route->pattern;
}

int handler_open_stream(struct scope *scope, const struct stream_options *options)
{
    int failure;
    scope->stream = stream_open(scope->exchange, options, &failure);
    if (scope->stream == NULL) {
        return failure;
    }
    scope->holder.events = &stream_events;
    scope->stream->holder = &scope->holder;
    scope->was_stream = true;
    DEBUG_CALL(scope_check(scope));
    if (scope_has_peer_ended(scope)) {
        stream_probe(scope->stream);
    }
    return 0;
}

static void on_task_ended(struct scope *scope)
{
    if (scope_is_dormant(scope) && scope_has_peer_ended(scope)) {
        exchange_abort(scope->exchange, END_LEFT);
    } else if (scope_is_dormant(scope) && !scope->has_listeners) {
        failure_unanswered(scope); // with a listener, another request's handler may answer later
    }
    scope_settle(scope);
}

static void on_room(struct exchange *exchange)
{
    tell_room(exchange->holder);
}

static void on_peer_ended(struct exchange *exchange)
{
    struct scope *scope = exchange->holder;
    scope_note_peer_ended(scope);
    if (scope_is_dormant(scope)) {
        exchange_abort(exchange, END_LEFT); // nothing is under way that the peer could wait for
    } else if (is_for_reader(scope)) {
        exchange_ask_peer(exchange);
    }
}

static void on_done(struct exchange *exchange, enum end_reason reason)
{
    exchange->events = NULL;
    end(exchange->holder, reason);
}

static void on_stream_room(struct stream_holder *holder)
{
    tell_room(CONTAINER_OF(holder, struct scope, holder));
}

static void on_stream_peer_ended(struct stream_holder *holder)
{
    struct scope *scope = CONTAINER_OF(holder, struct scope, holder);
    scope_note_peer_ended(scope);
}

static bool is_stream_at_work(const struct stream_holder *holder, uint64_t until_ms)
{
    const struct scope *scope = CONTAINER_OF(holder, struct scope, holder);
    LIST_EACH (node, after, &scope->tasks) {
        const struct task *task = LIST_ITEM(node, struct task, scope_node);
        bool sleeps_on = timer_is_armed(&task->timer) && timer_due_ms(&task->timer) > until_ms;
        if (task->is_handler && !sleeps_on) {
            return true;
        }
    }
    return false;
}

/// Cancels the tasks of a stream that the server has ended. A handler that sends in a loop would
/// otherwise spin until the response is out.
static void on_stream_ended(struct stream_holder *holder)
{
    struct scope *scope = CONTAINER_OF(holder, struct scope, holder);
    if (!scope->route->options.is_detached) {
        scope_cancel_tasks(scope);
    }
}

static void on_stream_done(struct stream_holder *holder, enum end_reason reason)
{
    end(CONTAINER_OF(holder, struct scope, holder), reason);
}

static void tell_room(struct scope *scope)
{
    scope_wake_waiters(scope);
    listeners_fire(scope, "drain", BYTES(""));
}

/// Cuts the link first, so that all code of scripts that runs from here on finds every handle
/// closed.
static void end(struct scope *scope, enum end_reason reason)
{
    bool is_over = reason == END_FINISHED;
    bool is_left = !is_over && is_for_reader(scope);
    DCHECK(scope->exchange != NULL);
    scope->reason = (uint8_t)reason;
    if (!is_over && scope->exchange->response.state == RESPONSE_FRESH) {
        scope_expect_as_asked(scope); // the handler may run on and still ask for the stream
    }
    scope_drop_body(scope);
    leave_exchange(scope, is_left || scope->was_stream);
    scope_wake_waiters(scope);
    listeners_fire(scope, is_over ? "finish" : "abort", BYTES(""));
    listeners_fire(scope, "close", bytes_from_string(end_reason_text(reason)));
    if (is_left && !scope->route->options.is_detached) {
        scope_cancel_tasks(scope);
    }
    scope_settle(scope);
}

/// Whether the tasks are cancelled when the reader leaves. They are for an event stream, for an
/// answer that may still become one, and for a plain answer where the route says so.
static bool is_for_reader(const struct scope *scope)
{
    enum response_state state = (enum response_state)scope->exchange->response.state;
    if (scope->was_stream) {
        return true;
    }
    if (scope->route->options.is_cancelled) {
        return state != RESPONSE_ENDED;
    }
    return state == RESPONSE_FRESH && (scope_expects_stream(scope) || asks_for_stream(scope));
}

/// Whether the request asks for an event stream. One that accepts JSON as well, as requests of MCP
/// do, mostly gets a plain answer and counts as not asking.
static bool asks_for_stream(const struct scope *scope)
{
    const struct request *request = scope->exchange->request;
    return scope_takes_stream(scope) && (scope->route->options.always_streams ||
                                         request_quality(request, BYTES("application/json")) == 0);
}

static void leave_exchange(struct scope *scope, bool stops_timers)
{
    DCHECK(list_is_linked(&scope->node));
    scope->exchange = NULL;
    scope->stream = NULL;
    list_remove(&scope->node);
    if (stops_timers) {
        lib_timer_stop_tied(scope);
    } else {
        lib_timer_untie(scope); // after a plain response its timers run on, without a scope
    }
    DEBUG_CALL(scope_check(scope));
}
