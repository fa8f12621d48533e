// SPDX-License-Identifier: MIT
//
// A scope is made for a request. Its tasks do the work. When the exchange is done, the link between
// scope and exchange is cut. `scope_settle` is called wherever something has ended that needed the
// scope. It puts the scope on the list `leaving`; when the turn ends, `leave` looks again at each
// scope on it and takes the anchor away from those that nothing needs. From then on the collector
// decides when the memory is freed.
#include "script/scope.h"

#include "base/check.h"
#include "base/mem.h"
#include "net/loop.h"
#include "script/application.h"
#include "script/box.h"
#include "script/collector.h"
#include "script/parts.h"
#include "script/stack.h"
#include "script/state.h"
#include "script/task.h"

#include <lauxlib.h>

struct scopes {
    struct parts *parts;
    bool (*keeps_request)(lua_State *L, int index);
    struct list open;      // scopes whose exchange is not done
    struct scope *leaving; // list of scopes whose anchors the turn's end takes away
    struct loop_job leave_job;
};

static void leave(struct loop_job *job);
static void stop_waiting(struct task *task, void *arg);
static bool is_needed(const struct scope *scope);
static void drop_request(struct scope *scope);
static void unanchor(struct scope *scope);

struct scopes *scopes_new(struct parts *parts, bool (*keeps_request)(lua_State *L, int index))
{
    struct scopes *scopes = mem_new(struct scopes);
    scopes->parts = parts;
    scopes->keeps_request = keeps_request;
    list_init(&scopes->open);
    loop_job_init(&scopes->leave_job, leave);
    return scopes;
}

void scopes_free(struct scopes *scopes)
{
    CHECK(list_is_empty(&scopes->open));
    loop_job_cancel(&scopes->leave_job);
    mem_free(scopes);
}

struct list *scopes_list(struct scopes *scopes)
{
    OWNED(&scopes->parts->options->loop->owner);
    return &scopes->open;
}

/// Anchors the box before the exchange knows the scope, because from then on the exchange may end.
struct scope *scope_push_new(struct parts *parts, struct exchange *exchange,
                             const struct route *route)
{
    lua_State *L = parts->L;
    STACK_BEGIN(L);
    OWNED(&parts->options->loop->owner);
    DCHECK(route != NULL && exchange->holder == NULL);
    struct scope *scope = lua_newuserdatauv(L, sizeof(struct scope), SCOPE_SLOT_COUNT);
    *scope = (struct scope){.parts = parts, .exchange = exchange, .route = route};
    list_init(&scope->tasks);
    list_init(&scope->_waiters);
    list_init(&scope->timers);
    list_append(&parts->scopes->open, &scope->node);
    box_set_type(L, BOX_RESPONSE);
    lua_pushvalue(L, -1);
    scope->_anchor_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    exchange->holder = scope;
    DCHECK_STACK(L, 1);
    DEBUG_CALL(scope_check(scope));
    return scope;
}

void scope_push(lua_State *L, const struct scope *scope)
{
    OWNED(&scope->parts->options->loop->owner);
    DCHECK(scope->_anchor_ref != LUA_NOREF);
    lua_rawgeti(L, LUA_REGISTRYINDEX, scope->_anchor_ref);
    DCHECK(lua_touserdata(L, -1) == scope);
}

void scope_anchor(lua_State *L, int index)
{
    OWNED(&parts_of(L)->options->loop->owner);
    struct scope *scope = lua_touserdata(L, index);
    if (scope->_anchor_ref == LUA_NOREF) {
        lua_pushvalue(L, index);
        scope->_anchor_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    }
}

bool scope_begin_failing(struct scope *scope)
{
    bool is_first = !scope->_is_failing;
    scope->_is_failing = true;
    return is_first;
}

void scope_check(const struct scope *scope)
{
    bool is_anchored = scope->_anchor_ref != LUA_NOREF;
    const struct exchange *exchange = scope->exchange;
    CHECK(scope->parts != NULL && scope->route != NULL);
    bool is_sent = exchange != NULL && exchange->response.state == RESPONSE_ENDED;
    CHECK(exchange == NULL || scope->stream != NULL || exchange->holder == scope || is_sent);
    CHECK((exchange != NULL) == list_is_linked(&scope->node));
    CHECK(scope->stream == NULL || (scope->was_stream && exchange != NULL));
    CHECK(scope->stream == NULL || scope->stream->holder == &scope->holder);
    CHECK(is_anchored || list_is_empty(&scope->tasks)); // nothing else keeps it for them
    CHECK(is_anchored || !scope->_is_leaving);
    CHECK(exchange != NULL || list_is_empty(&scope->timers));
}

void scope_settle(struct scope *scope)
{
    OWNED(&scope->parts->options->loop->owner);
    struct scopes *scopes = scope->parts->scopes;
    DEBUG_CALL(scope_check(scope));
    if (scope->_anchor_ref != LUA_NOREF && !scope->_is_leaving && !is_needed(scope)) {
        scope->_is_leaving = true;
        scope->_next_leaving = scopes->leaving;
        scopes->leaving = scope;
        loop_at_turn_end(scope->parts->options->loop, LOOP_FREE, &scopes->leave_job);
    }
}

void scope_leave(struct scope *scope)
{
    OWNED(&scope->parts->options->loop->owner);
    if (scope->exchange == NULL || scope->_anchor_ref != LUA_NOREF) {
        return;
    }
    DEBUG_CALL(scope_check(scope));
    DCHECK(scope->stream != NULL && list_is_empty(&scope->timers));
    scope_drop_body(scope);
    exchange_let_go(scope->exchange);
    response_deinit(&scope->exchange->response); // no script is left that could read its fields
    scope->stream->holder = NULL;
    scope->stream = NULL;
    scope->exchange = NULL;
    list_remove(&scope->node);
}

void scope_drop_body(struct scope *scope)
{
    state_drop_body(scope->parts->state, exchange_body_bytes(scope->exchange));
}

/// Only an anchored scope takes tasks: nothing else would keep it alive for them.
void scope_adopt(struct scope *scope, struct task *task)
{
    OWNED(&scope->parts->options->loop->owner);
    DCHECK(task->scope == NULL && !list_is_linked(&task->scope_node));
    DEBUG_CALL(scope_check(scope));
    if (scope_is_anchored(scope)) {
        task->scope = scope;
        list_append(&scope->tasks, &task->scope_node);
    }
}

bool scope_is_dormant(const struct scope *scope)
{
    return scope->exchange != NULL && scope->exchange->response.state == RESPONSE_FRESH &&
           !scope->exchange->is_aborted && list_is_empty(&scope->tasks) &&
           list_is_empty(&scope->timers);
}

bool scope_takes_stream(const struct scope *scope)
{
    const struct exchange *exchange = scope->exchange;
    if (exchange == NULL) {
        return scope->_expects_stream;
    }
    return !exchange->is_head &&
           (scope->route->options.always_streams ||
            request_quality(exchange->request, BYTES("text/event-stream")) > 0);
}

void scope_expect_stream(struct scope *scope)
{
    OWNED(&scope->parts->options->loop->owner);
    scope->_expects_stream = true;
    if (scope->exchange != NULL && scope->_has_peer_ended) {
        exchange_ask_peer(scope->exchange);
    }
}

int scope_park_until_room(lua_State *L, struct scope *scope)
{
    OWNED(&scope->parts->options->loop->owner);
    struct task *task = task_current(L);
    DCHECK(scope->exchange != NULL);
    DEBUG_CALL(scope_check(scope));
    list_append(&scope->_waiters, &task->wait_node);
    exchange_await_room(scope->exchange);
    return task_park(L, stop_waiting, NULL);
}

bool scope_is_anchored(const struct scope *scope)
{
    return scope->_anchor_ref != LUA_NOREF;
}

bool scope_has_request(const struct scope *scope)
{
    return scope->exchange != NULL && !scope->_is_request_dropped;
}

void scope_note_middlewares(struct scope *scope)
{
    scope->_has_middlewares = true;
}

bool scope_has_middlewares(const struct scope *scope)
{
    return scope->_has_middlewares;
}

void scope_note_peer_ended(struct scope *scope)
{
    scope->_has_peer_ended = true;
}

bool scope_has_peer_ended(const struct scope *scope)
{
    return scope->_has_peer_ended;
}

bool scope_expects_stream(const struct scope *scope)
{
    return scope->_expects_stream;
}

void scope_expect_as_asked(struct scope *scope)
{
    scope->_expects_stream = scope_takes_stream(scope);
}

void scope_wake_waiters(struct scope *scope)
{
    OWNED(&scope->parts->options->loop->owner);
    while (!list_is_empty(&scope->_waiters)) {
        struct task *task = LIST_ITEM(scope->_waiters.next, struct task, wait_node);
        list_remove(&task->wait_node);
        if (scope->exchange != NULL) {
            lua_pushboolean(task->waiting, 1);
            task_wake(task, 1);
        } else {
            task_wake_with(task, box_push_closed(task->parts->L));
        }
    }
}

void scope_cancel_tasks(struct scope *scope)
{
    OWNED(&scope->parts->options->loop->owner);
    DEBUG_CALL(scope_check(scope));
    while (!list_is_empty(&scope->tasks)) {
        struct task *task = LIST_ITEM(scope->tasks.next, struct task, scope_node);
        list_remove(&task->scope_node);
        task->scope = NULL;
        task_cancel(task);
    }
}

/// A dormant request is not waited for, although the handler of another request might still answer
/// it.
void scopes_end(struct scopes *scopes)
{
    OWNED(&scopes->parts->options->loop->owner);
    LIST_EACH (node, after, &scopes->open) {
        struct scope *scope = LIST_ITEM(node, struct scope, node);
        if (scope->stream == NULL && scope_is_dormant(scope)) {
            exchange_abort(scope->exchange, END_SHUTDOWN);
        }
    }
}

/// Walks pointers to scopes. That is safe because nothing here makes a value of Lua's, so no scope
/// is collected meanwhile.
static void leave(struct loop_job *job)
{
    struct scopes *scopes = CONTAINER_OF(job, struct scopes, leave_job);
    struct scope *scope = scopes->leaving;
    scopes->leaving = NULL;
    while (scope != NULL) {
        struct scope *next = scope->_next_leaving;
        DEBUG_CALL(scope_check(scope));
        scope->_is_leaving = false;
        if (!is_needed(scope)) {
            unanchor(scope);
        }
        scope = next;
    }
}

static void stop_waiting(struct task *task, void *arg)
{
    (void)arg;
    list_remove(&task->wait_node);
}

/// Whether a task, a timer or a listener needs the scope, or an answer is still owed.
static bool is_needed(const struct scope *scope)
{
    if (scope->exchange == NULL) {
        return !list_is_empty(&scope->tasks);
    }
    return scope->stream == NULL || scope->has_listeners || !list_is_empty(&scope->tasks) ||
           !list_is_empty(&scope->timers);
}

/// Drops the request: an open stream needs only the request's last event id. The request is
/// dropped before the scope is collected, because the scope's userdata has a finalizer, and Lua
/// frees what such a userdata refers to one cycle of the collector later.
static void drop_request(struct scope *scope)
{
    lua_State *L = scope->parts->L;
    STACK_BEGIN(L);
    scope_push(L, scope);
    lua_getiuservalue(L, -1, SCOPE_REQUEST); // [response, request]
    if (!scope->parts->scopes->keeps_request(L, -1)) {
        scope->_is_request_dropped = true;
        if (scope->exchange != NULL) {
            scope_drop_body(scope);
            exchange_let_go(scope->exchange);
        }
        lua_pushnil(L);
        lua_setiuservalue(L, -3, SCOPE_REQUEST);
    }
    lua_pop(L, 2);
    DCHECK_STACK(L, 0);
}

static void unanchor(struct scope *scope)
{
    if (scope->was_stream && !scope->_is_request_dropped) {
        drop_request(scope);
    }
    luaL_unref(scope->parts->L, LUA_REGISTRYINDEX, scope->_anchor_ref);
    scope->_anchor_ref = LUA_NOREF;
    collector_wake(scope->parts->collector);
}
