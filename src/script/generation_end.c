// SPDX-License-Identifier: MIT
//
// When newer scripts take over, the worker calls `generation_drain`, and then asks
// `generation_is_idle` at the end of each turn. A generation is idle when nothing of it runs, waits
// or is anchored; what only the collector would find is collected before the answer.
// `generation_end` is for the oldest of too many: it ends what is left, and then waits only until
// all exchanges are done.
#include "script/generation_end.h"

#include "base/check.h"
#include "base/jitter.h"
#include "net/loop.h"
#include "script/application.h"
#include "script/collector.h"
#include "script/failure.h"
#include "script/generation.h"
#include "script/lib_timer.h"
#include "script/scheduler.h"
#include "script/scope.h"
#include "script/stack.h"
#include "script/task.h"
#include "sse/stream.h"

enum {
    RETRY_MS_MIN = 100, // bounds of the time after which a reader comes back
    RETRY_MS_MAX = 999,
};

static bool runs(const struct generation *generation);
static void drop_scopes(struct generation *generation);
static size_t end_streams(struct generation *generation);
static void end_stream(struct stream *stream);
static void call_hook(struct generation *generation, int ref);
static bool is_open_stream(const struct scope *scope);

void generation_drain(struct generation *generation)
{
    OWNED(&generation->options.loop->owner);
    DCHECK(lua_gettop(generation->parts.L) == 0);
    DCHECK(scheduler_running(generation->parts.scheduler) == NULL);
    lib_timer_stop_loaded(&generation->parts);
    collector_run(generation->parts.collector);
    int ref;
    switch (application_on_reload(generation->parts.application, &ref)) {
    case ON_RELOAD_KEEP:
        break;
    case ON_RELOAD_END:
        (void)end_streams(generation); // the number of streams is reported elsewhere
        break;
    case ON_RELOAD_CALL:
        call_hook(generation, ref);
        break;
    }
}

/// The second call does not wait for what the first could not write.
size_t generation_end(struct generation *generation)
{
    OWNED(&generation->options.loop->owner);
    DCHECK(scheduler_running(generation->parts.scheduler) == NULL);
    size_t count = end_streams(generation);
    lib_timer_stop_all(&generation->parts);
    LIST_EACH (node, after, scopes_list(generation->parts.scopes)) {
        struct scope *scope = LIST_ITEM(node, struct scope, node);
        if (scope->stream == NULL && scope->exchange->response.state == RESPONSE_FRESH) {
            failure_replaced(scope);
        } else if (generation->is_cut) {
            exchange_abort(scope->exchange, END_SLOW);
        } else if (scope->stream == NULL) {
            exchange_cut(scope->exchange, END_RELOADED);
        }
    }
    generation->is_cut = true;
    task_cancel_all(&generation->parts);
    return count;
}

/// A scope without an anchor may still wait for the collector, or be held by a variable that nobody
/// will read again, so it does not keep the generation. A generation that was ended before its time
/// waits for nothing that its listeners begin.
bool generation_is_idle(struct generation *generation)
{
    OWNED(&generation->options.loop->owner);
    DCHECK(lua_gettop(generation->parts.L) == 0);
    DCHECK(scheduler_running(generation->parts.scheduler) == NULL);
    if (generation->is_cut) {
        return list_is_empty(scopes_list(generation->parts.scopes)) &&
               !scheduler_has_ready(generation->parts.scheduler);
    }
    if (runs(generation)) {
        return false;
    }
    if (!list_is_empty(scopes_list(generation->parts.scopes)) &&
        collector_has_work(generation->parts.collector)) {
        collector_run(generation->parts.collector);
        if (runs(generation)) {
            return false; // a finalizer has begun something
        }
    }
    drop_scopes(generation);
    return true;
}

/// Whether a task runs or waits, a timer is armed, or a scope is anchored.
static bool runs(const struct generation *generation)
{
    if (!list_is_empty(scheduler_tasks(generation->parts.scheduler)) ||
        lib_timer_has_armed(&generation->parts)) {
        return true;
    }
    LIST_EACH (node, after, scopes_list(generation->parts.scopes)) {
        if (scope_is_anchored(LIST_ITEM(node, struct scope, node))) {
            return true;
        }
    }
    return false;
}

/// Parts all streams from the generation. Its code will never run again, so a stream that follows
/// no channel would stay open without anybody to write to it: that is ended.
static void drop_scopes(struct generation *generation)
{
    LIST_EACH (node, after, scopes_list(generation->parts.scopes)) {
        struct scope *scope = LIST_ITEM(node, struct scope, node);
        DEBUG_CALL(scope_check(scope));
        DCHECK(scope->stream != NULL && !scope_is_anchored(scope));
        if (scope->stream->is_open && !stream_is_subscribed(scope->stream)) {
            end_stream(scope->stream);
        }
        scope_leave(scope);
    }
}

/// Closing variables may run the collector, which may free any scope, so the walk keeps no scope in
/// a variable over a call of Lua. It takes the scopes from a list of its own.
static size_t end_streams(struct generation *generation)
{
    size_t count = 0;
    struct list batch;
    list_take(&batch, scopes_list(generation->parts.scopes));
    while (!list_is_empty(&batch)) {
        struct scope *scope = LIST_ITEM(batch.next, struct scope, node);
        list_remove(&scope->node);
        list_append(scopes_list(generation->parts.scopes), &scope->node);
        if (is_open_stream(scope)) {
            count++;
            end_stream(scope->stream);
            if (!scope->route->options.is_detached) {
                scope_cancel_tasks(scope);
            }
        }
    }
    return count;
}

static void end_stream(struct stream *stream)
{
    stream_end(stream, END_RELOADED, jitter_between(RETRY_MS_MIN, RETRY_MS_MAX));
}

/// Calls fn(streams) of the old code.
static void call_hook(struct generation *generation, int ref)
{
    lua_State *L = generation->parts.L;
    lua_Integer count = 0;
    STACK_BEGIN(L);
    DCHECK(ref != LUA_NOREF);
    lua_rawgeti(L, LUA_REGISTRYINDEX, ref);
    lua_newtable(L);
    LIST_EACH (node, after, scopes_list(generation->parts.scopes)) {
        struct scope *scope = LIST_ITEM(node, struct scope, node);
        if (is_open_stream(scope) && scope_is_anchored(scope)) {
            scope_push(L, scope);
            lua_getiuservalue(L, -1, SCOPE_STREAM);
            lua_rawseti(L, -3, ++count);
            lua_pop(L, 1);
        }
    }
    DCHECK_STACK(L, 2);             // [fn, streams]
    task_start_now(task_new(L, 1)); // now, so that streams which it ends at once count as ended
}

static bool is_open_stream(const struct scope *scope)
{
    return scope->stream != NULL && scope->stream->is_open;
}
