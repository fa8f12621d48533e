// SPDX-License-Identifier: MIT
//
// A failed task comes to `failure_handle`, which logs the failure, starts the listeners of "error"
// and, if the task was the handler, sees to the answer. `on_error` runs as a handler of its own,
// once for a request; if it fails, the answer is the plain 500.
#include "script/failure.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/log.h"
#include "script/application.h"
#include "script/call.h"
#include "script/dev_page.h"
#include "script/listeners.h"
#include "script/parts.h"
#include "script/scope.h"
#include "script/stack.h"
#include "script/task.h"

#include <lauxlib.h>
#include <string.h>

static bool is_refusal(const struct scope *scope, struct bytes message);
static void refuse(const struct scope *scope);
static void report(const struct scope *scope, struct bytes message);
static void answer(struct scope *scope, struct bytes message, lua_State *failed);
static void start_error_handler(struct scope *scope, struct bytes message, lua_State *failed);
static void send_plain(struct scope *scope, struct bytes message, const struct location *location);
static void start_over(const struct scope *scope);
static struct bytes without_traceback(struct bytes message);

void failure_handle(struct task *task, struct bytes message)
{
    struct scope *scope = task->scope;
    STACK_BEGIN(task->parts->L);
    DCHECK(message.len > 0);
    bool is_of_body = scope != NULL && is_refusal(scope, message);
    if (!is_of_body) {
        report(scope, message);
    }
    if (scope == NULL || scope->exchange == NULL || scope->exchange->is_aborted) {
        return;
    }
    if (is_of_body && task->is_handler && scope->exchange->response.state == RESPONSE_FRESH) {
        refuse(scope);
        return;
    }
    listeners_fire(scope, "error", without_traceback(message));
    if (task->is_handler && scope->exchange->response.state != RESPONSE_ENDED) {
        answer(scope, message, task->L);
    }
    DCHECK_STACK(task->parts->L, 0);
}

void failure_unanswered(struct scope *scope)
{
    struct bytes message = BYTES("the handler returned without an answer, and nothing of the "
                                 "request waits that could give one: no task, no timer, no "
                                 "listener of the response");
    struct location location = location_of_route(scope->route->source);
    DCHECK(scope_is_dormant(scope));
    report(scope, message);
    send_plain(scope, message, &location);
}

void failure_replaced(struct scope *scope)
{
    struct exchange *exchange = scope->exchange;
    DCHECK(exchange->response.state == RESPONSE_FRESH);
    start_over(scope);
    response_forget_content(&exchange->response);
    exchange->response.status = 503;
    exchange->response.is_text = true;
    IGNORE(response_set_field(&exchange->response, BYTES("Retry-After"),
                              BYTES("1"))); // left out where there is no room
    IGNORE(exchange_send(
        exchange, BYTES("503: the scripts were replaced meanwhile\n"))); // or the peer has gone
}

void failure_push_error(lua_State *L, struct bytes message, lua_State *failed)
{
    struct bytes text = without_traceback(message);
    if (lua_status(failed) > LUA_YIELD) {
        call_push_error(parts_of(L), failed);
        if (lua_type(L, -1) != LUA_TSTRING) {
            return;
        }
        lua_pop(L, 1);
    }
    lua_pushlstring(L, text.at, text.len);
}

/// Whether the message is what a task was told of the body, and what it has raised.
static bool is_refusal(const struct scope *scope, struct bytes message)
{
    return scope->refusal.why != NULL &&
           memmem(message.at, message.len, scope->refusal.why, strlen(scope->refusal.why)) != NULL;
}

static void refuse(const struct scope *scope)
{
    struct exchange *exchange = scope->exchange;
    start_over(scope);
    response_forget_content(&exchange->response);
    exchange_refuse(exchange, scope->refusal.status, scope->refusal.why);
}

static void report(const struct scope *scope, struct bytes message)
{
    char id[EXCHANGE_ID_LEN_MAX];
    if (scope == NULL || scope->exchange == NULL) {
        LOG(LOG_ERROR, "script error", log_lines("error", message));
        return;
    }
    const char *pattern = scope->route->pattern;
    LOG(LOG_ERROR, "script error", log_string("route", pattern == NULL ? "-" : pattern),
        log_bytes("id", bytes_of(id, exchange_id(scope->exchange, id))),
        log_lines("error", message));
}

/// Gives the request an answer in the place of its handler, or cuts the answer that has begun.
/// `failed` is the coroutine that failed; its stack is still there.
static void answer(struct scope *scope, struct bytes message, lua_State *failed)
{
    struct exchange *exchange = scope->exchange;
    if (exchange->response.state == RESPONSE_FRESH) {
        int on_error_ref = application_on_error(scope->parts->application);
        start_over(scope);
        if (on_error_ref != LUA_NOREF && scope_begin_failing(scope)) {
            start_error_handler(scope, message, failed);
        } else {
            struct location location = location_of_failure(failed, message);
            send_plain(scope, message, &location);
        }
    } else if (scope->stream != NULL) {
        stream_end(scope->stream, END_FAILED, STREAM_NO_RETRY);
    } else {
        exchange_cut(exchange, END_FAILED);
    }
}

/// Starts on_error(error, request, response), which answers in place of the handler.
static void start_error_handler(struct scope *scope, struct bytes message, lua_State *failed)
{
    lua_State *L = scope->parts->L;
    STACK_BEGIN(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, application_on_error(scope->parts->application));
    failure_push_error(L, message, failed);
    scope_push(L, scope);                    // [fn, error, response]
    lua_getiuservalue(L, -1, SCOPE_REQUEST); // [fn, error, response, request]
    lua_insert(L, -2);                       // [fn, error, request, response]
    struct task *task = task_new(L, 3);
    scope_adopt(scope, task);
    task->is_handler = true;
    task_start(task);
    DCHECK_STACK(L, 0);
}

/// Sends the 500. In development mode it has the text of the log.
static void send_plain(struct scope *scope, struct bytes message, const struct location *location)
{
    struct exchange *exchange = scope->exchange;
    DCHECK(exchange->response.state == RESPONSE_FRESH);
    struct bytes text = BYTES("500: the handler failed; the server's log says why\n");
    bool is_dev = scope->parts->options->is_dev;
    start_over(scope);
    response_forget_content(&exchange->response);
    if (is_dev && dev_page_is_wanted(exchange)) {
        dev_page_send(exchange, scope->parts->options->number, message, location);
        return;
    }
    exchange->response.is_text = true;
    struct buf line;
    buf_init(&line, message.len + 1);
    if (is_dev && buf_append(&line, message) && buf_append(&line, BYTES("\n"))) {
        text = buf_bytes(&line);
    }
    IGNORE(exchange_send(exchange, text)); // or the peer has gone
    buf_reset(&line);
}

/// Takes back what the handler prepared, because it belonged to another answer. Header fields that
/// middlewares have set stay.
static void start_over(const struct scope *scope)
{
    struct response *response = &scope->exchange->response;
    if (!scope_has_middlewares(scope) && !response->is_marked) {
        response_deinit(response);
    }
    response_start_over(response);
}

static struct bytes without_traceback(struct bytes message)
{
    const char *end = memmem(message.at, message.len, "\nstack traceback:", 17);
    return end == NULL ? message : bytes_of(message.at, (size_t)(end - message.at));
}
