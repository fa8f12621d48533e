// SPDX-License-Identifier: MIT
//
// Adding a listener anchors the response box, because somebody now waits for its events.
// `listeners_fire` copies the functions that are due into an array and starts each of them as a
// task. Nothing runs on the spot: a listener finds the state of things at the end of the turn.
#include "script/listeners.h"

#include "base/check.h"
#include "http/exchange.h"
#include "script/box.h"
#include "script/parts.h"
#include "script/scope.h"
#include "script/stack.h"
#include "script/state.h"
#include "script/task.h"

enum { LISTENER_FN = 1, LISTENER_IS_ONCE };

static int add_or_raise(lua_State *L, bool is_once);
static void push_list(lua_State *L, const char *event);
static void remove_at(lua_State *L, int list, lua_Integer at);
static int push_due(lua_State *L, const struct scope *scope, const char *event);
static bool tell_late(const struct scope *scope, const char *event);
static void start(lua_State *L, struct bytes argument);

static const char *const events[] = {"close", "abort", "finish", "drain", "error", NULL};

int l_response_on(lua_State *L)
{
    return add_or_raise(L, false);
}

int l_response_once(lua_State *L)
{
    return add_or_raise(L, true);
}

int l_response_off(lua_State *L)
{
    check_box(L, 1, BOX_RESPONSE);
    const char *event = events[luaL_checkoption(L, 2, NULL, events)];
    luaL_checktype(L, 3, LUA_TFUNCTION);
    lua_settop(L, 3);
    push_list(L, event); // [box, event, fn, list]
    for (lua_Integer i = (lua_Integer)lua_rawlen(L, 4); i >= 1; i--) {
        lua_rawgeti(L, 4, i);
        lua_rawgeti(L, -1, LISTENER_FN);
        if (lua_rawequal(L, -1, 3)) {
            remove_at(L, 4, i);
        }
        lua_settop(L, 4);
    }
    lua_settop(L, 1);
    return 1;
}

/// Starting a task makes values of Lua's, so finalizers may run between two tasks, and may add and
/// remove listeners. They change the list; the functions that are due were copied into a table of
/// their own before.
void listeners_fire(struct scope *scope, const char *event, struct bytes argument)
{
    if (!scope->has_listeners) {
        return;
    }
    lua_State *L = scope->parts->L;
    int top = lua_gettop(L);
    DCHECK(scope_is_anchored(scope));
    int count = push_due(L, scope, event); // [due]
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, top + 1, i);
        start(L, argument);
        DCHECK(lua_gettop(L) == top + 1);
    }
    lua_settop(L, top);
}

static int add_or_raise(lua_State *L, bool is_once)
{
    struct scope *scope = check_box(L, 1, BOX_RESPONSE);
    const char *event = events[luaL_checkoption(L, 2, NULL, events)];
    luaL_checktype(L, 3, LUA_TFUNCTION);
    lua_settop(L, 3);
    DEBUG_CALL(scope_check(scope));
    if (scope->exchange == NULL) {
        if (tell_late(scope, event) && !state_has_ended(scope->parts->state)) {
            lua_settop(L, 3);
            start(L, bytes_from_string(end_reason_text((enum end_reason)scope->reason)));
        }
        lua_settop(L, 1);
        return 1;
    }
    scope->has_listeners = true;
    scope_anchor(L, 1);
    push_list(L, event);      // [box, event, fn, list]
    lua_createtable(L, 2, 0); // [box, event, fn, list, listener]
    lua_pushvalue(L, 3);
    lua_rawseti(L, -2, LISTENER_FN);
    lua_pushboolean(L, is_once);
    lua_rawseti(L, -2, LISTENER_IS_ONCE);
    lua_rawseti(L, 4, (lua_Integer)lua_rawlen(L, 4) + 1);
    lua_settop(L, 1);
    return 1;
}

/// Whether a listener that is added after the end is called at once for `event`.
static bool tell_late(const struct scope *scope, const char *event)
{
    bool is_finished = scope->reason == END_FINISHED;
    return strcmp(event, "close") == 0 || strcmp(event, is_finished ? "finish" : "abort") == 0;
}

/// Pushes the list of `event` of the box at index 1. Makes the list if there is none.
static void push_list(lua_State *L, const char *event)
{
    STACK_BEGIN(L);
    if (lua_getiuservalue(L, 1, SCOPE_LISTENERS) != LUA_TTABLE) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_setiuservalue(L, 1, SCOPE_LISTENERS);
    }
    if (lua_getfield(L, -1, event) != LUA_TTABLE) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_setfield(L, -3, event);
    }
    lua_remove(L, -2);
    DCHECK_STACK(L, 1);
}

/// Pushes an array of the functions that are to be called for `event`, and takes those of `once`
/// out of the list. Returns how many there are. A finalizer may run where the array is made;
/// nothing is made below that, so none runs while the list is walked.
static int push_due(lua_State *L, const struct scope *scope, const char *event)
{
    int due = lua_gettop(L) + 1;
    int list = due + 3;
    lua_newtable(L);
    scope_push(L, scope);
    lua_getiuservalue(L, -1, SCOPE_LISTENERS); // [due, response, listeners]
    int count = lua_getfield(L, -1, event) == LUA_TTABLE ? (int)lua_rawlen(L, -1) : 0;
    int kept_count = 0;
    for (int i = 1; i <= count; i++) { // [due, response, listeners, list]
        lua_rawgeti(L, list, i);
        lua_rawgeti(L, -1, LISTENER_FN);
        lua_rawseti(L, due, i);
        lua_rawgeti(L, -1, LISTENER_IS_ONCE);
        bool is_once = lua_toboolean(L, -1);
        lua_pop(L, 1); // [.., listener]
        lua_rawseti(L, list, is_once ? i : ++kept_count);
    }
    for (int i = kept_count + 1; i <= count; i++) {
        lua_pushnil(L);
        lua_rawseti(L, list, i);
    }
    DCHECK(kept_count <= count);
    lua_settop(L, due);
    return count;
}

/// Makes no value of Lua's, so no finalizer runs meanwhile.
static void remove_at(lua_State *L, int list, lua_Integer at)
{
    lua_Integer count = (lua_Integer)lua_rawlen(L, list);
    DCHECK(at >= 1 && at <= count);
    for (lua_Integer i = at; i <= count; i++) {
        lua_rawgeti(L, list, i + 1); // nil behind the last
        lua_rawseti(L, list, i);
    }
}

/// [fn] -> []. The task belongs to no scope, so that the end of the scope does not cancel it.
static void start(lua_State *L, struct bytes argument)
{
    lua_pushlstring(L, argument.at, argument.len);
    task_start(task_new(L, 1)); // it runs when the turn ends
}
