// SPDX-License-Identifier: MIT
//
// A call goes through two protected calls of Lua. `l_open` makes what the state has, once, and
// leaves the function that pool_thread.lua returns at the bottom of the stack. Then that function
// is called with the name and the arguments. It catches what the module raises, so an error that
// arrives here is one of loading, or of memory.
#include "script/pool_state.h"

#include "base/check.h"
#include "base/environment.h"
#include "base/mem.h"
#include "script/embedded.h"
#include "script/lib_json.h"
#include "script/lib_standard.h"
#include "script/parts.h"

#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

#define THREAD_MODULE "lunesse.pool_thread"

enum { CALL = 1 }; // where the function stands in an open state
enum { RESULT_COUNT = 2 };

static lua_State *open_state(const struct pool_source *source, struct pool_answer *answer);
static int l_open(lua_State *L);
static void set_path(lua_State *L, const char *name, const char *value);
static void push_thread_chunk_or_raise(lua_State *L);
static void call(lua_State *L, struct bytes name, struct bytes arguments,
                 struct pool_answer *answer);
static const char *known_outcome(const char *outcome);
static void answer_with(struct pool_answer *answer, const char *outcome, struct bytes text);
static struct bytes message_on_top(lua_State *L);

void pool_state_call(lua_State **L, const struct pool_source *source, struct bytes name,
                     struct bytes arguments, struct pool_answer *answer)
{
    DCHECK(source->module != NULL && answer->text == NULL);
    if (*L == NULL) {
        *L = open_state(source, answer);
    }
    if (*L != NULL) {
        call(*L, name, arguments, answer);
    }
    CHECK(answer->outcome != NULL);
}

void pool_state_free(lua_State *L)
{
    if (L != NULL) {
        lua_close(L);
    }
}

/// NULL when the module cannot be loaded; then the answer says why not.
static lua_State *open_state(const struct pool_source *source, struct pool_answer *answer)
{
    static struct coroutine_mark mark = {.parts = NULL};
    lua_State *L = luaL_newstate();
    if (L == NULL) {
        answer_with(answer, "unloaded", BYTES("there is no memory for a Lua state"));
        return NULL;
    }
    *(struct coroutine_mark **)lua_getextraspace(L) = &mark; // its coroutines get a copy
    lua_pushcfunction(L, l_open);
    lua_pushlightuserdata(L, (void *)source);
    if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
        answer_with(answer, "unloaded", message_on_top(L));
        lua_close(L);
        return NULL;
    }
    DCHECK(lua_gettop(L) == CALL && lua_isfunction(L, CALL));
    return L;
}

/// l_open(source) -> the function that calls the module's functions
static int l_open(lua_State *L)
{
    const struct pool_source *source = lua_touserdata(L, 1);
    lib_standard_register(L);
    if (environment_is_still(environment_here)) {
        lua_pushcfunction(L, l_seed_random);
        lua_call(L, 0, 0);
    }
    set_path(L, "path", source->path);
    set_path(L, "cpath", source->cpath);
    push_thread_chunk_or_raise(L);
    lib_json_push(L);
    lua_pushstring(L, source->module);
    lua_call(L, 2, 1);
    return 1;
}

static void set_path(lua_State *L, const char *name, const char *value)
{
    lua_getglobal(L, LUA_LOADLIBNAME);
    lua_pushstring(L, value);
    lua_setfield(L, -2, name);
    lua_pop(L, 1);
}

static void push_thread_chunk_or_raise(lua_State *L)
{
    const struct embedded_lua *file = embedded_lua;
    while (strcmp(file->name, THREAD_MODULE) != 0) {
        file++;
        CHECK(file < embedded_lua + embedded_lua_count);
    }
    if (luaL_loadbuffer(L, (const char *)file->bytes, file->len, "=" THREAD_MODULE) != LUA_OK) {
        lua_error(L);
    }
}

static void call(lua_State *L, struct bytes name, struct bytes arguments,
                 struct pool_answer *answer)
{
    lua_settop(L, CALL);
    lua_pushvalue(L, CALL);
    lua_pushlstring(L, name.at, name.len);
    lua_pushlstring(L, arguments.at, arguments.len);
    if (lua_pcall(L, 2, RESULT_COUNT, 0) != LUA_OK) {
        answer_with(answer, "text", message_on_top(L));
    } else {
        size_t len = 0;
        const char *text = lua_tolstring(L, -1, &len);
        DCHECK(lua_gettop(L) == CALL + RESULT_COUNT && text != NULL);
        answer_with(answer, known_outcome(lua_tostring(L, -RESULT_COUNT)), bytes_of(text, len));
    }
    lua_settop(L, CALL);
}

/// The outcome as a constant, since the string is the state's.
static const char *known_outcome(const char *outcome)
{
    static const char *const all[] = {"returned", "raised", "text", "mistake"};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (strcmp(all[i], outcome) == 0) {
            return all[i];
        }
    }
    UNREACHABLE();
}

static void answer_with(struct pool_answer *answer, const char *outcome, struct bytes text)
{
    char *copy = mem_try_resize(NULL, text.len + 1);
    DCHECK(answer->text == NULL);
    if (copy == NULL) {
        answer->outcome = "text";
        answer->text = mem_string(BYTES("there is no memory for the result"));
        answer->len = strlen(answer->text);
        return;
    }
    memcpy(copy, text.at, text.len);
    *answer = (struct pool_answer){.outcome = outcome, .text = copy, .len = text.len};
}

/// What was raised, if it is a text. A module may raise anything while it is loaded.
static struct bytes message_on_top(lua_State *L)
{
    size_t len = 0;
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &len) : NULL;
    return text == NULL ? BYTES("(what was raised is no text)") : bytes_of(text, len);
}
