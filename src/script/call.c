// SPDX-License-Identifier: MIT
//
// Every entry has the same frame: `begin_run` limits the state's memory and starts the guard's
// measure, then Lua runs, then `end_run` ends both and turns Lua's status into an outcome. Only
// within that frame may an allocation fail, because only there is a protected call below it. A run
// that the guard has ended counts as timed out, whatever Lua's status is: the script may have
// caught the guard's error.
#include "script/call.h"

#include "base/check.h"
#include "base/counters.h"
#include "base/environment.h"
#include "base/limits.h"
#include "base/log.h"
#include "script/guard.h"
#include "script/parts.h"
#include "script/stack.h"
#include "script/state.h"

#include <lauxlib.h>

static void begin_run(struct parts *parts, lua_State *L, unsigned runs);
static void note_duration(const struct parts *parts, bool is_told);
static enum call_outcome end_run(struct parts *parts, lua_State *L, int status);
static bool has_message(enum call_outcome outcome);
static int l_with_traceback(lua_State *L);
static enum call_outcome outcome_of(struct parts *parts, lua_State *L, int status);
static void make_text(struct parts *parts);
static void add_traceback(struct parts *parts, lua_State *coroutine);
static int l_text(lua_State *L);

enum call_outcome call_resume(lua_State *coroutine, int argument_count, int *result_count)
{
    struct parts *parts = parts_of(coroutine);
    STACK_BEGIN(parts->L);
    DCHECK(coroutine != parts->L && lua_gettop(coroutine) >= argument_count);
    state_clear_refusal(parts->state);
    begin_run(parts, coroutine, guard_runs(parts->guard));
    if (environment_here->refuses_memory) {
        guard_starve(coroutine);
    }
    int status = lua_resume(coroutine, NULL, argument_count, result_count);
    enum call_outcome outcome = end_run(parts, coroutine, status);
    DCHECK_STACK(parts->L, has_message(outcome));
    return outcome;
}

enum call_outcome call_main(struct parts *parts, int argument_count, int result_count)
{
    lua_State *L = parts->L;
    int base = lua_gettop(L) - argument_count;
    DCHECK(base > 0 && lua_isfunction(L, base));
    lua_pushcfunction(L, l_with_traceback);
    lua_insert(L, base);
    begin_run(parts, L, guard_runs(parts->guard));
    int status = lua_pcall(L, argument_count, result_count, base);
    lua_remove(L, base);
    enum call_outcome outcome = end_run(parts, L, status);
    DCHECK(has_message(outcome) ? lua_type(L, -1) == LUA_TSTRING
                                : lua_gettop(L) == base - 1 + result_count);
    return outcome;
}

bool call_close(struct parts *parts, lua_State *coroutine)
{
    lua_State *L = parts->L;
    int top = lua_gettop(L);
    bool has_failed = lua_status(coroutine) > LUA_YIELD;
    DCHECK(coroutine != L);
    if (has_failed) {
        call_push_error(parts, coroutine); // the error that was logged when the coroutine failed
    }
    begin_run(parts, coroutine, 1);
    int status = call_close_inside(coroutine);
    bool is_told = false;
    if (has_failed && status != LUA_OK) { // closing a failed coroutine gives its own error again
        call_push_error(parts, coroutine);
        is_told = lua_rawequal(L, -1, -2);
    }
    enum call_outcome outcome = end_run(parts, coroutine, status);
    lua_settop(coroutine, 0);
    if (outcome == CALL_TIMED_OUT || (outcome != CALL_DONE && !is_told)) {
        LOG(LOG_ERROR, "a closing variable failed", log_string("error", lua_tostring(L, -1)));
    }
    lua_settop(L, top);
    return outcome == CALL_DONE;
}

bool call_collect(struct parts *parts, int step_kib)
{
    DCHECK(step_kib > 0);
    begin_run(parts, parts->L, 1);
    bool is_complete = lua_gc(parts->L, LUA_GCSTEP, step_kib) == 1;
    int top = lua_gettop(parts->L);
    (void)end_run(parts, parts->L, LUA_OK); // a finalizer's error became a warning
    lua_settop(parts->L, top);
    return is_complete;
}

/// Forbids waits meanwhile. Lua takes a yield of a closing variable for an error of the coroutine,
/// and the variable would never go on. Before Lua 5.4.6 the function has another name.
int call_close_inside(lua_State *coroutine)
{
    struct guard *guard = parts_of(coroutine)->guard;
    lua_State *caller = guard_switch(guard, coroutine);
    guard_forbid_waits(guard);
#if LUA_VERSION_RELEASE_NUM >= 50406
    int status = lua_closethread(coroutine, NULL);
#else
    int status = lua_resetthread(coroutine);
#endif
    guard_allow_waits(guard);
    IGNORE(guard_switch(guard, caller)); // returns the coroutine that was closed
    return status;
}

/// Copies the error, and leaves it on the coroutine's stack because closing variables are given it.
/// That stack has room for this one value and not more.
void call_push_error(struct parts *parts, lua_State *coroutine)
{
    STACK_BEGIN(parts->L);
    DCHECK(lua_gettop(coroutine) > 0);
    lua_xmove(coroutine, parts->L, 1);
    lua_pushvalue(parts->L, -1);
    lua_xmove(parts->L, coroutine, 1);
    DCHECK_STACK(parts->L, 1);
}

static void begin_run(struct parts *parts, lua_State *L, unsigned runs)
{
    bool was_capped = state_cap(parts->state, true);
    DCHECK(!was_capped);
    (void)was_capped;
    guard_begin(parts->guard, L, runs);
}

/// Lifts the memory limit first: outside of a run nothing is protected, so nothing may raise.
static enum call_outcome end_run(struct parts *parts, lua_State *L, int status)
{
    bool was_struck = guard_end(parts->guard, L);
    state_cap(parts->state, false);
    note_duration(parts, was_struck);
    if (!was_struck) {
        return outcome_of(parts, L, status);
    }
    if (!guard_is_given_up(parts->guard)) {
        limit_met("run_timeout", guard_limit_ns(parts->guard) / 1000000);
    }
    lua_pushfstring(parts->L, "%s: ", guard_location(parts->guard));
    guard_push_overrun(parts->L);
    lua_concat(parts->L, 2);
    add_traceback(parts, L);
    return CALL_TIMED_OUT;
}

/// Warns of a run that took long by the clock on the wall. A program that the script waited for, a
/// function of C or a busy machine held up everybody whom this worker serves.
static void note_duration(const struct parts *parts, bool is_told)
{
    uint64_t run_ns = guard_run_ns(parts->guard);
    durations_add(&counters_here->run, run_ns);
    if (run_ns <= guard_limit_ns(parts->guard) || is_told) {
        return;
    }
    const char *pattern = guard_route(parts->guard);
    LOG(LOG_WARN, "a run took longer than run_timeout: nobody else was served meanwhile",
        log_string("route", pattern == NULL ? "-" : pattern),
        log_int("worker", (int64_t)parts->options->worker),
        log_duration("ms", (int64_t)(run_ns / 1000)));
}

/// Whether the outcome comes with a message on the main stack.
static bool has_message(enum call_outcome outcome)
{
    return outcome != CALL_DONE && outcome != CALL_PARKED;
}

static int l_with_traceback(lua_State *L)
{
    lua_settop(L, 1);
    IGNORE(l_text(L)); // 1
    luaL_traceback(L, L, lua_tostring(L, -1), 1);
    return 1;
}

/// A failed coroutine keeps its stack, so its traceback can still be had.
static enum call_outcome outcome_of(struct parts *parts, lua_State *L, int status)
{
    if (status == LUA_OK) {
        return CALL_DONE;
    }
    if (status == LUA_YIELD) {
        return CALL_PARKED;
    }
    if (L != parts->L) {
        call_push_error(parts, L);
        make_text(parts);
        add_traceback(parts, L);
    }
    return status == LUA_ERRMEM ? CALL_NO_MEMORY : CALL_FAILED;
}

/// [error] -> [text]. An error object becomes text by a function of the script, so that runs as a
/// call of its own, which may fail or loop.
static void make_text(struct parts *parts)
{
    lua_State *L = parts->L;
    if (lua_type(L, -1) == LUA_TSTRING) {
        return;
    }
    lua_pushcfunction(L, l_text);
    lua_insert(L, -2);
    begin_run(parts, L, 1);
    int status = lua_pcall(L, 1, 1, 0);
    IGNORE(guard_end(parts->guard, L)); // a run that was ended has failed, too
    state_cap(parts->state, false);
    if (status != LUA_OK) {
        lua_pop(L, 1);
        lua_pushliteral(L, "(an error object that has no text)");
    }
    DCHECK(lua_type(L, -1) == LUA_TSTRING);
}

/// Adds the traceback of `coroutine` to the text on the main stack.
/// [text] -> [text with the traceback]
static void add_traceback(struct parts *parts, lua_State *coroutine)
{
    lua_State *L = parts->L;
    STACK_BEGIN(L);
    DCHECK(lua_type(L, -1) == LUA_TSTRING);
    luaL_traceback(L, coroutine, lua_tostring(L, -1), 0);
    lua_remove(L, -2);
    DCHECK_STACK(L, 0);
}

/// [error] -> [.., text]. A table without `__tostring` is written as JSON where JSON can hold it.
static int l_text(lua_State *L)
{
    if (lua_istable(L, 1) && luaL_getmetafield(L, 1, "__tostring") == LUA_TNIL) {
        state_push_encoder(L);
        lua_pushvalue(L, 1);
        if (lua_pcall(L, 1, 1, 0) == LUA_OK) {
            return 1;
        }
    }
    luaL_tolstring(L, 1, NULL);
    return 1;
}
