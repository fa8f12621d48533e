// SPDX-License-Identifier: MIT
//
// A table is written in three passes, each of which can be interrupted after every step. The first
// counts the keys, and finds out whether the table is an array. The second, for objects alone,
// orders the keys as a heap. The third writes the values, and takes the keys of an object from the
// heap one by one. Tables within tables are levels; `step_or_raise` does a little of the innermost
// one. The state of the work is a struct on the C stack. Only when the slice is over does it move
// into a userdata, and the work goes on there in a later turn.
#include "script/json_encode.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/utf8.h"
#include "script/json_value.h"
#include "script/slice.h"
#include "wire/json_keys.h"
#include "wire/json_number.h"
#include "wire/json_reader.h"
#include "wire/json_string.h"

#include <assert.h>
#include <lauxlib.h>
#include <math.h>

enum {
    OUT_BYTES = 1024,  // bytes of a text that fits on the C stack
    KEYS_FIRST = 64,   // keys that the first heap has room for
    PATH_LEVELS = 16,  // levels that a message names
    LOOK_STEPS = 1024, // steps between two looks at the clock
};

/// Stack slots above those of the caller. The tables of the open levels follow. A level whose keys
/// are being counted has the last key on top of its table.
enum { OUT = 1, KEYS, HEAP, STATE, SLOT_COUNT = STATE };

/// The passes over a table.
enum { COUNTING, SETTLING, WRITING_ARRAY, WRITING_OBJECT };

/// A table that is being written.
struct level {
    uint8_t state;
    bool is_array;        // the table is marked as an array
    bool is_first;        // no value of it is written yet
    lua_Integer largest;  // the largest index; of an array also the number of items
    lua_Integer next;     // counting: how many indices so far; writing an array: the next index
    size_t first_key;     // where the keys of the object begin in the heap
    size_t key_count;     // how many keys of the object are still to be written
    size_t settle_at;     // see json_keys_settle
    lua_Integer last_tag; // place of the last written key in the table of keys
};

/// The state of the work that is not on the Lua stack. It is on the C stack until the work gives
/// way, then in a userdata.
struct encoding {
    lua_CFunction then;
    int base; // height of the stack as the caller left it
    uint32_t depth;
    uint32_t steps_left;
    uint64_t end_ns; // when the slice ends; 0 before the first look at the clock
    char *out;
    size_t len;
    size_t capacity;
    struct json_key *keys; // the heaps of all levels that are objects, one behind the other
    size_t key_count;
    size_t key_capacity;
    struct level levels[JSON_DEPTH_MAX];
    char first_bytes[OUT_BYTES];
};

static int l_go_on(lua_State *L, int status, lua_KContext context);
static int run_or_raise(lua_State *L, struct encoding *encoding);
static bool is_slice_over(lua_State *L, struct encoding *encoding);
static int give_way(lua_State *L, struct encoding *encoding);
static void step_or_raise(lua_State *L, struct encoding *encoding, struct level *level);
static void count_key_or_raise(lua_State *L, struct encoding *encoding, struct level *level);
static void add_key(lua_State *L, struct encoding *encoding, struct level *level);
static void begin_writing_or_raise(lua_State *L, struct encoding *encoding, struct level *level);
static void write_item_or_raise(lua_State *L, struct encoding *encoding, struct level *level);
static void write_member_or_raise(lua_State *L, struct encoding *encoding, struct level *level);
static void write_comma(lua_State *L, struct encoding *encoding, struct level *level);
static void end_level(lua_State *L, struct encoding *encoding, struct bytes end);
static void write_value_or_raise(lua_State *L, struct encoding *encoding);
static void write_digits_or_raise(lua_State *L, struct encoding *encoding);
static void open_level_or_raise(lua_State *L, struct encoding *encoding);
static void write_number_or_raise(lua_State *L, struct encoding *encoding);
static void write_string_or_raise(lua_State *L, struct encoding *encoding, struct bytes text);
static void write_bytes(lua_State *L, struct encoding *encoding, struct bytes bytes);
static char *reserve(lua_State *L, struct encoding *encoding, size_t size);
static void raise_refusal(lua_State *L, struct encoding *encoding, const char *what);
static void push_path(lua_State *L, const struct encoding *encoding);

int json_encode_or_raise(lua_State *L, int index, lua_CFunction then)
{
    static_assert(OUT_BYTES >= (int)JSON_NUMBER_LEN_MAX, "a number fits without a second buffer");
    DCHECK(index > 0 && index <= lua_gettop(L) && then != NULL);
    struct encoding encoding; // not cleared: most of it is written before it is read
    encoding.then = then;
    encoding.base = lua_gettop(L);
    encoding.depth = 0;
    encoding.steps_left = LOOK_STEPS;
    encoding.end_ns = 0;
    encoding.out = encoding.first_bytes;
    encoding.len = 0;
    encoding.capacity = sizeof(encoding.first_bytes);
    encoding.keys = NULL;
    encoding.key_count = 0;
    encoding.key_capacity = 0;
    luaL_checkstack(L, SLOT_COUNT + JSON_DEPTH_MAX + LUA_MINSTACK, "no room to encode JSON");
    lua_settop(L, encoding.base + SLOT_COUNT);
    lua_pushvalue(L, index);
    write_value_or_raise(L, &encoding);
    return run_or_raise(L, &encoding);
}

static int l_go_on(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    struct encoding *encoding = lua_touserdata(L, (int)context);
    encoding->end_ns = slice_end_ns();
    return run_or_raise(L, encoding);
}

static int run_or_raise(lua_State *L, struct encoding *encoding)
{
    while (encoding->depth > 0) {
        step_or_raise(L, encoding, &encoding->levels[encoding->depth - 1]);
        if (--encoding->steps_left == 0 && is_slice_over(L, encoding)) {
            return give_way(L, encoding);
        }
    }
    lua_CFunction then = encoding->then;
    int base = encoding->base;
    DCHECK(lua_gettop(L) == base + SLOT_COUNT);
    DCHECK(encoding->key_count == 0 && encoding->len > 0);
    lua_pushlstring(L, encoding->out, encoding->len);
    lua_replace(L, base + 1);
    lua_settop(L, base + 1);
    return then(L);
}

static bool is_slice_over(lua_State *L, struct encoding *encoding)
{
    encoding->steps_left = LOOK_STEPS;
    if (encoding->end_ns == 0) {
        encoding->end_ns = slice_end_ns();
        return false;
    }
    return slice_is_over(L, encoding->end_ns);
}

static int give_way(lua_State *L, struct encoding *encoding)
{
    int state = encoding->base + STATE;
    if (lua_isnil(L, state)) {
        struct encoding *kept = lua_newuserdatauv(L, sizeof(struct encoding), 0);
        *kept = *encoding;
        if (encoding->out == encoding->first_bytes) {
            kept->out = kept->first_bytes;
        }
        lua_replace(L, state);
    }
    DCHECK(lua_touserdata(L, state) != NULL);
    return slice_give_way(L, l_go_on, state);
}

/// Does a step of the innermost level. Its table, or the key that was counted last, is on top.
static void step_or_raise(lua_State *L, struct encoding *encoding, struct level *level)
{
    switch (level->state) {
    case COUNTING:
        if (lua_next(L, -2) != 0) { // [.., table, key, value]
            lua_pop(L, 1);
            count_key_or_raise(L, encoding, level);
        } else {
            begin_writing_or_raise(L, encoding, level); // [.., table]
        }
        return;
    case SETTLING:
        if (level->settle_at > 0) {
            json_keys_settle(encoding->keys + level->first_key, level->key_count,
                             level->settle_at--);
        } else {
            level->state = WRITING_OBJECT;
        }
        return;
    case WRITING_ARRAY:
        write_item_or_raise(L, encoding, level);
        return;
    default:
        write_member_or_raise(L, encoding, level);
        return;
    }
}

/// Counts a key of the table, and notes whether the table can still be an array.
/// [.., table, key] -> the same
static void count_key_or_raise(lua_State *L, struct encoding *encoding, struct level *level)
{
    if (lua_type(L, -1) == LUA_TSTRING) {
        add_key(L, encoding, level);
    } else if (lua_isinteger(L, -1) && lua_tointeger(L, -1) > 0) {
        lua_Integer index = lua_tointeger(L, -1);
        level->largest = index > level->largest ? index : level->largest;
        level->next++;
    } else {
        bool is_number = lua_type(L, -1) == LUA_TNUMBER;
        const char *key = is_number ? lua_tostring(L, -1) : luaL_typename(L, -1);
        raise_refusal(
            L, encoding,
            lua_pushfstring(L, "a table has a key that is neither a string nor an index: %s", key));
    }
    if (level->key_count > 0 && (level->next > 0 || level->is_array)) {
        raise_refusal(L, encoding, "a table is an array and has keys that are strings as well");
    }
}

/// Adds a key to the heap. The key is also kept in a table, so that its bytes stay valid even if
/// the script takes it out of the object meanwhile.
static void add_key(lua_State *L, struct encoding *encoding, struct level *level)
{
    int keys = encoding->base + KEYS;
    DCHECK(level == &encoding->levels[encoding->depth - 1]); // its keys are the last of the heap
    if (encoding->key_count == encoding->key_capacity) {
        size_t capacity = encoding->key_capacity == 0 ? KEYS_FIRST : 2 * encoding->key_capacity;
        struct json_key *heap = lua_newuserdatauv(L, capacity * sizeof(struct json_key), 0);
        if (encoding->key_count > 0) {
            memcpy(heap, encoding->keys, encoding->key_count * sizeof(struct json_key));
        }
        encoding->keys = heap;
        encoding->key_capacity = capacity;
        lua_replace(L, encoding->base + HEAP);
    }
    if (lua_isnil(L, keys)) {
        lua_newtable(L);
        lua_replace(L, keys);
    }
    size_t len = 0;
    const char *at = lua_tolstring(L, -1, &len);
    lua_Integer tag = (lua_Integer)encoding->key_count + 1;
    lua_pushvalue(L, -1);
    lua_rawseti(L, keys, tag);
    encoding->keys[encoding->key_count++] = json_key_of(bytes_of(at, len), tag);
    level->key_count++;
}

/// [.., table] Ends the counting: it is known now whether the table is an array.
static void begin_writing_or_raise(lua_State *L, struct encoding *encoding, struct level *level)
{
    bool is_array = level->is_array || level->largest > 0;
    if (level->largest != level->next) {
        raise_refusal(L, encoding,
                      lua_pushfstring(L, "an array has holes: %I items, and the last index is %I",
                                      (LUAI_UACINT)level->next, (LUAI_UACINT)level->largest));
    }
    level->next = 1;
    level->settle_at = level->key_count / 2;
    level->state = is_array ? WRITING_ARRAY : SETTLING;
    write_bytes(L, encoding, is_array ? BYTES("[") : BYTES("{"));
}

static void write_item_or_raise(lua_State *L, struct encoding *encoding, struct level *level)
{
    if (level->next > level->largest) {
        end_level(L, encoding, BYTES("]"));
        return;
    }
    if (lua_rawgeti(L, -1, level->next) == LUA_TNIL) {
        raise_refusal(L, encoding, "an array was changed while it was being encoded");
    }
    write_comma(L, encoding, level);
    level->next++;
    write_value_or_raise(L, encoding);
}

/// Writes the next member of an object. A key that the script has taken out meanwhile is left out.
static void write_member_or_raise(lua_State *L, struct encoding *encoding, struct level *level)
{
    if (level->key_count == 0) {
        end_level(L, encoding, BYTES("}"));
        return;
    }
    DCHECK(level->first_key + level->key_count <= encoding->key_count);
    struct json_key key = json_keys_take(encoding->keys + level->first_key, level->key_count--);
    level->last_tag = key.tag;
    lua_rawgeti(L, encoding->base + KEYS, key.tag); // [.., table, key]
    if (lua_rawget(L, -2) == LUA_TNIL) {
        lua_pop(L, 1);
        return;
    }
    write_comma(L, encoding, level);
    write_string_or_raise(L, encoding, key.text);
    write_bytes(L, encoding, BYTES(":"));
    write_value_or_raise(L, encoding);
}

static void write_comma(lua_State *L, struct encoding *encoding, struct level *level)
{
    if (!level->is_first) {
        write_bytes(L, encoding, BYTES(","));
    }
    level->is_first = false;
}

/// Writes the bracket that ends the innermost level, and goes back to the level around it.
/// [.., table] -> [..]
static void end_level(lua_State *L, struct encoding *encoding, struct bytes end)
{
    DCHECK(encoding->depth > 0 && lua_istable(L, -1));
    write_bytes(L, encoding, end);
    encoding->key_count = encoding->levels[encoding->depth - 1].first_key;
    encoding->depth--;
    lua_pop(L, 1);
}

/// Writes the value on top. An array or an object begins a level, which later steps write.
/// [.., value] -> [..], or a new level
static void write_value_or_raise(lua_State *L, struct encoding *encoding)
{
    size_t len = 0;
    const char *at;
    switch (lua_type(L, -1)) {
    case LUA_TTABLE:
        open_level_or_raise(L, encoding);
        return;
    case LUA_TSTRING:
        at = lua_tolstring(L, -1, &len);
        write_string_or_raise(L, encoding, bytes_of(at, len));
        break;
    case LUA_TNUMBER:
        write_number_or_raise(L, encoding);
        break;
    case LUA_TBOOLEAN:
        write_bytes(L, encoding, lua_toboolean(L, -1) ? BYTES("true") : BYTES("false"));
        break;
    case LUA_TUSERDATA:
        write_digits_or_raise(L, encoding);
        break;
    default:
        if (!json_value_is_null(L, -1)) {
            raise_refusal(L, encoding, lua_pushfstring(L, "a %s is no JSON", luaL_typename(L, -1)));
        }
        write_bytes(L, encoding, BYTES("null"));
        break;
    }
    lua_pop(L, 1);
}

/// Writes an integer that is kept as its digits. No other userdata has a form in JSON.
static void write_digits_or_raise(lua_State *L, struct encoding *encoding)
{
    struct bytes digits;
    if (!json_value_is_digits(L, -1, &digits)) {
        luaL_getmetafield(L, -1, "__name");
        const char *name = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "userdata";
        raise_refusal(L, encoding, lua_pushfstring(L, "a %s is no JSON", name));
    }
    write_bytes(L, encoding, digits);
}

/// Begins a level for the table on top: the walk over its keys starts at the nil.
/// [.., table] -> [.., table, nil]
static void open_level_or_raise(lua_State *L, struct encoding *encoding)
{
    if (encoding->depth == JSON_DEPTH_MAX) {
        raise_refusal(L, encoding, "tables are nested deeper than 128 levels, or in a circle");
    }
    encoding->levels[encoding->depth++] = (struct level){
        .state = COUNTING,
        .is_array = json_value_is_array(L, -1),
        .is_first = true,
        .first_key = encoding->key_count,
    };
    lua_pushnil(L);
}

static void write_number_or_raise(lua_State *L, struct encoding *encoding)
{
    if (lua_isinteger(L, -1)) {
        char *room = reserve(L, encoding, JSON_NUMBER_LEN_MAX);
        encoding->len += json_integer_write(lua_tointeger(L, -1), room);
        return;
    }
    lua_Number number = lua_tonumber(L, -1);
    if (!isfinite(number)) {
        raise_refusal(L, encoding, isnan(number) ? "NaN is no JSON" : "infinity is no JSON");
    }
    char *room = reserve(L, encoding, JSON_NUMBER_LEN_MAX);
    encoding->len += json_double_write(number, room);
}

/// Writes a string. One that is not UTF-8 is refused, because only the script knows what its bytes
/// mean.
static void write_string_or_raise(lua_State *L, struct encoding *encoding, struct bytes text)
{
    size_t valid_len = utf8_valid_prefix(text);
    if (valid_len < text.len) {
        raise_refusal(L, encoding,
                      lua_pushfstring(L, "a string is not UTF-8 from byte %I on",
                                      (LUAI_UACINT)valid_len + 1));
    }
    write_bytes(L, encoding, BYTES("\""));
    while (text.len > 0) {
        reserve(L, encoding, text.len + JSON_ESCAPE_LEN_MAX);
        encoding->len +=
            json_escape(&text, encoding->out + encoding->len, encoding->capacity - encoding->len);
    }
    write_bytes(L, encoding, BYTES("\""));
}

static void write_bytes(lua_State *L, struct encoding *encoding, struct bytes bytes)
{
    memcpy(reserve(L, encoding, bytes.len), bytes.at, bytes.len);
    encoding->len += bytes.len;
}

/// Returns room for `size` bytes behind those that are written.
static char *reserve(lua_State *L, struct encoding *encoding, size_t size)
{
    if (encoding->capacity - encoding->len < size) {
        size_t capacity = 2 * encoding->capacity + size;
        char *out = lua_newuserdatauv(L, capacity, 0);
        memcpy(out, encoding->out, encoding->len);
        encoding->out = out;
        encoding->capacity = capacity;
        lua_replace(L, encoding->base + OUT);
    }
    DCHECK(encoding->capacity - encoding->len >= size);
    return encoding->out + encoding->len;
}

/// Raises at the line of the script, with the path to what cannot be encoded.
static void raise_refusal(lua_State *L, struct encoding *encoding, const char *what)
{
    luaL_checkstack(L, LUA_MINSTACK, "no room for a message");
    json_value_push_where(L);
    lua_pushstring(L, what);
    push_path(L, encoding);
    lua_concat(L, 3);
    lua_error(L);
}

/// Pushes the path, as in " at .rooms[2].name"; nothing for the value itself. A level whose keys
/// are still being counted has no part in it: the table itself is what is wrong.
static void push_path(lua_State *L, const struct encoding *encoding)
{
    lua_pushliteral(L, "");
    for (uint32_t i = 0; i < encoding->depth; i++) {
        if (i == PATH_LEVELS) {
            lua_pushliteral(L, "...");
            lua_concat(L, 2);
            return;
        }
        const struct level *level = &encoding->levels[i];
        if (level->state == WRITING_ARRAY) {
            lua_pushfstring(L, "[%I]", (LUAI_UACINT)level->next - (level->is_first ? 0 : 1));
        } else if (level->state == WRITING_OBJECT) {
            lua_pushliteral(L, ".");
            lua_rawgeti(L, encoding->base + KEYS, level->last_tag);
            lua_concat(L, 2);
        } else {
            continue;
        }
        lua_pushstring(L, i == 0 ? " at " : "");
        lua_insert(L, -2);
        lua_concat(L, 3);
    }
}
