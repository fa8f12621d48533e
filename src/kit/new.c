// SPDX-License-Identifier: MIT
//
// Runs lua/new/init.lua in a Lua state of its own. It gets the words of the command line, the files
// that the program holds, and where the program's files are; it writes the project.
#include "kit/new.h"

#include "base/check.h"
#include "kit/embedded_project.h"
#include "kit/places.h"

#include <lauxlib.h>
#include <limits.h>
#include <lualib.h>
#include <stdio.h>
#include <string.h>

static const char writer[] = "lua/new/init.lua";

/// The words of the command line.
struct words {
    int count;
    char **at;
};

static int l_run(lua_State *L);
static void push_files(lua_State *L);
static void push_places(lua_State *L);
static void set_place(lua_State *L, const char *name, const char *const *places);

int new_run(int count, char **words)
{
    lua_State *L = luaL_newstate();
    if (L == NULL) {
        fprintf(stderr, "lunesse new: no memory\n");
        return 1;
    }
    DCHECK(count >= 0 && words[count] == NULL);
    luaL_openlibs(L);
    lua_pushcfunction(L, l_run);
    lua_pushlightuserdata(L, &(struct words){count, words});
    int result = 1;
    if (lua_pcall(L, 1, 1, 0) == LUA_OK) {
        result = (int)lua_tointeger(L, -1);
    } else {
        fprintf(stderr, "lunesse new: %s\n", luaL_tolstring(L, -1, NULL));
    }
    lua_close(L);
    return result;
}

/// The argument is a `struct words`. Returns the exit code, to Lua.
static int l_run(lua_State *L)
{
    const struct words *words = lua_touserdata(L, 1);
    push_files(L);
    lua_getfield(L, -1, writer);
    size_t len;
    const char *text = lua_tolstring(L, -1, &len);
    CHECK(text != NULL);
    if (luaL_loadbufferx(L, text, len, "=lunesse new", "t") != LUA_OK) {
        return lua_error(L);
    }
    lua_call(L, 0, 1);
    lua_createtable(L, words->count, 0);
    for (int i = 0; i < words->count; i++) {
        lua_pushstring(L, words->at[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_pushvalue(L, 2);
    push_places(L);
    lua_call(L, 3, 1);
    return 1;
}

/// Pushes a table of the files' texts by their paths.
static void push_files(lua_State *L)
{
    lua_newtable(L);
    for (const struct embedded_lua *file = embedded_project; file->name != NULL; file++) {
        lua_pushlstring(L, (const char *)file->bytes, file->len);
        lua_setfield(L, -2, file->name);
    }
}

/// Pushes a table: `program`, `types` and `modules`, the pattern of the test kit. What is not there
/// is left out.
static void push_places(lua_State *L)
{
    static const char *const programs[] = {"lunesse", NULL};
    static const char *const types[] = {"../share/lunesse/types", "lunesse-lua/types", NULL};
    char pattern[PATH_MAX];
    lua_newtable(L);
    set_place(L, "program", programs);
    set_place(L, "types", types);
    if (places_find_kit(pattern, sizeof(pattern)) == 0) {
        lua_pushstring(L, pattern);
        lua_setfield(L, -2, "modules");
    }
}

static void set_place(lua_State *L, const char *name, const char *const *places)
{
    char path[PATH_MAX];
    if (places_find(places, path, sizeof(path)) == 0) {
        lua_pushstring(L, path);
        lua_setfield(L, -2, name);
    }
}
