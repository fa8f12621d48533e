// SPDX-License-Identifier: MIT
//
// The metatable of a type has its method table in its array part and two upvalues in `__index`: the
// methods and the properties. Both are looked up raw, so no name of a script can call code there.
#include "script/box.h"

#include "base/check.h"
#include "base/mem.h"
#include "script/parts.h"
#include "script/stack.h"
#include "wire/url.h"

#include <math.h>

static bool is_duration(lua_Number seconds);
static void make_class(lua_State *L, enum box_type type);
static int l_index(lua_State *L);
static int l_newindex(lua_State *L);
static int l_tostring(lua_State *L);

enum { METHODS_UPVALUE = 1, PROPERTIES_UPVALUE, METHODS_FIELD = 1 };

struct boxes {
    const struct box_class *const *classes;
    int metatable_refs[BOX_TYPE_COUNT];
    const void *metatables[BOX_TYPE_COUNT]; // the addresses of the metatables, to compare with
};

struct boxes *boxes_new(const struct box_class *const *classes)
{
    struct boxes *boxes = mem_new(struct boxes);
    for (int type = 0; type < BOX_TYPE_COUNT; type++) {
        DCHECK(classes[type]->name != NULL && classes[type]->methods != NULL);
    }
    boxes->classes = classes;
    return boxes;
}

void boxes_free(struct boxes *boxes)
{
    mem_free(boxes);
}

void box_register(lua_State *L)
{
    for (int type = 0; type < BOX_TYPE_COUNT; type++) {
        make_class(L, (enum box_type)type);
    }
}

void box_set_type(lua_State *L, enum box_type type)
{
    DCHECK(type < BOX_TYPE_COUNT && lua_type(L, -1) == LUA_TUSERDATA);
    lua_rawgeti(L, LUA_REGISTRYINDEX, parts_of(L)->boxes->metatable_refs[type]);
    DCHECK(lua_topointer(L, -1) == parts_of(L)->boxes->metatables[type]);
    lua_setmetatable(L, -2);
}

void *check_box(lua_State *L, int index, enum box_type type)
{
    DCHECK(type < BOX_TYPE_COUNT);
    if (lua_getmetatable(L, index)) {
        bool is_right = lua_topointer(L, -1) == parts_of(L)->boxes->metatables[type];
        lua_pop(L, 1);
        if (is_right) {
            return lua_touserdata(L, index);
        }
    }
    luaL_typeerror(L, index, parts_of(L)->boxes->classes[type]->name);
    return NULL;
}

bool box_is_metatable(lua_State *L, int index)
{
    const struct parts *parts = parts_of(L);
    const void *table = lua_topointer(L, index);
    bool is_found = false;
    for (int type = 0; parts != NULL && type < BOX_TYPE_COUNT; type++) {
        is_found = is_found || parts->boxes->metatables[type] == table;
    }
    return is_found;
}

void box_push_methods(lua_State *L, enum box_type type)
{
    STACK_BEGIN(L);
    DCHECK(type < BOX_TYPE_COUNT);
    lua_rawgeti(L, LUA_REGISTRYINDEX, parts_of(L)->boxes->metatable_refs[type]);
    lua_rawgeti(L, -1, METHODS_FIELD);
    lua_remove(L, -2);
    DCHECK_STACK(L, 1);
    DCHECK(lua_istable(L, -1));
}

int box_push_closed(lua_State *L)
{
    return box_push_failure(L, "closed", "ECLOSED");
}

int box_push_failure(lua_State *L, const char *message, const char *code)
{
    DCHECK(message[0] != '\0' && code[0] == 'E');
    lua_pushnil(L);
    lua_pushstring(L, message);
    lua_pushstring(L, code);
    return 3;
}

/// The memory is a buffer of Lua's, so that nothing leaks when memory runs out.
void box_push_decoded(lua_State *L, struct bytes text, bool plus_is_space)
{
    luaL_Buffer buffer;
    char *room = luaL_buffinitsize(L, &buffer, text.len);
    luaL_pushresultsize(&buffer, url_decode(text, plus_is_space, room));
}

struct bytes check_bytes(lua_State *L, int index)
{
    size_t len = 0;
    const char *at = luaL_checklstring(L, index, &len);
    return bytes_of(at, len);
}

uint64_t check_duration_ms(lua_State *L, int index)
{
    lua_Number seconds = luaL_checknumber(L, index);
    luaL_argcheck(L, is_duration(seconds), index, "seconds between 0 and 1e9 expected");
    return (uint64_t)ceil(seconds * 1000);
}

uint64_t check_duration_option_ms(lua_State *L, int index, const char *name)
{
    if (lua_type(L, -1) != LUA_TNUMBER || !is_duration(lua_tonumber(L, -1))) {
        luaL_argerror(L, index, lua_pushfstring(L, "%s: seconds between 0 and 1e9 expected", name));
    }
    return (uint64_t)ceil(lua_tonumber(L, -1) * 1000);
}

static bool is_duration(lua_Number seconds)
{
    return seconds >= 0 && seconds <= 1e9; // NaN is false in both
}

void check_options(lua_State *L, int index, const char *const *names)
{
    if (!lua_isnoneornil(L, index)) {
        luaL_checktype(L, index, LUA_TTABLE);
        check_keys(L, index, names, "option");
    }
}

void check_keys(lua_State *L, int index, const char *const *names, const char *what)
{
    DCHECK(index > 0); // the walk pushes values
    lua_pushnil(L);
    while (lua_next(L, index) != 0) {
        lua_pop(L, 1); // [key]
        bool is_known = false;
        for (size_t i = 0; names[i] != NULL; i++) {
            is_known = is_known || (lua_type(L, -1) == LUA_TSTRING &&
                                    strcmp(lua_tostring(L, -1), names[i]) == 0);
        }
        if (!is_known) {
            const char *key = luaL_tolstring(L, -1, NULL);
            luaL_argerror(L, index, lua_pushfstring(L, "unknown %s '%s'", what, key));
        }
    }
}

int opt_field(lua_State *L, int index, const char *name)
{
    if (lua_isnoneornil(L, index)) {
        lua_pushnil(L);
        return LUA_TNIL;
    }
    return lua_getfield(L, index, name);
}

/// Makes the metatable of the type and keeps it for `box_set_type`.
static void make_class(lua_State *L, enum box_type type)
{
    const struct box_class *class = parts_of(L)->boxes->classes[type];
    struct boxes *boxes = parts_of(L)->boxes;
    STACK_BEGIN(L);
    lua_newtable(L); // [metatable]
    lua_newtable(L); // [metatable, methods]
    luaL_setfuncs(L, class->methods, 0);
    lua_pushvalue(L, -1);
    lua_rawseti(L, -3, METHODS_FIELD);
    lua_newtable(L); // [metatable, methods, properties]
    for (const struct box_property *property = class->properties; property->name != NULL;
         property++) {
        lua_pushcfunction(L, property->push);
        lua_setfield(L, -2, property->name);
    }
    lua_pushcclosure(L, l_index, 2);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, l_newindex);
    lua_setfield(L, -2, "__newindex");
    lua_pushcfunction(L, l_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushstring(L, class->name);
    lua_setfield(L, -2, "__name");
    if (class->collect != NULL) {
        lua_pushcfunction(L, class->collect);
        lua_setfield(L, -2, "__gc");
    }
    lua_pushliteral(L, "protected");
    lua_setfield(L, -2, "__metatable");
    boxes->metatables[type] = lua_topointer(L, -1);
    boxes->metatable_refs[type] = luaL_ref(L, LUA_REGISTRYINDEX);
    DCHECK_STACK(L, 0);
}

/// box.name: a method, or what the property's function pushes.
static int l_index(lua_State *L)
{
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(METHODS_UPVALUE)) != LUA_TNIL) {
        return 1;
    }
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(PROPERTIES_UPVALUE));
    box_property_fn push = (box_property_fn)lua_tocfunction(L, -1);
    if (push == NULL) {
        return 0;
    }
    lua_settop(L, 1);
    return push(L);
}

static int l_newindex(lua_State *L)
{
    luaL_tolstring(L, 2, NULL);
    luaL_getmetafield(L, 1, "__name");
    return luaL_error(L, "%s has no settable field '%s'", lua_tostring(L, -1), lua_tostring(L, -2));
}

static int l_tostring(lua_State *L)
{
    luaL_getmetafield(L, 1, "__name");
    lua_pushfstring(L, "%s: %p", lua_tostring(L, -1), lua_topointer(L, 1));
    return 1;
}
