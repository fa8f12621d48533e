// SPDX-License-Identifier: MIT
#include "kit/lib_test.h"

#include "kit/embedded_test.h"
#include "kit/lib_app.h"

#include <lauxlib.h>

static const char core_name[] = "lunesse.test.core";
static const char module_name[] = "lunesse.test";

static int l_open_embedded(lua_State *L);
static void load_or_raise(lua_State *L, const struct embedded_lua *file);

int l_preload_test(lua_State *L)
{
    luaL_checkversion(L);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_pushcfunction(L, l_open_test_core);
    lua_setfield(L, -2, core_name);
    for (const struct embedded_lua *file = embedded_test; file->name != NULL; file++) {
        lua_pushlightuserdata(L, (void *)file);
        lua_pushcclosure(L, l_open_embedded, 1);
        lua_setfield(L, -2, file->name);
    }
    return 0;
}

/// Runs init.lua.
int l_open_test(lua_State *L)
{
    l_preload_test(L);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_getfield(L, -1, module_name);
    lua_pushstring(L, module_name);
    lua_call(L, 1, 1);
    return 1;
}

static int l_open_embedded(lua_State *L)
{
    load_or_raise(L, lua_touserdata(L, lua_upvalueindex(1)));
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

static void load_or_raise(lua_State *L, const struct embedded_lua *file)
{
    lua_pushfstring(L, "=%s", file->name);
    if (luaL_loadbufferx(L, (const char *)file->bytes, file->len, lua_tostring(L, -1), "t") !=
        LUA_OK) {
        lua_error(L);
    }
    lua_remove(L, -2);
}
