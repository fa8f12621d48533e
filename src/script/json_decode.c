// SPDX-License-Identifier: MIT
//
// The reader of wire/ cuts the text into tokens. A token that is a whole value is pushed and stored
// in the table below it on the stack; one that opens an array or an object pushes a new table; one
// that closes it leaves the table on the stack as a whole value. The state of the work is a struct
// on the C stack. Only when the slice is over does it move into a userdata, and the work goes on
// there in a later turn.
#include "script/json_decode.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/error.h"
#include "script/box.h"
#include "script/json_value.h"
#include "script/slice.h"
#include "wire/json_position.h"
#include "wire/json_reader.h"
#include "wire/json_string.h"

#include <assert.h>

enum {
    TEXT = 1,
    STATE,
    ARRAY_CLASS,
    VALUES
}; // indices of the stack; the tables and keys of open levels follow

enum {
    LOOK_BYTES = 8 * 1024,   // bytes of text between two looks at the clock
    LONG_BYTES = 128 * 1024, // a text of so many bytes waits for its turn before it is begun
};

/// The state of the work that is not on the Lua stack. It is on the C stack until the work gives
/// way, then in a userdata.
struct decoding {
    struct json_reader reader;
    lua_Integer counts[JSON_DEPTH_MAX]; // how many items each level has so far, if it is an array
};

static int begin(lua_State *L, struct decoding *decoding);
static int l_go_on(lua_State *L, int status, lua_KContext context);
static int run(lua_State *L, struct decoding *decoding);
static int give_way(lua_State *L, struct decoding *decoding);
static bool take(lua_State *L, struct decoding *decoding, const struct json_token *token);
static void push_text(lua_State *L, const struct json_token *token);
static void push_number(lua_State *L, const struct json_number *number);
static void store(lua_State *L, struct decoding *decoding);
static int push_refusal(lua_State *L, const struct json_reader *reader, int failure);

int json_decode_or_raise(lua_State *L)
{
    struct decoding decoding;
    size_t len = 0;
    lua_insert(L, TEXT);
    lua_settop(L, TEXT);
    const char *at = lua_tolstring(L, TEXT, &len); // valid while it stays on the stack
    json_reader_init(&decoding.reader, bytes_of(at, len));
    lua_pushnil(L);
    json_value_push_array_class(L);
    static_assert(JSON_DEPTH_MAX <= 1000, "the levels fit on a stack of Lua's");
    DCHECK(lua_gettop(L) == ARRAY_CLASS && lua_istable(L, ARRAY_CLASS));
    luaL_checkstack(L, 2 * JSON_DEPTH_MAX + LUA_MINSTACK, "no room to decode JSON");
    return begin(L, &decoding);
}

static int begin(lua_State *L, struct decoding *decoding)
{
    if (decoding->reader.text.len >= LONG_BYTES && slice_is_over(L, 0)) {
        return give_way(L, decoding);
    }
    return run(L, decoding);
}

static int l_go_on(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    return run(L, lua_touserdata(L, STATE));
}

/// Decodes until the text or the slice ends. Returns a value, or `nil, message, "EJSON"`.
static int run(lua_State *L, struct decoding *decoding)
{
    uint64_t end_ns = 0; // set at the first look at the clock, because most texts are short
    size_t look_at = decoding->reader.at + LOOK_BYTES;
    struct json_token token;
    for (;;) {
        int failure = json_next(&decoding->reader, &token);
        if (failure != 0) {
            return push_refusal(L, &decoding->reader, failure);
        }
        if (token.kind == JSON_END) {
            DCHECK(lua_gettop(L) == VALUES && decoding->reader.depth == 0);
            return 1;
        }
        if (take(L, decoding, &token)) {
            store(L, decoding);
        }
        if (decoding->reader.at >= look_at) {
            look_at = decoding->reader.at + LOOK_BYTES;
            if (end_ns == 0) {
                end_ns = slice_end_ns();
            } else if (slice_is_over(L, end_ns)) {
                return give_way(L, decoding);
            }
        }
    }
}

static int give_way(lua_State *L, struct decoding *decoding)
{
    if (lua_isnil(L, STATE)) {
        struct decoding *kept = lua_newuserdatauv(L, sizeof(struct decoding), 0);
        *kept = *decoding;
        lua_replace(L, STATE);
    }
    DCHECK(lua_touserdata(L, STATE) != NULL);
    return slice_give_way(L, l_go_on, 0);
}

/// Pushes what the token stands for. Returns true if that is a whole value. A table that the token
/// ends is on the stack already.
static bool take(lua_State *L, struct decoding *decoding, const struct json_token *token)
{
    switch (token->kind) {
    case JSON_NULL:
        json_value_push_null(L);
        return true;
    case JSON_FALSE:
    case JSON_TRUE:
        lua_pushboolean(L, token->kind == JSON_TRUE);
        return true;
    case JSON_NUMBER:
        push_number(L, &token->number);
        return true;
    case JSON_STRING:
        push_text(L, token);
        return true;
    case JSON_KEY:
        push_text(L, token);
        return false;
    case JSON_ARRAY:
        lua_newtable(L);
        lua_pushvalue(L, ARRAY_CLASS);
        lua_setmetatable(L, -2);
        decoding->counts[decoding->reader.depth - 1] = 0;
        return false;
    case JSON_OBJECT:
        lua_newtable(L);
        return false;
    case JSON_ARRAY_END:
    case JSON_OBJECT_END:
        return true;
    case JSON_END:
        break;
    }
    UNREACHABLE();
}

/// Pushes a string. With escapes it is made in a buffer of Lua's, so that nothing leaks when memory
/// runs out.
static void push_text(lua_State *L, const struct json_token *token)
{
    if (!token->has_escapes) {
        lua_pushlstring(L, token->text.at, token->text.len);
        return;
    }
    luaL_Buffer buffer;
    char *room = luaL_buffinitsize(L, &buffer, token->text.len);
    luaL_pushresultsize(&buffer, json_unescape(token->text, room));
}

static void push_number(lua_State *L, const struct json_number *number)
{
    switch (number->form) {
    case JSON_INTEGER:
        lua_pushinteger(L, number->integer);
        return;
    case JSON_DOUBLE:
        lua_pushnumber(L, number->number);
        return;
    case JSON_DIGITS:
        json_value_push_digits(L, number->digits);
        return;
    }
    UNREACHABLE();
}

/// Stores the value: [.., array, value] or [.., object, key, value]. Of a key that comes twice the
/// last value counts, as in JavaScript.
static void store(lua_State *L, struct decoding *decoding)
{
    uint32_t depth = decoding->reader.depth;
    DCHECK(depth <= JSON_DEPTH_MAX);
    if (depth == 0) {
        return;
    }
    DCHECK(lua_istable(L, json_reader_is_in_array(&decoding->reader) ? -2 : -3));
    if (json_reader_is_in_array(&decoding->reader)) {
        lua_rawseti(L, -2, ++decoding->counts[depth - 1]);
    } else {
        lua_rawset(L, -3);
    }
}

static int push_refusal(lua_State *L, const struct json_reader *reader, int failure)
{
    struct json_position place = json_position(reader->text, reader->at);
    lua_settop(L, VALUES - 1); // drops all that was half made
    lua_pushnil(L);
    lua_pushfstring(L, "%s at line %I, column %I", error_text(failure), (LUAI_UACINT)place.line,
                    (LUAI_UACINT)place.column);
    lua_pushliteral(L, "EJSON");
    return 3;
}
