// SPDX-License-Identifier: MIT
#include "kit/lib_left.h"

#include "base/check.h"
#include "kit/app.h"
#include "net/clock.h"
#include "script/lib_task.h"
#include "script/lib_timer.h"
#include "sse/stream.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

enum { NUMBER_BYTES = 32 };

/// The list that grows, on the top of the host's stack.
struct left {
    lua_State *L;
    unsigned worker;
    uint64_t now_ns; // by the app's clock
    size_t exchange_count;
    bool may_end;
};

static void push_of_worker(struct left *left, const struct worker *worker);
static void push_of_generation(struct left *left, const struct generation *generation);
static bool push_exchange(void *user, struct exchange *exchange);
static void push_task(void *user, const char *origin);
static void push_timer(void *user, const char *where, uint64_t interval_ms);
static void push_seconds(lua_State *L, double seconds);
static void add_text(const struct left *left);

void push_left(lua_State *L, struct app *app)
{
    struct left left = {.L = L};
    struct app_place place = app_enter(app, 0);
    left.now_ns = clock_ns();
    app_leave(place);
    lua_newtable(L);
    for (size_t i = 0; i < app->engine.worker_count; i++) {
        push_of_worker(&left, &app->engine.workers[i]);
    }
    lua_pushboolean(L, left.may_end);
}

static void push_of_worker(struct left *left, const struct worker *worker)
{
    const struct generations *generations = &worker->generations;
    size_t conn_count = worker->service.conn_count;
    left->worker = worker->number;
    left->exchange_count = 0;
    left->may_end = left->may_end || conn_count > 0 || generations_task_count(generations) > 0;
    service_each_exchange(&worker->service, push_exchange, left);
    if (conn_count > left->exchange_count) {
        lua_pushfstring(left->L, "%d connections without a request",
                        (int)(conn_count - left->exchange_count));
        add_text(left);
    }
    push_of_generation(left, generations->current);
    LIST_EACH (node, after, &generations->draining) {
        push_of_generation(left, LIST_ITEM(node, struct generation, node));
    }
}

static void push_of_generation(struct left *left, const struct generation *generation)
{
    lib_task_each_awaited(&generation->parts, push_task, left);
    lib_timer_each_of_handlers(&generation->parts, push_timer, left);
}

static bool push_exchange(void *user, struct exchange *exchange)
{
    struct left *left = user;
    struct exchange_facts facts = exchange_facts(exchange);
    const struct stream *stream = stream_of_exchange(exchange);
    DCHECK(facts.started_ns <= left->now_ns);
    left->exchange_count++;
    lua_pushlstring(left->L, facts.method.at, facts.method.len);
    lua_pushlstring(left->L, facts.target.at, facts.target.len);
    push_seconds(left->L, (double)(left->now_ns - facts.started_ns) / 1e9);
    lua_pushfstring(left->L, "%s %s, %s for %s s", lua_tostring(left->L, -3),
                    lua_tostring(left->L, -2),
                    stream != NULL ? "an event stream that is open" : "a request under way",
                    lua_tostring(left->L, -1));
    lua_insert(left->L, -4);
    lua_pop(left->L, 3);
    add_text(left);
    return true;
}

/// The first line of the origin is the nearest one: "\n\ta.lua:12: in a function".
static void push_task(void *user, const char *origin)
{
    struct left *left = user;
    const char *line = origin + strspn(origin, "\n\t");
    const char *end = strstr(line, ": in ");
    lua_pushlstring(left->L, line, end == NULL ? strcspn(line, "\n") : (size_t)(end - line));
    lua_pushfstring(left->L, "a task that goes on, spawned at %s", lua_tostring(left->L, -1));
    lua_remove(left->L, -2);
    add_text(left);
}

/// `where` ends with ": ".
static void push_timer(void *user, const char *where, uint64_t interval_ms)
{
    struct left *left = user;
    const char *end = strrchr(where, ':');
    lua_pushlstring(left->L, where, end == NULL ? strlen(where) : (size_t)(end - where));
    push_seconds(left->L, (double)interval_ms / 1e3);
    lua_pushfstring(left->L, "a timer that fires every %s s, set up by a handler at %s",
                    lua_tostring(left->L, -1), lua_tostring(left->L, -2));
    lua_insert(left->L, -3);
    lua_pop(left->L, 2);
    add_text(left);
}

static void push_seconds(lua_State *L, double seconds)
{
    char text[NUMBER_BYTES];
    snprintf(text, sizeof(text), "%.10g", seconds);
    lua_pushstring(L, text);
}

/// [list, text] -> [list]
static void add_text(const struct left *left)
{
    DCHECK(lua_istable(left->L, -2) && lua_isstring(left->L, -1));
    lua_pushfstring(left->L, "worker %d: %s", (int)left->worker, lua_tostring(left->L, -1));
    lua_rawseti(left->L, -3, (lua_Integer)lua_rawlen(left->L, -3) + 1);
    lua_pop(left->L, 1);
}
