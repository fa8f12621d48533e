// SPDX-License-Identifier: MIT
#include "script/lib_public_key.h"

#include "base/check.h"
#include "crypto/public_key.h"
#include "script/box.h"
#include "script/stack.h"

#include <string.h>

static const char type_name[] = "PublicKey";

static enum key_algorithm check_algorithm(lua_State *L, int index);
static struct bytes check_text(lua_State *L, int index);
static int l_public_key(lua_State *L);
static int l_verify(lua_State *L);
static int l_collect(lua_State *L);

const luaL_Reg lib_public_key_core_functions[] = {{"public_key", l_public_key}, {NULL, NULL}};

const luaL_Reg lib_public_key_functions[] = {{"verify", l_verify}, {NULL, NULL}};

void lib_public_key_register(lua_State *L)
{
    STACK_BEGIN(L);
    luaL_newmetatable(L, type_name);
    lua_pushcfunction(L, l_collect);
    lua_setfield(L, -2, "__gc");
    lua_pushliteral(L, "protected");
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
    DCHECK_STACK(L, 0);
}

/// public_key(algorithm, first, second) -> userdata; nil, message, "EINVAL"
static int l_public_key(lua_State *L)
{
    enum key_algorithm algorithm = check_algorithm(L, 1);
    struct bytes first = check_text(L, 2);
    struct bytes second = check_text(L, 3);
    struct public_key *key = lua_newuserdatauv(L, sizeof(struct public_key), 0);
    *key = (struct public_key){0};
    luaL_setmetatable(L, type_name);
    if (public_key_init(key, algorithm, first, second) != 0) {
        return box_push_failure(L, "the numbers are no key that is taken", "EINVAL");
    }
    return 1;
}

/// verify(key, text, signature) -> boolean
static int l_verify(lua_State *L)
{
    const struct public_key *key = luaL_checkudata(L, 1, type_name);
    struct bytes text = check_text(L, 2);
    struct bytes signature = check_text(L, 3);
    lua_pushboolean(L, public_key_verifies(key, text, signature));
    return 1;
}

static int l_collect(lua_State *L)
{
    public_key_deinit(luaL_checkudata(L, 1, type_name));
    return 0;
}

static enum key_algorithm check_algorithm(lua_State *L, int index)
{
    const char *wanted = luaL_checkstring(L, index);
    size_t found = 0;
    while (key_algorithm_name(found) != NULL && strcmp(key_algorithm_name(found), wanted) != 0) {
        found++;
    }
    luaL_argcheck(L, key_algorithm_name(found) != NULL, index, "RS256, ES256 or EdDSA expected");
    return (enum key_algorithm)found;
}

static struct bytes check_text(lua_State *L, int index)
{
    luaL_checktype(L, index, LUA_TSTRING);
    return check_bytes(L, index);
}
