// SPDX-License-Identifier: MIT
#include "script/json_value.h"

#include "base/check.h"
#include "script/stack.h"

#include <lauxlib.h>
#include <string.h>

// The registry keeps each metatable under the address of one of these.
static const char array_key;
static const char digits_key;

static bool is_class(lua_State *L, const char *key);
static void make_digits_class(lua_State *L);
static int l_digits_text(lua_State *L);
static int l_digits_equal(lua_State *L);

void json_value_register(lua_State *L)
{
    STACK_BEGIN(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "array");
    lua_setfield(L, -2, "__name");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &array_key);
    make_digits_class(L);
    DCHECK_STACK(L, 0);
}

void json_value_push_null(lua_State *L)
{
    lua_pushlightuserdata(L, NULL);
}

bool json_value_is_null(lua_State *L, int index)
{
    return lua_islightuserdata(L, index) && lua_touserdata(L, index) == NULL;
}

void json_value_push_array_class(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &array_key);
    DCHECK(lua_istable(L, -1));
}

bool json_value_is_array(lua_State *L, int index)
{
    return lua_getmetatable(L, index) && is_class(L, &array_key);
}

void json_value_push_digits(lua_State *L, struct bytes digits)
{
    STACK_BEGIN(L);
    DCHECK(digits.len > 0);
    void *at = lua_newuserdatauv(L, digits.len, 0);
    memcpy(at, digits.at, digits.len);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &digits_key);
    lua_setmetatable(L, -2);
    DCHECK_STACK(L, 1);
}

bool json_value_is_digits(lua_State *L, int index, struct bytes *digits)
{
    bool is_digits = lua_type(L, index) == LUA_TUSERDATA && lua_getmetatable(L, index) &&
                     is_class(L, &digits_key);
    if (is_digits) {
        *digits = bytes_of(lua_touserdata(L, index), lua_rawlen(L, index));
    }
    return is_digits;
}

void json_value_push_where(lua_State *L)
{
    lua_Debug record;
    for (int level = 1; lua_getstack(L, level, &record) != 0; level++) {
        lua_getinfo(L, "Sl", &record);
        if (record.currentline > 0 && strncmp(record.source, "=lunesse", 8) != 0) {
            lua_pushfstring(L, "%s:%d: ", record.short_src, record.currentline);
            return;
        }
    }
    lua_pushliteral(L, "");
}

/// Whether the metatable on top is the one that the registry has under `key`. [metatable] -> []
static bool is_class(lua_State *L, const char *key)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, key);
    bool is_same = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return is_same;
}

static void make_digits_class(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"__tostring", l_digits_text}, {"__eq", l_digits_equal}, {NULL, NULL}};
    luaL_newlib(L, methods);
    lua_pushliteral(L, "integer");
    lua_setfield(L, -2, "__name");
    lua_pushliteral(L, "protected");
    lua_setfield(L, -2, "__metatable");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &digits_key);
}

static int l_digits_text(lua_State *L)
{
    struct bytes digits;
    if (!json_value_is_digits(L, 1, &digits)) {
        return luaL_typeerror(L, 1, "integer");
    }
    lua_pushlstring(L, digits.at, digits.len);
    return 1;
}

static int l_digits_equal(lua_State *L)
{
    struct bytes a;
    struct bytes b;
    bool are_both = json_value_is_digits(L, 1, &a) && json_value_is_digits(L, 2, &b);
    lua_pushboolean(L, are_both && bytes_equal(a, b));
    return 1;
}
