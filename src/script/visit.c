// SPDX-License-Identifier: MIT
#include "script/visit.h"

#include "base/check.h"
#include "base/mem.h"
#include "script/box.h"
#include "script/failure.h"
#include "script/generation.h"
#include "script/lib_request.h"
#include "script/lib_timer.h"
#include "script/listeners.h"
#include "script/task.h"

#include <lauxlib.h>
#include <stdlib.h>

enum {
    RETRY_MS_MIN = 1000, // when readers come back after a shutdown
    RETRY_MS_SPREAD = 4000,
};

static struct visit *make(struct generation *generation, struct exchange *exchange,
                          const struct route *route);
static void on_drained(struct exchange *exchange);
static void on_peer_ended(struct exchange *exchange);
static void on_done(struct exchange *exchange, enum exchange_reason reason);
static void cut(struct visit *visit);
static void cancel_tasks(struct visit *visit);
static void wake_waiters(struct visit *visit);
static void stop_waiting(struct task *task, void *arg);
static bool is_dormant(const struct visit *visit);
static void unanchor(struct visit *visit);

static const struct exchange_events events = {
    .on_drained = on_drained,
    .on_peer_ended = on_peer_ended,
    .on_done = on_done,
};

void visit_handle(struct generation *generation, struct exchange *exchange,
                  const struct route *route, const struct route_match *match)
{
    lua_State *L = generation->L;
    lua_rawgeti(L, LUA_REGISTRYINDEX, route->handler_ref);
    struct visit *visit = make(generation, exchange, route); // [handler, response]
    lib_request_push_new(L, exchange, match);                // [handler, response, request]
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, -3, VISIT_REQUEST);
    lua_insert(L, -2); // [handler, request, response]
    struct task *task = task_new(L, 2, visit);
    task->is_handler = true;
    task_start(task);
}

void visit_push(lua_State *L, const struct visit *visit)
{
    DCHECK(visit->anchor_ref != LUA_NOREF);
    lua_rawgeti(L, LUA_REGISTRYINDEX, visit->anchor_ref);
}

void visit_adopt(struct visit *visit, struct task *task)
{
    if (visit->anchor_ref != LUA_NOREF) { // otherwise nothing keeps the visit alive for the task
        task->visit = visit;
        list_append(&visit->tasks, &task->visit_node);
    }
}

void visit_task_ended(struct visit *visit)
{
    if (visit->exchange == NULL) {
        if (list_is_empty(&visit->tasks)) {
            unanchor(visit);
        }
    } else if (is_dormant(visit) && visit->has_peer_ended) {
        exchange_abort(visit->exchange, EXCHANGE_LEFT);
    } else if (is_dormant(visit) && !visit->has_listeners) {
        failure_unanswered(visit); // whoever answers later wants to know when the peer leaves
    }
}

int visit_open_stream(struct visit *visit, const struct stream_options *options)
{
    visit->stream = mem_new(struct stream);
    int failure = stream_open(visit->stream, visit->exchange, options);
    if (failure != 0) {
        stream_deinit(visit->stream);
        mem_free(visit->stream);
        visit->stream = NULL;
        return failure;
    }
    visit->was_stream = true;
    if (visit->has_peer_ended) {
        stream_probe(visit->stream);
    }
    return 0;
}

int visit_park_until_drained(lua_State *L, struct visit *visit)
{
    struct task *task = task_current(L);
    list_append(&visit->waiters, &task->wait_node);
    exchange_await_drain(visit->exchange);
    return task_park(L, stop_waiting, NULL);
}

void visits_end_streams(struct generation *generation)
{
    LIST_EACH (node, after, &generation->visits) {
        struct visit *visit = LIST_ITEM(node, struct visit, node);
        if (visit->stream != NULL && visit->stream->is_open) {
            uint64_t retry_ms = RETRY_MS_MIN + (uint64_t)random() % RETRY_MS_SPREAD;
            IGNORE(stream_retry(visit->stream, retry_ms)); // a reader that is too slow goes without
            visit->exchange->doom_reason = EXCHANGE_SHUTDOWN;
            stream_end(visit->stream);
            if (!visit->route->is_detached) {
                cancel_tasks(visit); // a loop of sends would spin until the response is out
            }
        } else if (is_dormant(visit)) {
            exchange_abort(visit->exchange, EXCHANGE_SHUTDOWN); // who could answer it, will not
        }
    }
}

/// The box is anchored before the exchange knows it: from then on the end may come.
static struct visit *make(struct generation *generation, struct exchange *exchange,
                          const struct route *route)
{
    lua_State *L = generation->L;
    struct visit *visit = lua_newuserdatauv(L, sizeof(struct visit), VISIT_SLOT_COUNT);
    *visit = (struct visit){.generation = generation, .exchange = exchange, .route = route};
    list_init(&visit->tasks);
    list_init(&visit->waiters);
    list_init(&visit->timers);
    list_append(&generation->visits, &visit->node);
    box_set_type(L, BOX_RESPONSE);
    lua_pushvalue(L, -1);
    visit->anchor_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    exchange->events = &events;
    exchange->holder = visit;
    return visit;
}

static void on_drained(struct exchange *exchange)
{
    struct visit *visit = exchange->holder;
    wake_waiters(visit);
    listeners_fire(visit, "drain", BYTES(""));
}

static void on_peer_ended(struct exchange *exchange)
{
    struct visit *visit = exchange->holder;
    visit->has_peer_ended = true;
    if (visit->stream != NULL) {
        stream_probe(visit->stream);
    } else if (is_dormant(visit)) {
        exchange_abort(exchange, EXCHANGE_LEFT); // nothing is under way that it could wait for
    }
}

/// The link is cut first: whatever script code runs from here on finds every handle closed.
static void on_done(struct exchange *exchange, enum exchange_reason reason)
{
    struct visit *visit = exchange->holder;
    bool is_over = reason == EXCHANGE_FINISHED;
    visit->reason = (uint8_t)reason;
    cut(visit);
    wake_waiters(visit);
    listeners_fire(visit, is_over ? "finish" : "abort", BYTES(""));
    listeners_fire(visit, "close", bytes_from_string(exchange_reason_text(reason)));
    if (visit->was_stream && !is_over && !visit->route->is_detached) {
        cancel_tasks(visit);
    }
    if (list_is_empty(&visit->tasks)) {
        unanchor(visit);
    }
}

static void cut(struct visit *visit)
{
    visit->exchange->events = NULL;
    visit->exchange->holder = NULL;
    visit->exchange = NULL;
    list_remove(&visit->node);
    if (visit->was_stream) {
        stream_deinit(visit->stream);
        mem_free(visit->stream);
        visit->stream = NULL;
        lib_timer_stop_tied(visit);
    } else {
        lib_timer_untie(visit); // after a plain response timers run on by themselves
    }
}

static void cancel_tasks(struct visit *visit)
{
    while (!list_is_empty(&visit->tasks)) {
        struct task *task = LIST_ITEM(visit->tasks.next, struct task, visit_node);
        list_remove(&task->visit_node);
        task->visit = NULL;
        task_cancel(task);
    }
}

static void wake_waiters(struct visit *visit)
{
    while (!list_is_empty(&visit->waiters)) {
        struct task *task = LIST_ITEM(visit->waiters.next, struct task, wait_node);
        list_remove(&task->wait_node);
        if (visit->exchange != NULL) {
            lua_pushboolean(task->waiting, 1);
            task_wake(task, 1);
        } else {
            task_wake(task, box_push_closed(task->waiting));
        }
    }
}

static void stop_waiting(struct task *task, void *arg)
{
    (void)arg;
    list_remove(&task->wait_node);
}

/// Whether no task and no timer of its own will answer: only another request's handler could, which
/// may have kept the response.
static bool is_dormant(const struct visit *visit)
{
    return visit->exchange->response.state == RESPONSE_FRESH && !visit->exchange->is_doomed &&
           list_is_empty(&visit->tasks) && list_is_empty(&visit->timers);
}

static void unanchor(struct visit *visit)
{
    luaL_unref(visit->generation->L, LUA_REGISTRYINDEX, visit->anchor_ref);
    visit->anchor_ref = LUA_NOREF;
    collector_wake(&visit->generation->collector);
}
