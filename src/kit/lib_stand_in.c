// SPDX-License-Identifier: MIT
//
// A call is a connection that the app has made to a host for which the spec stands in: a userdata
// with a descriptor, which may outlive the app.
#include "kit/lib_stand_in.h"

#include "base/error.h"
#include "kit/app.h"

#include <errno.h>
#include <lauxlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char type_name[] = "lunesse.test.call";

struct call {
    int fd; // negative once it is closed
};

static int check_failure(lua_State *L, int index);
static struct call *check_call(lua_State *L);
static int l_send(lua_State *L);
static int l_take(lua_State *L);
static int l_close(lua_State *L);

static const luaL_Reg methods[] = {
    {"send", l_send}, {"take", l_take}, {"close", l_close}, {"__gc", l_close}, {NULL, NULL}};

int upstream_or_raise(lua_State *L, struct app *app)
{
    const char *host = luaL_checkstring(L, 2);
    int failure = check_failure(L, 3);
    DCHECK(failure <= 0);
    failure = stand_ins_set(&app->stand_ins, host, failure);
    return failure == 0 ? 0 : luaL_error(L, "%s", strerror(-failure));
}

/// Codes that scripts get of connections that do not come about.
static int check_failure(lua_State *L, int index)
{
    static const char *const codes[] = {"ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "ENOTFOUND",
                                        "EAI_AGAIN",    "ECERT",        "ETLS",        NULL};
    static const int failures[] = {-ECONNREFUSED,    -EHOSTUNREACH,       -ENETUNREACH,
                                   UPSTREAM_NO_NAME, UPSTREAM_NAME_AGAIN, UPSTREAM_CERTIFICATE,
                                   UPSTREAM_TLS};
    return lua_isnoneornil(L, index) ? 0 : failures[luaL_checkoption(L, index, NULL, codes)];
}

int push_call(lua_State *L, struct app *app)
{
    const char *host = NULL;
    struct call *call = lua_newuserdatauv(L, sizeof(struct call), 0);
    call->fd = -1;
    if (luaL_newmetatable(L, type_name)) {
        luaL_setfuncs(L, methods, 0);
        lua_pushvalue(L, -1);
        lua_setfield(L, -2, "__index");
    }
    lua_setmetatable(L, -2);
    call->fd = stand_ins_take(&app->stand_ins, &host);
    if (call->fd < 0) {
        return 0;
    }
    DCHECK(host != NULL);
    lua_pushstring(L, host);
    return 2;
}

static struct call *check_call(lua_State *L)
{
    return luaL_checkudata(L, 1, type_name);
}

/// call:send(bytes) -> how many of them there was room for
static int l_send(lua_State *L)
{
    const struct call *call = check_call(L);
    size_t len;
    const char *at = luaL_checklstring(L, 2, &len);
    ssize_t count = call->fd < 0 ? -1 : send(call->fd, at, len, MSG_NOSIGNAL);
    lua_pushinteger(L, count < 0 ? 0 : (lua_Integer)count); // `take` says when the app has left
    return 1;
}

/// call:take() -> what has come, and whether the app has closed the connection
static int l_take(lua_State *L)
{
    const struct call *call = check_call(L);
    luaL_Buffer bytes;
    ssize_t count = -1;
    luaL_buffinit(L, &bytes);
    while (call->fd >= 0) {
        char *at = luaL_prepbuffer(&bytes);
        count = recv(call->fd, at, LUAL_BUFFERSIZE, 0);
        if (count <= 0) {
            break;
        }
        luaL_addsize(&bytes, (size_t)count);
    }
    bool is_open = call->fd >= 0 && count < 0 && errno == EAGAIN;
    luaL_pushresult(&bytes);
    lua_pushboolean(L, !is_open);
    return 2;
}

/// call:close(). Idempotent.
static int l_close(lua_State *L)
{
    struct call *call = check_call(L);
    if (call->fd >= 0) {
        close(call->fd);
        call->fd = -1;
    }
    return 0;
}
