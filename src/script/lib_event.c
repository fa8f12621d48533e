// SPDX-License-Identifier: MIT
//
// An event is one userdata: the lengths of its fields, and behind them their bytes. `check_fields`
// reads the fields of the table that the script gave, and `push_copy` copies them.
// `check_event_box` gives them back to those who send, as slices of the userdata.
#include "script/lib_event.h"

#include "base/check.h"
#include "script/event_field.h"
#include "script/json_value.h"

#include <string.h>

/// The memory of a box. The texts of id, event and data follow it, in this order.
struct event_box {
    bool has_id, has_event, has_data, has_retry;
    size_t id_len, event_len, data_len;
    uint64_t retry_ms;
    char text[];
};

static struct sse_event check_fields(lua_State *L);
static struct bytes check_text_field(lua_State *L, const char *name, bool *is_there);
static struct bytes check_data_field(lua_State *L, bool *is_there);
static void check_names(lua_State *L, const struct sse_event *event);
static void push_copy(lua_State *L, const struct sse_event *event);
static int push_field(lua_State *L, bool is_there, struct bytes text);
static int l_event(lua_State *L);
static int p_id(lua_State *L);
static int p_event(lua_State *L);
static int p_data(lua_State *L);
static int p_retry(lua_State *L);

static const luaL_Reg methods[] = {{NULL, NULL}};

static const struct box_property properties[] = {
    {"id", p_id}, {"event", p_event}, {"data", p_data}, {"retry", p_retry}, {NULL, NULL}};

const struct box_class lib_event_class = {"Event", methods, properties, NULL};

const luaL_Reg lib_event_functions[] = {{"event", l_event}, {NULL, NULL}};

struct sse_event check_event_box(lua_State *L, int index)
{
    const struct event_box *box = check_box(L, index, BOX_EVENT);
    const char *event = box->text + box->id_len;
    return (struct sse_event){
        .has_id = box->has_id,
        .has_event = box->has_event,
        .has_data = box->has_data,
        .has_retry = box->has_retry,
        .id = bytes_of(box->text, box->id_len),
        .event = bytes_of(event, box->event_len),
        .data = bytes_of(event + box->event_len, box->data_len),
        .retry_ms = box->retry_ms,
    };
}

/// event { id=, event=, data=, retry= } -> Event
static int l_event(lua_State *L)
{
    static const char *const names[] = {"id", "event", "data", "retry", NULL};
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_argcheck(L, lua_gettop(L) == 1, 2, "one table of fields expected");
    check_keys(L, 1, names, "field");
    struct sse_event event = check_fields(L);
    check_names(L, &event);
    push_copy(L, &event);
    return 1;
}

/// The texts stay on the stack.
static struct sse_event check_fields(lua_State *L)
{
    struct sse_event event = {.has_data = false};
    event.id = check_text_field(L, "id", &event.has_id);
    event.event = check_text_field(L, "event", &event.has_event);
    if (lua_getfield(L, 1, "retry") != LUA_TNIL) {
        event.has_retry = true;
        event.retry_ms = check_duration_option_ms(L, 1, "retry");
    }
    event.data = check_data_field(L, &event.has_data);
    luaL_argcheck(L, event.has_id || event.has_event || event.has_data || event.has_retry, 1,
                  "id, event, data or retry expected");
    return event;
}

static struct bytes check_text_field(lua_State *L, const char *name, bool *is_there)
{
    int type = lua_getfield(L, 1, name);
    *is_there = type != LUA_TNIL;
    if (type == LUA_TNIL) {
        return BYTES("");
    }
    if (type != LUA_TSTRING && type != LUA_TNUMBER) {
        luaL_argerror(L, 1, lua_pushfstring(L, "%s: a string expected", name));
    }
    return check_bytes(L, lua_gettop(L));
}

static struct bytes check_data_field(lua_State *L, bool *is_there)
{
    struct bytes digits;
    int type = lua_getfield(L, 1, "data");
    *is_there = type != LUA_TNIL;
    switch (type) {
    case LUA_TNIL:
        return BYTES("");
    case LUA_TBOOLEAN:
    case LUA_TLIGHTUSERDATA:
    case LUA_TNUMBER:
    case LUA_TSTRING:
    case LUA_TTABLE:
        return check_data(L, lua_gettop(L), 1);
    default:
        if (json_value_is_digits(L, -1, &digits)) {
            return digits;
        }
        luaL_getmetafield(L, -1, "__name");
        const char *got =
            lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : lua_typename(L, type);
        luaL_argerror(
            L, 1,
            lua_pushfstring(L, "data: a string, number, boolean or table expected, got %s", got));
        UNREACHABLE();
    }
}

static void check_names(lua_State *L, const struct sse_event *event)
{
    luaL_argcheck(L, !event->has_id || sse_is_one_line(event->id), 1, EVENT_BAD_ID);
    luaL_argcheck(L, !event->has_event || sse_is_one_line(event->event), 1, EVENT_BAD_NAME);
}

static void push_copy(lua_State *L, const struct sse_event *event)
{
    size_t len = event->id.len + event->event.len + event->data.len;
    struct event_box *box = lua_newuserdatauv(L, sizeof(struct event_box) + len, 0);
    *box = (struct event_box){
        .has_id = event->has_id,
        .has_event = event->has_event,
        .has_data = event->has_data,
        .has_retry = event->has_retry,
        .id_len = event->id.len,
        .event_len = event->event.len,
        .data_len = event->data.len,
        .retry_ms = event->retry_ms,
    };
    DCHECK(event->has_id || event->has_event || event->has_data || event->has_retry);
    char *at = box->text;
    const struct bytes texts[] = {event->id, event->event, event->data};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        memcpy(at, texts[i].at, texts[i].len);
        at += texts[i].len;
    }
    DCHECK(at == box->text + len);
    box_set_type(L, BOX_EVENT);
}

static int push_field(lua_State *L, bool is_there, struct bytes text)
{
    if (is_there) {
        lua_pushlstring(L, text.at, text.len);
    } else {
        lua_pushnil(L);
    }
    return 1;
}

static int p_id(lua_State *L)
{
    struct sse_event event = check_event_box(L, 1);
    return push_field(L, event.has_id, event.id);
}

static int p_event(lua_State *L)
{
    struct sse_event event = check_event_box(L, 1);
    return push_field(L, event.has_event, event.event);
}

/// The data as it is sent: a table has become JSON.
static int p_data(lua_State *L)
{
    struct sse_event event = check_event_box(L, 1);
    return push_field(L, event.has_data, event.data);
}

/// The time in seconds.
static int p_retry(lua_State *L)
{
    struct sse_event event = check_event_box(L, 1);
    if (event.has_retry) {
        lua_pushnumber(L, (lua_Number)event.retry_ms / 1000);
    } else {
        lua_pushnil(L);
    }
    return 1;
}
