// SPDX-License-Identifier: MIT
#include "script/lib_crypto.h"

#include "base/check.h"
#include "crypto/base64.h"
#include "crypto/crypto_late.h"
#include "crypto/digest.h"
#include "crypto/secret.h"
#include "script/box.h"
#include "script/lib_password.h"
#include "script/lib_public_key.h"
#include "script/stack.h"

#include <string.h>

enum { RANDOM_BYTES_MAX = 1024 * 1024 };

static enum digest_algorithm check_algorithm(lua_State *L, int index);
static struct bytes check_text(lua_State *L, int index);
static int push_digest_or_raise(lua_State *L, int error, const struct digest *digest);
static int push_encoded(lua_State *L, struct bytes data, enum base64_form form);
static int push_decoded_or_raise(lua_State *L, enum base64_form form, const char *message);
static int l_random(lua_State *L);
static int l_equal(lua_State *L);
static int l_hash(lua_State *L);
static int l_hmac(lua_State *L);
static int l_base64(lua_State *L);
static int l_base64_decode(lua_State *L);
static int l_base64url(lua_State *L);
static int l_base64url_decode(lua_State *L);
static int l_crypto_table(lua_State *L);

const luaL_Reg lib_crypto_functions[] = {{"crypto_table", l_crypto_table}, {NULL, NULL}};

static const luaL_Reg functions[] = {{"random", l_random},
                                     {"equal", l_equal},
                                     {"hash", l_hash},
                                     {"hmac", l_hmac},
                                     {"base64", l_base64},
                                     {"base64_decode", l_base64_decode},
                                     {"base64url", l_base64url},
                                     {"base64url_decode", l_base64url_decode},
                                     {NULL, NULL}};

/// crypto_table() -> the functions. They are there once libcrypto is: they call it.
static int l_crypto_table(lua_State *L)
{
    char why[LATE_WHY_BYTES];
    if (crypto_late_load(why) != 0) {
        return luaL_error(L, "lunesse.crypto: %s", why);
    }
    lib_public_key_register(L);
    luaL_newlib(L, functions);
    luaL_setfuncs(L, lib_password_functions, 0);
    luaL_setfuncs(L, lib_public_key_functions, 0);
    return 1;
}

/// random(count) -> bytes
static int l_random(lua_State *L)
{
    lua_Integer count = luaL_checkinteger(L, 1);
    luaL_argcheck(L, count >= 0 && count <= RANDOM_BYTES_MAX, 1,
                  "between 0 and 1048576 bytes at a time");
    luaL_Buffer bytes;
    char *at = luaL_buffinitsize(L, &bytes, (size_t)count);
    secret_fill(at, (size_t)count);
    luaL_pushresultsize(&bytes, (size_t)count);
    return 1;
}

/// equal(a, b) -> boolean
static int l_equal(lua_State *L)
{
    struct bytes a = check_text(L, 1);
    struct bytes b = check_text(L, 2);
    lua_pushboolean(L, secret_equals(a, b));
    return 1;
}

/// hash(algorithm, text) -> bytes
static int l_hash(lua_State *L)
{
    enum digest_algorithm algorithm = check_algorithm(L, 1);
    struct digest digest;
    int error = digest_hash(algorithm, check_text(L, 2), &digest);
    return push_digest_or_raise(L, error, &digest);
}

/// hmac(algorithm, key, text) -> bytes
static int l_hmac(lua_State *L)
{
    enum digest_algorithm algorithm = check_algorithm(L, 1);
    struct bytes key = check_text(L, 2);
    struct digest digest;
    int error = digest_hmac(algorithm, key, check_text(L, 3), &digest);
    return push_digest_or_raise(L, error, &digest);
}

/// base64(bytes) -> text
static int l_base64(lua_State *L)
{
    return push_encoded(L, check_text(L, 1), BASE64_PADDED);
}

/// base64_decode(text) -> bytes; nil, message, "EINVAL"
static int l_base64_decode(lua_State *L)
{
    return push_decoded_or_raise(L, BASE64_PADDED, "the text is not base64 with its padding");
}

/// base64url(bytes) -> text
static int l_base64url(lua_State *L)
{
    return push_encoded(L, check_text(L, 1), BASE64_URL);
}

/// base64url_decode(text) -> bytes; nil, message, "EINVAL"
static int l_base64url_decode(lua_State *L)
{
    return push_decoded_or_raise(L, BASE64_URL, "the text is not base64url without padding");
}

static enum digest_algorithm check_algorithm(lua_State *L, int index)
{
    const char *wanted = luaL_checkstring(L, index);
    size_t found = 0;
    while (digest_name(found) != NULL && strcmp(digest_name(found), wanted) != 0) {
        found++;
    }
    if (digest_name(found) == NULL) {
        luaL_argerror(L, index,
                      lua_pushfstring(L,
                                      "unknown algorithm '%s'; there are sha1, sha256, sha384, "
                                      "sha512",
                                      wanted));
    }
    return (enum digest_algorithm)found;
}

/// A number is no text here: 1 and 1.0 would be different keys.
static struct bytes check_text(lua_State *L, int index)
{
    luaL_checktype(L, index, LUA_TSTRING);
    return check_bytes(L, index);
}

static int push_digest_or_raise(lua_State *L, int error, const struct digest *digest)
{
    if (error != 0) {
        return luaL_error(L, "this system's configuration of OpenSSL forbids %s",
                          lua_tostring(L, 1));
    }
    lua_pushlstring(L, digest->at, digest->len);
    return 1;
}

static int push_encoded(lua_State *L, struct bytes data, enum base64_form form)
{
    luaL_Buffer text;
    char *at = luaL_buffinitsize(L, &text, base64_room(data.len));
    luaL_pushresultsize(&text, base64_encode(data, form, at));
    return 1;
}

static int push_decoded_or_raise(lua_State *L, enum base64_form form, const char *message)
{
    struct bytes text = check_text(L, 1);
    luaL_Buffer bytes;
    size_t len;
    char *at = luaL_buffinitsize(L, &bytes, text.len);
    if (base64_decode(text, form, at, &len) != 0) {
        return box_push_failure(L, message, "EINVAL");
    }
    luaL_pushresultsize(&bytes, len);
    return 1;
}
