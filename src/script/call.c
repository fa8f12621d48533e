// SPDX-License-Identifier: MIT
#include "script/call.h"

#include "base/check.h"
#include "base/counters.h"
#include "base/limits.h"
#include "base/log.h"
#include "script/generation.h"
#include "script/guard.h"
#include "script/task.h"
#include "script/visit.h"

#include <lauxlib.h>

enum { START_RUNS = 10 }; // what the program starts with may load as long as so many runs

static void begin_run(struct generation *generation, lua_State *L, unsigned runs);
static void note_duration(const struct generation *generation, bool is_told);
static enum call_outcome end_run(struct generation *generation, lua_State *L, int status);
static int with_traceback(lua_State *L);
static enum call_outcome outcome_of(struct generation *generation, lua_State *L, int status);
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
    begin_run(generation, L, 1);
    int status = lua_resume(L, NULL, argument_count, result_count);
    enum call_outcome outcome = end_run(generation, L, status);
    generation->running = outer;
    return outcome;
}

enum call_outcome call_main(struct generation *generation, int argument_count, int result_count)
{
    lua_State *L = generation->L;
    int base = lua_gettop(L) - argument_count;
    lua_pushcfunction(L, with_traceback);
    lua_insert(L, base);
    begin_run(generation, L, generation->is_beside ? 1 : START_RUNS);
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
        call_push_error(generation, coroutine); // it has been told
    }
    begin_run(generation, coroutine, 1);
    int status = call_close_inside(coroutine);
    bool is_told = false;
    if (has_failed && status != LUA_OK) { // a coroutine that failed passes its own error on
        call_push_error(generation, coroutine);
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
    begin_run(generation, generation->L, 1);
    bool is_complete = lua_gc(generation->L, LUA_GCSTEP, step_kib) == 1;
    int top = lua_gettop(generation->L);
    (void)end_run(generation, generation->L, LUA_OK); // a finalizer's error is a warning
    lua_settop(generation->L, top);
    return is_complete;
}

/// A closing variable that waited would be lost: Lua takes its yield for an error of the coroutine.
/// Before Lua 5.4.6 the same function had another name.
int call_close_inside(lua_State *coroutine)
{
    struct generation *generation = generation_of(coroutine);
    lua_State *caller = guard_switch(generation, coroutine);
    generation->closing_count++;
#if LUA_VERSION_RELEASE_NUM >= 50406
    int status = lua_closethread(coroutine, NULL);
#else
    int status = lua_resetthread(coroutine);
#endif
    generation->closing_count--;
    IGNORE(guard_switch(generation, caller)); // the coroutine that was closed
    return status;
}

/// The coroutine, whose closing variables are given the error, has room for this one value and not
/// more.
void call_push_error(struct generation *generation, lua_State *coroutine)
{
    lua_xmove(coroutine, generation->L, 1);
    lua_pushvalue(generation->L, -1);
    lua_xmove(generation->L, coroutine, 1);
}

static void begin_run(struct generation *generation, lua_State *L, unsigned runs)
{
    generation->is_capped = true;
    generation->run_started_ns = loop_machine_ns();
    guard_begin(generation, L, runs);
}

/// The memory cap is for runs of scripts alone: what happens out here, unprotected, must not raise.
static enum call_outcome end_run(struct generation *generation, lua_State *L, int status)
{
    bool was_struck = guard_end(generation, L);
    generation->is_capped = false;
    note_duration(generation, was_struck);
    if (!was_struck) {
        return outcome_of(generation, L, status);
    }
    limit_met("run_timeout", generation->options.limits->run_timeout_ms);
    lua_pushfstring(generation->L, "%s: ", generation->struck_at);
    guard_push_overrun(generation->L);
    lua_concat(generation->L, 2);
    add_traceback(generation, L);
    return CALL_TIMED_OUT;
}

/// A program that a script has started, or a function of C, held up everybody else, or the machine
/// did.
static void note_duration(const struct generation *generation, bool is_told)
{
    uint64_t run_ns = loop_machine_ns() - generation->run_started_ns;
    durations_add(&counters_here->run, run_ns);
    if (run_ns <= generation->run_limit_ns || is_told) {
        return;
    }
    const struct task *task = generation->running;
    const char *pattern = task == NULL || task->visit == NULL ? NULL : task->visit->route->pattern;
    LOG(LOG_WARN, "a run took longer than run_timeout: nobody else was served meanwhile",
        log_string("route", pattern == NULL ? "-" : pattern),
        log_int("worker", (int64_t)generation->options.worker),
        log_duration("ms", (int64_t)(run_ns / 1000)));
}

static int with_traceback(lua_State *L)
{
    lua_settop(L, 1);
    IGNORE(l_text(L)); // 1
    luaL_traceback(L, L, lua_tostring(L, -1), 1);
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
        call_push_error(generation, L);
        make_text(generation);
        add_traceback(generation, L);
    }
    return status == LUA_ERRMEM ? CALL_NO_MEMORY : CALL_FAILED;
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
    begin_run(generation, L, 1);
    int status = lua_pcall(L, 1, 1, 0);
    IGNORE(guard_end(generation, L)); // it has no text then
    generation->is_capped = false;
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

/// [error] -> [.., text]. A table that does not say how it becomes text is written as JSON, if it
/// can be.
static int l_text(lua_State *L)
{
    if (lua_istable(L, 1) && luaL_getmetafield(L, 1, "__tostring") == LUA_TNIL) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, generation_of(L)->json_encode_ref);
        lua_pushvalue(L, 1);
        if (lua_pcall(L, 1, 1, 0) == LUA_OK) {
            return 1;
        }
    }
    luaL_tolstring(L, 1, NULL);
    return 1;
}
