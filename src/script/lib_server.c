// SPDX-License-Identifier: MIT
//
// Lua's half of the server object (lua/lunesse/) calls these functions while scripts load. Each
// checks its arguments and hands them to the application; `check_loading` raises when the load is
// over. A function that a script gives, such as a handler, becomes a reference in the registry.
#include "script/lib_server.h"

#include "base/error.h"
#include "base/mem.h"
#include "http/response.h"
#include "script/application.h"
#include "script/box.h"
#include "script/parts.h"
#include "script/scheduler.h"
#include "wire/route.h"
#include "wire/trust.h"
#include "wire/url.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

static struct application *check_loading(lua_State *L);
static void check_route_options(lua_State *L, struct route *route);
static bool is_without_body(struct bytes method);
static int raise_refusal(lua_State *L, struct route *route, int refusal,
                         const struct route_problem *problem);
static int l_is_loading(lua_State *L);
static int l_route(lua_State *L);
static int l_middleware(lua_State *L);
static int l_runner(lua_State *L);
static int l_fallback(lua_State *L);
static int l_on_error(lua_State *L);
static int l_on_reload(lua_State *L);
static int l_reload(lua_State *L);
static uint64_t digest_of(struct bytes code);
static int l_listen(lua_State *L);
static int l_limit(lua_State *L);
static int l_header(lua_State *L);
static int l_host(lua_State *L);
static int l_trust_proxy(lua_State *L);
static int l_unrouted_text(lua_State *L);

const luaL_Reg lib_server_functions[] = {
    {"is_loading", l_is_loading},
    {"route", l_route},
    {"middleware", l_middleware},
    {"runner", l_runner},
    {"fallback", l_fallback},
    {"on_error", l_on_error},
    {"listen", l_listen},
    {"limit", l_limit},
    {"header", l_header},
    {"host", l_host},
    {"trust_proxy", l_trust_proxy},
    {"unrouted_text", l_unrouted_text},
    {"on_reload", l_on_reload},
    {"reload", l_reload},
    {NULL, NULL},
};

const char *lib_server_unrouted_text(int status)
{
    switch (status) {
    case 405:
        return "405: this path has no such method; see Allow\n";
    case 501:
        return "501: this method is not implemented\n";
    case 400:
        return "400: the path has a '.' or '..' segment, or an encoded slash in what a '*' of the "
               "route stands for\n";
    default:
        return "404: no route for this path\n";
    }
}

static struct application *check_loading(lua_State *L)
{
    struct application *application = parts_of(L)->application;
    if (application_stage(application) != APPLICATION_LOADING) {
        luaL_error(L, "only while the scripts load");
    }
    return application;
}

static int l_is_loading(lua_State *L)
{
    lua_pushboolean(L, application_stage(parts_of(L)->application) == APPLICATION_LOADING);
    return 1;
}

/// route(method, pattern, handlers, source, { detached, raw_path, always_streams, ... }). The last
/// of the list `handlers` answers, the others run before it.
static int l_route(lua_State *L)
{
    struct application *application = check_loading(L);
    struct bytes method = check_bytes(L, 1);
    struct bytes pattern = check_bytes(L, 2);
    luaL_checktype(L, 3, LUA_TTABLE);
    lua_Unsigned handler_count = lua_rawlen(L, 3);
    luaL_argcheck(L, handler_count > 0, 3, "at least one handler expected");
    struct bytes source = check_bytes(L, 4);
    struct route options = {0};
    check_route_options(L, &options);
    lua_pushvalue(L, 3);
    if (handler_count == 1) {
        lua_rawgeti(L, 3, 1);
    }
    int handler_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    struct route *route = mem_new(struct route);
    *route = options;
    route->handler_ref = handler_ref;
    route->handler_count = handler_count;
    route->list.ref = LUA_NOREF;
    route->method = mem_string(method);
    route->pattern = mem_string(pattern);
    route->source = mem_string(source);
    route->folder =
        opt_field(L, 5, "folder") == LUA_TSTRING ? mem_string(check_bytes(L, lua_gettop(L))) : NULL;
    route->options.takes_body =
        route->options.has_body_bytes || route->options.streams_body || !is_without_body(method);
    struct route_problem problem = {0};
    int refusal = application_add_route(application, route, method, pattern, &problem);
    return refusal == 0 ? 0 : raise_refusal(L, route, refusal, &problem);
}

/// Reads the options of a route. lua/lunesse/server.lua has checked what scripts may say.
static void check_route_options(lua_State *L, struct route *route)
{
    route->options.is_detached =
        opt_field(L, 5, "detached") == LUA_TBOOLEAN && lua_toboolean(L, -1);
    route->options.is_cancelled =
        opt_field(L, 5, "cancelled") == LUA_TBOOLEAN && lua_toboolean(L, -1);
    route->options.always_streams =
        opt_field(L, 5, "always_streams") == LUA_TBOOLEAN && lua_toboolean(L, -1);
    route->options.compresses =
        opt_field(L, 5, "compresses") == LUA_TBOOLEAN && lua_toboolean(L, -1);
    route->options.takes_raw_path =
        opt_field(L, 5, "raw_path") == LUA_TBOOLEAN && lua_toboolean(L, -1);
    route->options.streams_body =
        opt_field(L, 5, "streams_body") == LUA_TBOOLEAN && lua_toboolean(L, -1);
    if (opt_field(L, 5, "body_bytes") != LUA_TNIL) {
        route->options.has_body_bytes = true;
        route->options.body_bytes_max = (uint64_t)luaL_checkinteger(L, lua_gettop(L));
    }
    if (opt_field(L, 5, "code") == LUA_TSTRING) {
        route->digest = digest_of(check_bytes(L, lua_gettop(L)));
    }
    int type = opt_field(L, 5, "heartbeat");
    route->options.has_heartbeat = type != LUA_TNIL;
    if (type == LUA_TNUMBER) {
        route->options.heartbeat_ms = check_duration_ms(L, lua_gettop(L));
    }
}

/// Content has no meaning in a GET, HEAD or OPTIONS (RFC 9110, section 9.3). A route for one of
/// them that wants a body says so by `body_bytes` or `body`.
static bool is_without_body(struct bytes method)
{
    return bytes_equal(method, BYTES("GET")) || bytes_equal(method, BYTES("HEAD")) ||
           bytes_equal(method, BYTES("OPTIONS"));
}

/// FNV-1a. It tells changed code from unchanged code, and need not resist an attacker.
static uint64_t digest_of(struct bytes code)
{
    uint64_t digest = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < code.len; i++) {
        digest = (digest ^ (unsigned char)code.at[i]) * UINT64_C(1099511628211);
    }
    return digest;
}

/// Raises with the place of the route in front, because this is called in another place, when all
/// scripts are loaded.
static int raise_refusal(lua_State *L, struct route *route, int refusal,
                         const struct route_problem *problem)
{
    if (refusal == -EEXIST) {
        lua_pushfstring(L, "%s: the route %s %s is already declared at %s", route->source,
                        route->method, route->pattern,
                        ((const struct route *)problem->taken)->source);
    } else {
        lua_pushfstring(L, "%s: bad pattern '%s': %s", route->source, route->pattern, problem->why);
    }
    return lua_error(L);
}

/// middleware(prefix, fn): runs before the handlers of all paths below the prefix.
static int l_middleware(lua_State *L)
{
    struct application *application = check_loading(L);
    struct bytes prefix = check_bytes(L, 1);
    struct route_problem problem = {0};
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_settop(L, 2);
    int fn_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    int refusal = application_add_middleware(application, prefix, fn_ref, &problem);
    return refusal == 0 ? 0 : luaL_argerror(L, 1, problem.why);
}

/// runner(fn): `fn(list, i, request, response)` runs a list of handlers from number `i` on.
static int l_runner(lua_State *L)
{
    struct application *application = check_loading(L);
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    application_set_runner(application, luaL_ref(L, LUA_REGISTRYINDEX));
    return 0;
}

/// fallback(fn). The function answers requests that no route takes.
static int l_fallback(lua_State *L)
{
    struct application *application = check_loading(L);
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    application_set_fallback(application, luaL_ref(L, LUA_REGISTRYINDEX));
    return 0;
}

/// on_error(fn)
static int l_on_error(lua_State *L)
{
    struct application *application = check_loading(L);
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    application_set_on_error(application, luaL_ref(L, LUA_REGISTRYINDEX));
    return 0;
}

/// on_reload("keep" | "end" | fn)
static int l_on_reload(lua_State *L)
{
    static const char *const names[] = {"keep", "end", NULL}; // as enum on_reload
    struct application *application = check_loading(L);
    lua_settop(L, 1);
    if (lua_isfunction(L, 1)) {
        application_set_on_reload(application, ON_RELOAD_CALL, luaL_ref(L, LUA_REGISTRYINDEX));
    } else {
        enum on_reload what = (enum on_reload)luaL_checkoption(L, 1, NULL, names);
        static_assert(ON_RELOAD_KEEP == 0 && ON_RELOAD_END == 1, "the names are in this order");
        application_set_on_reload(application, what, LUA_NOREF);
    }
    return 0;
}

/// reload() -> true. The scripts are loaded again when this turn ends.
static int l_reload(lua_State *L)
{
    const struct parts *parts = parts_of(L);
    if (application_stage(parts->application) == APPLICATION_LOADING) {
        luaL_error(L, "reload is for later: the scripts are being loaded");
    }
    if (scheduler_running(parts->scheduler) == NULL) { // the end of each generation would ask again
        luaL_error(L, "a finalizer cannot ask for a reload");
    }
    parts->options->on_reload_wanted(parts->options->owner);
    lua_pushboolean(L, 1);
    return 1;
}

/// listen(host or path, port, is_unix, mode, is_proxied). The same address twice is one address.
static int l_listen(lua_State *L)
{
    struct application *application = check_loading(L);
    struct bytes text = check_bytes(L, 1);
    struct address address = {.port = (uint16_t)luaL_checkinteger(L, 2),
                              .mode = (uint16_t)luaL_optinteger(L, 4, 0),
                              .is_unix = lua_toboolean(L, 3),
                              .is_proxied = lua_toboolean(L, 5)};
    luaL_argcheck(L, text.len > 0 && text.len < ADDRESS_TEXT_MAX, 1,
                  "an address of 1 to 107 characters expected");
    static_assert(ADDRESS_TEXT_MAX == 108, "the message says so");
    memcpy(address.text, text.at, text.len);
    int failure = application_add_address(application, &address);
    if (failure == -EEXIST || failure == -EPROTOTYPE) {
        return luaL_error(L, "%s was declared with another %s before", address.text,
                          failure == -EEXIST ? "mode" : "proxy_protocol");
    }
    return failure == 0 ? 0 : luaL_error(L, "at most %d addresses", ADDRESSES_MAX);
}

static void push_limit_names(lua_State *L)
{
    luaL_Buffer names;
    luaL_buffinit(L, &names);
    for (size_t i = 0; limits_name(i) != NULL; i++) {
        luaL_addstring(&names, i == 0 ? "" : ", ");
        luaL_addstring(&names, limits_name(i));
    }
    luaL_pushresult(&names);
}

/// limit(name, value) -> true | nil, message
static int l_limit(lua_State *L)
{
    check_loading(L);
    const char *name = luaL_checkstring(L, 1);
    const char *unit = limits_unit(name);
    if (unit == NULL) {
        push_limit_names(L);
        const char *names = lua_tostring(L, -1);
        lua_pushnil(L);
        lua_pushfstring(L, "there is no limit '%s'; there are %s", name, names);
        return 2;
    }
    double value = lua_type(L, 2) == LUA_TNUMBER ? lua_tonumber(L, 2) : -1;
    if (limits_set(parts_of(L)->options->limits, name, value) != 0) {
        lua_pushnil(L);
        lua_pushfstring(L, "bad value for the limit '%s': %s expected", name, unit);
        return 2;
    }
    lua_pushboolean(L, 1);
    return 1;
}

/// header(name, value) -> true | nil, message. Every answer gets the header.
static int l_header(lua_State *L)
{
    struct application *application = check_loading(L);
    struct bytes name = check_bytes(L, 1);
    struct bytes value = check_bytes(L, 2);
    const char *why = "this header belongs to the answer that it describes";
    if (response_may_be_common(name)) {
        int refusal = response_set_field(application_common(application), name, value);
        why = refusal == 0 ? NULL : error_text(refusal);
    }
    if (why != NULL) {
        lua_pushnil(L);
        lua_pushfstring(L, "%s: %s", lua_tostring(L, 1), why);
        return 2;
    }
    lua_pushboolean(L, 1);
    return 1;
}

/// host(text) -> true | nil, message
static int l_host(lua_State *L)
{
    struct application *application = check_loading(L);
    struct bytes host = check_bytes(L, 1);
    if (!url_host_is_valid(host)) {
        lua_pushnil(L);
        lua_pushfstring(L,
                        "'%s' is not a host such as 'example.com', '[::1]' or 'example.com:8080'",
                        lua_tostring(L, 1));
        return 2;
    }
    if (application_add_host(application, host) != 0) {
        lua_pushnil(L);
        lua_pushliteral(L, "the hosts are more than 64 KiB");
        return 2;
    }
    lua_pushboolean(L, 1);
    return 1;
}

/// trust_proxy(list) -> true | nil, message. The list is words with commas between them.
static int l_trust_proxy(lua_State *L)
{
    struct application *application = check_loading(L);
    struct bytes bad;
    int failure = trust_add_list(application_trust(application), check_bytes(L, 1), &bad);
    if (failure != 0) {
        lua_pushnil(L);
        lua_pushliteral(L, "'");
        lua_pushlstring(L, bad.at, bad.len);
        lua_pushfstring(L, "': %s", error_text(failure));
        lua_concat(L, 3);
        return 2;
    }
    lua_pushboolean(L, 1);
    return 1;
}

/// unrouted_text(status) -> string
static int l_unrouted_text(lua_State *L)
{
    lua_pushstring(L, lib_server_unrouted_text((int)luaL_checkinteger(L, 1)));
    return 1;
}
