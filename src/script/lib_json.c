// SPDX-License-Identifier: MIT
#include "script/lib_json.h"

#include "base/check.h"
#include "script/json_decode.h"
#include "script/json_encode.h"
#include "script/json_value.h"

#include <lauxlib.h>

static int l_encode(lua_State *L);
static int l_return_text(lua_State *L);
static int l_json_at_once(lua_State *L);
static int l_decode(lua_State *L);
static int l_array(lua_State *L);

static const luaL_Reg functions[] = {
    {"encode", l_encode}, {"decode", l_decode}, {"array", l_array}, {NULL, NULL}};

const luaL_Reg lib_json_functions[] = {{"json_at_once", l_json_at_once}, {NULL, NULL}};

void lib_json_push(lua_State *L)
{
    json_value_register(L);
    luaL_newlib(L, functions);
    json_value_push_null(L);
    lua_setfield(L, -2, "null");
}

/// encode(value) -> string
static int l_encode(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_settop(L, 1);
    return json_encode_or_raise(L, 1, l_return_text);
}

static int l_return_text(lua_State *L)
{
    DCHECK(lua_type(L, -1) == LUA_TSTRING);
    (void)L;
    return 1;
}

/// json_at_once(value) -> string. Encodes without slices: nothing can wait inside of a plain call
/// from C.
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
        json_value_push_where(L);
        lua_pushfstring(L, "a string expected, got %s", luaL_typename(L, 1));
        lua_concat(L, 2);
        return lua_error(L);
    }
    lua_settop(L, 1);
    return json_decode_or_raise(L);
}

/// array([table]) -> the table, which counts as an array from now on, also when it is empty.
static int l_array(lua_State *L)
{
    if (lua_isnoneornil(L, 1)) {
        lua_settop(L, 0);
        lua_newtable(L);
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    bool has_class = lua_getmetatable(L, 1) != 0;
    luaL_argcheck(L, !has_class || json_value_is_array(L, 1), 1,
                  "the table has a metatable already");
    lua_settop(L, 1);
    json_value_push_array_class(L);
    lua_setmetatable(L, 1);
    return 1;
}
