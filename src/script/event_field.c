// SPDX-License-Identifier: MIT
#include "script/event_field.h"

#include "base/check.h"
#include "base/utf8.h"
#include "script/box.h"
#include "script/json_value.h"
#include "script/state.h"
#include "wire/sse.h"

static struct bytes check_value(lua_State *L, int index);

struct bytes check_data(lua_State *L, int index, int argument)
{
    DCHECK(index > 0 && argument > 0);
    struct bytes data = check_value(L, index);
    luaL_argcheck(L, utf8_partial_len(data) == 0, argument, EVENT_HALF_DATA);
    return data;
}

void check_event_name(lua_State *L, int argument, const char *name)
{
    int type = lua_type(L, -1);
    struct bytes text = type == LUA_TSTRING ? check_bytes(L, lua_gettop(L)) : BYTES("");
    bool is_name = text.len > 0 && sse_is_one_line(text);
    if (type != LUA_TNIL && !is_name) {
        luaL_argerror(
            L, argument,
            lua_pushfstring(L, "%s: an event name without line break and NUL expected", name));
    }
}

static struct bytes check_value(lua_State *L, int index)
{
    struct bytes digits;
    switch (lua_type(L, index)) {
    case LUA_TBOOLEAN:
        return lua_toboolean(L, index) ? BYTES("true") : BYTES("false");
    case LUA_TTABLE:
    case LUA_TLIGHTUSERDATA: // json null
        state_push_encoder(L);
        lua_pushvalue(L, index);
        lua_call(L, 1, 1);
        lua_replace(L, index);
        return check_bytes(L, index);
    case LUA_TUSERDATA:
        return json_value_is_digits(L, index, &digits) ? digits : check_bytes(L, index);
    default:
        return check_bytes(L, index);
    }
}
