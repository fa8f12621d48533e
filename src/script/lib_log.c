// SPDX-License-Identifier: MIT
#include "script/lib_log.h"

#include "base/log.h"
#include "script/box.h"

#include <string.h>

enum { LOG_FIELDS_MAX = 32 };

static int l_log(lua_State *L);
static size_t gather(lua_State *L, int index, struct log_field *fields);
static bool is_taken(struct bytes key);
static void sort(struct log_field *fields, size_t count);

const luaL_Reg lib_log_functions[] = {{"log", l_log}, {NULL, NULL}};

static int l_log(lua_State *L)
{
    static const char *const levels[] = {"debug", "info", "warn", "error", NULL};
    enum log_level level = (enum log_level)luaL_checkoption(L, 1, NULL, levels);
    struct bytes text = check_bytes(L, 2);
    struct log_field fields[LOG_FIELDS_MAX];
    size_t count = 0;
    if (!log_is_on(level)) {
        return 0;
    }
    if (!lua_isnoneornil(L, 3)) {
        luaL_checktype(L, 3, LUA_TTABLE);
        count = gather(L, 3, fields);
        sort(fields, count);
    }
    log_record(level, text, fields, count);
    return 0;
}

/// Keys and values stay on the stack, so their bytes live until the record is written.
static size_t gather(lua_State *L, int index, struct log_field *fields)
{
    size_t count = 0;
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
        size_t len = 0;
        const char *at = luaL_tolstring(L, -1, &len); // [.., key, value, text]
        fields[count++] = (struct log_field){.key = key, .text = bytes_of(at, len)};
        lua_pushvalue(L, -3); // [.., key, value, text, key]
    }
    return count;
}

/// What a second field of the same name would make ambiguous.
static bool is_taken(struct bytes key)
{
    return bytes_equal(key, BYTES("time")) || bytes_equal(key, BYTES("level")) ||
           bytes_equal(key, BYTES("text"));
}

/// A table has no order; a log line should.
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
