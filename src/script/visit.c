// SPDX-License-Identifier: MIT
#include "script/visit.h"

#include "base/check.h"
#include "script/box.h"
#include "script/failure.h"
#include "script/generation.h"
#include "script/lib_request.h"
#include "script/lib_timer.h"
#include "script/listeners.h"
#include "script/task.h"

#include <lauxlib.h>

static struct visit *make(struct generation *generation, struct exchange *exchange,
                          const struct route *route);
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
static void forget_body(struct visit *visit);
static void cut(struct visit *visit, bool stops_timers);
static void wake_waiters(struct visit *visit);
static void stop_waiting(struct task *task, void *arg);
static bool is_needed(const struct visit *visit);
static void drop_request(struct visit *visit);
static void unanchor(struct visit *visit);

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
    task_start_now(task);
}

void visit_push(lua_State *L, const struct visit *visit)
{
    DCHECK(visit->anchor_ref != LUA_NOREF);
    lua_rawgeti(L, LUA_REGISTRYINDEX, visit->anchor_ref);
}

void visit_anchor(lua_State *L, int index)
{
    struct visit *visit = lua_touserdata(L, index);
    if (visit->anchor_ref == LUA_NOREF) {
        lua_pushvalue(L, index);
        visit->anchor_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    }
}

void visit_settle(struct visit *visit)
{
    struct generation *generation = visit->generation;
    if (visit->anchor_ref != LUA_NOREF && !visit->is_leaving && !is_needed(visit)) {
        visit->is_leaving = true;
        visit->next_leaving = generation->leaving;
        generation->leaving = visit;
        loop_at_turn_end(generation->options.loop, LOOP_FREE, &generation->leave_job);
    }
}

/// Nothing is collected meanwhile, as nothing is made.
void visits_leave(struct loop_job *job)
{
    struct generation *generation = CONTAINER_OF(job, struct generation, leave_job);
    struct visit *visit = generation->leaving;
    generation->leaving = NULL;
    while (visit != NULL) {
        struct visit *next = visit->next_leaving;
        visit->is_leaving = false;
        if (!is_needed(visit)) {
            unanchor(visit);
        }
        visit = next;
    }
}

void visit_let_go(struct visit *visit)
{
    if (visit->exchange == NULL || visit->anchor_ref != LUA_NOREF) {
        return;
    }
    DCHECK(list_is_empty(&visit->tasks) && list_is_empty(&visit->waiters));
    forget_body(visit);
    exchange_let_go(visit->exchange);
    response_deinit(&visit->exchange->response); // nor will anybody ask for a field of it
    visit->stream->holder = NULL;
    visit->stream = NULL;
    visit->exchange = NULL;
    list_remove(&visit->node);
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
    if (visit_is_dormant(visit) && visit->has_peer_ended) {
        exchange_abort(visit->exchange, EXCHANGE_LEFT);
    } else if (visit_is_dormant(visit) && !visit->has_listeners) {
        failure_unanswered(visit); // whoever answers later wants to know when the peer leaves
    }
    visit_settle(visit);
}

bool visit_is_dormant(const struct visit *visit)
{
    return visit->exchange != NULL && visit->exchange->response.state == RESPONSE_FRESH &&
           !visit->exchange->is_doomed && list_is_empty(&visit->tasks) &&
           list_is_empty(&visit->timers);
}

bool visit_takes_stream(const struct visit *visit)
{
    const struct exchange *exchange = visit->exchange;
    if (exchange == NULL) {
        return visit->expects_stream;
    }
    return !exchange->is_head &&
           (visit->route->always_streams ||
            request_quality(exchange->request, BYTES("text/event-stream")) > 0);
}

void visit_expect_stream(struct visit *visit)
{
    visit->expects_stream = true;
    if (visit->exchange != NULL && visit->has_peer_ended) {
        exchange_ask_peer(visit->exchange);
    }
}

int visit_open_stream(struct visit *visit, const struct stream_options *options)
{
    int failure;
    visit->stream = stream_open(visit->exchange, options, &failure);
    if (visit->stream == NULL) {
        return failure;
    }
    visit->holder.events = &stream_events;
    visit->stream->holder = &visit->holder;
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

void visit_cancel_tasks(struct visit *visit)
{
    while (!list_is_empty(&visit->tasks)) {
        struct task *task = LIST_ITEM(visit->tasks.next, struct task, visit_node);
        list_remove(&task->visit_node);
        task->visit = NULL;
        task_cancel(task);
    }
}

/// Who could answer a dormant one is the handler of another request: that is not waited for.
void visits_end(struct generation *generation)
{
    LIST_EACH (node, after, &generation->visits) {
        struct visit *visit = LIST_ITEM(node, struct visit, node);
        if (visit->stream == NULL && visit_is_dormant(visit)) {
            exchange_abort(visit->exchange, EXCHANGE_SHUTDOWN);
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
    tell_drained(exchange->holder);
}

static void on_peer_ended(struct exchange *exchange)
{
    struct visit *visit = exchange->holder;
    visit->has_peer_ended = true;
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
    visit->has_peer_ended = true;
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
    if (!visit->route->is_detached) {
        visit_cancel_tasks(visit);
    }
}

static void on_stream_done(struct stream_holder *holder, enum exchange_reason reason)
{
    end(CONTAINER_OF(holder, struct visit, holder), reason);
}

static void tell_drained(struct visit *visit)
{
    wake_waiters(visit);
    listeners_fire(visit, "drain", BYTES(""));
}

/// The link is cut first: whatever script code runs from here on finds every handle closed.
static void end(struct visit *visit, enum exchange_reason reason)
{
    bool is_over = reason == EXCHANGE_FINISHED;
    bool is_left = !is_over && is_for_reader(visit);
    visit->reason = (uint8_t)reason;
    if (!is_over && visit->exchange->response.state == RESPONSE_FRESH) {
        visit->expects_stream = visit_takes_stream(visit); // a handler that runs on may still ask
    }
    forget_body(visit);
    cut(visit, is_left || visit->was_stream);
    wake_waiters(visit);
    listeners_fire(visit, is_over ? "finish" : "abort", BYTES(""));
    listeners_fire(visit, "close", bytes_from_string(exchange_reason_text(reason)));
    if (is_left && !visit->route->is_detached) {
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
    if (visit->route->is_cancelled) {
        return state != RESPONSE_ENDED;
    }
    return state == RESPONSE_FRESH && (visit->expects_stream || asks_for_stream(visit));
}

/// Of those that take either, such as MCP's, most answers are plain.
static bool asks_for_stream(const struct visit *visit)
{
    const struct request *request = visit->exchange->request;
    return visit_takes_stream(visit) && (visit->route->always_streams ||
                                         request_quality(request, BYTES("application/json")) == 0);
}

/// From here on the body counts as the scripts' memory, if they still have it.
static void forget_body(struct visit *visit)
{
    visit->generation->body_bytes -= exchange_body_bytes(visit->exchange);
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

/// Whether a task, timer or listener has to do with the visit, or an answer is still owed.
static bool is_needed(const struct visit *visit)
{
    if (visit->exchange == NULL) {
        return !list_is_empty(&visit->tasks);
    }
    return visit->stream == NULL || visit->has_listeners || !list_is_empty(&visit->tasks) ||
           !list_is_empty(&visit->timers);
}

/// Of the request an open stream needs no more than the client's last event id. What is garbage is
/// garbage at once then: what a box with a finalizer holds outlives the cycle that finds it.
static void drop_request(struct visit *visit)
{
    lua_State *L = visit->generation->L;
    visit_push(L, visit);
    lua_getiuservalue(L, -1, VISIT_REQUEST); // [response, request]
    if (!lib_request_has_last_event_id(L, -1)) {
        visit->is_request_dropped = true;
        if (visit->exchange != NULL) {
            forget_body(visit);
            exchange_let_go(visit->exchange);
        }
        lua_pushnil(L);
        lua_setiuservalue(L, -3, VISIT_REQUEST);
    }
    lua_pop(L, 2);
}

static void unanchor(struct visit *visit)
{
    if (visit->was_stream && !visit->is_request_dropped) {
        drop_request(visit);
    }
    luaL_unref(visit->generation->L, LUA_REGISTRYINDEX, visit->anchor_ref);
    visit->anchor_ref = LUA_NOREF;
    collector_wake(&visit->generation->collector);
}
