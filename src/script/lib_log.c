// SPDX-License-Identifier: MIT
#include "script/lib_log.h"

#include "base/check.h"
#include "base/log.h"
#include "script/box.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { LOG_FIELDS_MAX = 32 };

static int l_log(lua_State *L);
static int l_log_is_on(lua_State *L);
static enum log_level check_level(lua_State *L);
static void push_value(lua_State *L, struct log_field *field);
static size_t check_fields(lua_State *L, int index, struct log_field *fields);
static bool is_taken(struct bytes key);
static void sort(struct log_field *fields, size_t count);

const luaL_Reg lib_log_functions[] = {{"log", l_log}, {"log_is_on", l_log_is_on}, {NULL, NULL}};

/// log(level, text, fields, json). `json` has the JSON of those fields that are tables.
static int l_log(lua_State *L)
{
    enum log_level level = check_level(L);
    struct bytes text = check_bytes(L, 2);
    struct log_field fields[LOG_FIELDS_MAX];
    size_t count = 0;
    if (!log_is_on(level)) {
        return 0;
    }
    if (!lua_isnoneornil(L, 3)) {
        luaL_checktype(L, 3, LUA_TTABLE);
        lua_settop(L, 4);
        count = check_fields(L, 3, fields);
        sort(fields, count);
    }
    log_record(level, text, fields, count);
    return 0;
}

static int l_log_is_on(lua_State *L)
{
    lua_pushboolean(L, log_is_on(check_level(L)));
    return 1;
}

static enum log_level check_level(lua_State *L)
{
    static const char *const levels[] = {"debug", "info", "warn", "error", NULL};
    return (enum log_level)luaL_checkoption(L, 1, NULL, levels);
}

/// Reads the fields. Keys and values stay on the stack, so that their bytes live until the record
/// is written.
static size_t check_fields(lua_State *L, int index, struct log_field *fields)
{
    size_t count = 0;
    static_assert(LOG_FIELDS_MAX == 32, "the message says so");
    luaL_checkstack(L, 3 * LOG_FIELDS_MAX + LUA_MINSTACK, "too many log fields");
    lua_pushnil(L);
    while (lua_next(L, index) != 0) { // [.., key, value]
        luaL_argcheck(L, count < LOG_FIELDS_MAX, index, "at most 32 fields");
        luaL_argcheck(L, lua_type(L, -2) == LUA_TSTRING, index, "field names are strings");
        struct bytes key = check_bytes(L, -2);
        for (size_t i = 0; i < key.len; i++) {
            bool is_plain =
                strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-",
                       key.at[i]) != NULL &&
                key.at[i] != '\0';
            luaL_argcheck(L, is_plain, index, "a field name is letters, digits, '_', '.' and '-'");
        }
        luaL_argcheck(L, key.len > 0 && !is_taken(key), index,
                      "a field is not called '', time, level or text: each record has those");
        fields[count] = (struct log_field){.key = key};
        push_value(L, &fields[count++]); // [.., key, value, text]
        lua_pushvalue(L, -3);            // [.., key, value, text, key]
    }
    return count;
}

/// Pushes the text of the value on top, and fills in `field`. A value that JSON has a form for is
/// written in that form.
static void push_value(lua_State *L, struct log_field *field)
{
    int value = lua_gettop(L); // [.., key, value]
    DCHECK(lua_type(L, value - 1) == LUA_TSTRING);
    bool has_json = false;
    if (lua_istable(L, 4)) {
        lua_pushvalue(L, value - 1);
        has_json = lua_rawget(L, 4) == LUA_TSTRING;
    }
    bool is_number = lua_type(L, value) == LUA_TNUMBER;
    if (!has_json) {
        lua_settop(L, value);
        luaL_tolstring(L, value, NULL);
    }
    if (is_number && isnan(lua_tonumber(L, value))) {
        lua_settop(L, value);
        lua_pushliteral(L, "nan"); // the C library may write a sign, which has no meaning
    }
    is_number = is_number && isfinite(lua_tonumber(L, value));
    bool is_json = has_json || is_number || lua_isboolean(L, value);
    field->type = is_json ? LOG_FIELD_JSON : LOG_FIELD_BYTES;
    field->text.at = lua_tolstring(L, -1, &field->text.len);
    DCHECK(lua_gettop(L) == value + 1 && field->text.at != NULL);
}

/// Whether each record has a field of this name already.
static bool is_taken(struct bytes key)
{
    return bytes_equal(key, BYTES("time")) || bytes_equal(key, BYTES("level")) ||
           bytes_equal(key, BYTES("text"));
}

/// Sorts the fields, because a table has no order and a log line should have one.
static void sort(struct log_field *fields, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct log_field field = fields[i];
        size_t at = i;
        while (at > 0 && strcmp(fields[at - 1].key.at, field.key.at) > 0) {
            fields[at] = fields[at - 1];
            at--;
        }
        fields[at] = field;
    }
}
