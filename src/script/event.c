// SPDX-License-Identifier: MIT
#include "script/event.h"

#include "base/check.h"
#include "script/box.h"
#include "script/event_field.h"
#include "script/json_encode.h"
#include "script/json_value.h"
#include "script/lib_event.h"

static int l_put_text(lua_State *L);
static struct sse_event check_arguments(lua_State *L, bool has_ids);
static void check_names(lua_State *L, const struct sse_event *event, int count);

struct sse_event check_event(lua_State *L, bool has_ids)
{
    struct bytes digits;
    if (lua_gettop(L) == 2 && lua_type(L, 2) == LUA_TUSERDATA &&
        !json_value_is_digits(L, 2, &digits)) {
        struct sse_event event = check_event_box(L, 2);
        luaL_argcheck(L, has_ids || !event.has_id, 2,
                      "a channel's events get their ids from the engine");
        return event;
    }
    struct sse_event event = check_arguments(L, has_ids);
    check_names(L, &event, lua_gettop(L));
    return event;
}

bool event_is_table(lua_State *L)
{
    return lua_gettop(L) > 1 && lua_istable(L, -1);
}

int event_encode_or_raise(lua_State *L, lua_CFunction then)
{
    DCHECK(event_is_table(L));
    lua_pushcfunction(L, then);
    return json_encode_or_raise(L, lua_gettop(L) - 1, l_put_text);
}

/// Puts the text, which the table was encoded into, in the table's place, and goes on with `then`.
/// [.., table, then, text] -> [.., text]
static int l_put_text(lua_State *L)
{
    lua_CFunction then = lua_tocfunction(L, -2);
    DCHECK(then != NULL && lua_istable(L, -3) && lua_type(L, -1) == LUA_TSTRING);
    lua_replace(L, -3);
    lua_pop(L, 1);
    return then(L);
}

/// Decides by the number of arguments and not by their truth: "", 0 and false are data.
static struct sse_event check_arguments(lua_State *L, bool has_ids)
{
    struct sse_event event = {.has_data = true};
    int count = lua_gettop(L) - 1;
    int count_max = has_ids ? 3 : 2;
    luaL_argcheck(L, count >= 1 && count <= count_max, count < 1 ? 2 : count_max + 2,
                  has_ids ? "data; event, data; or id, event, data expected"
                          : "data; or event, data expected");
    event.data = check_data(L, count + 1, count + 1);
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

static void check_names(lua_State *L, const struct sse_event *event, int count)
{
    luaL_argcheck(L, !event->has_id || sse_is_one_line(event->id), 2, EVENT_BAD_ID);
    luaL_argcheck(L, !event->has_event || sse_is_one_line(event->event), count == 4 ? 3 : 2,
                  EVENT_BAD_NAME);
}
