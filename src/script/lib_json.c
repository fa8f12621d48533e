// SPDX-License-Identifier: MIT
#include "script/lib_json.h"

#include "script/generation.h"
#include "script/json_decode.h"
#include "script/json_encode.h"

#include <lauxlib.h>
#include <string.h>

static void make_digits_class(lua_State *L);
static int l_digits_text(lua_State *L);
static int l_digits_equal(lua_State *L);
static int l_encode(lua_State *L);
static int return_text(lua_State *L);
static int l_json_at_once(lua_State *L);
static int l_decode(lua_State *L);
static int l_array(lua_State *L);

static const luaL_Reg functions[] = {
    {"encode", l_encode}, {"decode", l_decode}, {"array", l_array}, {NULL, NULL}};

const luaL_Reg lib_json_functions[] = {{"json_at_once", l_json_at_once}, {NULL, NULL}};

void lib_json_open(lua_State *L)
{
    struct generation *generation = generation_of(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "array");
    lua_setfield(L, -2, "__name");
    generation->json_array_class = lua_topointer(L, -1);
    generation->json_array_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    make_digits_class(L);
    luaL_newlib(L, functions);
    lib_json_push_null(L);
    lua_setfield(L, -2, "null");
}

void lib_json_push_null(lua_State *L)
{
    lua_pushlightuserdata(L, NULL);
}

bool lib_json_is_null(lua_State *L, int index)
{
    return lua_islightuserdata(L, index) && lua_touserdata(L, index) == NULL;
}

void lib_json_push_array_class(lua_State *L)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, generation_of(L)->json_array_ref);
}

bool lib_json_is_array(lua_State *L, int index)
{
    bool is_array = false;
    if (lua_getmetatable(L, index)) {
        is_array = lua_topointer(L, -1) == generation_of(L)->json_array_class;
        lua_pop(L, 1);
    }
    return is_array;
}

void lib_json_push_digits(lua_State *L, struct bytes digits)
{
    void *at = lua_newuserdatauv(L, digits.len, 0);
    memcpy(at, digits.at, digits.len);
    lua_rawgeti(L, LUA_REGISTRYINDEX, generation_of(L)->json_digits_ref);
    lua_setmetatable(L, -2);
}

bool lib_json_is_digits(lua_State *L, int index, struct bytes *digits)
{
    if (lua_type(L, index) != LUA_TUSERDATA || !lua_getmetatable(L, index)) {
        return false;
    }
    bool is_digits = lua_topointer(L, -1) == generation_of(L)->json_digits_class;
    lua_pop(L, 1);
    if (is_digits) {
        *digits = bytes_of(lua_touserdata(L, index), lua_rawlen(L, index));
    }
    return is_digits;
}

void lib_json_push_where(lua_State *L)
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

static void make_digits_class(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"__tostring", l_digits_text}, {"__eq", l_digits_equal}, {NULL, NULL}};
    struct generation *generation = generation_of(L);
    luaL_newlib(L, methods);
    lua_pushliteral(L, "integer");
    lua_setfield(L, -2, "__name");
    lua_pushliteral(L, "protected");
    lua_setfield(L, -2, "__metatable");
    generation->json_digits_class = lua_topointer(L, -1);
    generation->json_digits_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}

static int l_digits_text(lua_State *L)
{
    struct bytes digits;
    if (!lib_json_is_digits(L, 1, &digits)) {
        return luaL_typeerror(L, 1, "integer");
    }
    lua_pushlstring(L, digits.at, digits.len);
    return 1;
}

static int l_digits_equal(lua_State *L)
{
    struct bytes a;
    struct bytes b;
    bool are_both = lib_json_is_digits(L, 1, &a) && lib_json_is_digits(L, 2, &b);
    lua_pushboolean(L, are_both && bytes_equal(a, b));
    return 1;
}

/// encode(value) -> string
static int l_encode(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_settop(L, 1);
    return json_encode(L, 1, return_text);
}

static int return_text(lua_State *L)
{
    (void)L;
    return 1;
}

/// json_at_once(value) -> string. As `encode`, but it does not give way: nothing can wait below a
/// plain call.
static int l_json_at_once(lua_State *L)
{
    lua_settop(L, 1);
    lua_pushcfunction(L, l_encode);
    lua_insert(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

/// decode(text) -> value; nil, message, "EJSON"
static int l_decode(lua_State *L)
{
    if (lua_type(L, 1) != LUA_TSTRING) {
        lib_json_push_where(L);
        lua_pushfstring(L, "a string expected, got %s", luaL_typename(L, 1));
        lua_concat(L, 2);
        return lua_error(L);
    }
    lua_settop(L, 1);
    return json_decode(L);
}

/// array([table]) -> the table, which is an array from now on, also when it is empty
static int l_array(lua_State *L)
{
    if (lua_isnoneornil(L, 1)) {
        lua_settop(L, 0);
        lua_newtable(L);
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    bool has_class = lua_getmetatable(L, 1) != 0;
    luaL_argcheck(L, !has_class || lib_json_is_array(L, 1), 1, "the table has a metatable already");
    lua_settop(L, 1);
    lib_json_push_array_class(L);
    lua_setmetatable(L, 1);
    return 1;
}
