// SPDX-License-Identifier: MIT
//
// The reason is looked for from the running function outwards: a finalizer, then a function in C
// that called back. A function in C has no name of its own, so the libraries that are loaded are
// searched for its value.
#include "script/obstacle.h"

#include "base/check.h"
#include "script/guard.h"
#include "script/parts.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdbool.h>
#include <string.h>

static void push_location(lua_State *L, int level);
static void push_obstacle(lua_State *L);
static bool is_in_finalizer(lua_State *L);
static bool push_caller_in_c(lua_State *L);
static void push_name(lua_State *L, lua_Debug *record);
static bool push_library_name(lua_State *L, int function);
static bool push_key(lua_State *L, int function);

/// Looks for the place itself: `luaL_where` gives none when a C function has called the one that
/// waits.
int raise_obstacle(lua_State *L, const char *what)
{
    push_location(L, 1);
    if (lua_tostring(L, -1)[0] != '\0') {
        lua_pushliteral(L, ": ");
        lua_concat(L, 2);
    }
    lua_pushfstring(L, "%s; not ", what);
    push_obstacle(L);
    lua_concat(L, 3);
    return lua_error(L);
}

bool obstacle_is_of_engine(const lua_Debug *record)
{
    static const char prefix[] = "=lunesse";
    return strncmp(record->source, prefix, sizeof(prefix) - 1) == 0;
}

/// Pushes "file:line" of the innermost Lua function of a script from `level` on; "" when
/// there is none.
static void push_location(lua_State *L, int level)
{
    lua_Debug record;
    DCHECK(level >= 1); // level 0 is the function of ours that cannot wait
    for (; lua_getstack(L, level, &record); level++) {
        lua_getinfo(L, "Sl", &record);
        if (record.currentline > 0 && !obstacle_is_of_engine(&record)) {
            lua_pushfstring(L, "%s:%d", record.short_src, record.currentline);
            return;
        }
    }
    lua_pushliteral(L, "");
}

/// Pushes where the code stands. A closing variable can wait unless its coroutine is being closed.
static void push_obstacle(lua_State *L)
{
    const struct parts *parts = parts_of(L);
    if (is_in_finalizer(L)) {
        lua_pushliteral(L, "in a finalizer (__gc)");
    } else if (push_caller_in_c(L)) {
        return;
    } else if (guard_forbids_waits(parts->guard)) {
        lua_pushliteral(L, "in a coroutine that is being ended (__close), or that was resumed "
                           "where nothing can wait");
    } else {
        lua_pushliteral(L, "outside of these");
    }
}

static bool is_in_finalizer(lua_State *L)
{
    lua_Debug record;
    bool is_found = false;
    for (int level = 1; !is_found && lua_getstack(L, level, &record); level++) {
        lua_getinfo(L, "n", &record);
        is_found = strcmp(record.namewhat, "metamethod") == 0 && record.name != NULL &&
                   strcmp(record.name, "__gc") == 0;
    }
    return is_found;
}

/// Pushes the name of the C function that the code is inside of, where that was called, and what to
/// do. `pcall` and `xpcall` are no obstacle, because a wait can pass through them.
static bool push_caller_in_c(lua_State *L)
{
    lua_Debug record;
    for (int level = 1; lua_getstack(L, level, &record); level++) {
        lua_getinfo(L, "nS", &record);
        if (*record.what == 'C') {
            push_name(L, &record);
            const char *name = lua_tostring(L, -1);
            if (strcmp(name, "pcall") != 0 && strcmp(name, "xpcall") != 0) {
                lua_pushfstring(L, "inside the C function '%s', called at ", name);
                push_location(L, level + 1);
                lua_pushliteral(L, ": wait before it is called, or after it has returned");
                lua_concat(L, 3);
                lua_remove(L, -2);
                return true;
            }
            lua_pop(L, 1);
        }
    }
    return false;
}

/// Pushes the name of a C function: as the libraries call it, or as the caller does.
static void push_name(lua_State *L, lua_Debug *record)
{
    lua_getinfo(L, "f", record);
    if (!push_library_name(L, lua_gettop(L))) {
        lua_pushstring(L, record->name == NULL ? "?" : record->name);
    }
    lua_remove(L, -2);
}

/// Pushes "table.sort" for the function at the index `function`, if it is one of Lua's own.
static bool push_library_name(lua_State *L, int function)
{
    static const char *const libraries[] = {LUA_TABLIBNAME, LUA_STRLIBNAME, LUA_COLIBNAME,
                                            LUA_IOLIBNAME,  LUA_OSLIBNAME,  LUA_UTF8LIBNAME};
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    for (size_t i = 0; i < sizeof(libraries) / sizeof(libraries[0]); i++) {
        lua_getfield(L, function + 1, libraries[i]);
        if (lua_istable(L, -1) && push_key(L, function)) {
            lua_pushfstring(L, "%s.%s", libraries[i], lua_tostring(L, -1));
            lua_replace(L, function + 1);
            lua_settop(L, function + 1);
            return true;
        }
        lua_settop(L, function + 1);
    }
    lua_settop(L, function);
    return false;
}

/// [.., table] -> [.., table, key]. Pushes the text under which the table has the function.
static bool push_key(lua_State *L, int function)
{
    lua_pushnil(L);
    while (lua_next(L, -2) != 0) {
        bool is_it = lua_rawequal(L, -1, function) && lua_type(L, -2) == LUA_TSTRING;
        lua_pop(L, 1);
        if (is_it) {
            return true;
        }
    }
    return false;
}
