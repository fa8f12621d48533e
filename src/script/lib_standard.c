// SPDX-License-Identifier: MIT
#include "script/lib_standard.h"

#include "base/check.h"
#include "base/environment.h"
#include "base/output.h"
#include "script/box.h"
#include "script/chunk.h"
#include "script/stack.h"

#include <lualib.h>
#include <stdio.h>

enum { ORIGINAL_UPVALUE = 1, MODE_UPVALUE };      // upvalues of `l_load`; `l_time` has the first
enum { SEARCHPATH_UPVALUE = 1, PACKAGE_UPVALUE }; // upvalues of `l_search`
enum { SEARCHER_OF_LUA = 2 };                     // index in `package.searchers`
enum { LOCALS_MAX = 1000 };                       // more than a function of Lua can have

static void remove_fields(lua_State *L, const char *library, const char *const *names);
static void replace_loaders(lua_State *L);
static void replace_loader(lua_State *L, const char *name, int mode_index);
static void replace_searcher(lua_State *L);
static int l_load(lua_State *L);
static int l_loadfile(lua_State *L);
static int l_dofile(lua_State *L);
static int l_after_dofile(lua_State *L, int status, lua_KContext context);
static int l_search(lua_State *L);
static int l_getmetatable(lua_State *L);
static int l_getlocal(lua_State *L);
static int l_getupvalue(lua_State *L);
static int l_setupvalue(lua_State *L);
static void replace_times(lua_State *L);
static int l_time(lua_State *L);
static int l_date(lua_State *L);
static int l_clock(lua_State *L);
static int l_getenv(lua_State *L);
static void replace_streams(lua_State *L);
static void replace_stream(lua_State *L, const char *name, FILE *stream);
static int l_print(lua_State *L);
static int l_exit(lua_State *L);
static int l_setlocale(lua_State *L);

static const luaL_Reg debug_functions[] = {{"getmetatable", l_getmetatable},
                                           {"getlocal", l_getlocal},
                                           {"getupvalue", l_getupvalue},
                                           {"setupvalue", l_setupvalue},
                                           {NULL, NULL}};

static const luaL_Reg os_functions[] = {
    {"exit", l_exit}, {"getenv", l_getenv}, {"setlocale", l_setlocale}, {NULL, NULL}};

void lib_standard_register(lua_State *L)
{
    static const char *const of_debug[] = {
        "debug",        "sethook",  "setuservalue", "getuservalue",
        "setmetatable", "setlocal", "getregistry",  NULL};
    STACK_BEGIN(L);
    static const char *const of_package[] = {"loadlib", NULL}; // it could load another `debug`
    luaL_openlibs(L);
    remove_fields(L, LUA_DBLIBNAME, of_debug);
    remove_fields(L, LUA_LOADLIBNAME, of_package);
    lua_getglobal(L, LUA_DBLIBNAME);
    luaL_setfuncs(L, debug_functions, 0);
    lua_getglobal(L, LUA_OSLIBNAME);
    luaL_setfuncs(L, os_functions, 0);
    lua_pop(L, 2);
    replace_loaders(L);
    replace_streams(L);
    if (environment_is_still(environment_here)) {
        replace_times(L);
    }
    DCHECK_STACK(L, 0);
}

int l_seed_random(lua_State *L)
{
    lua_Integer seeds[2];
    environment_fill(seeds, sizeof(seeds));
    lua_getglobal(L, LUA_MATHLIBNAME);
    lua_getfield(L, -1, "randomseed");
    DCHECK(lua_isfunction(L, -1));
    lua_pushinteger(L, seeds[0]);
    lua_pushinteger(L, seeds[1]);
    lua_call(L, 2, 0);
    return 0;
}

static void remove_fields(lua_State *L, const char *library, const char *const *names)
{
    lua_getglobal(L, library);
    DCHECK(lua_istable(L, -1));
    for (size_t i = 0; names[i] != NULL; i++) {
        lua_pushnil(L);
        lua_setfield(L, -2, names[i]);
    }
    lua_pop(L, 1);
}

/// Has nothing load bytecode. Lua does not check bytecode, so a mistake in it could end the
/// program.
static void replace_loaders(lua_State *L)
{
    replace_loader(L, "load", 3);
    lua_pushcfunction(L, l_loadfile);
    lua_setglobal(L, "loadfile");
    replace_loader(L, "loadfile", 2);
    lua_pushcfunction(L, l_dofile);
    lua_setglobal(L, "dofile");
    replace_searcher(L);
}

static void replace_loader(lua_State *L, const char *name, int mode_index)
{
    lua_getglobal(L, name);
    DCHECK(lua_isfunction(L, -1) && mode_index > 0);
    lua_pushinteger(L, mode_index);
    lua_pushcclosure(L, l_load, 2);
    lua_setglobal(L, name);
}

static void replace_searcher(lua_State *L)
{
    lua_getglobal(L, LUA_LOADLIBNAME);
    lua_getfield(L, -1, "searchers");
    lua_getfield(L, -2, "searchpath");
    lua_pushvalue(L, -3); // [package, searchers, searchpath, package]
    DCHECK(lua_istable(L, -3) && lua_isfunction(L, -2));
    lua_pushcclosure(L, l_search, 2);
    lua_rawseti(L, -2, SEARCHER_OF_LUA);
    lua_pop(L, 2);
}

/// load(chunk, name, mode, environment) and loadfile(path, mode, environment), for text alone.
static int l_load(lua_State *L)
{
    int mode_index = (int)lua_tointeger(L, lua_upvalueindex(MODE_UPVALUE));
    const char *mode = luaL_optstring(L, mode_index, "t");
    if (strchr(mode, 't') == NULL) {
        lua_pushnil(L);
        lua_pushliteral(L, "bytecode is not loaded here: what is wrong with it ends the server");
        return 2;
    }
    if (lua_gettop(L) < mode_index) {
        lua_settop(L, mode_index);
    }
    lua_pushliteral(L, "t");
    lua_replace(L, mode_index);
    lua_pushvalue(L, lua_upvalueindex(ORIGINAL_UPVALUE));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

/// loadfile([path], mode, [environment]) -> function | nil, message
static int l_loadfile(lua_State *L)
{
    const char *path = luaL_optstring(L, 1, NULL);
    bool has_environment = !lua_isnone(L, 3);
    if (chunk_load(L, path) != LUA_OK) {
        lua_pushnil(L);
        lua_insert(L, -2);
        return 2;
    }
    if (has_environment) {
        lua_pushvalue(L, 3);
        CHECK(lua_setupvalue(L, -2, 1) != NULL); // a chunk has this one alone
    }
    return 1;
}

/// dofile([path])
static int l_dofile(lua_State *L)
{
    const char *path = luaL_optstring(L, 1, NULL);
    lua_settop(L, 1);
    if (chunk_load(L, path) != LUA_OK) {
        return lua_error(L);
    }
    lua_callk(L, 0, LUA_MULTRET, 0, l_after_dofile);
    return l_after_dofile(L, LUA_OK, 0);
}

static int l_after_dofile(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    return lua_gettop(L) - 1;
}

/// The searcher by which `require` finds Lua modules: (name) -> loader, path | message
static int l_search(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    lua_settop(L, 1);
    lua_pushvalue(L, lua_upvalueindex(SEARCHPATH_UPVALUE));
    lua_pushvalue(L, 1);
    if (lua_getfield(L, lua_upvalueindex(PACKAGE_UPVALUE), "path") != LUA_TSTRING) {
        return luaL_error(L, "'package.path' must be a string");
    }
    lua_call(L, 2, 2); // [name, path, why not]
    if (lua_isnil(L, 2)) {
        chunk_push_message(L, lua_tostring(L, 3));
        return 1;
    }
    const char *path = lua_tostring(L, 2);
    if (chunk_load(L, path) != LUA_OK) {
        chunk_push_message(L, path);
        return luaL_error(L, "error loading module '%s' from file '%s':\n\t%s", name,
                          lua_tostring(L, -1), lua_tostring(L, -2));
    }
    lua_pushvalue(L, 2);
    return 2; // loader, path
}

/// debug.getmetatable(value). The metatable of a box stays hidden, as with `getmetatable`.
static int l_getmetatable(lua_State *L)
{
    luaL_checkany(L, 1);
    if (!lua_getmetatable(L, 1)) {
        lua_pushnil(L);
    } else if (box_is_metatable(L, -1)) {
        lua_getfield(L, -1, "__metatable");
    }
    return 1;
}

/// debug.getlocal([thread], function or level, index) -> name, value. The stack of a C function is
/// not shown.
static int l_getlocal(lua_State *L)
{
    bool has_thread = lua_isthread(L, 1);
    lua_State *of = has_thread ? lua_tothread(L, 1) : L;
    int what = has_thread ? 2 : 1;
    lua_Integer index = luaL_checkinteger(L, what + 1);
    lua_Debug record;
    bool is_possible = index >= -LOCALS_MAX && index <= LOCALS_MAX;
    if (lua_isfunction(L, what)) {
        lua_pushvalue(L, what);
        lua_pushstring(L, is_possible ? lua_getlocal(L, NULL, (int)index) : NULL);
        return 1;
    }
    lua_Integer level = luaL_checkinteger(L, what);
    luaL_argcheck(L, level >= 0 && level <= INT_MAX && lua_getstack(of, (int)level, &record), what,
                  "level out of range");
    lua_getinfo(of, "S", &record);
    luaL_checkstack(L, 2, NULL);
    luaL_argcheck(L, lua_checkstack(of, 1), what, "stack overflow");
    const char *name =
        is_possible && *record.what != 'C' ? lua_getlocal(of, &record, (int)index) : NULL;
    if (name == NULL) {
        lua_pushnil(L);
        return 1;
    }
    lua_xmove(of, L, 1);
    lua_pushstring(L, name);
    lua_insert(L, -2);
    return 2;
}

/// debug.getupvalue(function, index) -> name, value. The upvalues of a C function are not shown.
static int l_getupvalue(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_Integer index = luaL_checkinteger(L, 2);
    bool is_possible = index >= 1 && index <= LOCALS_MAX && !lua_iscfunction(L, 1);
    const char *name = is_possible ? lua_getupvalue(L, 1, (int)index) : NULL;
    if (name == NULL) {
        return 0;
    }
    lua_pushstring(L, name);
    lua_insert(L, -2);
    return 2;
}

/// debug.setupvalue(function, index, value) -> name
static int l_setupvalue(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_Integer index = luaL_checkinteger(L, 2);
    luaL_checkany(L, 3);
    lua_settop(L, 3);
    bool is_possible = index >= 1 && index <= LOCALS_MAX && !lua_iscfunction(L, 1);
    const char *name = is_possible ? lua_setupvalue(L, 1, (int)index) : NULL;
    if (name == NULL) {
        return 0;
    }
    lua_pushstring(L, name);
    return 1;
}

/// Has `os` go by a clock that stands still: by the environment's, as all else does.
static void replace_times(lua_State *L)
{
    static const luaL_Reg functions[] = {{"time", l_time}, {"date", l_date}, {NULL, NULL}};
    lua_getglobal(L, LUA_OSLIBNAME);
    for (const luaL_Reg *function = functions; function->name != NULL; function++) {
        lua_getfield(L, -1, function->name);
        lua_pushcclosure(L, function->func, 1);
        lua_setfield(L, -2, function->name);
    }
    lua_pushcfunction(L, l_clock);
    lua_setfield(L, -2, "clock");
    lua_pop(L, 1);
}

/// os.time([table]) -> seconds since 1970
static int l_time(lua_State *L)
{
    if (lua_isnoneornil(L, 1)) {
        lua_pushinteger(L, environment_time(CLOCK_REALTIME).tv_sec);
        return 1;
    }
    lua_settop(L, 1);
    lua_pushvalue(L, lua_upvalueindex(ORIGINAL_UPVALUE));
    lua_insert(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

/// os.date([format [, seconds]]) -> string or table
static int l_date(lua_State *L)
{
    lua_settop(L, 2);
    if (lua_isnil(L, 1)) {
        lua_pushliteral(L, "%c");
        lua_replace(L, 1);
    }
    if (lua_isnil(L, 2)) {
        lua_pushinteger(L, environment_time(CLOCK_REALTIME).tv_sec);
        lua_replace(L, 2);
    }
    lua_pushvalue(L, lua_upvalueindex(ORIGINAL_UPVALUE));
    lua_insert(L, 1);
    lua_call(L, 2, 1);
    return 1;
}

/// os.clock() -> seconds since the clock began: there is no CPU time that would be the same each
/// time.
static int l_clock(lua_State *L)
{
    lua_pushnumber(L, (lua_Number)environment_passed_ms(environment_here) / 1000);
    return 1;
}

/// Sends what is printed the way of the log, where nobody waits for a slow reader.
static void replace_streams(lua_State *L)
{
    lua_getglobal(L, LUA_IOLIBNAME);
    replace_stream(L, "stdout", output_stream());
    replace_stream(L, "stderr", output_error_stream());
    lua_pop(L, 1);
    lua_pushcfunction(L, l_print);
    lua_setglobal(L, "print");
}

/// Changes the stream inside of the object, because `io.write` writes to the same object.
static void replace_stream(lua_State *L, const char *name, FILE *stream)
{
    lua_getfield(L, -1, name);
    luaL_Stream *file = luaL_testudata(L, -1, LUA_FILEHANDLE);
    CHECK(file != NULL);
    file->f = stream;
    lua_pop(L, 1);
}

/// print(...). A line is written in one piece, so that lines of several workers do not mix.
static int l_print(lua_State *L)
{
    int count = lua_gettop(L);
    luaL_Buffer line;
    luaL_buffinit(L, &line);
    for (int i = 1; i <= count; i++) {
        if (i > 1) {
            luaL_addchar(&line, '\t');
        }
        luaL_tolstring(L, i, NULL);
        luaL_addvalue(&line);
    }
    luaL_addchar(&line, '\n');
    luaL_pushresult(&line);
    struct bytes text = check_bytes(L, -1);
    (void)fwrite(text.at, 1, text.len, output_stream()); // this stream never refuses
    return 0;
}

/// os.exit(). Other threads are at work, and other peers are served.
static int l_exit(lua_State *L)
{
    return luaL_error(L, "os.exit would end the server for everybody: raise an error, or end the "
                         "program from outside, by SIGTERM");
}

/// os.getenv(name) -> value | nil
static int l_getenv(lua_State *L)
{
    lua_pushstring(L, environment_variable(luaL_checkstring(L, 1)));
    return 1;
}

/// setlocale() -> name. The locale belongs to the whole program, and other workers write numbers
/// meanwhile.
static int l_setlocale(lua_State *L)
{
    if (!lua_isnoneornil(L, 1)) {
        return luaL_error(L, "the locale belongs to the whole program, and stays \"C\"");
    }
    lua_pushliteral(L, "C");
    return 1;
}
