// SPDX-License-Identifier: MIT
#include "script/libs.h"

#include "script/lib_body.h"
#include "script/lib_channel.h"
#include "script/lib_coroutine.h"
#include "script/lib_crypto.h"
#include "script/lib_event.h"
#include "script/lib_file.h"
#include "script/lib_http.h"
#include "script/lib_json.h"
#include "script/lib_log.h"
#include "script/lib_metric.h"
#include "script/lib_multipart.h"
#include "script/lib_name.h"
#include "script/lib_pool.h"
#include "script/lib_postgres.h"
#include "script/lib_public_key.h"
#include "script/lib_request.h"
#include "script/lib_response.h"
#include "script/lib_save.h"
#include "script/lib_server.h"
#include "script/lib_shared.h"
#include "script/lib_signal.h"
#include "script/lib_sse.h"
#include "script/lib_task.h"
#include "script/lib_timer.h"
#include "script/lib_util.h"
#include "script/lib_wait.h"
#include "script/parts.h"
#include "script/stack.h"

const struct box_class *const libs_classes[BOX_TYPE_COUNT] = {
    [BOX_REQUEST] = &lib_request_class, [BOX_RESPONSE] = &lib_response_class,
    [BOX_SSE] = &lib_sse_class,         [BOX_TIMER] = &lib_timer_class,
    [BOX_CHANNEL] = &lib_channel_class, [BOX_SHARED] = &lib_shared_class,
    [BOX_EVENT] = &lib_event_class,     [BOX_METRIC] = &lib_metric_class,
    [BOX_TASK] = &lib_task_class,       [BOX_SIGNAL] = &lib_signal_class,
};

static enum box_type check_type(lua_State *L);
static int l_methods(lua_State *L);
static int l_properties(lua_State *L);

int luaopen_lunesse_core(lua_State *L)
{
    STACK_BEGIN(L);
    lua_newtable(L);
    luaL_setfuncs(L, lib_server_functions, 0);
    luaL_setfuncs(L, lib_body_functions, 0);
    luaL_setfuncs(L, lib_timer_functions, 0);
    luaL_setfuncs(L, lib_task_functions, 0);
    luaL_setfuncs(L, lib_signal_functions, 0);
    luaL_setfuncs(L, lib_channel_functions, 0);
    luaL_setfuncs(L, lib_event_functions, 0);
    luaL_setfuncs(L, lib_file_functions, 0);
    luaL_setfuncs(L, lib_shared_functions, 0);
    luaL_setfuncs(L, lib_crypto_functions, 0);
    luaL_setfuncs(L, lib_http_functions, 0);
    luaL_setfuncs(L, lib_json_functions, 0);
    luaL_setfuncs(L, lib_log_functions, 0);
    luaL_setfuncs(L, lib_metric_functions, 0);
    luaL_setfuncs(L, lib_name_functions, 0);
    luaL_setfuncs(L, lib_multipart_functions, 0);
    luaL_setfuncs(L, lib_pool_functions, 0);
    luaL_setfuncs(L, lib_postgres_functions, 0);
    luaL_setfuncs(L, lib_public_key_core_functions, 0);
    luaL_setfuncs(L, lib_response_functions, 0);
    luaL_setfuncs(L, lib_save_functions, 0);
    luaL_setfuncs(L, lib_util_functions, 0);
    luaL_setfuncs(L, lib_wait_functions, 0);
    luaL_setfuncs(L, lib_coroutine_functions, 0);
    if (parts_of(L)->options->has_test_clock) {
        luaL_setfuncs(L, lib_util_test_functions, 0);
    }
    lib_json_push(L);
    lua_setfield(L, -2, "json");
    lua_pushcfunction(L, l_methods);
    lua_setfield(L, -2, "methods");
    lua_pushcfunction(L, l_properties);
    lua_setfield(L, -2, "properties");
    DCHECK_STACK(L, 1);
    return 1;
}

static enum box_type check_type(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    for (int type = 0; type < BOX_TYPE_COUNT; type++) {
        if (strcmp(libs_classes[type]->name, name) == 0) {
            return (enum box_type)type;
        }
    }
    luaL_argerror(L, 1, "no such type");
    UNREACHABLE();
}

/// methods("Request") -> the method table of a box type, for the methods that are written in Lua.
static int l_methods(lua_State *L)
{
    box_push_methods(L, check_type(L));
    return 1;
}

/// properties("Request") -> array of the names of its properties.
static int l_properties(lua_State *L)
{
    const struct box_property *property = libs_classes[check_type(L)]->properties;
    lua_newtable(L);
    for (lua_Integer i = 1; property->name != NULL; property++, i++) {
        lua_pushstring(L, property->name);
        lua_rawseti(L, -2, i);
    }
    return 1;
}
