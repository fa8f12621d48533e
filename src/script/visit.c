// SPDX-License-Identifier: MIT
#include "script/visit.h"

#include "base/check.h"
#include "base/mem.h"
#include "net/loop.h"
#include "script/application.h"
#include "script/box.h"
#include "script/collector.h"
#include "script/parts.h"
#include "script/state.h"
#include "script/task.h"

#include <lauxlib.h>

struct visits {
    struct parts *parts;
    bool (*keeps_request)(lua_State *L, int index);
    struct list open;      // whose exchange is not done
    struct visit *leaving; // whose anchors go at the end of this turn, unless something needs them
    struct loop_job leave_job;
};

static void leave(struct loop_job *job);
static void stop_waiting(struct task *task, void *arg);
static bool is_needed(const struct visit *visit);
static void drop_request(struct visit *visit);
static void unanchor(struct visit *visit);

struct visits *visits_new(struct parts *parts, bool (*keeps_request)(lua_State *L, int index))
{
    struct visits *visits = mem_new(struct visits);
    visits->parts = parts;
    visits->keeps_request = keeps_request;
    list_init(&visits->open);
    loop_job_init(&visits->leave_job, leave);
    return visits;
}

void visits_free(struct visits *visits)
{
    CHECK(list_is_empty(&visits->open));
    loop_job_cancel(&visits->leave_job);
    mem_free(visits);
}

struct list *visits_open(struct visits *visits)
{
    return &visits->open;
}

/// The box is anchored before the exchange knows it: from then on the end may come.
struct visit *visit_push_new(struct parts *parts, struct exchange *exchange,
                             const struct route *route)
{
    lua_State *L = parts->L;
    struct visit *visit = lua_newuserdatauv(L, sizeof(struct visit), VISIT_SLOT_COUNT);
    *visit = (struct visit){.parts = parts, .exchange = exchange, .route = route};
    list_init(&visit->tasks);
    list_init(&visit->_waiters);
    list_init(&visit->timers);
    list_append(&parts->visits->open, &visit->node);
    box_set_type(L, BOX_RESPONSE);
    lua_pushvalue(L, -1);
    visit->_anchor_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    exchange->holder = visit;
    return visit;
}

void visit_push(lua_State *L, const struct visit *visit)
{
    DCHECK(visit->_anchor_ref != LUA_NOREF);
    lua_rawgeti(L, LUA_REGISTRYINDEX, visit->_anchor_ref);
}

void visit_anchor(lua_State *L, int index)
{
    struct visit *visit = lua_touserdata(L, index);
    if (visit->_anchor_ref == LUA_NOREF) {
        lua_pushvalue(L, index);
        visit->_anchor_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    }
}

void visit_settle(struct visit *visit)
{
    struct visits *visits = visit->parts->visits;
    if (visit->_anchor_ref != LUA_NOREF && !visit->_is_leaving && !is_needed(visit)) {
        visit->_is_leaving = true;
        visit->_next_leaving = visits->leaving;
        visits->leaving = visit;
        loop_at_turn_end(visit->parts->options->loop, LOOP_FREE, &visits->leave_job);
    }
}

void visit_let_go(struct visit *visit)
{
    if (visit->exchange == NULL || visit->_anchor_ref != LUA_NOREF) {
        return;
    }
    DCHECK(list_is_empty(&visit->tasks) && list_is_empty(&visit->_waiters));
    visit_forget_body(visit);
    exchange_let_go(visit->exchange);
    response_deinit(&visit->exchange->response); // nor will anybody ask for a field of it
    visit->stream->holder = NULL;
    visit->stream = NULL;
    visit->exchange = NULL;
    list_remove(&visit->node);
}

void visit_forget_body(struct visit *visit)
{
    state_drop_body(visit->parts->state, exchange_body_bytes(visit->exchange));
}

void visit_adopt(struct visit *visit, struct task *task)
{
    if (visit->_anchor_ref != LUA_NOREF) { // otherwise nothing keeps the visit alive for the task
        task->visit = visit;
        list_append(&visit->tasks, &task->visit_node);
    }
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
        return visit->_expects_stream;
    }
    return !exchange->is_head &&
           (visit->route->options.always_streams ||
            request_quality(exchange->request, BYTES("text/event-stream")) > 0);
}

void visit_expect_stream(struct visit *visit)
{
    visit->_expects_stream = true;
    if (visit->exchange != NULL && visit->_has_peer_ended) {
        exchange_ask_peer(visit->exchange);
    }
}

int visit_park_until_drained(lua_State *L, struct visit *visit)
{
    struct task *task = task_current(L);
    list_append(&visit->_waiters, &task->wait_node);
    exchange_await_drain(visit->exchange);
    return task_park(L, stop_waiting, NULL);
}

bool visit_is_anchored(const struct visit *visit)
{
    return visit->_anchor_ref != LUA_NOREF;
}

bool visit_has_request(const struct visit *visit)
{
    return visit->exchange != NULL && !visit->_is_request_dropped;
}

void visit_note_peer_ended(struct visit *visit)
{
    visit->_has_peer_ended = true;
}

bool visit_has_peer_ended(const struct visit *visit)
{
    return visit->_has_peer_ended;
}

bool visit_expects_stream(const struct visit *visit)
{
    return visit->_expects_stream;
}

void visit_expect_as_asked(struct visit *visit)
{
    visit->_expects_stream = visit_takes_stream(visit);
}

void visit_wake_waiters(struct visit *visit)
{
    while (!list_is_empty(&visit->_waiters)) {
        struct task *task = LIST_ITEM(visit->_waiters.next, struct task, wait_node);
        list_remove(&task->wait_node);
        if (visit->exchange != NULL) {
            lua_pushboolean(task->waiting, 1);
            task_wake(task, 1);
        } else {
            task_wake(task, box_push_closed(task->waiting));
        }
    }
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
void visits_end(struct visits *visits)
{
    LIST_EACH (node, after, &visits->open) {
        struct visit *visit = LIST_ITEM(node, struct visit, node);
        if (visit->stream == NULL && visit_is_dormant(visit)) {
            exchange_abort(visit->exchange, EXCHANGE_SHUTDOWN);
        }
    }
}

/// Nothing is collected meanwhile, as nothing is made.
static void leave(struct loop_job *job)
{
    struct visits *visits = CONTAINER_OF(job, struct visits, leave_job);
    struct visit *visit = visits->leaving;
    visits->leaving = NULL;
    while (visit != NULL) {
        struct visit *next = visit->_next_leaving;
        visit->_is_leaving = false;
        if (!is_needed(visit)) {
            unanchor(visit);
        }
        visit = next;
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
    lua_State *L = visit->parts->L;
    visit_push(L, visit);
    lua_getiuservalue(L, -1, VISIT_REQUEST); // [response, request]
    if (!visit->parts->visits->keeps_request(L, -1)) {
        visit->_is_request_dropped = true;
        if (visit->exchange != NULL) {
            visit_forget_body(visit);
            exchange_let_go(visit->exchange);
        }
        lua_pushnil(L);
        lua_setiuservalue(L, -3, VISIT_REQUEST);
    }
    lua_pop(L, 2);
}

static void unanchor(struct visit *visit)
{
    if (visit->was_stream && !visit->_is_request_dropped) {
        drop_request(visit);
    }
    luaL_unref(visit->parts->L, LUA_REGISTRYINDEX, visit->_anchor_ref);
    visit->_anchor_ref = LUA_NOREF;
    collector_wake(visit->parts->collector);
}
