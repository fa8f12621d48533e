// SPDX-License-Identifier: MIT
//
// A generation is made in steps. `generation_new` makes the parts in the order of parts.h and opens
// the libraries. `generation_load` runs one script file after the other, which may wait, and then
// enters the routes that they have declared. `generation_take_over` starts the timers.
// `generation_free` first ends all that runs, then closes the state, and frees the other parts
// last, because finalizers that run while the state is closed still use them.
#include "script/generation.h"

#include "base/check.h"
#include "base/environment.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/loop.h"
#include "script/box.h"
#include "script/call.h"
#include "script/channel_box.h"
#include "script/channel_options.h"
#include "script/channel_reader.h"
#include "script/collector.h"
#include "script/embedded.h"
#include "script/guard.h"
#include "script/handler.h"
#include "script/lib_channel.h"
#include "script/lib_http.h"
#include "script/lib_password.h"
#include "script/lib_pool.h"
#include "script/lib_postgres.h"
#include "script/lib_request.h"
#include "script/lib_shared.h"
#include "script/lib_standard.h"
#include "script/lib_timer.h"
#include "script/libs.h"
#include "script/scheduler.h"
#include "script/scope.h"
#include "script/slice.h"
#include "script/stack.h"
#include "script/state.h"
#include "script/task.h"

#include <errno.h>
#include <lauxlib.h>
#include <string.h>

#define TRACEBACK "\nstack traceback:"

// The registry keeps `complete` of lunesse.server under the address of this.
static const char complete_key;

static void free_parts(struct parts *parts);
static void generation_check(const struct generation *generation);
static int open_libraries(struct generation *generation, char **why);
static void preload(lua_State *L);
static int l_refuse_test(lua_State *L);
static int l_load_embedded(lua_State *L);
static int l_open_lunesse(lua_State *L);
static int l_list_modules(lua_State *L);
static void add_path_or_raise(lua_State *L);
static void on_run(void *arg, const char *why_not);
static void finish_loading(struct generation *generation, char **why);
static int finish_call(struct generation *generation, enum call_outcome outcome, char **why);
static struct bytes shown(const struct generation *generation, struct bytes message);

int generation_new(const struct generation_options *options, struct generation **made, char **why)
{
    OWNED(&options->loop->owner);
    struct generation *generation = mem_new(struct generation);
    OWNED(&options->loop->owner);
    DCHECK(options->loop != NULL && options->limits != NULL && options->worker > 0);
    struct parts *parts = &generation->parts;
    generation->options = *options;
    parts->options = &generation->options;
    parts->state = state_new(parts);
    parts->boxes = boxes_new(libs_classes);
    parts->guard = guard_new(parts, handler_route);
    parts->collector = collector_new(parts);
    parts->scheduler = scheduler_new(parts, task_run, &handler_task_events);
    parts->slices = slices_new(options->loop);
    parts->application = application_new();
    parts->scopes = scopes_new(parts, lib_request_has_last_event_id);
    lib_timer_open(parts);
    load_init(&generation->_load, parts);
    lib_channel_open(parts);
    lib_password_open(parts);
    *made = generation;
    int failure = open_libraries(generation, why);
    DEBUG_CALL(generation_check(generation));
    return failure;
}

void generation_free(struct generation *generation)
{
    OWNED(&generation->options.loop->owner);
    struct parts *parts = &generation->parts;
    DEBUG_CALL(generation_check(generation));
    CHECK(list_is_empty(scopes_list(parts->scopes)));
    load_deinit(&generation->_load);
    lib_timer_stop_all(parts);
    task_cancel_all(parts);
    lib_timer_stop_all(parts); // closing variables may have made timers
    free_parts(parts);
    limits_release(generation->options.limits);
    mem_free(generation);
}

/// Frees the state first. Finalizers run while it is closed, and use the other parts.
static void free_parts(struct parts *parts)
{
    state_free(parts->state);
    lib_password_close(parts);
    lib_channel_close(parts);
    lib_timer_close(parts);
    scopes_free(parts->scopes);
    application_free(parts->application);
    slices_free(parts->slices);
    scheduler_free(parts->scheduler);
    collector_free(parts->collector);
    guard_free(parts->guard);
    boxes_free(parts->boxes);
}

void generation_load_beside(struct generation *generation)
{
    OWNED(&generation->options.loop->owner);
    guard_hasten(generation->parts.guard);
}

void generation_require_from(struct generation *generation, const char *folder)
{
    OWNED(&generation->options.loop->owner);
    lua_State *L = generation->parts.L;
    DEBUG_CALL(generation_check(generation));
    if (strpbrk(folder, LUA_PATH_SEP LUA_PATH_MARK) == NULL) {
        lua_getglobal(L, "package");
        lua_getfield(L, -1, "path");
        lua_pushfstring(L,
                        "%s/?.lua;%s/?/init.lua;%s/lua_modules/share/lua/5.4/?.lua;"
                        "%s/lua_modules/share/lua/5.4/?/init.lua;%s",
                        folder, folder, folder, folder, lua_tostring(L, -1));
        lua_setfield(L, -3, "path");
        lua_getfield(L, -2, "cpath");
        lua_pushfstring(L, "%s/lua_modules/lib/lua/5.4/?.so;%s", folder, lua_tostring(L, -1));
        lua_setfield(L, -4, "cpath");
        lua_settop(L, 0);
    }
}

void generation_load(struct generation *generation, char *const *paths, size_t path_count,
                     generation_loaded_fn loaded, void *arg)
{
    OWNED(&generation->options.loop->owner);
    DCHECK(application_stage(generation->parts.application) == APPLICATION_LOADING);
    DEBUG_CALL(generation_check(generation));
    generation->_loaded = loaded;
    generation->_loaded_arg = arg;
    load_start(&generation->_load, paths, path_count, on_run, generation);
}

void generation_stop_loading(struct generation *generation)
{
    guard_hasten(generation->parts.guard); // the scripts close what they have opened, and no more
    load_deinit(&generation->_load);
}

/// All scripts have run, or one has failed.
static void on_run(void *arg, const char *why_not)
{
    struct generation *generation = arg;
    char *why = NULL;
    if (why_not == NULL) {
        finish_loading(generation, &why);
    } else {
        why = mem_string(shown(generation, bytes_from_string(why_not)));
    }
    guard_hasten(generation->parts.guard);
    generation->_loaded(generation->_loaded_arg, why);
}

/// Joins middlewares with handlers and enters the routes. When a route is wrong, `why` is the
/// reason, for the caller to free.
static void finish_loading(struct generation *generation, char **why)
{
    lua_State *L = generation->parts.L;
    DEBUG_CALL(generation_check(generation));
    lua_rawgetp(L, LUA_REGISTRYINDEX, &complete_key);
    if (finish_call(generation, call_main(&generation->parts, 0, 0), why) != 0) {
        char *traceback = strstr(*why, TRACEBACK);
        if (traceback != NULL) {
            *traceback = '\0'; // the traceback names no line of a script; the message does
        }
    }
    lua_settop(L, 0);
    application_set_stage(generation->parts.application, APPLICATION_LOADED);
}

void generation_take_over(struct generation *generation)
{
    OWNED(&generation->options.loop->owner);
    char *why = NULL;
    DEBUG_CALL(generation_check(generation));
    application_set_stage(generation->parts.application, APPLICATION_IN_CHARGE);
    lib_timer_start_loaded(&generation->parts);
    if (finish_call(generation, apply_postponed_options(&generation->parts), &why) != 0) {
        LOG(LOG_ERROR, "options of channels are left as they were", log_string("why", why));
        mem_free(why);
    }
    lua_settop(generation->parts.L, 0);
}

/// Asks Lua's own search, which finds under a name what `require` has found under it.
void generation_each_module(struct generation *generation,
                            void (*tell)(void *user, const char *path), void *user)
{
    OWNED(&generation->options.loop->owner);
    lua_State *L = generation->parts.L;
    DEBUG_CALL(generation_check(generation));
    lua_pushcfunction(L, l_list_modules);
    if (call_main(&generation->parts, 0, 1) == CALL_DONE) {
        for (lua_Integer i = 1; lua_rawgeti(L, 1, i) == LUA_TSTRING; i++) {
            tell(user, lua_tostring(L, -1));
            lua_pop(L, 1);
        }
    }
    lua_settop(L, 0);
}

/// -> array of paths
static int l_list_modules(lua_State *L)
{
    static const char *const tables[] = {LUA_LOADED_TABLE, LIB_POOL_MODULES};
    lua_newtable(L); // [paths]
    lua_getglobal(L, "package");
    lua_getfield(L, 2, "searchpath");
    lua_getfield(L, 2, "path");
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        luaL_getsubtable(L, LUA_REGISTRYINDEX, tables[i]); // [paths, package, find, path, names]
        lua_pushnil(L);
        while (lua_next(L, 5) != 0) {
            lua_pop(L, 1);
            add_path_or_raise(L);
        }
        lua_settop(L, 4);
    }
    lua_settop(L, 1);
    return 1;
}

/// Adds where the module is whose name is on top: [paths, package, find, path, names, name]
static void add_path_or_raise(lua_State *L)
{
    STACK_BEGIN(L);
    if (lua_type(L, -1) == LUA_TSTRING) {
        lua_pushvalue(L, 3);
        lua_pushvalue(L, -2);
        lua_pushvalue(L, 4);
        lua_call(L, 2, 1);
        if (lua_type(L, -1) == LUA_TSTRING) {
            lua_pushvalue(L, -1);
            lua_rawseti(L, 1, (lua_Integer)lua_rawlen(L, 1) + 1);
        }
        lua_pop(L, 1);
    }
    DCHECK_STACK(L, 0);
}

/// What holds between any two calls: no script runs, and nothing is left on the main stack.
static void generation_check(const struct generation *generation)
{
    const struct parts *parts = &generation->parts;
    CHECK(parts->options == &generation->options);
    CHECK(parts_of(parts->L) == parts);
    CHECK(lua_gettop(parts->L) == 0);
    CHECK(scheduler_running(parts->scheduler) == NULL);
    CHECK(!state_has_ended(parts->state));
}

static int open_libraries(struct generation *generation, char **why)
{
    lua_State *L = generation->parts.L;
    lib_standard_register(L);
    box_register(L);
    preload(L);
    lua_pushcfunction(L, l_open_lunesse);
    return finish_call(generation, call_main(&generation->parts, 0, 0), why);
}

static void preload(lua_State *L)
{
    STACK_BEGIN(L);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_pushcfunction(L, luaopen_lunesse_core);
    lua_setfield(L, -2, "lunesse.core");
    lua_pushcfunction(L, l_refuse_test);
    lua_setfield(L, -2, "lunesse.test");
    for (size_t i = 0; i < embedded_lua_count; i++) {
        lua_pushinteger(L, (lua_Integer)i);
        lua_pushcclosure(L, l_load_embedded, 1);
        lua_setfield(L, -2, embedded_lua[i].name);
    }
    lua_pop(L, 1);
    DCHECK_STACK(L, 0);
}

/// Has `require "lunesse.test"` say the same, whether the shared object of the kit can be found
/// from here or not.
static int l_refuse_test(lua_State *L)
{
    return luaL_error(L, "lunesse.test is for specs, which load scripts: a script cannot use it");
}

static int l_load_embedded(lua_State *L)
{
    const struct embedded_lua *file = &embedded_lua[lua_tointeger(L, lua_upvalueindex(1))];
    DCHECK(file->bytes[file->len] == '\0');
    lua_pushfstring(L, "=%s", file->name);
    if (luaL_loadbuffer(L, (const char *)file->bytes, file->len, lua_tostring(L, -1)) != LUA_OK) {
        return lua_error(L);
    }
    lua_call(L, 0, 1);
    return 1;
}

/// Loads the module `lunesse` and all that it requires, and keeps the functions that C calls.
static int l_open_lunesse(lua_State *L)
{
    if (environment_is_still(environment_here)) {
        lua_pushcfunction(L, l_seed_random);
        lua_call(L, 0, 0);
    }
    lua_getglobal(L, "require");
    lua_pushliteral(L, "lunesse");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "json");
    lua_getfield(L, -1, "encode");
    state_keep_encoder(L);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "lunesse.server");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "complete");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &complete_key);
    channel_box_register(L);
    channel_reader_register(L);
    lib_http_register(L);
    lib_pool_register(L);
    lib_postgres_register(L);
    lib_shared_open_boxes(L);
    return 0;
}

/// Turns a failed call's message, on top of the main stack, into `why`.
static int finish_call(struct generation *generation, enum call_outcome outcome, char **why)
{
    lua_State *L = generation->parts.L;
    if (outcome == CALL_DONE) {
        return 0;
    }
    size_t len = 0;
    const char *text = lua_tolstring(L, -1, &len);
    DCHECK(text != NULL);
    *why = mem_string(shown(generation, bytes_of(text, len)));
    lua_settop(L, 0);
    return outcome == CALL_TIMED_OUT ? -ETIMEDOUT : outcome == CALL_NO_MEMORY ? -ENOMEM : -EINVAL;
}

/// What is shown of a message: without --dev the first line is enough.
static struct bytes shown(const struct generation *generation, struct bytes message)
{
    const char *traceback = memmem(message.at, message.len, TRACEBACK, sizeof(TRACEBACK) - 1);
    return traceback == NULL || generation->options.is_dev
               ? message
               : bytes_of(message.at, (size_t)(traceback - message.at));
}
