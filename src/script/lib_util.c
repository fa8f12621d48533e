// SPDX-License-Identifier: MIT
#include "script/lib_util.h"

#include "base/environment.h"
#include "base/utf8.h"
#include "net/loop.h"
#include "script/box.h"
#include "script/parts.h"
#include "wire/url.h"

#include <time.h>

static int l_now(lua_State *L);
static int l_clock(lua_State *L);
static int l_version(lua_State *L);
static int l_worker(lua_State *L);
static int l_form(lua_State *L);
static int l_whole(lua_State *L);
static int l_call(lua_State *L);
static int l_after_call(lua_State *L, int status, lua_KContext context);
static int l_advance(lua_State *L);

const luaL_Reg lib_util_functions[] = {
    {"now", l_now},   {"clock", l_clock}, {"version", l_version}, {"worker", l_worker},
    {"form", l_form}, {"whole", l_whole}, {"call", l_call},       {NULL, NULL}};

const luaL_Reg lib_util_test_functions[] = {{"advance", l_advance}, {NULL, NULL}};

/// now() -> seconds since 1970 UTC, with a fraction.
static int l_now(lua_State *L)
{
    struct timespec now = environment_time(CLOCK_REALTIME);
    lua_pushnumber(L, (lua_Number)now.tv_sec + (lua_Number)now.tv_nsec / 1e9);
    return 1;
}

/// clock() -> seconds of a clock that only goes forward.
static int l_clock(lua_State *L)
{
    lua_pushnumber(L, (lua_Number)clock_ns() / 1e9);
    return 1;
}

/// version() -> string
static int l_version(lua_State *L)
{
    lua_pushliteral(L, LUNESSE_VERSION);
    return 1;
}

/// worker() -> number of the worker that runs the script, from 1
static int l_worker(lua_State *L)
{
    lua_pushinteger(L, parts_of(L)->options->worker);
    return 1;
}

/// form(text) -> table of an application/x-www-form-urlencoded text; the last of a repeated name.
static int l_form(lua_State *L)
{
    struct bytes rest = check_bytes(L, 1);
    struct bytes name;
    struct bytes value;
    lua_settop(L, 1);
    lua_newtable(L);
    while (url_next_pair(&rest, &name, &value)) {
        box_push_decoded(L, name, true);
        box_push_decoded(L, value, true);
        lua_rawset(L, 2);
    }
    return 1;
}

/// whole(text) -> text without the UTF-8 character that it ends within, the bytes of that
static int l_whole(lua_State *L)
{
    struct bytes text = check_bytes(L, 1);
    size_t partial_len = utf8_partial_len(text);
    size_t whole_len = text.len - partial_len;
    lua_pushlstring(L, text.at, whole_len);
    lua_pushlstring(L, text.at + whole_len, partial_len);
    return 2;
}

/// call(fn, ...) -> what fn returns. A function of C that fails finds C as its caller, so its
/// message has no line of the engine's own Lua in front. fn may wait.
static int l_call(lua_State *L)
{
    lua_callk(L, lua_gettop(L) - 1, LUA_MULTRET, 0, l_after_call);
    return l_after_call(L, LUA_OK, 0);
}

static int l_after_call(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    return lua_gettop(L);
}

/// advance(seconds): moves the engine's clock forward, that of all workers.
static int l_advance(lua_State *L)
{
    const struct generation_options *options = parts_of(L)->options;
    loop_advance(options->loop, check_duration_ms(L, 1));
    options->on_clock_moved(options->owner);
    return 0;
}
