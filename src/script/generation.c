// SPDX-License-Identifier: MIT
#include "script/generation.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/small.h"
#include "script/box.h"
#include "script/call.h"
#include "script/collector.h"
#include "script/embedded.h"
#include "script/lib_channel.h"
#include "script/lib_log.h"
#include "script/lib_standard.h"
#include "script/lib_timer.h"
#include "script/libs.h"
#include "script/slice.h"
#include "script/task.h"
#include "script/visit.h"
#include "wire/route.h"

#include <lauxlib.h>
#include <stdlib.h>

enum {
    WARNING_BYTES_MAX = 4096,
    HOSTS_BYTES_MAX = 64 * 1024,
};

static void *allocate(void *arg, void *memory, size_t old_size, size_t size);
static void open_state(struct generation *generation, char **why);
static void preload(lua_State *L);
static int load_embedded(lua_State *L);
static int push_lunesse(lua_State *L);
static int make_weak_table(lua_State *L);
static int list_modules(lua_State *L);
static void free_routes(struct generation *generation);
static int finish_call(struct generation *generation, enum call_outcome outcome, char **why);

struct generation *generation_new(const struct generation_options *options, char **why)
{
    struct generation *generation = mem_new(struct generation);
    generation->options = *options;
    generation->is_loading = true;
    generation->routes = route_table_new();
    generation->on_error_ref = LUA_NOREF;
    generation->on_reload_ref = LUA_NOREF;
    generation->channel_options_ref = LUA_NOREF;
    generation->json_encode_ref = LUA_NOREF;
    generation->fallback.handler_ref = LUA_NOREF;
    response_init(&generation->declared);
    buf_init(&generation->hosts, HOSTS_BYTES_MAX);
    list_init(&generation->route_list);
    list_init(&generation->visits);
    list_init(&generation->tasks);
    list_init(&generation->ready);
    list_init(&generation->timers);
    list_init(&generation->publishers);
    slice_init(generation);
    loop_job_init(&generation->ready_job, tasks_run_ready);
    loop_job_init(&generation->published_job, lib_channel_wake_publishers);
    loop_job_init(&generation->leave_job, visits_leave);
    list_init(&generation->publishers_waiter.node);
    generation->publishers_waiter.job = &generation->published_job;
    open_state(generation, why);
    collector_init(&generation->collector, generation);
    return generation;
}

void generation_free(struct generation *generation)
{
    CHECK(list_is_empty(&generation->visits));
    lib_timer_stop_all(generation);
    while (!list_is_empty(&generation->tasks)) {
        task_cancel(LIST_ITEM(generation->tasks.next, struct task, node));
    }
    lib_timer_stop_all(generation); // closing variables may have made some
    loop_job_cancel(&generation->ready_job);
    loop_job_cancel(&generation->leave_job);
    list_remove(&generation->publishers_waiter.node);
    loop_job_cancel(&generation->published_job);
    slice_deinit(generation);
    collector_deinit(&generation->collector);
    generation->is_ended = true;
    lua_close(generation->L);
    CHECK(generation->lua_bytes == 0);
    free_routes(generation);
    response_deinit(&generation->declared);
    buf_reset(&generation->hosts);
    limits_release(generation->options.limits);
    mem_free(generation);
}

void generation_require_from(struct generation *generation, const char *folder)
{
    lua_State *L = generation->L;
    if (strpbrk(folder, LUA_PATH_SEP LUA_PATH_MARK) == NULL) {
        lua_getglobal(L, "package");
        lua_getfield(L, -1, "path");
        lua_pushfstring(L, "%s/?.lua;%s/?/init.lua;%s", folder, folder, lua_tostring(L, -1));
        lua_setfield(L, -3, "path");
        lua_settop(L, 0);
    }
}

int generation_load(struct generation *generation, const char *path, char **why)
{
    lua_State *L = generation->L;
    if (luaL_loadfilex(L, path, "t") != LUA_OK) {
        return finish_call(generation, CALL_FAILED, why);
    }
    lua_pushstring(L, path);
    return finish_call(generation, call_main(generation, 1, 0), why);
}

int generation_complete(struct generation *generation, char **why)
{
    lua_State *L = generation->L;
    lua_rawgeti(L, LUA_REGISTRYINDEX, generation->complete_ref);
    int result = finish_call(generation, call_main(generation, 0, 0), why);
    char *traceback = result == 0 ? NULL : strstr(*why, "\nstack traceback:");
    if (traceback != NULL) {
        *traceback = '\0'; // it has no line of a script, and the message has
    }
    lua_settop(L, 0);
    generation->is_loading = false;
    return result;
}

bool generation_has_answers(const struct generation *generation)
{
    return !list_is_empty(&generation->route_list) || generation->fallback.handler_ref != LUA_NOREF;
}

void generation_take_over(struct generation *generation)
{
    char *why = NULL;
    generation->is_in_charge = true;
    lib_timer_start_loaded(generation);
    if (finish_call(generation, lib_channel_apply_postponed(generation), &why) != 0) {
        LOG(LOG_ERROR, "options of channels are left as they were", log_string("why", why));
        mem_free(why);
    }
    lua_settop(generation->L, 0);
}

/// Asked of Lua's own search: what `require` found under a name, it finds again.
void generation_each_module(struct generation *generation,
                            void (*tell)(void *user, const char *path), void *user)
{
    lua_State *L = generation->L;
    lua_pushcfunction(L, list_modules);
    if (call_main(generation, 0, 1) == CALL_DONE) {
        for (lua_Integer i = 1; lua_rawgeti(L, 1, i) == LUA_TSTRING; i++) {
            tell(user, lua_tostring(L, -1));
            lua_pop(L, 1);
        }
    }
    lua_settop(L, 0);
}

/// -> array of paths
static int list_modules(lua_State *L)
{
    lua_Integer count = 0;
    lua_newtable(L); // [paths]
    lua_getglobal(L, "package");
    lua_getfield(L, 2, "searchpath");
    lua_getfield(L, 2, "path");
    luaL_getsubtable(L, LUA_REGISTRYINDEX,
                     LUA_LOADED_TABLE); // [paths, package, find, path, loaded]
    lua_pushnil(L);
    while (lua_next(L, 5) != 0) {
        lua_pop(L, 1); // [.., name]
        if (lua_type(L, -1) == LUA_TSTRING) {
            lua_pushvalue(L, 3);
            lua_pushvalue(L, -2);
            lua_pushvalue(L, 4);
            lua_call(L, 2, 1);
            if (lua_type(L, -1) == LUA_TSTRING) {
                lua_rawseti(L, 1, ++count);
            } else {
                lua_pop(L, 1);
            }
        }
    }
    lua_settop(L, 1);
    return 1;
}

/// Lua says how large what it gives back was, so small things need no header. The cap holds while a
/// script runs; the engine's own small needs are never refused. Bodies of requests have a limit of
/// their own.
static void *allocate(void *arg, void *memory, size_t old_size, size_t size)
{
    struct generation *generation = arg;
    size_t freed = memory == NULL ? 0 : old_size;
    if (size == 0) {
        generation->lua_bytes -= freed;
        small_free_text(memory, freed);
        return NULL;
    }
    bool may_fail = generation->is_capped && size > freed;
    size_t bytes_max = generation->options.limits->lua_bytes + generation->body_bytes;
    bool is_over = generation->lua_bytes - freed + size > bytes_max;
    void *resized = may_fail && is_over ? NULL
                    : may_fail          ? small_try_resize(memory, freed, size)
                                        : small_resize(memory, freed, size);
    if (resized == NULL) {
        generation->was_refused = true;
        limit_met("lua_bytes", generation->options.limits->lua_bytes);
        return NULL;
    }
    generation->lua_bytes += size - freed;
    return resized;
}

static void open_state(struct generation *generation, char **why)
{
    lua_State *L = lua_newstate(allocate, generation);
    CHECK(L != NULL);
    generation->L = L;
    generation->mark = (struct coroutine_mark){.generation = generation};
    generation->task_mark = (struct coroutine_mark){.generation = generation, .is_task = true};
    *(struct coroutine_mark **)lua_getextraspace(L) = &generation->mark;
    buf_init(&generation->warning, WARNING_BYTES_MAX);
    lua_setwarnf(L, lib_log_warning, generation);
    lib_standard_open(L);
    box_open(L, libs_classes);
    preload(L);
    lua_pushcfunction(L, push_lunesse);
    IGNORE(finish_call(generation, call_main(generation, 0, 0), why)); // `why` tells
}

static void preload(lua_State *L)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_pushcfunction(L, luaopen_lunesse_core);
    lua_setfield(L, -2, "lunesse.core");
    for (size_t i = 0; i < embedded_lua_count; i++) {
        lua_pushinteger(L, (lua_Integer)i);
        lua_pushcclosure(L, load_embedded, 1);
        lua_setfield(L, -2, embedded_lua[i].name);
    }
    lua_pop(L, 1);
}

static int load_embedded(lua_State *L)
{
    const struct embedded_lua *file = &embedded_lua[lua_tointeger(L, lua_upvalueindex(1))];
    lua_pushfstring(L, "=%s", file->name);
    if (luaL_loadbuffer(L, (const char *)file->bytes, file->len, lua_tostring(L, -1)) != LUA_OK) {
        return lua_error(L);
    }
    lua_call(L, 0, 1);
    return 1;
}

/// Loads the module `lunesse`, and what it requires, and keeps what C needs of it.
static int push_lunesse(lua_State *L)
{
    lua_getglobal(L, "require");
    lua_pushliteral(L, "lunesse");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "json");
    lua_getfield(L, -1, "encode");
    generation_of(L)->json_encode_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "lunesse.server");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "complete");
    generation_of(L)->complete_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    generation_of(L)->channel_boxes_ref = make_weak_table(L);
    generation_of(L)->shared_boxes_ref = make_weak_table(L);
    return 0;
}

/// A table that keeps no value alive; its reference.
static int make_weak_table(lua_State *L)
{
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "v");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    return luaL_ref(L, LUA_REGISTRYINDEX);
}

static void free_routes(struct generation *generation)
{
    route_table_free(generation->routes);
    LIST_EACH (node, after, &generation->route_list) {
        struct route *route = LIST_ITEM(node, struct route, node);
        mem_free(route->method);
        mem_free(route->pattern);
        mem_free(route->source);
        mem_free(route);
    }
}

/// Turns a failed call's message, on top of the main stack, into `why`.
static int finish_call(struct generation *generation, enum call_outcome outcome, char **why)
{
    lua_State *L = generation->L;
    if (outcome == CALL_DONE) {
        return 0;
    }
    size_t len = 0;
    const char *text = luaL_tolstring(L, -1, &len);
    const char *traceback = strstr(text, "\nstack traceback:");
    if (traceback != NULL && !generation->options.is_dev) {
        len = (size_t)(traceback - text); // one line says it; --dev says more
    }
    *why = mem_string(bytes_of(text, len));
    lua_settop(L, 0);
    return -1;
}
