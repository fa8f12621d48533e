// SPDX-License-Identifier: MIT
//
// The program `lunesse-test`, which `lunesse test`, `lunesse --test-path` and `lunesse new` become:
// busted in a Lua state of its own, with the test kit inside, and the writer of projects. It is a
// program of its own, so that the server carries no code of it. With --watch it runs no spec by
// itself: it starts itself for each run, with --followed and the file that the two share (see
// lua/test/watch.lua).
#include "base/check.h"
#include "kit/folder.h"
#include "kit/lib_test.h"
#include "kit/lib_watcher.h"
#include "kit/new.h"
#include "kit/places.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <limits.h>
#include <lualib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_NO_BUSTED = 127 }; // as shells have it

static const char help[] =
    "usage: lunesse test [FOLDER|FILE ...] [busted's options]\n"
    "       lunesse test --init\n"
    "       lunesse --test-path\n"
    "\n"
    "Runs specs with busted, in which require \"lunesse.test\" is the test kit. Without a folder:\n"
    "what .busted says, or spec/.\n"
    "\n"
    "  --watch       run them, and again whenever a file changes: the specs that it touches, or\n"
    "                all where that is not known; Ctrl-C ends it\n"
    "  --init        write a .busted, with which plain `busted` finds the kit too\n"
    "  --test-path   print where Lua finds it: a pattern for package.cpath or LUA_CPATH\n"
    "  --help        print this, and what busted takes\n"
    "\n"
    "Plain busted needs Lua 5.4 for the kit: busted --lua=lua5.4\n";

// Chunks of Lua. Each returns the exit code, or why busted is not there.
static const char run_busted[] = "local is_there, runner = pcall(require, 'busted.runner')\n"
                                 "if not is_there then\n"
                                 "  return runner\n"
                                 "end\n"
                                 "require 'lunesse.test.follow'.begin(arg)\n"
                                 "if require 'lunesse.test.command'.begin(arg) then\n"
                                 "  return 0\n"
                                 "end\n"
                                 "runner { standalone = false }\n"
                                 "return 0\n";
static const char watch_specs[] =
    "return require 'lunesse.test.watch'(require 'lunesse.test.watcher', arg)\n";

static int print_pattern(void);
static int write_settings(void);
static bool has_word(int count, char **arguments, const char *word);
static int run(const char *chunk, int count, char **arguments);
static int finish_run(lua_State *L);
static int l_preload(lua_State *L);
static void fill(lua_State *L, int count, char **arguments);

int main(int count, char **arguments)
{
    const char *first = count > 1 ? arguments[1] : "";
    if (strcmp(first, "--test-path") == 0) {
        return print_pattern();
    }
    if (strcmp(first, "--init") == 0) {
        return write_settings();
    }
    if (strcmp(first, "--new") == 0) {
        return new_run(count - 2, arguments + 2);
    }
    bool wants_help = has_word(count, arguments, "--help");
    if (wants_help) {
        puts(help);
        fflush(stdout);
    }
    folder_remove_on_signals();
    bool is_watching = !wants_help && has_word(count, arguments, "--watch");
    return run(is_watching ? watch_specs : run_busted, count, arguments);
}

static int print_pattern(void)
{
    char pattern[PATH_MAX];
    int failure = places_find_kit(pattern, sizeof(pattern));
    if (failure != 0) {
        fprintf(stderr,
                "lunesse --test-path: there is no lunesse/test.so in ../lib/lunesse beside this "
                "program: `make install` puts it there, and `make build` builds it\n");
        return 1;
    }
    puts(pattern);
    return 0;
}

/// Returns the exit code. A file that is there stays.
static int write_settings(void)
{
    char pattern[PATH_MAX];
    int failure = places_find_kit(pattern, sizeof(pattern));
    if (failure != 0) {
        return print_pattern();
    }
    int fd = open(".busted", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0 && errno == EEXIST) {
        fprintf(stderr,
                "lunesse test --init: .busted is there already: remove it first, or put\n"
                "  cpath = \"%s;./?.so\"\ninto its _all\n",
                pattern);
        return 1;
    }
    if (fd < 0) {
        fprintf(stderr, "lunesse test --init: cannot write .busted: %s\n", strerror(errno));
        return 1;
    }
    int written =
        dprintf(fd,
                "-- How busted runs the specs here: `lunesse test`, or plain `busted`.\n"
                "return {\n"
                "  _all = {\n"
                "    cpath = \"%s;./?.so\", -- where lunesse.test is\n"
                "    lua = _VERSION ~= \"Lua 5.4\" and \"lua5.4\" or nil, -- which it needs\n"
                "  },\n"
                "  default = { ROOT = { \"spec\" } },\n"
                "}\n",
                pattern);
    close(fd);
    if (written < 0) {
        fprintf(stderr, "lunesse test --init: cannot write .busted: %s\n", strerror(errno));
        return 1;
    }
    puts("wrote .busted: specs are the *_spec.lua files in spec/");
    return 0;
}

static bool has_word(int count, char **arguments, const char *word)
{
    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], word) == 0) {
            return true;
        }
    }
    return false;
}

/// Runs a chunk. busted ends the process with its own exit code when a spec fails.
static int run(const char *chunk, int count, char **arguments)
{
    lua_State *L = luaL_newstate();
    if (L == NULL) {
        fprintf(stderr, "lunesse test: no memory\n");
        return 1;
    }
    DCHECK(lua_gettop(L) == 0);
    luaL_openlibs(L);
    fill(L, count, arguments);
    int result = 1;
    lua_pushcfunction(L, l_preload);
    int status = lua_pcall(L, 0, 0, 0);
    if (status == LUA_OK) {
        status = luaL_loadbufferx(L, chunk, strlen(chunk), "=lunesse test", "t");
    }
    if (status == LUA_OK) {
        status = lua_pcall(L, 0, 1, 0);
    }
    if (status != LUA_OK) {
        fprintf(stderr, "lunesse test: %s\n", luaL_tolstring(L, -1, NULL));
    } else {
        result = finish_run(L);
    }
    lua_close(L);
    return result;
}

/// Returns the exit code that the chunk has returned, or says why busted is not there.
static int finish_run(lua_State *L)
{
    DCHECK(lua_isinteger(L, -1) || lua_isstring(L, -1));
    if (lua_isinteger(L, -1)) {
        return (int)lua_tointeger(L, -1);
    }
    fprintf(stderr,
            "lunesse test: busted is not there: install it with `apt-get install lua-busted`, "
            "or with `luarocks --lua-version 5.4 install busted`\n%s\n",
            lua_tostring(L, -1));
    return EXIT_NO_BUSTED;
}

/// Has `require` find the kit and what --watch needs.
static int l_preload(lua_State *L)
{
    l_preload_test(L);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_pushcfunction(L, l_open_watcher);
    lua_setfield(L, -2, "lunesse.test.watcher");
    return 0;
}

/// Sets the global `arg`, which busted reads.
static void fill(lua_State *L, int count, char **arguments)
{
    DCHECK(count >= 1 && arguments[count] == NULL);
    lua_newtable(L);
    lua_pushliteral(L, "lunesse test");
    lua_rawseti(L, -2, 0);
    for (int i = 1; i < count; i++) {
        lua_pushstring(L, arguments[i]);
        lua_rawseti(L, -2, i);
    }
    lua_setglobal(L, "arg");
}
