// SPDX-License-Identifier: MIT
//
// A connection in Lua is a userdata with a pointer to the remote, which it holds. It outlives the
// app: then it is closed.
#include "kit/lib_remote.h"

#include "kit/app.h"
#include "kit/remote.h"

#include <lauxlib.h>
#include <stdint.h>

static const char type_name[] = "lunesse.test.conn";

static struct remote *check_remote(lua_State *L);
static int l_send(lua_State *L);
static int l_finish(lua_State *L);
static int l_leave(lua_State *L);
static int l_window(lua_State *L);
static int l_take(lua_State *L);
static int l_state(lua_State *L);
static int l_worker(lua_State *L);
static int l_gc(lua_State *L);

static const luaL_Reg methods[] = {{"send", l_send},     {"finish", l_finish}, {"leave", l_leave},
                                   {"window", l_window}, {"take", l_take},     {"state", l_state},
                                   {"worker", l_worker}, {"__gc", l_gc},       {NULL, NULL}};

struct remote **push_new_remote(lua_State *L)
{
    struct remote **place = lua_newuserdatauv(L, sizeof(struct remote *), 0);
    *place = NULL;
    if (luaL_newmetatable(L, type_name)) {
        luaL_setfuncs(L, methods, 0);
        lua_pushvalue(L, -1);
        lua_setfield(L, -2, "__index");
    }
    lua_setmetatable(L, -2);
    return place;
}

static struct remote *check_remote(lua_State *L)
{
    struct remote **place = luaL_checkudata(L, 1, type_name);
    luaL_argcheck(L, *place != NULL, 1, "a connection expected");
    return *place;
}

/// conn:send(bytes) -> true | nil, message
static int l_send(lua_State *L)
{
    struct remote *remote = check_remote(L);
    size_t len;
    const char *at = luaL_checklstring(L, 2, &len);
    if (!remote_send(remote, bytes_of(at, len))) {
        lua_pushnil(L);
        lua_pushliteral(L, "too much waits for the server to read it");
        return 2;
    }
    lua_pushboolean(L, true);
    return 1;
}

static int l_finish(lua_State *L)
{
    remote_finish(check_remote(L));
    return 0;
}

static int l_leave(lua_State *L)
{
    struct remote *remote = check_remote(L);
    if (remote->app != NULL) {
        DCHECK(!remote->transport.is_gone);
        struct app_place place = app_enter(remote->app, remote->number);
        remote_leave(remote);
        app_leave(place);
    }
    return 0;
}

/// conn:window(bytes | nil)
static int l_window(lua_State *L)
{
    struct remote *remote = check_remote(L);
    lua_Integer size = luaL_optinteger(L, 2, -1);
    luaL_argcheck(L, size >= 0 || lua_isnoneornil(L, 2), 2, "a number of bytes expected");
    if (remote->app != NULL) {
        struct app_place place = app_enter(remote->app, remote->number);
        remote_set_window(remote, size < 0 ? SIZE_MAX : (size_t)size);
        app_leave(place);
    }
    return 0;
}

static int l_take(lua_State *L)
{
    const struct remote *remote = check_remote(L);
    DCHECK(remote->app != NULL || remote->transport.is_gone);
    struct buf *taken = &check_remote(L)->transport.taken;
    struct bytes bytes = buf_bytes(taken);
    lua_pushlstring(L, bytes.len == 0 ? "" : bytes.at, bytes.len);
    buf_clear(taken);
    return 1;
}

static int l_state(lua_State *L)
{
    lua_pushstring(L, remote_state(check_remote(L)));
    return 1;
}

static int l_worker(lua_State *L)
{
    lua_pushinteger(L, check_remote(L)->number);
    return 1;
}

static int l_gc(lua_State *L)
{
    struct remote **place = luaL_checkudata(L, 1, type_name);
    if (*place != NULL) {
        remote_release(*place);
        *place = NULL;
    }
    return 0;
}
