// SPDX-License-Identifier: MIT
#include "script/call.h"

#include "base/check.h"
#include "base/log.h"
#include "script/generation.h"
#include "script/task.h"

#include <lauxlib.h>
#include <stdio.h>

enum {
    GUARD_INSTRUCTIONS = 10000, // between two looks at the clock
    START_RUNS = 10,            // what the program starts with may load as long as so many runs
};

static void on_guard(lua_State *L, lua_Debug *record);
static void begin_run(struct generation *generation, unsigned runs);
static void push_overrun(lua_State *L);
static enum call_outcome end_run(struct generation *generation, lua_State *L, int status);
static int with_traceback(lua_State *L);
static enum call_outcome outcome_of(struct generation *generation, lua_State *L, int status);
static void push_error(struct generation *generation, lua_State *coroutine);
static void make_text(struct generation *generation);
static void add_traceback(struct generation *generation, lua_State *coroutine);
static int l_text(lua_State *L);

enum call_outcome call_task(struct task *task, int argument_count, int *result_count)
{
    struct generation *generation = task->generation;
    lua_State *L = task->L;
    struct task *outer = generation->running;
    DCHECK(outer == NULL);
    generation->running = task;
    generation->was_refused = false;
    begin_run(generation, 1);
    int status = lua_resume(L, NULL, argument_count, result_count);
    generation->running = outer;
    return end_run(generation, L, status);
}

enum call_outcome call_main(struct generation *generation, int argument_count, int result_count)
{
    lua_State *L = generation->L;
    int base = lua_gettop(L) - argument_count;
    lua_pushcfunction(L, with_traceback);
    lua_insert(L, base);
    begin_run(generation, generation->is_beside ? 1 : START_RUNS);
    int status = lua_pcall(L, argument_count, result_count, base);
    lua_remove(L, base);
    return end_run(generation, L, status);
}

bool call_close(struct generation *generation, lua_State *coroutine)
{
    lua_State *L = generation->L;
    int top = lua_gettop(L);
    bool has_failed = lua_status(coroutine) > LUA_YIELD;
    if (has_failed) {
        push_error(generation, coroutine); // it has been told
    }
    begin_run(generation, 1);
    int status = call_close_inside(coroutine);
    bool is_told = false;
    if (has_failed && status != LUA_OK) { // a coroutine that failed passes its own error on
        push_error(generation, coroutine);
        is_told = lua_rawequal(L, -1, -2);
    }
    enum call_outcome outcome = end_run(generation, coroutine, status);
    lua_settop(coroutine, 0);
    if (outcome == CALL_TIMED_OUT || (outcome != CALL_DONE && !is_told)) {
        LOG(LOG_ERROR, "a closing variable failed", log_string("error", lua_tostring(L, -1)));
    }
    lua_settop(L, top);
    return outcome == CALL_DONE;
}

bool call_collect(struct generation *generation, int step_kib)
{
    begin_run(generation, 1);
    bool is_complete = lua_gc(generation->L, LUA_GCSTEP, step_kib) == 1;
    int top = lua_gettop(generation->L);
    (void)end_run(generation, generation->L, LUA_OK); // a finalizer's error is a warning of Lua's
    lua_settop(generation->L, top);
    return is_complete;
}

/// A closing variable that waited would be lost: Lua takes its yield for an error of the coroutine.
/// Before Lua 5.4.6 the same function had another name.
int call_close_inside(lua_State *coroutine)
{
    struct generation *generation = generation_of(coroutine);
    generation->closing_count++;
#if LUA_VERSION_RELEASE_NUM >= 50406
    int status = lua_closethread(coroutine, NULL);
#else
    int status = lua_resetthread(coroutine);
#endif
    generation->closing_count--;
    return status;
}

void call_guard(lua_State *L)
{
    lua_sethook(L, on_guard, LUA_MASKCOUNT, GUARD_INSTRUCTIONS);
}

/// Parking catches what raising cannot: an `xpcall` whose message handler loops, a looping
/// `__close`.
static void on_guard(lua_State *L, lua_Debug *record)
{
    struct generation *generation = generation_of(L);
    uint64_t now_ns = loop_machine_ns();
    if (!generation->is_struck && now_ns - generation->run_started_ns < generation->run_limit_ns) {
        return;
    }
    if (!generation->is_struck) {
        lua_getinfo(L, "Sl", record);
        snprintf(generation->struck_at, sizeof(generation->struck_at), "%s:%d", record->short_src,
                 record->currentline);
    }
    generation->is_struck = true;
    lua_sethook(L, on_guard, LUA_MASKCOUNT, 1);
    if (lua_isyieldable(L)) {
        lua_yield(L, 0);
        return;
    }
    luaL_where(L, 1);
    push_overrun(L);
    lua_concat(L, 2);
    lua_error(L);
}

static void begin_run(struct generation *generation, unsigned runs)
{
    generation->is_struck = false;
    generation->is_capped = true;
    generation->run_started_ns = loop_machine_ns();
    generation->run_limit_ns = generation->options.limits->run_timeout_ms * 1000000 * runs;
    generation->run_limit_runs = runs;
}

static void push_overrun(lua_State *L)
{
    const struct generation *generation = generation_of(L);
    double seconds = (double)generation->run_limit_ns / 1e9 / generation->run_limit_runs;
    const char *times = generation->run_limit_runs == 1 ? "" : "ten times ";
    lua_pushfstring(L, "ran for more than %srun_timeout (%f s)", times, seconds);
}

/// The memory cap is for runs of scripts alone: what happens out here, unprotected, must not raise.
static enum call_outcome end_run(struct generation *generation, lua_State *L, int status)
{
    generation->is_capped = false;
    if (!generation->is_struck) {
        return outcome_of(generation, L, status);
    }
    generation->is_struck = false;
    call_guard(L);
    lua_pushfstring(generation->L, "%s: ", generation->struck_at);
    push_overrun(generation->L);
    lua_concat(generation->L, 2);
    add_traceback(generation, L);
    return CALL_TIMED_OUT;
}

static int with_traceback(lua_State *L)
{
    const char *text = lua_tostring(L, 1);
    if (text == NULL) {
        text = luaL_tolstring(L, 1, NULL);
    }
    luaL_traceback(L, L, text, 1);
    return 1;
}

/// A failed coroutine keeps its stack, so its traceback can still be had.
static enum call_outcome outcome_of(struct generation *generation, lua_State *L, int status)
{
    if (status == LUA_OK) {
        return CALL_DONE;
    }
    if (status == LUA_YIELD) {
        return CALL_PARKED;
    }
    if (L != generation->L) {
        push_error(generation, L);
        make_text(generation);
        add_traceback(generation, L);
    }
    return status == LUA_ERRMEM ? CALL_NO_MEMORY : CALL_FAILED;
}

/// Pushes a failed coroutine's error on the main stack. The coroutine, whose closing variables are
/// given it, has room for this one value and not more.
static void push_error(struct generation *generation, lua_State *coroutine)
{
    lua_xmove(coroutine, generation->L, 1);
    lua_pushvalue(generation->L, -1);
    lua_xmove(generation->L, coroutine, 1);
}

/// [error] -> [text]. How an object becomes text is a script's business, so it may fail, or loop,
/// in its turn.
static void make_text(struct generation *generation)
{
    lua_State *L = generation->L;
    if (lua_type(L, -1) == LUA_TSTRING) {
        return;
    }
    lua_pushcfunction(L, l_text);
    lua_insert(L, -2);
    begin_run(generation, 1);
    int status = lua_pcall(L, 1, 1, 0);
    generation->is_capped = false;
    generation->is_struck = false;
    call_guard(L);
    if (status != LUA_OK) {
        lua_pop(L, 1);
        lua_pushliteral(L, "(an error object that has no text)");
    }
}

/// [text] -> [text with the traceback of `coroutine`]
static void add_traceback(struct generation *generation, lua_State *coroutine)
{
    lua_State *L = generation->L;
    luaL_traceback(L, coroutine, lua_tostring(L, -1), 0);
    lua_remove(L, -2);
}

static int l_text(lua_State *L)
{
    luaL_tolstring(L, 1, NULL);
    return 1;
}
