// SPDX-License-Identifier: MIT
//
// The options move in two steps. `check_channel_options` reads all of them and raises for the first
// that is wrong, so that nothing has changed by then. `apply_channel_options_or_raise` reads them
// again and hands them to the channel. While the scripts load, the options of a channel that was
// there before wait in a list in between, as copies, because the script may change its table.
#include "script/channel_options.h"

#include "base/check.h"
#include "hub/group.h"
#include "hub/local_hub.h"
#include "hub/replica.h"
#include "script/application.h"
#include "script/channel_box.h"
#include "script/event_field.h"
#include "script/parts.h"
#include "wire/sse.h"

enum { NOTICE_BYTES_MAX = 4096 }; // of the texts of one notice

// The registry keeps the list of postponed options under the address of this.
static const char postponed_key;

/// By enum channel_event: the option with the texts of a notice, and the one with its name alone.
static const struct {
    const char *texts, *name;
} notice_options[CHANNEL_EVENT_COUNT] = {{"reset", "reset_event"}, {"lagged", "lagged_event"}};

static uint64_t check_count(lua_State *L, const char *name);
static void check_lag(lua_State *L);
static bool opt_notice(lua_State *L, enum channel_event which, struct sse_event *texts);
static void check_notice_texts(lua_State *L, const char *option, struct sse_event *texts);
static void check_notice_fields(lua_State *L, const char *option);
static void copy_notices_or_raise(lua_State *L);
static int l_apply_postponed(lua_State *L);

const char *const channel_option_names[] = {"history",      "bytes", "ttl",    "on_lag",
                                            "group",        "reset", "lagged", "reset_event",
                                            "lagged_event", NULL};

const char *const group_option_names[] = {"channels", "bytes", NULL};

void check_channel_options(lua_State *L, struct journal_bounds *bounds)
{
    int top = lua_gettop(L);
    if (opt_field(L, 2, "history") != LUA_TNIL) {
        bounds->count = check_count(L, "history");
    }
    if (opt_field(L, 2, "bytes") != LUA_TNIL) {
        bounds->bytes = check_count(L, "bytes");
    }
    int type = opt_field(L, 2, "ttl");
    if (type == LUA_TBOOLEAN && !lua_toboolean(L, -1)) {
        bounds->ttl_ms = UINT64_MAX;
    } else if (type != LUA_TNIL) {
        bounds->ttl_ms = check_duration_option_ms(L, 2, "ttl");
    }
    check_lag(L);
    check_group(L);
    for (int which = 0; which < CHANNEL_EVENT_COUNT; which++) {
        struct sse_event texts;
        opt_notice(L, (enum channel_event)which, &texts);
    }
    lua_settop(L, top);
}

struct group *check_group(lua_State *L)
{
    int type = opt_field(L, 2, "group");
    struct group *group = NULL;
    if (type == LUA_TSTRING) {
        struct hub *hub = parts_of(L)->options->local_hub->hub;
        hub_lock(hub);
        group = group_find(hub->groups, bytes_of(lua_tostring(L, -1), lua_rawlen(L, -1)));
        hub_unlock(hub);
    }
    luaL_argcheck(L, type == LUA_TNIL || group != NULL, 2,
                  "group: a name that was given to lunesse.channel_group expected");
    lua_pop(L, 1);
    return group;
}

void check_group_options(lua_State *L, struct group *limits)
{
    uint64_t *const members[] = {&limits->channel_count_max, &limits->bytes_max};
    int top = lua_gettop(L);
    for (size_t i = 0; group_option_names[i] != NULL; i++) {
        int type = opt_field(L, 2, group_option_names[i]);
        if (type == LUA_TBOOLEAN && !lua_toboolean(L, -1)) {
            *members[i] = UINT64_MAX;
        } else if (type != LUA_TNIL) {
            *members[i] = check_count(L, group_option_names[i]);
        }
    }
    lua_settop(L, top);
}

void apply_group_options_or_raise(lua_State *L, struct bytes name)
{
    struct hub *hub = parts_of(L)->options->local_hub->hub;
    hub_lock(hub);
    struct group *group = group_find(hub->groups, name);
    struct group limits = *group;
    hub_unlock(hub);
    check_group_options(L, &limits);
    hub_lock(hub);
    group->channel_count_max = limits.channel_count_max;
    group->bytes_max = limits.bytes_max;
    hub_unlock(hub);
}

void apply_channel_options_or_raise(lua_State *L, struct replica *replica)
{
    if (!lua_istable(L, 2)) {
        return;
    }
    int top = lua_gettop(L);
    struct journal_bounds bounds = replica_bounds(replica);
    check_channel_options(L, &bounds);
    replica_set_bounds(replica, &bounds);
    if (lua_getfield(L, 2, "on_lag") == LUA_TSTRING) {
        bool is_skip = strcmp(lua_tostring(L, -1), "skip") == 0;
        replica_set_lag(replica, is_skip ? CHANNEL_SKIP : CHANNEL_RESUME);
    }
    for (int which = 0; which < CHANNEL_EVENT_COUNT; which++) {
        struct sse_event texts;
        if (opt_notice(L, (enum channel_event)which, &texts) &&
            channel_set_notice(replica->channel, (enum channel_event)which, &texts) != 0) {
            luaL_error(L, "there is no memory for the texts of a notice");
        }
    }
    lua_settop(L, top);
}

void postpone_options_or_raise(lua_State *L, const char *const *names)
{
    if (!lua_istable(L, 2)) {
        return;
    }
    DCHECK(lua_gettop(L) == 3); // [name, options, box or name]
    DCHECK(application_stage(parts_of(L)->application) == APPLICATION_LOADING);
    lua_newtable(L);
    for (size_t i = 0; names[i] != NULL; i++) {
        lua_getfield(L, 2, names[i]);
        lua_setfield(L, 4, names[i]);
    }
    copy_notices_or_raise(L);
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &postponed_key) == LUA_TNIL) {
        lua_newtable(L);
        lua_replace(L, 5);
        lua_pushvalue(L, 5);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &postponed_key);
    }
    lua_Integer count = (lua_Integer)lua_rawlen(L, 5);
    lua_pushvalue(L, 3);
    lua_rawseti(L, 5, count + 1);
    lua_pushvalue(L, 4);
    lua_rawseti(L, 5, count + 2);
    lua_settop(L, 3);
}

enum call_outcome apply_postponed_options(struct parts *parts)
{
    lua_pushcfunction(parts->L, l_apply_postponed);
    return call_main(parts, 0, 0);
}

static uint64_t check_count(lua_State *L, const char *name)
{
    int is_whole = 0;
    lua_Integer count = lua_tointegerx(L, -1, &is_whole);
    if (lua_type(L, -1) != LUA_TNUMBER || !is_whole || count < 0) {
        luaL_argerror(L, 2, lua_pushfstring(L, "%s: a whole number, 0 or more, expected", name));
    }
    return (uint64_t)count;
}

static void check_lag(lua_State *L)
{
    int type = opt_field(L, 2, "on_lag");
    const char *lag = type == LUA_TSTRING ? lua_tostring(L, -1) : "";
    bool is_known = strcmp(lag, "resume") == 0 || strcmp(lag, "skip") == 0;
    luaL_argcheck(L, type == LUA_TNIL || is_known, 2, "on_lag: \"resume\" or \"skip\" expected");
}

/// Reads the texts that the options at index 2 give an in-band event. Returns false when they give
/// none. The texts stay on the stack.
static bool opt_notice(lua_State *L, enum channel_event which, struct sse_event *texts)
{
    const char *option = notice_options[which].texts;
    const char *name = notice_options[which].name;
    *texts = (struct sse_event){0};
    int type = opt_field(L, 2, option);
    bool has_name = opt_field(L, 2, name) != LUA_TNIL;
    if (type == LUA_TNIL && has_name) {
        check_event_name(L, 2, name);
        texts->has_event = true;
        texts->event = check_bytes(L, lua_gettop(L));
    } else if (type != LUA_TNIL) {
        if (type != LUA_TTABLE || has_name) {
            luaL_argerror(L, 2,
                          lua_pushfstring(L, "%s: a table with event and data, and no %s, expected",
                                          option, name));
        }
        lua_pop(L, 1);
        check_notice_texts(L, option, texts);
    }
    if (texts->event.len + texts->data.len > NOTICE_BYTES_MAX) {
        luaL_argerror(
            L, 2, lua_pushfstring(L, "%s: %d bytes at most expected", option, NOTICE_BYTES_MAX));
    }
    return type != LUA_TNIL || has_name;
}

/// Checks the name and the data that `option` gives to a notice, and fills in `texts`.
/// [texts] -> [texts, event, data]
static void check_notice_texts(lua_State *L, const char *option, struct sse_event *texts)
{
    int index = lua_gettop(L);
    check_notice_fields(L, option);
    texts->has_event = lua_getfield(L, index, "event") != LUA_TNIL;
    check_event_name(L, 2, option);
    int type = lua_getfield(L, index, "data");
    texts->has_data = type != LUA_TNIL;
    bool is_data = type == LUA_TSTRING || type == LUA_TNUMBER || type == LUA_TBOOLEAN ||
                   type == LUA_TTABLE || type == LUA_TNIL;
    if (!is_data) {
        luaL_argerror(
            L, 2,
            lua_pushfstring(L, "%s: data: a string, number, boolean or table expected", option));
    }
    if (texts->has_data) {
        texts->data = check_data(L, index + 2, 2);
    }
    if (texts->has_event) {
        texts->event = check_bytes(L, index + 1);
    }
}

/// Raises if the table on top of the stack has a field that no notice has.
static void check_notice_fields(lua_State *L, const char *option)
{
    int index = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, index) != 0) {
        lua_pop(L, 1); // [key]
        bool is_text = lua_type(L, -1) == LUA_TSTRING;
        const char *key = is_text ? lua_tostring(L, -1) : "";
        if (strcmp(key, "event") != 0 && strcmp(key, "data") != 0) {
            key = luaL_tolstring(L, -1, NULL);
            luaL_argerror(L, 2, lua_pushfstring(L, "%s: unknown field '%s'", option, key));
        }
    }
}

/// Copies the texts of the notices from the options at index 2 to the copy at index 4.
static void copy_notices_or_raise(lua_State *L)
{
    for (int which = 0; which < CHANNEL_EVENT_COUNT; which++) {
        struct sse_event texts;
        if (opt_notice(L, (enum channel_event)which, &texts)) {
            lua_newtable(L);
            if (texts.has_event) {
                lua_pushlstring(L, texts.event.at, texts.event.len);
                lua_setfield(L, -2, "event");
            }
            if (texts.has_data) {
                lua_pushlstring(L, texts.data.at, texts.data.len);
                lua_setfield(L, -2, "data");
            }
            lua_setfield(L, 4, notice_options[which].texts);
            lua_pushnil(L);
            lua_setfield(L, 4, notice_options[which].name);
        }
        lua_settop(L, 4);
    }
}

static int l_apply_postponed(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &postponed_key) == LUA_TNIL) {
        return 0;
    }
    DCHECK(lua_gettop(L) == 1 && lua_istable(L, 1)); // [list]
    lua_Integer count = (lua_Integer)lua_rawlen(L, 1);
    for (lua_Integer i = 1; i < count; i += 2) {
        lua_rawgeti(L, 1, i + 1);
        lua_rawgeti(L, 1, i); // [list, options, box or name]
        DCHECK(lua_istable(L, 2) && lua_gettop(L) == 3);
        if (lua_type(L, 3) == LUA_TSTRING) {
            apply_group_options_or_raise(L, check_bytes(L, 3));
        } else {
            apply_channel_options_or_raise(L, check_channel(L, 3));
        }
        lua_settop(L, 1);
    }
    return 0;
}
