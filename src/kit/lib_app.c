// SPDX-License-Identifier: MIT
//
// An app in Lua is a userdata with a pointer to the app, or NULL once it was stopped. The collector
// stops one that nobody has stopped.
#include "kit/lib_app.h"

#include "base/mem.h"
#include "hub/channel.h"
#include "hub/journal.h"
#include "kit/app.h"
#include "kit/lib_left.h"
#include "kit/lib_records.h"
#include "kit/lib_remote.h"
#include "kit/lib_stand_in.h"
#include "net/socket_address.h"

#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    MS_PER_SECOND = 1000,
    WORKERS_MAX = 64,
    SOURCES_BYTES_MAX = 1024 * 1024,
    RESTLESS_BYTES_MAX = 4096
};

static const char type_name[] = "lunesse.test.app";
static const double seconds_max = 1e12;
static const lua_Number default_time = 1893456000; // 2030-01-01T00:00:00Z

static struct app **check_place(lua_State *L);
static struct app *check_app(lua_State *L);
static uint64_t check_ms(lua_State *L, int index);
static void check_load(lua_State *L, int index, struct app_options *options);
static void check_scripts(lua_State *L, int index, struct app_options *options);
static void check_files(lua_State *L, struct app_options *options);
static void check_arguments(lua_State *L, struct app_options *options);
static void check_env(lua_State *L, struct app_options *options);
static int push_failure(lua_State *L, const char *why);
static int l_load(lua_State *L);
static int l_setenv(lua_State *L);
static int l_turn(lua_State *L);
static int l_advance(lua_State *L);
static int l_next(lua_State *L);
static int l_now(lua_State *L);
static int l_connect(lua_State *L);
static int l_reload(lua_State *L);
static int l_reloaded(lua_State *L);
static int l_sources(lua_State *L);
static int l_lines(lua_State *L);
static int l_signal(lua_State *L);
static int l_fail(lua_State *L);
static int l_log(lua_State *L);
static int l_channel(lua_State *L);
static void push_channel(lua_State *L, const struct channel *channel, uint64_t now_ms);
static void push_frame(lua_State *L, const struct journal *journal, uint64_t number);
static void push_lines(lua_State *L, struct bytes fields, const char *name);
static int l_upstream(lua_State *L);
static int l_call(lua_State *L);
static int l_left(lua_State *L);
static int l_stop(lua_State *L);
static int l_gc(lua_State *L);

static const luaL_Reg methods[] = {{"turn", l_turn},
                                   {"advance", l_advance},
                                   {"next", l_next},
                                   {"now", l_now},
                                   {"connect", l_connect},
                                   {"reload", l_reload},
                                   {"signal", l_signal},
                                   {"log", l_log},
                                   {"channel", l_channel},
                                   {"upstream", l_upstream},
                                   {"call", l_call},
                                   {"left", l_left},
                                   {"fail", l_fail},
                                   {"stop", l_stop},
                                   {"sources", l_sources},
                                   {"lines", l_lines},
                                   {"reloaded", l_reloaded},
                                   {"__gc", l_gc},
                                   {NULL, NULL}};

int l_open_test_core(lua_State *L)
{
    static const luaL_Reg functions[] = {{"load", l_load}, {"setenv", l_setenv}, {NULL, NULL}};
    if (luaL_newmetatable(L, type_name)) {
        luaL_setfuncs(L, methods, 0);
        lua_pushvalue(L, -1);
        lua_setfield(L, -2, "__index");
    }
    luaL_newlib(L, functions);
    return 1;
}

static struct app **check_place(lua_State *L)
{
    return luaL_checkudata(L, 1, type_name);
}

static struct app *check_app(lua_State *L)
{
    struct app *app = *check_place(L);
    luaL_argcheck(L, app != NULL, 1, "the app has been stopped");
    return app;
}

/// Seconds, as milliseconds.
static uint64_t check_ms(lua_State *L, int index)
{
    lua_Number seconds = luaL_checknumber(L, index);
    luaL_argcheck(L, seconds >= 0 && seconds <= seconds_max, index, "seconds expected");
    return (uint64_t)llround(seconds * MS_PER_SECOND);
}

/// core.load { path | files, workers, arguments, time, env, lines } -> app | nil, message. What the
/// options point to stays on the stack.
static int l_load(lua_State *L)
{
    struct app_options options = {0};
    char *why;
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    struct app **place = lua_newuserdatauv(L, sizeof(struct app *), 0);
    *place = NULL;
    luaL_setmetatable(L, type_name);
    check_load(L, 1, &options);
    if (app_new(&options, place, &why) != 0) {
        *place = NULL;
        int count = push_failure(L, why);
        mem_free(why);
        return count;
    }
    lua_pushvalue(L, 2);
    return 1;
}

/// core.setenv(name, text | nil) -> what the variable of the process was | nil
static int l_setenv(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    const char *text = luaL_optstring(L, 2, NULL);
    luaL_argcheck(L, name[0] != '\0' && strchr(name, '=') == NULL, 1, "a variable's name expected");
    lua_pushstring(L, getenv(name));
    int failure = text != NULL ? setenv(name, text, true) : unsetenv(name);
    return failure == 0 ? 1 : luaL_error(L, "not enough memory");
}

static void check_load(lua_State *L, int index, struct app_options *options)
{
    check_scripts(L, index, options);
    luaL_argcheck(L, options->path != NULL || options->file_count > 0, index,
                  "path or files expected");
    lua_getfield(L, index, "lines");
    options->counts_lines = lua_toboolean(L, -1);
    lua_getfield(L, index, "workers");
    lua_Integer workers = luaL_optinteger(L, -1, 1);
    luaL_argcheck(L, workers >= 1 && workers <= WORKERS_MAX, index, "1 to 64 workers expected");
    options->worker_count = (unsigned)workers;
    lua_getfield(L, index, "time");
    lua_Number time = luaL_optnumber(L, -1, default_time);
    luaL_argcheck(L, fabs(time) <= seconds_max, index, "time: Unix seconds expected");
    options->start_ms = llround(time * MS_PER_SECOND);
    lua_getfield(L, index, "arguments");
    if (!lua_isnil(L, -1)) {
        check_arguments(L, options);
    }
    if (lua_getfield(L, index, "env") != LUA_TNIL) {
        check_env(L, options);
    }
}

/// `path` or `files`, if there is one of them.
static void check_scripts(lua_State *L, int index, struct app_options *options)
{
    lua_getfield(L, index, "path");
    options->path = luaL_optstring(L, -1, NULL);
    if (lua_getfield(L, index, "files") != LUA_TNIL) {
        luaL_argcheck(L, options->path == NULL, index, "either path or files expected");
        luaL_argcheck(L, lua_istable(L, -1), index, "files: a table expected");
        check_files(L, options);
    }
}

/// The files of the table on the top, as an array in memory of Lua's on top of it.
static void check_files(lua_State *L, struct app_options *options)
{
    int table = lua_gettop(L);
    DCHECK(lua_istable(L, table));
    size_t count = 0;
    for (lua_pushnil(L); lua_next(L, table) != 0; lua_pop(L, 1)) {
        bool is_text = lua_type(L, -2) == LUA_TSTRING && lua_type(L, -1) == LUA_TSTRING;
        luaL_argcheck(L, is_text, 1, "files: names and texts expected");
        count++;
    }
    struct app_file *files = lua_newuserdatauv(L, (count + 1) * sizeof(struct app_file), 0);
    count = 0;
    for (lua_pushnil(L); lua_next(L, table) != 0; lua_pop(L, 1)) {
        size_t len;
        const char *text = lua_tolstring(L, -1, &len);
        files[count++] = (struct app_file){lua_tostring(L, -2), bytes_of(text, len)};
    }
    options->files = files;
    options->file_count = count;
}

/// The texts of the list on the top, as an array in memory of Lua's on top of it.
static void check_arguments(lua_State *L, struct app_options *options)
{
    int list = lua_gettop(L);
    luaL_argcheck(L, lua_istable(L, list), 1, "arguments: a list of texts expected");
    size_t count = (size_t)lua_rawlen(L, list);
    const char **words = lua_newuserdatauv(L, (count + 1) * sizeof(char *), 0);
    for (size_t i = 0; i < count; i++) {
        int type = lua_rawgeti(L, list, (lua_Integer)i + 1);
        luaL_argcheck(L, type == LUA_TSTRING, 1, "arguments: a list of texts expected");
        words[i] = lua_tostring(L, -1); // the list holds it
        lua_pop(L, 1);
    }
    options->arguments = words;
    options->argument_count = count;
}

/// The variables of the table on the top, as an array in memory of Lua's. The texts are in a table
/// on top of it.
static void check_env(lua_State *L, struct app_options *options)
{
    int table = lua_gettop(L);
    luaL_argcheck(L, lua_istable(L, table), 1, "env: a table expected");
    DCHECK(options->variable_count == 0);
    lua_newtable(L);
    size_t count = 0;
    for (lua_pushnil(L); lua_next(L, table) != 0; lua_pop(L, 1)) {
        luaL_argcheck(L, lua_type(L, -2) == LUA_TSTRING && lua_isstring(L, -1), 1,
                      "env: names and texts expected");
        lua_pushfstring(L, "%s=%s", lua_tostring(L, -2), lua_tostring(L, -1));
        lua_rawseti(L, table + 1, (lua_Integer)++count);
    }
    const char **variables = lua_newuserdatauv(L, (count + 1) * sizeof(char *), 0);
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, table + 1, (lua_Integer)i + 1);
        variables[i] = lua_tostring(L, -1); // the table holds it
        lua_pop(L, 1);
    }
    options->variables = variables;
    options->variable_count = count;
}

static int push_failure(lua_State *L, const char *why)
{
    lua_pushnil(L);
    lua_pushstring(L, why);
    return 2;
}

/// app:turn() -> whether anything has happened [, where the scripts run again and again]
static int l_turn(lua_State *L)
{
    struct app *app = check_app(L);
    lua_pushboolean(L, app_turn(app));
    if (!app->is_restless) {
        return 1;
    }
    struct buf text;
    buf_init(&text, RESTLESS_BYTES_MAX);
    app_show_restless(app, &text);
    struct bytes bytes = buf_bytes(&text);
    lua_pushlstring(L, bytes.at, bytes.len);
    buf_reset(&text);
    return 2;
}

static int l_advance(lua_State *L)
{
    struct app *app = check_app(L);
    app_advance(app, check_ms(L, 2));
    return 0;
}

/// app:next() -> seconds until the next timer is due | nil
static int l_next(lua_State *L)
{
    uint64_t next_ms = app_next_ms(check_app(L));
    if (next_ms == UINT64_MAX) {
        return 0;
    }
    lua_pushnumber(L, (lua_Number)next_ms / MS_PER_SECOND);
    return 1;
}

/// app:now() -> Unix seconds of the app
static int l_now(lua_State *L)
{
    lua_pushnumber(L, (lua_Number)environment_now_ms(&check_app(L)->environment) / MS_PER_SECOND);
    return 1;
}

/// app:connect { worker, window, peer, proxied } -> conn | nil, message
static int l_connect(lua_State *L)
{
    struct app *app = check_app(L);
    lua_settop(L, 2);
    if (lua_isnil(L, 2)) {
        lua_newtable(L);
        lua_replace(L, 2);
    }
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_getfield(L, 2, "worker");
    lua_Integer worker = luaL_optinteger(L, -1, 0);
    bool is_any = lua_isnil(L, -1);
    luaL_argcheck(L, is_any || (worker >= 1 && (size_t)worker <= app->engine.worker_count), 2,
                  "no such worker");
    lua_getfield(L, 2, "window");
    lua_Integer window = luaL_optinteger(L, -1, -1);
    luaL_argcheck(L, lua_isnil(L, -1) || window >= 0, 2, "window: a number of bytes expected");
    lua_getfield(L, 2, "peer");
    struct socket_address from;
    const char *peer = luaL_optstring(L, -1, "127.0.0.1");
    int failure = strcmp(peer, "unix") == 0 ? socket_address_of_path(&from, "")
                                            : socket_address_parse(&from, peer, 50000);
    luaL_argcheck(L, failure == 0, 2, "peer: an IP address or 'unix' expected");
    lua_getfield(L, 2, "proxied");
    bool is_proxied = lua_toboolean(L, -1);
    struct remote **place = push_new_remote(L);
    *place = app_connect(app, (unsigned)worker, &from, window < 0 ? SIZE_MAX : (size_t)window,
                         is_proxied);
    return *place != NULL ? 1 : push_failure(L, "connection refused: the app is stopping");
}

/// app:reload([{ path | files }]) -> true | nil, message | false while the scripts wait for time
static int l_reload(lua_State *L)
{
    struct app *app = check_app(L);
    struct app_options options = {0};
    if (!lua_isnoneornil(L, 2)) {
        luaL_checktype(L, 2, LUA_TTABLE);
        check_scripts(L, 2, &options);
    }
    app_reload(app, &options);
    return l_reloaded(L);
}

/// app:reloaded() -> what became of the last reload, as `reload` returns it
static int l_reloaded(lua_State *L)
{
    const char *why;
    bool is_over = app_has_reloaded(check_app(L), &why);
    if (is_over && why != NULL) {
        return push_failure(L, why);
    }
    lua_pushboolean(L, is_over);
    return 1;
}

/// app:sources() -> the paths of the scripts and of the modules that they have required
static int l_sources(lua_State *L)
{
    struct app *app = check_app(L);
    struct buf paths;
    buf_init(&paths, SOURCES_BYTES_MAX);
    app_list_sources(app, &paths);
    lua_newtable(L);
    struct bytes rest = buf_bytes(&paths);
    for (lua_Integer i = 1; rest.len > 0; i++) {
        lua_pushstring(L, rest.at);
        DCHECK(strlen(rest.at) < rest.len);
        rest = bytes_skip(rest, strlen(rest.at) + 1);
        lua_rawseti(L, -2, i);
    }
    buf_reset(&paths);
    return 1;
}

/// app:lines() -> how often each line has run since the last call: { [file] = { [line] = count } }
static int l_lines(lua_State *L)
{
    struct app *app = check_app(L);
    struct file_lines *file;
    lua_newtable(L);
    while ((file = lines_take(&app->lines)) != NULL) {
        lua_newtable(L);
        for (size_t i = 1; i < file->count; i++) {
            if (file->counts[i] > 0) {
                lua_pushinteger(L, (lua_Integer)file->counts[i]);
                lua_rawseti(L, -2, (lua_Integer)i);
            }
        }
        lua_setfield(L, -2, file->name);
        file_lines_free(file);
    }
    return 1;
}

static int l_signal(lua_State *L)
{
    static const char *const names[] = {"TERM", "INT", "HUP", NULL};
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    struct app *app = check_app(L);
    app_signal(app, numbers[luaL_checkoption(L, 2, NULL, names)]);
    return 0;
}

/// app:fail("memory" | "run_timeout", is_on) -> true | nil, message
static int l_fail(lua_State *L)
{
    static const char *const names[] = {[APP_MEMORY] = "memory", [APP_RUN_TIMEOUT] = "run_timeout"};
    struct app *app = check_app(L);
    const char *name = luaL_checkstring(L, 2);
    bool is_on = lua_isnone(L, 3) || lua_toboolean(L, 3);
    for (int i = 0; i < (int)(sizeof(names) / sizeof(names[0])); i++) {
        if (strcmp(names[i], name) == 0) {
            app_fail(app, (enum app_fault)i, is_on);
            lua_pushboolean(L, true);
            return 1;
        }
    }
    return push_failure(L, "no such fault: there are memory and run_timeout");
}

/// app:log() -> the records since the last call
static int l_log(lua_State *L)
{
    push_records(L, check_app(L));
    return 1;
}

/// app:channel(name) -> { first, last, readers, finished, events } | nil
static int l_channel(lua_State *L)
{
    struct app *app = check_app(L);
    size_t len;
    const char *name = luaL_checklstring(L, 2, &len);
    hub_lock(&app->engine.hub);
    const struct channel *channel = channel_find(&app->engine.hub, bytes_of(name, len));
    hub_unlock(&app->engine.hub); // nobody else is there: one thread turns all workers
    if (channel == NULL) {
        return 0;
    }
    struct app_place place = app_enter(app, 1);
    uint64_t now_ms = loop_now_ms(&app->engine.workers[0].loop);
    app_leave(place);
    push_channel(L, channel, now_ms);
    return 1;
}

/// Events that are too old stay in the journal for up to a second. No reader is given them, and no
/// spec is.
static void push_channel(lua_State *L, const struct channel *channel, uint64_t now_ms)
{
    const struct journal *journal = &channel->journal;
    uint64_t ttl_ms = journal->bounds.ttl_ms;
    uint64_t first = journal->first;
    while (first < journal->next && ttl_ms != UINT64_MAX &&
           journal_frame(journal, first)->made_ms + ttl_ms <= now_ms) {
        first++;
    }
    lua_createtable(L, 0, 5);
    lua_pushinteger(L, (lua_Integer)first);
    lua_setfield(L, -2, "first");
    lua_pushinteger(L, (lua_Integer)journal->next - 1);
    lua_setfield(L, -2, "last");
    lua_pushinteger(L, (lua_Integer)channel->subscriber_count);
    lua_setfield(L, -2, "readers");
    lua_pushboolean(L, channel->state == CHANNEL_FINISHED);
    lua_setfield(L, -2, "finished");
    lua_newtable(L);
    for (uint64_t number = first; number < journal->next; number++) {
        push_frame(L, journal, number);
        lua_rawseti(L, -2, (lua_Integer)(number - first) + 1);
    }
    lua_setfield(L, -2, "events");
}

/// An event as a reader has it: { id, event, data }. An event without a name has none.
static void push_frame(lua_State *L, const struct journal *journal, uint64_t number)
{
    DCHECK(number >= journal->first && number < journal->next);
    char id[EVENT_ID_LEN_MAX];
    struct bytes fields = frame_fields(journal_frame(journal, number), false);
    lua_createtable(L, 0, 3);
    lua_pushlstring(L, id, event_id_format(journal_id(journal, number), id));
    lua_setfield(L, -2, "id");
    push_lines(L, fields, "event: ");
    lua_setfield(L, -2, "event");
    push_lines(L, fields, "data: ");
    lua_setfield(L, -2, "data");
}

/// Pushes the values of the lines that begin with `name`, joined by line ends; nil without one.
static void push_lines(lua_State *L, struct bytes fields, const char *name)
{
    size_t name_len = strlen(name);
    DCHECK(name[name_len - 1] == ' ' && name[name_len - 2] == ':');
    bool has_any = false;
    luaL_Buffer text;
    luaL_buffinit(L, &text);
    while (fields.len > 0) {
        const char *end = memchr(fields.at, '\n', fields.len);
        size_t len = end == NULL ? fields.len : (size_t)(end - fields.at);
        if (len >= name_len - 1 && memcmp(fields.at, name, name_len - 1) == 0) {
            size_t skipped = len >= name_len ? name_len : len;
            if (has_any) {
                luaL_addchar(&text, '\n');
            }
            luaL_addlstring(&text, fields.at + skipped, len - skipped);
            has_any = true;
        }
        fields = bytes_skip(fields, end == NULL ? len : len + 1);
    }
    luaL_pushresult(&text);
    if (!has_any) {
        lua_pop(L, 1);
        lua_pushnil(L);
    }
}

static int l_upstream(lua_State *L)
{
    return upstream_or_raise(L, check_app(L));
}

static int l_call(lua_State *L)
{
    return push_call(L, check_app(L));
}

/// app:left() -> texts that say what is still open, and whether it may end by itself
static int l_left(lua_State *L)
{
    push_left(L, check_app(L));
    return 2;
}

/// app:stop() -> true | nil, message | nil, records since the last `log`. What runs at the end of
/// the scripts may fail as well, and nobody can ask for the log of that later.
static int l_stop(lua_State *L)
{
    struct app **place = check_place(L);
    struct app *app = *place;
    *place = NULL;
    lua_settop(L, 1);
    if (app == NULL) {
        lua_pushboolean(L, true);
        return 1;
    }
    bool is_closed = app_close(app);
    DCHECK(!app->is_open);
    push_records(L, app);
    app_free(app);
    if (is_closed) {
        lua_pushboolean(L, true);
        lua_pushnil(L);
    } else {
        push_failure(L, "the engine has left a handle open: see standard error");
    }
    lua_rotate(L, 2, 2); // [app, true or nil, nil or message, records]
    return 3;
}

static int l_gc(lua_State *L)
{
    struct app **place = check_place(L);
    if (*place != NULL) {
        app_free(*place);
        *place = NULL;
    }
    return 0;
}
