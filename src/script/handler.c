// SPDX-License-Identifier: MIT
#include "script/handler.h"

#include "base/check.h"
#include "script/application.h"
#include "script/box.h"
#include "script/failure.h"
#include "script/lib_request.h"
#include "script/lib_timer.h"
#include "script/listeners.h"
#include "script/parts.h"
#include "script/scheduler.h"
#include "script/task.h"
#include "script/visit.h"

#include <lauxlib.h>

static void on_task_ended(struct visit *visit);
static void on_drained(struct exchange *exchange);
static void on_peer_ended(struct exchange *exchange);
static void on_done(struct exchange *exchange, enum exchange_reason reason);
static void on_stream_drained(struct stream_holder *holder);
static void on_stream_peer_ended(struct stream_holder *holder);
static bool is_stream_at_work(const struct stream_holder *holder, uint64_t until_ms);
static void on_stream_dismissed(struct stream_holder *holder);
static void on_stream_done(struct stream_holder *holder, enum exchange_reason reason);
static void tell_drained(struct visit *visit);
static void end(struct visit *visit, enum exchange_reason reason);
static bool is_for_reader(const struct visit *visit);
static bool asks_for_stream(const struct visit *visit);
static void cut(struct visit *visit, bool stops_timers);

static const struct exchange_events events = {
    .on_drained = on_drained,
    .on_peer_ended = on_peer_ended,
    .on_done = on_done,
};

static const struct stream_events stream_events = {
    .on_drained = on_stream_drained,
    .on_peer_ended = on_stream_peer_ended,
    .is_at_work = is_stream_at_work,
    .on_dismissed = on_stream_dismissed,
    .on_done = on_stream_done,
};

const struct task_events handler_task_events = {
    .on_failed = failure_handle,
    .on_ended = on_task_ended,
};

void handler_start(struct parts *parts, struct exchange *exchange, const struct route *route,
                   const struct route_match *match)
{
    lua_State *L = parts->L;
    lua_rawgeti(L, LUA_REGISTRYINDEX, route->handler_ref);
    struct visit *visit = visit_push_new(parts, exchange, route); // [handler, response]
    exchange->events = &events;
    lib_request_push_new(L, exchange, match); // [handler, response, request]
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, -3, VISIT_REQUEST);
    lua_insert(L, -2); // [handler, request, response]
    struct task *task = task_new(L, 2);
    visit_adopt(visit, task);
    task->is_handler = true;
    task_start_now(task);
}

const char *handler_route(const struct parts *parts)
{
    const struct task *task = scheduler_running(parts->scheduler);
    return task == NULL || task->visit == NULL ? NULL : task->visit->route->pattern;
}

int handler_open_stream(struct visit *visit, const struct stream_options *options)
{
    int failure;
    visit->stream = stream_open(visit->exchange, options, &failure);
    if (visit->stream == NULL) {
        return failure;
    }
    visit->holder.events = &stream_events;
    visit->stream->holder = &visit->holder;
    visit->was_stream = true;
    if (visit_has_peer_ended(visit)) {
        stream_probe(visit->stream);
    }
    return 0;
}

static void on_task_ended(struct visit *visit)
{
    if (visit_is_dormant(visit) && visit_has_peer_ended(visit)) {
        exchange_abort(visit->exchange, EXCHANGE_LEFT);
    } else if (visit_is_dormant(visit) && !visit->has_listeners) {
        failure_unanswered(visit); // whoever answers later wants to know when the peer leaves
    }
    visit_settle(visit);
}

static void on_drained(struct exchange *exchange)
{
    tell_drained(exchange->holder);
}

static void on_peer_ended(struct exchange *exchange)
{
    struct visit *visit = exchange->holder;
    visit_note_peer_ended(visit);
    if (visit_is_dormant(visit)) {
        exchange_abort(exchange, EXCHANGE_LEFT); // nothing is under way that it could wait for
    } else if (is_for_reader(visit)) {
        exchange_ask_peer(exchange);
    }
}

static void on_done(struct exchange *exchange, enum exchange_reason reason)
{
    exchange->events = NULL;
    end(exchange->holder, reason);
}

static void on_stream_drained(struct stream_holder *holder)
{
    tell_drained(CONTAINER_OF(holder, struct visit, holder));
}

static void on_stream_peer_ended(struct stream_holder *holder)
{
    struct visit *visit = CONTAINER_OF(holder, struct visit, holder);
    visit_note_peer_ended(visit);
}

static bool is_stream_at_work(const struct stream_holder *holder, uint64_t until_ms)
{
    const struct visit *visit = CONTAINER_OF(holder, struct visit, holder);
    LIST_EACH (node, after, &visit->tasks) {
        const struct task *task = LIST_ITEM(node, struct task, visit_node);
        bool sleeps_on = timer_is_armed(&task->timer) && timer_due_ms(&task->timer) > until_ms;
        if (task->is_handler && !sleeps_on) {
            return true;
        }
    }
    return false;
}

/// A loop of sends would spin until the response is out.
static void on_stream_dismissed(struct stream_holder *holder)
{
    struct visit *visit = CONTAINER_OF(holder, struct visit, holder);
    if (!visit->route->options.is_detached) {
        visit_cancel_tasks(visit);
    }
}

static void on_stream_done(struct stream_holder *holder, enum exchange_reason reason)
{
    end(CONTAINER_OF(holder, struct visit, holder), reason);
}

static void tell_drained(struct visit *visit)
{
    visit_wake_waiters(visit);
    listeners_fire(visit, "drain", BYTES(""));
}

/// The link is cut first: whatever script code runs from here on finds every handle closed.
static void end(struct visit *visit, enum exchange_reason reason)
{
    bool is_over = reason == EXCHANGE_FINISHED;
    bool is_left = !is_over && is_for_reader(visit);
    visit->reason = (uint8_t)reason;
    if (!is_over && visit->exchange->response.state == RESPONSE_FRESH) {
        visit_expect_as_asked(visit); // a handler that runs on may still ask
    }
    visit_forget_body(visit);
    cut(visit, is_left || visit->was_stream);
    visit_wake_waiters(visit);
    listeners_fire(visit, is_over ? "finish" : "abort", BYTES(""));
    listeners_fire(visit, "close", bytes_from_string(exchange_reason_text(reason)));
    if (is_left && !visit->route->options.is_detached) {
        visit_cancel_tasks(visit);
    }
    visit_settle(visit);
}

/// Whether what works on the answer ends when the reader leaves: an event stream, what may become
/// one, and a plain answer where the route says so.
static bool is_for_reader(const struct visit *visit)
{
    enum response_state state = (enum response_state)visit->exchange->response.state;
    if (visit->was_stream) {
        return true;
    }
    if (visit->route->options.is_cancelled) {
        return state != RESPONSE_ENDED;
    }
    return state == RESPONSE_FRESH && (visit_expects_stream(visit) || asks_for_stream(visit));
}

/// Of those that take either, such as MCP's, most answers are plain.
static bool asks_for_stream(const struct visit *visit)
{
    const struct request *request = visit->exchange->request;
    return visit_takes_stream(visit) && (visit->route->options.always_streams ||
                                         request_quality(request, BYTES("application/json")) == 0);
}

static void cut(struct visit *visit, bool stops_timers)
{
    visit->exchange = NULL;
    visit->stream = NULL;
    list_remove(&visit->node);
    if (stops_timers) {
        lib_timer_stop_tied(visit);
    } else {
        lib_timer_untie(visit); // after a plain response timers run on by themselves
    }
}
