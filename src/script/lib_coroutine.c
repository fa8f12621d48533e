// SPDX-License-Identifier: MIT
//
// A task may wait in a coroutine that the script has made, several levels deep. `task_park` then
// yields in the innermost coroutine. The `resume` below it sees that this yield is the engine's and
// yields, too, and so on down to the task's own coroutine. When the task is woken, the values are
// on the stack of the innermost coroutine, and each `resume` goes on by resuming its coroutine
// again with the values that are there.
#include "script/lib_coroutine.h"

#include "base/check.h"
#include "script/call.h"
#include "script/guard.h"
#include "script/obstacle.h"
#include "script/parts.h"
#include "script/state.h"
#include "script/task.h"

#include <stdbool.h>

static int l_resume(lua_State *L);
static int l_wrap(lua_State *L);
static int l_wrapped(lua_State *L);
static int l_yield(lua_State *L);
static int l_close(lua_State *L);
static void check_not_waiting(lua_State *L, lua_State *coroutine);
static int go_on_or_raise(lua_State *L, lua_State *coroutine, int argument_count, bool is_wrap);
static int finish_or_raise(lua_State *L, lua_State *coroutine, int status, bool is_wrap);
static int l_after_wait(lua_State *L, int status, lua_KContext context);
static int raise_from(lua_State *L, int status);
static bool is_waiting(lua_State *L);

const luaL_Reg lib_coroutine_functions[] = {
    {"resume", l_resume}, {"wrap", l_wrap}, {"yield", l_yield}, {"close", l_close}, {NULL, NULL}};

/// resume(coroutine, ...) -> true, ... | false, message
static int l_resume(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTHREAD);
    lua_State *coroutine = lua_tothread(L, 1);
    int argument_count = lua_gettop(L) - 1;
    check_not_waiting(L, coroutine);
    if (!lua_checkstack(coroutine, argument_count)) {
        lua_pushboolean(L, 0);
        lua_pushliteral(L, "too many arguments to resume");
        return 2;
    }
    lua_xmove(L, coroutine, argument_count);
    return go_on_or_raise(L, coroutine, argument_count, false);
}

/// wrap(fn) -> function
static int l_wrap(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_State *coroutine = lua_newthread(L);
    lua_pushvalue(L, 1);
    lua_xmove(L, coroutine, 1);
    lua_pushcclosure(L, l_wrapped, 1);
    return 1;
}

static int l_wrapped(lua_State *L)
{
    lua_State *coroutine = lua_tothread(L, lua_upvalueindex(1));
    int argument_count = lua_gettop(L);
    check_not_waiting(L, coroutine);
    luaL_argcheck(L, lua_checkstack(coroutine, argument_count), 1, "too many arguments");
    lua_xmove(L, coroutine, argument_count);
    lua_pushvalue(L, lua_upvalueindex(1)); // [coroutine]
    return go_on_or_raise(L, coroutine, argument_count, true);
}

/// yield(...). It does what Lua's own does, and `check_not_waiting` knows a coroutine that waits in
/// it.
static int l_yield(lua_State *L)
{
    if (!lua_isyieldable(L)) {
        return raise_obstacle(L, "yield can only wait inside a coroutine");
    }
    return lua_yield(L, lua_gettop(L));
}

/// close(coroutine) -> true | false, error
static int l_close(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTHREAD);
    lua_State *coroutine = lua_tothread(L, 1);
    lua_Debug record;
    check_not_waiting(L, coroutine);
    if (coroutine == L ||
        (lua_status(coroutine) == LUA_OK && lua_getstack(coroutine, 0, &record) != 0)) {
        return luaL_error(L, "cannot close a %s coroutine", coroutine == L ? "running" : "normal");
    }
    bool is_well = call_close_inside(coroutine) == LUA_OK;
    lua_pushboolean(L, is_well);
    if (is_well) {
        return 1;
    }
    lua_xmove(coroutine, L, 1);
    return 2;
}

/// Raises unless the script may resume or close the coroutine. One that is suspended elsewhere than
/// in `yield` waits for the engine on behalf of a task, and only that task may go on with it. A
/// coroutine of a task that has not had its turn must not be begun either.
static void check_not_waiting(lua_State *L, lua_State *coroutine)
{
    lua_Debug record;
    if (coroutine == parts_of(L)->L) {
        luaL_error(L, "the main coroutine belongs to the server");
    }
    if (state_is_of_task(coroutine) && lua_status(coroutine) == LUA_OK &&
        lua_gettop(coroutine) > 0 && lua_getstack(coroutine, 0, &record) == 0) {
        luaL_error(L, "this coroutine belongs to another task");
    }
    if (lua_status(coroutine) != LUA_YIELD || lua_getstack(coroutine, 0, &record) == 0) {
        return;
    }
    lua_getinfo(coroutine, "f", &record);
    bool is_yield = lua_tocfunction(coroutine, -1) == l_yield;
    lua_pop(coroutine, 1);
    if (!is_yield) {
        luaL_error(L, "this coroutine waits in another task");
    }
}

/// Resumes the coroutine. It is at index 1 of `L`, also after a wait.
static int go_on_or_raise(lua_State *L, lua_State *coroutine, int argument_count, bool is_wrap)
{
    int result_count = 0;
    DCHECK(lua_tothread(L, 1) == coroutine && argument_count >= 0);
    bool is_dead = lua_status(coroutine) == LUA_OK && lua_gettop(coroutine) == argument_count;
    if (is_dead) {
        lua_settop(coroutine, 0);
        lua_pushliteral(coroutine, "cannot resume dead coroutine");
        return finish_or_raise(L, coroutine, LUA_ERRRUN, is_wrap);
    }
    struct guard *guard = parts_of(L)->guard;
    bool is_held = !lua_isyieldable(L); // a wait inside of the coroutine could not pass through `L`
    if (is_held) {
        guard_forbid_waits(guard);
    }
    IGNORE(guard_switch(guard, coroutine)); // returns L
    int status = lua_resume(coroutine, L, argument_count, &result_count);
    IGNORE(guard_switch(guard, L)); // returns the coroutine
    if (is_held) {
        guard_allow_waits(guard);
    }
    if (status == LUA_YIELD && is_waiting(L)) {
        return lua_yieldk(L, 0, is_wrap, l_after_wait);
    }
    if (status != LUA_OK && status != LUA_YIELD) {
        return finish_or_raise(L, coroutine, status, is_wrap);
    }
    DCHECK(result_count <= lua_gettop(coroutine));
    luaL_checkstack(L, result_count + 1, "too many results");
    lua_pushboolean(L, 1);
    lua_xmove(coroutine, L, result_count);
    return is_wrap ? result_count : result_count + 1;
}

/// Goes on when the wait is over. The values of the wait are on the stack of the innermost
/// coroutine.
static int l_after_wait(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    lua_State *coroutine = lua_tothread(L, 1);
    DCHECK(coroutine != NULL && coroutine != L);
    int value_count = task_value_count(task_current(L), coroutine);
    return go_on_or_raise(L, coroutine, value_count, context != 0);
}

static int finish_or_raise(lua_State *L, lua_State *coroutine, int status, bool is_wrap)
{
    if (is_wrap && lua_status(coroutine) > LUA_YIELD) {
        status = call_close_inside(coroutine);
    }
    lua_pushboolean(L, 0);
    if (coroutine == L) {
        lua_insert(L, -2); // a coroutine that resumed itself has the message already
    } else {
        lua_xmove(coroutine, L, 1); // [.., false, message]
    }
    return is_wrap ? raise_from(L, status) : 2;
}

/// Raises the error of a wrapped coroutine. A string gets the place of the call in front.
static int raise_from(lua_State *L, int status)
{
    if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) {
        luaL_where(L, 1);
        lua_insert(L, -2);
        lua_concat(L, 2);
    }
    return lua_error(L);
}

/// Whether the yield that has just arrived is the engine's: a wait, or the end of a run that took
/// too long.
static bool is_waiting(lua_State *L)
{
    const struct task *task = task_running(L);
    return guard_has_struck(parts_of(L)->guard) || (task != NULL && task_is_parking(task));
}
