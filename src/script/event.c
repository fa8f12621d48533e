// SPDX-License-Identifier: MIT
#include "script/event.h"

#include "script/box.h"

#include <string.h>

static struct sse_event check_arguments(lua_State *L, bool has_ids);
static void check_names(lua_State *L, const struct sse_event *event, int count);
static bool has_event_field(lua_State *L);
static struct sse_event check_table(lua_State *L);
static void check_fields(lua_State *L);
static struct bytes check_text_field(lua_State *L, const char *name, bool *is_there);
static struct bytes check_data(lua_State *L, int index);

static const char *const field_names[] = {"id", "event", "data", "retry", NULL};

struct sse_event check_event(lua_State *L, bool has_ids)
{
    int count = lua_gettop(L);
    struct sse_event event = check_arguments(L, has_ids);
    check_names(L, &event, count);
    luaL_argcheck(L, has_ids || !event.has_id, 2,
                  "a channel's events get their ids from the engine");
    return event;
}

/// By the number of arguments, never by their truth: "", 0 and false are data.
static struct sse_event check_arguments(lua_State *L, bool has_ids)
{
    struct sse_event event = {.has_data = true};
    int count = lua_gettop(L) - 1;
    int count_max = has_ids ? 3 : 2;
    luaL_argcheck(L, count >= 1 && count <= count_max, count < 1 ? 2 : count_max + 2,
                  has_ids ? "data; event, data; or id, event, data expected"
                          : "data; or event, data expected");
    if (count == 1 && lua_istable(L, 2) && has_event_field(L)) {
        return check_table(L);
    }
    event.data = check_data(L, count + 1);
    if (count >= 2) {
        event.has_event = true;
        event.event = check_bytes(L, count);
    }
    if (count == 3) {
        event.has_id = true;
        event.id = check_bytes(L, 2);
    }
    return event;
}

/// A single table with an event field is an event; any other, arrays included, is data. One that
/// mixes event fields with others could be meant either way, so it is refused.
static bool has_event_field(lua_State *L)
{
    bool is_found = false;
    for (size_t i = 0; field_names[i] != NULL; i++) {
        is_found = is_found || lua_getfield(L, 2, field_names[i]) != LUA_TNIL;
    }
    lua_settop(L, 2);
    return is_found;
}

static struct sse_event check_table(lua_State *L)
{
    struct sse_event event = {.has_data = true};
    check_fields(L);
    event.id = check_text_field(L, "id", &event.has_id);
    event.event = check_text_field(L, "event", &event.has_event);
    if (lua_getfield(L, 2, "retry") != LUA_TNIL) {
        event.has_retry = true;
        event.retry_ms = check_duration_option_ms(L, 2, "retry");
    }
    if (lua_getfield(L, 2, "data") == LUA_TNIL) {
        event.has_data = false;
        luaL_argcheck(L, event.has_id || event.has_retry || event.has_event, 2,
                      "id, event, data or retry expected");
    } else {
        event.data = check_data(L, lua_gettop(L));
    }
    return event;
}

static void check_fields(lua_State *L)
{
    lua_pushnil(L);
    while (lua_next(L, 2) != 0) {
        lua_pop(L, 1); // [.., key]
        bool is_known = false;
        for (size_t i = 0; field_names[i] != NULL; i++) {
            is_known = is_known || (lua_type(L, -1) == LUA_TSTRING &&
                                    strcmp(lua_tostring(L, -1), field_names[i]) == 0);
        }
        if (!is_known) {
            const char *key = luaL_tolstring(L, -1, NULL);
            luaL_argerror(L, 2,
                          lua_pushfstring(L,
                                          "event fields beside '%s'; to send the whole table as "
                                          "JSON, say { data = table }",
                                          key));
        }
    }
}

/// The strings stay alive in the table at index 2.
static struct bytes check_text_field(lua_State *L, const char *name, bool *is_there)
{
    int type = lua_getfield(L, 2, name);
    *is_there = type != LUA_TNIL;
    if (type == LUA_TNIL) {
        return BYTES("");
    }
    if (type != LUA_TSTRING && type != LUA_TNUMBER) {
        luaL_argerror(L, 2, lua_pushfstring(L, "%s must be a string", name));
    }
    return check_bytes(L, lua_gettop(L)); // stays on the stack
}

static struct bytes check_data(lua_State *L, int index)
{
    switch (lua_type(L, index)) {
    case LUA_TBOOLEAN:
        return lua_toboolean(L, index) ? BYTES("true") : BYTES("false");
    case LUA_TTABLE:
    case LUA_TLIGHTUSERDATA: // json null
        lua_rawgeti(L, LUA_REGISTRYINDEX, generation_of(L)->json_encode_ref);
        lua_pushvalue(L, index);
        lua_call(L, 1, 1);
        lua_replace(L, index);
        return check_bytes(L, index);
    default:
        return check_bytes(L, index);
    }
}

static void check_names(lua_State *L, const struct sse_event *event, int count)
{
    switch (sse_check_event(event)) {
    case SSE_BAD_ID:
        luaL_argerror(L, 2, "an event id has no line break and no NUL");
        return;
    case SSE_BAD_EVENT:
        luaL_argerror(L, count == 4 ? 3 : 2, "an event name has no line break and no NUL");
        return;
    default:
        return;
    }
}
