// SPDX-License-Identifier: MIT
//
// `body_read` returns what has come, or parks its task until something does. The wait ends in one
// of two ways:
//
//     parked --> on_body: the task is woken, and looks again
//        \-----> cancelled: stop_waiting
//
// The exchange may end while a task waits. It tells the waiter, and the task finds that it is gone.
#include "script/lib_body.h"

#include "base/check.h"
#include "base/mem.h"
#include "http/exchange.h"
#include "script/application.h"
#include "script/box.h"
#include "script/lib_request.h"
#include "script/obstacle.h"
#include "script/scope.h"
#include "script/task.h"

#include <errno.h>

/// A task that waits for a body.
struct body_wait {
    struct body_waiter waiter;
    struct task *task;
};

static int l_body_is_streamed(lua_State *L);
static int l_body_read(lua_State *L);
static int read_on_or_raise(lua_State *L, int status, lua_KContext context);
static int wait_or_raise(lua_State *L, struct exchange *exchange);
static void stop_waiting(struct task *task, void *wait);
static void on_body(struct body_waiter *waiter);
static int push_gone(lua_State *L, struct scope *scope);
static const char *code_of(int failure);

const luaL_Reg lib_body_functions[] = {
    {"body_is_streamed", l_body_is_streamed}, {"body_read", l_body_read}, {NULL, NULL}};

/// body_is_streamed(request) -> whether its route says body = "stream"
static int l_body_is_streamed(lua_State *L)
{
    lua_pushboolean(L, check_request_scope(L, 1)->route->options.streams_body);
    return 1;
}

/// body_read(request) -> piece; nil at the end; nil, message, code. That the task can wait is asked
/// in any case: a finalizer that runs while the piece is made must not take it away.
static int l_body_read(lua_State *L)
{
    struct scope *scope = check_request_scope(L, 1);
    lua_settop(L, 1);
    if (!scope->route->options.streams_body) {
        return luaL_error(L, "the body of this route is not streamed: give the route the option "
                             "body = 'stream', or use request:text()");
    }
    if (!task_can_park(L)) {
        return raise_obstacle(L, "a body can only be read inside a handler, timer, task or "
                                 "callback");
    }
    return read_on_or_raise(L, LUA_OK, 0);
}

static int read_on_or_raise(lua_State *L, int status, lua_KContext context)
{
    struct scope *scope = check_request_scope(L, 1);
    struct exchange *exchange = scope->exchange;
    struct body_piece piece;
    (void)status;
    (void)context;
    if (exchange == NULL || exchange->is_aborted) {
        return push_gone(L, scope);
    }
    int failure = exchange_read_body(exchange, &piece);
    if (failure == -EAGAIN) {
        return wait_or_raise(L, exchange);
    }
    if (failure != 0) {
        scope->refusal.why = piece.why;
        scope->refusal.status = (uint16_t)piece.status;
        return box_push_failure(L, piece.why, code_of(failure));
    }
    if (piece.bytes.len == 0) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushlstring(L, piece.bytes.at, piece.bytes.len);
    exchange_take_body(exchange, piece.bytes.len);
    return 1;
}

static int wait_or_raise(lua_State *L, struct exchange *exchange)
{
    struct body_wait *wait = mem_new(struct body_wait);
    wait->waiter.on_body = on_body;
    wait->task = task_current(L);
    if (exchange_await_body(exchange, &wait->waiter) != 0) {
        mem_free(wait);
        return luaL_error(L, "another task reads this body");
    }
    return task_park_then(L, stop_waiting, wait, read_on_or_raise, 0);
}

static void stop_waiting(struct task *task, void *arg)
{
    struct body_wait *wait = arg;
    (void)task;
    body_waiter_leave(&wait->waiter);
    mem_free(wait);
}

static void on_body(struct body_waiter *waiter)
{
    struct body_wait *wait = CONTAINER_OF(waiter, struct body_wait, waiter);
    task_wake(wait->task, 0);
    mem_free(wait);
}

/// Only the script itself can end a response and go on reading. Any other end is no fault of it.
static int push_gone(lua_State *L, struct scope *scope)
{
    const struct exchange *exchange = scope->exchange;
    switch ((enum end_reason)(exchange == NULL ? scope->reason : exchange->end_reason)) {
    case END_LEFT:
    case END_SLOW:
    case END_TIMEOUT:
        scope->refusal.why = "the peer left before the body was complete";
        return box_push_failure(L, scope->refusal.why, "ECONNRESET");
    case END_SHUTDOWN:
    case END_RELOADED:
        scope->refusal.why = "the server ended before the body was complete";
        return box_push_failure(L, scope->refusal.why, "ECLOSED");
    default:
        return box_push_closed(L);
    }
}

static const char *code_of(int failure)
{
    switch (failure) {
    case -EMSGSIZE:
        return "EMSGSIZE";
    case -ETIMEDOUT:
        return "ETIMEDOUT";
    case -ECONNRESET:
        return "ECONNRESET";
    case -ENOBUFS:
        return "ENOBUFS";
    default:
        return "EBADMSG";
    }
}
