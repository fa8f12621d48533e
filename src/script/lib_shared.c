// SPDX-License-Identifier: MIT
//
// A method reads key and value from Lua's stack, as slices of Lua's strings, and makes one call
// into the store, which copies under its lock. What comes back is pushed: a number as it is, a text
// as a held copy (shared/shared_text.h), so that the lock is not held while Lua makes a string of
// it.
#include "script/lib_shared.h"

#include "base/check.h"
#include "base/limits.h"
#include "net/loop.h"
#include "script/parts.h"
#include "script/stack.h"
#include "script/state.h"
#include "shared/shared.h"
#include "shared/shared_text.h"

#include <assert.h>
#include <errno.h>
#include <math.h>

enum { KEYS_DEFAULT = 1000 };
enum { KEY = 2, VALUE = 3, OPTIONS = 4 };       // the arguments of the methods
enum { NEW_VALUE = 4, REPLACE_OPTIONS = 5 };    // `replace` has the old value at VALUE
enum { SLOT_NAME = 1, SLOT_COUNT = SLOT_NAME }; // the user values of a box

static const char boxes_key; // the registry keeps the weak table name -> box under this address

struct shared_box {
    struct shared_store *store;
    struct shared_text *text; // a text that is being pushed; released later when that raises
};

static struct shared_box *check_shared(lua_State *L);
static struct bytes check_key(lua_State *L);
static struct shared_value check_value(lua_State *L, int index);
static struct shared_write check_write(lua_State *L, int index, const char *const *options);
static uint64_t check_ttl_ms(lua_State *L, int index);
static struct shared_value check_by(lua_State *L);
static struct shared_value check_init(lua_State *L);
static struct shared_value number_at(lua_State *L, int index);
static uint64_t now_ms(lua_State *L);
static void push_value(lua_State *L, const struct shared_value *value);
static void push_text(lua_State *L, struct shared_box *box, struct shared_text *text);
static int push_outcome(lua_State *L, int result);
static bool check_bytes_option(lua_State *L, uint64_t *bytes_max);
static void set_limit(lua_State *L, bool has_limit, uint64_t bytes_max);
static int l_shared(lua_State *L);
static int l_get(lua_State *L);
static int l_set(lua_State *L);
static int l_add(lua_State *L);
static int l_replace(lua_State *L);
static int l_incr(lua_State *L);
static int l_delete(lua_State *L);
static int l_keys(lua_State *L);
static int l_collect(lua_State *L);
static int p_name(lua_State *L);
static int p_count(lua_State *L);

static const char *const store_options[] = {"bytes", NULL};
static const char *const write_options[] = {"ttl", NULL};
static const char *const incr_options[] = {"init", "ttl", NULL};

static const luaL_Reg methods[] = {{"get", l_get},         {"set", l_set},   {"add", l_add},
                                   {"replace", l_replace}, {"incr", l_incr}, {"delete", l_delete},
                                   {"keys", l_keys},       {NULL, NULL}};

static const struct box_property properties[] = {
    {"name", p_name}, {"count", p_count}, {NULL, NULL}};

const struct box_class lib_shared_class = {"Shared", methods, properties, l_collect};

const luaL_Reg lib_shared_functions[] = {{"shared", l_shared}, {NULL, NULL}};

void lib_shared_open_boxes(lua_State *L)
{
    state_push_weak_table(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &boxes_key);
}

/// shared(name, [options]) -> Shared. The box is made before the store is held, so that nothing
/// leaks when memory runs out.
static int l_shared(lua_State *L)
{
    static_assert(SHARED_NAME_BYTES_MAX == 255, "the message says so");
    luaL_checktype(L, 1, LUA_TSTRING);
    struct bytes name = check_bytes(L, 1);
    luaL_argcheck(L, name.len > 0, 1, "a store's name is not empty");
    luaL_argcheck(L, name.len <= SHARED_NAME_BYTES_MAX, 1, "a store's name has at most 255 bytes");
    check_options(L, 2, store_options);
    check_not_ended(L);
    uint64_t bytes_max = 0;
    bool has_limit = check_bytes_option(L, &bytes_max);
    lua_settop(L, 1);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &boxes_key); // [name, boxes]
    lua_pushvalue(L, 1);
    if (lua_rawget(L, 2) == LUA_TUSERDATA) {
        set_limit(L, has_limit, bytes_max);
        return 1;
    }
    struct shared_box *box = lua_newuserdatauv(L, sizeof(struct shared_box), SLOT_COUNT);
    *box = (struct shared_box){0};
    box_set_type(L, BOX_SHARED); // [name, boxes, nil, box]
    DCHECK(lua_gettop(L) == 4);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, 4, SLOT_NAME);
    box->store = shared_hold(parts_of(L)->options->shared, name);
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 4);
    lua_rawset(L, 2);
    set_limit(L, has_limit, bytes_max);
    return 1;
}

/// Reads the option `bytes`: a number, or false for no ceiling. Returns whether it is there.
static bool check_bytes_option(lua_State *L, uint64_t *bytes_max)
{
    int type = opt_field(L, 2, "bytes");
    int is_whole = 0;
    lua_Integer bytes = type == LUA_TNUMBER ? lua_tointegerx(L, -1, &is_whole) : 0;
    bool is_none = type == LUA_TBOOLEAN && !lua_toboolean(L, -1);
    luaL_argcheck(L, type == LUA_TNIL || is_none || (is_whole && bytes >= 0), 2,
                  "bytes: a whole number, 0 or more, or false expected");
    *bytes_max = is_none ? UINT64_MAX : (uint64_t)bytes;
    return type != LUA_TNIL;
}

/// The box is on top of the stack.
static void set_limit(lua_State *L, bool has_limit, uint64_t bytes_max)
{
    const struct shared_box *box = lua_touserdata(L, -1);
    DCHECK(box != NULL);
    if (has_limit && box->store != NULL) {
        shared_limit(box->store, bytes_max);
    }
}

/// shared:get(key) -> value; nil
static int l_get(lua_State *L)
{
    struct shared_box *box = check_shared(L);
    struct bytes key = check_key(L);
    struct shared_value value;
    if (!shared_get(box->store, key, now_ms(L), &value)) {
        lua_pushnil(L);
    } else if (value.type == SHARED_STRING) {
        push_text(L, box, value.text);
    } else {
        push_value(L, &value);
    }
    return 1;
}

/// shared:set(key, value, [options]) -> true; nil, message, "ENOMEM"
static int l_set(lua_State *L)
{
    const struct shared_box *box = check_shared(L);
    struct shared_write write = check_write(L, OPTIONS, write_options);
    struct shared_value value = check_value(L, VALUE);
    return push_outcome(L, shared_set(box->store, &write, &value));
}

/// shared:add(key, value, [options]) -> true; nil, "exists", "EEXIST"; nil, message, "ENOMEM"
static int l_add(lua_State *L)
{
    const struct shared_box *box = check_shared(L);
    struct shared_write write = check_write(L, OPTIONS, write_options);
    struct shared_value value = check_value(L, VALUE);
    return push_outcome(L, shared_add(box->store, &write, &value));
}

/// shared:replace(key, old, new, [options]) -> true; nil, "changed", "ESTALE"; nil, message,
/// "ENOMEM". An old value of nil means that there must be none; a new value of nil deletes.
static int l_replace(lua_State *L)
{
    const struct shared_box *box = check_shared(L);
    check_key(L);
    luaL_argcheck(L, lua_gettop(L) >= NEW_VALUE, NEW_VALUE, "the new value, or nil, expected");
    struct shared_write write = check_write(L, REPLACE_OPTIONS, write_options);
    bool has_old = !lua_isnil(L, VALUE);
    bool has_new = !lua_isnil(L, NEW_VALUE);
    struct shared_value old = has_old ? check_value(L, VALUE) : (struct shared_value){0};
    struct shared_value value = has_new ? check_value(L, NEW_VALUE) : (struct shared_value){0};
    return push_outcome(
        L, shared_replace(box->store, &write, has_old ? &old : NULL, has_new ? &value : NULL));
}

/// shared:incr(key, [by], [options]) -> number; nil, message, "EINVAL" | "ERANGE" | "ENOMEM"
static int l_incr(lua_State *L)
{
    const struct shared_box *box = check_shared(L);
    struct shared_write write = check_write(L, OPTIONS, incr_options);
    struct shared_step step = {.by = check_by(L), .init = check_init(L)};
    struct shared_value sum;
    int result = shared_incr(box->store, &write, &step, &sum);
    if (result != 0) {
        return push_outcome(L, result);
    }
    push_value(L, &sum);
    return 1;
}

/// shared:delete(key) -> whether it was there
static int l_delete(lua_State *L)
{
    const struct shared_box *box = check_shared(L);
    struct bytes key = check_key(L);
    lua_pushboolean(L, shared_remove(box->store, key, now_ms(L)));
    return 1;
}

/// shared:keys([max]) -> array of strings. All keys are first pushed as one string, which ends the
/// hold on the store's memory: finalizers may run while the array is made, and may use this box.
static int l_keys(lua_State *L)
{
    struct shared_box *box = check_shared(L);
    lua_Integer max = luaL_optinteger(L, 2, KEYS_DEFAULT);
    luaL_argcheck(L, max > 0, 2, "a number above 0 expected");
    lua_settop(L, 1);
    struct shared_text *text;
    if (shared_keys(box->store, now_ms(L), (size_t)max, &text) != 0) {
        return box_push_failure(L, "there is no memory for so many keys", "ENOMEM");
    }
    push_text(L, box, text);
    lua_newtable(L); // [box, text, keys]
    struct bytes rest = check_bytes(L, 2);
    struct bytes key;
    for (lua_Integer i = 1; shared_next_key(&rest, &key); i++) {
        lua_pushlstring(L, key.at, key.len);
        lua_rawseti(L, 3, i);
    }
    return 1;
}

/// The weak table has lost the box before this runs, so a new box may hold the same store already.
static int l_collect(lua_State *L)
{
    struct shared_box *box = check_box(L, 1, BOX_SHARED);
    struct shared_box left = *box;
    *box = (struct shared_box){0};
    shared_text_release(left.text);
    if (left.store != NULL) {
        shared_release(left.store);
    }
    return 0;
}

static int p_name(lua_State *L)
{
    check_shared(L);
    lua_getiuservalue(L, 1, SLOT_NAME);
    return 1;
}

static int p_count(lua_State *L)
{
    const struct shared_box *box = check_shared(L);
    lua_pushinteger(L, (lua_Integer)shared_count(box->store, now_ms(L)));
    return 1;
}

static struct shared_box *check_shared(lua_State *L)
{
    struct shared_box *box = check_box(L, 1, BOX_SHARED);
    luaL_argcheck(L, box->store != NULL, 1,
                  "a store that is still there expected"); // not so in a finalizer at the end
    return box;
}

static struct bytes check_key(lua_State *L)
{
    static_assert(SHARED_KEY_BYTES_MAX == 1024, "the message says so");
    luaL_checktype(L, KEY, LUA_TSTRING);
    struct bytes key = check_bytes(L, KEY);
    luaL_argcheck(L, key.len > 0, KEY, "a key is not empty");
    luaL_argcheck(L, key.len <= SHARED_KEY_BYTES_MAX, KEY, "a key has at most 1024 bytes");
    return key;
}

/// Reads the key and the options of (box, key, value, [options]).
static struct shared_write check_write(lua_State *L, int index, const char *const *options)
{
    struct bytes key = check_key(L);
    check_options(L, index, options);
    return (struct shared_write){
        .key = key,
        .now_ms = now_ms(L),
        .ttl_ms = check_ttl_ms(L, index),
        .bytes_max = parts_of(L)->options->limits->script.shared_bytes,
    };
}

static uint64_t check_ttl_ms(lua_State *L, int index)
{
    uint64_t ttl_ms = 0;
    if (opt_field(L, index, "ttl") != LUA_TNIL) {
        ttl_ms = check_duration_option_ms(L, index, "ttl");
        luaL_argcheck(L, ttl_ms > 0, index, "ttl: seconds above 0 expected");
    }
    lua_pop(L, 1);
    return ttl_ms;
}

static struct shared_value check_value(lua_State *L, int index)
{
    switch (lua_type(L, index)) {
    case LUA_TBOOLEAN:
        return (struct shared_value){.type = SHARED_BOOLEAN, .boolean = lua_toboolean(L, index)};
    case LUA_TNUMBER:
        return number_at(L, index);
    case LUA_TSTRING:
        return (struct shared_value){.type = SHARED_STRING, .string = check_bytes(L, index)};
    case LUA_TTABLE:
        luaL_argerror(L, index, "a table cannot be shared: encode it with lunesse.json.encode");
        break;
    case LUA_TNIL:
        luaL_argerror(L, index, "nil is no value: 'delete' takes a key away");
        break;
    default:
        luaL_typeerror(L, index, "string, number or boolean");
    }
    UNREACHABLE();
}

static struct shared_value check_by(lua_State *L)
{
    if (lua_isnoneornil(L, VALUE)) {
        return (struct shared_value){.type = SHARED_INTEGER, .integer = 1};
    }
    luaL_checktype(L, VALUE, LUA_TNUMBER);
    luaL_argcheck(L, isfinite(lua_tonumber(L, VALUE)), VALUE, "a finite number expected");
    return number_at(L, VALUE);
}

static struct shared_value check_init(lua_State *L)
{
    struct shared_value init = {.type = SHARED_INTEGER};
    int type = opt_field(L, OPTIONS, "init");
    if (type != LUA_TNIL) {
        luaL_argcheck(L, type == LUA_TNUMBER && isfinite(lua_tonumber(L, -1)), OPTIONS,
                      "init: a finite number expected");
        init = number_at(L, -1);
    }
    lua_pop(L, 1);
    return init;
}

static struct shared_value number_at(lua_State *L, int index)
{
    if (lua_isinteger(L, index)) {
        return (struct shared_value){.type = SHARED_INTEGER, .integer = lua_tointeger(L, index)};
    }
    return (struct shared_value){.type = SHARED_FLOAT, .number = lua_tonumber(L, index)};
}

static uint64_t now_ms(lua_State *L)
{
    return loop_now_ms(parts_of(L)->options->loop);
}

/// Pushes a value that is no string.
static void push_value(lua_State *L, const struct shared_value *value)
{
    DCHECK(value->type == SHARED_BOOLEAN || value->type == SHARED_INTEGER ||
           value->type == SHARED_FLOAT);
    if (value->type == SHARED_BOOLEAN) {
        lua_pushboolean(L, value->boolean);
    } else if (value->type == SHARED_INTEGER) {
        lua_pushinteger(L, value->integer);
    } else {
        lua_pushnumber(L, value->number);
    }
}

/// Pushes a text. A finalizer may run within the push and push from this box as well; that is safe,
/// because Lua has copied the bytes by then.
static void push_text(lua_State *L, struct shared_box *box, struct shared_text *text)
{
    STACK_BEGIN(L);
    struct bytes bytes = shared_text_bytes(text);
    shared_text_release(box->text);
    box->text = text;
    lua_pushlstring(L, bytes.at, bytes.len);
    shared_text_release(box->text);
    box->text = NULL;
    DCHECK_STACK(L, 1);
}

/// Pushes what came of a write to the store of the box at index 1.
static int push_outcome(lua_State *L, int result)
{
    const struct shared_box *box = lua_touserdata(L, 1);
    switch (result) {
    case 0:
        lua_pushboolean(L, 1);
        return 1;
    case -EEXIST:
        return box_push_failure(L, "exists", "EEXIST");
    case -ESTALE:
        return box_push_failure(L, "changed", "ESTALE");
    case -EINVAL:
        return box_push_failure(L, "the value is not a number", "EINVAL");
    case -ERANGE:
        return box_push_failure(L, "the sum is beyond the numbers", "ERANGE");
    case -EDQUOT:
        limit_met("store_bytes", shared_limit_of(box->store));
        return box_push_failure(L, "the store has as many bytes as it may", "ENOMEM");
    case -ENOMEM:
        return box_push_failure(L, "there is no memory for the value", "ENOMEM");
    default: // -ENOBUFS
        limit_met("shared_bytes", parts_of(L)->options->limits->script.shared_bytes);
        return box_push_failure(L, "the shared stores have as many bytes as the limit allows",
                                "ENOMEM");
    }
}
